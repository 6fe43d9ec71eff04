"""OOM scores, limits and restarts: the settings of each service by its tier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.message import N_
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.policy.budget import Verdict
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.forecast.restart_text import activators
from lowmem_tui.policy.plan import ALREADY, parse_set, plan
from lowmem_tui.policy.protect import Role, activating_socket, proposals
from lowmem_tui.setup.idle.guards import in_use
from lowmem_tui.setup.idle.table import table
from lowmem_tui.setup.redis import programs as redis_programs
from lowmem_tui.setup.redis import room as redis_room
from lowmem_tui.setup.units import mistakes as unit_mistakes
from lowmem_tui.setup.units import tiering
from lowmem_tui.setup.units.drift import not_in_force
from lowmem_tui.setup.units.words import by_hand, facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.snapshot import Situation, Snapshot
    from lowmem_tui.policy.protect import Proposal
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.units.tiering import Services


class UnitsStep:
    """See ``Step``."""

    name = "units"
    title = N_("OOM scores, limits, restarts")
    about = N_(
        "When memory runs out, the kernel kills one process, and without settings it may be any. "
        "Gatekeepers get a low OOMScoreAdjust, business services get MemoryMax and Restart, and "
        "short-lived jobs keep their settings. Then the kernel kills what can be restarted, and "
        "not a gatekeeper."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        found = tiering.services(self._ground)
        roles = _roles(found)
        needs = _needs(self._ground, roles)
        made = _allowed(proposals(roles, found.situation, needs), found)
        idle = self._idle({role.name for role in roles})
        return Look(
            facts=tuple(facts(roles, made, found.situation)),
            items=tuple(_item(each, idle) for each in made),
            findings=(
                *_findings([m for m in made if m.unit not in idle], roles),
                *not_in_force(
                    (role for role in roles if role.name not in idle),
                    self._ground.inspector.facts().container,
                ),
                *_overcommitted(found.situation.snapshot),
                *_without_room([m for m in made if m.unit not in idle], found.situation.snapshot),
                *unit_mistakes.findings(self._ground, found.situation),
            ),
            by_hand=tuple(by_hand(roles, found.situation)),
            absent="" if roles else "There is no service that has a tier.",
        )

    def _idle(self, names: set[str]) -> frozenset[str]:
        """Return those that the step `idle` proposes to switch off: no settings for them."""
        return frozenset(
            idle.unit
            for idle in table()
            if idle.unit in names and not idle.keep and not in_use(self._ground, idle.guard)
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        edits = [_edit(key, value) for key, value in wishes.items()]
        situation = self._ground.situation(dict.fromkeys(edit.unit for edit in edits))
        ram = situation.snapshot.host.mem_total
        for edit in edits:
            properties = situation.units[edit.unit].unit.properties
            if properties is None or not properties.exists:
                raise InvalidValueError(
                    f"There is no unit {plain(edit.unit, 60)}: see `lowmem-tui list`."
                )
            if edit.value is not None:
                parse_value(edit.key, edit.value, ram)
        tiers = tiering.rules_now(self._ground).tiers(situation)
        made = plan(edits, situation, tiers)
        return replace(made, warnings=tuple(w for w in made.warnings if w.code != ALREADY))


def make(ground: Ground) -> UnitsStep:
    """Return the step."""
    return UnitsStep(ground)


def _edit(key: str, value: str) -> Edit:
    return parse_set(f"{key}={value}")


def _needs(ground: Ground, roles: Iterable[Role]) -> dict[str, int]:
    """Return the bytes that units without a limit come to by their own configuration."""
    unlimited = (r for r in roles if not isinstance(r.properties.memory_max, int))
    if not any(redis_programs.is_one(role.unit) for role in unlimited):
        return {}
    try:
        return redis_room.needs(ground)
    except (LowmemError, OSError):
        return {}  # the step `redis` tells why; the settings of the others are proposed


def _roles(found: Services) -> list[Role]:
    known = {k.unit.name: k for k in found.situation.units.values()}
    roles = []
    for service in found.services:
        situation = known[service.name]
        properties = situation.unit.properties
        if properties is not None and service.verdict.tier is not None:
            kind = found.rules.kind(situation.unit)
            roles.append(Role(situation, properties, service.verdict.tier, kind, service.enabled))
    return roles


def _allowed(made: Sequence[Proposal], found: Services) -> list[Proposal]:
    """Leave out what a plan would refuse."""
    by_unit: dict[str, list[Proposal]] = {}
    for each in made:
        by_unit.setdefault(each.unit, []).append(each)
    good: list[Proposal] = []
    for each_unit in by_unit.values():
        if _accepts(each_unit, found.situation):
            good += each_unit
        else:
            good += [each for each in each_unit if each.done or _accepts([each], found.situation)]
    return good


def _accepts(made: Iterable[Proposal], situation: Situation) -> bool:
    edits = [Edit(each.unit, each.key, each.value) for each in made if not each.done]
    names = {k.unit.name: k for k in situation.units.values()}
    return not plan(edits, replace(situation, units=names)).refusals


def _item(made: Proposal, idle: frozenset[str]) -> Item:
    kept = made.unit not in idle
    return Item(
        key=f"{made.unit}:{made.key}",
        title=f"{made.unit} {made.key}",
        now=made.now,
        value=made.value,
        why=made.why if kept else f"{made.why} Only if it stays: it is among the idle services.",
        choices=made.choices if made.value in made.choices else (made.value, *made.choices),
        taken=kept and made.fits,
        done=made.done,
    )


def _overcommitted(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding where the reserve and all limits together are more than RAM."""
    found = overcommitted(snapshot)
    if found is None:
        return
    kills = found.budget.verdict is Verdict.KILLS
    remedy = [*found.commands, "lowmem-tui whatif    # tells what would fit"]
    if kills:
        remedy.append("sudo lowmem-tui setup --step swap    # or make swap")
    yield Finding(
        "limits-over-memory" if kills else "limits-over-ram",
        Severity.WARNING if kills else Severity.ADVICE,
        "",
        found.sentences,
        "\n".join(remedy),
    )


def _without_room(made: Iterable[Proposal], snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding for each unit that should have a limit, and has none that would fit."""
    for each in made:
        if each.done or each.fits or each.key is not Key.MEMORY_MAX:
            continue
        size = parse_value(each.key, each.value, snapshot.host.mem_total)
        found = overcommitted(snapshot, {each.unit: size} if isinstance(size, int) else {})
        lower = found.sentences if found is not None else ""
        yield Finding(
            "limit-does-not-fit",
            Severity.ADVICE,
            each.unit,
            f"It has no MemoryMax, and {each.value} does not fit beside the other limits. {lower}"
            "".strip(),
            "\n".join(found.commands) if found is not None else "",
        )


_WORDS = {
    Tier.GATEKEEPER: "a gatekeeper (tier 0)",
    Tier.BUSINESS: "a business unit (tier 1)",
    Tier.SHORT_LIVED: "short-lived (tier 2)",
}

_LACKS = {
    Key.OOM_SCORE_ADJUST: "has OOMScoreAdjust={now}",
    Key.MEMORY_MAX: "has no MemoryMax",
    Key.RESTART: "does not come back by itself (Restart={now})",
    Key.RESTART_SEC: "is started again at once (RestartSec={now})",
    Key.OOM_POLICY: "is stopped whole when one of its processes is killed (OOMPolicy={now})",
}
_GIVEN_UP = "is given up after a few quick failures (RestartSec={now})"
_CLOSED = "fails with it then, and nobody can log in"
_ON_DEMAND = "is started again by {by} alone, when it is next asked for (Restart={now})"
_GRAVE = frozenset({Key.RESTART, Key.OOM_POLICY})
"""What a business unit must not lack."""


def _findings(made: Sequence[Proposal], roles: Sequence[Role]) -> Iterator[Finding]:
    """Yield one finding for each unit, with the command that mends it."""
    by_name = {role.name: role for role in roles}
    open_: dict[str, list[Proposal]] = {}
    for each in made:
        if not each.done and each.fits:
            open_.setdefault(each.unit, []).append(each)
    for unit, lacking in open_.items():
        keys = {each.key for each in lacking}
        tier = by_name[unit].tier
        triggers = activators(by_name[unit].properties)
        socket = plain(activating_socket(by_name[unit].properties), 60)
        awaited = {Key.RESTART} if socket else {Key.RESTART, Key.RESTART_SEC}
        serious = keys - awaited if triggers else keys
        grave = bool(serious if tier is Tier.GATEKEEPER else serious & _GRAVE)
        lacks = _LACKS if tier is Tier.BUSINESS else {**_LACKS, Key.RESTART_SEC: _GIVEN_UP}
        lacks = {**lacks, Key.RESTART: _ON_DEMAND} if triggers else lacks
        if socket:
            lacks = {**lacks, Key.RESTART_SEC: f"{_GIVEN_UP}: {socket} {_CLOSED}"}
        said = [
            lacks[each.key].format(now=plain(each.now, 30), by=plain("".join(triggers[:1]), 60))
            for each in lacking
            if each.key is not Key.RESTART_SEC or Key.RESTART not in keys
        ]
        text = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
        sets = " ".join(f"--set '{each.unit}:{each.key}={each.value}'" for each in lacking)
        yield Finding(
            "gatekeeper-unguarded" if tier is Tier.GATEKEEPER else "business-unbounded",
            Severity.WARNING if grave else Severity.ADVICE,
            unit,
            f"It is {_WORDS[tier]} and {text}.",
            f"sudo lowmem-tui apply {sets}",
        )
