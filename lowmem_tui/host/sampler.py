"""The sampler: all units and processes at each tick, for a few milliseconds of processor.

What it costs decides how it looks (measured: docs/performance.md):

- At each tick: the list of pids; statm of each process and memory.current of each group, from kept
  descriptors (an open costs five times the read); memory.swap.current and oom_score where one of
  these has changed.
- Everything else of a group or a process at its turn, so that each has one every ``PERIOD``
  seconds and every tick costs the same; all of it for what is new and for the watched unit.
- memory.events of every group as soon as /proc/vmstat counts one kill more.

A kept descriptor holds about 4 kB of kernel memory, hence the budget; beyond it files are opened
again. Values that have not changed are the same objects as in the sample before.
"""

from __future__ import annotations

import errno
import os
import resource
import time
from collections import deque
from typing import TYPE_CHECKING

from lowmem_tui.host import cgroupfs, machine, procfs, tree
from lowmem_tui.host.groups import Group
from lowmem_tui.host.reading import ABSENT, SMALL, read
from lowmem_tui.host.tasks import NOT_YET, first_sight
from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.usage import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lowmem_tui.host.tasks import Task
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.usage import HostUsage, UnitUsage

PERIOD = 5.0
"""Seconds within which every value is read again."""

WALK = 10.0
"""Seconds between two walks of the tree without a reason."""

STRANGERS = 20.0
"""Seconds within which a pid that is not shown (a kernel thread) is read again."""

DESCRIPTORS = 640
"""The most that are kept: 2.5 MB of kernel memory."""

SPARE = 384
"""Descriptors left to the rest of the program, below its RLIMIT_NOFILE."""


class ProcSampler:
    """Reads /proc and the cgroup v2 tree (model.ports.Sampler).

    Not safe for several threads at once, ``watch`` and ``refresh`` apart.
    """

    def __init__(
        self,
        proc: str = procfs.PROC,
        cgroup: str = cgroupfs.CGROUP,
        block: str = procfs.BLOCK,
        *,
        descriptors: int | None = None,
        page_size: int | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the two trees; raises UnsupportedError if one is not there.

        ``descriptors`` is the most that are kept, by default as many as the process may have open
        less ``SPARE``, at most ``DESCRIPTORS``.
        """
        self._proc_path, self._block = proc, block
        self._proc, self._cgroup = _tree(proc), _tree(cgroup)
        if descriptors is None:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            descriptors = min(DESCRIPTORS, max(0, limit - SPARE))
        self._budget = descriptors
        self._page_size = os.sysconf("SC_PAGE_SIZE") if page_size is None else page_size
        self._clock, self._monotonic = clock, monotonic
        self._watched: str | None = None
        self._whole = False
        self._last: float | None = None
        self._walk_at = 0.0
        self._names: list[str] = []
        self._totals = (0, 0)
        self._kills: int | None = None
        self._zram: list[str] = []
        self._knobs = machine.NO_KNOBS
        self._groups: dict[str, Group] = {}  # by path, parents first
        self._tasks: dict[int, Task] = {}
        self._strangers: set[int] = set()
        self._too_deep: set[int] = set()  # those of them whose group no path leads to
        self._failures: list[str] = []
        self._group_turns: deque[Group] = deque()
        self._task_turns: deque[Task] = deque()
        self._stranger_turns: deque[int] = deque()

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each sample."""
        self._watched = unit

    def refresh(self) -> None:
        """Put nothing off at the next sample: systemd or somebody else has changed settings."""
        self._whole = True

    def close(self) -> None:
        """Close every descriptor."""
        for task in self._tasks.values():
            task.close()
        for group in self._groups.values():
            group.close()
        self._tasks.clear()
        self._groups.clear()
        for fd in (self._proc, self._cgroup):
            if fd >= 0:
                os.close(fd)
        self._proc = self._cgroup = -1

    def sample(self) -> Sample:
        """Take one sample.

        A group or a process whose files answer what they should not keeps its last values, and
        the sample's notice says so. Raises UnsupportedError without a /proc/meminfo, OSError when
        the list of processes or the memory of the machine cannot be read.
        """
        moment, now = self._clock(), self._monotonic()
        elapsed = 0.0 if self._last is None else now - self._last
        self._last = now
        self._failures.clear()
        newcomers = self._census(elapsed)
        if now >= self._walk_at:
            self._walk(now)
        self._place(newcomers, now)
        host = machine.read_host(self._proc_path, self._zram, self._page_size, self._knobs)
        self._look_at_groups(host, elapsed)
        self._look_at_tasks(elapsed)
        return Sample(moment, now, host, self._units(), self._notice())

    def _failed(self, what: str, error: OSError) -> None:
        self._failures.append(f"{what}: {error.strerror}")

    def _notice(self) -> Message | str:
        if not (self._failures or self._too_deep):
            return ""
        # Not at the start: `triage` has no room for what messages need.
        from lowmem_tui.model.message import of_text, plural

        if self._failures:
            return plural(
                "{n} process or control group cannot be read ({first}): what is shown of it is old "
                "or missing.",
                "{n} processes or control groups cannot be read ({first}): what is shown of them "
                "is old or missing.",
                len(self._failures),
                first=of_text(self._failures[0], 200),
            )
        return plural(
            "{n} process is not shown: its control group is nested so deeply that the kernel "
            "cannot name it.",
            "{n} processes are not shown: their control groups are nested so deeply that the "
            "kernel cannot name them.",
            len(self._too_deep),
        )

    # Who is there

    def _census(self, elapsed: float) -> list[int]:
        """Forget who went; return who came, and whom to have another look at."""
        homeless: list[int] = []
        names = os.listdir(self._proc)
        if names != self._names:
            self._names = names
            pids = {pid for name in names if (pid := natural(name)) is not None}
            for pid in self._tasks.keys() - pids:
                self._forget(self._tasks[pid])
            self._strangers &= pids
            self._too_deep &= pids
            homeless += sorted(pids - self._tasks.keys() - self._strangers)
        for _ in range(_share(len(self._stranger_turns), elapsed, STRANGERS)):
            pid = self._stranger_turns.popleft()
            if pid in self._strangers:
                self._strangers.discard(pid)
                homeless.append(pid)
        return homeless

    def _walk(self, now: float) -> None:
        """Find the groups that are there."""
        self._walk_at = now + WALK
        self._zram = procfs.zram_devices(self._block)
        self._knobs = machine.read_knobs(self._proc, self._block)
        before, self._groups = self._groups, {}
        for found in tree.walk(self._cgroup):
            group = before.get(found.path)
            if group is None or (group.name, group.slice) != (found.name, found.slice):
                group = Group(found)
                self._group_turns.append(group)
            else:
                del before[found.path]
            group.settle(self._groups.get(found.parent))
            self._groups[group.path] = group  # the same text as ever: one is kept, not two
        for group in before.values():
            self._let_go(group)

    def _let_go(self, group: Group) -> None:
        self._groups.pop(group.path, None)
        self._budget += group.fd >= 0
        group.close()
        for task in group.tasks.values():
            task.group = None

    def _place(self, pids: Iterable[int], now: float) -> None:
        """Take up processes; whoever has no group that is shown is a stranger."""
        walked = now + WALK == self._walk_at
        homeless = [task for task in self._tasks.values() if task.group is None]
        for task in homeless:
            self._forget(task)
        for pid in (*pids, *(task.pid for task in homeless)):
            try:
                walked = self._place_one(pid, now, walked=walked)
            except OSError as error:
                self._failed(f"process {pid}", error)
                self._estrange(pid)

    def _place_one(self, pid: int, now: float, *, walked: bool) -> bool:
        """Take up a process, or estrange it; return whether this tick has walked the tree."""
        raw = read(f"{pid}/cgroup", self._proc, SMALL)
        path = procfs.parse_cgroup(raw) if raw else None
        group = self._locate(path) if path else None
        if path and group is None and not walked:
            walked = True
            self._walk(now)
            group = self._locate(path)
        if not raw or not path or not group or not self._take_up(pid, group, raw, path):
            self._estrange(pid)
            if (raw and len(raw) >= SMALL) or (raw is None and _too_deep(pid, self._proc)):
                self._too_deep.add(pid)
        else:
            self._too_deep.discard(pid)
        return walked

    def _take_up(self, pid: int, group: Group, raw: bytes, path: str) -> bool:
        if path == "/" and self._kernel_thread(pid):
            return False
        task = first_sight(pid, self._proc, may_keep=self._budget > 0)
        if task is None:
            return False
        self._budget -= task.fd >= 0
        task.settle(group, raw, path)
        self._tasks[pid] = task
        # First in turn: PID 1 moves what it has just forked to the unit's group, a login goes
        # from ssh.service to its session.
        self._task_turns.appendleft(task)
        return True

    def _kernel_thread(self, pid: int) -> bool:
        raw = read(f"{pid}/stat", self._proc, SMALL)
        stat = procfs.parse_stat(raw) if raw else None
        return stat is None or bool(stat[2] & procfs.PF_KTHREAD)

    def _locate(self, path: str) -> Group | None:
        """Return the group that a process at this path belongs to, None if it is not known yet."""
        end = 0
        # From the top: what is nested below a unit may be as deep as a path can be long.
        for _ in range(tree.DEEPEST):
            end = path.find("/", end + 1)
            group = self._groups.get(path if end < 0 else path[:end])
            if group is not None and (end < 0 or not group.slice):
                return group
            if end < 0:
                break
        return None

    def _estrange(self, pid: int) -> None:
        self._strangers.add(pid)
        self._stranger_turns.append(pid)

    def _forget(self, task: Task) -> None:
        self._budget += task.fd >= 0
        task.close()
        del self._tasks[task.pid]
        group, task.group = task.group, None
        if group is not None:
            del group.tasks[task.pid]
            group.members_changed = True
            if not group.tasks:
                self._walk_at = 0.0  # the group has gone with its last process, most likely

    # What they use

    def _look_at_groups(self, host: HostUsage, elapsed: float) -> None:
        root = self._cgroup
        killed = host.oom_kills != self._kills
        totals = (host.mem_total, host.swap_total)
        rescore = totals != self._totals
        self._kills, self._totals = host.oom_kills, totals
        watched, whole = self._watched, self._whole
        gone = []
        for group in self._groups.values():
            swap = group.swap_raw
            try:
                if not group.visits:
                    self._visit(group, whole=True)
                elif whole or group.name == watched:
                    group.visit(root, whole=True)
                elif killed:
                    group.kills(root)
                if not group.look(root):
                    gone.append(group)
                    continue
            except OSError as error:
                self._failed(group.path, error)
            if group.swap_raw is not swap or rescore:
                for task in group.tasks.values():
                    task.raw = b""
        for _ in range(_share(len(self._group_turns), elapsed, PERIOD)):
            group = self._group_turns.popleft()
            if self._groups.get(group.path) is group:
                self._group_turns.append(group)
                try:
                    self._visit(group, whole=False)
                except OSError as error:
                    self._failed(group.path, error)
        for group in gone:
            # Its processes, if they live, are placed at the next tick, after a walk.
            self._let_go(group)
            group.leave()
            self._walk_at = 0.0

    def _visit(self, group: Group, *, whole: bool) -> None:
        if self._budget > 0:
            self._budget -= group.keep(self._cgroup)
        group.visit(self._cgroup, whole=whole)

    def _look_at_tasks(self, elapsed: float) -> None:
        for task in self._read_statm():
            self._lose(task)
        for _ in range(_share(len(self._task_turns), elapsed, PERIOD)):
            task = self._task_turns.popleft()
            if task.group is not None:
                self._task_turns.append(task)
                self._take_turn(task, whole=False)
        if self._whole or self._watched is not None:
            for group in list(self._groups.values()):
                if self._whole or group.name == self._watched:
                    for task in list(group.tasks.values()):
                        self._take_turn(task, whole=True)
        self._whole = False

    def _read_statm(self) -> list[Task]:
        """Read what changes at each tick; return those that are gone."""
        proc, page_size, pread = self._proc, self._page_size, os.pread
        gone: list[Task] = []
        for task in self._tasks.values():
            try:
                if task.fd < 0:
                    if not task.look(proc, page_size):
                        gone.append(task)
                    continue
                raw = pread(task.fd, 128, 0)
                if raw != task.raw and not task.update(raw, proc, page_size):
                    gone.append(task)
            except OSError as error:
                if error.errno in ABSENT or task.process.rss == NOT_YET:
                    gone.append(task)
                if error.errno not in ABSENT:
                    self._failed(f"process {task.pid}", error)
        return gone

    def _lose(self, task: Task) -> None:
        """Forget a process that is in the list of pids still: ended since, or not readable."""
        self._forget(task)
        if task.process.rss == NOT_YET:
            self._estrange(task.pid)
        else:
            self._names = []  # so that another process of this pid is seen at the next tick

    def _take_turn(self, task: Task, *, whole: bool) -> None:
        try:
            self._visit_task(task, whole=whole)
        except OSError as error:
            self._failed(f"process {task.pid}", error)

    def _visit_task(self, task: Task, *, whole: bool) -> None:
        if task.due() or whole:
            whole = True
            raw = read(f"{task.pid}/cgroup", self._proc, SMALL)
            if raw != task.cgroup_raw and not self._move(task, raw):
                # Ended, or moved to a group that the next walk will find.
                self._lose(task)
                self._walk_at = 0.0
                return
        if not task.visit(self._proc, whole=whole):
            self._lose(task)

    def _move(self, task: Task, raw: bytes | None) -> bool:
        path = procfs.parse_cgroup(raw) if raw else None
        group = self._locate(path) if path else None
        if raw is None or path is None or group is None:
            return False
        task.settle(group, raw, path)
        return True

    def _units(self) -> dict[str, UnitUsage]:
        """Return the units; slices last to be made, as they sum up what is below them."""
        root = self._cgroup
        for group in reversed(self._groups.values()):
            if group.changed or group.members_changed:
                group.build(root)
        return {g.name: g.usage for g in self._groups.values() if g.usage is not None}


def _tree(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        # Not at the start: `triage` has no room for what messages need.
        from lowmem_tui.model.message import msg, of_path

        raise UnsupportedError(
            msg(
                "{path} cannot be opened ({error}): this is not a machine with systemd and cgroup "
                "v2.",
                path=of_path(path),
                error=str(error.strerror),
            )
        ) from error


def _too_deep(pid: int, proc: int) -> bool:
    """Return whether a process lives in a group whose path the kernel cannot give."""
    try:
        fd = os.open(f"{pid}/cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    except OSError:
        return False
    try:
        os.read(fd, SMALL)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    finally:
        os.close(fd)
    return False


def _share(count: int, elapsed: float, period: float) -> int:
    """Return how many of ``count`` have their turn, so that all have had it after a period."""
    return min(count, int(count * min(1.0, elapsed / period)) + 1)
