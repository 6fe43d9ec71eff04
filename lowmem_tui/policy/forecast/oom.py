"""Whom the kernel kills next: its own arithmetic (mm/oom_kill.c, Linux 5.9 and later), pure.

``oom_badness`` is counted in pages; the total is RAM + swap for a global kill, and the limit
(+ its swap) for a kill inside a control group. The rules and what is not known: docs/prediction.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_bytes, of_limit, of_unit
from lowmem_tui.model.unit import Unlimited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.unit import Limit
    from lowmem_tui.model.usage import HostUsage, Process, UnitUsage

OOM_SCORE_ADJ_MIN = -1000
"""include/uapi/linux/oom.h: such a process is never chosen."""

PANIC_ALWAYS = 2
"""vm.panic_on_oom: at a group's limit, too."""

_KTHREADD = 2


class Candidate(NamedTuple):
    """A process that the kernel could choose."""

    unit: str
    process: Process
    adj: int
    """Its oom_score_adj, a staged one included."""
    points: int
    """``oom_badness``, pages: what the kernel compares."""
    score: int
    """As /proc/PID/oom_score, with the total of this kill."""

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    @property
    def name(self) -> str:
        """``comm``: not safe to print as it is."""
        return self.process.name

    @property
    def rss(self) -> int:
        """Bytes."""
        return self.process.rss

    @property
    def swap(self) -> int:
        """Bytes; 0 if that is not known."""
        return self.process.swap or 0


def badness(rss: int, swap: int, page_tables: int, adj: int, total: int) -> int:
    """Return ``oom_badness``: VmRSS + VmSwap + VmPTE + adj × (total / 1000), all in pages."""
    return rss + swap + page_tables + adj * (total // 1000)


def oom_score(points: int, total: int) -> int:
    """Return /proc/PID/oom_score for a badness; ``points`` and ``total`` in pages.

    ``proc_oom_score`` of fs/proc/base.c, whose divisions cut towards zero.
    """
    scaled = abs(points) * 1000 // max(1, total)
    return max(0, (1000 + (scaled if points >= 0 else -scaled)) * 2 // 3)


def score_of(process: Process, host: HostUsage) -> int:
    """Return /proc/PID/oom_score, recomputed from the other files of /proc (``proc_oom_score``).

    0 for whom the kernel never chooses. What is not known of the process counts as nothing.
    """
    adj = process.oom_score_adj or 0
    if adj == OOM_SCORE_ADJ_MIN or not killable(process):
        return 0
    page, total = host.page_size, global_total(host)
    swap, tables = (process.swap or 0) // page, (process.page_tables or 0) // page
    return oom_score(badness(process.counted // page, swap, tables, adj, total), total)


def global_total(host: HostUsage) -> int:
    """Return the pages of RAM + swap."""
    return host.mem_total // host.page_size + host.swap_total // host.page_size


def cgroup_total(host: HostUsage, limit: int, swap_max: Limit | None) -> int:
    """Return ``mem_cgroup_get_max``, pages: the limit, and the swap that the group may use.

    Of its own files alone: neither RAM nor a parent's limit bounds it. None for ``swap_max`` (not
    known) is taken for infinity. With vm.swappiness=0 no swap counts.
    """
    return limit // host.page_size + usable_swap(host, swap_max) // host.page_size


def usable_swap(host: HostUsage, swap_max: Limit | None) -> int:
    """Return the bytes of swap that a group may fill at its limit, if all of it were free."""
    swap = host.swap_total if host.knobs.swappiness != 0 else 0
    return min(swap, swap_max) if isinstance(swap_max, int) else swap


def spare_swap(host: HostUsage, usage: UnitUsage) -> int:
    """Return the bytes of swap that a group can still fill when it is at its limit."""
    own = usable_swap(host, usage.memory.swap_max) - (usage.swap or 0)
    return max(0, min(own, host.swap_free))


def kill_order(snapshot: Snapshot, adjustments: Mapping[str, int] | None = None) -> list[Candidate]:
    """Return all that can be killed when the machine is out of memory, the first victim first.

    ``adjustments`` are staged: unit → OOMScoreAdjust. They change the processes that still have
    the value their unit declares now, as applying does.
    """
    total = global_total(snapshot.host)
    found = [
        candidate
        for unit in snapshot.units.values()
        for candidate in _candidates(snapshot, unit, total, adjustments or {})
    ]
    found.sort(key=_by_age, reverse=True)
    return found


def next_victim(snapshot: Snapshot) -> Candidate | None:
    """Return the first of ``kill_order``, without making the others: this runs at each look."""
    page, total = snapshot.host.page_size, global_total(snapshot.host)
    step = total // 1000
    best: tuple[int, int, int] | None = None
    doomed: tuple[str, Process] | None = None
    for unit in snapshot.units.values():
        for process in unit.usage.processes if unit.usage else ():
            adj = process.oom_score_adj or 0
            points = adj * step + process.counted // page
            points += (process.swap or 0) // page + (process.page_tables or 0) // page
            key = points, process.start, process.pid
            if (best is None or key > best) and adj != OOM_SCORE_ADJ_MIN and killable(process):
                best, doomed = key, (unit.name, process)
    if best is None or doomed is None:
        return None
    name, process = doomed
    adj = process.oom_score_adj or 0
    return Candidate(name, process, adj, best[0], oom_score(best[0], total))


def instead(host: HostUsage, *, group: bool = False) -> Message | None:
    """Return what happens where the kernel chooses nobody by score, a clause; None where it does.

    For the whole machine, or for a ``group`` at its limit (``check_panic_on_oom``,
    ``out_of_memory``).
    """
    if host.knobs.panic_on_oom and (not group or host.knobs.panic_on_oom == PANIC_ALWAYS):
        return msg("the machine stops (vm.panic_on_oom)")
    if host.knobs.kill_asker and not group:
        return msg("the process that asks for memory is killed (vm.oom_kill_allocating_task)")
    return None


def _by_age(candidate: Candidate) -> tuple[int, int, int]:
    """Order as the kernel does: for_each_process goes by age, and of equals the last is chosen."""
    return candidate.points, candidate.process.start, candidate.process.pid


def limited(snapshot: Snapshot, staged: Mapping[str, Limit] | None = None) -> list[str]:
    """Return the units with a memory limit of their own, now or as staged, that run."""
    return [
        name
        for name, unit in snapshot.units.items()
        if unit.usage
        and (isinstance(unit.usage.memory.max, int) or isinstance((staged or {}).get(name), int))
    ]


def cap_above(snapshot: Snapshot, cgroup: str) -> tuple[str, int] | None:
    """Return the slice with the least memory.max on the way up from a group, and that, bytes."""
    best: tuple[str, int] | None = None
    for name, unit in snapshot.units.items():
        limit = unit.usage.memory.max if unit.usage else None
        if (
            unit.usage
            and isinstance(limit, int)
            and cgroup.startswith(unit.usage.cgroup.rstrip("/") + "/")
            and cgroup != unit.usage.cgroup
            and (best is None or limit < best[1])
        ):
            best = name, limit
    return best


def never_reached(snapshot: Snapshot, unit: Unit) -> Message | None:
    """Return why a unit never reaches its MemoryMax, a clause; None if it may, or has none."""
    limit = unit.usage.memory.max if unit.usage else None
    if unit.usage is None or not isinstance(limit, int):
        return None
    cap = cap_above(snapshot, unit.usage.cgroup)
    if cap is not None and cap[1] < limit:
        return msg("{slice} allows {limit}", slice=of_unit(cap[0], 60), limit=of_limit(cap[1]))
    ram = snapshot.host.mem_total
    return msg("the machine has {ram} of RAM", ram=of_bytes(ram)) if limit > ram else None


def cgroup_kill_order(
    snapshot: Snapshot,
    name: str,
    *,
    limit: Limit | None = None,
    swap_max: Limit | None = None,
    adjustments: Mapping[str, int] | None = None,
) -> list[Candidate]:
    """Return all that can be killed when a unit is at its memory limit, the first victim first.

    ``limit`` and ``swap_max`` are staged; None keeps the kernel's present ones. Empty for a unit
    without a limit: nothing is killed for its sake.
    """
    unit = snapshot.units.get(name)
    if unit is None or unit.usage is None:
        return []
    bound = unit.usage.memory.max if limit is None else limit
    if bound is None or isinstance(bound, Unlimited):
        return []
    swap = unit.usage.memory.swap_max if swap_max is None else swap_max
    total = cgroup_total(snapshot.host, bound, swap)
    found = [
        candidate
        for member in members(snapshot, unit)
        for candidate in _candidates(snapshot, member, total, adjustments or {})
    ]
    paths = {c.pid: _path(snapshot, c) for c in found}
    born = _births((paths[c.pid], c.process) for c in found)
    # mem_cgroup_scan_tasks walks the groups from the top down, of siblings the oldest first; of
    # equals the last one is chosen.
    found.sort(
        key=lambda c: (c.points, [born[p] for p in _upwards(paths[c.pid])], *_by_age(c)[1:]),
        reverse=True,
    )
    return found


def _path(snapshot: Snapshot, candidate: Candidate) -> str:
    """Return the control group that a process is in, the one below its unit's included."""
    usage = snapshot.units[candidate.unit].usage
    return f"{usage.cgroup if usage else ''}/{candidate.process.cgroup}".rstrip("/")


def _upwards(path: str) -> list[str]:
    """Return a path and all above it, the root first."""
    parts = path.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _births(members: Iterable[tuple[str, Process]]) -> dict[str, tuple[int, int, str]]:
    """Return, for each control group, the start of its oldest process: about when it was made."""
    born: dict[str, tuple[int, int, str]] = {}
    for path, process in members:
        for above in _upwards(path):
            birth = process.start, process.pid, above
            if above not in born or birth < born[above]:
                born[above] = birth
    return born


def members(snapshot: Snapshot, unit: Unit) -> Iterable[Unit]:
    """Yield a unit and, of a slice, all units below it."""
    yield unit
    if unit.usage is None:
        return
    below = unit.usage.cgroup.rstrip("/") + "/"
    for other in snapshot.units.values():
        if other is not unit and other.usage and other.usage.cgroup.startswith(below):
            yield other


def _candidates(
    snapshot: Snapshot, unit: Unit, total: int, adjustments: Mapping[str, int]
) -> Iterable[Candidate]:
    if unit.usage is None:
        return
    page = snapshot.host.page_size
    staged = adjustments.get(unit.name)
    declared = declared_adjust(unit)
    for process in unit.usage.processes:
        adj = process.oom_score_adj or 0
        if staged is not None and adj == declared:
            adj = staged
        if adj == OOM_SCORE_ADJ_MIN or not killable(process):
            continue
        swap, tables = (process.swap or 0) // page, (process.page_tables or 0) // page
        points = badness(process.counted // page, swap, tables, adj, total)
        yield Candidate(unit.name, process, adj, points, oom_score(points, total))


def declared_adjust(unit: Unit) -> int:
    """Return the OOMScoreAdjust that systemd has loaded; 0, its default, if that is not known."""
    properties = unit.properties
    return (properties.oom_score_adjust or 0) if properties else 0


def killable(process: Process) -> bool:
    """Tell whether the kernel may choose it: not PID 1, no kernel thread, not without memory."""
    if process.pid in {1, _KTHREADD} or process.ppid == _KTHREADD:
        return False
    return bool(process.rss or process.swap or process.page_tables)
