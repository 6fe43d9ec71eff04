"""Incidents, one line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.cells import fit
from lowmem_tui.model.incident import Ending, Incident, Kind
from lowmem_tui.model.language import say
from lowmem_tui.model.text import plain
from lowmem_tui.policy.incidents import text as incident_text
from lowmem_tui.tui.widgets.cursor_list import CursorList, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.style import Style

MOST_NAME = 28
"""Cells of a unit's name where the line is not very wide."""

BAD = frozenset({Ending.DEAD, Ending.START_LIMIT})

STUCK = frozenset({Kind.NO_VICTIM, Kind.PANIC})


class IncidentList(CursorList[Incident]):
    """When, which unit, and the outcome."""

    def key(self, item: Incident) -> tuple[float, str, str]:
        """Return when it began, and whom it is about."""
        # What is folded goes on: it is known by when it began.
        began = item.shortage.began if item.shortage else item.time
        return began, item.unit, item.kind

    def draw(self, seen: Sequence[Incident], width: int) -> Iterator[Sequence[tuple[str, Style]]]:
        """Yield the line of each."""
        names = [say(incident_text.whom(incident)).removesuffix(".service") for incident in seen]
        room = min(max(map(len, names), default=0), max(MOST_NAME, width // 3))
        for incident, name in zip(seen, names, strict=True):
            whom = fit(plain(name, room), room)
            text = f" {when(incident.time, width)}  {whom}  {say(incident_text.short(incident))}"
            yield ((fit(text, width, self.session.glyphs.more), self._style_of(incident)),)

    def _style_of(self, incident: Incident) -> Style:
        palette = self.session.palette
        bad = incident.ending in BAD and incident.this_boot and not incident.until
        stuck = incident.kind in STUCK and incident.this_boot
        return palette.bad if bad or stuck else palette.plain
