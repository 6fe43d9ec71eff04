"""Where the senses and the hands of one server are wired together."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lowmem_tui.host.reading import LONG
from lowmem_tui.host.trusted import public
from lowmem_tui.model.errors import LowmemError, NotPermittedError, UnsupportedError
from lowmem_tui.model.trial import PATH, running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.who import By
    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.plan import FileChange, Outcome, Plan
    from lowmem_tui.model.ports import (
        Files,
        Inspector,
        Kernel,
        Manager,
        Step,
        Store,
        System,
        Witness,
    )
    from lowmem_tui.model.setup import Progress
    from lowmem_tui.model.snapshot import Situation, Snapshot
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.policy.incidents.shortages import Failures

PROC = "/proc"
CGROUP = "/sys/fs/cgroup"

FAILURES_FOR = 30 * 86400.0
"""Seconds for which a failed allocation of the kernel counts."""

LOG_EVERY = 600.0
"""Seconds for which what the log says of them is kept: a slow disk takes long to read a month of
it, and the set-up looks at its steps after each change."""

READY = 30.0
"""Seconds that a command waits for systemd's answers before it goes on without them."""


class Looking(Protocol):
    """What makes snapshots (host.watcher.Watcher)."""

    def look(self) -> Snapshot:
        """Return the newest snapshot."""

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each look."""

    def wait_ready(self, timeout: float) -> bool:
        """Wait for systemd's answers."""

    def close(self) -> None:
        """Let go of everything."""


class Memory(NamedTuple):
    """Where and how changes are remembered; nothing is loaded before it is asked for."""

    store: Callable[[], Store]
    whole: Callable[[], bool]
    """Whether this user may read the records themselves."""
    notice: Callable[[], str | None]
    """The notice of a running trial, cheaply."""
    lock: Callable[[], AbstractContextManager[None]]
    wall: Callable[[], float]
    monotonic: Callable[[], float]
    boot_id: Callable[[], str]
    by: Callable[[], By]


class Beside(NamedTuple):
    """What a server has besides units; nothing is loaded before it is asked for."""

    system: Callable[[], System]
    inspector: Callable[[], Inspector]
    rules: Callable[[], Rules]


class ServerBackend:
    """One server, seen and changed (model.ports.Backend)."""

    def __init__(
        self,
        watcher: Looking,
        connect: Callable[[], Manager] | None,
        tools: Callable[[], tuple[Files, Kernel]],
        memory: Memory,
        *,
        demo: bool,
        cannot_change: str,
        witness: Callable[[], Witness],
        beside: Beside,
    ) -> None:
        """``connect`` opens a connection to systemd of our own; None where there is no bus.

        ``tools`` is asked only when something is to be changed.
        """
        self._watcher = watcher
        self._connect = connect
        self._manager: Manager | None = None
        self._tools = tools
        self._memory = memory
        self._witness = witness
        self._beside = beside
        self._system: System | None = None
        self._failed: tuple[float, Failures | None] | None = None
        self._site_in_use: Site | None = None
        self.demo = demo
        self.cannot_change = cannot_change

    def look(self) -> Snapshot:
        """Return the newest snapshot."""
        return self._watcher.look()

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each look."""
        self._watcher.watch(unit)

    def wait_ready(self) -> None:
        """Wait for systemd's answers, for commands that look only once."""
        self._watcher.wait_ready(READY)

    def situation(self, names: Iterable[str]) -> Situation:
        """Read all that a plan for these units must know.

        Raises ManagerError, UnsupportedError.
        """
        from lowmem_tui.change.situation import situation

        return situation(names, self._bus(), *self._tools(), self.look())

    def apply(
        self, plan: Plan, *, force: bool = False, trial: int | None = None, note: str = ""
    ) -> Outcome:
        """See ``Backend``."""
        site = self._site()
        from lowmem_tui.change.entry import apply

        return apply(site, plan, self.situation, force=force, seconds=trial, note=note)

    def trial(self) -> Trial | None:
        """See ``Backend``."""
        return running(self._memory.notice(), self._memory.monotonic())

    def confirm(self) -> Outcome:
        """See ``Backend``."""
        site = self._site()
        from lowmem_tui.change.entry import confirm

        return confirm(site)

    def undo(
        self, change: str | None = None, *, force: bool = False, with_later: bool = False
    ) -> Outcome:
        """See ``Backend``."""
        site = self._site()
        from lowmem_tui.change.entry import undo

        return undo(site, self.situation, change, force=force, with_later=with_later)

    def history(self) -> Sequence[Change]:
        """See ``Backend``."""
        from lowmem_tui.change.records.history import history

        return history(self._memory.store(), everything=self._memory.whole(), trial=self.trial())

    def notices(self) -> Sequence[str]:
        """Return sentences on records that are not in the history."""
        from lowmem_tui.change.records.history import notices

        return notices(self._memory.store())

    def files_of(self, change: str) -> Sequence[FileChange]:
        """See ``Backend``."""
        from lowmem_tui.change.records.history import files_of

        return files_of(self._memory.store(), change)

    @property
    def witness(self) -> Witness:
        """See ``Backend``."""
        return self._witness()

    def steps(self) -> Sequence[Step]:
        """See ``Backend``."""
        from lowmem_tui.setup.context import Ground
        from lowmem_tui.setup.steps import steps

        def snapshot() -> Snapshot:
            self.wait_ready()
            return self.look()

        return steps(
            Ground(
                snapshot=snapshot,
                situation=self.situation,
                unit_files=self.unit_files,
                files=self._tools()[0],
                system=self._systems(),
                inspector=self._beside.inspector(),
                rules=self._beside.rules(),
                now=self._memory.wall,
                failures=self._failures,
            )
        )

    def _failures(self) -> Failures | None:
        now = self._memory.monotonic()
        if self._failed is None or now - self._failed[0] > LOG_EVERY:
            self._failed = now, self._failures_of_the_log()
        return self._failed[1]

    def _failures_of_the_log(self) -> Failures | None:
        from lowmem_tui.policy.incidents.shortages import failures, shortages

        try:
            evidence = self._witness().evidence(self._memory.wall() - FAILURES_FOR)
        except LowmemError:
            return None  # an ordinary user may not read the log
        return failures(shortages(evidence))

    def _systems(self) -> System:
        if self._system is None:
            self._system = self._beside.system()
        return self._system

    def progress(self) -> Progress | None:
        """See ``Backend``."""
        return self._system.progress if self._system is not None else None

    def cancel(self) -> None:
        """See ``Backend``."""
        if self._site_in_use is not None:
            self._site_in_use.cancelled.set()

    def settle(self) -> Sequence[str]:
        """See ``Backend``."""
        from lowmem_tui.change import interrupted

        store = self._memory.store()
        if self.cannot_change:
            return interrupted.told(store)
        said: Sequence[str] = ()
        # Nothing is asked of systemd where there is nothing to settle.
        if interrupted.interrupted(store):
            from lowmem_tui.change.entry import settled

            said = settled(self._site())
        return said or interrupted.incomplete(store)

    def expire(self) -> None:
        """Take the trial back now, where there is no shell for the script: the demo server."""
        from lowmem_tui.change.entry import expire

        expire(self._site())

    def _site(self) -> Site:
        if self.cannot_change:
            raise NotPermittedError(self.cannot_change)
        from lowmem_tui.change.context import Site
        from lowmem_tui.change.steps import Hands

        memory = self._memory
        self._site_in_use = Site(
            hands=Hands(self._bus(), *self._tools(), self._systems()),
            store=memory.store(),
            lock=memory.lock,
            wall=memory.wall,
            monotonic=memory.monotonic,
            boot_id=memory.boot_id(),
            by=memory.by,
        )
        return self._site_in_use

    def unit_files(self) -> dict[str, str]:
        """Return the state of each unit file, by name. Raises ManagerError, UnsupportedError."""
        return self._bus().list_unit_files()

    def _bus(self) -> Manager:
        if self._manager is None:
            if self._connect is None:
                raise UnsupportedError("There is no systemd here to ask: only looking is possible.")
            self._manager = self._connect()
        return self._manager

    def close(self) -> None:
        """Let go of everything."""
        self._watcher.close()
        if self._manager is not None:
            self._manager.close()
            self._manager = None


def open_backend(options: argparse.Namespace, *, read_only: bool = False) -> ServerBackend:
    """Return the server that the command line asks for.

    Raises UnsupportedError where there is no systemd with cgroup v2.
    """
    read_only = read_only or options.read_only
    if options.demo:
        from lowmem_tui.cli.demo import demo_backend

        return demo_backend(read_only=read_only)
    return local_backend(options.bus, read_only=read_only)


def local_backend(
    bus: str | None, *, read_only: bool = False, proc_root: str = PROC, cgroup_root: str = CGROUP
) -> ServerBackend:
    """Return this machine; ``bus`` None does without systemd (a tree in a folder, for measuring).

    Raises UnsupportedError where there is no systemd with cgroup v2.
    """
    if bus is not None:
        check_supported(cgroup_root)
    from lowmem_tui.host.sampler import ProcSampler
    from lowmem_tui.host.watcher import Watcher

    def tools() -> tuple[Files, Kernel]:
        from lowmem_tui.change.machine.files import EtcFiles
        from lowmem_tui.change.machine.kernel import KernelValues

        return EtcFiles(), KernelValues(proc_root, cgroup_root)

    connect = _connector(bus) if bus is not None else None
    return ServerBackend(
        Watcher(ProcSampler(proc_root, cgroup_root), connect),
        connect,
        tools,
        _memory(),
        demo=False,
        cannot_change=_cannot_change(read_only),
        witness=lambda: local_witness(proc_root, cgroup_root),
        beside=Beside(_local_system, _local_inspector, _local_rules),
    )


def _local_system() -> System:
    from lowmem_tui.change.machine.system import LocalSystem

    return LocalSystem()


def _local_inspector() -> Inspector:
    from lowmem_tui.host.facts import LocalInspector

    return LocalInspector()


def _local_rules() -> Rules:
    from lowmem_tui.cli.rules import load_rules

    return load_rules()


def local_witness(proc_root: str = PROC, cgroup_root: str = CGROUP) -> Witness:
    """Return what remembers this machine's kills."""
    from lowmem_tui.host.logs.kill_evidence import LocalWitness

    return LocalWitness(proc_root, cgroup_root)


def _memory() -> Memory:
    def store() -> Store:
        from lowmem_tui.change.records.store import FolderStore

        return FolderStore()

    def notice() -> str | None:
        raw = public(PATH, LONG)
        return None if raw is None else raw.decode("utf-8", "replace")

    def boot_id() -> str:
        from lowmem_tui.change.records import who

        return who.boot_id()

    def by() -> By:
        from lowmem_tui.change.records import who

        return who.whoami()

    def whole() -> bool:
        return os.geteuid() == 0

    def lock() -> AbstractContextManager[None]:
        from lowmem_tui.change.machine.files import EtcFiles

        return EtcFiles().exclusive()

    return Memory(store, whole, notice, lock, time.time, time.monotonic, boot_id, by)


def check_supported(cgroup_root: str = CGROUP) -> None:
    """Raise UnsupportedError where there is no systemd with cgroup v2."""
    for path, what in (
        ("/run/systemd/system", "systemd does not run here"),
        (f"{cgroup_root}/cgroup.controllers", "this machine does not run on cgroup v2 alone"),
    ):
        if not os.path.exists(path):
            raise UnsupportedError(
                f"{what[0].upper()}{what[1:]}: try `lowmem-tui --demo` for a look around."
            )


def _cannot_change(read_only: bool) -> str:
    if read_only:
        return "This is the read-only mode: start lowmem-tui without --read-only to change things."
    if os.geteuid() != 0:
        from lowmem_tui.cli import sudo

        return f"Only root may change this: run the same with sudo (`{sudo.command()}`)."
    return ""


def _connector(bus: str) -> Callable[[], Manager]:
    def jeepney() -> Manager:
        from lowmem_tui.host.dbus.jeepney_client import JeepneyManager

        return JeepneyManager()

    def pydbus() -> Manager:
        from lowmem_tui.host.dbus.pydbus_client import PydbusManager

        return PydbusManager()

    return pydbus if bus == "pydbus" else jeepney
