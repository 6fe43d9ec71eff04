"""The next OOM victims, what a change does to them, and the budget: as lines of the screens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import msg, of_bytes, of_unit
from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast import growth, prediction_text, whatif
from lowmem_tui.policy.forecast.growth import Reach
from lowmem_tui.policy.forecast.kills import BOX, Goes, Prediction, predict
from lowmem_tui.policy.forecast.oom import cap_above, limited, never_reached, spare_swap
from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook
from lowmem_tui.policy.protect import limits_advised
from lowmem_tui.tui.session.memory_history import STEP
from lowmem_tui.tui.text.unit_page import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.snapshot import Situation, Snapshot, Unit
    from lowmem_tui.model.unit import Key, Value
    from lowmem_tui.policy.budget import Advice
    from lowmem_tui.tui.session.memory_history import MemoryHistory
    from lowmem_tui.tui.session.session import Session

BESIDE = 6
"""Kills that the review compares."""


def limits(session: Session, snapshot: Snapshot) -> list[Advice]:
    """Return a MemoryMax for the business units that run, as the set-up would propose them."""
    tiers = {name: session.verdict(name).tier for name, u in snapshot.units.items() if u.usage}
    return limits_advised(session.peaks.into(snapshot), tiers, session.rules)


def row(text: str) -> Text:
    """Return a line of a table, which is cut where there is too little room."""
    return Text(text, no_wrap=True)


def in_short(situation: Situation, plan: Plan | None) -> str:
    """Return the most important thing that a plan does to the kill order; "" for no plan."""
    if plan is None or not plan.effects:
        return ""
    now = whatif.known(situation)
    return say(whatif.sentences(now, whatif.after(now, whatif.changes(plan.effects)))[0])


def compared(situation: Situation, plan: Plan, width: int) -> tuple[list[Text], list[Text]]:
    """Return what a plan does to the kill order: in words; side by side if it is another."""
    now = whatif.known(situation)
    then = whatif.after(now, whatif.changes(plan.effects))
    return list(_in_words(now, then)), list(_beside(now, then, width))


def changed(now: Snapshot, wanted: Mapping[str, Mapping[Key, Value]], width: int) -> Iterator[Text]:
    """Yield what settings do to the kill order: in words, and side by side if it is another."""
    then = whatif.after(now, wanted)
    yield from _in_words(now, then)
    yield from _beside(now, then, width)


def _in_words(now: Snapshot, then: Snapshot) -> Iterator[Text]:
    for sentence in whatif.sentences(now, then):
        yield Text(f" {say(sentence)}")


def _beside(now: Snapshot, then: Snapshot, width: int) -> Iterator[Text]:
    before, after = predict(now, BOX, BESIDE), predict(then, BOX, BESIDE)
    if before is not None and after is not None and _order(before) != _order(after):
        marked = frozenset(whatif.differing(now, then))
        lines = prediction_text.side_by_side(before, after, marked, width, BESIDE, render=say)
        yield from map(row, lines)


def _order(found: Prediction) -> list[tuple[int, Goes]]:
    return [(kill.victim.pid, kill.goes) for kill in found.kills]


def reach(unit: Unit, snapshot: Snapshot, history: MemoryHistory) -> Reach | None:
    """Return how far the limit is that a unit meets first: its own, or a slice's above it.

    None where there is none.
    """
    if unit.usage is None:
        return None
    own = unit.usage.memory.max
    cap = cap_above(snapshot, unit.usage.cgroup)
    if cap is not None and not (isinstance(own, int) and own <= cap[1]):
        unit = snapshot.units[cap[0]]
    return _reach(unit, snapshot, history)


def _reach(unit: Unit, snapshot: Snapshot, history: MemoryHistory) -> Reach | None:
    memory = unit.usage.memory if unit.usage else None
    if unit.usage is None or memory is None or not isinstance(memory.max, int):
        return None
    pace = growth.growth(history.pinned(unit.name), STEP)
    never = never_reached(snapshot, unit)
    spare = spare_swap(snapshot.host, unit.usage)
    return Reach(unit.name, budget.held(unit), memory.max, pace, spare, never)


def reaches(snapshot: Snapshot, history: MemoryHistory) -> list[Reach]:
    """Return how far the machine and each limited unit are from their limits, nearest first."""
    found = [
        r for name in limited(snapshot) if (r := _reach(snapshot.units[name], snapshot, history))
    ]
    found.sort(key=lambda r: (-r.held / max(1, r.limit), r.unit))
    host = snapshot.host
    held = host.mem_total - host.mem_available + host.swap_used
    whole = host.mem_total + host.swap_total
    return [Reach(BOX, held, whole, growth.growth(history.pinned(BOX), STEP)), *found]


def fates(
    unit: Unit,
    snapshot: Snapshot | None,
    history: MemoryHistory,
    staged: Mapping[Key, Value] | None = None,
) -> Iterator[Text]:
    """Yield what happens to a unit that is killed, now and with what is staged; how far that is."""
    if unit.properties is not None and (found := outlook(unit.properties)) is not None:
        yield labelled(tr("Killed"), tr("now: {outcome}", outcome=killed_now(found)))
        yield labelled(
            tr("Failing"), tr("at every start: {outcome}", outcome=at_every_start(found))
        )
        then = outlook(unit.properties, staged) if staged else None
        if then is not None and then != found:
            words = tr(
                "killed: {killed}; failing at every start: {failing}",
                killed=killed_now(then),
                failing=at_every_start(then),
            )
            yield labelled(tr("Staged"), words, "bold")
    if snapshot is not None and (far := reach(unit, snapshot, history)) is not None:
        yield labelled(tr("Limit"), say(_how_far(far, own=far.unit == unit.name)))


def _how_far(far: Reach, *, own: bool) -> Message:
    """Return how much of a limit is in use; ``own``: the unit's, not that of a slice above it."""
    percent, limit = 100 * far.held // max(1, far.limit), of_bytes(far.limit)
    when = growth.in_words(far)
    if own:
        return msg(
            "{percent}% of {limit} without page cache; {when}",
            percent=percent,
            limit=limit,
            when=when,
        )
    return msg(
        "{percent}% of {limit}, the limit of {slice}, without page cache; {when}",
        percent=percent,
        limit=limit,
        slice=of_unit(far.unit, 60),
        when=when,
    )
