"""Doing steps one after the other, and rolling all of them back when one fails."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.change.reason import reason
from lowmem_tui.change.revive import UNKNOWN, revive
from lowmem_tui.change.signals import Interruption
from lowmem_tui.change.steps import Act, Reload, WriteFile
from lowmem_tui.model.errors import (
    ChangedError,
    HalfDoneError,
    LowmemError,
    NotPermittedError,
    RolledBackError,
    StoppedError,
    UnreloadedError,
)
from lowmem_tui.model.message import msg, sentences
from lowmem_tui.model.plan import ActionKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lowmem_tui.change.steps import Ports, Step
    from lowmem_tui.model.message import Message

TRIES = 2
"""How many attempts a rollback has: a step can fail once for want of memory."""


@dataclass(frozen=True, slots=True)
class Restore:
    """A step that is only ever undone, once systemd has read the files again."""

    todo: Message
    work: Callable[[Ports], None]
    failure = None

    def do(self, ports: Ports) -> None:
        """See ``Step``."""

    def undo(self, ports: Ports) -> None:
        """See ``Step``."""
        self.work(ports)


def roll_back(begun: Sequence[Step], ports: Ports) -> dict[Step, Message]:
    """Undo steps that were begun, going on past one that fails; return what remains, by hand.

    The files are restored first, for a restart alone needs nothing else. What was done last is
    undone first; systemd is reloaded once; then comes what needs that.
    """
    back = begun[::-1]
    files = [step for step in back if isinstance(step, WriteFile)]
    reloads = [step for step in back if isinstance(step, Reload)]
    after = sorted((s for s in begun if _when(s)), key=_when)
    other = [s for s in back if not _when(s) and not isinstance(s, WriteFile | Reload)]
    steps = (*files, *other, *reloads[:1], *after)
    return {step: remaining for step in steps if (remaining := _undo(step, ports))}


def _when(step: Step) -> int:
    """Return when a step is undone behind the reload; 0 for ahead of it."""
    if isinstance(step, Restore):
        return 1
    if not isinstance(step, Act):
        return 0
    action = step.action
    if action.kind is ActionKind.RUN and action.before == "active":
        return 2  # a unit that is masked, or has another file, is none that systemd could start
    return 3 if action.kind.repeats else 0


def _undo(step: Step, ports: Ports) -> Message | None:
    for _ in range(TRIES):
        try:
            step.undo(ports)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are undone
            why = reason(error)
        else:
            return None
    return sentences(step.todo, why)


_ROLLED_BACK = msg("The change was rolled back: everything has its previous value.")
_UNRELOADED = msg(
    "The files are restored. The next start of lowmem-tui makes systemd read them again, "
    "as does `systemctl daemon-reload`."
)
_INCOMPLETE = msg("Not everything could be rolled back.")
BY_HAND = msg("Do this by hand:")
"""What remains follows."""


class Transaction:
    """Steps that are all done, or all undone."""

    def __init__(self, ports: Ports, check: Callable[[], None], active: Sequence[str] = ()) -> None:
        """``check`` raises between two steps when it is time to stop; ``active`` units run now."""
        self._ports = ports
        self._check = check
        self._active = active
        self._begun: list[Step] = []

    def do(self, step: Step) -> None:
        """Do a step. It may be half done when this raises: ``abandon`` sees to that."""
        self._check()
        self._begun.append(step)
        try:
            step.do(self._ports)
        except (NotPermittedError, ChangedError):
            # systemd has not even begun, and would not permit the inverse either; and what somebody
            # has changed meanwhile is as they left it.
            self._begun.remove(step)
            raise

    def abandon(self, error: BaseException) -> BaseException:
        """Undo every step that was begun, start what that killed, and return what to raise now.

        RolledBackError (NotPermittedError, if the cause is one; StoppedError, if the operator has
        stopped it) when everything is as it was,
        UnreloadedError when systemd alone does not know, or HalfDoneError with what remains.
        What is no Exception is raised again as it is.
        """
        failed = self._begun[-1].failure if self._begun and isinstance(error, OSError) else None
        why = reason(error, failed)
        left = roll_back(self._begun, self._ports)
        if left and all(isinstance(step, Reload) for step in left):
            return UnreloadedError(sentences(why, _UNRELOADED))
        revived = self._revive(left)
        if left:
            remaining = tuple(left.values())
            return HalfDoneError(
                sentences(why, _INCOMPLETE, BY_HAND, *remaining, *revived),
                remaining=remaining,
                outcome=sentences(why, _INCOMPLETE, *revived),
            )
        if not isinstance(error, Exception):
            return error
        return _kind(error)(sentences(why, _ROLLED_BACK, *revived))

    def _revive(self, left: Iterable[Step]) -> Sequence[Message]:
        """Start again what has failed since the change began, once systemd has the old settings."""
        if not self._begun or any(isinstance(step, Reload) for step in left):
            return ()
        for _ in range(TRIES):
            with contextlib.suppress(OSError, LowmemError):
                return tuple(revive(self._active, self._ports.manager))
        return (UNKNOWN,)


def _kind(error: Exception) -> type[LowmemError]:
    """Return the class of what is raised when everything is as it was."""
    if isinstance(error, NotPermittedError):
        return NotPermittedError
    stopped = isinstance(error, Interruption) and not error.number
    return StoppedError if stopped else RolledBackError
