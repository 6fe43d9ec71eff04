"""A limit below what a unit holds: why it is refused, and the way to it on this server; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_command,
    of_limit,
    of_setting,
    of_unit,
    sentences,
)
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

    from lowmem_tui.model.message import Message
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
    unit, used, most = of_unit(case.unit.name), of_bytes(held), of_limit(case.limit)
    text = msg(
        "{unit} uses {held} that only swap can reclaim (anonymous memory and shmem), more than "
        "{limit}: it is killed at once.",
        unit=unit,
        held=used,
        limit=most,
    )
    if swap_left(case.unit, case.beside.get(Key.MEMORY_SWAP_MAX)):
        text = msg(
            "{unit} uses {held} that only swap can reclaim (anonymous memory and shmem), more than "
            "{limit}: what does not fit into swap is killed at once.",
            unit=unit,
            held=used,
            limit=most,
        )
    return case.notice("memory-max-below-use", sentences(text, *_route(case, held)), forceable=True)


def _route(case: EditCase, held: int) -> Iterator[Message]:
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
        yield msg(
            "Set MemoryHigh first, and it swaps instead: `{first}`; wait until it uses at most "
            "{limit}, then `{then}`.",
            first=of_command(f"{_APPLY} {high}"),
            limit=of_limit(limit),
            then=of_command(f"{_APPLY} {sets}"),
        )
    elif kind is UnitType.SERVICE:
        yield msg(
            "Swap cannot take the rest, so restart it within the limit: `{apply}`, then "
            "`{restart}`. If it needs more again, it is killed at the limit then.",
            apply=of_command(f"{_APPLY} --at-restart {sets}"),
            restart=of_command(f"sudo systemctl restart '{unit}'"),
        )
    elif kind is UnitType.SLICE and (stopped := _largest(case, held - limit * 3 // 4)):
        names = " ".join(f"'{plain(each.name, 253)}'" for each in stopped)
        yield msg(
            "Swap cannot take the rest, so restart what uses the most: `{stop}`, `{apply}`, "
            "`{start}`. What needs more again is killed at the limit then.",
            stop=of_command(f"sudo systemctl stop {names}"),
            apply=of_command(f"{_APPLY} {sets}"),
            start=of_command(f"sudo systemctl start {names}"),
        )
    else:
        yield msg("Swap cannot take the rest, and nothing in it can be restarted within the limit.")
    yield msg(
        "Or allow what it uses now: '{setting}'.",
        setting=of_setting(f"{unit}:MemoryMax", f"{-(-held // _STEP) * 10}M"),
    )


def _sets(case: EditCase) -> str:
    """Return the options that request what this plan sets on the unit."""
    unit, limit = case.unit.name, case.limit or 0
    asked = {Key.MEMORY_MAX: "" if case.dropped else render_limit(limit)}
    asked |= {k: render_value(k, v) for k, v in case.beside.items() if k is not Key.MEMORY_MAX}
    return " ".join(f"--set '{unit}:{key}={value}'" for key, value in asked.items())


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
