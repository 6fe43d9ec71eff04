"""Overcommitted limits: which ones to lower, and to what; pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_limit,
    of_list,
    of_text,
    of_unit,
    sentences,
)
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy.budget import above_high, budget, held, in_words, need, swap_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Limit
    from lowmem_tui.policy.budget import Budget

_STEP = 10 << 20
"""Figures are in tens of MiB."""

_SPARE = 1.1
"""A limit is not lowered below so many times what the unit has needed."""


def _mega(size: int) -> Value:
    return of_text(f"{size >> 20}M")


class Lower(NamedTuple):
    """A limit, and what it should be lowered to. Bytes."""

    unit: str
    limit: int
    to: int
    transient: bool
    """Whether no drop-in can be written for it: whoever made it has to."""
    needed: int = 0
    """What it has needed, where that is more than ``to``: it swaps beyond ``to``."""

    @property
    def words(self) -> Message:
        """The unit, and its limit before and afterwards: a phrase."""
        unit, limit, to = of_unit(self.unit, 60), of_bytes(self.limit), _mega(self.to)
        if self.needed:
            return msg(
                "{unit} from {limit} to {to} (it has needed {needed}, and swaps beyond {to})",
                unit=unit,
                limit=limit,
                to=to,
                needed=of_bytes(self.needed),
            )
        return msg("{unit} from {limit} to {to}", unit=unit, limit=limit, to=to)


class Overcommitted(NamedTuple):
    """Limits and reserve that are more than RAM together."""

    budget: Budget
    lower: tuple[Lower, ...]
    """The fewest that it takes; all that can be lowered where even that is not enough."""
    missing: int
    """Bytes that are overcommitted even then."""

    @property
    def sentences(self) -> Message:
        """What it is, and which limit to lower to what."""
        words = msg("Overcommitted: {what}", what=in_words(self.budget))
        return sentences(words, *self._advice())

    def _advice(self) -> Iterator[Message]:
        if self.lower:
            units = of_list(one.words for one in self.lower)
            yield msg("Lower MemoryMax of {units}.", units=units)
        if not self.missing:
            return
        missing, largest = of_bytes(self.missing), self.budget.parts[0]
        if self.lower:
            yield msg(
                "The units use too much to lower the limits further: {missing} too much remains.",
                missing=missing,
            )
        else:
            yield msg(
                "The units use too much to lower the limits: there is {missing} too much.",
                missing=missing,
            )
        yield msg(
            "Reduce the load of these units ({unit} may use {limit}), or add RAM to the server.",
            unit=of_unit(largest.unit, 60),
            limit=of_limit(largest.allowed),
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
    """Return by how much limits are overcommitted, ``staged`` MemoryMax included; None if not."""
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
