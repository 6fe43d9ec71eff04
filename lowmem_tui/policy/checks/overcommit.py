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
from lowmem_tui.policy.budget import budget, held, in_words, least_limit, swap_of, what_helps
from lowmem_tui.policy.checks.cases import workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.unit import Limit
    from lowmem_tui.policy.budget import Budget

_STEP = 10 << 20
"""Figures are in tens of MiB."""


_HOUR = 3600.0
"""Seconds after which a unit's peak tells what it needs."""
_USER_HZ = 100
"""Clock ticks a second of /proc/PID/stat (proc(5)), on every machine that Debian runs on."""


def _mega(size: int) -> Value:
    return of_text(f"{size >> 20}M")


class Lower(NamedTuple):
    """A limit, and what it should be lowered to. Bytes."""

    unit: str
    limit: int
    to: int
    transient: bool
    """Whether no drop-in can be written for it: whoever made it has to."""

    @property
    def words(self) -> Message:
        """The unit, and its limit before and afterwards: a phrase."""
        unit, limit, to = of_unit(self.unit, 60), of_bytes(self.limit), _mega(self.to)
        return msg("{unit} from {limit} to {to}", unit=unit, limit=limit, to=to)


class Overcommitted(NamedTuple):
    """Limits and reserve that are more than RAM together."""

    budget: Budget
    lower: tuple[Lower, ...]
    """The fewest that it takes; all that can be lowered where even that is not enough."""
    missing: int
    """Bytes that are overcommitted even then."""
    helps: Message | None = None
    """What helps against those, a sentence."""
    restarted: tuple[str, ...] = ()
    """Units that were started within the last hour: what they need is not known yet."""

    @property
    def sentences(self) -> Message:
        """What it is, and which limit to lower to what."""
        words = msg("Overcommitted: {what}", what=in_words(self.budget))
        return sentences(words, *self._advice())

    def _advice(self) -> Iterator[Message]:
        if self.lower:
            units = of_list(one.words for one in self.lower)
            yield msg("Lower MemoryMax of {units}.", units=units)
        if self.restarted:
            yield msg(
                "Started less than an hour ago, so what they need is not known yet: {units}. Run "
                "`lowmem-tui check` again in an hour to see whether their MemoryMax can be "
                "lowered.",
                units=of_list(of_unit(unit, 60) for unit in self.restarted),
            )
        if not self.missing:
            return
        missing, largest = of_bytes(self.missing), self.budget.parts[0]
        if self.lower:
            yield msg(
                "A lower limit would be below what its unit needs: {missing} too much remains.",
                missing=missing,
            )
        else:
            yield msg(
                "No limit can be lowered, it would be below what its unit needs: there is "
                "{missing} too much.",
                missing=missing,
            )
        yield msg(
            "{unit} has the largest limit, {limit}.",
            unit=of_unit(largest.unit, 60),
            limit=of_limit(largest.allowed),
        )
        if self.helps is not None:
            yield self.helps

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
    needs: Mapping[str, int] | None = None,
) -> Overcommitted | None:
    """Return by how much limits are overcommitted, ``staged`` MemoryMax included; None if not.

    ``needs`` are bytes that units may use by their own configuration: no limit is lowered below
    them, nor below what its unit has needed.
    """
    found = budget(snapshot, staged, swaps)
    over = -found.free
    if over <= 0 or not found.parts:
        return None
    restarted = tuple(
        part.unit for part in found.parts if _restarted(snapshot, snapshot.units[part.unit])
    )
    can = [
        one
        for part in found.parts
        if part.unit not in restarted
        if (one := _least(snapshot, part.unit, part.allowed, (needs or {}).get(part.unit, 0)))
    ]
    can.sort(key=lambda one: (one.transient, one.to - one.limit, one.unit))
    lower: list[Lower] = []
    for one in can:
        if over > 0:
            # Down to what is just enough, in whole steps.
            to = max(one.to, (one.limit - over) // _STEP * _STEP)
            lower.append(one._replace(to=to))
            over -= one.limit - to
    unknown = restarted if over > 0 else ()
    return Overcommitted(found, tuple(lower), max(0, over), what_helps(snapshot), unknown)


def _restarted(snapshot: Snapshot, unit: Unit) -> bool:
    """Return whether a unit is younger than an hour, and the machine is not.

    Its new control group does not know what the one before had needed (memory.peak).
    """
    uptime = snapshot.host.uptime
    processes = unit.usage.processes if unit.usage else ()
    if uptime is None or uptime < _HOUR or not processes:
        return False
    return uptime - min(process.start for process in processes) / _USER_HZ < _HOUR


def _least(snapshot: Snapshot, name: str, limit: int, whole: int) -> Lower | None:
    """Return how low a limit may go; None where it is there already."""
    unit = snapshot.units[name]
    least = max(_STEP, least_limit(unit, whole))
    if not swap_of(snapshot, unit):
        # A worker is started before the one that it replaces ends.
        least = max(least, -(-(held(unit) + _largest_worker(unit)) // _STEP) * _STEP)
    if least >= limit:
        return None
    properties = unit.properties
    transient = (properties is not None and properties.transient) or not is_unit_name(name)
    return Lower(name, limit, least, transient)


def _largest_worker(unit: Unit) -> int:
    return max((process.rss for process in workers_of(unit)), default=0)
