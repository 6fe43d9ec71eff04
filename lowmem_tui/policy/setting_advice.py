"""What the policy advises for a setting, in a few words, and what the setting is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model import settings
from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cgroup import ROOT_SLICE
from lowmem_tui.model.settings import Word
from lowmem_tui.model.unit import Key, Tier, unit_type
from lowmem_tui.policy.budget import swap_of
from lowmem_tui.policy.forecast.oom import spare_swap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.unit import Value

CHOICES = {key: kind.words for key in Key if isinstance(kind := key.facts.kind, Word)}
"""Settings whose values are a few words."""

ABOUT = {
    Key.OOM_SCORE_ADJUST: "who is killed first: -1000 to 1000, lower lives longer. Example: -200",
    Key.MEMORY_MAX: "beyond this it is killed. Examples: 256M, 25%, infinity",
    Key.MEMORY_HIGH: "beyond this it is slowed and pushed into swap. Examples: 200M, infinity",
    Key.MEMORY_SWAP_MAX: "how much of it may be in swap. Examples: 128M, 0, infinity",
    Key.MEMORY_LOW: "so much is reclaimed last, where its slices grant it too. Examples: 32M, 0",
    Key.MEMORY_MIN: "so much is never reclaimed, where its slices grant it too. Examples: 16M, 0",
    Key.RESTART: "when systemd starts it again",
    Key.RESTART_SEC: "how long systemd waits before that. Examples: 3s, 500ms, 1min 30s",
    Key.OOM_POLICY: "what goes when one of its processes is killed",
}

WORDS = {
    "no": "never",
    "on-success": "after a clean end only",
    "on-failure": "after a crash, a kill or a timeout",
    "on-abnormal": "after a signal or a timeout, not after an error code",
    "on-watchdog": "after a watchdog timeout only",
    "on-abort": "after an uncaught signal only",
    "always": "whatever ended it",
    "continue": "only that process goes",
    "stop": "the whole unit is stopped, cleanly",
    "kill": "the kernel kills the whole unit at once",
}
"""What the words of Restart and OOMPolicy mean."""

_ADVICE: dict[Tier, dict[Key, str]] = {
    Tier.GATEKEEPER: {
        Key.OOM_SCORE_ADJUST: "-200 to -500: the last to go",
        Key.MEMORY_MAX: "none: it must not be killed",
        Key.MEMORY_HIGH: "none",
        Key.MEMORY_SWAP_MAX: "none",
        Key.MEMORY_LOW: "what it holds: reclaimed last",
        Key.MEMORY_MIN: "none: MemoryLow is enough",
        Key.RESTART: "on-failure",
        Key.RESTART_SEC: "a few seconds",
        Key.OOM_POLICY: "continue: one child is not all",
    },
    Tier.BUSINESS: {
        Key.OOM_SCORE_ADJUST: "-100 to 100: may be killed",
        Key.MEMORY_MAX: "a limit, above its peak",
        Key.MEMORY_HIGH: "none, or a little below MemoryMax",
        Key.MEMORY_SWAP_MAX: "none, or a bound on swapping",
        Key.MEMORY_LOW: "none, or what it always needs",
        Key.MEMORY_MIN: "none",
        Key.RESTART: "always, or on-failure",
        Key.RESTART_SEC: "3s",
        Key.OOM_POLICY: "continue, if workers are replaced",
    },
    Tier.SHORT_LIVED: {
        Key.OOM_SCORE_ADJUST: "0",
        Key.MEMORY_MAX: "none",
        Key.MEMORY_HIGH: "none",
        Key.MEMORY_SWAP_MAX: "none",
        Key.MEMORY_LOW: "none",
        Key.MEMORY_MIN: "none",
        Key.RESTART: "no: its timer starts it again",
        Key.RESTART_SEC: "none",
        Key.OOM_POLICY: "stop",
    },
}

_SAFE = -1000
"""OOM_SCORE_ADJ_MIN: the kernel never chooses such a process. sshd and udevd give it themselves."""

TIER_NAMES = {
    Tier.GATEKEEPER: "Tier 0, gatekeeper",
    Tier.BUSINESS: "Tier 1, business",
    Tier.SHORT_LIVED: "Tier 2, short-lived",
    None: "No tier",
}


def keys_of(unit: str) -> tuple[Key, ...]:
    """Return the settings that a unit of this name's type has; the root slice takes none."""
    if unit == ROOT_SLICE:
        return ()
    return settings.keys_of(unit_type(unit))


def common_keys(units: Iterable[str]) -> tuple[Key, ...]:
    """Return the settings that all these units have."""
    each = [keys_of(unit) for unit in units]
    return tuple(key for key in each[0] if all(key in keys for keys in each))


def advice(
    key: Key,
    tier: Tier | None,
    peak: int | None,
    kernel: Value | None = None,
    limit: int | None = None,
    swap: bool = True,
) -> str:
    """Return the tier's advice for a setting; "" where there is none.

    ``peak`` and ``limit`` (a MemoryMax by the budget) are bytes; ``kernel`` is what the kernel has
    now. ``swap``: whether swap can take what is above MemoryHigh.
    """
    if tier is None:
        return ""
    if key is Key.OOM_SCORE_ADJUST and isinstance(kernel, int) and kernel <= _SAFE:
        return "none: it is never chosen as it is"
    if key is Key.MEMORY_MAX and tier is Tier.BUSINESS:
        had = f"; its peak was {format_size(peak)}" if peak else ""
        if limit is not None:
            return f"{limit >> 20}M{had}"
        if peak:
            return f"a limit, above its peak of {format_size(peak)}"
    if key is Key.MEMORY_HIGH and not swap:
        return "none: without swap left it only slows down"
    return _ADVICE[tier][key]


def has_swap(unit: Unit, snapshot: Snapshot | None) -> bool:
    """Tell whether a unit has swap left for what would be above its MemoryHigh."""
    if snapshot is None:
        return True
    if unit.usage is None:
        return swap_of(snapshot, unit) > 0
    return spare_swap(snapshot.host, unit.usage) > 0
