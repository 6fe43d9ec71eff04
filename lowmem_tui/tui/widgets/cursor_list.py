"""Items one below the other, and a cursor that stays on its item."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from lowmem_tui.model.message import N_
from lowmem_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from rich.style import Style
    from textual import events

    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.widgets.lines import Line

T = TypeVar("T")

NARROW = 60
"""Cells below which a time has no year and no seconds."""


class CursorList(Lines, Generic[T]):
    """Draws only the items that are visible."""

    DEFAULT_CSS = "CursorList { height: 1fr; }"
    EACH: ClassVar[int] = 1
    """Lines of one item."""
    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", N_("Up"), show=False),
        Binding("down,j", "move(1)", N_("Down"), show=False),
        Binding("pageup,ctrl+b", "page(-1)", N_("A page up"), show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", N_("A page down"), show=False),
        Binding("home,g", "move(-9999)", N_("First"), show=False),
        Binding("end,G", "move(9999)", N_("Last"), show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._items: Sequence[T] = ()
        self._index = 0
        self._top = 0

    # What each list says

    def key(self, item: T) -> Hashable:
        """Return what an item is known by when the list is read again."""
        raise NotImplementedError

    def draw(self, seen: Sequence[T], width: int) -> Iterable[Sequence[tuple[str, Style]]]:
        """Return the lines of each of these items, as wide as asked."""
        raise NotImplementedError

    # Showing it

    @property
    def chosen(self) -> T | None:
        """The item below the cursor."""
        return self._items[self._index] if self._items else None

    def update(self, items: Sequence[T]) -> None:
        """Show these; the cursor stays on its item."""
        old = self.chosen
        key = None if old is None else self.key(old)
        self._items = items
        self._index = next((i for i, item in enumerate(items) if self.key(item) == key), 0)
        self.paint()

    def on_resize(self) -> None:
        """Fit the new size."""
        self.paint()

    def paint(self) -> None:
        """Draw the visible items."""
        width, height = self.size
        if not width:
            return
        page = self._page
        self._top = max(self._index - page + 1, min(self._top, self._index))
        seen = self._items[self._top :][:page]
        cursor = self.session.palette.cursor
        drawn: list[Line] = [
            (Segment(text, cursor if index == self._index else style),)
            for index, lines in enumerate(self.draw(seen, width), self._top)
            for text, style in lines
        ]
        drawn += [(Segment(" " * width),)] * (height - len(drawn))
        self.show(drawn)

    @property
    def _page(self) -> int:
        """How many items are visible."""
        return max(1, self.size.height // self.EACH)

    # Moving

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._index = max(0, min(self._index + by, len(self._items) - 1))
        self.paint()

    def action_page(self, by: int) -> None:
        """Move the cursor by a page; one item of it stays visible."""
        self.action_move(by * max(1, self._page - 1))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to what was clicked."""
        event.stop()
        index = self._top + event.y // self.EACH
        if index < len(self._items):
            self._index = index
            self.paint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move on."""
        event.stop()
        self.action_move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move back."""
        event.stop()
        self.action_move(-1)


def when(seconds: float, width: int) -> str:
    """Return a time (of the epoch) as a line of this width has room for it."""
    shape = "%m-%d %H:%M" if width < NARROW else "%Y-%m-%d %H:%M:%S"
    return time.strftime(shape, time.localtime(seconds))
