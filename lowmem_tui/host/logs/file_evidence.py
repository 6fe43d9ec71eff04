"""A log file of another machine: what it tells of kills and of shortages."""

from __future__ import annotations

import io
from collections import deque
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.host.cgroupfs import owner
from lowmem_tui.host.logs import journal, kernel_log
from lowmem_tui.host.logs.killers import Killers
from lowmem_tui.host.logs.log_entries import Entries
from lowmem_tui.host.logs.log_file import LogFile, open_log
from lowmem_tui.host.logs.oom_text import summary
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.incident import Clock, EventKind, Evidence, OomReport, UnitEvent
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from lowmem_tui.host.logs.log_entries import Seen
    from lowmem_tui.model.incident import Killing, ReportText
    from lowmem_tui.model.message import Message

MOST = 4000
"""Kills that are kept, the newest; what killed nothing is folded and takes no place of theirs."""

MOST_EVENTS = 20_000
MOST_UNITS = 4096

_TELLING = frozenset({EventKind.OOM, EventKind.OOMD, EventKind.TOO_OFTEN})


class FileWitness:
    """model.ports.Witness of a log file, or of standard input (``-``)."""

    def __init__(self, path: str, now: float) -> None:
        self._path, self._now = path, now

    def evidence(self, since: float | None = None) -> Evidence:
        """Read the file, once. Raises InvalidValueError, NotPermittedError."""
        with closing(open_log(self._path)) as source:
            return _read(source, self._path, self._now, since)

    def lines(self, since: float) -> str:  # noqa: ARG002
        """Raise RefusedError: a log file is read once, as a stream."""
        raise _read_once()

    def report(self, reference: str) -> ReportText:  # noqa: ARG002
        """Raise RefusedError: a log file is read once, as a stream."""
        raise _read_once()


def _read_once() -> RefusedError:
    return RefusedError(msg("The reports of a log file are in it: it is not read again."))


class LinesWitness(FileWitness):
    """model.ports.Witness of lines that were kept: those of a recording."""

    def __init__(self, lines: bytes, name: str, now: float) -> None:
        super().__init__(name, now)
        self._lines = lines

    def evidence(self, since: float | None = None) -> Evidence:
        """Read the lines."""
        if not self._lines:
            return Evidence("", since=since, now=self._now)
        source = LogFile(io.BytesIO(self._lines), self._path)
        return replace(_read(source, self._path, self._now, since), now=self._now)


def _read(source: LogFile, path: str, now: float, since: float | None) -> Evidence:
    entries = Entries(io.BufferedReader(source, 1 << 18), now)
    found = _Found(since)
    for seen in entries.read():
        found.take(seen)
    found.over()
    return found.evidence([*source.notes, *_doubts(entries, found, path)])


def _doubts(entries: Entries, found: _Found, path: str) -> list[Message]:
    name = of_path(plain(path, 200))
    if not entries.lines:
        return [msg("{path} is empty.", path=name)]
    if not entries.understood and not found.any:
        return [
            msg(
                "{path} has no lines of a log that is known: give it what `dmesg`, `journalctl -k` "
                "or /var/log/kern.log has.",
                path=name,
            )
        ]
    return [_UNDATED] if found.undated else []


_UNDATED = msg(
    "The times of this log count from the boot, or are not there at all: `dmesg -T` and "
    "`journalctl -o short-iso` give dates."
)


class _Found:
    """What was found so far."""

    def __init__(self, since: float | None) -> None:
        self._since = since
        self._reader = kernel_log.Reader()
        self._killers = Killers()
        self._reports: deque[OomReport] = deque(maxlen=MOST)
        self._kills = 0
        self._events: deque[UnitEvent] = deque(maxlen=MOST_EVENTS)
        self._killings: deque[Killing] = deque(maxlen=MOST)
        self._concerned: dict[str, None] = {}
        """Units whose outcome matters."""
        self._clocks: dict[str, Clock] = {}
        self._last = ""
        self._spoke = False
        """systemd's messages are in the log."""

    @property
    def any(self) -> bool:
        """Whether anything was found."""
        return bool(self._reports or self._killings or self._events)

    @property
    def undated(self) -> bool:
        """Whether some times are no dates."""
        return bool(self._clocks)

    def take(self, seen: Seen) -> None:
        """Take an entry."""
        entry, clock = seen.entry, seen.clock
        if clock is Clock.WALL and entry.time < (self._since or 0):
            return
        self._last = entry.boot
        if entry.kernel and not journal.of_pid1(entry):
            self._kernel(seen)
        elif (event := journal.event(entry)) is not None:
            self._event(event, clock)
        elif program := journal.program(entry):
            for killing in self._killers.take(entry.time, entry.boot, program, entry.message):
                self._killed(killing)
            self._mark(entry.boot, clock)

    def _kernel(self, seen: Seen) -> None:
        entry = seen.entry
        if not kernel_log.wanted(entry.message):
            for killing in self._killers.take(entry.time, entry.boot, "kernel", entry.message):
                self._killed(killing)
            return
        self._mark(entry.boot, seen.clock)
        if entry.message.startswith("oom-kill:") and (group := summary(entry.message).cgroup):
            self._concern(owner(group)[1])
        self._reader.take(kernel_log.Line(entry.time, entry.boot, entry.message, "", seen.context))
        self._take_ready()

    def _take_ready(self) -> None:
        for report in self._reader.ready():
            self._kills += report.victim is not None
            self._reports.append(report)

    def _event(self, event: UnitEvent, clock: Clock) -> None:
        self._spoke = True
        telling = event.kind in _TELLING or event.detail in journal.KILLED_BY
        if telling:
            self._concern(event.unit)
        if telling or event.unit in self._concerned:
            self._mark(event.boot, clock)
            self._events.append(event)

    def _killed(self, killing: Killing) -> None:
        self._killings.append(killing)
        self._concern(killing.unit)

    def _concern(self, unit: str) -> None:
        if unit and len(self._concerned) < MOST_UNITS:
            self._concerned[unit] = None

    def _mark(self, boot: str, clock: Clock) -> None:
        if clock is not Clock.WALL:
            self._clocks.setdefault(boot, clock)

    def over(self) -> None:
        """Go by what there is: nothing more will come."""
        self._reader.finish()
        self._take_ready()
        for killing in self._killers.over():
            self._killed(killing)

    def evidence(self, notes: list[Message]) -> Evidence:
        """Return all of it, once it is over."""
        if self._kills > MOST:
            notes.append(
                msg("Of {kills} kills the last {most} are shown.", kills=self._kills, most=MOST)
            )
        return Evidence(
            "",
            tuple(self._reports),
            tuple(self._events),
            tuple(self._killings),
            self._clocks,
            self._last,
            since=self._since,
            outcomes=self._spoke,
            notes=tuple(notes),
        )
