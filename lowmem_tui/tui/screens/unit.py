"""The page of one unit: what it is, what it uses, and the form that stages edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import msg
from lowmem_tui.model.text import plain
from lowmem_tui.policy import settings_text
from lowmem_tui.policy.forecast import whatif
from lowmem_tui.tui.screens.edit import SHORT, EditScreen
from lowmem_tui.tui.text import forecast, unit_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.model.unit import Key, Value
    from lowmem_tui.policy.classify import Verdict
    from lowmem_tui.tui.session.session import Session


class UnitScreen(EditScreen):
    """One unit."""

    NO_SETTINGS = msg("This unit has no memory settings: it can only be viewed.")

    def __init__(self, session: Session, unit_name: str) -> None:
        super().__init__(session, (unit_name,))
        self.unit_name = unit_name

    def on_mount(self) -> None:
        """Have this unit read whole."""
        self.session.run_blocking(self.session.backend.watch, self.unit_name)

    def _back(self) -> None:
        self.session.run_blocking(self.session.backend.watch, None)
        super()._back()

    @property
    def unit(self) -> Unit:
        """The unit as it was last seen."""
        return self.unit_of(self.unit_name)

    @property
    def verdict(self) -> Verdict | None:
        """Its tier, if it is known."""
        return self.verdict_of(self.unit_name)

    @property
    def changes(self) -> Mapping[Key, Value]:
        """What the settings will be, as far as they change."""
        return whatif.changes(self._plan.effects).get(self.unit.name, {}) if self._plan else {}

    def _paint_head(self, width: int) -> list[Text]:
        session = self.session
        unit = self.unit
        lines = unit_page.identity(unit, self.verdict, session.glyphs)
        if self.app.size.height < SHORT:
            lines = [unit_page.brief(unit, session.glyphs)]
        if session.backend.demo:
            demo = Text(no_wrap=True).append(" DEMO ", "bold reverse")
            lines[0] = demo.append_text(lines[0])
        # On a low screen the trial's line takes the place of this one: the form keeps its room.
        if self.app.size.height >= SHORT or not session.trials.visible:
            lines += unit_page.line_of_memory(unit, session.memory, session.glyphs, width)
        if session.notice:
            lines.append(Text(f" {plain(say(session.notice))}", style="bold"))
        return lines

    def _paint_facts(self, width: int) -> list[Text]:
        unit, glyphs, palette = self.unit, self.session.glyphs, self.session.palette
        lines = []
        if self.app.size.height < SHORT:
            lines += unit_page.identity(unit, self.verdict, glyphs)
        lines += [unit_page.heading(tr("MEMORY"), width, palette), *unit_page.memory(unit, glyphs)]
        snapshot, history = self.session.snapshot, self.session.memory
        if fates := list(forecast.fates(unit, snapshot, history, self.changes)):
            lines += [unit_page.heading(tr("AFTER AN OOM KILL"), width, palette), *fates]
        known = self._known.get(self.unit_name)
        own = {key: known.settings[key] for key in self._settings} if known else {}
        if own:
            title = tr("SETTINGS AND SOURCE FILES")
            lines.append(unit_page.heading(title, width, palette))
            lines += unit_page.settings(own, width)
        if known and (unread := settings_text.unread(known)) is not None:
            lines.append(Text(f" {say(unread)}"))
        if unit.usage is not None:
            count = len(unit.usage.processes)
            title = tr("PROCESSES ({count})", count=count)
            lines.append(unit_page.heading(title, width, palette))
            pid = unit.properties.main_pid if unit.properties else 0
            lines += unit_page.processes(unit.usage.processes, pid)
        return lines
