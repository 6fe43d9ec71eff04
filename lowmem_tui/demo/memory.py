"""The demo server's kernel: control groups, processes, reclaim, swap, and the OOM killer.

Simple, but with the kernel's order of things: page cache goes first, then anonymous memory to
swap, and only what fits nowhere is a reason to kill.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.demo.badness import badness, oom_score
from lowmem_tui.demo.roster import KIB, MIB, RAM, RESERVED, SWAP
from lowmem_tui.model.settings import CGROUP_FILES
from lowmem_tui.model.unit import INFINITY, Unlimited
from lowmem_tui.model.usage import Pressure, Process, Stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lowmem_tui.model.unit import Limit

PAGE = 4096
WHOLE = -PAGE
"""``size & WHOLE`` is the whole pages of a size."""

STEP = 0.5
"""Seconds of one step of the simulation."""

MIN_FREE = 26 * MIB
"""What the kernel keeps free of everything."""

OTHER_CACHE = (22 * MIB, 150 * MIB)
"""Page cache that belongs to no unit: at least, at most."""


_WEIGHTS = tuple(1 - math.exp(-STEP / span) for span in (10, 60, 300))
"""What a step weighs in each average of PSI."""


class Task:
    """A process. Sizes in bytes."""

    __slots__ = (
        "adj", "anon", "below", "command", "file", "hot", "name", "pid", "ppid", "seen", "start",
        "swap", "uid",
    )  # fmt: skip

    def __init__(
        self, pid: int, start: int, ppid: int, name: str, command: str, uid: int, adj: int
    ) -> None:
        self.pid, self.start, self.ppid = pid, start, ppid
        self.name, self.command, self.uid, self.adj = name, command, uid, adj
        self.anon = self.file = self.swap = 0
        self.hot = 0
        """What it touches too often for it to be swapped out."""
        self.below = ""
        self.seen: Process | None = None

    @property
    def rss(self) -> int:
        """VmRSS."""
        return (self.anon & WHOLE) + (self.file & WHOLE)

    @property
    def page_tables(self) -> int:
        """VmPTE."""
        return (40 * KIB + (self.anon + self.file + self.swap) // 480) & WHOLE

    @property
    def pages(self) -> int:
        """What the OOM killer weighs."""
        return (self.rss + (self.swap & WHOLE) + self.page_tables) // PAGE

    def process(self, total: int) -> Process:
        """Return it as the sampler shows it; the same object while nothing has changed.

        ``total`` is the pages of RAM and swap.
        """
        score = 0 if self.pid == 1 else oom_score(self.pages, self.adj, total)
        new = Process(
            self.pid, self.start, self.ppid, self.name, self.uid, self.rss, self.swap & WHOLE,
            self.page_tables, score, self.adj, self.command, self.below,
        )  # fmt: skip
        if self.seen is None or new != self.seen:
            self.seen = new
        return self.seen


class Gauge:
    """One PSI file: averages that forget (Documentation/accounting/psi.rst)."""

    __slots__ = ("_averages", "_quiet", "_shown", "_totals")

    def __init__(self) -> None:
        self._averages = [0.0] * 6
        self._totals = [0, 0]
        self._quiet = True
        self._shown: Pressure | None = None

    def feed(self, some: float) -> None:
        """Take over the share of a step, 0 to 1, in which a task was stalled."""
        if self._quiet and not some:
            return
        self._shown = None
        for line, share in enumerate((some, some * some)):
            self._totals[line] += int(share * STEP * 1_000_000)
            for place, weight in enumerate(_WEIGHTS):
                at = line * 3 + place
                value = self._averages[at]
                value += (100 * share - value) * weight
                self._averages[at] = value if value >= 0.004 else 0.0
        self._quiet = not any(self._averages)

    def pressure(self) -> Pressure:
        """Return what the file says."""
        if self._shown is None:
            self._shown = self._round()
        return self._shown

    def _round(self) -> Pressure:
        a, b, c, d, e, f = (round(value, 2) for value in self._averages)
        return Pressure(Stall(a, b, c, self._totals[0]), Stall(d, e, f, self._totals[1]))


class Sizes(NamedTuple):
    """Of memory.stat and memory.swap.current, bytes."""

    anon: int
    file: int
    """Cache, shmem, mapped files."""
    shmem: int
    kernel: int
    """Page tables, stacks, slab."""
    swap: int

    @property
    def current(self) -> int:
        """memory.current."""
        return self.anon + self.file + self.kernel


class Cgroup:
    """A control group that is a unit. Sizes in bytes."""

    def __init__(
        self, name: str, path: str, above: tuple[Cgroup, ...] = (), *, inner: bool = False
    ) -> None:
        self.name, self.path = name, path
        self.line = (self, *above)
        """Itself and those above it, up to the root."""
        self.inner = inner
        """A slice: units are below it, no processes in it."""
        self.tasks: list[Task] = []
        self.cache = self.shmem = 0
        self.limits: dict[str, Limit] = dict.fromkeys(CGROUP_FILES.values(), INFINITY)
        self.peak = self.oom_kills = 0
        self.oom_group = False
        self.gauge = Gauge()
        self.stall = 0.0
        """The share of the present step that its tasks have lost to reclaim and swap."""
        self.slowed = 0.0
        """The same of the step before."""
        self._sizes: Sizes | None = None

    def touch(self) -> None:
        """Compute it again: its processes or its cache have changed."""
        self._sizes = None

    def sizes(self) -> Sizes:
        """Return what its own processes and files take."""
        if self._sizes is None:
            self._sizes = self._weigh()
        return self._sizes

    def _weigh(self) -> Sizes:
        anon = swap = mapped = kernel = 0
        for task in self.tasks:
            anon += task.anon & WHOLE
            swap += task.swap & WHOLE
            mapped = max(mapped, task.file)
            kernel += task.page_tables + 52 * KIB
        shmem = self.shmem & WHOLE
        # Processes of one unit map the same files.
        file = (self.cache & WHOLE) + (mapped & WHOLE) + shmem
        return Sizes(anon, file, shmem, 96 * KIB + kernel if self.tasks else 0, swap)


class Decision(NamedTuple):
    """A decision of the OOM killer, before it is carried out."""

    limited: Cgroup | None
    """The group whose limit is reached; None for the machine."""
    groups: Sequence[Cgroup]
    """Where it looked for a victim."""
    group: Cgroup
    victim: Task
    victims: Sequence[Task]
    """All who die: the victim, or its whole group."""


class Memory:
    """All groups, and who gets which memory."""

    def __init__(
        self,
        killed: Callable[[Cgroup, Task], None],
        decided: Callable[[Decision], None] = lambda _: None,
    ) -> None:
        """``killed`` is called for each process that the OOM killer has taken.

        ``decided`` of whom it has chosen, before that.
        """
        self.groups: dict[str, Cgroup] = {}
        self.gauge = Gauge()
        self.oom_kills = 0
        self.swap_total = SWAP
        """Bytes: all that is on."""
        self._killed, self._decided = killed, decided
        self._stall = 0.0

    def below(self, path: str) -> list[Cgroup]:
        """Return a group and all groups below it."""
        if path in self.groups and not self.groups[path].inner:
            return [self.groups[path]]
        if path == "/":
            return list(self.groups.values())
        return [group for p, group in self.groups.items() if p == path or p.startswith(f"{path}/")]

    def free_swap(self) -> int:
        """SwapFree."""
        return max(0, self.swap_total - sum([group.sizes().swap for group in self.groups.values()]))

    def total(self) -> Sizes:
        """Return the sums over all groups."""
        columns = zip(*(group.sizes() for group in self._peopled()), strict=True)
        return Sizes(*map(sum, columns))

    def host(self) -> tuple[int, int]:
        """Return MemFree and MemAvailable (``si_mem_available`` of mm/show_mem.c)."""
        total = self.total()
        held, cache = _held(total), total.file - total.shmem
        room = RAM - held - cache - MIN_FREE
        cache += min(max(room, OTHER_CACHE[0]), OTHER_CACHE[1]) & WHOLE
        free = max(RAM - held - cache, 6 * MIB)
        return free, max(0, free + cache - min(cache // 2, 20 * MIB) - 8 * MIB)

    # One step

    def settle(self) -> None:
        """Hold every limit, and the machine's own: reclaim, swap, kill."""
        for path in sorted(self.groups, key=lambda p: -p.count("/")):
            if path in self.groups and path != "/":
                self.hold(path)
        self._hold_machine()

    def measure(self) -> None:
        """End a step: feed the gauges, move the peaks."""
        stalls: dict[str, float] = {}
        sizes: dict[str, int] = {}
        for group in self._peopled():
            self._stall = max(self._stall, 0.8 * group.stall)
            size = group.sizes().current
            for parent in group.line:
                stalls[parent.path] = max(stalls.get(parent.path, 0.0), group.stall)
                sizes[parent.path] = sizes.get(parent.path, 0) + size
        for path, group in self.groups.items():
            group.gauge.feed(min(0.95, stalls.get(path, 0.0)))
            group.slowed, group.stall = group.stall, 0.0
            group.peak = max(group.peak, sizes.get(path, 0))
        self.gauge.feed(min(0.95, self._stall))
        self._stall = 0.0

    def current(self, path: str) -> int:
        """memory.current of a group, all below it included."""
        return sum([group.sizes().current for group in self.below(path) if not group.inner])

    def hold(self, path: str) -> None:
        """Hold the limits of one group, as a charge or a write to memory.max does."""
        group = self.groups[path]
        high = group.limits["memory.high"]
        if not isinstance(high, Unlimited) and (over := self.current(path) - high) > 0:
            missing = over - self._reclaim(self.below(path), over, self._swap_room(path))
            # What cannot be reclaimed is paid for in waiting: nobody is killed for memory.high.
            self._lose(self.below(path), 0.9 if missing > 0 else over / (6 * MIB))
        limit = group.limits["memory.max"]
        if isinstance(limit, Unlimited):
            return
        near = self.current(path) / limit if limit else 1.0
        if near > 0.9:
            self._lose(self.below(path), min(1.0, (near - 0.9) * 10) ** 2 * 0.14)
        while (over := self.current(path) - limit) > 0:
            freed = self._reclaim(self.below(path), over, self._swap_room(path))
            self._lose(self.below(path), freed / (12 * MIB))
            if freed >= over:
                return
            bound = group.limits["memory.swap.max"]
            swap = self.swap_total
            if not isinstance(bound, Unlimited):
                swap = min(bound, swap)
            if not self._kill(self.below(path), (limit + swap) // PAGE, group):
                return

    def _hold_machine(self) -> None:
        while True:
            total = self.total()
            used = _held(total) + total.file - total.shmem
            over = used + OTHER_CACHE[0] + MIN_FREE - RAM
            if over <= 0:
                return
            groups = self._peopled()
            freed = self._reclaim(groups, over, self.free_swap())
            self._stall = max(self._stall, min(0.6, freed / (16 * MIB)))
            if freed >= over:
                return
            # Before it kills the kernel goes without what it would like to keep free.
            if used - freed < RAM - 14 * MIB:
                self._stall = max(self._stall, 0.2)
                return
            if not self._kill(groups, (RAM + self.swap_total) // PAGE):
                return

    def _peopled(self) -> list[Cgroup]:
        return [group for group in self.groups.values() if not group.inner]

    def _lose(self, groups: Iterable[Cgroup], share: float) -> None:
        for group in groups:
            group.stall = max(group.stall, min(share, 0.95))

    def _swap_room(self, path: str) -> int:
        room = self.free_swap()
        for group in self.groups[path].line:
            bound = group.limits["memory.swap.max"]
            if not isinstance(bound, Unlimited):
                room = min(room, bound - sum([g.sizes().swap for g in self.below(group.path)]))
        return max(0, room)

    def _reclaim(self, groups: Iterable[Cgroup], wanted: int, room: int) -> int:
        """Drop cache, then swap out, at most ``room``; return how many bytes that has freed."""
        peopled = [g for g in groups if not g.inner]
        freed = 0
        for group in sorted(peopled, key=lambda g: (-g.cache, g.path)):
            part = min(group.cache, wanted - freed)
            if part > 0:
                group.cache -= part
                group.touch()
                freed += part
        wanted_swap = min(_up(wanted - freed), room // PAGE * PAGE)
        for group, part in _shares(peopled, wanted_swap):
            part = min(part, self._swap_room(group.path))
            for task in group.tasks:
                out = min(part, _cold(task)) & WHOLE
                task.anon -= out
                task.swap += out
                part -= out
                freed += out
            group.touch()
        return freed

    # The OOM killer

    def _kill(self, groups: Sequence[Cgroup], total: int, limited: Cgroup | None = None) -> bool:
        """Kill the process of the highest badness; False if there is none to kill."""
        worst: tuple[int, int, Cgroup, Task] | None = None
        for group in groups:
            for task in group.tasks:
                points = None if task.pid == 1 else badness(task.pages, task.adj, total)
                # Of equals the kernel takes the first that it meets: the oldest.
                if points is not None and (worst is None or (points, -task.pid) > worst[:2]):
                    worst = points, -task.pid, group, task
        if worst is None:
            return False
        _, _, group, victim = worst
        victims = [t for t in group.tasks if t.adj != -1000] if group.oom_group else [victim]
        self._decided(Decision(limited, groups, group, victim, victims))
        for task in victims:
            if task in group.tasks:
                self.oom_kills += 1
                for parent in group.line:
                    parent.oom_kills += 1
                group.tasks.remove(task)
                group.touch()
                self._killed(group, task)
        return True


def _shares(groups: Iterable[Cgroup], wanted: int) -> list[tuple[Cgroup, int]]:
    """Share out how much each group must swap out, by what it has cold."""
    cold = [(group, sum(_cold(t) for t in group.tasks)) for group in groups]
    whole = sum(size for _, size in cold)
    if wanted <= 0 or whole <= 0:
        return []
    return [(g, min(size, _up(wanted * size // whole))) for g, size in cold if size]


def _cold(task: Task) -> int:
    return max(0, task.anon - task.hot)


def _held(total: Sizes) -> int:
    """Return what cannot be reclaimed without swap."""
    return RESERVED + total.anon + total.shmem + total.kernel


def _up(size: int) -> int:
    return -(-max(0, size) // PAGE) * PAGE
