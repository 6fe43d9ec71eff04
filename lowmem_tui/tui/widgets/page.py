"""A text that is longer than the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from lowmem_tui.model.message import N_
from lowmem_tui.tui.widgets.lines import Line, Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events


class Page(Lines):
    """Lines, made for the width they get, that scroll."""

    DEFAULT_CSS = "Page { height: 1fr; }"
    can_focus = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", N_("Up"), show=False),
        Binding("down,j", "scroll(1)", N_("Down"), show=False),
        Binding("pageup,b", "page(-1)", N_("A page up"), show=False),
        Binding("pagedown,space", "page(1)", N_("A page down"), show=False),
        Binding("home,g", "scroll(-9999)", N_("Start"), show=False),
        Binding("end,G", "scroll(9999)", N_("End"), show=False),
    ]

    class Moved(Message):
        """It shows another part of the text."""

        def __init__(self, *, end: bool) -> None:
            super().__init__()
            self.end = end
            """Whether nothing is below."""

    def __init__(self, write: Callable[[int], Sequence[str | Line]], *, start: str = "") -> None:
        """``start`` is the text of the line that it is shown from at first, if there is one."""
        super().__init__()
        self._write = write
        self._start = start
        self._text: Sequence[str | Line] = ()
        self._top = 0

    def on_resize(self) -> None:
        """Write it again for the new width."""
        self._text = self._write(self.size.width)
        at, start = 0, self._start
        if start:
            texts = ("".join(s.text for s in self._line(each)) for each in self._text)
            at, self._start = next((y for y, text in enumerate(texts) if text == start), 0), ""
        self.action_scroll(at)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        height = self.size.height
        self._top = max(0, min(self._top + by, len(self._text) - height))
        seen = list(self._text[self._top : self._top + height])
        self.show(seen + [""] * (height - len(seen)))
        self.post_message(self.Moved(end=self._top + height >= len(self._text)))

    def action_page(self, by: int) -> None:
        """Scroll by pages."""
        self.action_scroll(by * max(1, self.size.height - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll by three lines."""
        event.stop()
        self.action_scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll by three lines."""
        event.stop()
        self.action_scroll(-3)
