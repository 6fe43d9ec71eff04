"""What the journal tells of kills and of shortages: its questions, and the answers put together."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.host.logs import backwards, journal, kernel_log, killers, pid1_text
from lowmem_tui.host.logs.backwards import Backwards
from lowmem_tui.host.logs.journal import Entry, Reading
from lowmem_tui.host.logs.killers import Killers
from lowmem_tui.model.incident import EventKind, Evidence, Killing, UnitEvent
from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


MOST = 4000
"""Entries of the journal that are taken over of each kind: some hundred kills."""

MOST_READ = 1_000_000
"""Entries that are read for it: of what killed nothing there may be very many."""

SECONDS = 20.0
"""Time for each question to the journal."""

MOST_UNITS = 64
"""Units whose starts and ends are asked for."""

MOST_ASKED = 16
"""Processes killed by earlyoom whose units are asked for."""

BEFORE = 10.0
"""Seconds before the first kill from which on starts and ends are asked for."""

WANTED = re.compile(kernel_log.LINES)

_WORDS = f"{pid1_text.LINES}|{killers.LINES}"
_GREP = f"{kernel_log.LINES}|{_WORDS}"
_CUT = msg("The journal is long: only its newest part was read (see --since).")


def evidence(boot: str, since: float | None) -> Evidence:
    """Return what the journal tells, ``since`` in seconds since 1970.

    Raises NotPermittedError, UnsupportedError, LowmemError.
    """
    found = _Found()
    cut = found.read(_GREP, since)
    if cut and found.kept < MOST:
        # What killed nothing has used up the time: the older kills are asked for alone.
        cut = found.read(f"{backwards.KILLS}|{_WORDS}", since, until=found.oldest)
    reports, killings = found.kernel.reports(), found.killings()
    units = [*(r.unit for r in reversed(reports)), *(k.unit for k in reversed(killings))]
    units += [event.unit for event in found.events]
    lives, events_since = _lives(units, found.oldest)
    return Evidence(
        boot,
        reports,
        _in_order(found.events, lives),
        tuple(killings),
        since=(found.oldest or time.time()) if cut else since,
        events_since=events_since,
        notes=(_CUT,) if cut else (),
    )


class _Found:
    """What was read so far, the newest first."""

    def __init__(self) -> None:
        self.kernel = Backwards()
        self.events: list[UnitEvent] = []
        self._reported: list[tuple[str, Entry]] = []
        """What other killers reported, each with the program's name."""
        self.oldest: float | None = None

    @property
    def kept(self) -> int:
        """How many entries are held."""
        return self.kernel.kept + len(self.events) + len(self._reported)

    def read(self, grep: str, since: float | None, until: float | None = None) -> bool:
        """Ask for more, and return whether there was more than is taken."""
        reading = Reading(
            journal.killers(), grep=grep, since=since, until=until, most=MOST_READ, seconds=SECONDS
        )
        with closing(reading.entries()) as entries:
            for entry in entries:
                if self.kept >= MOST:
                    return True
                self._take(entry)
        return reading.cut

    def _take(self, entry: Entry) -> None:
        self.oldest = entry.time
        if (event := journal.event(entry)) is not None:
            self.events.append(event)
        elif program := journal.program(entry):
            self._reported.append((program, entry))
        elif entry.kernel and not journal.of_pid1(entry) and WANTED.search(entry.message):
            self.kernel.take(kernel_log.Line(entry.time, entry.boot, entry.message, entry.cursor))

    def killings(self) -> list[Killing]:
        """Return the kills by other programs, the oldest first."""
        reader = Killers()
        found: list[Killing] = []
        for program, entry in reversed(self._reported):
            found += reader.take(entry.time, entry.boot, program, entry.message)
        found += reader.over()
        nameless = [k for k in reversed(found) if not k.unit and k.pid is not None][:MOST_ASKED]
        known = {killing: unit for killing in nameless if (unit := _unit_of(killing))}
        return [replace(k, unit=known[k]) if k in known else k for k in found]


def _unit_of(killing: Killing) -> str:
    """Return the unit of a process that has ended, if it ever wrote into the journal; else ""."""
    matches = [f"_PID={killing.pid}", f"_BOOT_ID={killing.boot}"]
    reading = Reading(matches, until=killing.time + 1, most=1, seconds=SECONDS)
    for entry in reading.entries():
        if entry.fields.get("_COMM", "") == killing.name[:15]:
            return entry.fields.get("_SYSTEMD_UNIT", "")
    return ""


def _lives(concerned: Iterable[str], oldest: float | None) -> tuple[list[UnitEvent], float | None]:
    """Return the starts and ends of the units concerned; and what time they reach back to."""
    # What is no unit's name would only be looked for in vain.
    units = dict.fromkeys(unit for unit in concerned if unit and "/" not in unit)
    names = list(units)[:MOST_UNITS]
    if not names or oldest is None:
        return [], None
    reading = Reading(journal.lives(names), since=oldest - BEFORE, most=MOST, seconds=SECONDS)
    found = [e for entry in reading.entries() if (e := journal.event(entry)) is not None]
    return found, found[-1].time if reading.cut and found else None


def _in_order(events: Sequence[UnitEvent], lives: list[UnitEvent]) -> tuple[UnitEvent, ...]:
    """Return both, the oldest first; what both have counts once."""
    lives = [
        e for e in lives if e.kind is not EventKind.RESULT or e.detail not in journal.KILLED_BY
    ]
    # Both come newest first, and what has one time must stay in its order.
    return tuple(sorted([*events[::-1], *lives[::-1]], key=lambda e: e.time))
