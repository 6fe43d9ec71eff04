"""What the demo server has besides units: the machine itself, its settings, its other files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.demo import roster
from lowmem_tui.demo.swap import UNIT
from lowmem_tui.demo.views import describe, usages
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.kept import KeptFile, file_of
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.setup import FolderUsage, HostFacts, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.demo.machine import Machine

VALUES = {
    (ActionKind.SYSCTL, "vm.swappiness"): "60",
    (ActionKind.SYSCTL, "vm.dirty_ratio"): "20",
    (ActionKind.SYSCTL, "vm.dirty_background_ratio"): "10",
    (ActionKind.SYSCTL, "vm.vfs_cache_pressure"): "100",
    (ActionKind.SYSCTL, "vm.overcommit_memory"): "0",
    (ActionKind.REDIS, "redis-server.service maxmemory"): "0",
    (ActionKind.REDIS, "redis-server.service maxmemory-policy"): "noeviction",
    (ActionKind.REDIS, "redis-server.service save"): "3600 1 300 100 60 10000",
    (ActionKind.REDIS, "redis-server.service appendonly"): "no",
    (ActionKind.REDIS, "redis-server.service used_memory"): str(58 << 20),
}


class DemoSystem:
    """model.ports.System."""

    progress: Progress | None = None

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._values = dict(VALUES)
        self._swap = machine.swap

    def get(self, kind: ActionKind, what: str) -> str:
        """Return the value now."""
        with self._machine.held() as machine:
            if kind is ActionKind.LINK:
                disk = machine.disk
                if entry := disk.entries.get(what):
                    return KeptFile(entry.text, 0, 0, 0o644).value
                return disk.links.get(what, "")
            if kind is ActionKind.SWAP_FILE:
                return str(self._swap.size or "")
            if kind is ActionKind.RUN and what == UNIT:
                return "active" if self._swap.on else "inactive"
            if kind is ActionKind.RUN:
                state = describe(machine.init, what).active_state
                return "active" if state in {"active", "reloading"} else "inactive"
            return self._values.get((kind, what), "")

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        """Make it so."""
        check()
        if kind is ActionKind.SWAP_FILE:
            try:
                for progress in self._swap.make(int(value or 0), check):
                    self.progress = progress
            finally:
                self.progress = None
            return
        with self._machine.held() as machine:
            if kind is ActionKind.LINK:
                self._link(what, value)
            elif kind is ActionKind.RUN and what == UNIT:
                self._swap.switch(on=value == "active")
            elif kind is ActionKind.RUN:
                if value == self.get(kind, what):
                    return
                if value == "active":
                    machine.init.restart(what)
                else:
                    machine.init.stop(what)
            elif kind is ActionKind.SERVICE:
                # What does not run takes its settings when it starts.
                state = describe(machine.init, what).active_state
                if value == "restart" and state not in {"inactive", "failed", "deactivating"}:
                    machine.init.restart(what)
            elif kind is not ActionKind.TEST:
                if kind is ActionKind.SYSCTL and not value.lstrip("-").isdigit():
                    raise InvalidValueError(f"{value} is no number.")
                self._values[kind, what] = value

    def _link(self, what: str, value: str) -> None:
        """Make a link, or the file that was there; the caller holds the lock."""
        disk = self._machine.disk
        now = self.get(ActionKind.LINK, what)
        if now == value:
            return
        if now:
            disk.remove(what)
        if file := file_of(value):
            disk.write(what, file.text)
        elif value:
            disk.links[what] = value


class DemoInspector:
    """model.ports.Inspector."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def facts(self) -> HostFacts:
        """Return what machine this is."""
        return HostFacts(
            distribution="Debian GNU/Linux 13 (trixie)",
            kernel="6.12.48+deb13-amd64",
            systemd=257,
            container="",
            processors=1,
            root_filesystem="ext4",
            root_free=(9 << 30) - self._machine.swap.size,
            root_total=20 << 30,
            root_writable=True,
            zram=True,
            unified=True,
        )

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        with self._machine.lock:
            disk = self._machine.disk
            paths = (*disk.entries, *disk.links)
            below = folder.rstrip("/") + "/"
            return sorted({p[len(below) :].split("/")[0] for p in paths if p.startswith(below)})

    def real_path(self, path: str) -> str:
        """Return the path with its link resolved."""
        with self._machine.lock:
            return self._machine.disk.links.get(path, path)

    def usage(self, folder: str) -> FolderUsage | None:
        """Return what lies below a folder: the journal, old sessions of the application."""
        if folder == "/var/log/journal":
            return FolderUsage(31, 1_431 << 20, roster.BOOTED - 190 * 86_400)
        if folder.rstrip("/") == "/srv/cloudchat/flask_session":
            return FolderUsage(18_211, 143 << 20, roster.BOOTED - 90 * 86_400)
        return None

    def pss(self, pid: int) -> int | None:
        """Return the proportional set size in bytes."""
        with self._machine.held() as machine:
            for unit in usages(machine.init.memory).values():
                for process in unit.processes:
                    if process.pid == pid:
                        return process.rss * 9 // 10
        return None
