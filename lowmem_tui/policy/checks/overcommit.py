"""More promised than there is: which limits to lower, and to what; pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy.budget import above_high, budget, held, in_words, need, swap_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Limit
    from lowmem_tui.policy.budget import Budget

_STEP = 10 << 20
"""Figures are in tens of MiB."""

_SPARE = 1.1
"""A limit is not lowered below so many times what the unit has needed."""


class Lower(NamedTuple):
    """A limit, and what it should be lowered to. Bytes."""

    unit: str
    limit: int
    to: int
    transient: bool
    """Whether no drop-in can be written for it: whoever made it has to."""
    needed: int = 0
    """What it has needed, where that is more than ``to``: it swaps beyond that."""

    @property
    def told(self) -> str:
        """It in words."""
        swaps = f" (it has needed {format_size(self.needed)}, and swaps beyond)"
        return (
            f"{plain(self.unit, 60)} from {format_size(self.limit)} to {self.to >> 20}M"
            f"{swaps if self.needed else ''}"
        )


class Overcommitted(NamedTuple):
    """Limits and reserve that are more than RAM together."""

    budget: Budget
    lower: tuple[Lower, ...]
    """The fewest that it takes; all that can be lowered where even that is not enough."""
    missing: int
    """Bytes that are promised too much even then."""

    @property
    def sentences(self) -> str:
        """What it is, and which limit to lower to what."""
        words = in_words(self.budget)
        return f"Overcommitted: {words} {' '.join(self._advice())}"

    def _advice(self) -> Iterator[str]:
        if self.lower:
            yield f"Lower MemoryMax of {', of '.join(one.told for one in self.lower)}."
        if self.missing:
            then = "that leaves" if self.lower else "there are"
            largest = self.budget.parts[0]
            yield (
                f"What these units hold takes the rest: {then} {format_size(self.missing)} too "
                f"much. Give them less to do ({plain(largest.unit, 60)} may have "
                f"{format_size(largest.allowed)}), or the server more RAM."
            )

    @property
    def commands(self) -> tuple[str, ...]:
        """What lowers them."""
        ours = [one for one in self.lower if not one.transient]
        sets = " ".join(
            f"--set {shlex.quote(f'{one.unit}:MemoryMax={one.to >> 20}M')}" for one in ours
        )
        made = (f"sudo lowmem-tui apply {sets}",) if ours else ()
        by_hand = tuple(
            f"{plain(one.unit, 80)} was made by a program: limit it there to {one.to >> 20}M."
            for one in self.lower
            if one.transient
        )
        return (*made, *by_hand)


def overcommitted(
    snapshot: Snapshot,
    staged: Mapping[str, Limit] | None = None,
    swaps: Mapping[str, Limit] | None = None,
) -> Overcommitted | None:
    """Return what is promised too much, with ``staged`` MemoryMax in force; None where all fits."""
    found = budget(snapshot, staged, swaps)
    over = -found.free
    if over <= 0 or not found.parts:
        return None
    lower: dict[str, Lower] = {}
    # First what nobody has needed; then what would swap, as long as it holds less.
    for swaps_beyond in (False, True):
        can = [
            one
            for part in found.parts
            if (one := _least(snapshot, part.unit, part.allowed, swaps=swaps_beyond))
        ]
        can.sort(key=lambda one: (one.transient, one.to - one.limit, one.unit))
        for one in can:
            now = lower[one.unit].to if one.unit in lower else one.limit
            # Down to what is just enough, in whole steps.
            to = max(one.to, (now - over) // _STEP * _STEP)
            if over <= 0 or to >= now:
                continue
            lower[one.unit] = one._replace(to=to)
            over -= now - to
    return Overcommitted(found, tuple(lower.values()), max(0, over))


def _least(snapshot: Snapshot, name: str, limit: int, *, swaps: bool) -> Lower | None:
    """Return how low a limit may go; None where it is there already.

    ``swaps``: down to what it holds, where there is swap for what it needs beyond.
    """
    unit = snapshot.units[name]
    needed = _SPARE * need(unit)
    if swaps:
        needed = held(unit) if swap_of(snapshot, unit) else needed
    least = max(_STEP, -(-int(needed) // _STEP) * _STEP, above_high(unit))
    if least >= limit:
        return None
    properties = unit.properties
    transient = (properties is not None and properties.transient) or not is_unit_name(name)
    return Lower(name, limit, least, transient, need(unit) if swaps else 0)
