"""The changes that were made, two lines for each, and a cursor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from lowmem_tui.model.change import KEPT
from lowmem_tui.model.text import plain
from lowmem_tui.policy.change_text import did
from lowmem_tui.tui.terminal.cells import fit
from lowmem_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from lowmem_tui.model.change import Change
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.widgets.lines import Line

NARROW = 60
EACH = 2
"""Lines of one change."""


class ChangeList(Lines):
    """Draws only what is in sight."""

    DEFAULT_CSS = "ChangeList { height: 1fr; }"
    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "A page up", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", "A page down", show=False),
        Binding("home,g", "move(-9999)", "First", show=False),
        Binding("end,G", "move(9999)", "Last", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._changes: Sequence[Change] = ()
        self._index = 0
        self._top = 0

    @property
    def chosen(self) -> Change | None:
        """The change below the cursor."""
        return self._changes[self._index] if self._changes else None

    def update(self, changes: Sequence[Change]) -> None:
        """Show these; the cursor stays on its change."""
        number = self.chosen.id if self.chosen else ""
        self._changes = changes
        self._index = next((i for i, c in enumerate(changes) if c.id == number), 0)
        self.paint()

    def on_resize(self) -> None:
        """Fit the new size."""
        self.paint()

    def paint(self) -> None:
        """Draw what is in sight."""
        width, height = self.size
        if not width:
            return
        page = self._page
        self._top = max(self._index - page + 1, min(self._top, self._index))
        drawn: list[Line] = []
        for index, change in enumerate(self._changes[self._top :][:page], self._top):
            drawn += self._draw(change, width, on=index == self._index)
        drawn += [(Segment(" " * width),)] * (height - len(drawn))
        self.show(drawn)

    @property
    def _page(self) -> int:
        return max(1, self.size.height // EACH)

    def _draw(self, change: Change, width: int, *, on: bool) -> list[Line]:
        palette = self._session.palette
        # In force: bold. That the others are not is said in words, too.
        usual = palette.strong if change.state in KEPT else palette.plain
        style = palette.cursor if on else usual
        shape = "%m-%d %H:%M" if width < NARROW else "%Y-%m-%d %H:%M:%S"
        when = time.strftime(shape, time.localtime(change.time))
        head = f" {change.id:>3} {when} {change.state:<9} {change.by}"
        note = f" · {change.why}" if change.why and not change.undoes else ""
        drawn: list[Line] = []
        for text, how in ((head + note, style), (f"     {did(change)}", palette.plain)):
            drawn.append((Segment(fit(plain(text, width), width), palette.cursor if on else how),))
        return drawn

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._index = max(0, min(self._index + by, len(self._changes) - 1))
        self.paint()

    def action_page(self, by: int) -> None:
        """Move the cursor by a page."""
        self.action_move(by * self._page)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to what was clicked."""
        event.stop()
        index = self._top + event.y // EACH
        if index < len(self._changes):
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
