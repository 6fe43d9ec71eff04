"""systemd's words, specifiers, variables and environment files: as systemd itself reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowmem_tui.setup import unit_words
from lowmem_tui.setup.unit_words import Mode

from .systemd_library import CUNESCAPE, CUNESCAPE_RELAX, RELAX, UNQUOTE, library

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = library()
with_systemd = pytest.mark.skipif(LIBRARY is None, reason="no libsystemd-shared 252 or 253 here")

FLAGS = {
    Mode.STRICT: UNQUOTE | CUNESCAPE,
    Mode.KEEP: UNQUOTE | CUNESCAPE | CUNESCAPE_RELAX,
    Mode.LOOSE: UNQUOTE | RELAX,
}

# What src/test/test-extract-word.c of systemd has for these modes; None: refused.
WORDS: list[tuple[str, Mode, list[str] | None]] = [
    ("\"foobar\" 'waldo'", Mode.STRICT, ["foobar", "waldo"]),
    ('"', Mode.STRICT, None),
    ("'fooo", Mode.STRICT, None),
    ("'fooo", Mode.LOOSE, ["fooo"]),
    (
        'KEY=val "KEY2=val with space" "KEY3=val with \\"quotation\\""',
        Mode.STRICT,
        ["KEY=val", "KEY2=val with space", 'KEY3=val with "quotation"'],
    ),
    ("yay'foo'bar", Mode.STRICT, ["yayfoobar"]),
    ("   foobar   ", Mode.STRICT, ["foobar"]),
    (" foo\\ba\\x6ar ", Mode.STRICT, ["foo\ba\x6ar"]),
    (" foo\\ba\\x6ar ", Mode.LOOSE, ["foobax6ar"]),
    ('    f\\u00f6o "pi\\U0001F4A9le"   ', Mode.STRICT, ["föo", "pi\U0001f4a9le"]),
    ("\\xc3\\xb6", Mode.STRICT, ["ö"]),
    ("fooo\\", Mode.LOOSE, ["fooo"]),
    ("fooo\\", Mode.KEEP, ["fooo\\"]),
    ('"foo\\', Mode.KEEP, None),
    ('"foo\\', Mode.LOOSE, ["foo"]),
    ("fooo\\ bar quux", Mode.STRICT, None),
    ("fooo\\ bar quux", Mode.KEEP, ["fooo\\ bar", "quux"]),
    ("fooo\\ bar quux", Mode.LOOSE, ["fooo bar", "quux"]),
    ("\\w+@\\K[\\d.]+", Mode.KEEP, ["\\w+@\\K[\\d.]+"]),
    ("\\w+\\b", Mode.KEEP, ["\\w+\b"]),
    ("-N ''", Mode.STRICT, ["-N", ""]),
    ("\\x00", Mode.STRICT, None),
    ("\\ud800", Mode.STRICT, ["\udced\udca0\udc80"]),
    ("\\U0000fffe", Mode.STRICT, None),
    ("\\400", Mode.STRICT, None),
    ("", Mode.STRICT, []),
]


@pytest.mark.parametrize(("text", "mode", "words"), WORDS)
def test_words(text: str, mode: Mode, words: list[str] | None) -> None:
    assert _split(text, mode) == words


def _split(text: str, mode: Mode) -> list[str] | None:
    try:
        return unit_words.split(text, mode)
    except ValueError:
        return None


_UNIT_TEXT = st.text(
    st.one_of(
        st.sampled_from("'\"\\ \t\n\r;$%={}:abfnrtvsxuU0178cdF#,"),
        st.characters(exclude_characters="\0", codec="utf-8"),
    ),
    max_size=40,
)


@with_systemd
@settings(deadline=None, max_examples=500)
@given(_UNIT_TEXT, st.sampled_from(Mode))
def test_words_are_those_of_systemd(text: str, mode: Mode) -> None:
    assert LIBRARY is not None
    theirs = LIBRARY.extract(text.encode(), FLAGS[mode])
    ours = _split(text, mode)
    assert ours == (None if theirs is None else [decoded(each) for each in theirs])


def decoded(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


# What src/test/test-env-util.c has.
VALUES = {"FOO": "BAR BAR", "BAR": "waldo"}
EXPANDED = {
    "FOO$FOO": ["FOO$FOO"],
    "FOO$FOOFOO": ["FOO$FOOFOO"],
    "FOO${FOO}$FOO": ["FOOBAR BAR$FOO"],
    "FOO${FOO}": ["FOOBAR BAR"],
    "${FOO}": ["BAR BAR"],
    "$FOO": ["BAR", "BAR"],
    "$FOO$FOO": [],
    "${FOO}${BAR}": ["BAR BARwaldo"],
    "${FOO": ["${FOO"],
    "FOO$$${FOO}": ["FOO$BAR BAR"],
    "$$FOO${FOO}": ["$FOOBAR BAR"],
    "${FOO:-${BAR}}": ["${FOO:-waldo}"],
    "${QUUX:-${FOO}}": ["${QUUX:-BAR BAR}"],
    "${FOO:+|${BAR}{|}": ["${FOO:+|waldo{|}"],
    "$": [],
    "${}": [""],
}


@pytest.mark.parametrize(("word", "words"), EXPANDED.items())
def test_variables_in_words(word: str, words: list[str]) -> None:
    assert unit_words.expanded(word, VALUES) == words


@with_systemd
@settings(deadline=None, max_examples=500)
@given(
    st.lists(st.text(st.sampled_from("${}:AB$ x'\"\\"), max_size=12), max_size=3),
    st.dictionaries(st.sampled_from(["A", "B", "AB"]), _UNIT_TEXT, max_size=3),
)
def test_variables_are_those_of_systemd(words: list[str], values: dict[str, str]) -> None:
    assert LIBRARY is not None
    theirs = LIBRARY.replace_env_argv([word.encode() for word in words], values)
    ours = [each for word in words for each in unit_words.expanded(word, values)]
    assert [each.encode() for each in ours] == theirs


@given(_UNIT_TEXT)
def test_the_variables_that_a_word_needs_are_those_that_change_it(word: str) -> None:
    needed = set(unit_words.variables_of(word))
    values = {name: "1" for name in ("a", "b", "ab") if name not in needed}
    assert unit_words.expanded(word, values) == unit_words.expanded(word, {})


# What src/test/test-env-file.c has, and more.
FILES = {
    "a=a\nb=b\\\nc\nd=d\\\ne\\\nf\ng=g\\ \nh=h\ni=i\\": {
        "a": "a",
        "b": "bc",
        "d": "def",
        "g": "g ",
        "h": "h",
        "i": "i",
    },
    "a=a\\\n": {"a": "a"},
    '# Generated\n\nHWMON_MODULES="coretemp f71882fg"\n\n# For\nMODULE_0=coretemp': {
        "HWMON_MODULES": "coretemp f71882fg",
        "MODULE_0": "coretemp",
    },
    "a=\nb=": {"a": "", "b": ""},
    "export A=1\nA-B=1\n B = 2  \n": {"B": "2"},
    "A='x y' \"z\"w # no comment\n; B=1\nC=1": {"A": "x yzw # no comment", "C": "1"},
    'A=a\'b\nC="a\\"b\\n"': {"A": "a'b", "C": 'a"b\\n'},
    "A='two\nlines'\n": {"A": "two\nlines"},
    '=x"\nB=1': {"B": "1"},
}


@pytest.mark.parametrize(("text", "values"), FILES.items())
def test_environment_files(text: str, values: dict[str, str]) -> None:
    assert {name: value for name, value, _ in unit_words.environment_file(text)} == values


def test_a_comment_that_ends_in_a_backslash_makes_the_next_line_uncertain() -> None:
    """Until systemd 253 that line belongs to the comment, from 254 on it counts."""
    found = [*unit_words.environment_file("# x \\\nA=1\nB=2\n# \\\\\nC=3")]
    assert found == [("A", "1", False), ("B", "2", True), ("C", "3", True)]


@pytest.mark.parametrize("text", ["A=1\0", "A=\udcff"])
def test_an_environment_file_that_systemd_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"NUL|UTF-8"):
        list(unit_words.environment_file(text))


_FILE_TEXT = st.text(
    st.one_of(
        st.sampled_from("'\"\\\\== \t\n\n\r$`;ABn"),
        st.characters(exclude_characters="\0#", codec="utf-8"),
    ),
    max_size=40,
)


@with_systemd
@settings(
    deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=_FILE_TEXT)
def test_environment_files_are_read_as_by_systemd(tmp_path: Path, text: str) -> None:
    assert LIBRARY is not None
    if text.lstrip(unit_words.BLANK).startswith(";") or "\n;" in text or "\r;" in text:
        text = text.replace(";", "")
    (tmp_path / "file").write_bytes(text.encode())
    theirs = LIBRARY.load_env_file(str(tmp_path / "file"))
    assert theirs is not None
    expected = dict(line.decode().split("=", 1) for line in theirs)
    expected = {name: value for name, value in expected.items() if unit_words.is_name(name)}
    assert {name: value for name, value, _ in unit_words.environment_file(text)} == expected


SPECIFIED = {
    "%i": "a-b",
    "%I/%%": "a/b/%",
    "%n %N %p": "web-app@a-b.service web-app@a-b web-app",
    "%j %P %f": "app web/app /a/b",
    "%t%S%C%L%E%h": "/run/var/lib/var/cache/var/log/etc/root",
    "100% %": "100% %",
    "%-": "%-",
    "%H": None,
    "%z": None,
    "plain": "plain",
}


@pytest.mark.parametrize(("text", "made"), SPECIFIED.items())
def test_specifiers(text: str, made: str | None) -> None:
    assert unit_words.specified(text, "web-app@a-b.service") == made


@given(st.text(max_size=60), st.sampled_from(Mode))
def test_nothing_raises_but_value_error(text: str, mode: Mode) -> None:
    _split(text, mode)
    unit_words.until_broken(text)
    unit_words.specified(text, "x@\\x2d\\xff.service")
    unit_words.expanded(text, {"a": text})
    try:
        list(unit_words.environment_file(text))
    except ValueError as error:
        assert str(error) in {"a NUL character", "not UTF-8"}
