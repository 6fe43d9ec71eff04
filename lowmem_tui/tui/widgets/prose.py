"""Lines of styled text, wrapped to the width there is; only lines that changed are painted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from lowmem_tui.model.cells import breaks, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.geometry import Size

    from lowmem_tui.tui.terminal.glyphs import Glyphs

_LABEL = re.compile(r" *(?:[!+-] |\S+ {2,})?")


class Prose(Widget):
    """Text given whole, or by a function of the width; as high as its lines."""

    DEFAULT_CSS = "Prose { height: auto; }"

    def __init__(
        self, glyphs: Glyphs, paint: Callable[[int], Sequence[Text]], *, classes: str | None = None
    ) -> None:
        super().__init__(classes=classes)
        self._more = glyphs.more
        self._paint = paint
        self._width = 0
        self._lines: list[Text] = []

    def show(self, *texts: Text) -> None:
        """Show these paragraphs."""
        self.paint_with(lambda _: texts)

    def paint_with(self, paint: Callable[[int], Sequence[Text]]) -> None:
        """Ask this function from now on."""
        self._paint = paint
        self.repaint()

    def repaint(self) -> None:
        """Ask the function again, and paint the lines that are different."""
        if not self._width:
            return
        before = self._lines
        self._lines = self._wrapped(self._width)
        if len(before) != len(self._lines):
            self.refresh(layout=True)
            return
        changed = [y for y, (a, b) in enumerate(zip(before, self._lines, strict=True)) if a != b]
        if changed:
            self.refresh(*(Region(0, y, self._width, 1) for y in changed))

    @property
    def text(self) -> str:
        """What is shown, line by line."""
        return "\n".join(line.plain for line in self._lines)

    def _fit(self, width: int) -> None:
        if width != self._width:
            self._width = width
            self._lines = self._wrapped(width)

    def _wrapped(self, width: int) -> list[Text]:
        lines: list[Text] = []
        for text in self._paint(width):
            shown = text.copy()
            if shown.no_wrap:
                if shown.cell_len > width:
                    shown.truncate(width - 1, overflow="crop")
                    shown.rstrip()
                    shown.append(self._more)
                lines.append(shown)
            else:
                lines.extend(hang(shown, width))
        for line in lines:
            line.end = ""
            # A text without spans is rendered without its own style.
            line.stylize_before(line.style)
        return lines

    def get_content_width(
        self,
        container: Size,
        viewport: Size,  # noqa: ARG002 - Textual's signature
    ) -> int:
        """Take all the width there is."""
        return container.width

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 - Textual's signature
        viewport: Size,  # noqa: ARG002
        width: int,
    ) -> int:
        """Return the number of lines at that width."""
        self._fit(width)
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        width, style = self.size.width, self.rich_style
        self._fit(width)
        if y >= len(self._lines):
            return Strip.blank(width, style)
        strip = Strip(self._lines[y].render(self.app.console))
        return strip.adjust_cell_length(width).apply_style(style)


def hang(text: Text, width: int) -> list[Text]:
    """Wrap a paragraph; what follows its first line stands below the beginning of its text.

    That is after the spaces, and after a mark or a first word with a wider gap behind it.
    """
    label = _LABEL.match(text.plain)
    indent = label.end() if label else 0
    if cells(text.plain[:indent]) >= width // 2:
        indent = 1 if indent else 0
    first, rest = text[:indent], text[indent:]
    pad = Text(" " * first.cell_len)
    room = max(width - first.cell_len, 1)
    lines = [
        part
        for each in rest.split(allow_blank=True)
        for part in each.divide(breaks(each.plain, room))
    ]
    for part in lines:
        part.rstrip()
    return [(pad if y else first) + line for y, line in enumerate(lines)] or [first]
