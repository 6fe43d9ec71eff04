"""The kills of one shortage, in order: the victim, what ends with it, what the kill frees.

Pure: a snapshot in, a ranked prediction out. Sources: ``oom_kill_process`` and
``mem_cgroup_get_oom_group`` of the kernel (mm/oom_kill.c, mm/memcontrol.c), systemd.service(5)
(``OOMPolicy=``). The rules in words: docs/prediction.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast.oom import (
    OOM_SCORE_ADJ_MIN,
    Candidate,
    cgroup_kill_order,
    cgroup_total,
    instead,
    kill_order,
    limited,
    members,
    never_reached,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.usage import Process

BOX = ""
"""The domain that is the whole machine."""


class Goes(StrEnum):
    """What goes with a victim."""

    ALONE = "alone"
    """The one process, and whatever shares its memory."""
    GROUP = "group"
    """The kernel kills the group (memory.oom.group, ``OOMPolicy=kill``)."""
    UNIT = "unit"
    """systemd stops the unit: OOMPolicy=stop, or its main process is gone."""
    UNKNOWN = "unknown"
    """systemd has not reported the unit's OOMPolicy."""


class Kill(NamedTuple):
    """One kill, and what follows at once. Sizes are bytes."""

    victim: Candidate
    goes: Goes
    group: str
    """The unit that goes: the victim's own, or a slice above it that is killed as one."""
    others: tuple[Process, ...]
    """What goes with the victim."""
    ram: int
    """What the kill frees at most: pages that others map too stay."""
    swap: int
    left: int
    """What is in use in the domain, RAM and swap, after this kill and all before it."""


class Prediction(NamedTuple):
    """The OOM kill order of a domain without memory, as if nothing were restarted."""

    domain: str
    """BOX, or the unit (a service, a slice…) whose limit is reached."""
    limit: int
    """Bytes of RAM: the machine's, or the limit."""
    swap: int
    """Bytes of swap that may be used beside."""
    held: int
    """Bytes of RAM and swap in use."""
    kills: tuple[Kill, ...]
    never: Message | None = None
    """Why this limit is never reached, a clause; None if it may be."""
    instead: Message | None = None
    """What happens instead of a choice by score, a clause: the victim is unknown then."""

    @property
    def first(self) -> Kill | None:
        """The next OOM victim."""
        return self.kills[0] if self.kills else None


def predict(snapshot: Snapshot, domain: str = BOX, most: int | None = None) -> Prediction | None:
    """Return the kills of one domain, at most so many; None for a unit without a limit."""
    host = snapshot.host
    unit = snapshot.units.get(domain)
    never = never_reached(snapshot, unit) if unit else None
    if domain == BOX:
        held = host.mem_total - host.mem_available + host.swap_used
        limit, swap, order = host.mem_total, host.swap_total, kill_order(snapshot)
    else:
        memory = unit.usage.memory if unit and unit.usage else None
        if unit is None or unit.usage is None or memory is None or not isinstance(memory.max, int):
            return None
        limit, page = memory.max, host.page_size
        swap = cgroup_total(host, limit, memory.swap_max) * page - limit // page * page
        held = budget.in_use(unit)
        order = cgroup_kill_order(snapshot, domain)
    other = instead(host, group=domain != BOX)
    kills = () if never or other else tuple(_kills(snapshot, order, unit, held, most))
    return Prediction(domain, limit, swap, held, kills, never, other)


def predictions(snapshot: Snapshot, most: int | None = None) -> list[Prediction]:
    """Return the whole machine's kills, then those of every unit with a limit, fullest first."""
    found = [p for name in limited(snapshot) if (p := predict(snapshot, name, most))]
    found.sort(key=lambda p: (p.limit - budget.held(snapshot.units[p.domain]), p.domain))
    box = predict(snapshot, BOX, most)
    return [box, *found] if box else found


def _kills(
    snapshot: Snapshot, order: list[Candidate], domain: Unit | None, held: int, most: int | None
) -> Iterator[Kill]:
    together = [u for u in snapshot.units.values() if u.usage and u.usage.memory.oom_group]
    gone: set[int] = set()
    count, left = 0, held
    for victim in order:
        if victim.pid in gone:
            continue
        if count == most:
            return
        unit = snapshot.units[victim.unit]
        goes, group = fate(unit, victim, together, domain)
        others = tuple(p for p in _others(snapshot, goes, group) if p.pid not in gone)
        others = tuple(p for p in others if p.pid != victim.pid)
        gone.update((victim.pid, *(p.pid for p in others)))
        ram, swap = _gives(snapshot, victim, others, goes, group)
        left = max(0, left - ram - swap)
        count += 1
        yield Kill(victim, goes, group.name, others, ram, swap, left)


def fate(
    unit: Unit, victim: Candidate, together: list[Unit], domain: Unit | None
) -> tuple[Goes, Unit]:
    """Return what goes with a process of a unit, and the unit (or slice) that goes.

    ``together`` are the units with memory.oom.group; ``domain`` the one whose limit is reached,
    None for the machine.
    """
    top = _killed_as_one(unit, together, domain)
    if top is not None:
        return Goes.GROUP, top
    properties = unit.properties
    if properties is None:
        return Goes.UNKNOWN, unit
    if properties.oom_policy in {"stop", "kill"}:
        return Goes.UNIT, unit
    if victim.pid == properties.main_pid:
        # OOMPolicy=continue or none: but a service ends with its main process.
        return Goes.UNIT, unit
    return Goes.ALONE, unit


def _killed_as_one(unit: Unit, together: list[Unit], domain: Unit | None) -> Unit | None:
    """``mem_cgroup_get_oom_group``: the highest one up to the domain."""
    if unit.usage is None:
        return None
    path = f"{unit.usage.cgroup.rstrip('/')}/"
    root = f"{domain.usage.cgroup.rstrip('/')}/" if domain and domain.usage else "/"
    best: tuple[int, Unit] | None = None
    for other in together:
        here = f"{other.usage.cgroup.rstrip('/')}/" if other.usage else ""
        inside = here and path.startswith(here) and here.startswith(root)
        if inside and (best is None or len(here) < best[0]):
            best = len(here), other
    return best[1] if best else None


def _others(snapshot: Snapshot, goes: Goes, group: Unit) -> Iterator[Process]:
    if goes in {Goes.ALONE, Goes.UNKNOWN}:
        return
    for unit in members(snapshot, group):
        processes = unit.usage.processes if unit.usage else ()
        killed = [p for p in processes if p.oom_score_adj != OOM_SCORE_ADJ_MIN and p.pid != 1]
        # oom_kill_memcg_member spares the others; systemd stops them with their unit.
        whole = goes is Goes.UNIT or _is_stopped(unit, killed)
        yield from processes if whole else killed


def _is_stopped(unit: Unit, killed: Sequence[Process]) -> bool:
    """Tell whether systemd stops a unit of which these were killed."""
    properties = unit.properties
    if properties is None or not killed:
        return False
    main = properties.main_pid
    return properties.oom_policy in {"stop", "kill"} or any(p.pid == main for p in killed)


def _gives(
    snapshot: Snapshot, victim: Candidate, others: tuple[Process, ...], goes: Goes, group: Unit
) -> tuple[int, int]:
    """Return RAM and swap that a kill frees at most."""
    ram = victim.rss + sum(p.rss for p in others)
    swap = victim.swap + sum(p.swap or 0 for p in others)
    usage = group.usage
    if goes in {Goes.ALONE, Goes.UNKNOWN} or usage is None:
        return ram, swap
    # What its processes share is counted once by the group.
    if usage.memory.current is not None:
        ram = min(ram, usage.memory.current)
    if usage.swap is not None:
        swap = min(swap, usage.swap) if swap else usage.swap
    return min(ram, snapshot.host.mem_total), swap
