"""What this machine remembers of kills: its journal, its kernel's counters, what runs now."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.host import procfs
from lowmem_tui.host.cgroupfs import CGROUP, parse_oom_kills
from lowmem_tui.host.logs import journal, journal_evidence, kernel_log, kmsg, pid1_text
from lowmem_tui.host.logs.journal import Reading
from lowmem_tui.host.logs.journal_evidence import MOST, SECONDS
from lowmem_tui.host.logs.task_table import parse_table
from lowmem_tui.host.reading import each, read, read_whole
from lowmem_tui.host.tree import populated, walk
from lowmem_tui.model.errors import LowmemError, NotPermittedError, RefusedError
from lowmem_tui.model.incident import Evidence, OomReport, ReportText, UnitEvent
from lowmem_tui.model.message import msg, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.host.logs.kernel_log import Line

MOST_LINES = 3000
"""Lines of a report: some for the machine, then one for each process."""


class LocalWitness:
    """model.ports.Witness of this machine."""

    def __init__(self, proc: str = procfs.PROC, cgroup: str = CGROUP, log: str = kmsg.PATH) -> None:
        self._proc, self._cgroup, self._log = proc, cgroup, log

    def evidence(self, since: float | None = None) -> Evidence:
        """Read all that tells of kills, by the journal or else by the kernel's buffer.

        Raises NotPermittedError, UnsupportedError, LowmemError.
        """
        boot = self._boot()
        try:
            journal.check_readable()
            found = journal_evidence.evidence(boot, since)
            silent = None if _tells_of(boot, found) else LowmemError(_SILENT)
        except LowmemError as error:
            found, silent = Evidence(boot, since=since), error
        if silent is not None:
            found = self._with_the_buffer(found, since, silent)
        return self._with_the_present(found)

    def lines(self, since: float) -> str:
        """See ``Witness``. Raises as ``evidence``."""
        reading = Reading(journal.killers(), since=since, most=MOST_LINES, seconds=SECONDS)
        return "\n".join([journal.as_json(entry) for entry in reading.entries()][::-1])

    def report(self, reference: str) -> ReportText:
        """Read a report whole. Raises RefusedError if it is gone, and as ``evidence``."""
        if reference.startswith("kmsg:"):
            try:
                newest = list(kmsg.lines(self._boot(), self._log))[::-1]
            except OSError as error:
                raise RefusedError(
                    msg("The kernel's log cannot be read: {error}.", error=str(error.strerror))
                ) from error
            places = [line.reference for line in newest]
            lines = newest[places.index(reference) :] if reference in places else []
        else:
            options = [f"--cursor={reference}"]
            reading = Reading(
                ["_TRANSPORT=kernel"], options=options, most=MOST_LINES, seconds=SECONDS
            )
            lines = _report_lines(reading)
        texts = kernel_log.last_report(lines)
        if not texts:
            raise RefusedError(msg("This report is no longer in the log: it was rotated away."))
        return ReportText(texts, parse_table(texts, os.sysconf("SC_PAGE_SIZE")))

    def _boot(self) -> str:
        raw = read(f"{self._proc}/sys/kernel/random/boot_id") or b""
        return procfs.text(raw.strip()).replace("-", "")

    def _with_the_buffer(
        self, found: Evidence, since: float | None, error: LowmemError
    ) -> Evidence:
        """Add what the kernel's buffer holds; ``error`` is why the journal does not tell it."""
        try:
            reports, events = _of_the_buffer(kmsg.lines(found.boot, self._log), since or 0.0)
        except PermissionError:
            if isinstance(error, NotPermittedError):
                raise error from None
            raise NotPermittedError(
                sentences(
                    error.message,
                    msg("The kernel's own buffer may not be read: run this as root."),
                )
            ) from None
        except OSError:
            raise error from None
        return replace(
            found,
            reports=(*found.reports, *reports),
            events=(*found.events, *events),
            outcomes=bool(events),
            notes=(
                *found.notes,
                sentences(
                    error.message,
                    msg("Until then: what the kernel's own buffer holds of this boot."),
                ),
            ),
        )

    def _with_the_present(self, found: Evidence) -> Evidence:
        """Add what runs now, and the kernel's counters."""
        named = {r.unit for r in found.reports} | {e.unit for e in found.events}
        named |= {k.unit for k in found.killings}
        running: set[str] = set()
        counters: dict[str, int] = {}
        try:
            root = os.open(self._cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            root = -1
        if root >= 0:
            try:
                for group in walk(root):
                    if group.slice:
                        continue
                    if group.name in named and populated(group.path, root):
                        running.add(group.name)
                    raw = read(f".{group.path}/memory.events", root)
                    if kills := each(parse_oom_kills, raw):
                        counters[group.name] = kills
            finally:
                os.close(root)
        total = each(procfs.parse_oom_kills, read_whole(f"{self._proc}/vmstat"))
        now = time.time()
        return replace(
            found,
            now=now,
            booted=now - time.clock_gettime(time.CLOCK_BOOTTIME),
            running=frozenset(running),
            counters=counters,
            kills=total,
        )


_WANTED = journal_evidence.WANTED

_SILENT = (
    "The journal has nothing of this boot: check that systemd-journald runs, and that Storage= in "
    "journald.conf is not none."
)


def _of_the_buffer(
    lines: Iterable[Line], since: float
) -> tuple[tuple[OomReport, ...], list[UnitEvent]]:
    """Return the reports in the kernel's buffer, and what PID 1 wrote there."""
    reader, reports, events = kernel_log.Reader(), list[OomReport](), list[UnitEvent]()
    for line in lines:
        if line.time < since:
            continue
        if line.text.startswith(pid1_text.PREFIX):
            if (reported := pid1_text.event(line.text[len(pid1_text.PREFIX) :])) is not None:
                events.append(UnitEvent(line.time, line.boot, *reported))
        elif _WANTED.search(line.text):
            reader.take(line)
            reports += reader.ready()
    reader.finish()
    reports += reader.ready()
    return tuple(reports[-MOST:]), events[-MOST:]


def _tells_of(boot: str, found: Evidence) -> bool:
    """Return whether the journal has anything of this boot: without a file journalctl is silent."""
    boots = {r.boot for r in found.reports} | {e.boot for e in found.events}
    if boot in boots | {k.boot for k in found.killings}:
        return True
    matches = [f"_BOOT_ID={boot}"] if boot else []
    reading = Reading(matches, options=["--lines=1"], most=1, seconds=SECONDS)
    return any(True for _ in reading.entries()) or reading.cut


def _report_lines(reading: Reading) -> list[Line]:
    return [
        kernel_log.Line(entry.time, entry.boot, entry.message, entry.cursor)
        for entry in _until_begun(reading.entries())
    ]


def _until_begun(entries: Iterable[journal.Entry]) -> Iterable[journal.Entry]:
    for entry in entries:
        yield entry
        if kernel_log.BEGINS in entry.message or "page allocation failure: " in entry.message:
            return
