"""Edits, and the plan that they make: plain data that can be written as JSON and read back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.integer import natural
from lowmem_tui.model.kept import public, shown
from lowmem_tui.model.message import (
    as_message,
    msg,
    of_bytes,
    of_command,
    of_path,
    of_setting,
    of_unit,
    verbatim,
)

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.unit import Key, Value


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: a setting of a unit to be this text; None drops our setting."""

    unit: str
    key: Key
    value: str | None


class When(StrEnum):
    """When a change takes effect."""

    LIVE = "live"
    """At once, on what is running: written into the kernel's file."""
    RELOAD = "reload"
    """As soon as systemd has reloaded."""
    RESTART = "restart"
    """When the unit is next started."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file, whole, before and after; None is "no such file"."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What one edit does."""

    unit: str
    key: Key
    from_: str
    to: str
    when: When
    loaded: Value | None = None
    """What systemd will have loaded after the reload; None if that cannot be determined."""
    live: Value | None = None
    """The value to write into the kernel for what is running; None for nothing to write."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning or a refusal."""

    code: str
    """Stable, kebab-case: ``memory-max-below-use``."""
    unit: str
    words: Message | str
    """One or two sentences: what would happen, and the better alternative."""
    forceable: bool = False
    """For a refusal: ``--force`` turns it into a warning."""
    lost: bool = False
    """Whether undoing the change does not bring back what it tells of."""

    @property
    def text(self) -> str:
        """The English."""
        return str(self.words)

    @property
    def message(self) -> Message:
        """The words as a message."""
        return as_message(self.words)

    @property
    def named(self) -> Message:
        """The message, with the unit where it does not name it."""
        if self.unit in self.text:
            return self.message
        return msg("{unit}: {text}", unit=of_unit(self.unit), text=self.message)


class Phase(StrEnum):
    """When an action is done, seen from the files of its plan."""

    EARLY = "early"
    """Before any file is written: a swap file, ahead of the unit that uses it."""
    FILES = "files"
    """With the files, ahead of the reload."""
    LATE = "late"
    """When the files are there and systemd has reloaded."""

    @property
    def inverse(self) -> Phase:
        """When the inverse of such an action is done."""
        return {Phase.EARLY: Phase.LATE, Phase.LATE: Phase.EARLY}.get(self, self)


class ActionKind(StrEnum):
    """What can be changed besides files and the kernel's values of units."""

    LINK = "link"
    """A symbolic link of /etc/systemd/system; the value is its target, "" for none (model.kept
    has what else may be found there)."""
    RUN = "run"
    """Whether a unit runs: ``active`` or ``inactive``."""
    SYSCTL = "sysctl"
    """A value below /proc/sys, by its dotted name (sysctl(8))."""
    SWAP_FILE = "swap-file"
    """A file prepared as swap space; the value is its size in bytes, "" for none."""
    REDIS = "redis"
    """``UNIT DIRECTIVE`` of a running Redis (CONFIG GET and CONFIG SET)."""
    SERVICE = "service"
    """``restart`` or ``reload`` of a unit: the same in both directions."""
    TEST = "test"
    """A program's own check of its files (``nginx``): the same in both directions."""

    @property
    def needs_what_runs(self) -> bool:
        """Whether a unit that does not run has no such value: it takes it when it starts.

        The unit is the first word of what is changed.
        """
        return self is ActionKind.REDIS

    @property
    def repeats(self) -> bool:
        """Whether its inverse is to do it again, when the files are back."""
        return self in {ActionKind.SERVICE, ActionKind.TEST}


@dataclass(frozen=True, slots=True)
class Action:
    """One change besides files: what is to have another value; plain data, with its inverse."""

    kind: ActionKind
    what: str
    before: str
    after: str
    phase: Phase = Phase.LATE
    words: str = ""
    """The command an administrator would type for it; "" where that follows from the rest."""
    frees: int | None = None
    """For a unit that is stopped: the bytes that it uses; None if that is unknown."""

    @property
    def described(self) -> Message:
        """The action in words."""
        if self.kind is ActionKind.SWAP_FILE and self.after:
            return msg(
                "write {path}, {size} of zeros, mode 0600; {command}",
                path=of_path(self.what),
                size=self.in_words(self.after),
                command=of_command(f"mkswap {self.what}"),
            )
        command = self._command
        if not command:
            return msg(
                "{kind} {what}: {before} -> {after}",
                kind=of_setting(self.kind),
                what=self.what,
                before=self.in_words(self.before),
                after=self.in_words(self.after),
            )
        if self.frees is not None:
            size = of_bytes(self.frees)
            return msg("{command} (it holds {size})", command=of_command(command), size=size)
        return verbatim(command)

    @property
    def _command(self) -> str:
        """What an administrator would type for it; "" where there is no such command."""
        if self.words:
            return self.words
        if self.kind.repeats:
            return f"{self.after} {self.what}"
        if self.kind is ActionKind.RUN:
            return f"systemctl {'start' if self.after == 'active' else 'stop'} {self.what}"
        if self.kind is ActionKind.SYSCTL and self.after:
            return f"sysctl -w {self.what}={self.after}"
        removed = self.kind in {ActionKind.LINK, ActionKind.SWAP_FILE} and not self.after
        return f"rm {self.what}" if removed else ""

    @property
    def subject(self) -> str:
        """The name of what it changes; not safe to print as it is."""
        if self.kind.needs_what_runs:
            unit, directive, *_ = (*self.what.split(" "), "")
            return f"{directive} ({unit})"
        return self.what

    def in_words(self, value: str) -> Message:
        """Return a value of what it changes, for a person."""
        if self._is_size and (size := natural(value)) is not None:
            return verbatim(render_limit(size)) if size else msg("none")
        return shown(value) if value else msg("none")

    @property
    def _is_size(self) -> bool:
        """Whether the values are bytes."""
        directive = self.what.split(" ") if self.kind is ActionKind.REDIS else ()
        return self.kind is ActionKind.SWAP_FILE or "maxmemory" in directive

    @property
    def public(self) -> Action:
        """The action without the contents of a file that it replaces or restores."""
        return replace(self, before=public(self.before), after=public(self.after))

    @property
    def inverse(self) -> Action:
        """Return what undoes it."""
        if self.kind.repeats:
            return self
        return Action(self.kind, self.what, self.after, self.before, self.phase.inverse)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, decided before anything is touched."""

    edits: tuple[Edit, ...]
    """As asked, with each alias resolved to the unit's primary name."""
    files: tuple[FileChange, ...]
    effects: tuple[Effect, ...]
    warnings: tuple[Notice, ...]
    refusals: tuple[Notice, ...]
    actions: tuple[Action, ...] = ()
    """In the order in which they are done, within each phase."""
    at_restart: bool = False
    """Whether running processes keep all values, limits and scores too, until their next start."""

    @property
    def empty(self) -> bool:
        """Whether nothing would be done."""
        return not (self.files or self.actions)

    def refused(self, force: bool) -> tuple[Notice, ...]:
        """Return the refusals that stand."""
        return tuple(r for r in self.refusals if not (force and r.forceable))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A setting that is not, after the change, what was asked for."""

    unit: str
    key: Key
    wanted: str
    declared: str
    loaded: str
    kernel: str
    cause: Message | str
    """Why: which file overrides it, which parent limits it, what needs a restart."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a plan that was applied."""

    files: tuple[str, ...]
    live: tuple[Message | str, ...]
    """Sentences: which kernel values were set."""
    pending: tuple[Message | str, ...]
    """Sentences: what waits for a restart."""
    mismatches: tuple[Mismatch, ...]
    removed: tuple[str, ...] = ()
    """Those of ``files`` that were removed."""
    down: tuple[Message | str, ...] = ()
    """Sentences: which of its units have failed, and how to start them."""
    done: tuple[Message | str, ...] = ()
    """What was done besides files and units."""

    @property
    def well(self) -> bool:
        """Whether all is as asked, and no unit of it has failed."""
        return not (self.mismatches or self.down)
