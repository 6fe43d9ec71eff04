"""The four views of the demo server: what reads it, systemd, its files, its kernel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lowmem_tui.demo import roster
from lowmem_tui.demo.memory import PAGE
from lowmem_tui.demo.views import describe, usages
from lowmem_tui.model.errors import ChangedError, ManagerGoneError
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.ports import Changes, ListedUnit
from lowmem_tui.model.settings import CGROUP_FILES
from lowmem_tui.model.usage import HostUsage, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from lowmem_tui.demo.machine import Machine
    from lowmem_tui.demo.memory import Task
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.unit import Limit, UnitProperties
    from lowmem_tui.model.usage import UnitUsage


class DemoSampler:
    """model.ports.Sampler."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._last: dict[str, UnitUsage] = {}

    def sample(self) -> Sample:
        """Take one sample; what has not changed is the same object as before."""
        with self._machine.lock:
            elapsed = self._machine.advance()
            memory = self._machine.init.memory
            units = usages(memory)
            for name, new in units.items():
                old = self._last.get(name)
                if old is not None and old == new:
                    units[name] = old
            self._last = units
            free, available = memory.host()
            uptime = roster.UPTIME + elapsed
            host = HostUsage(
                hostname=roster.HOSTNAME,
                page_size=PAGE,
                uptime=uptime,
                mem_total=roster.RAM,
                mem_free=free,
                mem_available=available,
                swap_total=memory.swap_total,
                swap_free=memory.free_swap(),
                zram=None,
                pressure=memory.gauge.pressure(),
                oom_kills=memory.oom_kills,
            )
            return Sample(roster.BOOTED + uptime, uptime, host, dict(units))

    def watch(self, unit: str | None) -> None:
        """Do nothing: every unit is read whole."""

    def refresh(self) -> None:
        """Do nothing: nothing is put off."""

    def close(self) -> None:
        """Do nothing: no descriptor is kept."""


class DemoManager:
    """model.ports.Manager: one connection to the demo server's systemd."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._units: set[str] = set()
        self._reloaded = False
        self._closed = False

    def list_units(self) -> Sequence[ListedUnit]:
        """Return the loaded units."""
        with self._open() as machine:
            found = (describe(machine.init, name) for name in machine.init.loaded)
            return [ListedUnit(each.name, each.load_state) for each in found]

    def list_unit_files(self) -> dict[str, str]:
        """Return the state of each unit file, by name."""
        with self._open() as machine:
            return machine.disk.unit_files()

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        """Return the properties of units, by the names asked for."""
        with self._open() as machine:
            return {name: describe(machine.init, name) for name in names}

    def reload(self) -> None:
        """Read all unit files again."""
        with self._open() as machine:
            machine.init.reload()

    def restart_unit(self, name: str) -> None:
        """Queue a restart; raises ManagerError."""
        with self._open() as machine:
            machine.init.restart(name)

    def reset_failed_unit(self, name: str) -> None:
        """Forget a unit's failure."""
        with self._open() as machine:
            machine.init.reset_failed(name)

    def start_revert_timer(self, name: str, seconds: float, command: Sequence[str]) -> None:
        """Make systemd run a command after so many seconds (``Machine.execute``)."""
        with self._open() as machine:
            machine.init.arm(name, seconds, command)

    def stop_unit(self, name: str) -> None:
        """Queue a stop; a unit that is not loaded is no error."""
        with self._open() as machine:
            machine.init.stop(name)

    def subscribe(self) -> None:
        """Begin to collect signals."""
        with self._open() as machine:
            machine.subscribers.append(self.collect)

    def changes(self, timeout: float) -> Changes:
        """Wait for signals, at most ``timeout`` seconds of the real clock, and return them."""
        deadline = time.monotonic() + timeout
        with self._open() as machine:
            while not (self._units or self._reloaded or self._closed):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                machine.news.wait(left)
            changes = Changes(frozenset(self._units), self._reloaded)
            self._units.clear()
            self._reloaded = False
            return changes

    def collect(self, changes: Changes) -> None:
        """Take over signals; the caller holds the lock."""
        self._units |= changes.units
        self._reloaded |= changes.reloaded

    def close(self) -> None:
        """Close the connection."""
        with self._machine.lock:
            self._closed = True
            if self.collect in self._machine.subscribers:
                self._machine.subscribers.remove(self.collect)
            self._machine.news.notify_all()

    def _open(self) -> AbstractContextManager[Machine]:
        if self._closed:
            raise ManagerGoneError(msg("The connection to the demo server is closed."))
        return self._machine.held()


class DemoFiles:
    """model.ports.Files. Whoever runs the demo may write here: it is all in memory."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def read(self, path: str) -> str | None:
        """Return the text, None if there is no such file."""
        with self._machine.held() as machine:
            if path == "/proc/swaps":
                return machine.swap.table()
            return machine.disk.read(path)

    def obstacle(self, path: str) -> Message | None:
        """Return why this path must not be written, or None."""
        with self._machine.held() as machine:
            if path not in machine.disk.links:
                return None
            return msg(
                "{path} is a symbolic link, which is not followed: put a real one in its place.",
                path=of_path(path),
            )

    def is_others(self, path: str) -> bool:
        """Tell nothing: what may be written here is for ``guarded_files`` to say."""
        del path
        return False

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        with self._machine.held() as machine:
            machine.disk.write(path, text)

    def edit(self, path: str, text: str, known: str | None) -> None:
        """Write a file that is as it is known."""
        with self._machine.held() as machine:
            if machine.disk.read(path) != known:
                raise ChangedError(
                    msg(
                        "{path} was edited meanwhile and is not changed: check it.",
                        path=of_path(path),
                    )
                )
            machine.disk.write(path, text)

    def remove(self, path: str) -> None:
        """Remove a file; raises FileNotFoundError."""
        with self._machine.held() as machine:
            machine.disk.remove(path)

    def tidy(self, path: str) -> None:
        """Do nothing: nothing here is ever half written."""


class DemoStore:
    """model.ports.Store: what is remembered of changes, for as long as the demo runs."""

    def __init__(self, machine: Machine) -> None:
        self._lock = machine.lock
        self._files: dict[str, str] = {}

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the files in a folder."""
        with self._lock:
            found = (path.rpartition("/") for path in self._files)
            return sorted(name for place, _, name in found if place == folder)

    def read(self, path: str) -> str | None:
        """Return the text, None if there is no such file."""
        with self._lock:
            return self._files.get(path)

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        with self._lock:
            self._files[path] = text

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with self._lock:
            self._files.pop(path, None)

    def tidy(self, folder: str) -> None:
        """Do nothing: nothing here is ever half written."""

    def set_aside(self, path: str) -> str:
        """Rename what cannot be read."""
        with self._lock:
            new = f"{path}.unreadable"
            self._files[new] = self._files.pop(path)
            return new

    def troubles(self) -> Sequence[Message]:
        """Return nothing: nobody else writes here."""
        return ()


_IN_PAGES = {file for key, file in CGROUP_FILES.items() if key.facts.kind.pages}
"""The files of which the kernel keeps whole pages."""


class DemoKernel:
    """model.ports.Kernel."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def limit(self, cgroup: str, file: str) -> Limit | None:
        """Return a group's limit; the root has none."""
        with self._machine.held() as machine:
            group = machine.init.memory.groups.get(cgroup)
            return None if group is None or cgroup == "/" else group.limits.get(file)

    def set_limit(self, cgroup: str, file: str, value: Limit) -> None:
        """Write a limit; it holds at once. Raises FileNotFoundError."""
        with self._machine.held() as machine:
            group = machine.init.memory.groups.get(cgroup)
            if group is None or cgroup == "/" or file not in group.limits:
                path = f"{cgroup.rstrip('/')}/{file}"
                raise FileNotFoundError(2, "No such file or directory", path)
            if isinstance(value, int) and file in _IN_PAGES:
                value -= value % PAGE
            group.limits[file] = value
            machine.init.memory.hold(cgroup)

    def processes(self, cgroup: str) -> Sequence[tuple[int, int]]:
        """Return (pid, start) of every process of a group and of the groups below it."""
        with self._machine.held() as machine:
            groups = machine.init.memory.below(cgroup)
            return [(t.pid, t.start) for group in groups for t in group.tasks]

    def oom_score_adj(self, pid: int, start: int) -> int | None:
        """Return the value; None if that process is gone."""
        with self._machine.held() as machine:
            task = _task(machine, pid, start)
            return None if task is None else task.adj

    def set_oom_score_adj(self, pid: int, start: int, value: int) -> bool:
        """Write it; False if that process is gone."""
        with self._machine.held() as machine:
            task = _task(machine, pid, start)
            if task is not None:
                task.adj = value
            return task is not None


def _task(machine: Machine, pid: int, start: int) -> Task | None:
    for group in machine.init.memory.groups.values():
        for task in group.tasks:
            if (task.pid, task.start) == (pid, start):
                return task
    return None
