"""What a plan's changes do to whether a unit comes back when it dies, and how often; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.plan import Notice
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, Tier, Unlimited
from lowmem_tui.policy import budget
from lowmem_tui.policy.checks.cases import workers
from lowmem_tui.policy.forecast import restart, restart_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.policy.checks.cases import After

STARTS_PER_MINUTE = 20
"""What the policy's RestartSec=3s comes to: that many failing starts a minute are accepted."""

AT_ONCE = 10_000_000
"""Microseconds; a shortage of memory lasts longer than that."""

_SLOWER = (3, 5, 10, 30, 60)
"""Seconds that are tried as a better RestartSec."""


def unguarded(after: After) -> Notice | None:
    """Warn of a gatekeeper that is offered to the kernel, or that nothing starts again."""
    if after.tier is not Tier.GATEKEEPER:
        return None
    score = after.will(Key.OOM_SCORE_ADJUST)
    if after.touches(Key.OOM_SCORE_ADJUST) and isinstance(score, int) and score > 0:
        return Notice(
            "gatekeeper-offered",
            after.name,
            f"{after.name} is a gatekeeper (tier 0): {score} offers it to the kernel before what "
            "it guards. Use -200 to -500.",
        )
    known = restart.policy_of(after.case.properties, after.changed)
    if not after.touches(Key.RESTART, Key.RESTART_SEC) or _starts_again(known):
        return None
    if known is None or after.case.properties.type == "oneshot":
        return None
    triggers = restart_text.activators(after.case.properties)
    then = "nothing starts it again when it is killed"
    if triggers:
        then = f"{plain(triggers[0], 60)} alone starts it again, when it is next asked for"
    return Notice(
        "gatekeeper-stays-dead",
        after.name,
        f"{after.name} is a gatekeeper (tier 0): with {_setting(known)} {then}. "
        "Use Restart=on-failure, or always.",
    )


def _starts_again(policy: restart.Policy | None) -> bool:
    """Tell whether systemd starts it again when it is killed for memory."""
    return policy is not None and restart.restarts(policy, restart.Death.OOM_KILL)


def _setting(policy: restart.Policy) -> str:
    """Return the setting by which it is not started again."""
    endless = isinstance(policy.delay, Unlimited)
    return "RestartSec=infinity" if endless else f"Restart={policy.restart}"


def _stays_dead(after: After) -> Notice | None:
    """Warn of a limit whose kill nobody repairs, and of kills that nobody repairs any more."""
    properties = after.case.properties
    policy = restart.policy_of(properties, after.changed)
    if properties.type == "oneshot" or properties.triggered_by or properties.delegate:
        return None
    if policy is None or _starts_again(policy):
        return None
    if policy.oom_policy == "continue" and workers(after):
        return None
    if after.touches(Key.MEMORY_MAX, Key.RESTART, Key.RESTART_SEC) and after.limit is not None:
        code, where = "limit-without-restart", "at its limit"
    elif after.tier is not Tier.GATEKEEPER and _starts_again(restart.policy_of(properties)):
        code, where = "stays-dead-when-killed", "for want of memory"
    else:
        return None
    mend = "RestartSec=3s" if policy.restart in {"always", "on-failure"} else "Restart=on-failure"
    return Notice(
        code,
        after.name,
        f"Killed {where}, {after.name} stays down: {_setting(policy)} does not start it again. Set "
        f"{mend} as well.",
    )


def _crash_loop(after: After) -> Notice | None:
    if not after.touches(Key.RESTART, Key.RESTART_SEC):
        return None
    policy = restart.policy_of(after.case.properties, after.changed)
    death = policy and next(
        (d for d in (restart.Death.EXIT_CODE, restart.Death.SIGNAL) if restart.restarts(policy, d)),
        None,
    )
    if policy is None or death is None:
        return None
    verdict = restart.dies_at_every_start(policy, death)
    before = restart.policy_of(after.case.properties)
    if before and restart.dies_at_every_start(before, death) == verdict:
        return None  # no news
    if verdict.fate is restart.Fate.LOOPS and verdict.per_minute > STARTS_PER_MINUTE:
        return Notice(
            "endless-crash-loop",
            after.name,
            f"If {after.name} dies at each start, systemd starts it {verdict.per_minute:.0f} times "
            "a minute for ever, and each start takes memory and time from the rest. RestartSec=3s "
            f"makes it {STARTS_PER_MINUTE}.",
        )
    if verdict.fate is not restart.Fate.GIVES_UP or verdict.after > AT_ONCE:
        return None
    seconds = _slower(policy, death)
    if seconds is None:
        return None  # such a start limit is somebody's purpose
    return Notice(
        "gives-up-at-once",
        after.name,
        f"If {after.name} dies at each start, systemd {_gives_up(after, policy, verdict)}. "
        f"RestartSec={seconds}s keeps it trying.",
    )


def _gives_up(after: After, policy: restart.Policy, verdict: restart.Verdict) -> str:
    triggers = restart_text.activators(after.case.properties)
    return restart_text.gives_up(verdict, policy.interval, triggers)


def _slower(policy: restart.Policy, death: restart.Death) -> int | None:
    """Return the RestartSec with which systemd does not give up; None if none is short enough."""
    for seconds in _SLOWER:
        slower = policy._replace(delay=seconds * 1_000_000)
        if restart.dies_at_every_start(slower, death).fate is restart.Fate.LOOPS:
            return seconds
    return None


def _gives_up_at_limit(after: After) -> Notice | None:
    """Warn of a limit that may kill it at each start, where systemd soon gives up."""
    if after.touches(Key.RESTART, Key.RESTART_SEC) or not after.touches(Key.MEMORY_MAX):
        return None
    needed = budget.need(after.case.known.unit)
    policy = restart.policy_of(after.case.properties, after.changed)
    if after.limit is None or policy is None or after.limit >= needed:
        return None
    verdict = restart.dies_at_every_start(policy, restart.Death.OOM_KILL)
    if verdict.fate is not restart.Fate.GIVES_UP:
        return None
    seconds = _slower(policy, restart.Death.OOM_KILL)
    mend = f"RestartSec={seconds}s keeps it trying." if seconds else "Allow it more."
    return Notice(
        "gives-up-at-limit",
        after.name,
        f"If {after.name} needs that at its start already, it is killed at each: systemd "
        f"{_gives_up(after, policy, verdict)}. {mend}",
    )


CHECKS: tuple[Callable[[After], Notice | None], ...] = (
    _stays_dead,
    _crash_loop,
    _gives_up_at_limit,
)
