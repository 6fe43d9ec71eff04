"""The lines of the table, for whoever shows them: Textual, the first frame, `list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from lowmem_tui.model.cells import cells, fit, fit_right, wrap
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import Message
from lowmem_tui.tui.table.columns import BY_KEY, NAME
from lowmem_tui.tui.table.marks import NO_MARKS
from lowmem_tui.tui.table.rows import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lowmem_tui.tui.table.columns import Place
    from lowmem_tui.tui.table.marks import Marks
    from lowmem_tui.tui.table.rows import Row, View
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.looks import Palette

S = TypeVar("S")

GUTTER = 3
"""Cells before a unit's name: its marks."""

NOTED = "restart"
"""The column that a note takes the place of."""


class Extent(NamedTuple):
    """Which part of the rows is visible, and what else the heading tells."""

    above: int = 0
    below: int = 0
    """Rows above and below the visible ones."""
    tagged: int = 0

    @property
    def notes(self) -> list[str]:
        """What is not visible."""
        notes = []
        if self.tagged:
            notes.append(tr("{n} tagged", n=self.tagged))
        if self.above > 0:
            notes.append(tr("{n} above", n=self.above))
        if self.below > 0:
            notes.append(tr("{n} below", n=self.below))
        return notes


class Drawing(Generic[S]):
    """Makes the lines of one width."""

    def __init__(self, places: Sequence[Place], glyphs: Glyphs, palette: Palette[S]) -> None:
        self._places, self._glyphs, self._palette = places, glyphs, palette
        self._noted = any(place.column.key == NOTED for place in places)
        self._cells = {kind: [_source(place, kind) for place in places[1:]] for kind in Kind}

    def heading(self, view: View, extent: Extent) -> list[tuple[str, S]]:
        """Return the titles of the columns, and how the table is sorted and cut."""
        arrow = self._glyphs.down if view.descending else self._glyphs.up
        titles = {view.sort: say(Message(BY_KEY[view.sort].title)) + arrow}
        name = titles.get(NAME.key, say(Message(NAME.title)))
        if notes := extent.notes:
            name = tr("{title} ({count})", title=name, count=spaced(tr(",")).join(notes))
        if view.filter:
            name += " " + tr("with '{filter}'", filter=view.filter)
        return self.titles({**titles, NAME.key: name})

    def titles(self, other: Mapping[str, str]) -> list[tuple[str, S]]:
        """Return the titles of the columns; those that have another one are named by their key."""
        more = self._glyphs.more
        texts = (
            _cell(other.get(c.key) or say(Message(c.title)), width, c.left, more)
            for c, _, width in self._places
        )
        return [("".join(texts), self._palette.header)]

    def row(self, row: Row, marks: Marks, *, cursor: bool) -> list[tuple[str, S]]:
        """Return the line of a row."""
        base = self._base(row)
        glyphs, palette, more = self._glyphs, self._palette, self._glyphs.more
        parts = self._named(row, marks, base)
        of = row.of
        for read, write, style, width, left, noted in self._cells[row.kind]:
            if noted and marks.note:
                parts.append((_cell(marks.note, width, left, more), palette.bad))
                continue
            if read is None:
                parts.append((" " * width, base))
                continue
            value = read(of)
            text = _cell(write(value, glyphs, width - 1), width, left, more)
            coloured = style(value, palette) if style and value is not None else None
            parts.append((text, coloured or base))
        return _merge(parts, palette.cursor if cursor else None)

    def rest(self, height: int, why: str) -> list[list[tuple[str, S]]]:
        """Return the lines below the last row: blank, or why there is no row."""
        width = self._places[-1].x + self._places[-1].width
        words = wrap(why, max(width - 2, 1), whole=False) if why else ()
        texts = [*(f" {line}" for line in words), *[""] * height][: max(0, height)]
        return [[(fit(text, width), self._palette.strong)] for text in texts]

    def _base(self, row: Row) -> S:
        if row.kind is Kind.GROUP and not row.depth:
            return self._palette.group
        return self._palette.plain

    def _named(self, row: Row, marks: Marks, base: S) -> list[tuple[str, S]]:
        more, width = self._glyphs.more, self._places[0].width
        if row.kind is Kind.GROUP:
            arrow = self._glyphs.closed if row.folded else self._glyphs.open
            return [(fit(f"{'':{row.depth * 2}} {arrow} {row.name}", width, more), base)]
        if row.kind is Kind.PROCESS:
            return [(fit(f"{'':5}{row.name}", width, more), base)]
        if marks is NO_MARKS:
            return [(fit(f"{'':{GUTTER}}{row.name}", width, more), base)]
        tag = self._glyphs.tag if marks.tagged else " "
        gutter = tag + ("*" if marks.staged else " ") + ("!" if marks.differs else " ")
        # Where there is no column that could say it, the name makes room.
        note = f" {marks.note}" if marks.note and not self._noted else ""
        return [
            (gutter, self._palette.mark),
            (
                fit(row.name, width - GUTTER - cells(note), more),
                self._palette.mark if marks.tagged else base,
            ),
            (note, self._palette.bad),
        ]


class Cell(NamedTuple):
    """A column's part in the rows of one kind."""

    read: Callable[[Any], Any] | None
    write: Callable[[Any, Glyphs, int], str]
    style: Callable[[Any, Palette[Any]], Any] | None
    width: int
    left: bool
    noted: bool


def _source(place: Place, kind: Kind) -> Cell:
    column = place.column
    read: dict[Kind, Callable[[Any], Any] | None] = {
        Kind.UNIT: column.unit,
        Kind.PROCESS: column.process,
        Kind.GROUP: column.group,
    }
    return Cell(
        read[kind], column.text, column.style, place.width, column.left, column.key == NOTED
    )


def _cell(text: str, width: int, left: bool, more: str) -> str:
    """Return a cell with a blank before it."""
    room = width - 1
    if left:
        return " " + fit(text, room, more)
    return " " + fit_right(text, room, more)


def _merge(parts: Iterable[tuple[str, S]], over: S | None) -> list[tuple[str, S]]:
    """Return a line with neighbours of one style joined: fewer pieces to compare and to draw."""
    if over is not None:
        return [("".join([text for text, _ in parts]), over)]
    line: list[tuple[str, S]] = []
    texts: list[str] = []
    style: S | None = None
    for text, its in parts:
        if its is not style and text:
            if style is not None:
                line.append(("".join(texts), style))
            texts, style = [], its
        texts.append(text)
    if style is not None:
        line.append(("".join(texts), style))
    return line
