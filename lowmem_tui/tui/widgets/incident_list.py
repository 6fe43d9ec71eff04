"""Incidents, one line for each, and a cursor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from lowmem_tui.model.incident import Ending, Kind
from lowmem_tui.model.text import plain
from lowmem_tui.policy.incidents import text as incident_words
from lowmem_tui.tui.terminal.cells import fit
from lowmem_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from lowmem_tui.model.incident import Incident
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.widgets.lines import Line

NARROW = 60
MOST_NAME = 28
"""Cells of a unit's name where the line is not very wide."""

BAD = frozenset({Ending.DEAD, Ending.GAVE_UP})

STUCK = frozenset({Kind.NO_VICTIM, Kind.PANIC})


class IncidentList(Lines):
    """Draws only what is in sight."""

    DEFAULT_CSS = "IncidentList { height: 1fr; }"
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
        self._incidents: Sequence[Incident] = ()
        self._index = 0
        self._top = 0

    @property
    def chosen(self) -> Incident | None:
        """The incident below the cursor."""
        return self._incidents[self._index] if self._incidents else None

    def update(self, incidents: Sequence[Incident]) -> None:
        """Show these; the cursor stays on its incident."""
        old = self.chosen
        self._incidents = incidents
        same = (i for i, new in enumerate(incidents) if old and _key(new) == _key(old))
        self._index = next(same, 0)
        self.paint()

    def on_resize(self) -> None:
        """Fit the new size."""
        self.paint()

    def paint(self) -> None:
        """Draw what is in sight."""
        width, height = self.size
        if not width:
            return
        self._top = max(self._index - height + 1, min(self._top, self._index))
        seen = self._incidents[self._top :][:height]
        name = max((len(incident_words.whom(i).removesuffix(".service")) for i in seen), default=0)
        name = min(name, max(MOST_NAME, width // 3))
        drawn = [
            self._draw(incident, name, width, on=index == self._index)
            for index, incident in enumerate(seen, self._top)
        ]
        blank: Line = (Segment(" " * width),)
        self.show([*drawn, *[blank] * (height - len(drawn))])

    def _draw(self, incident: Incident, name: int, width: int, *, on: bool) -> Line:
        palette, more = self._session.palette, self._session.glyphs.more
        shape = "%m-%d %H:%M" if width < NARROW else "%Y-%m-%d %H:%M:%S"
        when = time.strftime(shape, time.localtime(incident.time))
        whom = fit(plain(incident_words.whom(incident).removesuffix(".service"), name), name)
        text = fit(f" {when}  {whom}  {incident_words.short(incident)}", width, more)
        bad = incident.ending in BAD and incident.this_boot and not incident.until
        stuck = incident.kind in STUCK and incident.this_boot
        style = palette.bad if bad or stuck else palette.plain
        return (Segment(text, palette.cursor if on else style),)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._index = max(0, min(self._index + by, len(self._incidents) - 1))
        self.paint()

    def action_page(self, by: int) -> None:
        """Move the cursor by a page."""
        self.action_move(by * max(1, self.size.height - 1))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to what was clicked."""
        event.stop()
        if self._top + event.y < len(self._incidents):
            self._index = self._top + event.y
            self.paint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move on."""
        event.stop()
        self.action_move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move back."""
        event.stop()
        self.action_move(-1)


def _key(incident: Incident) -> tuple[float, str, str]:
    # What is folded goes on: it is known by when it began.
    began = incident.shortage.began if incident.shortage else incident.time
    return began, incident.unit, incident.kind
