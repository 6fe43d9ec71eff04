"""The incidents: what was killed, when, why, and whether it restarted."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_
from lowmem_tui.model.text import plain
from lowmem_tui.policy.forecast.restart_text import activators
from lowmem_tui.policy.incidents import text as incident_text
from lowmem_tui.policy.incidents.build import join
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.screens.incident import IncidentScreen
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.widgets.incident_list import IncidentList
from lowmem_tui.tui.widgets.keybar import HELP, KeyBar, keys_of
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from lowmem_tui.model.incident import Incident, Incidents
    from lowmem_tui.tui.session.session import Session

MOST_UNREPORTED = 4
"""Units whose counters are shown below the list."""


class IncidentsScreen(FullScreen):
    """The newest first. Read when the screen opens and when asked for, never by the tick."""

    AUTO_FOCUS = "IncidentList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", N_("Report"), key_display="Enter"),
        Binding("u", "unit", N_("Unit"), key_display="u"),
        Binding("r", "read", N_("Refresh"), key_display="r"),
        Binding("escape,q,K", "dismiss", N_("Back"), key_display="Esc"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._found: Incidents | None = None
        self._trouble = self._words = ""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        self._head = Prose(self.session.glyphs, self._paint_head)
        self._list = IncidentList(self.session)
        self._answer = Prose(self.session.glyphs, self._paint_answer)
        yield self._head
        yield self._list
        yield self._answer
        yield KeyBar(self.session.palette, [*keys_of(self.BINDINGS), HELP], drop=("r", "f1"))

    def on_mount(self) -> None:
        """Read them."""
        self.action_read()

    def action_read(self) -> None:
        """Read the logs."""
        self._words = "" if self._found is None else tr("Reading again…")
        self._answer.repaint()
        self.work(self._read, exclusive=True)

    async def _read(self) -> None:
        backend, snapshot = self.session.backend, self.session.snapshot
        starters = {
            name: by[0]
            for name, unit in (snapshot.units.items() if snapshot else ())
            if unit.properties and (by := activators(unit.properties))
        }

        def find() -> Incidents:
            return join(replace(backend.witness.evidence(), starters=starters))

        try:
            # Not in the thread that samples the server: a journal may take seconds.
            found = await self.session.run_aside(find)
        except LowmemError as error:
            self._trouble = say(error.message)
        else:
            self._found, self._trouble = found, ""
            self._list.update(found.incidents)
        self._words = ""
        self._head.repaint()
        self._answer.repaint()

    # Keys

    def on_key(self) -> None:
        """Hide the last answer."""
        if self._words:
            self._say("")

    def _chosen(self) -> Incident | None:
        return self._list.chosen if self.app.screen is self else None

    def action_open(self) -> None:
        """Show all that is known of an incident, the kernel's report with it."""
        if (incident := self._chosen()) is not None:
            self.app.push_screen(IncidentScreen(self.session, incident))

    def action_unit(self) -> None:
        """Open the page of the unit."""
        incident = self._chosen()
        if incident is None:
            return
        snapshot = self.session.snapshot
        if snapshot is None or incident.unit not in snapshot.units:
            self._say(tr("{unit} no longer exists.", unit=say(incident_text.whom(incident))))
            return
        from lowmem_tui.tui.screens.unit import UnitScreen

        self.session.kills.looked_at(incident.unit)
        self.app.push_screen(UnitScreen(self.session, incident.unit))

    def _say(self, words: str) -> None:
        self._words = words
        self._answer.repaint()

    # What is shown

    def _paint_head(self, width: int) -> list[Text]:
        if self._found is None:
            title = tr("Incidents: unknown") if self._trouble else tr("Incidents: reading…")
        else:
            here = sum(i.this_boot for i in self._found.incidents)
            count = len(self._found.incidents)
            title = tr("Incidents: {count}, {here} since boot", count=count, here=here)
        return [self.title_bar(title, width)]

    def _paint_answer(self, _: int) -> list[Text]:
        lines: list[Text] = []
        if self._words:
            lines.append(Text(f" {plain(self._words, 2000)}", style="bold"))
        if self._trouble:
            lines.append(Text(f" {plain(self._trouble, 2000)}", style=BAD))
        if self._found is None:
            return lines
        if not self._found.incidents:
            lines.append(Text(f" {say(incident_text.none(_when(self._found.since)))}"))
        for unit, kills in list(self._found.unreported.items())[:MOST_UNREPORTED]:
            lines.append(Text(f" {say(incident_text.unreported(unit, kills))}"))
        lines += [Text(f" {plain(say(note))}") for note in self._found.notes]
        return lines


def _when(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
