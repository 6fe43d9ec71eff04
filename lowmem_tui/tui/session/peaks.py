"""The most that each unit has needed since the screen was opened, through all its restarts.

The kernel's own mark (memory.peak) begins again with the group: after the very kill that
shows a need it knows nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.policy.budget import need

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.usage import UnitUsage

NEAR = 0.9
"""Whoever is killed above this part of its limit has needed all of it, and more."""


class Peaks:
    """Bytes of RAM, page cache apart."""

    def __init__(self) -> None:
        self._most: dict[str, int] = {}
        self._last: dict[str, UnitUsage] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Take one look."""
        last, self._last = self._last, {}
        for name, unit in snapshot.units.items():
            before = last.get(name)
            if unit.usage is not None:
                self._last[name] = unit.usage
            if unit.usage is before:
                continue
            most = max(self._most.get(name, 0), need(unit))
            if before is not None and _killed(before, unit):
                most = max(most, _limit_reached(before))
            self._most[name] = most
        self._most = {n: most for n, most in self._most.items() if n in snapshot.units}

    def of(self, name: str) -> int:
        """Return what a unit has needed; 0 if that is not known."""
        return self._most.get(name, 0)

    def into(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the peaks as they would be without the restarts."""
        raised = {n: u for n, u in snapshot.units.items() if u.usage and self.of(n) > need(u)}
        if not raised:
            return snapshot
        units = {name: _with_need(unit, self.of(name)) for name, unit in raised.items()}
        return replace(snapshot, units={**snapshot.units, **units})


def _killed(before: UnitUsage, unit: Unit) -> bool:
    kills = (unit.usage.memory.oom_kills or 0) if unit.usage else 0
    result = unit.properties.result if unit.properties else ""
    return kills > (before.memory.oom_kills or 0) or result == "oom-kill"


def _limit_reached(usage: UnitUsage) -> int:
    """Return the limit that a unit was close to when it was last seen; 0 if to none."""
    limit, held = usage.memory.max, usage.memory.current or 0
    return limit if isinstance(limit, int) and held >= NEAR * limit else 0


def _with_need(unit: Unit, most: int) -> Unit:
    if unit.usage is None:
        return unit
    memory = unit.usage.memory
    # As `need` takes the page cache off again.
    peak = most + max(0, (memory.file or 0) - (memory.shmem or 0))
    return replace(unit, usage=unit.usage._replace(memory=memory._replace(peak=peak)))
