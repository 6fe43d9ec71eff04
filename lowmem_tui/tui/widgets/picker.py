"""Lines that scroll, some of them items that a cursor goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message

from lowmem_tui.model.cells import fit
from lowmem_tui.model.message import N_
from lowmem_tui.tui.widgets.lines import Lines
from lowmem_tui.tui.widgets.prose import hang

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual import events

    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.text.item_row import ItemRow
    from lowmem_tui.tui.widgets.lines import Line


class Picker(Lines):
    """Draws only what is visible; moves through the items, and scrolls where there are none."""

    DEFAULT_CSS = "Picker { height: 1fr; }"
    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", N_("Up"), show=False),
        Binding("down,j", "move(1)", N_("Down"), show=False),
        Binding("pageup,ctrl+b", "page(-1)", N_("A page up"), show=False),
        Binding("pagedown,ctrl+f", "page(1)", N_("A page down"), show=False),
        Binding("home,g", "edge(-1)", N_("First"), show=False),
        Binding("end,G", "edge(1)", N_("Last"), show=False),
    ]

    class Moved(Message):
        """The cursor is on another item, or the text was scrolled."""

    class Chosen(Message):
        """The item below the cursor was clicked."""

    def __init__(self, session: Session, write: Callable[[int], Iterable[ItemRow]]) -> None:
        """``write`` makes the rows for a width."""
        super().__init__()
        self._session = session
        self._write = write
        self._rows: list[ItemRow] = []
        """Each as it is on the screen."""
        self._top = 0
        self._begun = False
        """Whether anybody has moved yet: before that the text is shown from its beginning."""
        self.index = 0
        """The item that the cursor is on."""

    @property
    def count(self) -> int:
        """How many items there are."""
        return max((row.item for row in self._rows if row.item is not None), default=-1) + 1

    @property
    def cursor_visible(self) -> bool:
        """Whether the item below the cursor can be seen."""
        first, end = self._span(self.index)
        return self._top <= first and end <= self._top + self.size.height

    def on_resize(self) -> None:
        """Write it again for the new width."""
        self.repaint()
        if self._begun:
            self.follow()

    def repaint(self) -> None:
        """Write it again."""
        width = self.size.width
        if not width:
            return
        before = len(self._rows)
        self._rows = [
            row._replace(text=line)
            for row in self._write(width)
            for line in ([row.text] if row.text.no_wrap else hang(row.text, width))
        ]
        self.index = max(0, min(self.index, self.count - 1))
        # Whoever has scrolled away from the cursor, or has not come to it yet, reads on.
        if len(self._rows) == before or not self._begun:
            self._paint()
        else:
            self.follow()

    def _span(self, item: int) -> tuple[int, int]:
        """Return the first line of an item, and the one after its last."""
        at = [y for y, row in enumerate(self._rows) if row.item == item]
        return (at[0], at[-1] + 1) if at else (0, 0)

    def follow(self) -> None:
        """Make the cursor visible."""
        first, end = self._span(self.index)
        if self.count and not self._begun and not self.cursor_visible:
            self._top = first - 1  # with its heading, and all the room below for the others
        elif self.count:
            self._top = min(max(self._top, end - self.size.height), first)
        self._begun = True
        self._paint()

    def _paint(self) -> None:
        width, height = self.size
        self._top = max(0, min(self._top, len(self._rows) - height))
        seen = self._rows[self._top : self._top + height]
        drawn = [self._draw(row, width) for row in seen]
        blank: Line = (Segment(" " * width),)
        self.show([*drawn, *[blank] * (height - len(drawn))])

    def _draw(self, row: ItemRow, width: int) -> Line:
        more, palette = self._session.glyphs.more, self._session.palette
        if row.item is not None and row.item == self.index:
            return (Segment(fit(row.text.plain, width, more), palette.cursor),)
        text = row.text.copy()
        text.end = ""
        text.stylize_before(text.style)
        if text.cell_len > width:
            text.truncate(width - 1, overflow="crop")
            text.append(more)
        else:
            text.pad_right(width - text.cell_len)
        return tuple(text.render(self.app.console))

    # Moving

    def action_move(self, by: int) -> None:
        """Move the cursor; beyond the first and the last item, scroll."""
        if self.count and not self.cursor_visible:
            below = self._span(self.index)[0] >= self._top
            if below == (by > 0):
                self._to(self.index)
            else:
                self._scroll(by)
            return
        to = self.index + by
        if not 0 <= to < self.count:
            self._scroll(by)
            return
        self._to(to)

    def _to(self, item: int) -> None:
        self.index = item
        self.follow()
        self.post_message(self.Moved())

    def _scroll(self, by: int) -> None:
        self._top += by
        self._paint()
        self.post_message(self.Moved())

    def action_page(self, by: int) -> None:
        """Move by a page."""
        height = max(1, self.size.height - 1)
        if not self.count:
            self._scroll(by * height)
            return
        line = self._span(self.index)[0] + by * height
        near = [
            (abs(y - line), row.item) for y, row in enumerate(self._rows) if row.item is not None
        ]
        item = min(near)[1]
        if item == self.index:
            self._scroll(by * height)
        else:
            self._to(item)

    def action_edge(self, end: int) -> None:
        """Go to the first or the last item, and to the text's edge."""
        self._to(0 if end < 0 else max(0, self.count - 1))
        self._scroll(end * len(self._rows))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to what was clicked; choose it if it is there."""
        event.stop()
        y = self._top + event.y
        item = self._rows[y].item if y < len(self._rows) else None
        if item is None:
            return
        if item == self.index:
            self.post_message(self.Chosen())
        else:
            self._to(item)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        event.stop()
        self._scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        event.stop()
        self._scroll(-3)
