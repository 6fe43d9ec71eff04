"""A small server for tests of changes: the demo's systemd and kernel, on real files in a folder."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from lowmem_tui.change.context import Site
from lowmem_tui.change.kernel_before import restoring
from lowmem_tui.change.machine import attributes as attributes_module
from lowmem_tui.change.machine import exchange as exchange_module
from lowmem_tui.change.machine import files as files_module
from lowmem_tui.change.machine import links as links_module
from lowmem_tui.change.machine import swap_file as swap_module
from lowmem_tui.change.machine.allowed import RUN_PLACE
from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.change.machine.system import LocalSystem
from lowmem_tui.change.records import paths
from lowmem_tui.change.records import store as store_module
from lowmem_tui.change.records.store import FolderStore
from lowmem_tui.change.situation import situation
from lowmem_tui.change.steps import Ports
from lowmem_tui.change.trials.script import Roots
from lowmem_tui.demo import roster
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.demo.unit_loading import load
from lowmem_tui.host import reading as reading_module
from lowmem_tui.host import trusted as trusted_module
from lowmem_tui.host.watcher import Watcher
from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.unit import CGROUP_FILES, Unlimited
from lowmem_tui.model.who import By
from lowmem_tui.policy.plan import parse_set, plan
from lowmem_tui.setup.steps import allowed

from .faults import FaultyOs, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.snapshot import Situation

REDIS, CHAT = "redis-server.service", "cloudchat.service"
UNITS = (REDIS, CHAT)
DROP_INS = ("/etc/systemd/system", "/run/systemd/system")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TreeFiles(EtcFiles):
    """Drop-ins are real files; what the distribution ships is the demo's."""

    def __init__(self, root: str, demo: DemoServer) -> None:
        super().__init__(root, owner=os.getuid(), paths=allowed().paths)
        self._demo = demo

    def read(self, path: str) -> str | None:
        if path.startswith("/usr/"):
            return self._demo.files.read(path)
        return super().read(path)


class Counted:
    """Stands before the manager or the kernel: its calls count as system calls do."""

    def __init__(self, real: Any, faulty: FaultyOs, *, manager: bool) -> None:  # noqa: ANN401
        self._real, self._faulty, self._manager = real, faulty, manager

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        real = getattr(self._real, name)

        def call(*arguments: object) -> object:
            try:
                return self._faulty.call(name, real, *arguments)
            except OSError as error:
                if self._manager and error.errno == self._faulty.error:
                    raise ManagerError("systemd did not answer: try again.") from error
                raise

        return call


class BoxSystem:
    """Links and swap files are real ones in the folder, the rest is the demo's."""

    progress = None

    def __init__(self, root: str, demo: Any) -> None:  # noqa: ANN401 - the demo's, perhaps Counted
        self._real, self._demo = LocalSystem(root, allowed()), demo

    def _of(self, kind: ActionKind) -> Any:  # noqa: ANN401
        return self._real if kind in {ActionKind.LINK, ActionKind.SWAP_FILE} else self._demo

    def get(self, kind: ActionKind, what: str) -> str:
        return str(self._of(kind).get(kind, what))

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        self._of(kind).put(kind, what, value, check)


class Box:
    """The server. What it has in memory is as lasting as the kernel's, its files are real."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (*DROP_INS, "/etc/sysctl.d", "/var/lib", "/var/log"):
            (root / folder[1:]).mkdir(parents=True, exist_ok=True)
        self.clock = Clock()
        self.demo = DemoServer(0, self.clock)
        for path, entry in self.demo.disk.entries.items():
            if path.startswith("/etc/systemd/system/"):
                (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
                (root / path[1:]).write_text(entry.text)
        self.etc = TreeFiles(str(root), self.demo)
        self.connection = self.demo.connect()
        self.boot = "boot 1"
        self.planned: Plan
        self.connection.reload = self.reload  # type: ignore[method-assign]
        self._watcher: Watcher | None = None
        self.known: Situation | None = None
        """Seen before on a server like this one; to make anew what is the same takes long."""

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()

    def reload(self) -> None:
        """Show the demo's systemd the drop-ins that lie in the folder."""
        disk = self.demo.disk
        wanted: dict[str, str] = {}
        for place in DROP_INS:
            for path in (self.root / place[1:]).glob("*/*lowmem-tui*.conf"):
                text = path.read_bytes().decode("utf-8", "surrogateescape")
                wanted["/" + str(path.relative_to(self.root))] = text
        for gone in [p for p in disk.entries if "lowmem-tui" in p and p not in wanted]:
            disk.remove(gone)
        for name, text in wanted.items():
            if disk.read(name) != text:
                disk.write(name, text)
        # To read the others anew, too, would take nearly all of the time of a test.
        with self.demo.lock:
            for unit in UNITS:
                self.demo.init.loaded[unit] = load(disk, unit, roster.RAM)
            self.demo.init.reloaded = True

    def site(self, faulty: FaultyOs | None = None) -> Site:
        ports = Ports(self.connection, self.etc, self.demo.kernel, self.system())
        if faulty is not None:
            ports = Ports(
                Counted(self.connection, faulty, manager=True),
                self.etc,
                Counted(self.demo.kernel, faulty, manager=False),
                self.system(faulty),
            )
        return Site(
            ports=ports,
            store=FolderStore(str(self.root), owner=os.getuid()),
            paths=allowed().paths,
            lock=self.etc.exclusive,
            wall=lambda: 1_700_000_000.0 + self.clock.now,
            monotonic=lambda: 1000.0 + self.clock.now,
            boot_id=self.boot,
            by=lambda: By(0, "root", "op", "192.0.2.7"),
        )

    def system(self, faulty: FaultyOs | None = None) -> BoxSystem:
        demo = self.demo.system
        return BoxSystem(
            str(self.root), Counted(demo, faulty, manager=False) if faulty is not None else demo
        )

    def situation(self, names: Iterable[str]) -> Situation:
        if self.known is not None:
            return self.known
        if self._watcher is None:
            self._watcher = Watcher(self.demo.sampler, self.demo.connect)
            self._watcher.wait_ready(10)
        return situation(names, self.connection, self.etc, self.demo.kernel, self._watcher.look())

    def plan(self, *sets: str) -> Plan:
        edits = [parse_set(text) for text in sets]
        return plan(edits, self.situation(dict.fromkeys(edit.unit for edit in edits)))

    def state(self) -> dict[str, object]:
        """All that a change changes: the files, what systemd has loaded, what the kernel has."""
        found: dict[str, object] = {}
        for place in DROP_INS:
            for name, what in tree(str(self.root / place[1:])).items():
                found[f"{place}/{name}"] = what
        for place in ("/etc/sysctl.d", "/etc/systemd/journald.conf.d", "/etc/nginx"):
            if (self.root / place[1:]).is_dir():
                for name, what in tree(str(self.root / place[1:])).items():
                    found[f"{place}/{name}"] = what
        for path in self.root.glob("swapfile*"):
            found[f"/{path.name}"] = path.stat().st_mode, path.stat().st_size
        for value in ("vm.swappiness", "vm.dirty_ratio"):
            found[value] = self.demo.system.get(ActionKind.SYSCTL, value)
        for unit, properties in self.demo.connect().properties(UNITS).items():
            group = properties.control_group
            found[unit] = (
                dict(properties.settings),
                [self.demo.kernel.limit(group, file) for file in CGROUP_FILES.values()],
                [
                    self.demo.kernel.oom_score_adj(pid, start)
                    for pid, start in self.demo.kernel.processes(group)
                ],
            )
        return found

    def match(self) -> None:
        """Give what runs what systemd has loaded, as if it had just been started."""
        for unit in self.demo.connect().properties(UNITS).values():
            for key, file in CGROUP_FILES.items():
                loaded = unit.loaded(key)
                if isinstance(loaded, int | Unlimited):
                    self.demo.kernel.set_limit(unit.control_group, file, loaded)
            for pid, start in self.demo.kernel.processes(unit.control_group):
                self.demo.kernel.set_oom_score_adj(pid, start, unit.oom_score_adjust or 0)

    def scripted(self) -> None:
        """Do what the script's systemctl and its writes below /sys and /proc come to here.

        There they are the demo's, which no shell can reach; test_work.py tries those.
        """
        store = FolderStore(str(self.root), owner=os.getuid())
        if store.read(paths.RESULT) is None:
            return
        self.connection.reload()
        for record in self.site().journal.records():
            if f"id {record.id}\n" in (store.read(paths.DATA) or ""):
                for step in restoring(record, same_boot=True):
                    step.undo(self.site().ports)

    def half_files(self) -> list[str]:
        return [str(p) for p in self.root.rglob("*") if p.name.startswith(".")]

    def room(self) -> list[str]:
        return FolderStore(str(self.root), owner=os.getuid()).names(paths.ROOM)

    def roots(self, tools: Path) -> Roots:
        at = str(self.root)
        return Roots(
            room=at + paths.ROOM,
            notice=at + paths.NOTICE,
            lock=at + files_module.LOCK,
            drop_ins=at + RUN_PLACE,
            cgroup=f"{at}/cgroup",
            proc=f"{at}/proc",
            PATH=f"{tools}:/usr/bin:/bin",
        )


def strip_empty(state: dict[str, object]) -> dict[str, object]:
    """Leave empty folders out: one that could not be removed again does no harm."""
    folders = {name for name in state if any(o.startswith(f"{name}/") for o in state)}
    return {
        name: what
        for name, what in state.items()
        if name in folders or not name.endswith((".service.d", ".wants", "journald.conf.d/."))
    }


def faults(faulty: FaultyOs) -> ExitStack:
    """Let the modules that write see this os."""
    held = ExitStack()
    for module in (
        *(files_module, store_module, swap_module, trusted_module),
        *(links_module, exchange_module, attributes_module, reading_module),
    ):
        held.enter_context(mock.patch.object(module, "os", faulty))
    renames = partial(faulty.call, "renameat2", exchange_module.renameat2)
    held.enter_context(mock.patch.object(exchange_module, "renameat2", renames))
    return held
