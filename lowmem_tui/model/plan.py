"""Edits, and the plan that they make: plain data that can be written as JSON and read back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.unit import Key, Value


@dataclass(frozen=True, slots=True)
class Edit:
    """One wish: a setting of a unit to be this text; None drops our setting."""

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
    """What systemd will hold after the reload; None if that cannot be told."""
    live: Value | None = None
    """The value to write into the kernel for what is running; None for nothing to write."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning or a refusal."""

    code: str
    """Stable, kebab-case: ``memory-max-below-use``."""
    unit: str
    text: str
    """One or two sentences: what would happen, and the better alternative."""
    forceable: bool = False
    """For a refusal: ``--force`` turns it into a warning."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, decided before anything is touched."""

    edits: tuple[Edit, ...]
    """As asked, with each alias resolved to the unit's primary name."""
    files: tuple[FileChange, ...]
    effects: tuple[Effect, ...]
    warnings: tuple[Notice, ...]
    refusals: tuple[Notice, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing would be written."""
        return not self.files

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
    cause: str
    """Why, in words: which file wins, which parent caps, what needs a restart."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying a plan came to, when it did not fail."""

    files: tuple[str, ...]
    live: tuple[str, ...]
    """Sentences: which kernel values were set."""
    pending: tuple[str, ...]
    """Sentences: what waits for a restart."""
    mismatches: tuple[Mismatch, ...]
    removed: tuple[str, ...] = ()
    """Those of ``files`` that were taken away."""
