"""What a check of ``preflight`` gets: a unit that is to be edited, an edit of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.plan import Notice
from lowmem_tui.model.unit import MEMORY_KEYS, Key, UnitType

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Situation, UnitSituation
    from lowmem_tui.model.unit import UnitProperties, Value

RUNNING = frozenset({"active", "activating", "reloading", "deactivating", "refreshing"})
"""Active states in which processes may run."""

_MEMORY = frozenset(MEMORY_KEYS)
KEYS_OF = {
    UnitType.SERVICE: frozenset(Key),
    UnitType.SCOPE: _MEMORY | {Key.OOM_POLICY},
    UnitType.SLICE: _MEMORY,
    UnitType.SOCKET: _MEMORY | {Key.OOM_SCORE_ADJUST},
    UnitType.MOUNT: _MEMORY | {Key.OOM_SCORE_ADJUST},
    UnitType.SWAP: _MEMORY | {Key.OOM_SCORE_ADJUST},
}
"""The settings that a type of unit can take (systemd.exec(5), systemd.resource-control(5))."""


@dataclass(frozen=True, slots=True)
class UnitCase:
    """A unit that is to be edited."""

    asked: str
    known: UnitSituation
    properties: UnitProperties
    situation: Situation
    drops_only: bool
    """Whether every edit of it only drops a setting of ours."""

    @property
    def name(self) -> str:
        """Its primary name."""
        return self.properties.name

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.properties.active_state in RUNNING


@dataclass(frozen=True, slots=True)
class EditCase:
    """A setting that is to get a value."""

    unit: UnitCase
    key: Key
    wanted: Value

    @property
    def limit(self) -> int | None:
        """The wanted bytes, if this is a finite limit."""
        if self.key in MEMORY_KEYS and isinstance(self.wanted, int):
            return self.wanted
        return None

    def notice(self, code: str, text: str, *, forceable: bool = False) -> Notice:
        """Return a notice for the unit."""
        return Notice(code, self.unit.name, text, forceable)


def unreclaimable(case: UnitCase) -> int | None:
    """Return the bytes that a limit cannot push out to files: anon + shmem, else the RSS."""
    usage = case.known.unit.usage
    if usage is None:
        return None
    if usage.memory.anon is None:
        return usage.rss
    return usage.memory.anon + (usage.memory.shmem or 0)


def parent_cap(case: UnitCase) -> tuple[str, int] | None:
    """Return the slice with the least memory.max on the way up from a unit, and that limit."""
    usage = case.known.unit.usage
    path = usage.cgroup if usage else case.properties.control_group
    best: tuple[str, int] | None = None
    for name, unit in case.situation.snapshot.units.items():
        limit = unit.usage.memory.max if unit.usage else None
        if (
            unit.usage
            and isinstance(limit, int)
            and path.startswith(unit.usage.cgroup.rstrip("/") + "/")
            and (best is None or limit < best[1])
        ):
            best = name, limit
    return best
