"""What of Textual's frames goes to the terminal: only the cells that differ from those there.

Textual sends a changed line again from the widget's left edge up to the last changed cell (8.2,
``ChopsUpdate.render_segments``). Over a slow line that is what the operator waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from lowmem_tui.tui.terminal import line_moves
from lowmem_tui.tui.terminal.canvas import UNKNOWN, Canvas, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType
    from rich.style import Style

MANY = 4
"""Changed lines from which on it is worth looking whether some have only moved."""


def forget_regions() -> None:
    """Empty what Textual keeps of the regions it has cut, thousands of them at the most.

    Which lines change is another set at each tick, so that hardly any comes twice; without this
    the program grows for an hour (docs/performance.md).
    """
    Region.intersection.cache_clear()
    Region.overlaps.cache_clear()


class Painter:
    """Has Textual's frames painted on a canvas, which knows what the terminal shows already."""

    def __init__(self, canvas: Canvas | None = None) -> None:
        self.canvas = canvas or Canvas()
        self._styles: dict[str, str] = {}

    def forget(self) -> None:
        """Take nothing for granted any more: the next full frame is sent whole."""
        self.canvas.forget()

    def trim(self, renderable: RenderableType | None) -> RenderableType | None:
        """Return an update that sends less and shows the same."""
        if isinstance(renderable, ChopsUpdate):
            return Difference(self, renderable)
        if isinstance(renderable, LayoutUpdate):
            return Whole(self, renderable)
        if renderable is not None:
            self.forget()
        return renderable

    def difference(
        self, lines: Iterable[tuple[int, int, int, Iterable[tuple[int, Strip]]]], console: Console
    ) -> str:
        """Return what turns the terminal's picture into the new one, and remember that.

        Each line is (y, x1, x2, strips with their x): only what lies within the span is taken.
        """
        system = console._color_system or ColorSystem.TRUECOLOR  # noqa: SLF001 - as Strip.render
        shown = self.canvas.shown
        text: list[str] = []
        changed: dict[int, Row] = {}
        for y, x1, x2, strips in lines:
            new = changed.get(y) or shown.get(y, Row())
            for x, strip in strips:
                if x < x2 and x + strip.cell_length > x1:
                    new = _put(new, self._row(strip, system), x, x1, x2)
            if new != shown.get(y, Row()):
                changed[y] = new
        if len(changed) >= MANY:
            self._move(text, changed)
        return "".join(text + self.canvas.send(changed))

    def _move(self, out: list[str], changed: dict[int, Row]) -> None:
        """Let the terminal move lines that have only changed places."""
        shown = self.canvas.shown
        first, last = min(changed), max(changed)
        old = [shown.get(y, Row()) for y in range(first, last + 1)]
        width = len(old[0].text)
        if any(len(row.text) != width or UNKNOWN in row.text for row in old):
            return
        new = [changed.get(y, row) for y, row in enumerate(old, first)]
        found, after = line_moves.find(old, new, Row(" " * width, chr(0) * width))
        out += [move.render(first) for move in found]
        if found:
            out.append(line_moves.EVERYWHERE)
            shown.update(enumerate(after, first))
            # A line that was to stay as it is may have been moved away.
            for y, row in enumerate(new, first):
                changed.setdefault(y, row)

    def _row(self, strip: Strip, system: ColorSystem) -> Row:
        parts = ((text, self._sgr(style, system)) for text, style, control in strip if not control)
        return self.canvas.row(parts)

    def _sgr(self, style: Style | None, system: ColorSystem) -> str:
        whole = Strip.render_ansi(style, system) if style else ""
        sgr = self._styles.get(whole)
        if sgr is None:
            sgr = self._styles[whole] = _without_defaults(whole)
        return sgr


def _without_defaults(sgr: str) -> str:
    """Return the parameters without the default colours: a reset goes before each style."""
    numbers = sgr.split(";")
    if {"38", "48"} & set(numbers):
        return sgr
    return ";".join(number for number in numbers if number not in {"39", "49"})


def _put(row: Row, new: Row, x: int, x1: int, x2: int) -> Row:
    """Return a row with new cells in it, as far as they lie within a span."""
    end = x + len(new.text)
    start, stop = max(x, x1), min(end, x2)
    if start == 0 and stop >= len(row.text):
        return Row(new.text[:stop], new.styles[:stop]) if stop < end else new
    gap = start - len(row.text)
    text, styles = row
    if gap > 0:
        text, styles = text + UNKNOWN * gap, styles + chr(0) * gap
    return Row(
        text[:start] + new.text[start - x : stop - x] + text[stop:],
        styles[:start] + new.styles[start - x : stop - x] + styles[stop:],
    )


class Difference(ChopsUpdate):
    """A partial update."""

    def __init__(self, painter: Painter, update: ChopsUpdate) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._painter = painter

    def render_segments(self, console: Console) -> str:
        """Return the raw data; called only when it is really sent."""
        return self._painter.difference(
            (
                (y, x1, x2, [(x, strip) for x, strip in self.chops[y].items() if strip])
                for y, x1, x2 in self.spans
            ),
            console,
        )


class Whole(LayoutUpdate):
    """A full update: whole only where the terminal's picture is not known."""

    def __init__(self, painter: Painter, update: LayoutUpdate) -> None:
        super().__init__(update.strips, update.region)
        self._painter = painter

    def render_segments(self, console: Console) -> str:
        """Return the raw data; called only when it is really sent."""
        return self._painter.difference(self._lines(), console)

    def _lines(self) -> Iterator[tuple[int, int, int, list[tuple[int, Strip]]]]:
        left, top, width, _ = self.region
        for y, strips in enumerate(self.strips, top):
            placed, x = [], left
            for strip in strips:
                if strip:
                    placed.append((x, strip))
                    x += strip.cell_length
            yield y, left, left + width, placed
