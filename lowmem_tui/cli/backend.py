"""The one backend of screens and commands: a server behind its Protocols, this one or the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from lowmem_tui.model.errors import LowmemError, NotPermittedError, UnsupportedError
from lowmem_tui.model.message import msg
from lowmem_tui.model.trial import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.message import Message
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
    from lowmem_tui.model.who import By
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.policy.incidents.shortages import Failures

FAILURES_FOR = 30 * 86400.0
"""Seconds for which a failed allocation of the kernel counts."""

LOG_EVERY = 600.0
"""Seconds for which what the log says of them is kept: a slow disk takes long to read a month of
it, and the set-up looks at its steps after each change."""

READ_ONLY = msg(
    "lowmem-tui was started with --read-only: start it without that option to change anything."
)

READY = 30.0
"""Seconds that a command waits for systemd's answers before it goes on without them."""


class Snapshots(Protocol):
    """What makes snapshots (host.watcher.Watcher)."""

    def look(self) -> Snapshot:
        """Return the newest snapshot."""

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each look."""

    def wait_ready(self, timeout: float) -> bool:
        """Wait for systemd's answers."""

    def close(self) -> None:
        """Let go of everything."""


class Records(NamedTuple):
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


class Machine(NamedTuple):
    """What a server has besides units; nothing is loaded before it is asked for."""

    system: Callable[[], System]
    inspector: Callable[[], Inspector]
    rules: Callable[[], Rules]


class ServerBackend:
    """One server, seen and changed (model.ports.Backend)."""

    def __init__(
        self,
        watcher: Snapshots,
        connect: Callable[[], Manager] | None,
        tools: Callable[[], tuple[Files, Kernel]],
        records: Records,
        *,
        demo: bool,
        cannot_change: Message | str,
        witness: Callable[[], Witness],
        machine: Machine,
    ) -> None:
        """``connect`` opens a connection to systemd of our own; None where there is no bus.

        ``tools`` is asked only when something is to be changed.
        """
        self._watcher = watcher
        self._connect = connect
        self._manager: Manager | None = None
        self._tools = tools
        self._records = records
        self._witness = witness
        self._machine = machine
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

    def situation(self, names: Iterable[str], *, hidden: bool = False) -> Situation:
        """Read all that a plan for these units must know.

        With ``hidden`` also the files that systemd does not read: another one has their name.

        Raises ManagerError, UnsupportedError.
        """
        from lowmem_tui.change.situation import situation

        return situation(names, self._bus(), *self._tools(), self.look(), hidden=hidden)

    def apply(
        self, plan: Plan, *, force: bool = False, trial: int | None = None, note: str = ""
    ) -> Outcome:
        """See ``Backend``."""
        site = self._site()
        from lowmem_tui.change.entry import apply

        return apply(site, plan, self.situation, force=force, seconds=trial, note=note)

    def trial(self) -> Trial | None:
        """See ``Backend``."""
        return running(self._records.notice(), self._records.monotonic())

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

        records = self._records
        return history(records.store(), _paths(), everything=records.whole(), trial=self.trial())

    def notices(self) -> Sequence[Message | str]:
        """Return sentences on records that are not in the history."""
        from lowmem_tui.change.records.history import notices

        return notices(self._records.store())

    def files_of(self, change: str) -> Sequence[FileChange]:
        """See ``Backend``."""
        from lowmem_tui.change.records.history import files_of

        return files_of(self._records.store(), _paths(), change)

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
                inspector=self._machine.inspector(),
                rules=self._machine.rules(),
                now=self._records.wall,
                failures=self._failures,
            )
        )

    def _failures(self) -> Failures | None:
        now = self._records.monotonic()
        if self._failed is None or now - self._failed[0] > LOG_EVERY:
            self._failed = now, self._failures_of_the_log()
        return self._failed[1]

    def _failures_of_the_log(self) -> Failures | None:
        from lowmem_tui.policy.incidents.shortages import failures, shortages

        try:
            evidence = self._witness().evidence(self._records.wall() - FAILURES_FOR)
        except LowmemError:
            return None  # an ordinary user may not read the log
        return failures(shortages(evidence))

    def _systems(self) -> System:
        if self._system is None:
            self._system = self._machine.system()
        return self._system

    def progress(self) -> Progress | None:
        """See ``Backend``."""
        return self._system.progress if self._system is not None else None

    def cancel(self) -> None:
        """See ``Backend``."""
        if self._site_in_use is not None:
            self._site_in_use.cancelled.set()

    def settle(self) -> Sequence[Message | str]:
        """See ``Backend``."""
        from lowmem_tui.change import interrupted

        store = self._records.store()
        if self.cannot_change:
            return interrupted.unfinished(store)
        found: Sequence[Message | str] = ()
        # Nothing is asked of systemd where there is nothing to settle.
        if interrupted.interrupted(store, _paths):
            from lowmem_tui.change.entry import settled

            found = settled(self._site())
        return found or interrupted.incomplete(store)

    def boot_id(self) -> str:
        """Return what names this boot (/proc/sys/kernel/random/boot_id)."""
        return self._records.boot_id()

    def expire(self) -> None:
        """Revert the trial now, where there is no shell for the script: the demo server."""
        from lowmem_tui.change.entry import expire

        expire(self._site())

    def _site(self) -> Site:
        if self.cannot_change:
            raise NotPermittedError(self.cannot_change)
        from lowmem_tui.change.context import Site
        from lowmem_tui.change.steps import Ports

        records = self._records
        self._site_in_use = Site(
            ports=Ports(self._bus(), *self._tools(), self._systems()),
            store=records.store(),
            paths=_paths(),
            lock=records.lock,
            wall=records.wall,
            monotonic=records.monotonic,
            boot_id=records.boot_id(),
            by=records.by,
        )
        return self._site_in_use

    def unit_files(self) -> dict[str, str]:
        """Return the state of each unit file, by name. Raises ManagerError, UnsupportedError."""
        return self._bus().list_unit_files()

    def _bus(self) -> Manager:
        if self._manager is None:
            if self._connect is None:
                raise UnsupportedError(
                    msg("There is no systemd here: units can be viewed, but not changed.")
                )
            self._manager = self._connect()
        return self._manager

    def close(self) -> None:
        """Let go of everything."""
        self._watcher.close()
        if self._manager is not None:
            self._manager.close()
            self._manager = None


def _paths() -> Paths:
    """Return what a change may write on any server; nothing of a step is loaded for it."""
    from lowmem_tui.setup.steps import allowed

    return allowed().paths
