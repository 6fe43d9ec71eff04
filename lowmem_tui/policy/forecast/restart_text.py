"""The restart simulator's verdicts on a unit, in words: what if it dies now, or at every start."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_time_span
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import UnitType, Unlimited, unit_type
from lowmem_tui.policy.forecast.restart import (
    Death,
    Fate,
    Verdict,
    dies_at_every_start,
    dies_once,
    policy_of,
    restarts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.unit import Key, UnitProperties, Value
    from lowmem_tui.policy.forecast.restart import Policy

REFUSED_ON_ONESHOT = frozenset({"always", "on-success"})
"""Restart= of which systemd makes a Type=oneshot a bad-setting (service_verify)."""

_ACTIVATES = ("socket", "path", "timer")


class Outlook(NamedTuple):
    """What becomes of a service."""

    now: Verdict
    """If it is killed for memory now."""
    start: Verdict
    """If it ends at every start."""
    triggers: tuple[str, ...]
    """The sockets, paths and timers that start it again by themselves."""
    burst: int
    """How many starts its start limit lets pass; 0 for any number."""
    window: int | Unlimited
    """Within how many microseconds."""
    unloadable: bool = False
    """systemd refuses the setting: it would not start again at all."""


def outlook(
    properties: UnitProperties, staged: Mapping[Key, Value] | None = None
) -> Outlook | None:
    """Return what becomes of a service, staged values put over what is loaded.

    None for what is no service, and while not all of it is known.
    """
    if unit_type(properties.name) is not UnitType.SERVICE:
        return None
    policy = policy_of(properties, staged)
    if policy is None:
        return None
    refused = properties.type == "oneshot" and policy.restart in REFUSED_ON_ONESHOT
    already = properties.n_restarts or 0
    return Outlook(
        dies_once(policy, Death.OOM_KILL, already),
        dies_at_every_start(policy, _death(policy), already=already),
        activators(properties),
        policy.burst if policy.interval != 0 else 0,
        policy.interval,
        refused,
    )


def activators(properties: UnitProperties) -> tuple[str, ...]:
    """Return the sockets, paths and timers that start a unit by themselves."""
    return tuple(t for t in properties.triggered_by if t.rpartition(".")[2] in _ACTIVATES)


def _death(policy: Policy) -> Death:
    """Return the end at a start that is worth telling of: an error, or else a signal."""
    only_killed = restarts(policy, Death.SIGNAL) and not restarts(policy, Death.EXIT_CODE)
    return Death.SIGNAL if only_killed else Death.EXIT_CODE


def killed_now(found: Outlook) -> str:
    """Return what happens if it is killed for memory now, without a subject."""
    if found.unloadable:
        return "does not start again: Restart= is refused for Type=oneshot"
    if found.now.fate is Fate.COMES_BACK:
        delay = found.now.delay
        return f"comes back in {span(delay)}" if delay else "comes back at once"
    return f"stays dead{_until(found)}"


def at_every_start(found: Outlook) -> str:
    """Return what happens if it ends at every start, without a subject."""
    if found.unloadable:
        return "does not start at all: Restart= is refused for Type=oneshot"
    verdict = found.start
    if verdict.fate is Fate.LOOPS:
        return f"loops for ever, at {rate(verdict.per_minute)}"
    if verdict.fate is Fate.GIVES_UP:
        return gives_up(verdict, found.window, found.triggers)
    listener = _listener(found.triggers)
    if not listener:
        return f"stays dead{_until(found)}"
    cause = "somebody waits there" if listener.endswith(".socket") else "its condition holds"
    again = f"is started again by {plain(listener, 60)} while {cause}"
    if not found.burst:
        return again
    end = _down(found.window, found.triggers)
    return (
        f"{again}, but after {_starts(found.burst)} within {_window(found.window)} no more, {end}"
    )


def gives_up(verdict: Verdict, window: int | Unlimited, triggers: Sequence[str] = ()) -> str:
    """Return when systemd gives up, and what it takes then.

    ``window`` is StartLimitIntervalSec, ``triggers`` are what starts the unit by itself.
    """
    told = f"gives up after {_starts(verdict.starts)} within {span(verdict.after)}"
    if not isinstance(verdict.within, Unlimited):
        told += f" (if none lives over {span(verdict.within)})"
    return f"{told}, {_down(window, triggers)}"


def _starts(count: int) -> str:
    return "1 start" if count == 1 else f"{count} starts"


def _window(window: int | Unlimited) -> str:
    return "any time" if isinstance(window, Unlimited) else span(window)


def _listener(triggers: Sequence[str]) -> str:
    """Return a socket or a path: it starts the unit at once, and fails with its start limit."""
    return next((t for t in triggers if not t.endswith(".timer")), "")


def _down(window: int | Unlimited, triggers: Sequence[str]) -> str:
    """Return what it takes once the start limit has been hit."""
    listener = plain(_listener(triggers), 60)
    if listener:
        told = f"and {listener} fails with it until somebody starts {listener}"
    elif triggers:
        told = f"and it stays down until {plain(triggers[0], 60)} or somebody starts it"
    else:
        told = "and it stays down until somebody starts it"
    if isinstance(window, Unlimited):
        return f"{told}, after 'systemctl reset-failed'"
    return f"{told} (within {span(window)} only after 'systemctl reset-failed')"


def _until(found: Outlook) -> str:
    if not found.triggers:
        return ""
    return f", until {plain(found.triggers[0], 60)} starts it"


def span(usec: int) -> str:
    """Return a time span, not finer than it is known."""
    if usec >= 10_000_000:
        usec = round(usec, -6)
    elif usec >= 100_000:
        usec = round(usec, -5)
    return format_time_span(usec) if usec else "0s"


def rate(per_minute: float) -> str:
    """Return a number of starts a minute."""
    if per_minute >= 1:
        count = round(per_minute)
        return "1 start a minute" if count == 1 else f"{count} starts a minute"
    count = round(per_minute * 60)
    return f"{count} starts an hour" if count != 1 else "1 start an hour"
