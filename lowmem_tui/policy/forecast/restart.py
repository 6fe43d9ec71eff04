"""What systemd does when a service ends: is it restarted, and what if it ends at every start.

systemd.service(5) and systemd.unit(5); the arithmetic is that of ``service_restart_usec_next`` and
``service_shall_restart`` (src/core/service.c) and ``ratelimit_below`` (src/basic/ratelimit.c).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.unit import INFINITY, Key, Unlimited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.unit import UnitProperties, Value

SHORTEST_RUN = 20_000
"""Microseconds that even the shortest start takes: a fork, an exec, an exit, systemd noticing."""

AT_ONCE = 10_000_000
"""Microseconds; a shortage of memory lasts longer than that."""

SLOWER = (3, 5, 10, 30, 60)
"""Seconds, the choices of a better RestartSec."""

_MINUTE = 60_000_000
_MOST_STEPS = 10_000


class ServiceEnd(StrEnum):
    """How a service ends; the names are those of its ``Result`` where it has one."""

    CLEAN = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    OOM_KILL = "oom-kill"
    """By the kernel, for memory; with OOMPolicy=continue it counts as a signal."""
    TIMEOUT = "timeout"
    WATCHDOG = "watchdog"


_FAILURES = frozenset(ServiceEnd) - {ServiceEnd.CLEAN}
_RESTARTS_AFTER: dict[str, frozenset[ServiceEnd]] = {
    "no": frozenset(),
    "always": frozenset(ServiceEnd),
    "on-success": frozenset({ServiceEnd.CLEAN}),
    "on-failure": _FAILURES,
    "on-abnormal": _FAILURES - {ServiceEnd.EXIT_CODE},
    "on-watchdog": frozenset({ServiceEnd.WATCHDOG}),
    "on-abort": frozenset({ServiceEnd.SIGNAL}),
}


class Policy(NamedTuple):
    """What decides over restarts. Times are microseconds."""

    restart: str
    delay: int | Unlimited
    """``RestartSec=``."""
    interval: int | Unlimited
    """``StartLimitIntervalSec=``; 0 switches the limit off."""
    burst: int
    """``StartLimitBurst=``; 0 switches the limit off."""
    steps: int = 0
    """``RestartSteps=``, systemd 254 and later."""
    max_delay: int | Unlimited = INFINITY
    """``RestartMaxDelaySec=``, systemd 254 and later."""
    oom_policy: str = "stop"


def policy_of(
    properties: UnitProperties, staged: Mapping[Key, Value] | None = None
) -> Policy | None:
    """Return what systemd has loaded of a service, staged values put over it.

    None while not all of it is known.
    """
    now = staged or {}
    restart = now.get(Key.RESTART, properties.restart)
    delay = now.get(Key.RESTART_SEC, properties.restart_usec)
    interval, burst = properties.start_limit_interval_usec, properties.start_limit_burst
    if not isinstance(restart, str) or delay is None or isinstance(delay, str):
        return None
    if interval is None or burst is None:
        return None
    most = properties.restart_max_delay_usec
    return Policy(
        restart, delay, interval, burst,
        properties.restart_steps or 0,
        INFINITY if most is None else most,
        str(now.get(Key.OOM_POLICY, properties.oom_policy)),
    )  # fmt: skip


class Reaction(StrEnum):
    """What systemd does when a service has ended."""

    STAYS_DOWN = "stays-down"
    RESTARTS = "restarts"
    RESTARTS_INDEFINITELY = "restarts-indefinitely"
    """It ends at each start, without reaching the start limit."""
    START_LIMIT = "start-limit"
    """It hits the start limit, and stays down until it is started by hand. Within
    StartLimitIntervalSec= that needs ``systemctl reset-failed`` first."""


class Verdict(NamedTuple):
    """What systemd does, and how often. Times are microseconds."""

    reaction: Reaction
    delay: int = 0
    """RESTARTS: from its end to the next start. RESTARTS_INDEFINITELY: the delay once it no longer
    grows."""
    starts: int = 0
    """How many starts there are until the start limit, the first one included; 0: it is not hit."""
    after: int = 0
    """From the first start to the one that the start limit refuses."""
    per_minute: float = 0.0
    """RESTARTS_INDEFINITELY: starts per minute, once the delay no longer grows."""
    within: int | Unlimited = 0
    """How long each start may run at most for the start limit to be hit."""


_DOWN = Verdict(Reaction.STAYS_DOWN)


def restarts(policy: Policy, end: ServiceEnd) -> bool:
    """Tell whether systemd starts a service again after such an end."""
    if end is ServiceEnd.OOM_KILL and policy.oom_policy == "continue":
        end = ServiceEnd.SIGNAL
    if isinstance(policy.delay, Unlimited):
        return False
    return end in _RESTARTS_AFTER.get(policy.restart, frozenset())


def delay_before(policy: Policy, restart: int) -> int:
    """Return the microseconds before a restart, counted from 1; 0 if there never is one."""
    base, most = policy.delay, policy.max_delay
    if isinstance(base, Unlimited):
        return 0
    if restart <= 1 or not policy.steps or not base or isinstance(most, Unlimited) or base >= most:
        return base
    if restart > policy.steps:
        return most
    growth = (most / base) ** ((restart - 1) / policy.steps)
    return int(base * growth)


def ends_once(policy: Policy, end: ServiceEnd = ServiceEnd.OOM_KILL, already: int = 0) -> Verdict:
    """Return what happens when a service that has run for long ends.

    ``already`` is how often systemd has restarted it (``NRestarts``): with RestartSteps= the delay
    has grown with that, and nothing but a start by hand resets it.
    """
    if not restarts(policy, end):
        return _DOWN
    return Verdict(Reaction.RESTARTS, delay=delay_before(policy, already + 1))


def ends_at_every_start(
    policy: Policy,
    end: ServiceEnd = ServiceEnd.EXIT_CODE,
    runs_for: int = SHORTEST_RUN,
    already: int = 0,
) -> Verdict:
    """Return what happens when a service ends ``runs_for`` microseconds after each start.

    ``already`` is how often systemd has restarted it, as for ``ends_once``.
    """
    if not restarts(policy, end):
        return _DOWN
    # Delays never shrink: what the limit's first window lets pass, each later one does.
    if policy.interval != 0 and policy.burst > 0:
        waited = _delays(policy, policy.burst, already)
        after = waited + policy.burst * runs_for
        if isinstance(policy.interval, Unlimited):
            return Verdict(Reaction.START_LIMIT, starts=policy.burst, after=after, within=INFINITY)
        if after <= policy.interval:
            within = (policy.interval - waited) // policy.burst
            return Verdict(Reaction.START_LIMIT, starts=policy.burst, after=after, within=within)
    delay = delay_before(policy, policy.steps + 1)
    return Verdict(
        Reaction.RESTARTS_INDEFINITELY, delay=delay, per_minute=_MINUTE / max(1, runs_for + delay)
    )


def limit_at_once(policy: Policy, end: ServiceEnd = ServiceEnd.EXIT_CODE) -> bool:
    """Tell whether the start limit is hit sooner than a shortage of memory ends."""
    verdict = ends_at_every_start(policy, end)
    return verdict.starts > 0 and verdict.after <= AT_ONCE


def keeps_trying(policy: Policy, end: ServiceEnd = ServiceEnd.EXIT_CODE) -> int | None:
    """Return the RestartSec, in seconds, with which the start limit is never hit.

    None where none is short enough.
    """
    for seconds in SLOWER:
        slower = policy._replace(delay=seconds * 1_000_000)
        if ends_at_every_start(slower, end).reaction is Reaction.RESTARTS_INDEFINITELY:
            return seconds
    return None


def _delays(policy: Policy, count: int, already: int) -> int:
    """Return the microseconds that the next so many restarts are delayed by, in all."""
    growing = min(count, max(0, policy.steps - already), _MOST_STEPS)
    grown = sum(delay_before(policy, already + n) for n in range(1, growing + 1))
    return grown + (count - growing) * delay_before(policy, policy.steps + 1)
