"""systemd's unit file syntax, and which file wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import Standing, UnitFile
from lowmem_tui.model.unit import Key
from lowmem_tui.model.unitfile import (
    Assignment,
    assignments,
    decisive,
    section_of,
    sources,
    winning,
)

SYNTAX: dict[str, tuple[str, list[tuple[str, str, str, int]]]] = {
    "plain": ("[Service]\nA=1\n", [("Service", "A", "1", 2)]),
    "no line end at the end": ("[S]\nA=1", [("S", "A", "1", 2)]),
    "spaces around": ("  [S]  \n\tA \t=  1 2  \n", [("S", "A", "1 2", 2)]),
    "comments": ("#a\n[S]\n ; A=1\n\t#A=2\nA=3#4\n", [("S", "A", "3#4", 5)]),
    "repeated": ("[S]\nA=1\nA=2\n", [("S", "A", "1", 2), ("S", "A", "2", 3)]),
    "empty": ("[S]\nA=\n", [("S", "A", "", 2)]),
    "equals in the value": ("[S]\nA=b=c\n", [("S", "A", "b=c", 2)]),
    "continuation": ("[S]\nA=1\\\n 2\nB=3\n", [("S", "A", "1  2", 3), ("S", "B", "3", 4)]),
    "comment in a continuation": ("[S]\nA=1\\\n# x \\\n; y\n2\n", [("S", "A", "1 2", 5)]),
    "continuation ended by an empty line": (
        "[S]\nA=1\\\n\nB=2\n",
        [("S", "A", "1", 3), ("S", "B", "2", 4)],
    ),
    "continuation at the end of the file": ("[S]\nA=1\\", [("S", "A", "1", 3)]),
    "escaped backslash is none": (
        "[S]\nA=1\\\\\nB=2\n",
        [("S", "A", "1\\\\", 2), ("S", "B", "2", 3)],
    ),
    "continued key": ("[S]\nA\\\n=1\n", [("S", "A", "1", 3)]),
    "byte order mark": ("\ufeff[S]\nA=1\n", [("S", "A", "1", 2)]),
    "CR LF": ("[S]\r\nA=1\r\n", [("S", "A", "1", 2)]),
    "lone CR": ("[S]\rA=1\r", [("S", "A", "1", 2)]),
    "NUL ends a line": ("[S]\0A=1\0", [("S", "A", "1", 2)]),
    "outside of a section": ("A=1\n[S]\nB=2\n", [("S", "B", "2", 3)]),
    "no equals sign": ("[S]\nA\nB=2\n", [("S", "B", "2", 3)]),
    "no key": ("[S]\n=1\nB=2\n", [("S", "B", "2", 3)]),
    "several sections": ("[S]\nA=1\n[T]\nA=2\n", [("S", "A", "1", 2), ("T", "A", "2", 4)]),
    "broken header stops it": ("[S]\nA=1\n[T\nA=2\n", [("S", "A", "1", 2)]),
    "unsafe header stops it": ('[S]\nA=1\n["T"]\nA=2\n', [("S", "A", "1", 2)]),
    "not UTF-8 stops it": ("[S]\nA=1\nB=\udcff\nC=2\n", [("S", "A", "1", 2)]),
    "not UTF-8 in a comment does not": ("[S]\n# \udcff\nA=1\n", [("S", "A", "1", 3)]),
    "too long a line stops it": (
        "[S]\nA=1\nB=" + "x" * (1 << 20) + "\nC=1\n",
        [("S", "A", "1", 2)],
    ),
    "keys as they are written": ("[S]\nmemorymax=1\n", [("S", "memorymax", "1", 2)]),
    "nothing": ("", []),
}


@pytest.mark.parametrize(("text", "found"), SYNTAX.values(), ids=SYNTAX)
def test_assignments(text: str, found: list[tuple[str, str, str, int]]) -> None:
    assert assignments(text) == [Assignment(*row) for row in found]


@given(st.text(st.one_of(st.characters(), st.sampled_from("[]=#;\\\n\r\0 \t\ufeffAB"))))
def test_any_text_is_read(text: str) -> None:
    for found in assignments(text):
        assert found.section
        assert "\n" not in found.key + found.value


def test_a_long_continuation_is_read_in_no_time() -> None:
    assert len(assignments("[S]\n" + "A=\\\n" * 200_000)) == 1


@given(st.lists(st.tuples(st.sampled_from("AB"), st.text("ab 1=", max_size=5))))
def test_what_is_written_is_read_back(rows: list[tuple[str, str]]) -> None:
    text = "[S]\n" + "".join(f"{key}={value}\n" for key, value in rows)
    assert [(a.key, a.value) for a in assignments(text)] == [(k, v.strip()) for k, v in rows]


@pytest.mark.parametrize(
    ("unit", "section"),
    [
        ("a.service", "Service"),
        ("a@b.service", "Service"),
        ("session-1.scope", "Scope"),
        ("system.slice", "Slice"),
        ("a.socket", "Socket"),
        ("srv.mount", "Mount"),
        ("dev-sda.swap", "Swap"),
        ("a.timer", None),
        ("a.target", None),
        ("docker/abc", None),
    ],
)
def test_the_section_of_a_unit(unit: str, section: str | None) -> None:
    assert section_of(unit) == section


def service(*files: str | None) -> list[UnitFile]:
    return [
        UnitFile(f"/{n}", None if text is None else f"[Service]\n{text}\n")
        for n, text in enumerate(files)
    ]


MAX, HIGH, SCORE = Key.MEMORY_MAX, Key.MEMORY_HIGH, Key.OOM_SCORE_ADJUST
RESTART, SEC, POLICY = Key.RESTART, Key.RESTART_SEC, Key.OOM_POLICY

WINS: dict[str, tuple[Key, list[str | None], tuple[str, str] | None]] = {
    "no file sets it": (MAX, ["Type=simple"], None),
    "the only one": (MAX, ["MemoryMax=1G"], ("/0", "1G")),
    "the last file": (MAX, ["MemoryMax=1G", "MemoryMax=2G"], ("/1", "2G")),
    "the last line": (MAX, ["MemoryMax=1G\nMemoryMax=2G"], ("/0", "2G")),
    "a refused value does not": (MAX, ["MemoryMax=1G", "MemoryMax=banana"], ("/0", "1G")),
    "zero is refused": (MAX, ["MemoryMax=1G", "MemoryMax=0"], ("/0", "1G")),
    "an empty limit resets": (MAX, ["MemoryMax=1G", "MemoryMax="], ("/1", "")),
    "out of range is refused": (SCORE, ["OOMScoreAdjust=5\nOOMScoreAdjust=5000"], ("/0", "5")),
    "an empty score resets": (SCORE, ["OOMScoreAdjust=5", "OOMScoreAdjust="], ("/1", "")),
    "an empty Restart is refused": (RESTART, ["Restart=always", "Restart="], ("/0", "always")),
    "an empty RestartSec is refused": (SEC, ["RestartSec=3", "RestartSec="], ("/0", "3")),
    "an empty OOMPolicy is refused": (POLICY, ["OOMPolicy=kill", "OOMPolicy="], ("/0", "kill")),
    "another section is not asked": (MAX, ["MemoryMax=1G\n[Slice]\nMemoryMax=2G"], ("/0", "1G")),
    "another case is another key": (MAX, ["memorymax=1G"], None),
    "an unreadable file": (MAX, ["MemoryMax=1G", None], ("/0", "1G")),
    "the old name alone": (MAX, ["MemoryLimit=1G"], ("/0", "1G")),
    "the old name beside a new one": (MAX, ["MemoryMax=2G", "MemoryLimit=1G"], ("/0", "2G")),
    "the old name beside another limit": (MAX, ["MemoryLimit=1G\nMemoryHigh=1G"], None),
    "the old name beside infinity": (MAX, ["MemoryMax=infinity", "MemoryLimit=1G"], ("/1", "1G")),
    "the old name is no MemoryHigh": (HIGH, ["MemoryLimit=1G"], None),
}


@pytest.mark.parametrize(("key", "files", "wins"), WINS.values(), ids=WINS)
def test_what_wins(key: Key, files: list[str | None], wins: tuple[str, str] | None) -> None:
    winner = winning(service(*files), "Service", key)
    assert (winner and (winner.path, winner.value)) == wins


DECIDES, OVERRIDDEN, IGNORED = Standing.DECIDES, Standing.OVERRIDDEN, Standing.IGNORED
UNKNOWN = Standing.UNKNOWN

SOURCES: dict[str, tuple[Key, list[str | None], list[tuple[str, str, Standing]]]] = {
    "no file sets it": (MAX, ["Type=simple", ""], []),
    "the fragment alone": (MAX, ["MemoryMax=1G"], [("/0:2", "MemoryMax=1G", DECIDES)]),
    "several drop-ins, in their order": (
        MAX,
        ["MemoryMax=1G", "", "MemoryMax=2G", "MemoryMax=1G"],
        [
            ("/0:2", "MemoryMax=1G", OVERRIDDEN),
            ("/2:2", "MemoryMax=2G", OVERRIDDEN),
            ("/3:2", "MemoryMax=1G", DECIDES),
        ],
    ),
    "twice in one file": (
        SCORE,
        ["OOMScoreAdjust=5\nOOMScoreAdjust=6"],
        [("/0:2", "OOMScoreAdjust=5", OVERRIDDEN), ("/0:3", "OOMScoreAdjust=6", DECIDES)],
    ),
    "a reset by an empty assignment": (
        MAX,
        ["MemoryMax=1G", "MemoryMax="],
        [("/0:2", "MemoryMax=1G", OVERRIDDEN), ("/1:2", "MemoryMax=", DECIDES)],
    ),
    "an empty assignment that resets nothing": (
        RESTART,
        ["Restart=always", "Restart="],
        [("/0:2", "Restart=always", DECIDES), ("/1:2", "Restart=", IGNORED)],
    ),
    "a value that systemd does not accept": (
        MAX,
        ["MemoryMax=banana"],
        [("/0:2", "MemoryMax=banana", IGNORED)],
    ),
    "the old name, no newer setting": (
        MAX,
        ["MemoryMax=infinity", "MemoryLimit=1G"],
        [("/0:2", "MemoryMax=infinity", OVERRIDDEN), ("/1:2", "MemoryLimit=1G", DECIDES)],
    ),
    "the old name, and a newer one before it": (
        MAX,
        ["MemoryMax=2G", "MemoryLimit=1G"],
        [("/0:2", "MemoryMax=2G", DECIDES), ("/1:2", "MemoryLimit=1G", OVERRIDDEN)],
    ),
    "the old name, and another limit": (
        MAX,
        ["MemoryLimit=1G\nMemoryHigh=1G"],
        [("/0:2", "MemoryLimit=1G", OVERRIDDEN)],
    ),
    "other settings are not listed": (
        HIGH,
        ["MemoryMax=1G\nMemoryHigh=1G\nMemoryLimit=2G"],
        [("/0:3", "MemoryHigh=1G", DECIDES)],
    ),
    "an unreadable file before it": (
        MAX,
        [None, "MemoryMax=1G"],
        [("/1:2", "MemoryMax=1G", DECIDES)],
    ),
    "an unreadable file after it": (
        MAX,
        ["MemoryMax=2G", "MemoryMax=1G", None],
        [("/0:2", "MemoryMax=2G", OVERRIDDEN), ("/1:2", "MemoryMax=1G", UNKNOWN)],
    ),
    "unreadable files alone": (MAX, [None, None], []),
}


@pytest.mark.parametrize(("key", "files", "found"), SOURCES.values(), ids=SOURCES)
def test_every_place_that_sets_a_setting(
    key: Key, files: list[str | None], found: list[tuple[str, str, Standing]]
) -> None:
    listed = sources(service(*files), "Service", key)
    assert [(f"{s.path}:{s.line}", f"{s.key}={s.value}", s.standing) for s in listed] == found


def test_files_that_are_not_read_come_first_and_never_decide() -> None:
    (hidden,) = service("MemoryMax=3G")
    read = service("", "MemoryMax=1G")[1:]
    listed = sources(read, "Service", MAX, (hidden,))
    assert [(s.value, s.standing) for s in listed] == [("3G", Standing.NOT_READ), ("1G", DECIDES)]
    assert sources((), "Service", MAX, (hidden,))[0].standing is Standing.NOT_READ


LINE = st.sampled_from(
    [
        "MemoryMax=1G",
        "MemoryMax=",
        "MemoryMax=x",
        "MemoryLimit=2G",
        "MemoryHigh=1G",
        "Restart=no",
        "",
    ]
)


@given(st.lists(st.none() | st.lists(LINE, max_size=4).map("\n".join), max_size=5))
def test_what_decides_is_what_wins(files: list[str | None]) -> None:
    listed, winner = (
        sources(service(*files), "Service", MAX),
        winning(service(*files), "Service", MAX),
    )
    found = decisive(listed)
    assert (found and (found.path, found.line, found.key, found.value)) == (
        winner and (winner.path, winner.assignment.line, winner.assignment.key, winner.value)
    )
    assert sum(s.decides for s in listed) == (winner is not None)
    assert [(s.path, s.line) for s in listed] == sorted((s.path, s.line) for s in listed)
