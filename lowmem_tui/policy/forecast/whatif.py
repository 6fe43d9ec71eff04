"""The server as it would be after some changes, and what that does to the OOM kill order; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_bytes, of_limit, of_setting, of_text, of_unit, plural
from lowmem_tui.model.unit import CGROUP_FILES, Key, Unlimited
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.kills import Goes, predict
from lowmem_tui.policy.forecast.oom import declared_adjust, instead, kill_order, usable_swap
from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Effect
    from lowmem_tui.model.snapshot import Situation, Snapshot, Unit
    from lowmem_tui.model.unit import UnitProperties, Value
    from lowmem_tui.policy.forecast.kills import Kill

_NAMED = 2
"""So many other units are named in a sentence; the rest are counted."""


def changes(effects: Iterable[Effect]) -> dict[str, dict[Key, Value]]:
    """Return what a plan's effects make of each unit's settings, where that is known."""
    found: dict[str, dict[Key, Value]] = {}
    for effect in effects:
        value = effect.loaded if effect.loaded is not None else effect.key.facts.default
        found.setdefault(effect.unit, {})[effect.key] = value
    return found


def known(situation: Situation) -> Snapshot:
    """Return the snapshot of a situation with all that systemd has reported of its units."""
    snapshot = situation.snapshot
    loaded = {k.unit.name: k.unit for k in situation.units.values()}
    loaded = {name: unit for name, unit in loaded.items() if name in snapshot.units}
    return replace(snapshot, units=snapshot.units | loaded)


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


def sentences(now: Snapshot, then: Snapshot) -> list[Message]:
    """Return what the change does to the OOM kill order, most important first; never empty."""
    changed = differing(now, then)
    other = instead(then.host)
    if other is None:
        found = [*_order(now, then, changed)]
    else:
        found = [msg("When memory is used up, {what}.", what=other)]
    found += _limits(now, then, changed)
    found += _together(now, then, changed)
    found += _restarts(now, then, changed)
    found += _swaps(now, then, changed)
    return found or [_unchanged(_ranks(then))]


def _unchanged(ranks: Sequence[str]) -> Message:
    if not ranks:
        return msg("The OOM kill order does not change.")
    first = of_unit(ranks[0], 60)
    return msg("The OOM kill order does not change: {unit} is killed first.", unit=first)


def differing(now: Snapshot, then: Snapshot) -> list[str]:
    """Return the units that a change makes other than they are."""
    return [name for name, unit in then.units.items() if now.units.get(name) != unit]


def _ranks(snapshot: Snapshot) -> list[str]:
    """Return the units in the order in which each loses its first process."""
    return list(dict.fromkeys(candidate.unit for candidate in kill_order(snapshot)))


def _order(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[Message]:
    before, later = _ranks(now), _ranks(then)
    was = {name: rank for rank, name in enumerate(before)}
    will = {name: rank for rank, name in enumerate(later)}
    reported: set[frozenset[str]] = set()
    for name in changed:
        unit = of_unit(name, 60)
        if name in was and name in will:
            yield from _overtaken(name, was, will, reported)
        elif name in was:
            yield msg("With this change, the kernel never chooses {unit}.", unit=unit)
        elif name in will:
            yield msg("With this change, the kernel may choose {unit}.", unit=unit)
    if before and later and before[0] != later[0]:
        yield msg(
            "The next OOM victim is then {unit}, not {before}.",
            unit=of_unit(later[0], 60),
            before=of_unit(before[0], 60),
        )


def _overtaken(
    name: str, was: Mapping[str, int], will: Mapping[str, int], reported: set[frozenset[str]]
) -> Iterator[Message]:
    """Yield whom a unit changes places with, by the ranks now and then; each pair only once."""
    fresh = [u for u in will if u in was and frozenset((u, name)) not in reported]
    # Negative: the other is killed before this one.
    places = {u: (was[u] - was[name], will[u] - will[name]) for u in fresh}
    past = [u for u, (now, then) in places.items() if now < 0 < then]
    behind = [u for u, (now, then) in places.items() if then < 0 < now]
    reported |= {frozenset((u, name)) for u in (*past, *behind)}
    if past:
        yield _before(name, past)
    if len(behind) == 1:
        yield _before(behind[0], [name])
    elif behind:
        yield _behind(name, behind)


def _before(name: str, others: Sequence[str]) -> Message:
    """Return that a unit is killed before others."""
    unit, first = of_unit(name, 60), of_unit(others[0], 60)
    if len(others) == 1:
        return msg("With this change, {unit} is killed before {other}.", unit=unit, other=first)
    second = of_unit(others[1], 60)
    if len(others) == _NAMED:
        return msg(
            "With this change, {unit} is killed before {first} and {second}.",
            unit=unit,
            first=first,
            second=second,
        )
    return plural(
        "With this change, {unit} is killed before {first}, {second} and {n} more.",
        "With this change, {unit} is killed before {first}, {second} and {n} more.",
        len(others) - _NAMED,
        unit=unit,
        first=first,
        second=second,
    )


def _behind(name: str, others: Sequence[str]) -> Message:
    """Return that several others are killed before a unit."""
    unit, first, second = of_unit(name, 60), of_unit(others[0], 60), of_unit(others[1], 60)
    if len(others) == _NAMED:
        return msg(
            "With this change, {first} and {second} are killed before {unit}.",
            unit=unit,
            first=first,
            second=second,
        )
    return plural(
        "With this change, {first}, {second} and {n} more are killed before {unit}.",
        "With this change, {first}, {second} and {n} more are killed before {unit}.",
        len(others) - _NAMED,
        unit=unit,
        first=first,
        second=second,
    )


def _limits(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[Message]:
    for name in changed:
        unit, old = then.units[name].usage, now.units[name].usage
        if unit is None or old is None or unit.memory.max == old.memory.max:
            continue
        if isinstance(unit.memory.max, Unlimited):
            yield msg("{unit} then has no MemoryMax of its own.", unit=of_unit(name, 60))
            continue
        made = predict(then, name, 1)
        if made is not None and made.never:
            yield prediction_text.title(made)
        if made is not None and made.first is not None:
            yield _at_the_limit(name, made.limit, made.first)


def _at_the_limit(name: str, limit: int, kill: Kill) -> Message:
    unit, reached, pid = of_unit(name, 60), of_limit(limit), kill.victim.pid
    process, group = of_text(kill.victim.name, 16), of_unit(kill.group, 60)
    if kill.goes is Goes.GROUP:
        return msg(
            "When {unit} reaches {limit}, the kernel kills {process} ({pid}), and all processes of "
            "{group} at once.",
            unit=unit,
            limit=reached,
            process=process,
            pid=pid,
            group=group,
        )
    if kill.goes is Goes.UNIT:
        return msg(
            "When {unit} reaches {limit}, the kernel kills {process} ({pid}), and {group} ends.",
            unit=unit,
            limit=reached,
            process=process,
            pid=pid,
            group=group,
        )
    return msg(
        "When {unit} reaches {limit}, the kernel kills {process} ({pid}).",
        unit=unit,
        limit=reached,
        process=process,
        pid=pid,
    )


def _together(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[Message]:
    """Yield where more, or less, ends with a victim."""
    for name in changed:
        old, new = now.units[name].properties, then.units[name].properties
        if old is None or new is None or old.oom_policy == new.oom_policy:
            continue
        first = next((c.pid for c in kill_order(then) if c.unit == name), None)
        if (found := _with_one(new, first)) is not None:
            yield found


def _with_one(unit: UnitProperties, first: int | None) -> Message | None:
    """Return what happens to a unit of which one process is killed, by its OOMPolicy."""
    name = of_unit(unit.name, 60)
    if unit.oom_policy == "continue" and first is not None and first == unit.main_pid:
        return msg(
            "{unit} ends in spite of {setting}, because its main process is killed first.",
            unit=name,
            setting=of_setting("OOMPolicy", "continue"),
        )
    if unit.oom_policy == "continue":
        return msg("When one process of {unit} is killed, the others keep running.", unit=name)
    if unit.oom_policy == "stop":
        return msg("When one process of {unit} is killed, systemd stops the whole unit.", unit=name)
    if unit.oom_policy == "kill":
        return msg("When one process of {unit} is chosen, the kernel kills them all.", unit=name)
    return None


def _restarts(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[Message]:
    """Yield where something else happens to a unit after a kill, or after failed starts."""
    for name in changed:
        old, new = now.units[name].properties, then.units[name].properties
        was, will = outlook(old) if old else None, outlook(new) if new else None
        if was is None or will is None:
            continue
        unit = of_unit(name, 60)
        if (before := killed_now(was)) != (later := killed_now(will)):
            yield msg(
                "If {unit} is killed, now: {before}; after the change: {later}.",
                unit=unit,
                later=later,
                before=before,
            )
        elif (before := at_every_start(was)) != (later := at_every_start(will)):
            yield msg(
                "If {unit} fails at every start, now: {before}; after the change: {later}.",
                unit=unit,
                later=later,
                before=before,
            )


def _swaps(now: Snapshot, then: Snapshot, changed: Sequence[str]) -> Iterator[Message]:
    """Yield where a unit may use more swap, or less, or is throttled at another size."""
    for name in changed:
        old, new = now.units[name].usage, then.units[name].usage
        if old is None or new is None:
            continue
        unit, host = of_unit(name, 60), now.host
        before = usable_swap(host, old.memory.swap_max)
        later = usable_swap(host, new.memory.swap_max)
        if before != later:
            ends = isinstance(new.memory.max, int)
            yield _swap(name, before, later, ends=ends)
        high = new.memory.high
        if high != old.memory.high and isinstance(high, int):
            yield msg(
                "Above {high} {unit} is then throttled, not killed.", high=of_limit(high), unit=unit
            )
        elif high != old.memory.high and isinstance(old.memory.high, int):
            yield msg(
                "{unit} is then no longer throttled above {high}.",
                unit=unit,
                high=of_limit(old.memory.high),
            )


def _swap(name: str, before: int, later: int, *, ends: bool) -> Message:
    """Return how much swap a unit may use; ``ends``: it has a limit, at which it is killed."""
    unit, now = of_unit(name, 60), of_bytes(before)
    if later:
        size = of_bytes(later)
        return msg(
            "{unit} may then use {size} of swap; now it may use {before}.",
            unit=unit,
            size=size,
            before=now,
        )
    if ends:
        return msg(
            "{unit} may then use no swap; now it may use {before}. At its limit it is then "
            "killed at once.",
            unit=unit,
            before=now,
        )
    return msg("{unit} may then use no swap; now it may use {before}.", unit=unit, before=now)
