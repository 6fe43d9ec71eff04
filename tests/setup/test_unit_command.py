"""A unit's command line and variables, as systemd makes them; what cannot be seen is unknown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.setup import unit_command

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.setup.unit_command import Command, Variables

UNIT = "shop@blue.service"
PATH = f"/etc/systemd/system/{UNIT}"

FILES = {
    "/etc/default/shop": "PORT=8000\nARGS=\"--workers 4 --name 'a b'\"\n",
    "/etc/default/shop.late": "PORT=9000\n",
    "/etc/shop.d/10-a.env": "A=1\nPORT=1\n",
    "/etc/shop.d/20-b.env": "B=2\nPORT=2\n",
    "/etc/shop.d/.hidden.env": "PORT=3\n",
    "/etc/broken": "A=\udcff\n",
    "/etc/long": "A=1\n" * 20_000,
}


def read(path: str, files: dict[str, str]) -> tuple[str | None, Message | None]:
    if path == "/etc/secret":
        return None, msg("{path} cannot be read by this user", path=path)
    return files.get(path), None


def names(folder: str) -> list[str]:
    return [path.rpartition("/")[2] for path in FILES if path.rpartition("/")[0] == folder]


def found(*lines: str) -> Command:
    text = "\n".join(["[Service]", *lines])
    return unit_command.command([UnitFile(PATH, text)], UNIT, partial(read, files=FILES), names)


def variables(*lines: str) -> Variables:
    text = "\n".join(["[Service]", *lines])
    return unit_command.variables([UnitFile(PATH, text)], UNIT, partial(read, files=FILES), names)


WORDS: dict[str, tuple[list[str], list[str]]] = {
    "quotes": (["ExecStart=/bin/x 'a b' \"c\\td\" e\\x20f"], ["/bin/x", "a b", "c\td", "e f"]),
    "prefixes": (["ExecStart=-+/bin/x $A"], ["/bin/x"]),
    "its own argv[0]": (["ExecStart=@/bin/x [x] y"], ["/bin/x", "y"]),
    "no variables": (
        ["Environment=A=1", "ExecStart=:/bin/x $A ${A} $$"],
        ["/bin/x", "$A", "${A}", "$$"],
    ),
    "a whole word is split": (
        ["Environment='A=1 \"2 3\"'", "ExecStart=/bin/x $A"],
        ["/bin/x", "1", "2 3"],
    ),
    "within a word not": (["Environment='A=1 2'", "ExecStart=/bin/x -${A}-"], ["/bin/x", "-1 2-"]),
    "not set": (["ExecStart=/bin/x $A a${A}"], ["/bin/x", "a"]),
    "dollars": (["ExecStart=/bin/x $$A a$$"], ["/bin/x", "$A", "a$"]),
    "specifiers": (["ExecStart=/bin/x %i %p %%"], ["/bin/x", "blue", "shop", "%"]),
    "a specifier is no syntax": (["ExecStart=/bin/x '%%i'"], ["/bin/x", "%i"]),
    "a semicolon as a word": (["ExecStart=/bin/x \\; ';' a;"], ["/bin/x", ";", ";", "a;"]),
    "continued": (["ExecStart=/bin/x \\", "# no", " y"], ["/bin/x", "y"]),
    "a new beginning": (["ExecStart=/bin/x", "ExecStart=", "ExecStart=/bin/y"], ["/bin/y"]),
    "by its name alone": (["ExecStart=x y"], ["x", "y"]),
    "the last one wins": (
        ["Environment=A=1 B=2", "Environment=A=3", "ExecStart=/bin/x $A $B"],
        ["/bin/x", "3", "2"],
    ),
    "reset": (["Environment=A=1", "Environment=", "ExecStart=/bin/x ${A}"], ["/bin/x", ""]),
    "the file wins": (
        ["EnvironmentFile=/etc/default/shop", "Environment=PORT=1", "ExecStart=/bin/x $PORT $ARGS"],
        ["/bin/x", "8000", "--workers", "4", "--name", "a b"],
    ),
    "the later file wins": (
        [
            "EnvironmentFile=/etc/default/%p",
            "EnvironmentFile=-/etc/default/shop.late",
            "EnvironmentFile=-/none",
            "ExecStart=/bin/x $PORT",
        ],
        ["/bin/x", "9000"],
    ),
    "a pattern": (
        ["EnvironmentFile=/etc/shop.d/*.env", "ExecStart=/bin/x $A $B $PORT"],
        ["/bin/x", "1", "2", "2"],
    ),
    "no file": (["EnvironmentFile=etc/default/shop", "ExecStart=/bin/x $PORT"], ["/bin/x"]),
    "unset": (
        [
            "Environment=A=1 B=2 C=3",
            "UnsetEnvironment=A B=3 C=3",
            "ExecStart=/bin/x ${A} ${B} ${C}",
        ],
        ["/bin/x", "", "2", ""],
    ),
    "directories": (
        ["RuntimeDirectory=shop shop/%i:x", "ExecStart=/bin/x ${RUNTIME_DIRECTORY}"],
        ["/bin/x", "/run/shop:/run/shop/blue"],
    ),
    "an unreadable file that a later one overrides": (
        [
            "EnvironmentFile=/etc/secret",
            "EnvironmentFile=/etc/default/shop",
            "ExecStart=/bin/x $PORT",
        ],
        ["/bin/x", "8000"],
    ),
    "an unreadable file whose variable is unset": (
        ["EnvironmentFile=/etc/secret", "UnsetEnvironment=A", "ExecStart=/bin/x $A"],
        ["/bin/x"],
    ),
}


@pytest.mark.parametrize(("lines", "words"), WORDS.values(), ids=WORDS)
def test_what_a_unit_runs(lines: list[str], words: list[str]) -> None:
    command = found(*lines)
    assert (command.words, command.unknown, command.path) == (tuple(words), None, PATH)


UNKNOWN: dict[str, tuple[list[str], str]] = {
    "a file that may not be read": (["EnvironmentFile=-/etc/secret"], "/etc/secret cannot be read"),
    "and may override": (
        ["Environment=A=1", "EnvironmentFile=/etc/secret"],
        "/etc/secret cannot be read",
    ),
    "a file that is gone": (["EnvironmentFile=/none"], "/none is not there"),
    "a file that systemd refuses": (["EnvironmentFile=/etc/broken"], "not UTF-8"),
    "a file without end": (["EnvironmentFile=/etc/long"], "is longer than 65536"),
    "a pattern of folders": (["EnvironmentFile=-/etc/*/x"], "is a pattern"),
    "a pattern of none": (["EnvironmentFile=/etc/shop.d/*.x"], "names no files"),
    "a file of this host": (["EnvironmentFile=/etc/%H"], "a specifier of this host"),
    "a value of this host": (["Environment=A=%H"], "A has a specifier"),
    "of the service manager": (["PassEnvironment=A"], "PassEnvironment"),
}


@pytest.mark.parametrize(("lines", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_seen_is_unknown(lines: list[str], reason: str) -> None:
    command = found(*lines, "ExecStart=/bin/x one ${A} two")
    assert command.words is None
    assert command.seen == ("/bin/x", "one", None, "two")
    assert reason in str(command.unknown)
    assert found(*lines, "ExecStart=/bin/x one").words == ("/bin/x", "one")


def test_what_systemd_sets_itself_is_unknown() -> None:
    assert str(found("ExecStart=/bin/x $HOME").unknown) == "systemd sets HOME"
    assert found("Environment=HOME=/srv", "ExecStart=/bin/x $HOME").words == ("/bin/x", "/srv")


def test_no_command_and_several() -> None:
    assert str(found("Type=oneshot").unknown) == "it has no ExecStart"
    assert str(found("ExecStart=/bin/x", "ExecStart=/bin/y").unknown) == "it has 2 ExecStart"
    broken = str(found("ExecStart=/bin/x 'y").unknown)
    assert broken == "its ExecStart cannot be parsed: a quote that is not closed"
    several = unit_command.commands(
        [UnitFile(PATH, "[Service]\nExecStart=/bin/x a ; /bin/y b\n")],
        UNIT,
        partial(read, files={}),
    )
    assert [each.words for each in several] == [("/bin/x", "a"), ("/bin/y", "b")]


def test_a_file_of_the_unit_that_cannot_be_read_may_set_anything() -> None:
    files = [UnitFile(PATH, "[Service]\nExecStart=/bin/x\nEnvironment=A=1"), UnitFile("/d", None)]
    reader = partial(read, files=FILES)
    assert str(unit_command.command(files, UNIT, reader).unknown) == "/d cannot be read"
    assert str(unit_command.variables(files, UNIT, reader).unknown("A")) == "/d cannot be read"


def test_a_pattern_is_unknown_where_folders_cannot_be_listed() -> None:
    file = UnitFile(PATH, "[Service]\nEnvironmentFile=/etc/shop.d/*.env\n")
    known = unit_command.variables([file], UNIT, partial(read, files=FILES))
    assert "is a pattern" in str(known.unknown("A"))


def test_an_assignment_after_a_continued_comment_is_unknown() -> None:
    file = UnitFile(PATH, "[Service]\nEnvironmentFile=/x\n")
    known = unit_command.variables([file], UNIT, lambda path: ("# \\\nA=1\nB=2", None))
    assert "a comment that ends in a backslash" in str(known.unknown("A"))
    assert known.values == {"B": "2"}


def test_the_words_that_systemd_names_are_expanded() -> None:
    known = variables("Environment=A=1")
    assert unit_command.expand(("/bin/$A", "$A", "${B}"), known).words == ("/bin/$A", "1", "")
    assert unit_command.expand((), known).words is None


_LINE = st.text(
    st.one_of(st.sampled_from("'\"\\ ;$%{}:@-AB=/i"), st.characters(exclude_characters="\n\r\0")),
    max_size=40,
)


_KEYS = ["ExecStart", "EnvironmentFile", *("Environment", "UnsetEnvironment", "PassEnvironment")]


@given(st.lists(st.tuples(st.sampled_from(_KEYS), _LINE), max_size=5), _LINE)
def test_any_unit_is_read(lines: list[tuple[str, str]], text: str) -> None:
    """No file makes it raise, and where all is known there is no reason."""
    file = UnitFile(PATH, "[Service]\n" + "\n".join(f"{key}={value}" for key, value in lines))
    for command in unit_command.commands([file], UNIT, lambda path: (text, None), lambda f: ["x"]):
        assert (command.words is None) == (None in command.seen or not command.seen)


MANAGER = {
    "the default": ({"/etc/systemd/system.conf": "A=1"}, "1"),
    "a drop-in": (
        {"/etc/systemd/system.conf": "A=1", "/etc/systemd/system.conf.d/9.conf": "A=2"},
        "2",
    ),
    "a drop-in in another folder": (
        {
            "/etc/systemd/system.conf.d/1.conf": "A=1",
            "/usr/lib/systemd/system.conf.d/9.conf": "A=3",
        },
        "3",
    ),
    "one that hides it": (
        {
            "/etc/systemd/system.conf.d/9.conf": "A=1",
            "/usr/lib/systemd/system.conf.d/9.conf": "A=3",
        },
        "1",
    ),
    "the packages' main file": ({"/usr/lib/systemd/system.conf": "A=4"}, "4"),
    "which ours replaces": (
        {"/etc/systemd/system.conf": "B=1", "/usr/lib/systemd/system.conf": "A=4"},
        None,
    ),
    "quotes and blanks": ({"/etc/systemd/system.conf": "B=1 'A=x y'"}, "x y"),
    "a percent sign": ({"/etc/systemd/system.conf": "A=5%%"}, "5%"),
    "a specifier of the host": ({"/etc/systemd/system.conf": "A=%H"}, None),
    "reset": (
        {"/etc/systemd/system.conf": "A=1", "/etc/systemd/system.conf.d/9.conf": ""},
        None,
    ),
}


@pytest.mark.parametrize(("settings", "value"), MANAGER.values(), ids=MANAGER)
def test_the_managers_default_environment_counts(
    settings: dict[str, str], value: str | None
) -> None:
    files = {p: f"[Manager]\nDefaultEnvironment={text}\n" for p, text in settings.items()}

    def named(folder: str) -> list[str]:
        return [p.rpartition("/")[2] for p in files if p.rpartition("/")[0] == folder]

    unit = [UnitFile(PATH, "[Service]\nExecStart=/srv/app $A\n")]
    known = unit_command.variables(unit, UNIT, partial(read, files=files), named)
    assert known.values.get("A") == value
    made = unit_command.command(unit, UNIT, partial(read, files=files), named)
    if value is not None:
        assert made.words == ("/srv/app", *value.split())
    # What the unit sets itself wins, and what it takes away is gone.
    own = [UnitFile(PATH, "[Service]\nExecStart=/srv/app $A\nEnvironment=A=own\n")]
    assert unit_command.command(own, UNIT, partial(read, files=files), named).words == (
        *("/srv/app", "own"),
    )
    gone = [UnitFile(PATH, "[Service]\nExecStart=/srv/app $A\nUnsetEnvironment=A\n")]
    assert "A" not in unit_command.variables(gone, UNIT, partial(read, files=files), named).values


def test_a_file_of_the_manager_that_cannot_be_read_may_set_any_variable() -> None:
    def secret(path: str) -> tuple[str | None, Message | None]:
        secret = path.startswith("/etc/systemd/")
        return None, msg("{path} cannot be read", path=of_path(path)) if secret else None

    unit = [UnitFile(PATH, "[Service]\nExecStart=/srv/app $A $B\nEnvironment=B=1\n")]
    known = unit_command.variables(unit, UNIT, secret, lambda folder: [])
    assert str(known.unknown("A")) == "/etc/systemd/system.conf cannot be read"
    assert known.values == {"B": "1"}
