"""What every step works with: one server, behind Protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lowmem_tui.model.ports import Files, Inspector, System
    from lowmem_tui.model.snapshot import Situation, Snapshot
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.policy.incidents.shortages import Failures


@dataclass(frozen=True, slots=True)
class Ground:
    """One server, to read from. Nothing here writes except through a Plan."""

    snapshot: Callable[[], Snapshot]
    """A snapshot with systemd's side in it."""
    situation: Callable[[Iterable[str]], Situation]
    unit_files: Callable[[], dict[str, str]]
    """The state of each unit file (``enabled``, ``static``…), by name."""
    files: Files
    """For reading; OSError as the kernel gives it."""
    system: System
    """For ``get`` alone."""
    inspector: Inspector
    rules: Rules
    now: Callable[[], float]
    """Seconds since 1970."""
    failures: Callable[[], Failures | None] = lambda: None
    """What the kernel's failed allocations of the last weeks amount to; None: unknown."""
