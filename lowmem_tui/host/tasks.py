"""One process as the sampler follows it, with the descriptor it keeps."""

from __future__ import annotations

import os

from lowmem_tui.host import procfs
from lowmem_tui.host.reading import ABSENT, SMALL, each, keep, read
from lowmem_tui.model.usage import Process

YOUNG = 3
"""Visits after the first at which a process may still be turning into what it will be (exec)."""

NOT_YET = -1
"""The rss of a process between its first sight and its first statm, in the same tick."""

RARELY = 5
"""Every so many visits all is read again, whatever the cheap files say."""


_PROCESSORS = os.cpu_count() or 1

FARTHEST = 3 * max(32, 2 * _PROCESSORS) * _PROCESSORS
"""Pages that the three counters of rss (anonymous, file, shared) can keep from their sum: each on
each processor a batch (``percpu_counter_batch``, lib/percpu_counter.c)."""


class Members:
    """The processes of a control group, and what they must know of it."""

    __slots__ = ("members_changed", "path", "swap_raw", "tasks")

    def __init__(self, path: str, swap_raw: bytes | None) -> None:
        self.path = path
        self.swap_raw = swap_raw
        """memory.swap.current as it was read last: None where there is no such file."""
        self.tasks: dict[int, Task] = {}
        self.members_changed = True


class Task:
    """A process, its last values, and the raw texts by which a change is seen.

    The kept descriptor of statm is what tells one process from the next of the same pid: it
    answers ESRCH as soon as its process has been reaped. Everything else is opened by pid, and
    what was read is thrown away if the descriptor does not answer afterwards.
    """

    __slots__ = (
        "cgroup_raw", "counted", "fd", "group", "pid", "process", "raw", "start", "status_mark",
        "swap_mark", "visits",
    )  # fmt: skip

    def __init__(self, pid: int, start: int, process: Process) -> None:
        self.pid = pid
        self.start = start
        self.group: Members | None = None
        """None as long as it has none, and once it is forgotten."""
        self.process = process
        self.fd = -1
        self.counted: int | None = None
        """Pages that the OOM killer counts, as of the first sight."""
        self.raw = b""
        self.cgroup_raw = b""
        self.status_mark = b""
        self.swap_mark: bytes | None = b""
        self.visits = 0

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def take(self, process: Process) -> None:
        """Take over new values, if they are new."""
        if process != self.process:
            self.process = process
            if self.group is not None:
                self.group.members_changed = True

    def settle(self, group: Members, raw: bytes, path: str) -> None:
        """Belong to a group; ``raw`` is the cgroup file, ``path`` what it says."""
        if self.group is not None:
            del self.group.tasks[self.pid]
            self.group.members_changed = True
        self.group = group
        self.cgroup_raw = raw
        group.tasks[self.pid] = self
        group.members_changed = True
        below = path[len(group.path) :].lstrip("/")
        if below != self.process.cgroup:
            self.process = self.process._replace(cgroup=below)

    def due(self) -> bool:
        """Count a visit; tell whether it is one at which all is read again."""
        self.visits += 1
        return self.visits <= YOUNG or self.visits % RARELY == 0

    def visit(self, proc: int, *, whole: bool) -> bool:
        """Read what is read at a slower pace; return False if this is no longer that process.

        While neither statm nor the unit's swap has changed, nor have VmSwap and VmPTE.
        """
        old, pid = self.process, self.pid
        name, ppid, command, off = old.name, old.ppid, old.command, old.drift
        if whole:
            raw = read(f"{pid}/stat", proc, SMALL)
            stat = procfs.parse_stat(raw) if raw else None
            if stat is None or stat[3] != self.start:
                return False
            name, ppid = stat[:2]
            off = self._drift(raw, off)
            raw = read(f"{pid}/cmdline", proc, SMALL)
            command = None if raw is None else procfs.parse_cmdline(raw)
        uid, swap, page_tables = old.uid, old.swap, old.page_tables
        swap_raw = None if self.group is None else self.group.swap_raw
        same = self.raw == self.status_mark and swap_raw is not None and swap_raw == self.swap_mark
        if whole or not same:
            self.status_mark, self.swap_mark = self.raw, swap_raw
            raw = read(f"{pid}/status", proc, SMALL)
            uid, swap, page_tables = (None,) * 3 if raw is None else procfs.parse_status(raw)
        score = old.oom_score
        adjust = old.oom_score_adj
        if whole or self.visits & 1:
            adjust = each(procfs.parse_int, read(f"{pid}/oom_score_adj", proc))
        if whole or adjust != old.oom_score_adj:
            score = each(procfs.parse_int, read(f"{pid}/oom_score", proc))
        if not self.lives():
            return False
        if whole or not same or adjust != old.oom_score_adj:
            self.take(
                Process(
                    pid, self.start, ppid, name, uid, old.rss, swap, page_tables, score, adjust,
                    command, old.cgroup, off,
                )
            )  # fmt: skip
        return True

    def _drift(self, stat: bytes | None, before: int) -> int:
        """Return by how much the OOM killer's count of rss differs; statm is a moment older."""
        counted = procfs.parse_counted(stat) if stat else None
        pages = procfs.parse_statm(self.raw)
        if counted is None or not pages:
            return before
        return drift(counted, pages, self.process.rss // pages)

    def lives(self) -> bool:
        """Tell whether the kept descriptor, if there is one, still answers."""
        if self.fd >= 0:
            try:
                os.pread(self.fd, 1, 0)
            except OSError as error:
                if error.errno in ABSENT:
                    return False
                raise
        return True

    def look(self, proc: int, page_size: int) -> bool:
        """Read what changes at each tick, without a kept descriptor; return False if it is gone."""
        raw = read(f"{self.pid}/statm", proc)
        if raw is None or (raw != self.raw and not self.update(raw, proc, page_size)):
            return False
        return _start(self.pid, proc) == self.start

    def update(self, raw: bytes, proc: int, page_size: int) -> bool:
        """Take over a new statm, and the score that goes with it; False if it cannot be read."""
        pages = procfs.parse_statm(raw)
        if pages is None:
            return False
        self.raw = raw
        score = each(procfs.parse_int, read(f"{self.pid}/oom_score", proc))
        old = self.process
        off = old.drift
        if self.counted is not None:
            off, self.counted = drift(self.counted, pages, page_size), None
        if pages * page_size != old.rss or score != old.oom_score:
            self.take(
                Process(
                    old.pid, old.start, old.ppid, old.name, old.uid, pages * page_size, old.swap,
                    old.page_tables, score, old.oom_score_adj, old.command, old.cgroup, off,
                )
            )  # fmt: skip
        return True


def drift(counted: int, pages: int, page_size: int) -> int:
    """Return the bytes by which what the OOM killer counts differs from statm's pages.

    0 where they are further apart than counters per processor can be: rss was moving.
    """
    off = counted - pages
    return off * page_size if abs(off) <= FARTHEST else 0


def _start(pid: int, proc: int) -> int | None:
    raw = read(f"{pid}/stat", proc, SMALL)
    stat = procfs.parse_stat(raw) if raw else None
    return None if stat is None else stat[3]


def first_sight(pid: int, proc: int, *, may_keep: bool) -> Task | None:
    """Return a new process, all read but statm; None if it has gone or cannot be read.

    It is to be shown only after statm could be read from its descriptor (``Task.look`` without).
    """
    fd = keep(f"{pid}/statm", proc) if may_keep else -1
    raw = read(f"{pid}/stat", proc, SMALL)
    stat = procfs.parse_stat(raw) if raw else None
    if stat is None:
        if fd >= 0:
            os.close(fd)
        return None
    counted = procfs.parse_counted(raw) if raw else None
    raw = read(f"{pid}/cmdline", proc, SMALL)
    command = None if raw is None else procfs.parse_cmdline(raw)
    raw = read(f"{pid}/status", proc, SMALL)
    uid, swap, page_tables = (None,) * 3 if raw is None else procfs.parse_status(raw)
    adjust = each(procfs.parse_int, read(f"{pid}/oom_score_adj", proc))
    name, ppid, _, start = stat
    task = Task(
        pid, start,
        Process(
            pid, start, ppid, name, uid, NOT_YET, swap, page_tables, None, adjust,
            command,
        ),
    )  # fmt: skip
    task.fd = fd
    task.counted = counted
    return task
