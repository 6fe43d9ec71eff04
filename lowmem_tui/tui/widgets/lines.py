"""The base of our widgets: styled lines, of which only those that changed are drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Line = tuple[Segment, ...]
PLAIN = Style.null()


def line(*parts: str | tuple[str, Style]) -> Line:
    """Make a line of texts and (text, style) pairs; never markup."""
    return tuple(
        Segment(part, PLAIN) if isinstance(part, str) else Segment(part[0], part[1])
        for part in parts
    )


class Lines(Widget):
    """Shows lines; the height is theirs unless the style sheet says otherwise."""

    DEFAULT_CSS = "Lines { height: auto; }"
    EXACT: ClassVar[bool] = False
    """Whether each line is made as wide as the widget: no need to measure it again."""

    def __init__(
        self,
        lines: Iterable[str | Line] = (),
        *,
        style: Style | str = "",
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._style = Style.parse(style) if isinstance(style, str) else style
        self._lines: list[Line] = [self._line(text) for text in lines]
        self._strips: list[Strip | None] = [None] * len(self._lines)

    def _line(self, text: str | Line) -> Line:
        return (Segment(text, self._style),) if isinstance(text, str) else text

    @property
    def lines(self) -> Sequence[Line]:
        """What is shown."""
        return self._lines

    def show(self, lines: Iterable[str | Line]) -> int:
        """Show these lines from now on; return how many had to be drawn again."""
        new = [self._line(text) for text in lines]
        old, self._lines = self._lines, new
        if len(new) != len(old):
            self._strips = [None] * len(new)
            auto = self.styles.height is not None and self.styles.height.is_auto
            self.refresh(layout=auto)
            return len(new)
        changed = [y for y, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        for y in changed:
            self._strips[y] = None
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))
        return len(changed)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a frame.

        Textual's own way asks the style sheet for borders and padding, line by line; there are
        none here.
        """
        x, y, width, height = crop
        whole = self.size.width
        lines = [self._strip(at, whole) for at in range(y, y + height)]
        if (x, width) != (0, whole):
            return [strip.crop(x, x + width) for strip in lines]
        return lines

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        return self._strip(y, self.size.width)

    def _strip(self, y: int, width: int) -> Strip:
        """Return one line, from the cache unless it changed."""
        if y >= len(self._lines):
            return Strip.blank(width, self._style)
        strip = self._strips[y]
        if strip is None or strip.cell_length != width:
            strip = Strip(self._lines[y], width if self.EXACT else None)
            strip = strip.adjust_cell_length(width, self._style)
            for filter_ in self.get_line_filters():
                strip = strip.apply_filter(filter_, self.background_colors[1])
            self._strips[y] = strip
        return strip

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 - Textual's signature
        viewport: Size,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def get_content_width(
        self,
        container: Size,  # noqa: ARG002 - Textual's signature
        viewport: Size,  # noqa: ARG002
    ) -> int:
        """Return the width of the widest line."""
        return max((sum(s.cell_length for s in text) for text in self._lines), default=0)
