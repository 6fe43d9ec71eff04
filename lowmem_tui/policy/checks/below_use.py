"""A limit below what a unit holds: why it is refused, and the way to it on this server; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size, render_limit
from lowmem_tui.model.settings import render_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, UnitType, unit_type
from lowmem_tui.policy import budget, dropin
from lowmem_tui.policy.checks.cases import goes_into_swap, swap_left, unreclaimable
from lowmem_tui.policy.checks.preflight import LEAST_LIMIT
from lowmem_tui.policy.checks.unkillable import stalls
from lowmem_tui.policy.forecast.oom import members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.plan import Notice
    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.policy.checks.cases import EditCase

_APPLY = "sudo lowmem-tui apply"
_STEP = 10 << 20
_MOST_STOPPED = 6
"""So many units are named in one command at the most."""


def below_use(case: EditCase) -> Notice | None:
    """Refuse a MemoryMax that kills at once, and name the commands that lead to it here."""
    held = unreclaimable(case.unit)
    if case.key is not Key.MEMORY_MAX or case.limit is None or held is None:
        return None
    if case.limit >= held or case.limit < LEAST_LIMIT or case.unit.at_restart:
        return None
    if stalls(case) is not None:
        return None  # nobody is killed there at all
    some = swap_left(case.unit, case.beside.get(Key.MEMORY_SWAP_MAX))
    then = "what does not fit into swap is killed" if some else "it is killed"
    return case.notice(
        "memory-max-below-use",
        f"{case.unit.name} holds {format_size(held)} that cannot be written back to files, more "
        f"than {render_limit(case.limit)}: {then} at once. {' '.join(_route(case, held))}",
        forceable=True,
    )


def _route(case: EditCase, held: int) -> Iterator[str]:
    """Yield sentences: the way to this limit, in at most three commands."""
    limit, unit = case.limit or 0, case.unit.name
    sets, kind = _sets(case), unit_type(unit)
    # The same plan may deny it its swap.
    most = case.beside.get(Key.MEMORY_SWAP_MAX)
    if goes_into_swap(case.unit, held - limit, most):
        high = f"--set '{unit}:MemoryHigh={render_limit(limit)}'"
        if Key.MEMORY_HIGH not in case.beside:
            ours = case.unit.known.drop_in
            before = dropin.ours(ours.text or "").get(Key.MEMORY_HIGH, "") if ours else ""
            sets += f" --set '{unit}:MemoryHigh={before}'"
        yield (
            f"Set MemoryHigh first, and it swaps instead: `{_APPLY} {high}`; wait until it holds "
            f"{render_limit(limit)} at the most, then `{_APPLY} {sets}`."
        )
    elif kind is UnitType.SERVICE:
        yield (
            f"Swap cannot take the rest, so restart it within the limit: `{_APPLY} --at-restart "
            f"{sets}`, then `sudo systemctl restart '{unit}'`. If it needs more again it is killed "
            "at the limit then."
        )
    elif kind is UnitType.SLICE and (stopped := _largest(case, held - limit * 3 // 4)):
        names = " ".join(f"'{plain(each.name, 253)}'" for each in stopped)
        yield (
            f"Swap cannot take the rest, so restart what holds the most: `sudo systemctl stop "
            f"{names}`, `{_APPLY} {sets}`, `sudo systemctl start {names}`. What needs more again "
            "is killed at the limit then."
        )
    else:
        yield "Swap cannot take the rest, and nothing in it can be started again within the limit."
    yield f"Or allow what it holds: '{unit}:MemoryMax={-(-held // _STEP) * 10}M'."


def _sets(case: EditCase) -> str:
    """Return the options that ask for what this plan asks of the unit."""
    unit, limit = case.unit.name, case.limit or 0
    wished = {Key.MEMORY_MAX: "" if case.dropped else render_limit(limit)}
    wished |= {k: render_value(k, v) for k, v in case.beside.items() if k is not Key.MEMORY_MAX}
    return " ".join(f"--set '{unit}:{key}={value}'" for key, value in wished.items())


def _largest(case: EditCase, excess: int) -> list[Unit]:
    """Return the services of a slice that hold so much together; none where that is not enough.

    More than is over the limit: what goes on running may grow meanwhile.
    """
    inside = [
        each
        for each in members(case.unit.situation.snapshot, case.unit.known.unit)
        if unit_type(each.name) is UnitType.SERVICE and budget.held(each)
    ]
    inside.sort(key=lambda each: (-budget.held(each), each.name))
    found: list[Unit] = []
    for each in inside[:_MOST_STOPPED]:
        found.append(each)
        excess -= budget.held(each)
        if excess <= 0:
            return found
    return []
