"""OOM scores, limits and restarts: what each service's settings should be by its tier; pure.

Gatekeepers get OOMScoreAdjust -200 to -500 and restart after a failure; business units can be
killed (-100, 0, slightly positive: the largest first), have a MemoryMax and restart after 3 s;
short-lived ones keep their settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_setting,
    of_span,
    of_text,
    of_unit,
    sentences,
    verbatim,
)
from lowmem_tui.model.quantity import parse_time_span
from lowmem_tui.model.settings import render_value
from lowmem_tui.model.snapshot import UnitSituation
from lowmem_tui.model.unit import INFINITY, Key, Tier
from lowmem_tui.policy.budget import Verdict as Fits
from lowmem_tui.policy.budget import advise, budget, limits, need
from lowmem_tui.policy.checks import preflight
from lowmem_tui.policy.checks.cases import After, UnitCase
from lowmem_tui.policy.checks.elsewhere import elsewhere
from lowmem_tui.policy.checks.plan_warnings import pre_fork
from lowmem_tui.policy.classify import Kind
from lowmem_tui.policy.forecast import restart
from lowmem_tui.policy.forecast.restart_text import activators

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Situation, Snapshot, Unit
    from lowmem_tui.model.unit import UnitProperties, Unlimited, Value
    from lowmem_tui.policy.budget import Advice
    from lowmem_tui.policy.classify import Rules

GUARDED = -200
"""A gatekeeper's OOMScoreAdjust at the most: -100 is often too weak."""

GUARDED_WELL = -500
"""And of what PID 1 and every login lean on; below -999 is the kernel's own."""

STORE, LARGEST = -100, 100
"""Of business units: what keeps data for others is killed after them, the largest first."""

LEAST = -200
"""A business unit's own value from here on up is as good as ours."""

UNTOUCHABLE = -999
"""From here on down its package excludes it from OOM kills on purpose."""

AGAIN = "3s"
AGAIN_USEC = 3_000_000
"""RestartSec= of what is always started again: 20 starts a minute at the most."""

IDLE = frozenset(
    f"{name}.service"
    for name in (
        *("snapd", "ModemManager", "bluetooth", "cups", "cups-browsed", "kerneloops"),
        *("networkd-dispatcher", "irqbalance", "thermald", "rpcbind", "lxcfs"),
    )
)
"""Business units that the set-up would disable where they are not in use (idle.toml)."""

GOOD = frozenset({"always", "on-failure"})
"""Restart= that brings a unit back after a kill and after an error."""

_FOR_LOGINS = (*preflight.LOGINS, "systemd-networkd")
"""Their sockets fail with them at the start limit, and then nobody can log in."""

_OWN_SCORES = ("postgresql",)
"""These give their children a score apart from their own: -900 guards only the small parent."""

_STORE_SHARE, _APPLICATION_SHARE = 5 / 32, 1 / 16
"""Of RAM: the least MemoryMax of a store (160M of 1 GiB: the guide's 64mb twice, for a fork) and
of an application that is small yet."""

_STEP = 10 << 20


@dataclass(frozen=True, slots=True)
class Role:
    """A service, and what it is to the server."""

    known: UnitSituation
    properties: UnitProperties
    tier: Tier
    kind: Kind
    enabled: bool
    """Whether it is started at boot by itself: not on demand."""

    @property
    def name(self) -> str:
        """Its primary name."""
        return self.properties.name

    @property
    def unit(self) -> Unit:
        """What it uses, and what systemd has loaded of it."""
        return self.known.unit


class Proposal(NamedTuple):
    """A setting of one unit, and what it should be."""

    unit: str
    key: Key
    value: str
    """As a unit file has it."""
    now: Message
    why: Message
    choices: tuple[str, ...]
    done: bool
    """Whether what it has now is as good, or better."""
    fits: bool = True
    """Whether it fits into RAM beside the reserve and the other limits."""


def proposals(
    roles: Sequence[Role], situation: Situation, needs: Mapping[str, int] | None = None
) -> list[Proposal]:
    """Return what each service should have, in the order of the roles.

    ``needs`` are bytes that a unit may use by its own configuration: no limit below them is
    preselected.
    """
    advised = _limits(roles, situation, needs or {})
    first = largest(roles)
    made: list[Proposal] = []
    for role in roles:
        if role.tier is Tier.GATEKEEPER:
            made += _gatekeeper(role)
        elif role.tier is Tier.BUSINESS:
            made += _business(role, first, advised.get(role.name), situation)
        if role.tier is not Tier.SHORT_LIVED:
            made += _one_of_many(role, situation)
    return made


def largest(roles: Sequence[Role]) -> str:
    """Return the business unit that is to be killed first: the largest, a store only if all are."""
    business = [r for r in roles if r.tier is Tier.BUSINESS and r.kind is not Kind.HELPER]
    business.sort(key=lambda r: (r.kind is Kind.STORE, -need(r.unit), r.name))
    return business[0].name if business else ""


def _limits(
    roles: Sequence[Role], situation: Situation, needs: Mapping[str, int]
) -> dict[str, Advice]:
    """Return a MemoryMax, and the reason, for those business units that have none."""
    known = {r.name: r.unit for r in roles if r.tier is Tier.BUSINESS}
    snapshot = replace(situation.snapshot, units={**known, **situation.snapshot.units})
    business = [
        r
        for r in roles
        if r.tier is Tier.BUSINESS
        and not r.properties.delegate
        and elsewhere(r.known, snapshot) is None
    ]
    own = {r.name: limit for r in business if isinstance(limit := r.properties.memory_max, int)}
    kinds, kept = {r.name: r.kind for r in business}, _kept(snapshot, own)
    found = _advise(snapshot, kinds, kept, needs)
    if needs and not all(each.fits for each in found):
        # Somebody else would not have what it has needed: then it is for the operator to choose.
        found = _advise(snapshot, kinds, kept)
    return {each.unit: _with_room(each, needs.get(each.unit, 0)) for each in found}


def _with_room(advice: Advice, needed: int) -> Advice:
    """Return advice that leaves room for what a unit's own configuration lets it use."""
    if needed == 0:
        return advice
    why = msg(
        "Its own configuration lets it use {needed}: with a lower limit it would be killed.",
        needed=of_bytes(needed),
    )
    if advice.limit >= needed:
        return advice._replace(why=sentences(advice.why, why))
    return advice._replace(limit=_up(needed), why=why, fits=False)


def _kept(snapshot: Snapshot, own: Mapping[str, int]) -> dict[str, int]:
    """Return the limits that stay: of business units, and of whatever else has one.

    What lies below a limited slice counts in the slice's; what does not run may start.
    """
    there = limits(snapshot)
    running = {name for name, unit in snapshot.units.items() if unit.usage is not None}
    return {n: 0 if n in running else limit for n, limit in own.items()} | there


def limits_advised(
    snapshot: Snapshot, tiers: Mapping[str, Tier | None], rules: Rules
) -> list[Advice]:
    """Return the advice that the set-up gives, too, for what runs: limits that are there stay.

    But where all of them together are more than there is, what would fit in their place. What
    is commonly unneeded has its share, and no advice: it is better disabled.
    """
    units = [snapshot.units[name] for name, tier in tiers.items() if tier is Tier.BUSINESS]
    units = [
        unit
        for unit in units
        if not (unit.properties and unit.properties.delegate)
        and elsewhere(UnitSituation(unit.name, unit, (), {}, None), snapshot) is None
    ]
    own = {u.name: limit for u in units if isinstance(limit := u.limit, int)}
    kept = _kept(snapshot, own)
    if budget(snapshot).verdict is Fits.KILLS:
        kept = {name: limit for name, limit in kept.items() if name not in own}
    found = _advise(snapshot, {unit.name: rules.kind(unit) for unit in units}, kept)
    return [advice for advice in found if advice.unit not in IDLE]


def _advise(
    snapshot: Snapshot,
    business: Mapping[str, Kind],
    kept: Mapping[str, int],
    whole: Mapping[str, int] | None = None,
) -> list[Advice]:
    ram = snapshot.host.mem_total
    shares = {Kind.STORE: _STORE_SHARE, Kind.APPLICATION: _APPLICATION_SHARE}
    least = {name: _up(ram * shares[kind]) for name, kind in business.items() if kind in shares}
    return advise(snapshot, dict.fromkeys(business, Tier.BUSINESS), least, kept, whole)


def _up(size: float) -> int:
    return -(-int(size) // _STEP) * _STEP


# --- gatekeepers --------------------------------------------------------------------------------


def _gatekeeper(role: Role) -> Iterator[Proposal]:
    name = preflight.stem(role.name)
    # Whatever is started from a shell would inherit a login's score.
    bare = preflight.keeps_own_score(role.name)
    if bare or name not in (*preflight.LOGINS, *preflight.CONSOLES):
        score = GUARDED_WELL if role.name in preflight.NEEDED else GUARDED
        now = role.properties.oom_score_adjust
        own = _gives_itself(role)
        good = now is not None and (now <= GUARDED or own is not None)
        yield Proposal(
            role.name,
            Key.OOM_SCORE_ADJUST,
            str(now if good else score),
            _now(now),
            _why_guarded(name, own, bare=bare),
            ("-200",) if bare else ("-200", "-300", "-500"),
            done=good,
        )
    # A oneshot would do all of its work again, ifupdown's the whole network's.
    if role.properties.type != "oneshot":
        yield from _restart(role, "on-failure")


def _why_guarded(program: str, own: int | None, *, bare: bool) -> Message:
    """Return why a gatekeeper's score is low; ``own`` is what it sets for itself."""
    if own is not None:
        return msg(
            "It sets {setting} for itself when it starts: the kernel never kills it.",
            setting=of_setting(Key.OOM_SCORE_ADJUST, own),
        )
    if bare:
        return msg(
            "{program} does not protect itself, as sshd does. Every login, and every program "
            "started from it, inherits its OOMScoreAdjust: {score} is enough to keep logins "
            "possible.",
            program=of_text(program, 40),
            score=GUARDED,
        )
    return msg(
        "A gatekeeper must be killed last: OOMScoreAdjust from {high} to {low} protects it, and "
        "-100 is often not enough.",
        high=GUARDED,
        low=GUARDED_WELL,
    )


def _gives_itself(role: Role) -> int | None:
    """Return the score of a main process that protects itself, as multipathd does.

    It would do so with any OOMScoreAdjust=: a setting has no effect there.
    """
    usage, loaded = role.unit.usage, role.properties.oom_score_adjust
    if usage is None or loaded is None or loaded <= UNTOUCHABLE:
        return None
    main = (p.oom_score_adj for p in usage.processes if p.pid == role.properties.main_pid)
    return next((score for score in main if score is not None and score <= UNTOUCHABLE), None)


# --- business -----------------------------------------------------------------------------------


def _business(
    role: Role, first: str, limit: Advice | None, situation: Situation
) -> Iterator[Proposal]:
    yield from _score(role, first)
    yield from _limit(role, limit, situation)
    # What is started on demand, and ends when nobody wants it, must not be kept alive.
    word = "always" if role.enabled and not role.properties.triggered_by else "on-failure"
    yield from _restart(role, word)


def makers_own(role: Role) -> bool:
    """Tell whether its maker protects a business unit on purpose: that is left so."""
    now = role.properties.oom_score_adjust
    if now is None:
        return False
    # What runs containers gives each a score of its own.
    return now <= UNTOUCHABLE or (role.properties.delegate and now < LEAST)


def _score(role: Role, first: str) -> Iterator[Proposal]:
    now = role.properties.oom_score_adjust
    if now is None or makers_own(role) or role.name.startswith(_OWN_SCORES):
        return
    if role.name == first:
        value, good = LARGEST, now > 0
        why = msg(
            "It is the largest service that can be restarted: it is killed first, and that frees "
            "the most memory."
        )
    elif role.kind is Kind.STORE:
        value, good = STORE, LEAST <= now < 0
        why = msg(
            "Other services need its data: it is killed after them, and before any gatekeeper."
        )
    else:
        value, good = 0, now >= LEAST
        why = msg("It can be restarted: it is killed before any gatekeeper.")
    yield Proposal(
        role.name,
        Key.OOM_SCORE_ADJUST,
        str(now if good else value),
        _now(now),
        why,
        ("-100", "0", "100"),
        done=good,
    )


def _limit(role: Role, limit: Advice | None, situation: Situation) -> Iterator[Proposal]:
    now = role.properties.memory_max
    if isinstance(now, int):
        text = render_value(Key.MEMORY_MAX, now)
        why = msg("It has a limit already.")
        if needed := need(role.unit):
            why = msg(
                "It has a limit already, and has needed up to {needed} so far.",
                needed=of_bytes(needed),
            )
        yield Proposal(role.name, Key.MEMORY_MAX, text, verbatim(text), why, (text,), done=True)
        return
    if limit is None or now is None:
        return
    size, why = limit.limit, limit.why
    if not limit.fits:
        why = sentences(
            why, msg("It does not fit beside the other limits, so it is not preselected.")
        )
    floor = max(need(role.unit), 1)
    sizes = {size, *(_up(size * part) for part in (3 / 4, 5 / 4, 3 / 2))}
    ram = situation.snapshot.host.mem_total
    yield Proposal(
        role.name,
        Key.MEMORY_MAX,
        _mega(size),
        msg("none"),
        why,
        tuple(_mega(each) for each in sorted(sizes) if floor < each < ram),
        done=False,
        fits=limit.fits,
    )


def _mega(size: int) -> str:
    return f"{size >> 20}M"


# --- all ----------------------------------------------------------------------------------------


def _restart(role: Role, word: str) -> Iterator[Proposal]:
    properties = role.properties
    now = properties.restart
    # Nothing is better for the bus than what its maker has chosen.
    if now is None or role.name in preflight.BUSES:
        return
    good = now in GOOD
    why = msg("systemd restarts it after an OOM kill or another failure.")
    if not good and (triggers := activators(properties)):
        only = msg(
            "Now only {unit} starts it again, when it is next used.", unit=of_unit(triggers[0], 60)
        )
        why = sentences(only, why)
    choices = ("on-failure", "always")
    yield Proposal(
        role.name, Key.RESTART, now if good else word, _now(now), why, choices, done=good
    )
    yield from _delay(role, now if good else word, changed=not good)


def _delay(role: Role, word: str, *, changed: bool) -> Iterator[Proposal]:
    """Yield RestartSec= to go with a Restart=; ``changed``: this one is proposed as well."""
    properties, delay = role.properties, role.properties.restart_usec
    if not isinstance(delay, int):
        return
    slow = delay >= AGAIN_USEC and not (changed and _at_once(properties, word, delay))
    kept_alive = word == "always" and role.tier is Tier.BUSINESS
    policy = _limited(properties, word)
    # A Restart= of ours is never proposed without the time that the policy wants with it.
    needless = slow or _awaited(role) or policy is None
    if needless and not changed and not kept_alive:
        return
    shown = render_value(Key.RESTART_SEC, delay)
    value = shown if slow else _again(properties, word)
    if policy is not None and _limited(properties, word, parse_time_span(value)):
        policy = None  # RestartSec= does not prevent it
    yield Proposal(
        role.name,
        Key.RESTART_SEC,
        value,
        verbatim(shown),
        _why_slow(role, policy),
        tuple(dict.fromkeys(("3s", "5s", "10s", value))),
        done=slow,
    )


def _again(properties: UnitProperties, word: str) -> str:
    """Return the RestartSec= to propose: 3 s, or more where its start limit is hit at once then."""
    policy = restart.policy_of(properties, {Key.RESTART: word})
    if policy is None or not _at_once(properties, word, AGAIN_USEC):
        return AGAIN
    seconds = restart.keeps_trying(policy)
    return f"{seconds}s" if seconds else AGAIN


def _at_once(properties: UnitProperties, word: str, delay: int) -> bool:
    """Tell whether the start limit is hit at once, though some RestartSec= would never hit it."""
    policy = restart.policy_of(properties, {Key.RESTART: word, Key.RESTART_SEC: delay})
    if policy is None or not restart.limit_at_once(policy):
        return False
    return restart.keeps_trying(policy) is not None


def _why_slow(role: Role, policy: restart.Policy | None) -> Message:
    """Return what RestartSec= prevents; ``policy`` is one that hits its start limit."""
    if policy is None:
        return msg(
            "Each start uses memory and processor time that other units need: 20 starts a minute "
            "are enough."
        )
    limit, socket = of_span(policy.interval), activating_socket(role.properties)
    if socket:
        return msg(
            "With a shorter RestartSec, {starts} failed starts within {interval} hit the start "
            "limit: {unit} fails with it, and nobody can log in until somebody starts both.",
            starts=policy.burst,
            interval=limit,
            unit=of_unit(socket, 60),
        )
    return msg(
        "With a shorter RestartSec, {starts} failed starts within {interval} hit the start limit, "
        "and it stays down until somebody starts it.",
        starts=policy.burst,
        interval=limit,
    )


def activating_socket(properties: UnitProperties) -> str:
    """Return the socket that takes logins for a service, and fails with it at the start limit.

    Seen on systemd 257: after six kills within 10 s ssh.socket was "failed" with
    service-start-limit-hit, and connections were refused.
    """
    if preflight.stem(properties.name) not in preflight.LOGINS:
        return ""
    return next((t for t in activators(properties) if t.endswith(".socket")), "")


def _awaited(role: Role) -> bool:
    """Tell whether a request starts a service sooner than a delayed restart, or somebody does.

    systemd starts nothing while a restart is due: whoever asks would wait for that.
    """
    name, properties = preflight.stem(role.name), role.properties
    if name in _FOR_LOGINS:
        return False
    by_bus = properties.type == "dbus" or any(n.startswith("dbus-org.") for n in properties.names)
    return by_bus or bool(activators(properties)) or name in preflight.CONSOLES


def _limited(
    properties: UnitProperties, word: str, delay: int | Unlimited | None = None
) -> restart.Policy | None:
    """Return how systemd restarts a unit if it hits the start limit when every start fails.

    ``delay`` is a RestartSec= in microseconds; None for the present one.
    """
    staged: dict[Key, Value] = {Key.RESTART: word}
    if delay is not None:
        staged[Key.RESTART_SEC] = delay
    policy = restart.policy_of(properties, staged)
    if policy is None:
        return None
    found = restart.ends_at_every_start(policy).reaction
    return policy if found is restart.Reaction.START_LIMIT else None


def _one_of_many(role: Role, situation: Situation) -> Iterator[Proposal]:
    """Yield OOMPolicy=continue for what serves with processes of its own making."""
    if preflight.stem(role.name) in preflight.LOGINS or role.properties.oom_policy is None:
        return
    case = UnitCase(role.name, role.known, role.properties, situation, drops_only=False)
    program = pre_fork(After(case, {}))
    if not program:
        return
    now = role.properties.oom_policy
    yield Proposal(
        role.name,
        Key.OOM_POLICY,
        "continue",
        verbatim(now),
        msg(
            "It serves with several {program} processes and replaces one that is killed. With "
            "OOMPolicy=stop systemd would stop all of them.",
            program=of_text(program, 30),
        ),
        ("continue", "stop"),
        done=now == "continue",
    )


def _now(value: Value | None) -> Message:
    if value is None:
        return msg("unknown")
    return msg("none") if value is INFINITY else verbatim(str(value))
