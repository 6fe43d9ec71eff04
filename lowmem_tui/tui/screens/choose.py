"""A short list to choose from, at the left as in htop."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from lowmem_tui.model.cells import cells, fit
from lowmem_tui.model.language import tr
from lowmem_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

    from lowmem_tui.tui.session.session import Session

LEAST_WIDTH = 18


class ChooseScreen(ModalScreen[str]):
    """Returns the key of what was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "choose", "Choose", key_display="Enter"),
        Binding("escape,q,f6", "dismiss", "Cancel", key_display="Esc"),
        Binding("up,k", "move(-1)", "One up", show=False),
        Binding("down,j", "move(1)", "One down", show=False),
        Binding("home,g,pageup", "move(-999)", "First", show=False),
        Binding("end,G,pagedown", "move(999)", "Last", show=False),
    ]

    def __init__(
        self, session: Session, title: str, options: Sequence[tuple[str, str]], present: str
    ) -> None:
        super().__init__()
        self.session = session
        self._title, self._options = title, options
        self._index = next((i for i, (key, _) in enumerate(options) if key == present), 0)
        self._top = 0

    def compose(self) -> ComposeResult:
        """Show the list."""
        self._list = Lines()
        yield self._list

    def on_mount(self) -> None:
        """Draw it."""
        self._paint()

    def on_resize(self) -> None:
        """Fit the new height."""
        self._paint()

    def _paint(self) -> None:
        palette = self.session.palette
        foot = tr("Enter  Esc cancel")
        texts = [text for _, text in self._options]
        longest = max(map(cells, (*texts, self._title, foot)))
        width = max(LEAST_WIDTH, longest + 4)
        page = max(1, self.app.size.height - 2)
        self._top = max(self._index - page + 1, min(self._top, self._index))
        drawn = [(Segment(fit(f" {self._title}", width), palette.header),)]
        for index, (_, text) in enumerate(self._options[self._top : self._top + page], self._top):
            style = palette.cursor if index == self._index else palette.plain
            drawn.append((Segment(fit(f"   {text}", width), style),))
        drawn.append((Segment(fit(f" {foot}", width), palette.plain),))
        self._list.show(drawn)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._index = max(0, min(self._index + by, len(self._options) - 1))
        self._paint()

    def action_choose(self) -> None:
        """Take what is under the cursor."""
        self.dismiss(self._options[self._index][0])

    def on_click(self, event: events.Click) -> None:
        """Take what was clicked; a click elsewhere cancels."""
        event.stop()
        index = self._top + event.screen_y - self._list.region.y - 1
        inside = event.screen_x < self._list.region.right and 0 <= index < len(self._options)
        self.dismiss(self._options[index][0] if inside else None)
