"""Doing steps one after the other, and putting all of them back when one fails."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.change.revive import revive
from lowmem_tui.change.signals import Interruption
from lowmem_tui.change.steps import Act, Reload, WriteFile
from lowmem_tui.model.errors import (
    ChangedError,
    HalfDoneError,
    LowmemError,
    NotPermittedError,
    RolledBackError,
    UnreloadedError,
)
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lowmem_tui.change.steps import Ports, Step

TRIES = 2
"""How often putting back is tried: a step can fail once for want of memory."""

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space and try again",
    errno.EDQUOT: "the disk quota is used up: free some space and try again",
    errno.EROFS: "the file system is read-only: remount it writable and try again",
    errno.EACCES: "the kernel does not permit it: run as root, outside of a container",
    errno.EPERM: "the kernel does not permit it: see `lsattr`, and run as root",
    errno.EIO: "the disk reports an error: see `dmesg` before anything else",
    errno.ELOOP: "a symbolic link is in the way: put a real folder in its place",
    errno.ENOTDIR: "something that is no folder is in the way: move it away",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.ENOMEM: "the server is out of memory: free some and try again",
}


def in_words(error: BaseException, doing: str = "") -> str:
    """Return why something failed, without a full stop."""
    at = f"{doing} failed: " if doing else ""
    if isinstance(error, Interruption):
        return f"it was interrupted ({error}): run it again"
    if isinstance(error, OSError) and error.errno is not None:
        if not at and isinstance(error.filename, str):
            at = f"{plain(error.filename, 300)}: "
        words = str(error.strerror or os.strerror(error.errno)).lower()
        return at + _REMEDIES.get(error.errno, words)
    if isinstance(error, LowmemError):
        return str(error).rstrip(".")
    return f"{at}{type(error).__name__}: {plain(str(error))}"


@dataclass(frozen=True, slots=True)
class Restore:
    """A step that is only ever undone, once systemd has read the files again."""

    left: str
    work: Callable[[Ports], None]
    doing = ""

    def do(self, ports: Ports) -> None:
        """See ``Step``."""

    def undo(self, ports: Ports) -> None:
        """See ``Step``."""
        self.work(ports)


def roll_back(begun: Sequence[Step], ports: Ports) -> dict[Step, str]:
    """Undo steps that were begun, going on past one that fails; return what is left, by hand.

    The files are restored first, for a restart alone needs nothing else. What was done last is
    undone first; systemd is reloaded once; then comes what needs that.
    """
    back = begun[::-1]
    files = [step for step in back if isinstance(step, WriteFile)]
    reloads = [step for step in back if isinstance(step, Reload)]
    after = sorted((s for s in begun if _when(s)), key=_when)
    other = [s for s in back if not _when(s) and not isinstance(s, WriteFile | Reload)]
    steps = (*files, *other, *reloads[:1], *after)
    return {step: left for step in steps if (left := _undo(step, ports))}


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


def _undo(step: Step, ports: Ports) -> str:
    for _ in range(TRIES):
        try:
            step.undo(ports)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are undone
            why = in_words(error)
        else:
            return ""
    return f"{step.left} ({why})"


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

        RolledBackError (NotPermittedError, if the cause is one) when everything is as it was,
        UnreloadedError when systemd alone does not know, or HalfDoneError telling what is left.
        What is no Exception is raised again as it is.
        """
        at = self._begun[-1].doing if self._begun and isinstance(error, OSError) else ""
        why = in_words(error, at)
        why = why[:1].upper() + why[1:]
        left = roll_back(self._begun, self._ports)
        if left and all(isinstance(step, Reload) for step in left):
            return UnreloadedError(
                f"{why}; the files are as they were, and the next start of lowmem-tui has systemd "
                "read them again, as does `systemctl daemon-reload`."
            )
        revived = "".join(f" {sentence}" for sentence in self._revive(left))
        if left:
            return HalfDoneError(
                f"{why}; not everything could be put back, so do by hand: "
                f"{'; '.join(left.values())}.{revived}",
                remaining=tuple(left.values()),
            )
        if not isinstance(error, Exception):
            return error
        kind = NotPermittedError if isinstance(error, NotPermittedError) else RolledBackError
        return kind(f"{why}; everything is as it was.{revived}")

    def _revive(self, left: Iterable[Step]) -> Sequence[str]:
        """Start again what has failed since the change began, once systemd has the old settings."""
        if not self._begun or any(isinstance(step, Reload) for step in left):
            return ()
        for _ in range(TRIES):
            with contextlib.suppress(OSError, LowmemError):
                return tuple(revive(self._active, self._ports.manager))
        return ("Whether a unit has failed meanwhile is not known: see `systemctl --failed`.",)
