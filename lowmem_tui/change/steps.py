"""The small steps that a change is made of: each is plain data, and knows its own inverse.

A step holds the values from before and after, so it can be written down ahead of doing it.
``undo`` may be called whether ``do`` was done, half done or never begun, and more than once.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lowmem_tui.change import found
from lowmem_tui.change.compare import PAGE
from lowmem_tui.model.errors import ChangedError, UnsupportedError
from lowmem_tui.model.message import msg, of_limit, of_path, of_text, of_unit
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.settings import same

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Action
    from lowmem_tui.model.ports import Files, Kernel, Manager, System
    from lowmem_tui.model.unit import Key, Limit

_GROUP_GONE = (errno.ENOENT, errno.ENODEV)


class Nothing:
    """``System`` where there is none: units alone can be changed."""

    progress = None

    def get(self, kind: ActionKind, what: str) -> str:
        """See ``System``."""
        raise UnsupportedError(msg("There is no {what} here ({kind}).", what=what, kind=kind))

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        """See ``System``."""
        del value, check
        self.get(kind, what)


class Ports(NamedTuple):
    """What the steps are done with."""

    manager: Manager
    files: Files
    kernel: Kernel
    system: System = Nothing()


class Step(Protocol):
    """One step. Raises OSError and ManagerError as they come."""

    @property
    def failure(self) -> Message | None:
        """The sentence on what could not be done, where the kernel's error does not name it."""

    @property
    def todo(self) -> Message:
        """What to do by hand if it could not be undone, as a sentence."""

    def do(self, ports: Ports) -> None:
        """Do it."""

    def undo(self, ports: Ports) -> None:
        """Make it as it was."""


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write or remove one of our files; None is "no such file"."""

    path: str
    before: str | None
    after: str | None

    @property
    def failure(self) -> Message:
        """See ``Step``."""
        path = of_path(self.path)
        if self.after is None:
            return msg("{path} could not be removed.", path=path)
        return msg("{path} could not be written.", path=path)

    @property
    def todo(self) -> Message:
        """See ``Step``."""
        path = of_path(self.path)
        if self.before is None:
            return msg("Remove {path}.", path=path)
        return msg("Restore {path}.", path=path)

    def do(self, ports: Ports) -> None:
        """See ``Step``. ChangedError, with nothing done, if somebody has edited it meanwhile."""
        self._put(ports, self.after, self.before)

    def undo(self, ports: Ports) -> None:
        """See ``Step``. ChangedError if somebody else has edited the file meanwhile."""
        now = ports.files.read(self.path)
        if now == self.before:
            return
        if now != self.after:
            raise ChangedError(
                msg("{path} was edited meanwhile: check it.", path=of_path(self.path))
            )
        self._put(ports, self.before, self.after)

    def _put(self, ports: Ports, text: str | None, known: str | None) -> None:
        if text is None:
            ports.files.remove(self.path)
        elif ports.files.is_others(self.path):
            ports.files.edit(self.path, text, known)
        else:
            ports.files.write(self.path, text)


@dataclass(frozen=True, slots=True)
class Reload:
    """Make systemd read its files; the inverse is to do it again when the files are back."""

    failure = msg("systemd could not reload.")
    todo = msg("Run `systemctl daemon-reload`.")

    def do(self, ports: Ports) -> None:
        """See ``Step``."""
        ports.manager.reload()

    undo = do


@dataclass(frozen=True, slots=True)
class Act:
    """Do one of a plan's actions."""

    action: Action
    check: Callable[[], None] = lambda: None
    """Raises when it is time to stop in the middle of a long one."""

    @property
    def failure(self) -> Message:
        """See ``Step``."""
        return msg("This failed: {action}.", action=self.action.described)

    @property
    def todo(self) -> Message:
        """See ``Step``."""
        action = self.action
        if action.kind.repeats:
            return msg("Do this again: {action}.", action=action.described)
        return _restoring(action)

    def do(self, ports: Ports) -> None:
        """See ``Step``. ChangedError, with nothing done, if it is not as the plan saw it."""
        self._put(ports, self.action.after, self.check)

    def undo(self, ports: Ports) -> None:
        """See ``Step``. ChangedError if somebody else has changed it meanwhile.

        A test has changed nothing, and need not pass for the files to be back.
        """
        if self.action.kind is not ActionKind.TEST:
            self._put(ports, self.action.before, lambda: None)

    def _put(self, ports: Ports, value: str, check: Callable[[], None]) -> None:
        action = self.action
        if action.kind.repeats:
            ports.system.put(action.kind, action.what, value, check)
            return
        now = found.value(ports.system, action)
        if now is None:
            return
        if now not in {action.before, action.after} and not found.is_in_the_way(action, now):
            raise ChangedError(found.changed(action, now))
        ports.system.put(action.kind, action.what, value, check)


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Write a limit of what runs into its control group."""

    unit: str
    key: Key
    cgroup: str
    file: str
    before: Limit
    after: Limit

    @property
    def failure(self) -> Message:
        """See ``Step``."""
        return msg("{file} of {unit} could not be set.", file=self.file, unit=of_unit(self.unit))

    @property
    def todo(self) -> Message:
        """See ``Step``."""
        text = "max" if not isinstance(self.before, int) else str(self.before)
        path = f"/sys/fs/cgroup{self.cgroup}/{self.file}"
        return msg("Write {value} to {path}.", value=text, path=of_path(path))

    def do(self, ports: Ports) -> None:
        """See ``Step``. A unit that has just ended needs none."""
        self._put(ports, self.after)

    def undo(self, ports: Ports) -> None:
        """See ``Step``."""
        now = ports.kernel.limit(self.cgroup, self.file)
        if now is not None and not same(self.key, now, self.before, PAGE):
            self._put(ports, self.before)

    def _put(self, ports: Ports, value: Limit) -> None:
        try:
            ports.kernel.set_limit(self.cgroup, self.file, value)
        except OSError as error:
            if error.errno not in _GROUP_GONE:
                raise

    @property
    def done(self) -> Message:
        """The sentence on what was set."""
        return msg(
            "{unit}: {file} of the running unit is now {after} (it was {before}).",
            unit=of_unit(self.unit),
            file=self.file,
            after=of_limit(self.after),
            before=of_limit(self.before),
        )


@dataclass(frozen=True, slots=True)
class SetScore:
    """Write oom_score_adj of one process."""

    unit: str
    pid: int
    start: int
    """Clock ticks after boot: with the pid it names one process for good."""
    before: int
    after: int

    @property
    def failure(self) -> Message:
        """See ``Step``."""
        return msg(
            "oom_score_adj of process {pid} of {unit} could not be set.",
            pid=self.pid,
            unit=of_unit(self.unit),
        )

    @property
    def todo(self) -> Message:
        """See ``Step``."""
        path = f"/proc/{self.pid}/oom_score_adj"
        return msg("Write {value} to {path}.", value=self.before, path=of_path(path))

    def do(self, ports: Ports) -> None:
        """See ``Step``. A process that has ended needs none."""
        ports.kernel.set_oom_score_adj(self.pid, self.start, self.after)

    def undo(self, ports: Ports) -> None:
        """See ``Step``."""
        if ports.kernel.oom_score_adj(self.pid, self.start) == self.after:
            ports.kernel.set_oom_score_adj(self.pid, self.start, self.before)


def _restoring(action: Action) -> Message:
    """Return the sentence on how to restore by hand what an action changes."""
    was = action.in_words(action.before)
    if action.kind is ActionKind.RUN:
        unit = of_unit(action.what)
        if action.before == "active":
            return msg("Start {unit}.", unit=unit)
        return msg("Stop {unit}.", unit=unit)
    if action.kind in {ActionKind.LINK, ActionKind.SWAP_FILE}:
        path = of_path(action.what)
        if action.before:
            return msg("Restore {path} ({value}).", path=path, value=was)
        return msg("Remove {path}.", path=path)
    return msg("Set {what} to {value}.", what=of_text(action.what, 200), value=was)
