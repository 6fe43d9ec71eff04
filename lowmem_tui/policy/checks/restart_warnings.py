"""How a plan's changes affect whether a unit restarts after it ends, and how often; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_setting, of_unit, plural, sentences
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.unit import Key, Tier, Unlimited
from lowmem_tui.policy import budget
from lowmem_tui.policy.checks.cases import workers
from lowmem_tui.policy.checks.preflight import BUSES, better_kept, score_inherited
from lowmem_tui.policy.forecast import restart, restart_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.message import Value as MessageValue
    from lowmem_tui.policy.checks.cases import After

STARTS_PER_MINUTE = 20
"""What the policy's RestartSec=3s allows: that many failing starts a minute are accepted."""


def unguarded(after: After) -> Notice | None:
    """Warn of a gatekeeper that is killed early, or that nothing starts again."""
    if after.tier is not Tier.GATEKEEPER:
        return None
    return _offered(after) or _left_down(after)


def _offered(after: After) -> Notice | None:
    """Warn of a score by which a gatekeeper is killed first; a check of the edit may say it."""
    score = after.will(Key.OOM_SCORE_ADJUST)
    if not after.touches(Key.OOM_SCORE_ADJUST) or not isinstance(score, int) or score <= 0:
        return None
    if score_inherited(after.name) or better_kept(after.case, score) is not None:
        return None
    return Notice(
        "gatekeeper-offered",
        after.name,
        msg(
            "{unit} is a gatekeeper (tier 0): with {setting} the kernel kills it before the "
            "services that need it. Use -200 to -500.",
            unit=of_unit(after.name),
            setting=of_setting(Key.OOM_SCORE_ADJUST, score),
        ),
    )


def _left_down(after: After) -> Notice | None:
    """Warn of a gatekeeper that nothing starts again."""
    known = restart.policy_of(after.case.properties, after.changed)
    if not after.touches(Key.RESTART, Key.RESTART_SEC) or _starts_again(known):
        return None
    if known is None or after.case.properties.type == "oneshot" or after.name in BUSES:
        return None
    unit, setting = of_unit(after.name), _setting(known)
    text = msg(
        "{unit} is a gatekeeper (tier 0): with {setting} nothing starts it again when it is "
        "killed. Use Restart=on-failure, or always.",
        unit=unit,
        setting=setting,
    )
    if triggers := restart_text.activators(after.case.properties):
        text = msg(
            "{unit} is a gatekeeper (tier 0): with {setting} only {trigger} starts it again when "
            "it is killed, and not before it is needed. Use Restart=on-failure, or always.",
            unit=unit,
            setting=setting,
            trigger=of_unit(triggers[0], 60),
        )
    return Notice("gatekeeper-stays-dead", after.name, text)


def _starts_again(policy: restart.Policy | None) -> bool:
    """Tell whether systemd starts it again when it is killed for memory."""
    return policy is not None and restart.restarts(policy, restart.ServiceEnd.OOM_KILL)


def _setting(policy: restart.Policy) -> MessageValue:
    """Return the setting by which it is not started again."""
    if isinstance(policy.delay, Unlimited):
        return of_setting(Key.RESTART_SEC, policy.delay)
    return of_setting(Key.RESTART, policy.restart)


def _stays_down(after: After) -> Notice | None:
    """Warn where nothing starts a unit again: after a kill at a limit, or after any kill now."""
    properties = after.case.properties
    policy = restart.policy_of(properties, after.changed)
    if properties.type == "oneshot" or properties.triggered_by or properties.delegate:
        return None
    if policy is None or _starts_again(policy):
        return None
    if policy.oom_policy == "continue" and workers(after):
        return None
    if after.touches(Key.MEMORY_MAX, Key.RESTART, Key.RESTART_SEC) and after.limit is not None:
        code = "limit-without-restart"
    elif after.tier is not Tier.GATEKEEPER and _starts_again(restart.policy_of(properties)):
        code = "stays-dead-when-killed"
    else:
        return None
    better = of_setting(Key.RESTART, "on-failure")
    if policy.restart in {"always", "on-failure"}:
        better = of_setting(Key.RESTART_SEC, "3s")
    unit, setting = of_unit(after.name), _setting(policy)
    text = msg(
        "If {unit} is killed at its limit, it stays down: {setting} does not start it again. Set "
        "{better} as well.",
        unit=unit,
        setting=setting,
        better=better,
    )
    if code != "limit-without-restart":
        text = msg(
            "If {unit} is killed because memory runs out, it stays down: {setting} does not start "
            "it again. Set {better} as well.",
            unit=unit,
            setting=setting,
            better=better,
        )
    return Notice(code, after.name, text)


def _crash_loop(after: After) -> Notice | None:
    if not after.touches(Key.RESTART, Key.RESTART_SEC):
        return None
    policy = restart.policy_of(after.case.properties, after.changed)
    end = policy and next(
        (
            d
            for d in (restart.ServiceEnd.EXIT_CODE, restart.ServiceEnd.SIGNAL)
            if restart.restarts(policy, d)
        ),
        None,
    )
    if policy is None or end is None:
        return None
    verdict = restart.ends_at_every_start(policy, end)
    before = restart.policy_of(after.case.properties)
    if before and restart.ends_at_every_start(before, end) == verdict:
        return None  # no news
    if (
        verdict.reaction is restart.Reaction.RESTARTS_INDEFINITELY
        and verdict.per_minute > STARTS_PER_MINUTE
    ):
        return Notice(
            "endless-crash-loop",
            after.name,
            plural(
                "If {unit} fails at every start, systemd restarts it {n} time a minute, "
                "indefinitely, and each start takes memory and processor time from the rest. "
                "RestartSec=3s makes it {better} a minute.",
                "If {unit} fails at every start, systemd restarts it {n} times a minute, "
                "indefinitely, and each start takes memory and processor time from the rest. "
                "RestartSec=3s makes it {better} a minute.",
                round(verdict.per_minute),
                unit=of_unit(after.name),
                better=STARTS_PER_MINUTE,
            ),
        )
    if not restart.limit_at_once(policy, end):
        return None
    seconds = restart.keeps_trying(policy, end)
    if seconds is None:
        return None  # such a start limit is somebody's purpose
    return Notice(
        "gives-up-at-once",
        after.name,
        sentences(
            msg(
                "If {unit} fails at every start, it soon hits its start limit.",
                unit=of_unit(after.name),
            ),
            _start_limit(after, policy, verdict),
            _below_start_limit(seconds),
        ),
    )


def _start_limit(after: After, policy: restart.Policy, verdict: restart.Verdict) -> Message:
    triggers = restart_text.activators(after.case.properties)
    return restart_text.start_limit_sentences(after.name, verdict, policy.interval, triggers)


def _below_start_limit(seconds: int) -> Message:
    return msg(
        "With {setting} it does not reach that limit.",
        setting=of_setting(Key.RESTART_SEC, f"{seconds}s"),
    )


def _start_limit_at_limit(after: After) -> Notice | None:
    """Warn of a limit that may kill it at each start, so that it hits its start limit."""
    if after.touches(Key.RESTART, Key.RESTART_SEC) or not after.touches(Key.MEMORY_MAX):
        return None
    needed = budget.need(after.case.known.unit)
    policy = restart.policy_of(after.case.properties, after.changed)
    if after.limit is None or policy is None or after.limit >= needed:
        return None
    verdict = restart.ends_at_every_start(policy, restart.ServiceEnd.OOM_KILL)
    if verdict.reaction is not restart.Reaction.START_LIMIT:
        return None
    seconds = restart.keeps_trying(policy, restart.ServiceEnd.OOM_KILL)
    return Notice(
        "gives-up-at-limit",
        after.name,
        sentences(
            msg(
                "If {unit} needs more than its limit as soon as it starts, it is killed at every "
                "start, and hits its start limit.",
                unit=of_unit(after.name),
            ),
            _start_limit(after, policy, verdict),
            _below_start_limit(seconds) if seconds else msg("Set a higher limit."),
        ),
    )


CHECKS: tuple[Callable[[After], Notice | None], ...] = (
    _stays_down,
    _crash_loop,
    _start_limit_at_limit,
)
