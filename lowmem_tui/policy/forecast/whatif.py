"""The server as it would be after some changes, and what that means for who dies first; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import CGROUP_FILES, Key, Unlimited
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.kills import Goes, predict
from lowmem_tui.policy.forecast.oom import declared_adjust, instead, kill_order, usable_swap
from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.plan import Effect
    from lowmem_tui.model.snapshot import Situation, Snapshot, Unit
    from lowmem_tui.model.unit import Value

_NAMED = 2
"""So many other units are named in a sentence; the rest are counted."""


def changes(effects: Iterable[Effect]) -> dict[str, dict[Key, Value]]:
    """Return what a plan's effects make of each unit's settings, where that can be told."""
    found: dict[str, dict[Key, Value]] = {}
    for effect in effects:
        value = effect.loaded if effect.loaded is not None else effect.key.facts.default
        found.setdefault(effect.unit, {})[effect.key] = value
    return found


def known(situation: Situation) -> Snapshot:
    """Return the snapshot of a situation with all that systemd has told of its units."""
    snapshot = situation.snapshot
    told = {k.unit.name: k.unit for k in situation.units.values()}
    told = {name: unit for name, unit in told.items() if name in snapshot.units}
    return replace(snapshot, units=snapshot.units | told)


def after(snapshot: Snapshot, wanted: Mapping[str, Mapping[Key, Value]]) -> Snapshot:
    """Return the server with these settings in force, those too that need a restart.

    Processes keep their sizes; one that has an oom_score_adj of its own keeps that.
    """
    units = {
        name: _after(snapshot.units[name], settings)
        for name, settings in wanted.items()
        if name in snapshot.units
    }
    return replace(snapshot, units=snapshot.units | units)


def _after(unit: Unit, settings: Mapping[Key, Value]) -> Unit:
    usage, properties = unit.usage, unit.properties
    if usage is not None:
        limits = {
            key: value
            for key, value in settings.items()
            if key in CGROUP_FILES and not isinstance(value, str)
        }
        memory = usage.memory._replace(settings={**usage.memory.settings, **limits})
        if Key.OOM_POLICY in settings:
            memory = memory._replace(oom_group=settings[Key.OOM_POLICY] == "kill")
        processes = usage.processes
        adj = settings.get(Key.OOM_SCORE_ADJUST)
        if isinstance(adj, int):
            before = declared_adjust(unit)
            processes = tuple(
                p._replace(oom_score_adj=adj) if (p.oom_score_adj or 0) == before else p
                for p in processes
            )
        usage = usage._replace(memory=memory, processes=processes)
    if properties is not None:
        properties = replace(properties, settings={**properties.settings, **settings})
    return replace(unit, usage=usage, properties=properties)


# --- in words -----------------------------------------------------------------------------------


def sentences(now: Snapshot, then: Snapshot) -> list[str]:
    """Return what the change does to who dies, the most important first; never empty."""
    changed = differing(now, then)
    other = instead(then.host)
    said = [f"When memory is used up, {other}."] if other else [*_order(now, then, changed)]
    said += _limits(now, then, changed)
    said += _together(now, then, changed)
    said += _fates(now, then, changed)
    said += _swaps(now, then, changed)
    first = _ranks(then)
    if not said:
        who = f": {plain(first[0], 60)} goes first" if first else ""
        said.append(f"The order of kills stays as it is{who}.")
    return said


def differing(now: Snapshot, then: Snapshot) -> list[str]:
    """Return the units that a change makes other than they are."""
    return [name for name, unit in then.units.items() if now.units.get(name) != unit]


def _ranks(snapshot: Snapshot) -> list[str]:
    """Return the units in the order in which each loses its first process."""
    return list(dict.fromkeys(candidate.unit for candidate in kill_order(snapshot)))


def _order(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[str]:
    before, later = _ranks(now), _ranks(then)
    was = {name: rank for rank, name in enumerate(before)}
    will = {name: rank for rank, name in enumerate(later)}
    told: set[frozenset[str]] = set()
    for name in changed:
        if name in was and name in will:
            yield from _overtaken(name, was, will, told)
        elif name in was:
            yield f"With this change the kernel never chooses {plain(name, 60)}."
        elif name in will:
            yield f"With this change the kernel may choose {plain(name, 60)}."
    if before and later and before[0] != later[0]:
        yield f"Next to die is then {plain(later[0], 60)}, not {plain(before[0], 60)}."


def _overtaken(
    name: str, was: Mapping[str, int], will: Mapping[str, int], told: set[frozenset[str]]
) -> Iterator[str]:
    """Say whom a unit changes places with, by the ranks now and then; each pair is told once."""
    fresh = [u for u in will if u in was and frozenset((u, name)) not in told]
    # Negative: the other is killed before this one.
    places = {u: (was[u] - was[name], will[u] - will[name]) for u in fresh}
    past = [u for u, (now, then) in places.items() if now < 0 < then]
    behind = [u for u, (now, then) in places.items() if then < 0 < now]
    told |= {frozenset((u, name)) for u in (*past, *behind)}
    if past:
        yield f"With this change {plain(name, 60)} dies before {_names(past)}."
    if behind:
        verb = "dies" if len(behind) == 1 else "die"
        yield f"With this change {_names(behind)} {verb} before {plain(name, 60)}."


def _names(units: Sequence[str]) -> str:
    named = [plain(name, 60) for name in units[:_NAMED]]
    left = len(units) - _NAMED
    if left > 0:
        return f"{', '.join(named)} and {left} more"
    return " and ".join(named)


_WITH = {
    Goes.ALONE: "",
    Goes.GROUP: ", and all of {} with it at once",
    Goes.UNIT: ", and {} ends with it",
    Goes.UNKNOWN: "",
}


def _limits(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[str]:
    for name in changed:
        unit, old = then.units[name].usage, now.units[name].usage
        if unit is None or old is None or unit.memory.max == old.memory.max:
            continue
        if isinstance(unit.memory.max, Unlimited):
            yield f"{plain(name, 60)} has no limit of its own then."
            continue
        made = predict(then, name, 1)
        if made is not None and made.never:
            yield prediction_text.title(made)
        if made is None or made.first is None:
            continue
        kill = made.first
        with_ = _WITH[kill.goes].format(plain(kill.group, 60))
        yield (
            f"At {format_size(made.limit)} in {plain(name, 60)} the kernel kills "
            f"{plain(kill.victim.name, 16)} {kill.victim.pid}{with_}."
        )


def _together(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[str]:
    """Say where more, or less, goes with a victim."""
    for name in changed:
        old, new = now.units[name].properties, then.units[name].properties
        if old is None or new is None or old.oom_policy == new.oom_policy:
            continue
        unit = plain(name, 60)
        first = next((c.pid for c in kill_order(then) if c.unit == name), None)
        if new.oom_policy == "continue" and first is not None and first == new.main_pid:
            yield f"{unit} ends in spite of OOMPolicy=continue: its main process is killed first."
            continue
        yield {
            "continue": f"When one process of {unit} is killed, the others go on.",
            "stop": f"When one process of {unit} is killed, systemd stops it whole.",
            "kill": f"When one process of {unit} is chosen, the kernel kills them all.",
        }.get(new.oom_policy or "", "")


def _fates(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[str]:
    """Say where a unit comes back otherwise."""
    for name in changed:
        old, new = now.units[name].properties, then.units[name].properties
        was, will = outlook(old) if old else None, outlook(new) if new else None
        if was is None or will is None:
            continue
        unit = plain(name, 60)
        if (before := killed_now(was)) != (later := killed_now(will)):
            yield f"If {unit} is killed: {later} after the change, {before} now."
        elif (before := at_every_start(was)) != (later := at_every_start(will)):
            yield f"If {unit} fails at every start: {later} after the change, {before} now."


def _swaps(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[str]:
    """Say where a unit may swap more, or less, or earlier."""
    for name in changed:
        old, new = now.units[name].usage, then.units[name].usage
        if old is None or new is None:
            continue
        unit, host = plain(name, 60), now.host
        before, later = (
            usable_swap(host, old.memory.swap_max),
            usable_swap(host, new.memory.swap_max),
        )
        if before != later:
            amount = f"{format_size(later)} of swap" if later else "no swap"
            ends = isinstance(new.memory.max, int) and not later
            end = ": at its limit it is killed at once" if ends else ""
            yield f"{unit} may then fill {amount}, now {format_size(before)}{end}."
        high = new.memory.high
        if high != old.memory.high and isinstance(high, int):
            yield f"Above {format_size(high)} {unit} is then slowed down, and not killed."
        elif high != old.memory.high and isinstance(old.memory.high, int):
            yield f"{unit} is then no longer slowed down above {format_size(old.memory.high)}."
