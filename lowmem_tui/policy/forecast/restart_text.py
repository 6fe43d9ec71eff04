"""The restart simulator's verdicts on a unit: what if it is killed now, or ends at every start."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_span, of_unit, plural, sentences
from lowmem_tui.model.unit import UnitType, Unlimited, unit_type
from lowmem_tui.policy.forecast.restart import (
    Reaction,
    ServiceEnd,
    Verdict,
    ends_at_every_start,
    ends_once,
    policy_of,
    restarts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.message import Value as MessageValue
    from lowmem_tui.model.unit import Key, UnitProperties, Value
    from lowmem_tui.policy.forecast.restart import Policy

REFUSED_ON_ONESHOT = frozenset({"always", "on-success"})
"""Restart= of which systemd makes a Type=oneshot a bad-setting (service_verify)."""

_ACTIVATES = ("socket", "path", "timer")


class Outlook(NamedTuple):
    """What happens to a service that ends."""

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
    """Return what happens to a service that ends, staged values put over what is loaded.

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
        ends_once(policy, ServiceEnd.OOM_KILL, already),
        ends_at_every_start(policy, _likely_end(policy), already=already),
        activators(properties),
        policy.burst if policy.interval != 0 else 0,
        policy.interval,
        refused,
    )


def activators(properties: UnitProperties) -> tuple[str, ...]:
    """Return the sockets, paths and timers that start a unit by themselves."""
    return tuple(t for t in properties.triggered_by if t.rpartition(".")[2] in _ACTIVATES)


def _likely_end(policy: Policy) -> ServiceEnd:
    """Return the end at a start that is worth a prediction: an error, or else a signal."""
    only_killed = restarts(policy, ServiceEnd.SIGNAL) and not restarts(policy, ServiceEnd.EXIT_CODE)
    return ServiceEnd.SIGNAL if only_killed else ServiceEnd.EXIT_CODE


def killed_now(found: Outlook) -> Message:
    """Return what happens if it is killed for memory now: a phrase without a subject."""
    if found.unloadable:
        return msg("does not start again: Restart= is refused for Type=oneshot")
    if found.now.reaction is Reaction.RESTARTS:
        if not found.now.delay:
            return msg("restarts at once")
        return msg("restarts in {delay}", delay=of_span(rounded(found.now.delay)))
    return _stays_down(found.triggers)


def at_every_start(found: Outlook) -> Message:
    """Return what happens if it ends at every start: a phrase without a subject."""
    if found.unloadable:
        return msg("does not start at all: Restart= is refused for Type=oneshot")
    if found.start.reaction is Reaction.RESTARTS_INDEFINITELY:
        return _loops(found.start.per_minute)
    if found.start.reaction is Reaction.START_LIMIT:
        return start_limit(found.start, found.window, found.triggers)
    listener = _listener(found.triggers)
    if not listener:
        return _stays_down(found.triggers)
    unit = of_unit(listener, 60)
    again = msg("{listener} starts it again while its condition holds", listener=unit)
    if listener.endswith(".socket"):
        again = msg("{listener} starts it again while a client waits there", listener=unit)
    if not found.burst:
        return again
    limit = plural(
        "at most {n} start in {window} (StartLimitBurst=, StartLimitIntervalSec=)",
        "at most {n} starts in {window} (StartLimitBurst=, StartLimitIntervalSec=)",
        found.burst,
        window=_window(found.window),
    )
    return _clauses(again, limit, _down(found.triggers))


def _stays_down(triggers: Sequence[str]) -> Message:
    if not triggers:
        return msg("stays down")
    return msg("stays down until {trigger} starts it", trigger=of_unit(triggers[0], 60))


def _loops(per_minute: float) -> Message:
    """Return at which rate it is restarted, indefinitely."""
    if per_minute >= 1:
        return plural(
            "restarts indefinitely, {n} time a minute",
            "restarts indefinitely, {n} times a minute",
            round(per_minute),
        )
    return plural(
        "restarts indefinitely, {n} time an hour",
        "restarts indefinitely, {n} times an hour",
        round(per_minute * 60),
    )


def start_limit(verdict: Verdict, window: int | Unlimited, triggers: Sequence[str] = ()) -> Message:
    """Return when it hits the start limit, and how it starts again: a phrase without a subject.

    ``window`` is StartLimitIntervalSec, ``triggers`` are what starts the unit by itself.
    """
    limit = plural(
        "hits the start limit of {n} start in all (StartLimitBurst=, "
        "StartLimitIntervalSec=infinity)",
        "hits the start limit of {n} starts in all (StartLimitBurst=, "
        "StartLimitIntervalSec=infinity)",
        verdict.starts,
    )
    if not isinstance(verdict.within, Unlimited):
        limit = plural(
            "hits the start limit of {n} start in {window} (StartLimitBurst=, "
            "StartLimitIntervalSec=) if it fails within {within}",
            "hits the start limit of {n} starts in {window} (StartLimitBurst=, "
            "StartLimitIntervalSec=) if each fails within {within}",
            verdict.starts,
            within=of_span(rounded(verdict.within)),
            window=_window(window),
        )
    return _clauses(limit, _down(triggers))


def start_limit_sentences(
    name: str, verdict: Verdict, window: int | Unlimited, triggers: Sequence[str] = ()
) -> Message:
    """Return what systemd does at the start limit, how soon, and what starts the unit again."""
    unit = of_unit(name)
    stops = plural(
        "systemd stops restarting it after {n} start in all (StartLimitBurst=, "
        "StartLimitIntervalSec=infinity).",
        "systemd stops restarting it after {n} starts in all (StartLimitBurst=, "
        "StartLimitIntervalSec=infinity).",
        verdict.starts,
    )
    if not isinstance(window, Unlimited):
        stops = plural(
            "systemd stops restarting it after {n} start in {window} (StartLimitBurst=, "
            "StartLimitIntervalSec=), here after {after} if it fails at once.",
            "systemd stops restarting it after {n} starts in {window} (StartLimitBurst=, "
            "StartLimitIntervalSec=), here after {after} if each start fails at once.",
            verdict.starts,
            window=_window(window),
            after=of_span(rounded(verdict.after)),
        )
    down = msg(
        "It then stays down until you run `systemctl reset-failed {unit}` and "
        "`systemctl start {unit}`.",
        unit=unit,
    )
    if listener := _listener(triggers):
        down = msg(
            "{listener} then fails, too: both stay down until you run "
            "`systemctl reset-failed {unit}` and `systemctl start {listener}`.",
            listener=of_unit(listener, 60),
            unit=unit,
        )
    elif triggers:
        down = msg(
            "It then stays down until {trigger} starts it, or you run "
            "`systemctl reset-failed {unit}` and `systemctl start {unit}`.",
            trigger=of_unit(triggers[0], 60),
            unit=unit,
        )
    return sentences(stops, down)


def _clauses(first: Message, *others: Message) -> Message:
    """Return clauses as one phrase."""
    for other in others:
        first = msg("{first}; {second}", first=first, second=other)
    return first


def _window(window: int | Unlimited) -> MessageValue:
    return of_span(window if isinstance(window, Unlimited) else rounded(window))


def _listener(triggers: Sequence[str]) -> str:
    """Return a socket or a path: it starts the unit at once, and fails with its start limit."""
    return next((t for t in triggers if not t.endswith(".timer")), "")


def _down(triggers: Sequence[str]) -> Message:
    """Return what starts it again once the start limit has been hit."""
    if listener := _listener(triggers):
        return msg(
            "then {listener} fails, too, until `systemctl reset-failed` and "
            "`systemctl start {listener}`",
            listener=of_unit(listener, 60),
        )
    if triggers:
        return msg(
            "then stays down until {trigger} starts it, or `systemctl reset-failed` and "
            "`systemctl start`",
            trigger=of_unit(triggers[0], 60),
        )
    return msg("then stays down until `systemctl reset-failed` and `systemctl start`")


def rounded(usec: int) -> int:
    """Return a time span not finer than it is known."""
    if usec >= 10_000_000:
        return round(usec, -6)
    return round(usec, -5) if usec >= 100_000 else usec
