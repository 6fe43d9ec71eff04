"""What is said of the services' settings: the budget, and where the guide must not be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.policy.budget import budget, in_words
from lowmem_tui.policy.checks import preflight
from lowmem_tui.policy.checks.elsewhere import elsewhere
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.protect import UNTOUCHABLE, largest, makers_own
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.policy.protect import Proposal, Role

GUIDE = (600 + 256 + 400) << 20
"""The guide's MemoryMax of the application and of Redis, and what it keeps for the system."""


def facts(roles: Sequence[Role], made: Sequence[Proposal], situation: Situation) -> Iterator[str]:
    """Yield what was found."""
    counts = [sum(role.tier is tier for role in roles) for tier in Tier]
    yield (
        f"{counts[0]} gatekeepers to protect, {counts[1]} business units to limit, {counts[2]} "
        "short-lived ones to leave alone."
    )
    yield in_words(budget(situation.snapshot))
    yield from _afterwards(made, situation)
    first = largest(roles)
    if first:
        yield (
            f"{plain(first, 60)} is the largest business unit: of them it is to die first, and to "
            "come back."
        )
    yield from _guide(roles, made, situation)
    yield from _exceptions(roles)


def _afterwards(made: Sequence[Proposal], situation: Situation) -> Iterator[str]:
    """Say what the budget is with the limits that are proposed, and what is wrong with that."""
    snapshot = situation.snapshot
    sizes = {
        each.unit: parse_value(each.key, each.value, snapshot.host.mem_total)
        for each in made
        if each.key is Key.MEMORY_MAX and not each.done and each.fits
    }
    staged = {unit: size for unit, size in sizes.items() if isinstance(size, int)}
    found = overcommitted(snapshot, staged)
    if found is not None:
        yield found.sentences
    elif staged:
        yield f"With the limits proposed here, {in_words(budget(snapshot, staged))}"


def _guide(roles: Sequence[Role], made: Sequence[Proposal], situation: Situation) -> Iterator[str]:
    """Say where the guide contradicts itself, instead of copying it."""
    ram = situation.snapshot.host.mem_total
    if ram < GUIDE and any(m.key is Key.MEMORY_MAX for m in made):
        yield (
            "The guide's 600M for the application, 256M for Redis and 400 MiB kept for the system "
            f"are {GUIDE >> 20}M, more than the {format_size(ram)} that there are: they are not "
            "copied."
        )
    for role in roles:
        for name in role.properties.names:
            if name == "redis.service" and name != role.name:
                yield (
                    f"The guide writes its drop-in for redis.service: that is only another name of "
                    f"{plain(role.name, 60)}, which is what is changed here."
                )
    scores: dict[int, list[str]] = {}
    for role in roles:
        score = role.properties.oom_score_adjust
        if role.tier is Tier.BUSINESS and score is not None and score < 0:
            scores.setdefault(score, []).append(role.name)
    for score, names in scores.items():
        if len(names) > 1:
            yield (
                f"{common.listed(names)} all have OOMScoreAdjust={score}: which of them dies first "
                "is then decided by their size alone."
            )


def _exceptions(roles: Sequence[Role]) -> Iterator[str]:
    for role in roles:
        score = role.properties.oom_score_adjust
        name = plain(role.name, 60)
        stem = preflight.stem(role.name)
        if role.tier is Tier.GATEKEEPER and stem in preflight.UNGUARDED:
            yield (
                f"{name}: {stem} does not protect itself, as sshd does, and what it is given goes "
                "on to every login: -200 is enough for logins to stay possible, more would have a "
                "runaway command outlive your application."
            )
        elif role.tier is Tier.GATEKEEPER and stem in preflight.LOGINS:
            yield (
                f"{name}: sshd protects its listener itself (-1000) and hands OOMScoreAdjust on to "
                "every login: each shell and all that is started from it would have the -500, and "
                "a runaway command would outlive your application. So only restarts are set there."
            )
        elif role.tier is Tier.BUSINESS and score is not None and makers_own(role):
            how = "took it out of the killer's reach" if score <= UNTOUCHABLE else "protects it"
            yield f"{name}: its maker {how} ({score}); that is left so."


def by_hand(roles: Sequence[Role], situation: Situation) -> Iterator[str]:
    """Yield what the program does not do itself."""
    for role in roles:
        if role.tier is not Tier.BUSINESS:
            continue
        found = elsewhere(role.known, situation.snapshot)
        if found is not None and found.place is not None:
            starts = f"what `{plain(found.command, 40)}` starts runs"
            what = starts if found.command else "its containers run"
            yield f"{plain(role.name, 60)}: {what} {found.place.where}. {found.place.limit}"
        elif role.properties.delegate:
            yield (
                f"{plain(role.name, 60)} runs things in control groups of its own: limit each of "
                "them there (`docker run --memory`), not all of them together."
            )
