"""What a plan's checks get: a unit that is to be edited, an edit of it, the unit as it will be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lowmem_tui.model.plan import Notice
from lowmem_tui.model.unit import MEMORY_KEYS, Key, unit_type
from lowmem_tui.policy.forecast.oom import cap_above, members, usable_swap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Situation, Unit, UnitSituation
    from lowmem_tui.model.unit import Tier, UnitProperties, Value
    from lowmem_tui.model.usage import Process

RUNNING = frozenset({"active", "activating", "reloading", "deactivating", "refreshing"})
"""Active states in which processes may run."""


@dataclass(frozen=True, slots=True)
class UnitCase:
    """A unit that is to be edited."""

    asked: str
    known: UnitSituation
    properties: UnitProperties
    situation: Situation
    drops_only: bool
    """Whether every edit of it only drops a setting of ours."""
    at_restart: bool = False
    """Whether running processes keep their values: the change counts from the next start on."""

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
    beside: Mapping[Key, Value] = field(default_factory=dict)
    """What the same plan makes of the unit's other settings."""
    dropped: bool = False
    """Whether it is the result of dropping our setting."""

    @property
    def limit(self) -> int | None:
        """The wanted bytes, if this is a finite limit."""
        if self.key in MEMORY_KEYS and isinstance(self.wanted, int):
            return self.wanted
        return None

    def notice(self, code: str, words: Message, *, forceable: bool = False) -> Notice:
        """Return a notice for the unit."""
        return Notice(code, self.unit.name, words, forceable)


@dataclass(frozen=True, slots=True)
class After:
    """A unit as the plan leaves it."""

    case: UnitCase
    changed: Mapping[Key, Value]
    """What systemd will have loaded of the settings that change."""
    tier: Tier | None = None
    """None: none, or not known."""

    @property
    def name(self) -> str:
        """Its primary name."""
        return self.case.name

    def will(self, key: Key) -> Value | None:
        """Return what systemd will have loaded."""
        return self.changed.get(key, self.case.properties.loaded(key))

    def touches(self, *keys: Key) -> bool:
        """Tell whether one of these settings changes."""
        return any(key in self.changed for key in keys)

    @property
    def limit(self) -> int | None:
        """The finite MemoryMax that it will have, in bytes."""
        limit = self.will(Key.MEMORY_MAX)
        return limit if isinstance(limit, int) else None

    @property
    def processes(self) -> Sequence[Process]:
        """What runs of it now."""
        usage = self.case.known.unit.usage
        return usage.processes if usage else ()


def workers(after: After) -> list[Process]:
    """Return the processes that are of the same program as the main one, and are not it."""
    return workers_of(after.case.known.unit)


def workers_of(unit: Unit) -> list[Process]:
    """Return the processes of a unit that are of the same program as its main one, without it."""
    main = unit.properties.main_pid if unit.properties else 0
    processes = unit.usage.processes if unit.usage else ()
    name = next((p.name for p in processes if p.pid == main), None)
    return [p for p in processes if p.pid != main and p.name == name and not p.cgroup]


def unreclaimable(case: UnitCase) -> int | None:
    """Return the bytes that a limit cannot push out to files: anon + shmem, else the RSS."""
    usage = case.known.unit.usage
    return usage.unreclaimable if usage else None


def everyone(case: UnitCase) -> list[Process]:
    """Return the processes of a unit and, of a slice, of all units below it."""
    unit = case.known.unit
    found = members(case.situation.snapshot, unit) if unit_type(unit.name) == "slice" else (unit,)
    return [p for each in found if each.usage for p in each.usage.processes]


_ZSWAP = 3 / 2
"""What zswap has compressed is charged to the group still: so much more has to go out."""


def swap_left(case: UnitCase, most: Value | None = None) -> int:
    """Return the bytes of swap that a unit can still fill, its slices' MemorySwapMax included.

    ``most`` is the MemorySwapMax that it is to have; None for what it has.
    """
    host, usage = case.situation.snapshot.host, case.known.unit.usage
    if not case.situation.swap:
        return 0
    own = most if most is not None else case.properties.memory_swap_max
    if own is None and usage is not None:
        own = usage.memory.swap_max
    limit = own if isinstance(own, int) else None
    room = usable_swap(host, limit)
    if limit is not None and usage is not None:
        room = max(0, room - (usage.swap or 0))
    for other in case.situation.snapshot.units.values():
        above = other.usage
        if above is None or usage is None or not isinstance(above.memory.swap_max, int):
            continue
        if usage.cgroup.startswith(f"{above.cgroup.rstrip('/')}/") and above.cgroup != usage.cgroup:
            room = min(room, max(0, above.memory.swap_max - (above.swap or 0)))
    return min(room, host.swap_free)


def goes_into_swap(case: UnitCase, excess: int, most: Value | None = None) -> bool:
    """Tell whether swap can take so many bytes of a unit."""
    zswap = case.situation.snapshot.host.knobs.zswap
    return excess * (_ZSWAP if zswap else 1) <= swap_left(case, most)


def parent_cap(case: UnitCase) -> tuple[str, int] | None:
    """Return the slice with the least memory.max on the way up from a unit, and that limit."""
    usage = case.known.unit.usage
    path = usage.cgroup if usage else case.properties.control_group
    return cap_above(case.situation.snapshot, path)
