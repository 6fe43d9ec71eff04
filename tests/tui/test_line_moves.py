"""Lines that have changed places are moved by the terminal, and the picture is right afterwards."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from lowmem_tui.tui.terminal import line_moves
from lowmem_tui.tui.terminal.line_moves import Move
from lowmem_tui.tui.terminal.paint import Painter
from tests.tui.test_terminal import screen

CASES = {
    "one more at the top": ("abcdef", "xabcde", [Move(0, 5, 1)]),
    "the first has gone": ("abcdef", "bcdefx", [Move(0, 5, -1)]),
    "the first is the last now": ("abcdefgh", "bcdefagh", [Move(0, 5, -1)]),
    "the last is the first now": ("abcdefgh", "abgcdefh", [Move(2, 6, 1)]),
    "two more, and further down one less": (
        "abcdefghij",
        "axybcdeghi",
        [Move(1, 9, 2), Move(7, 9, -1)],
    ),
    "figures changed on the way": ("abcdef", "xaBcde", [Move(0, 5, 1)]),
    "two changed places": ("abcdef", "acbdef", []),
    "nothing moved": ("abcdef", "aBcDeF", []),
    "all are new": ("abcdef", "uvwxyz", []),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_moves(old: str, new: str, expected: list[Move]) -> None:
    assert line_moves.find(old, new, ".")[0] == expected


@given(st.text("abcdefg.", min_size=1, max_size=14), st.data())
def test_what_is_reported_to_be_there_is_there_and_never_less_is_right(
    old: str, data: st.DataObject
) -> None:
    new = data.draw(st.text("abcdefg.", min_size=len(old), max_size=len(old)))
    found, after = line_moves.find(old, new, ".")
    assert reduce(lambda lines, move: move.apply(lines, "."), found, list(old)) == after
    right = [sum(a == b for a, b in zip(lines, new, strict=True)) for lines in (old, after)]
    assert right[1] >= right[0] + 2 * len(found)


ROWS = st.lists(st.sampled_from(["", *(f"unit-{n:02} {n * 7 % 10}M" for n in range(16))]))


@given(st.lists(ROWS, min_size=2, max_size=5))
@example([["", "unit-01 7M", "unit-00 0M"], ["unit-00 0M"]])  # what stays was moved away
def test_a_terminal_shows_the_last_frame(frames: list[list[str]]) -> None:
    painter, sent = Painter(), ""
    for number, frame in enumerate(frames):
        # Its own number, so that the last line of a frame is never blank.
        rows = [*(frame + [""] * 12)[:12], f"frame {number}"]
        lines = {y: Strip([Segment(row.ljust(20))]) for y, row in enumerate(rows)}
        spans = [(y, 0, 20) for y in lines]
        update = painter.trim(ChopsUpdate([{0: strip} for strip in lines.values()], spans, [[20]]))
        assert isinstance(update, ChopsUpdate)
        sent += update.render_segments(Console(color_system="256"))
    shown = [row.rstrip() for row in screen(sent.encode())]
    assert shown == [row.rstrip() for row in rows]


def test_a_row_that_goes_up_costs_itself_and_a_move() -> None:
    painter, console = Painter(), Console(color_system="256")

    def frame(rows: list[str]) -> str:
        strips: list[dict[int, Strip | None]] = [{0: Strip([Segment(row)])} for row in rows]
        spans = [(y, 0, 9) for y in range(len(rows))]
        update = painter.trim(ChopsUpdate(strips, spans, [[9]]))
        assert isinstance(update, ChopsUpdate)
        return update.render_segments(console)

    rows = [f"unit-{n:03} " for n in range(0, 700, 37)]
    frame(rows)
    assert frame([rows[0], rows[9], *rows[1:9], *rows[10:]]) == (
        f"\x1b[2;10r\x1b[2H\x1b[L\x1b[r\x1b[2;1H{rows[9].rstrip()}"
    )
