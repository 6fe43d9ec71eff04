"""What is remembered of kills on the demo server; read by the parsers of a real machine's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.demo import roster
from lowmem_tui.demo.log import BOOT
from lowmem_tui.demo.memory import PAGE
from lowmem_tui.host.logs.kernel_log import last_report, parse
from lowmem_tui.host.logs.task_table import parse_table
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.incident import Evidence, ReportText

if TYPE_CHECKING:
    from lowmem_tui.demo.machine import Machine
    from lowmem_tui.host.logs.kernel_log import Line


class DemoWitness:
    """model.ports.Witness."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def evidence(self, since: float | None = None) -> Evidence:
        """Return all that was written down."""
        with self._machine.held() as machine:
            init = machine.init
            groups = init.memory.groups.values()
            known = init.log
            return Evidence(
                BOOT,
                tuple(r for r in parse(known.lines) if r.time >= (since or 0)),
                tuple(e for e in known.events if e.time >= (since or 0)),
                since=since,
                now=init.wall_usec() / 1_000_000,
                booted=roster.BOOTED,
                running=frozenset(g.name for g in groups if g.tasks),
                counters={g.name: g.oom_kills for g in groups if g.oom_kills and not g.inner},
                kills=init.memory.oom_kills,
            )

    def lines(self, since: float) -> str:
        """See ``Witness``: what the kernel wrote."""
        with self._machine.lock:
            lines = [line for line in self._machine.init.log.lines if line.time >= since]
        return "\n".join(map(_as_json, lines))

    def report(self, reference: str) -> ReportText:
        """Return a report. Raises RefusedError."""
        with self._machine.lock:
            newest = list(self._machine.init.log.lines)[::-1]
        places = [line.reference for line in newest]
        texts = last_report(newest[places.index(reference) :]) if reference in places else ()
        if not texts:
            raise RefusedError("This report is no longer in the log: it was rotated away.")
        return ReportText(texts, parse_table(texts, PAGE))


def _as_json(line: Line) -> str:
    """Return a line of the kernel's as ``journalctl -o json`` prints it.

    Not by host.logs.journal: the demo imports nothing that can start a program.
    """
    import json  # the screen starts without

    return json.dumps(
        {
            "__CURSOR": f"demo-{line.reference}",
            "__REALTIME_TIMESTAMP": str(round(line.time * 1_000_000)),
            "_BOOT_ID": line.boot,
            "_TRANSPORT": "kernel",
            "MESSAGE": line.text,
        }
    )
