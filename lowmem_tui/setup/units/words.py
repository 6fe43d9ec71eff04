"""Facts on the services' settings: the budget, and where usual advice must not be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import (
    as_message,
    msg,
    of_bytes,
    of_limit,
    of_text,
    of_unit,
    sentences,
)
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.policy.budget import budget, in_words
from lowmem_tui.policy.checks import preflight
from lowmem_tui.policy.checks.elsewhere import elsewhere
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.protect import UNTOUCHABLE, largest, makers_own
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.policy.checks.launchers import Place
    from lowmem_tui.policy.protect import Proposal, Role

USUAL = (600 + 256 + 400) << 20
"""The usual advice for 2 GiB: MemoryMax of the application and of Redis, and the reserve."""


def facts(
    roles: Sequence[Role],
    made: Sequence[Proposal],
    situation: Situation,
    needs: Mapping[str, int],
) -> Iterator[Message]:
    """Yield what was found; ``needs`` are bytes that units may use by their configuration."""
    counts = [sum(role.tier is tier for role in roles) for tier in Tier]
    yield msg(
        "Gatekeepers to protect: {gatekeepers}. Business services to limit: {business}. "
        "Short-lived services that keep their settings: {short}.",
        gatekeepers=counts[0],
        business=counts[1],
        short=counts[2],
    )
    yield as_message(in_words(budget(situation.snapshot)))
    yield from _afterwards(made, situation, needs)
    first = largest(roles)
    if first:
        yield msg(
            "{unit} is the largest business service: it gets the highest OOMScoreAdjust, so that "
            "it is killed first, and restarts.",
            unit=of_unit(first, 60),
        )
    yield from _usual(roles, made, situation)
    yield from _exceptions(roles)


def _afterwards(
    made: Sequence[Proposal], situation: Situation, needs: Mapping[str, int]
) -> Iterator[Message]:
    """Show the budget with the limits that are proposed, and what is wrong with it."""
    snapshot = situation.snapshot
    sizes = {
        each.unit: parse_value(each.key, each.value, snapshot.host.mem_total)
        for each in made
        if each.key is Key.MEMORY_MAX and not each.done and each.fits
    }
    staged = {unit: size for unit, size in sizes.items() if isinstance(size, int)}
    found = overcommitted(snapshot, staged, needs=needs)
    if found is not None:
        yield as_message(found.sentences)
    elif staged:
        words = as_message(in_words(budget(snapshot, staged)))
        yield msg("With the limits that are proposed here: {budget}", budget=words)


def _usual(
    roles: Sequence[Role], made: Sequence[Proposal], situation: Situation
) -> Iterator[Message]:
    """Say where the usual advice does not fit this server."""
    ram = situation.snapshot.host.mem_total
    if ram < USUAL and any(m.key is Key.MEMORY_MAX for m in made):
        yield msg(
            "The usual advice (MemoryMax=600M for the application, 256M for Redis, a reserve of "
            "400M) needs {need}, more than {ram} of RAM: it is not used here.",
            need=of_limit(USUAL),
            ram=of_bytes(ram),
        )
    for role in roles:
        for name in role.properties.names:
            if name == "redis.service" and name != role.name:
                yield msg(
                    "redis.service is only an alias of {unit}: the drop-in is written for {unit}.",
                    unit=of_unit(role.name, 60),
                )
    scores: dict[int, list[str]] = {}
    for role in roles:
        score = role.properties.oom_score_adjust
        if role.tier is Tier.BUSINESS and score is not None and score < 0:
            scores.setdefault(score, []).append(role.name)
    for score, names in scores.items():
        if len(names) > 1:
            yield msg(
                "{units} have the same OOMScoreAdjust={score}: only their size decides which of "
                "them is killed first.",
                units=common.several(names),
                score=score,
            )


def _exceptions(roles: Sequence[Role]) -> Iterator[Message]:
    for role in roles:
        score = role.properties.oom_score_adjust
        name = of_unit(role.name, 60)
        stem = preflight.stem(role.name)
        if role.tier is Tier.GATEKEEPER and stem in preflight.UNGUARDED:
            yield msg(
                "{unit}: {program} does not protect itself, as sshd does, and every login inherits "
                "its OOMScoreAdjust. -200 is enough to keep logins possible. With less, a runaway "
                "command would be killed after your application.",
                unit=name,
                program=of_text(stem, 40),
            )
        elif role.tier is Tier.GATEKEEPER and stem in preflight.LOGINS:
            yield msg(
                "{unit}: sshd protects its listener itself (-1000), and every login inherits "
                "OOMScoreAdjust. Each shell and every command started from it would have -500, and "
                "a runaway command would be killed after your application. So only restarts are "
                "set there.",
                unit=name,
            )
        elif role.name in preflight.BUSES:
            yield msg(
                "{unit}: after a restart of the bus few programs connect to it again. After a "
                "failure dbus.socket starts it, so Restart is kept as its package sets it.",
                unit=name,
            )
        elif role.tier is Tier.BUSINESS and score is not None and makers_own(role):
            if score <= UNTOUCHABLE:
                yield msg(
                    "{unit}: its package excludes it from OOM kills (OOMScoreAdjust={score}). That "
                    "is kept.",
                    unit=name,
                    score=score,
                )
            else:
                yield msg(
                    "{unit}: its package protects it (OOMScoreAdjust={score}). That is kept.",
                    unit=name,
                    score=score,
                )


def _place(role: Role, command: str, place: Place) -> Message:
    unit = of_unit(role.name, 60)
    if not command:
        return msg("{unit}: its containers run {where}.", unit=unit, where=place.where)
    return msg(
        "{unit}: what `{command}` starts runs {where}.",
        unit=unit,
        command=of_text(command, 40),
        where=place.where,
    )


def by_hand(roles: Sequence[Role], situation: Situation) -> Iterator[Message]:
    """Yield what the program does not do itself."""
    for role in roles:
        if role.tier is not Tier.BUSINESS:
            continue
        found = elsewhere(role.known, situation.snapshot)
        if found is not None and found.place is not None:
            yield sentences(_place(role, found.command, found.place), found.place.limit)
        elif role.properties.delegate:
            yield msg(
                "{unit} runs processes in control groups of its own: limit each of them there "
                "(`docker run --memory`), not all of them together.",
                unit=of_unit(role.name, 60),
            )
