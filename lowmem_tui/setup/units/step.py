"""OOM scores, limits and restarts: the settings of each service by its tier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import (
    N_,
    as_message,
    as_value,
    msg,
    of_command,
    of_text,
    of_unit,
    sentences,
)
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.policy.budget import Verdict
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.forecast.restart_text import activators
from lowmem_tui.policy.plan import ALREADY, parse_set, plan
from lowmem_tui.policy.protect import Role, activating_socket, proposals
from lowmem_tui.setup.idle.guards import in_use
from lowmem_tui.setup.idle.table import table
from lowmem_tui.setup.units import mistakes as unit_mistakes
from lowmem_tui.setup.units import needs as unit_needs
from lowmem_tui.setup.units import tiering
from lowmem_tui.setup.units.drift import not_in_force
from lowmem_tui.setup.units.words import by_hand, facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.setup import Words
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
        needs = unit_needs.needs(self._ground, [role.unit for role in roles])
        made = _allowed(proposals(roles, found.situation, needs), found)
        idle = self._idle({role.name for role in roles})
        return Look(
            facts=tuple(facts(roles, made, found.situation, needs)),
            items=tuple(_item(each, idle) for each in made),
            findings=(
                *_findings([m for m in made if m.unit not in idle], roles),
                *not_in_force(
                    (role for role in roles if role.name not in idle),
                    self._ground.inspector.facts().container,
                ),
                *_overcommitted(found.situation.snapshot, needs),
                *_without_room(
                    [m for m in made if m.unit not in idle], found.situation.snapshot, needs
                ),
                *unit_mistakes.findings(self._ground, found.situation),
            ),
            by_hand=tuple(by_hand(roles, found.situation)),
            absent="" if roles else msg("There is no service that has a tier."),
            needs=needs,
        )

    def _idle(self, names: set[str]) -> frozenset[str]:
        """Return those that the step `idle` proposes to disable: no settings for them."""
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
                    msg(
                        "There is no unit {unit}: see `lowmem-tui list`.",
                        unit=of_text(edit.unit, 60),
                    )
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
        why=made.why
        if kept
        else sentences(
            made.why,
            msg("Not preselected: the step Unneeded services proposes to disable it."),
        ),
        choices=made.choices if made.value in made.choices else (made.value, *made.choices),
        taken=kept and made.fits,
        done=made.done,
    )


def _overcommitted(snapshot: Snapshot, needs: Mapping[str, int]) -> Iterator[Finding]:
    """Yield a finding where the reserve and all limits together are more than RAM."""
    found = overcommitted(snapshot, needs=needs)
    if found is None:
        return
    kills = found.budget.verdict is Verdict.KILLS
    remedy: list[Words] = [
        *found.commands,
        msg("{command}    # shows what fits", command=of_command("lowmem-tui whatif")),
    ]
    if kills:
        swap = of_command("sudo lowmem-tui setup --step swap")
        remedy.append(msg("{command}    # or add swap", command=swap))
    yield Finding(
        "limits-over-memory" if kills else "limits-over-ram",
        Severity.WARNING if kills else Severity.ADVICE,
        "",
        found.sentences,
        tuple(remedy),
    )


def _without_room(
    made: Iterable[Proposal], snapshot: Snapshot, needs: Mapping[str, int]
) -> Iterator[Finding]:
    """Yield a finding for each unit that should have a limit, and has none that would fit."""
    for each in made:
        if each.done or each.fits or each.key is not Key.MEMORY_MAX:
            continue
        size = parse_value(each.key, each.value, snapshot.host.mem_total)
        staged = {each.unit: size} if isinstance(size, int) else {}
        found = overcommitted(snapshot, staged, needs=needs)
        yield Finding(
            "limit-does-not-fit",
            Severity.ADVICE,
            each.unit,
            sentences(
                msg(
                    "It has no MemoryMax, and {value} does not fit beside the other limits.",
                    value=each.value,
                ),
                as_message(found.sentences) if found is not None else None,
            ),
            "\n".join(found.commands) if found is not None else "",
        )


_TIERS = {
    Tier.GATEKEEPER: msg("It is a gatekeeper (tier 0)."),
    Tier.BUSINESS: msg("It is a business service (tier 1)."),
    Tier.SHORT_LIVED: msg("It is short-lived (tier 2)."),
}
_GRAVE = frozenset({Key.RESTART, Key.OOM_POLICY})
"""What a business unit must not lack."""


def _lack(made: Proposal, role: Role) -> Message:
    """Say what a unit has, or does not have, in place of a proposal."""
    now = as_value(made.now)
    triggers = activators(role.properties)
    if made.key is Key.OOM_SCORE_ADJUST:
        return msg("OOMScoreAdjust is {now}.", now=now)
    if made.key is Key.MEMORY_MAX:
        return msg("It has no MemoryMax.")
    if made.key is Key.OOM_POLICY:
        return msg(
            "It is stopped as a whole when one of its processes is killed (OOMPolicy={now}).",
            now=now,
        )
    if made.key is Key.RESTART_SEC:
        return _quick(role, now)
    if triggers:
        return msg(
            "After a failure only {unit} starts it again, when it is next used (Restart={now}).",
            unit=of_unit(triggers[0], 60),
            now=now,
        )
    return msg("It stays down after a failure (Restart={now}).", now=now)


def _quick(role: Role, now: Value) -> Message:
    """Say what becomes of a unit that fails quickly, with a RestartSec of now."""
    if socket := activating_socket(role.properties):
        return msg(
            "It hits the start limit after a few quick failures (RestartSec={now}). Then {unit} "
            "fails, too, and nobody can log in.",
            now=now,
            unit=of_unit(socket, 60),
        )
    if role.tier is Tier.BUSINESS:
        return msg("It restarts at once after a failure (RestartSec={now}).", now=now)
    return msg("It hits the start limit after a few quick failures (RestartSec={now}).", now=now)


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
        socket = activating_socket(by_name[unit].properties)
        awaited = {Key.RESTART} if socket else {Key.RESTART, Key.RESTART_SEC}
        serious = keys - awaited if triggers else keys
        grave = bool(serious if tier is Tier.GATEKEEPER else serious & _GRAVE)
        lacks = [
            _lack(each, by_name[unit])
            for each in lacking
            if each.key is not Key.RESTART_SEC or Key.RESTART not in keys
        ]
        sets = " ".join(f"--set '{each.unit}:{each.key}={each.value}'" for each in lacking)
        yield Finding(
            "gatekeeper-unguarded" if tier is Tier.GATEKEEPER else "business-unbounded",
            Severity.WARNING if grave else Severity.ADVICE,
            unit,
            sentences(_TIERS[tier], *lacks),
            f"sudo lowmem-tui apply {sets}",
        )
