"""What a trial may have done to the units so far, and what ending it now would do; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_unit, plural, sentences
from lowmem_tui.model.unit import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Effect
    from lowmem_tui.model.snapshot import Snapshot


def counts(snapshot: Snapshot, kills: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the kills (as counted) and the restarts of each unit."""
    for name, unit in snapshot.units.items():
        # A slice counts the kills of all its units again.
        if not name.endswith(".slice"):
            restarts = (unit.properties.n_restarts or 0) if unit.properties else 0
            yield name, (kills.get(name, 0), restarts)


def harm(
    snapshot: Snapshot,
    trial: Trial,
    effects: Sequence[Effect],
    before: Mapping[str, tuple[int, int]],
    now: Mapping[str, tuple[int, int]],
    *,
    over: bool,
) -> Iterator[Message | str]:
    """Yield what it may have killed since a trial began, or ended; which of its units are down.

    ``before`` and ``now`` are kills and restarts, as ``counts`` gives them; ``over``: whether the
    trial has ended.
    """
    from lowmem_tui.policy.incidents.blame import may_have_killed

    for name, both in now.items():
        earlier = before.get(name, both)
        kills, restarts = both[0] - earlier[0], both[1] - earlier[1]
        unit = snapshot.units[name]
        down = bool(unit.properties and unit.properties.active_state == "failed")
        what: Message | None = None
        if kills > 0 and may_have_killed(snapshot, name, trial.units, effects):
            what = _killed(name, kills, over=over)
        elif restarts > 0 and name in trial.units:
            what = _started_again(name, over=over)
        if down and what:
            yield sentences(msg("{unit} is down.", unit=of_unit(name)), what)
        elif down and name in trial.units:
            from lowmem_tui.policy.forecast.gains import is_down

            yield is_down(name)
        elif what:
            yield what


def _killed(unit: str, count: int, *, over: bool) -> Message:
    # A group that goes takes its counter along: there may be more.
    if over:
        return plural(
            "{unit} was killed at least once since the trial ended.",
            "{unit} was killed at least {n} times since the trial ended.",
            count,
            unit=of_unit(unit),
        )
    return plural(
        "{unit} was killed at least once since the trial began.",
        "{unit} was killed at least {n} times since the trial began.",
        count,
        unit=of_unit(unit),
    )


def _started_again(unit: str, *, over: bool) -> Message:
    if over:
        return msg("{unit} has ended and was restarted since the trial ended.", unit=of_unit(unit))
    return msg("{unit} has ended and was restarted since the trial began.", unit=of_unit(unit))


def danger(snapshot: Snapshot, effects: Sequence[Effect]) -> Iterator[Message | str]:
    """Yield what is killed, or may be, if a trial with these effects is rolled back now."""
    limits = [e for e in effects if e.key is Key.MEMORY_MAX]
    if limits:
        from lowmem_tui.policy.forecast.gains import below_use

        yield from filter(None, (below_use(snapshot, effect) for effect in limits))
