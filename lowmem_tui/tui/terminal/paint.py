"""What goes to the terminal: only the cells that differ from those already there, as curses does.

Textual sends a changed line again from the widget's left edge up to the last changed cell (8.2,
``ChopsUpdate.render_segments``). Over a slow line that is what the operator waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from lowmem_tui.tui.terminal import line_moves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console, RenderableType
    from rich.style import Style

NEAR = 5
"""Cells less than which are cheaper to send again than to jump over: that takes five bytes."""

MANY = 4
"""Changed lines from which on it is worth looking whether some have only moved."""

HALF = "\0"
"""The cell that the right half of a wide character takes."""

UNKNOWN = "\1"
"""A cell that differs from every other: what stands there is not known."""

OBEYED = "·"
"""Stands for what a terminal would obey: nothing of the kind should come this far."""

SIMPLE = frozenset(map(chr, range(32, 127))) | frozenset("█▏▎▍▌▋▊▉░▕·—…▾▸▼▲•×")
"""One cell wide and harmless: no need to ask."""


def forget_regions() -> None:
    """Empty what Textual keeps of the regions it has cut, thousands of them at the most.

    Which lines change is another set at each tick, so that hardly any comes twice; without this
    the program grows for an hour (docs/performance.md).
    """
    Region.intersection.cache_clear()
    Region.overlaps.cache_clear()


class Row(NamedTuple):
    """Some cells of a line: a character for each, and one that stands for its style."""

    text: str = ""
    styles: str = ""


class Painter:
    """Knows what the terminal shows, because everything sent passes through here.

    ``translate`` gives the characters that this terminal can show for those that it cannot.
    """

    def __init__(self, translate: Callable[[str], str] | None = None) -> None:
        self._translate = translate
        self._shown: dict[int, Row] = {}
        self._sgr = [""]
        """Each style's SGR parameters, by the number of the character that stands for it."""
        self._codes = {"": chr(0)}

    def forget(self) -> None:
        """Take nothing for granted any more: the next full frame is sent whole."""
        self._shown.clear()

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
        text: list[str] = []
        changed: dict[int, Row] = {}
        for y, x1, x2, strips in lines:
            new = changed.get(y) or self._shown.get(y, Row())
            for x, strip in strips:
                if x < x2 and x + strip.cell_length > x1:
                    new = _put(new, self._row(strip, system), x, x1, x2)
            if new != self._shown.get(y, Row()):
                changed[y] = new
        if len(changed) >= MANY:
            self._move(text, changed)
        for y, new in changed.items():
            old = self._shown.get(y, Row())
            self._shown[y] = new
            at = f"{y + 1};"
            for start, end in _runs(old, new):
                # The column is absolute each time: a terminal that draws a character wider than
                # we think gets no chance to carry its mistake along.
                text.append(f"\x1b[{at}{start + 1}{'H' if at else 'G'}")
                self._write(text, new, start, end)
                at = ""
        return "".join(text)

    def _move(self, out: list[str], changed: dict[int, Row]) -> None:
        """Let the terminal move lines that have only changed places."""
        first, last = min(changed), max(changed)
        old = [self._shown.get(y, Row()) for y in range(first, last + 1)]
        width = len(old[0].text)
        if any(len(row.text) != width or UNKNOWN in row.text for row in old):
            return
        new = [changed.get(y, row) for y, row in enumerate(old, first)]
        found, after = line_moves.find(old, new, Row(" " * width, chr(0) * width))
        out += [move.render(first) for move in found]
        if found:
            out.append(line_moves.EVERYWHERE)
            self._shown.update(enumerate(after, first))
            # A line that was to stay as it is may have been moved away.
            for y, row in enumerate(new, first):
                changed.setdefault(y, row)

    def _write(self, out: list[str], row: Row, start: int, end: int) -> None:
        sgr = ""
        while start < end:
            style = row.styles[start]
            stop = start + 1
            while stop < end and row.styles[stop] == style:
                stop += 1
            if (wanted := self._sgr[ord(style)]) != sgr:
                out.append(f"\x1b[0;{wanted}m" if wanted and sgr else f"\x1b[{wanted}m")
                sgr = wanted
            out.append(row.text[start:stop].replace(HALF, ""))
            start = stop
        if sgr:
            out.append("\x1b[m")

    def _row(self, strip: Strip, system: ColorSystem) -> Row:
        texts: list[str] = []
        styles: list[str] = []
        for text, style, control in strip:
            if control:
                continue
            cells = text
            if not (text.isascii() and text.isprintable()) and (
                self._translate or not SIMPLE.issuperset(text)
            ):
                cells = "".join(map(self._cell, text))
            texts.append(cells)
            styles.append(self._code(style, system) * len(cells))
        return Row("".join(texts), "".join(styles))

    def _code(self, style: Style | None, system: ColorSystem) -> str:
        sgr = Strip.render_ansi(style, system) if style else ""
        code = self._codes.get(sgr)
        if code is None:
            code = self._codes[sgr] = chr(len(self._sgr))
            self._sgr.append(_without_defaults(sgr))
        return code

    def _cell(self, character: str) -> str:
        """Return a character with as many cells after it as it is wide."""
        width = get_character_cell_size(character)
        if not width:
            return ""
        shown = character if character.isprintable() else OBEYED
        if self._translate:
            shown = self._translate(shown)[:1]
            if shown != character:
                return shown * width
        return shown + HALF * (width - 1)


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


def _runs(old: Row, new: Row) -> list[tuple[int, int]]:
    """Return where two rows differ; what lies close together is one run."""
    common = min(len(old.text), len(new.text))
    runs: list[tuple[int, int]] = []
    if old.styles == new.styles:
        differ = [i for i, (a, b) in enumerate(zip(old.text, new.text, strict=False)) if a != b]
    else:
        cells = zip(old.text, new.text, old.styles, new.styles, strict=False)
        differ = [i for i, (a, b, c, d) in enumerate(cells) if a != b or c != d]
    for at in differ:
        if runs and at - runs[-1][1] < NEAR:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    if common < len(new.text):
        runs.append((common, len(new.text)))
    return [(start, end) for start, end in runs if new.text[start:end].strip(UNKNOWN)]


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
