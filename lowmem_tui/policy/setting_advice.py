"""What the policy advises for a setting, in a few words, and what the setting is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model import settings
from lowmem_tui.model.cgroup import ROOT_SLICE
from lowmem_tui.model.message import msg, of_bytes, of_limit, verbatim
from lowmem_tui.model.settings import Word
from lowmem_tui.model.unit import Key, Tier, unit_type
from lowmem_tui.policy.budget import swap_of
from lowmem_tui.policy.checks.preflight import BUSES, keeps_own_score, score_inherited
from lowmem_tui.policy.forecast.oom import spare_swap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.unit import Value

CHOICES = {key: kind.words for key in Key if isinstance(kind := key.facts.kind, Word)}
"""Settings whose values are a few words."""

ABOUT = {
    Key.OOM_SCORE_ADJUST: msg("from -1000 (never killed) to 1000 (killed first). Example: -200"),
    Key.MEMORY_MAX: msg(
        "at this limit the kernel kills within the unit. Examples: 256M, 25%, infinity"
    ),
    Key.MEMORY_HIGH: msg("above this it is slowed down and swapped out. Examples: 200M, infinity"),
    Key.MEMORY_SWAP_MAX: msg("how much swap it may use. Examples: 128M, 0, infinity"),
    Key.MEMORY_LOW: msg(
        "this much is reclaimed last, as far as its slices grant it. Examples: 32M, 0"
    ),
    Key.MEMORY_MIN: msg(
        "this much is never reclaimed, as far as its slices grant it. Examples: 16M, 0"
    ),
    Key.RESTART: msg("when systemd starts it again"),
    Key.RESTART_SEC: msg(
        "how long systemd waits before it starts it again. Examples: 3s, 500ms, 1min 30s"
    ),
    Key.OOM_POLICY: msg("what is killed or stopped when one of its processes is OOM-killed"),
}

WORDS = {
    "no": msg("never"),
    "on-success": msg("after a clean end only"),
    "on-failure": msg("after a crash, a kill or a timeout"),
    "on-abnormal": msg("after a signal or a timeout, not after an error code"),
    "on-watchdog": msg("after a watchdog timeout only"),
    "on-abort": msg("after an uncaught signal only"),
    "always": msg("whatever ended it"),
    "continue": msg("only that process is killed"),
    "stop": msg("systemd stops the whole unit cleanly"),
    "kill": msg("the kernel kills the whole unit at once"),
}
"""What the words of Restart and OOMPolicy mean."""

_ADVICE: dict[Tier, dict[Key, Message]] = {
    Tier.GATEKEEPER: {
        Key.OOM_SCORE_ADJUST: msg("-200 to -500: killed last"),
        Key.MEMORY_MAX: msg("none: it must not be killed"),
        Key.MEMORY_HIGH: msg("none"),
        Key.MEMORY_SWAP_MAX: msg("none"),
        Key.MEMORY_LOW: msg("what it uses: reclaimed last"),
        Key.MEMORY_MIN: msg("none: MemoryLow is enough"),
        Key.RESTART: msg("on-failure"),
        Key.RESTART_SEC: msg("a few seconds"),
        Key.OOM_POLICY: msg("continue: the others keep running"),
    },
    Tier.BUSINESS: {
        Key.OOM_SCORE_ADJUST: msg("-100 to 100: may be killed"),
        Key.MEMORY_MAX: msg("a limit, above its peak"),
        Key.MEMORY_HIGH: msg("none, or a little below MemoryMax"),
        Key.MEMORY_SWAP_MAX: msg("none, or a limit on its swap"),
        Key.MEMORY_LOW: msg("none, or what it always needs"),
        Key.MEMORY_MIN: msg("none"),
        Key.RESTART: msg("always, or on-failure"),
        Key.RESTART_SEC: verbatim("3s"),
        Key.OOM_POLICY: msg("continue, if workers are replaced"),
    },
    Tier.SHORT_LIVED: {
        Key.OOM_SCORE_ADJUST: verbatim("0"),
        Key.MEMORY_MAX: msg("none"),
        Key.MEMORY_HIGH: msg("none"),
        Key.MEMORY_SWAP_MAX: msg("none"),
        Key.MEMORY_LOW: msg("none"),
        Key.MEMORY_MIN: msg("none"),
        Key.RESTART: msg("no: its timer starts it again"),
        Key.RESTART_SEC: msg("none"),
        Key.OOM_POLICY: verbatim("stop"),
    },
}

_SAFE = -1000
"""OOM_SCORE_ADJ_MIN: the kernel never chooses such a process. sshd and udevd give it themselves."""

TIER_NAMES: dict[Tier | None, Message] = {
    Tier.GATEKEEPER: msg("Tier 0, gatekeeper"),
    Tier.BUSINESS: msg("Tier 1, business"),
    Tier.SHORT_LIVED: msg("Tier 2, short-lived"),
    None: msg("No tier"),
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
    needed: int | None,
    kernel: Value | None = None,
    limit: int | None = None,
    swap: bool = True,
    unit: str = "",
) -> Message | None:
    """Return the tier's advice for a setting; None where there is none.

    ``needed`` (``budget.need``) and ``limit`` (a MemoryMax by the budget) are bytes; ``kernel`` is
    what the kernel has now. ``swap``: whether swap can take what is above MemoryHigh. ``unit`` is
    the name of one that the tier's advice may not suit.
    """
    if tier is None:
        return None
    if key is Key.OOM_SCORE_ADJUST and isinstance(kernel, int) and kernel <= _SAFE:
        return msg("none: the kernel never chooses it")
    if key is Key.OOM_SCORE_ADJUST and tier is Tier.GATEKEEPER and score_inherited(unit):
        return _login_score(unit)
    if key in {Key.RESTART, Key.RESTART_SEC} and unit in BUSES:
        return msg("none: dbus.socket starts it again")
    if key is Key.MEMORY_MAX and tier is Tier.BUSINESS and (found := _limit(needed, limit)):
        return found
    if key is Key.MEMORY_HIGH and not swap:
        return msg("none: without free swap it only slows down")
    return _ADVICE[tier][key]


def _login_score(unit: str) -> Message:
    """Return the advice for a score that every login inherits."""
    if keeps_own_score(unit):
        return msg("-200: every login inherits it")
    return msg("0: every login inherits it")


def _limit(needed: int | None, limit: int | None) -> Message | None:
    """Return the advice for a MemoryMax; None where nothing is known that it depends on."""
    if limit is not None:
        whole = of_limit(limit >> 20 << 20)
        if needed:
            return msg("{limit}; it has needed {needed}", limit=whole, needed=of_bytes(needed))
        return msg("{limit}", limit=whole)
    if needed:
        return msg("a limit, above the {needed} it has needed", needed=of_bytes(needed))
    return None


def has_swap(unit: Unit, snapshot: Snapshot | None) -> bool:
    """Tell whether a unit has swap left for what would be above its MemoryHigh."""
    if snapshot is None:
        return True
    if unit.usage is None:
        return swap_of(snapshot, unit) > 0
    return spare_swap(snapshot.host, unit.usage) > 0
