"""One control group as the sampler follows it, with the descriptors it keeps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui.host import cgroupfs, machine, tree
from lowmem_tui.host.reading import ABSENT, SMALL, keep, read
from lowmem_tui.host.tasks import Members
from lowmem_tui.model.amount import INFINITY
from lowmem_tui.model.settings import CGROUP_FILES, PROTECTIONS
from lowmem_tui.model.usage import MEMORY_STAT, Memory, Pressure, Process, UnitUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.host.tree import Found
    from lowmem_tui.model.amount import Limit
    from lowmem_tui.model.settings import Key

Value: TypeAlias = "int | bool | Pressure | Mapping[Key, Limit] | None"

CURRENT, SWAP, PEAK, SETTINGS, KILLS, TOGETHER, PRESSURE = (
    Memory._fields.index(name)
    for name in ("current", "swap", "peak", "settings", "oom_kills", "oom_group", "pressure")
)
STAT = tuple(Memory._fields.index(name) for name in MEMORY_STAT)

NEVER_READ = b"?"
"""What no file says: the value of a raw text before the first read."""


class Group(Members):
    """A group, its last values, and what has changed since the last ``UnitUsage`` was made.

    ``fd`` is kept of memory.current; −1 where it is not: the file is then opened at each tick.
    """

    __slots__ = (
        "changed", "children", "current_raw", "fd", "name", "parent", "peopled", "pressure_raw",
        "slice", "stat_mark", "swap_due", "usage", "values", "visits",
    )  # fmt: skip

    def __init__(self, found: Found) -> None:
        super().__init__(found.path, NEVER_READ)
        self.name = found.name
        self.slice = found.slice
        self.parent: Group | None = None
        self.children: list[Group] = []
        self.fd = -1
        self.current_raw: bytes | None = NEVER_READ
        self.swap_due = True
        self.pressure_raw: bytes | None = NEVER_READ
        self.stat_mark: bytes | None = NEVER_READ
        self.values: list[Value] = list(Memory())
        self.peopled: bool | None = None
        """Whether processes live here that we do not see; asked only where we see none."""
        self.visits = 0
        self.changed = True
        self.usage: UnitUsage | None = None

    def settle(self, parent: Group | None) -> None:
        """Take the place in the tree that a walk has found; parents come first."""
        self.parent = parent
        self.children = []
        self.changed |= self.slice
        if parent is not None:
            parent.children.append(self)

    def leave(self) -> None:
        """Leave the tree before the next walk."""
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent.changed = True

    def keep(self, root: int) -> bool:
        """Open what each tick reads; return whether that took a descriptor."""
        if self.fd < 0:
            self.fd = keep(f".{self.path}/memory.current", root)
            return self.fd >= 0
        return False

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def look(self, root: int) -> bool:
        """Read what changes at each tick; return False if the group is gone.

        Pages that go to swap, or come back, change memory.current: no need to read
        memory.swap.current while that stays, between two visits.
        """
        raw = self.current_raw
        try:
            if self.fd >= 0:
                raw = os.pread(self.fd, 64, 0)
            elif raw is not None:
                raw = read(f".{self.path}/memory.current", root)
                if raw is None and self.current_raw is not NEVER_READ:
                    return False
        except OSError as error:
            # ENODEV: a kept descriptor of a group that was removed.
            if error.errno in ABSENT:
                return False
            raise
        if raw != self.current_raw:
            self.current_raw = raw
            self.set(CURRENT, None if raw is None else cgroupfs.parse_size(raw))
        elif not self.swap_due and (raw is not None or self.swap_raw is None):
            return True
        self.swap_due = False
        raw = read(f".{self.path}/memory.swap.current", root)
        if raw != self.swap_raw:
            self.swap_raw = raw
            self.set(SWAP, None if raw is None else cgroupfs.parse_size(raw))
        return True

    def set(self, index: int, value: Value) -> None:
        """Take over one value."""
        if value != self.values[index]:
            self.values[index] = value
            self.changed = True

    def visit(self, root: int, *, whole: bool) -> None:
        """Read what is read at a slower pace; ``whole``: nothing is put off to the next visit.

        memory.stat, memory.peak and the pressure of a group can hardly have changed while
        memory.current has not; limits change when somebody changes them (``ProcSampler.refresh``).
        """
        self.visits += 1
        base = f".{self.path}/memory."
        if self.current_raw is None:
            self.current_raw = NEVER_READ  # not there at the last visit: read it
        if whole or self.visits & 1:
            self.swap_due = True
        rarely = whole or self.visits % 4 == 0
        still = self.current_raw == self.stat_mark
        if rarely or not still:
            self.stat_mark = self.current_raw
            raw = read(base + "stat", root, SMALL)
            stat = (None,) * len(STAT) if raw is None else cgroupfs.parse_memory_stat(raw)
            for index, value in zip(STAT, stat, strict=True):
                self.set(index, value)
            raw = read(base + "peak", root)
            self.set(PEAK, None if raw is None else cgroupfs.parse_size(raw))
        if rarely or not (still and self.calm()):
            raw = read(base + "pressure", root)
            if raw != self.pressure_raw:
                self.pressure_raw = raw
                self.set(PRESSURE, None if raw is None else machine.pressure(raw))
        if rarely:
            self.kills(root)
        if whole or self.visits & 1:
            self.set(SETTINGS, self._settings(root, whole or self.visits % 4 == 1))
            raw = read(base + "oom.group", root)
            self.set(TOGETHER, None if raw is None else cgroupfs.parse_flag(raw))
        if not self.tasks and not self.slice:
            self._ask_peopled(root)

    def _settings(self, root: int, protections: bool) -> dict[Key, Limit]:
        """Read the files of the settings, those of ``protections`` only if asked.

        The root has none: no limit, and no protection.
        """
        found: dict[Key, Limit] = {}
        before = self.values[SETTINGS]
        for key, file in CGROUP_FILES.items():
            if key in PROTECTIONS and not protections and isinstance(before, dict) and before:
                if key in before:
                    found[key] = before[key]
                continue
            raw = read(f".{self.path}/{file}", root)
            if raw is not None and (limit := cgroupfs.parse_limit(raw)) is not None:
                found[key] = limit
            elif raw is None and self.path == "/" and key not in PROTECTIONS:
                found[key] = INFINITY
        return found

    def calm(self) -> bool:
        """Tell whether the last pressure was none at all."""
        last = self.values[PRESSURE]
        return last is None or (isinstance(last, Pressure) and not any(last.some[:3]))

    def kills(self, root: int) -> None:
        """Read memory.events."""
        raw = read(f".{self.path}/memory.events", root)
        self.set(KILLS, None if raw is None else cgroupfs.parse_oom_kills(raw))

    def _ask_peopled(self, root: int) -> None:
        peopled = tree.populated(self.path, root)
        if peopled != self.peopled:
            self.peopled = peopled
            self.changed = True

    def build(self, root: int) -> None:
        """Make a new ``UnitUsage``, if it differs; children come before their slice."""
        usage = self.usage
        memory = Memory._make(self.values) if usage is None or self.changed else usage.memory
        processes: tuple[Process, ...] = () if usage is None else usage.processes
        if self.members_changed:
            processes = tuple(self.tasks[pid].process for pid in sorted(self.tasks))
            if not processes and not self.slice:
                self._ask_peopled(root)
        new = UnitUsage(
            self.name, self.path, memory, processes, self._rss(processes), _swap(memory, processes)
        )
        self.changed = self.members_changed = False
        if new == usage:
            return
        self.usage = new
        if self.parent is not None and (usage is None or usage.rss != new.rss):
            self.parent.changed = True

    def _rss(self, processes: tuple[Process, ...]) -> int | None:
        """Sum the processes and, for a slice, the units below: None only if none can be read."""
        if not processes and not self.slice:
            return None if self.peopled else 0
        known = [c.usage.rss for c in self.children if c.usage and c.usage.rss is not None]
        if self.children and not known and not processes:
            return None
        return sum(known) + sum([p.rss for p in processes])


def _swap(memory: Memory, processes: tuple[Process, ...]) -> int | None:
    if memory.swap is not None:
        return memory.swap
    known = [p.swap for p in processes if p.swap is not None]
    return sum(known) if known else None
