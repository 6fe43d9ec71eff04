"""One incident: cause, outcome, the processes at that time; and the text of the kernel's report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.amount import format_seconds, format_size
from lowmem_tui.model.cells import cells, fit, fit_right
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, plural
from lowmem_tui.model.text import plain
from lowmem_tui.policy.incidents import text as incident_text
from lowmem_tui.tui.screens.sheet import MORE, Sheet
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.incident import Incident, ReportText, TaskRow
    from lowmem_tui.tui.session.session import Session

MOST_TASKS = 500
BACK = Key("escape", "Esc", N_("Back"))


class IncidentScreen(Sheet):
    """Shows it; ``r`` switches between the table and the report's own text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "raw", N_("Report")),
        Binding("escape,q,enter", "dismiss", N_("Back")),
    ]

    def __init__(self, session: Session, incident: Incident) -> None:
        super().__init__(session)
        self._incident = incident
        self._report: ReportText | None = None
        self._raw = False
        source = incident.report or incident.shortage
        self._reference = source.reference if source is not None else ""
        self._reading = bool(self._reference)

    def on_mount(self) -> None:
        """Read the kernel's report, if there is one."""
        self.repaint()
        if self._reading:
            self.work(self._read)

    async def _read(self) -> None:
        backend, reference = self.session.backend, self._reference

        def find() -> ReportText:
            return backend.witness.report(reference)

        try:
            self._report = await self.session.run_aside(find)
        except LowmemError as error:
            self.answer = say(error.message)
        self._reading = False
        self.repaint()

    def action_raw(self) -> None:
        """Show the report as the kernel wrote it, or as a table."""
        if self._report is not None:
            self._raw = not self._raw
            self.action_edge(-1)
            self.repaint()

    # What is shown

    def heading(self) -> str:
        """Return the time and the unit."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._incident.time))
        return f"{when}  {say(incident_text.whom(self._incident))}"

    def waiting(self) -> str:
        """Return that the report is being read."""
        return tr("Reading the kernel's report…") if self._reading else ""

    def offers(self) -> Sequence[Key]:
        """Return the keys."""
        if self._report is None:
            return (BACK, MORE)
        return (Key("r", "r", N_("Table") if self._raw else N_("Kernel's text")), BACK, MORE)

    def lines(self, width: int) -> list[Text]:
        """Return the page."""
        if self._raw and self._report is not None:
            return [Text(plain(line), no_wrap=False) for line in self._report.lines]
        palette = self.session.palette
        incident = self._incident
        lines = [
            Text(f" {say(incident_text.why(incident))}"),
            Text(f" {say(incident_text.what_next(incident))}"),
        ]
        facts = [(name, value) for name, value in _facts(incident) if value]
        if facts:
            title = tr("KERNEL REPORT") if incident.killing is None else tr("KILL")
            lines.append(heading(title, width, palette))
            names = max(cells(name) for name, _ in facts)
            lines += [Text(f" {fit(name, names)} {plain(value)}") for name, value in facts]
        if self._report is not None and self._report.tasks:
            count = len(self._report.tasks)
            title = tr("PROCESSES BEFORE THE KILL ({count})", count=count)
            lines.append(heading(title, width, palette))
            lines += self._table(self._report.tasks)
        return lines

    def _table(self, tasks: Sequence[TaskRow]) -> Iterator[Text]:
        report = self._incident.report
        victims = (report.victim, *report.also) if report else ()
        killed = {victim.pid for victim in victims if victim is not None}
        sizes = f"{fit_right(tr('RSS'), 5)} {fit_right(tr('SWAP'), 5)} {fit_right(tr('ADJ'), 5)}"
        name = tr("NAME")
        title = f"   {'PID':>8} {'UID':>5} {sizes} {name}"
        yield Text(title, style="bold", no_wrap=True)
        ranked = sorted(tasks, key=lambda t: t.rss + t.swap, reverse=True)
        for t in ranked[:MOST_TASKS]:
            mark = "x" if t.pid in killed else " "
            row = (
                f" {mark} {t.pid:>8} {t.uid:>5} {format_size(t.rss):>5} {format_size(t.swap):>5}"
                f" {t.adj:>5} {plain(t.name)}"
            )
            yield Text(row, style="bold" if t.pid in killed else "", no_wrap=True)
        if len(ranked) > MOST_TASKS:
            more = plural("{n} smaller process", "{n} smaller processes", len(ranked) - MOST_TASKS)
            yield Text(f"   {say(more)}")


def _facts(incident: Incident) -> Iterator[tuple[str, str]]:
    """Yield what is known, each with its name; "" where it is not."""
    report, shortage, killing = incident.report, incident.shortage, incident.killing
    if report is not None:
        yield tr("Group"), report.cgroup
        yield tr("Limit of"), report.limit_cgroup
        yield tr("Triggered by"), say(incident_text.asker(report) or "")
        yield tr("Kind"), report.constraint
    elif shortage is not None:
        yield tr("Limit of"), shortage.cgroup
        yield tr("Path"), shortage.path
        yield tr("Mode"), shortage.mode
        yield tr("Count"), str(shortage.count)
        yield tr("Within"), format_seconds(max(0.0, shortage.time - shortage.began))
    elif killing is not None:
        yield tr("Group"), killing.cgroup
        yield tr("By"), killing.by
        yield tr("Signal"), killing.signal
    else:
        return
    yield tr("Boot"), tr("this boot") if incident.this_boot else tr("an earlier boot")
