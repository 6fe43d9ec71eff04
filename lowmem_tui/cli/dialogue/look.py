"""Looking: the server, its units, the kill order, the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli.dialogue.words import known, limit, size
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_, of_list
from lowmem_tui.model.unit import TIERS, Tier
from lowmem_tui.tui.table import unit_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.policy.forecast.kills import Prediction

MOST = 10
"""Kills of each limit that are listed."""

TITLES = {
    Tier.GATEKEEPER: N_("Tier 0, gatekeepers"),
    Tier.BUSINESS: N_("Tier 1, business"),
    Tier.SHORT_LIVED: N_("Tier 2, short-lived"),
    None: N_("No tier: sessions, slices and the rest"),
}


class Sort(NamedTuple):
    """An order of the list: what it is by, and whether the greatest come first."""

    value: Callable[[Unit], float | str | None]
    falling: bool = True


SORTS = {
    "memory": Sort(lambda unit: _memory(unit)),
    "swap": Sort(lambda unit: unit.usage.swap if unit.usage else None),
    "score": Sort(lambda unit: unit.usage.oom_score if unit.usage else None),
    "limit": Sort(unit_values.sort_limit),
    "name": Sort(lambda unit: unit.name, falling=False),
}
"""What ``list by`` takes."""

HINT = N_(
    "list takes no argument, all, a part of a name, or by and one of {sorts}, for example: "
    "list by score."
)


def summary(d: Dialogue) -> None:
    """Say how the server is, in three sentences."""
    snapshot = d.look()
    host = snapshot.host
    d.console.say(
        "{name}: {available} of {ram} RAM is available, {used} of {swap} swap is used.",
        name=host.hostname,
        available=size(host.mem_available),
        ram=size(host.mem_total),
        used=size(host.swap_used),
        swap=size(host.swap_total),
    )
    if host.pressure is not None:
        d.console.say(
            "Tasks waited for memory {some} percent of the last 10 seconds.",
            some=host.pressure.some.avg10,
        )
    _victim(d, snapshot)
    if snapshot.notice:
        d.console.message(snapshot.notice)


def _victim(d: Dialogue, snapshot: Snapshot) -> None:
    from lowmem_tui.policy.forecast.kills import predict

    found = predict(snapshot, most=1)
    if found is None or found.instead:
        return
    if found.first is None:
        d.console.say("The kernel would find no process to kill.")
        return
    victim = found.first.victim
    d.console.say(
        "Next OOM victim: {unit}, process {pid} ({name}). The kill frees {size}.",
        unit=victim.unit,
        pid=victim.pid,
        name=victim.name,
        size=size(found.first.ram),
    )


# --- the list -----------------------------------------------------------------------------------


def units(d: Dialogue, typed: str) -> None:
    """List the units by tier, numbered; ``typed`` filters or sorts them."""
    order, words = SORTS["memory"], typed.lower().split()
    if words[:1] == ["by"]:
        if len(words) != 2 or words[1] not in SORTS:
            d.console.say(HINT, sorts=of_list(SORTS))
            return
        order, words = SORTS[words[1]], []
    everything, text = words == ["all"], "" if words == ["all"] else typed.lower()
    snapshot = d.look()
    chosen = [
        unit
        for unit in snapshot.units.values()
        if (text in unit.name.lower() if text else everything or unit.usage is not None)
    ]
    d.listed = ()
    if not chosen:
        d.console.say("No unit's name contains {text}: list all names every unit.", text=text)
        return
    for tier in TIERS:
        _tier(d, TITLES[tier], [u for u in chosen if _tier_of(d, u, snapshot) is tier], order)
    d.console.say("Type unit and a number, or edit and a number.")


def _tier_of(d: Dialogue, unit: Unit, snapshot: Snapshot) -> Tier | None:
    return d.rules.classify(unit, snapshot.host.mem_total).tier


def _tier(d: Dialogue, title: str, found: list[Unit], order: Sort) -> None:
    if not found:
        return
    d.console.gap()
    d.console.say_count("{title}: 1 unit.", "{title}: {n} units.", len(found), title=tr(title))
    ranked = sorted(found, key=lambda unit: unit.name)
    ranked = [unit for unit in ranked if order.value(unit) is not None]
    ranked.sort(key=order.value, reverse=order.falling)  # type: ignore[arg-type]
    rest = sorted((unit for unit in found if order.value(unit) is None), key=lambda u: u.name)
    for unit in (*ranked, *rest):
        d.listed = (*d.listed, unit.name)
        _line(d, len(d.listed), unit)


def _line(d: Dialogue, number: int, unit: Unit) -> None:
    if unit.usage is None:
        d.console.say("{number}. {unit} is not running.", number=number, unit=unit.name)
    elif not unit.usage.processes:
        d.console.say(
            "{number}. {unit}: {rss} RSS, {swap} swap, MemoryMax {limit}.",
            number=number,
            unit=unit.name,
            rss=size(unit.usage.rss),
            swap=size(unit.usage.swap),
            limit=limit(unit_values.limit(unit)),
        )
    else:
        d.console.say(
            "{number}. {unit}: {rss} RSS, {swap} swap, OOM score {score}, oom_score_adj {adj}, "
            "MemoryMax {limit}, Restart {restart}.",
            number=number,
            unit=unit.name,
            rss=size(unit.usage.rss),
            swap=size(unit.usage.swap),
            score=known(unit.usage.oom_score),
            adj=known(unit_values.adjust(unit)),
            limit=limit(unit_values.limit(unit)),
            restart=known(unit.properties.restart if unit.properties else None),
        )
    if count := len(d.staged.of(unit.name)):
        d.console.say_count(
            "{unit} has 1 staged edit.", "{unit} has {n} staged edits.", count, unit=unit.name
        )


def _memory(unit: Unit) -> int | None:
    return (unit.usage.rss or 0) + (unit.usage.swap or 0) if unit.usage else None


# --- what would be killed -----------------------------------------------------------------------


def kill_order(d: Dialogue, _: str) -> None:
    """Say in which order the kernel would kill, now and with the staged edits."""
    from lowmem_tui.policy.budget import budget, in_words
    from lowmem_tui.policy.forecast.kills import predictions
    from lowmem_tui.policy.forecast.prediction_text import other_killers
    from lowmem_tui.policy.forecast.userspace_killers import others

    snapshot = d.look()
    if d.untried:
        _with_staged(d)
    for found in predictions(snapshot, MOST):
        d.console.gap()
        _prediction(d, found)
    d.console.gap()
    for sentence in other_killers(others(snapshot)):
        d.console.message(sentence)
    d.console.message(in_words(budget(snapshot)))


def _prediction(d: Dialogue, found: Prediction) -> None:
    from lowmem_tui.policy.forecast.prediction_text import title

    d.console.message(title(found))
    if found.instead and not found.never:
        d.console.message(found.instead)
        return
    for number, kill in enumerate(found.kills, 1):
        d.console.say(
            "{number}. {unit}, process {pid} ({name}): OOM score {score}, frees {ram} of RAM and "
            "{swap} of swap, in use after {left}.",
            number=number,
            unit=kill.victim.unit,
            pid=kill.victim.pid,
            name=kill.victim.name,
            score=kill.victim.score,
            ram=size(kill.ram),
            swap=size(kill.swap),
            left=size(kill.left),
        )


def _with_staged(d: Dialogue) -> None:
    from lowmem_tui.policy.forecast import whatif
    from lowmem_tui.policy.plan import plan

    situation = d.backend.situation(d.untried.units)
    made = plan(d.untried.edits, situation, d.rules.tiers(situation))
    d.console.say_count(
        "What the staged edit would do:", "What the {n} staged edits would do:", len(d.untried)
    )
    for notice in made.refusals:
        d.console.say("Refused: {text}", text=notice.named)
    now = whatif.known(situation)
    for sentence in whatif.sentences(now, whatif.after(now, whatif.changes(made.effects))):
        d.console.message(sentence)


# --- the pages of the commands ------------------------------------------------------------------


def triage(d: Dialogue, _: str) -> None:
    """Say how the server is, and which units are the largest."""
    summary(d)
    running = [unit for unit in d.look().units.values() if _memory(unit)]
    largest = sorted(running, key=lambda unit: (-(_memory(unit) or 0), unit.name))[:MOST]
    largest = [unit for unit in largest if not unit.name.endswith(".slice")]
    d.listed = tuple(unit.name for unit in largest)
    d.console.gap()
    d.console.say("The units that use most:")
    for number, unit in enumerate(largest, 1):
        _line(d, number, unit)


def findings(d: Dialogue, _: str) -> None:
    """Say what is wrong with this server for its memory, each with its remedy."""
    from lowmem_tui.cli.check import describe, worst_first
    from lowmem_tui.cli.looking import look

    d.console.say("Every step examines the server. This may take some seconds.")
    d.console.flush()
    for line in _sentences(describe(worst_first(look(d.backend)), 10_000, d.program)):
        d.console.message(line)


def _sentences(lines: Iterator[str]) -> Iterator[str]:
    return (line.strip() for line in lines if line.strip())
