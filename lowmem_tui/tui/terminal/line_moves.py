"""Lines that have changed places: the terminal moves them itself, as curses has it do.

One row more at the top of the table, and all below it are one line further down. Each would be sent
again; to insert a line takes a dozen bytes. Every terminal since the VT102 can: the region that
scrolls (DECSTBM), lines inserted in it (IL) and deleted (DL).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

FURTHEST = 10
"""Lines by which others are moved at once, at the most."""

WORTH = 2
"""Lines that must be in their place afterwards and were not before: one is as cheap to send."""


class Move(NamedTuple):
    """Lines ``first`` to ``last`` go down by ``by``, or up if it is negative; the rest stays.

    What goes beyond an end is lost, and the other end is blank then.
    """

    first: int
    last: int
    by: int

    def apply(self, lines: Sequence[T], blank: T) -> list[T]:
        """Return what is there afterwards."""
        before, moving = list(lines), list(lines[self.first : self.last + 1])
        gap = [blank] * abs(self.by)
        after = gap + moving[: -self.by] if self.by > 0 else moving[-self.by :] + gap
        return before[: self.first] + after + before[self.last + 1 :]

    def render(self, top: int) -> str:
        """Return what makes a terminal do so; ``top`` is the line that 0 stands for, from 0 on."""
        first, last, count = top + self.first + 1, top + self.last + 1, abs(self.by)
        number = str(count) if count > 1 else ""
        return f"\x1b[{first};{last}r\x1b[{first}H\x1b[{number}{'L' if self.by > 0 else 'M'}"


EVERYWHERE = "\x1b[r"
"""The whole screen scrolls again; to be sent after the last move."""


def find(old: Sequence[T], new: Sequence[T], blank: T) -> tuple[list[Move], list[T]]:
    """Return moves that bring lines to their new places, and what is there after them."""
    lines, moves = list(old), list[Move]()
    for at in range(len(new)):
        if lines[at] == new[at] or new[at] == blank:
            continue
        best, gain = None, WORTH - 1
        for move in _candidates(lines, new, at):
            after = move.apply(lines, blank)
            places = range(move.first, move.last + 1)
            better = sum((after[i] == new[i]) - (lines[i] == new[i]) for i in places)
            if better > gain:
                best, gain, result = move, better, after
        if best is not None:
            moves.append(best)
            lines = result
    return moves, lines


def _candidates(lines: list[T], new: Sequence[T], at: int) -> Iterator[Move]:
    """Yield moves that could mend the line at this place: to the end, or to where all is right."""
    last = len(new) - 1
    for ahead, other, sign in ((lines, new[at], -1), (new, lines[at], 1)):
        reach = range(at + 1, min(at + FURTHEST, last) + 1)
        by = next((place - at for place in reach if ahead[place] == other), 0)
        if by:
            yield Move(at, last, sign * by)
            right = next((i for i in range(at + by, last + 1) if lines[i] == new[i]), 0)
            if right - 1 > at + by:
                yield Move(at, right - 1, sign * by)
