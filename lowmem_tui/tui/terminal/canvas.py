"""What the terminal shows, cell by cell: only the cells that differ are sent, as curses does.

It needs neither Textual nor Rich: the first frame is painted before they are loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.cells import width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NEAR = 5
"""Cells less than which are cheaper to send again than to jump over: that takes five bytes."""

HALF = "\0"
"""The cell that the right half of a wide character takes."""

UNKNOWN = "\1"
"""A cell that differs from every other: what stands there is not known."""

OBEYED = "·"
"""Stands for what a terminal would obey: nothing of the kind should come this far."""

SIMPLE = frozenset(map(chr, range(32, 127))) | frozenset("█▏▎▍▌▋▊▉░▕·—…▾▸▼▲•×")
"""One cell wide and harmless: no need to ask."""


class Row(NamedTuple):
    """Some cells of a line: a character for each, and one that stands for its style."""

    text: str = ""
    styles: str = ""


class Canvas:
    """Knows what the terminal shows, because everything sent passes through here.

    ``translate`` gives the characters that this terminal can show for those that it cannot.
    """

    def __init__(self, translate: Callable[[str], str] | None = None) -> None:
        self._translate = translate
        self.shown: dict[int, Row] = {}
        """Each line, as far as it is known."""
        self.size: tuple[int, int] | None = None
        """The columns and lines for which all of it was painted, before Textual."""
        self._sgr = [""]
        """Each style's SGR parameters, by the number of the character that stands for it."""
        self._codes = {"": chr(0)}

    def forget(self) -> None:
        """Take nothing for granted any more: the next full frame is sent whole."""
        self.shown.clear()
        self.size = None

    def code(self, sgr: str) -> str:
        """Return the character that stands for a style with these SGR parameters."""
        code = self._codes.get(sgr)
        if code is None:
            code = self._codes[sgr] = chr(len(self._sgr))
            self._sgr.append(sgr)
        return code

    def row(self, parts: Iterable[tuple[str, str]]) -> Row:
        """Return a line of texts, each with its SGR parameters."""
        cells = [(self.cells(text), sgr) for text, sgr in parts]
        styles = (self.code(sgr) * len(text) for text, sgr in cells)
        return Row("".join(text for text, _ in cells), "".join(styles))

    def cells(self, text: str) -> str:
        """Return a text with a character for each cell."""
        if (text.isascii() and text.isprintable()) or (
            not self._translate and SIMPLE.issuperset(text)
        ):
            return text
        return "".join(map(self._cell, text))

    def _cell(self, character: str) -> str:
        """Return a character with as many cells after it as it is wide."""
        width = width_of(character)
        if not width:
            return ""
        shown = character if character.isprintable() else OBEYED
        if self._translate:
            shown = self._translate(shown)[:1]
            if shown != character:
                return shown * width
        return shown + HALF * (width - 1)

    def send(self, changed: Mapping[int, Row]) -> list[str]:
        """Return the pieces that change these lines on the terminal, and remember them."""
        out: list[str] = []
        for y, new in changed.items():
            old = self.shown.get(y, Row())
            self.shown[y] = new
            at = f"{y + 1};"
            for start, end in _runs(old, new):
                # The column is absolute each time: a terminal that draws a character wider than
                # we think gets no chance to carry its mistake along.
                out.append(f"\x1b[{at}{start + 1}{'H' if at else 'G'}")
                self._write(out, new, start, end)
                at = ""
        return out

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
