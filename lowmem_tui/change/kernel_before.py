"""What the kernel had for what ran: recorded before a change, and restored after it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from lowmem_tui.change.compare import PAGE
from lowmem_tui.change.records.record import LimitBefore, LiveBefore, ScoresBefore
from lowmem_tui.change.revive import running
from lowmem_tui.change.transaction import Restore
from lowmem_tui.model.message import msg, of_limit, of_unit
from lowmem_tui.model.settings import WRITE_ORDER, same
from lowmem_tui.model.unit import CGROUP_FILES, Unlimited

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from lowmem_tui.change.records.record import Record
    from lowmem_tui.change.steps import Ports
    from lowmem_tui.model.plan import Effect, Plan
    from lowmem_tui.model.unit import UnitProperties


def live_before(plan: Plan, ports: Ports, before: Mapping[str, UnitProperties]) -> LiveBefore:
    """Return what the kernel has now for the units of a plan. OSError.

    Limits come in the order in which they are to be written: memory.high first, which pushes
    pages out where memory.max kills.
    """
    limits: list[LimitBefore] = []
    scores: list[ScoresBefore] = []
    for key in WRITE_ORDER:
        for effect in plan.effects:
            if effect.key is not key:
                continue
            unit = before[effect.unit]
            if key in CGROUP_FILES:
                limits += _limit(effect, unit, ports)
            else:
                scores += _scores(effect, unit, ports)
    return LiveBefore(tuple(limits), tuple(scores), running(before, ports.manager))


def _limit(effect: Effect, unit: UnitProperties, ports: Ports) -> Iterator[LimitBefore]:
    now = None
    if unit.control_group:
        now = ports.kernel.limit(unit.control_group, CGROUP_FILES[effect.key])
    group = unit.control_group if now is not None else ""
    loaded = unit.loaded(effect.key)
    before = now if now is not None else loaded
    if isinstance(before, int | Unlimited):
        yield LimitBefore(unit.name, effect.key, group, before)


def _scores(effect: Effect, unit: UnitProperties, ports: Ports) -> Iterator[ScoresBefore]:
    if unit.oom_score_adjust is None or not isinstance(effect.loaded, int):
        return
    found = []
    if unit.control_group:
        for pid, start in ports.kernel.processes(unit.control_group):
            score = ports.kernel.oom_score_adj(pid, start)
            if score is not None:
                found.append((pid, start, score))
    yield ScoresBefore(
        unit.name, unit.control_group, unit.oom_score_adjust, effect.loaded, tuple(found)
    )


def restoring(
    record: Record, *, same_boot: bool, others: Collection[str] = ()
) -> Iterator[Restore]:
    """Yield the steps that restore what the kernel had; systemd has been reloaded before.

    After another boot the processes are others: then it is what systemd has loaded, and so it is
    in any case for ``others``.
    """
    for limit in record.live.limits:
        here = same_boot and limit.unit not in others
        todo = msg(
            "Set {file} of {unit} to {value}.",
            file=CGROUP_FILES[limit.key],
            unit=of_unit(limit.unit),
            value=of_limit(limit.before),
        )
        yield Restore(todo, partial(_restore_limit, limit, here))
    for scores in record.live.scores:
        here = same_boot and scores.unit not in others
        todo = msg(
            "Set oom_score_adj of {unit} to {value}.",
            unit=of_unit(scores.unit),
            value=scores.before,
        )
        yield Restore(todo, partial(_restore_scores, scores, here))


def _restore_limit(limit: LimitBefore, here: bool, ports: Ports) -> None:
    unit = ports.manager.properties((limit.unit,))[limit.unit]
    before = limit.before if here else unit.loaded(limit.key)
    group = (here and limit.cgroup) or unit.control_group
    if group and isinstance(before, int | Unlimited):
        file = CGROUP_FILES[limit.key]
        has = ports.kernel.limit(group, file)
        if has is not None and not same(limit.key, has, before, PAGE):
            # It may end at any moment.
            with contextlib.suppress(FileNotFoundError):
                ports.kernel.set_limit(group, file, before)


def _restore_scores(scores: ScoresBefore, same_boot: bool, ports: Ports) -> None:
    """Restore the score of each process; those that came since get what they would have had."""
    kernel = ports.kernel
    unit = ports.manager.properties((scores.unit,))[scores.unit]
    known = {(pid, start): was for pid, start, was in scores.processes} if same_boot else {}
    came = kernel.processes(unit.control_group) if unit.control_group else ()
    for pid, start in {**known, **dict.fromkeys(came)}:
        was = known.get((pid, start), scores.before)
        if was != scores.after and kernel.oom_score_adj(pid, start) == scores.after:
            kernel.set_oom_score_adj(pid, start, was)


def catch_up(record: Record, ports: Ports) -> None:
    """Give what runs the values that systemd has loaded: it was started before they were.

    OSError, ManagerError.
    """
    now = ports.manager.properties(record.units)
    for limit in record.live.limits:
        unit = now[limit.unit]
        loaded = unit.loaded(limit.key)
        if unit.control_group and isinstance(loaded, int | Unlimited):
            with contextlib.suppress(FileNotFoundError):
                ports.kernel.set_limit(unit.control_group, CGROUP_FILES[limit.key], loaded)
    for scores in record.live.scores:
        unit = now[scores.unit]
        if not unit.control_group or unit.oom_score_adjust != scores.after:
            continue
        for pid, start in ports.kernel.processes(unit.control_group):
            if ports.kernel.oom_score_adj(pid, start) == scores.before:
                ports.kernel.set_oom_score_adj(pid, start, scores.after)
