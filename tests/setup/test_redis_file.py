"""Redis' configuration: words, sizes, what adds up, what is not known, and the budget.

tests/setup/test_real_redis.py asks a real server about the same inputs.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.setup.redis.file import (
    MOST_BYTES,
    MOST_FILES,
    RedisConfig,
    bytes_of,
    config_of,
    quoted,
    split,
)

CONF = "/etc/redis/redis.conf"

WORDS: dict[str, list[str] | None] = {
    "": [],
    " \t ": [],
    "requirepass secret": ["requirepass", "secret"],
    "\trequirepass\tsecret ": ["requirepass", "secret"],
    'a "b c" d': ["a", "b c", "d"],
    'a ""': ["a", ""],
    r'a "\x41\n\t\"\\"': ["a", 'A\n\t"\\'],
    r'a "\xZZ\q"': ["a", "xZZq"],
    r'a "\xc3\xa9"': ["a", "é"],
    r'a "\xff"': ["a", "\udcff"],
    r"a 'b\'c\n'": ["a", r"b'c\n"],
    'a b"c d"': ["a", "bc d"],
    "a#b # c": ["a#b", "#", "c"],
    "a\vb": ["a\vb"],
    'a "b"c': None,
    'a "b': None,
    "a 'b": None,
    r"a 'b\'": None,
    'a "b\\': None,
    '"\u2028 x"\u2028': None,
}


@pytest.mark.parametrize(("line", "found"), WORDS.items())
def test_words(line: str, found: list[str] | None) -> None:
    assert split(line) == found


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_quoted_words_are_read_back(words: list[str]) -> None:
    assert split(" ".join(map(quoted, words))) == words


@given(st.text(st.sampled_from("\"'\\ \tax0n"), max_size=30))
def test_any_line_is_read_or_refused(line: str) -> None:
    assert split(line) is None or all(isinstance(word, str) for word in split(line) or ())


SIZES = {
    "64mb": 64 << 20,
    "64MB": 64 << 20,
    "64m": 64_000_000,
    "5k": 5000,
    "5Kb": 5120,
    "12b": 12,
    "1gb": 1 << 30,
    "00005mb": 5 << 20,
    str((1 << 64) - 1): (1 << 64) - 1,
    str(1 << 64): None,
    "99999999999gb": None,
    "": None,
    "mb": None,
    "-1": None,
    "1.5gb": None,
    "1 mb": None,
    "64mib": None,
    "٣mb": None,
    "5\u212a": None,
}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_sizes(text: str, size: int | None) -> None:
    assert bytes_of(text) == size


class Disk:
    """Files as a test has them; counts what is read."""

    def __init__(self, **files: str) -> None:
        self.files = {CONF: ""} | {f"/etc/redis/{name}": text for name, text in files.items()}
        self.reads = 0
        self.listed = 0

    def read(self, path: str) -> str | None:
        self.reads += 1
        if any(name.startswith(f"{path.rstrip('/')}/") for name in self.files):
            raise IsADirectoryError(21, "Is a directory", path)
        return self.files.get(path)

    def names(self, folder: str) -> list[str]:
        self.listed += 1
        below = f"{folder.rstrip('/')}/"
        return sorted(
            {p.removeprefix(below).split("/")[0] for p in self.files if p.startswith(below)}
        )

    def config(self, text: str, *options: str | None, folder: str = "/") -> RedisConfig:
        self.files[CONF] = text
        words = ["/usr/bin/redis-server", CONF, *options]
        return config_of(words, self.read, self.names, folder)


def parts(**files: str) -> Disk:
    made = {name.replace("_", "/", 1) + ".conf": text for name, text in files.items()}
    return Disk(**made)


MORE = parts(
    d_10="maxmemory 10mb\nmaxmemory-policy volatile-",
    d_20="ttl\nmaxmemory 20mb\n",
    more="maxmemory 5mb\n",
)
MORE.files["/etc/redis/d/.30.conf"] = "maxmemory 30mb\n"

VALUES = {
    "a pattern, in the order of its names": ("include /etc/redis/d/*.conf", (), "maxmemory 20mb"),
    "its files follow each other without a line end": (
        "include /etc/redis/d/*.conf",
        (),
        "maxmemory-policy volatile-ttl",
    ),
    "a pattern of folders": ("include /etc/*/d/[12]?.conf", (), "maxmemory 20mb"),
    "a pattern of nothing": ("maxmemory 1mb\ninclude /etc/none/*.conf", (), "maxmemory 1mb"),
    "one hidden": ("include /etc/redis/d/.3*", (), "maxmemory 30mb"),
    "before": ("include /etc/redis/more.conf\nmaxmemory 1mb", (), "maxmemory 1mb"),
    "after": ("maxmemory 1mb\ninclude /etc/redis/more.conf", (), "maxmemory 5mb"),
    "twice": ("include /etc/redis/more.conf\n" * 2, (), "maxmemory 5mb"),
    "by its working folder": ("include redis/more.conf", (), "maxmemory 5mb"),
    "by the folder of its data": ("dir /etc/redis\ninclude more.conf", (), "maxmemory 5mb"),
    "a folder": ("maxmemory 1mb\ninclude /etc/redis/d", (), "maxmemory 1mb"),
    "an option in one word": ("maxmemory 1mb", ("--maxmemory 7mb",), "maxmemory 7mb"),
    "an option that includes": ("", ("--include", "/etc/redis/more.conf"), "maxmemory 5mb"),
    "saves add up, the command line's too": ("save 9 1", ("--save", "3", "1"), "save 9 1 3 1"),
    "a save without a value": ("save 9 1", ("--save", "--maxmemory", "5mb"), "save "),
    "the last save without a value": ("save 9 1", ("--save",), "save "),
    "saves in quotes": ('save "9 1 3 1"', (), "save 9 1 3 1"),
    "no size": ('maxmemory ""', (), "maxmemory "),
}


@pytest.mark.parametrize(("text", "options", "found"), VALUES.values(), ids=VALUES)
def test_values(text: str, options: tuple[str, ...], found: str) -> None:
    config = MORE.config(text, *options, folder="/etc")
    name, _, value = found.partition(" ")
    assert config.trouble is None
    assert " ".join(config.values[name]) == value


UNKNOWN = {
    "no such file": ("include /none", ()),
    "one that includes itself": (f"include {CONF}", ()),
    "one that includes itself by a pattern": ("include /etc/redis/redis.*", ()),
    "a quote": ('requirepass "a', ()),
    "two values": ("maxmemory 1mb 2mb", ()),
    "no value": ("maxmemory", ()),
    "no size": ("maxmemory 1.5gb", ()),
    "half a save": ("save 900", ()),
    "neither yes nor no": ("appendonly maybe", ()),
    "no text": ("maxmemory 1mb\0", ()),
    "standard input": ("", ("-",)),
    "standard input at the end": ("", ("--port", "1", "-")),
    "a word that is not known": ("", (None,)),
    "an escape in a pattern": ("include /etc/redis/\\*.conf", ()),
}


@pytest.mark.parametrize(("text", "options"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_may_change_all_before_it(
    text: str, options: tuple[str | None, ...]
) -> None:
    config = MORE.config(f"maxmemory-policy allkeys-lru\n{text}", *options)
    assert config.trouble
    assert not config.knows("maxmemory-policy")
    assert not config.knows("dir")


def test_what_is_set_after_it_is_known() -> None:
    config = MORE.config("save 9 1\ninclude /none\nmaxmemory 3mb\nsave 1 1", "--port", "7000")
    assert [config.knows(n) for n in ("maxmemory", "port", "save")] == [True, True, False]
    config = MORE.config('include /none\nsave ""\nsave 1 1', None, "--maxmemory", "3mb")
    assert [config.knows(n) for n in ("maxmemory", "save")] == [True, False]
    assert MORE.config('include /none\nsave ""\nsave 1 1').knows("save")


def test_without_names_no_pattern_is_followed() -> None:
    config = config_of(["redis-server", CONF], {CONF: "include /x/*.conf"}.get)
    assert "The include /x/*.conf is not followed." in str(config.trouble)


def test_a_folder_that_may_not_be_read_is_not_empty() -> None:
    def read(path: str) -> str:
        if path == CONF:
            return "include /x/*.conf"
        raise PermissionError(13, "Permission denied", path)

    assert config_of(["redis-server", CONF], read, lambda _: []).trouble


def test_a_file_that_may_not_be_read_is_not_empty() -> None:
    def read(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    assert "Permission denied" in str(config_of(["redis-server", CONF], read).trouble)


@pytest.mark.parametrize("count", [2, 12, 1000])
def test_many_includes_have_a_budget(count: int) -> None:
    """Each file includes all later ones: without a count 2**N reads."""
    disk = Disk()
    for index in range(count):
        later = "".join(f"include /etc/redis/{i}\n" for i in range(index + 1, count))
        disk.files[f"/etc/redis/{index}"] = later + "maxmemory 1mb\n"
    config = disk.config("include /etc/redis/0\n")
    assert disk.reads <= MOST_FILES
    assert bool(config.trouble) is (count > 2)


def test_all_files_together_have_a_budget() -> None:
    disk = Disk(**{f"{i}": "#" * 400_000 + "\n" for i in range(9)})
    config = disk.config("".join(f"include /etc/redis/{i}\n" for i in range(9)))
    assert config.trouble
    assert disk.reads <= MOST_BYTES // 400_000 + 3


def test_patterns_have_a_budget() -> None:
    disk = Disk(**{f"{i}/x": "" for i in range(9000)})
    assert disk.config("include /etc/redis/*/*\n").trouble
    assert disk.listed < 10


USERS = {
    "requirepass x": "x",
    "user default on >y ~* +@all": "y",
    "requirepass x\nuser default on >y ~* +@all": "y",
    "user other on >z": "",
    "user default on nopass": "",
    'requirepass ""': "",
}


@pytest.mark.parametrize(("text", "password"), USERS.items())
def test_passwords(text: str, password: str) -> None:
    assert MORE.config(text).password == password


def test_renamed_commands() -> None:
    config = MORE.config('rename-command CONFIG "abc 1"\nRename-Command info ""')
    assert config.renamed == {"config": "abc 1", "info": ""}


_LINES = st.sampled_from(
    ["include ", "maxmemory ", "save ", "dir ", "*", "/etc/redis/", "d", '"', "'", "\\", "\n", "-"]
)


@given(
    st.lists(_LINES | st.text(max_size=5)).map("".join),
    st.lists(st.none() | st.sampled_from(["--save", "--maxmemory", "1mb", "-", ""])),
)
def test_any_configuration_is_read(text: str, options: list[str | None]) -> None:
    config = MORE.config(text, *options)
    assert str(config.trouble or "").isprintable()
    assert isinstance(config.password, str)


TIRING = {
    "lines": "a\n",
    "saves": "save 1 1\n",
    "folders": "dir x\n",
    "includes": "include /none\n",
    "patterns": "include /x*/*\n",
    "users": "user default >a\n",
    "quotes": '"a" ',
    "open quotes": '"\\a',
    "escapes": "'\\'",
    "blanks": " \t",
}


@pytest.mark.parametrize("piece", TIRING.values(), ids=TIRING)
def test_a_long_file_costs_no_more_than_its_length(piece: str) -> None:
    """The most that is read takes a fraction of a second; a quadratic reader took minutes."""
    text = piece * (MOST_BYTES // len(piece) - 10)
    disk = Disk()
    before = time.process_time()
    disk.config(text)
    assert time.process_time() - before < 2
