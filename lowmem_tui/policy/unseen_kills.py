"""Which units lost a process to the OOM killer since the operator last looked at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot, Unit


class UnseenKills:
    """Counts from one snapshot to the next; what happened before the first one is history."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int | None, bool]] = {}
        self.totals: dict[str, int] = {}
        """Of each unit, since the first snapshot."""
        self._seen: dict[str, int] = {}
        self._counted: set[str] = set()
        """Units whose kill their group's counter has shown: systemd's result is no news."""

    def update(self, snapshot: Snapshot) -> None:
        """Compare with the last snapshot."""
        last, self._last = self._last, {n: _state(u) for n, u in snapshot.units.items()}
        for name, (count, dead) in self._last.items():
            if name not in last:
                continue
            before, was_dead = last[name]
            if count is not None:
                # A group that was created again counts from 0.
                grown = count - before if before is not None and before <= count else count
                if grown:
                    self._counted.add(name)
            else:
                # The group went with its process before its counter could be read.
                grown = int(dead and not was_dead and name not in self._counted)
                if was_dead and not dead:
                    self._counted.discard(name)
            if before is None and count is not None and not grown:
                self._counted.discard(name)
            if grown:
                self.totals[name] = self.totals.get(name, 0) + grown

    def unseen(self, unit: str) -> int:
        """Return the kills since the operator last looked at the unit."""
        return self.totals.get(unit, 0) - self._seen.get(unit, 0)

    def looked_at(self, unit: str) -> None:
        """Forget them: the operator has opened the unit's page."""
        self._seen[unit] = self.totals.get(unit, 0)


def _state(unit: Unit) -> tuple[int | None, bool]:
    count = unit.usage.memory.oom_kills if unit.usage else None
    return count, bool(unit.properties and unit.properties.result == "oom-kill")
