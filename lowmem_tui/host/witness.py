"""What this machine remembers of kills: its journal, its kernel's counters, what runs now."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.host import journal, kernel_log, kmsg, procfs
from lowmem_tui.host.cgroupfs import CGROUP, parse_oom_kills
from lowmem_tui.host.journal import Reading
from lowmem_tui.host.reading import each, read, read_whole
from lowmem_tui.host.task_table import parse_table
from lowmem_tui.host.tree import populated, walk
from lowmem_tui.model.errors import LowmemError, NotPermittedError, RefusedError
from lowmem_tui.model.incident import EventKind, Evidence, OomReport, ReportText, UnitEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.host.kernel_log import Line

MOST = 4000
"""Entries of the journal that are taken over of each kind: some hundred kills."""

SECONDS = 20.0
"""Time for each question to the journal."""

MOST_UNITS = 64
"""Units whose starts and ends are asked for."""

MOST_LINES = 3000
"""Lines of a report: some for the machine, then one for each process."""

BEFORE = 10.0
"""Seconds before the first kill from which on starts and ends are asked for."""


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
            found = _from_journal(boot, since)
            silent = None if _tells_of(boot, found) else LowmemError(_SILENT)
        except LowmemError as error:
            found, silent = Evidence(boot, since=since), error
        if silent is not None:
            found = self._with_the_buffer(found, since, silent)
        return self._with_the_present(found)

    def report(self, reference: str) -> ReportText:
        """Read a report whole. Raises RefusedError if it is gone, and as ``evidence``."""
        if reference.startswith("kmsg:"):
            try:
                newest = list(kmsg.lines(self._boot(), self._log))[::-1]
            except OSError as error:
                raise RefusedError(f"The kernel's log cannot be read: {error.strerror}.") from error
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
            raise RefusedError("This report is no longer in the log: it was rotated away.")
        return ReportText(texts, parse_table(texts, os.sysconf("SC_PAGE_SIZE")))

    def _boot(self) -> str:
        raw = read(f"{self._proc}/sys/kernel/random/boot_id") or b""
        return procfs.text(raw.strip()).replace("-", "")

    def _with_the_buffer(
        self, found: Evidence, since: float | None, error: LowmemError
    ) -> Evidence:
        """Add what the kernel's buffer holds; ``error`` is why the journal does not tell it."""
        try:
            wanted = [
                line
                for line in kmsg.lines(found.boot, self._log)
                if _WANTED.search(line.text) and line.time >= (since or 0)
            ][-MOST:]
        except PermissionError:
            if isinstance(error, NotPermittedError):
                raise error from None
            raise NotPermittedError(
                f"{error} The kernel's own buffer may not be read: run this as root."
            ) from None
        except OSError:
            raise error from None
        return replace(
            found,
            reports=(*found.reports, *kernel_log.parse(wanted)),
            outcomes=False,
            notes=(
                *found.notes,
                f"{error} Until then: what the kernel's own buffer holds of this boot.",
            ),
        )

    def _with_the_present(self, found: Evidence) -> Evidence:
        """Add what runs now, and the kernel's counters."""
        named = {r.unit for r in found.reports} | {e.unit for e in found.events}
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


_WANTED = re.compile(kernel_log.LINES)

_SILENT = (
    "The journal tells nothing of this boot: see that systemd-journald runs, and that Storage= in "
    "journald.conf is not none."
)


def _tells_of(boot: str, found: Evidence) -> bool:
    """Return whether the journal has anything of this boot: without a file journalctl is silent."""
    boots = {report.boot for report in found.reports} | {event.boot for event in found.events}
    if boot in boots:
        return True
    matches = [f"_BOOT_ID={boot}"] if boot else []
    reading = Reading(matches, options=["--lines=1"], most=1, seconds=SECONDS)
    return any(True for _ in reading.entries()) or reading.cut


def _from_journal(boot: str, since: float | None) -> Evidence:
    reading = Reading(journal.killers(), grep=_GREP, since=since, most=MOST, seconds=SECONDS)
    lines: list[Line] = []
    events: list[UnitEvent] = []
    oldest: float | None = None
    for entry in reading.entries():
        oldest = entry.time
        if entry.kernel:
            if _WANTED.search(entry.message):
                lines.append(kernel_log.Line(entry.time, entry.boot, entry.message, entry.cursor))
        elif (event := journal.event(entry)) is not None:
            events.append(event)
    reports = tuple(kernel_log.parse(reversed(lines)))
    notes = []
    if reading.cut:
        notes.append("The journal is long: only its newest part was read (see --since).")
    lives, events_since = _lives(reports, events, oldest)
    return Evidence(
        boot,
        reports,
        _in_order(events, lives),
        since=(oldest or time.time()) if reading.cut else since,
        events_since=events_since,
        notes=tuple(notes),
    )


def _lives(
    reports: Sequence[OomReport], events: Sequence[UnitEvent], oldest: float | None
) -> tuple[list[UnitEvent], float | None]:
    """Return the starts and ends of the units concerned; and what time they reach back to."""
    units = dict.fromkeys(
        unit for unit in (*(r.unit for r in reversed(reports)), *(e.unit for e in events)) if unit
    )
    # What is no unit's name would only be looked for in vain.
    names = [unit for unit in units if "/" not in unit][:MOST_UNITS]
    if not names or oldest is None:
        return [], None
    reading = Reading(journal.lives(names), since=oldest - BEFORE, most=MOST, seconds=SECONDS)
    found = [e for entry in reading.entries() if (e := journal.event(entry)) is not None]
    return found, found[-1].time if reading.cut and found else None


def _in_order(events: list[UnitEvent], lives: list[UnitEvent]) -> tuple[UnitEvent, ...]:
    """Return both, the oldest first; a result that both have counts once."""
    lives = [
        e for e in lives if e.kind is not EventKind.RESULT or e.detail not in journal.KILLED_BY
    ]
    # Both come newest first, and what has one time must stay in its order.
    return tuple(sorted([*events[::-1], *lives[::-1]], key=lambda e: e.time))


def _report_lines(reading: Reading) -> list[Line]:
    return [
        kernel_log.Line(entry.time, entry.boot, entry.message, entry.cursor)
        for entry in _until_begun(reading.entries())
    ]


def _until_begun(entries: Iterable[journal.Entry]) -> Iterable[journal.Entry]:
    for entry in entries:
        yield entry
        if kernel_log.BEGINS in entry.message:
            return


_GREP = (
    f"{kernel_log.LINES}|killed by the OOM killer|systemd-oomd killed|Failed with result"
    "|Start request repeated too quickly"
)
