"""How far a unit is from its limit, by how it has grown; "unknown" rather than a guess; pure.

The slope is the median of those between all pairs of points (Theil and Sen): a spike or a hole in
the record does not bend it. What the last third of the time does not confirm is not reported: a
growth that has ended, a single leap.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_bytes, of_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.model.message import Message, Value

LEAST_TIME = 60.0
"""Seconds that must have been watched."""

LEAST_POINTS = 8

STEADY = 1 << 20
"""Bytes; less growth over what was watched is none."""

STEADY_SHARE = 100
"""And less than one part in so many of what is held."""

AGREES = 2.0
"""The rate of the last third may be so many times the whole one's, or the whole one its."""

FULL = 95
"""Per cent of a limit from which on what is pinned can only go to swap: the rest are the kernel's
own pages and the files being read."""

LONGEST = 24 * 3600.0
"""Seconds; what is further away cannot be predicted from a few minutes' growth."""


class Way(StrEnum):
    """How a unit goes on."""

    GROWS = "grows"
    STEADY = "steady"
    SHRINKS = "shrinks"
    UNEVEN = "uneven"
    """Up and down, or no longer as before: no slope is better than another."""
    UNKNOWN = "unknown"
    """Not watched for long enough."""


class Growth(NamedTuple):
    """How a unit has grown."""

    way: Way
    rate: float = 0.0
    """Bytes a second; 0 where it is unknown."""


class Reach(NamedTuple):
    """How far a unit is from its limit. Bytes."""

    unit: str
    held: int
    """Anonymous memory and shmem in RAM: only swap can reclaim it."""
    limit: int
    growth: Growth
    """Of that and its swap together."""
    spare: int = 0
    """What it can still push out to swap at its limit."""
    never: Message | None = None
    """Why the limit is never reached, a clause; None if it may be."""

    @property
    def swaps(self) -> bool:
        """Whether it is at its limit and lives on swap: the next end is that of the swap."""
        return self.spare > 0 and self.held * 100 >= self.limit * FULL

    @property
    def seconds(self) -> float | None:
        """Until the limit, or where it swaps the kill; None: more than a day, or unknown."""
        if self.never or self.growth.way is not Way.GROWS or self.growth.rate <= 0:
            return None
        room = max(0, self.limit - self.held) + (self.spare if self.swaps else 0)
        left = room / self.growth.rate
        return left if left <= LONGEST else None


def growth(values: Sequence[int | None], step: float) -> Growth:
    """Return how values (bytes, one each ``step`` seconds, None for not known) have grown."""
    points = [(i, v) for i, v in enumerate(values) if v is not None]
    if len(points) < LEAST_POINTS:
        return Growth(Way.UNKNOWN)
    span = (points[-1][0] - points[0][0]) * step
    if span < LEAST_TIME:
        return Growth(Way.UNKNOWN)
    slopes = _slopes(points, step)
    low, middle, high = (slopes[len(slopes) * part // 4] for part in (1, 2, 3))
    latest = [p for p in points if (points[-1][0] - p[0]) * step <= span / 3]
    pace = _slopes(latest, step)
    agrees = bool(pace and middle) and 1 / AGREES <= pace[len(pace) // 2] / middle <= AGREES
    least = max(STEADY, points[-1][1] // STEADY_SHARE)
    noise = least / span
    rests = abs(latest[-1][1] - latest[0][1]) < 2 * least
    if rests and abs(middle) < noise and max(abs(low), abs(high)) < 2 * noise:
        return Growth(Way.STEADY, middle)
    if low > 0 and middle >= noise and agrees:
        return Growth(Way.GROWS, middle)
    if high < 0 and middle <= -noise and agrees:
        return Growth(Way.SHRINKS, middle)
    return Growth(Way.UNEVEN)


def _slopes(points: Sequence[tuple[int, int]], step: float) -> list[float]:
    """Return the slopes between all pairs, bytes a second, the least first."""
    return sorted(
        (later - earlier) / ((j - i) * step)
        for n, (i, earlier) in enumerate(points)
        for j, later in points[n + 1 :]
    )


def first(reaches: Iterable[Reach]) -> Reach | None:
    """Return the unit that reaches its limit first at its present growth; None if none is seen."""
    known = [r for r in reaches if r.seconds is not None]
    return min(known, key=lambda r: (r.seconds or 0.0, r.unit), default=None)


def in_words(reach: Reach) -> Message:
    """Return when the limit is reached, a phrase: ``in about 12min at +2.1M/min``."""
    if reach.never:
        return msg("never reached: {why}", why=reach.never)
    if reach.swaps:
        return _swapping(reach)
    return msg("at its limit now") if reach.held >= reach.limit else _pace(reach)


def _pace(reach: Reach) -> Message:
    way, rate = reach.growth
    if way is Way.UNKNOWN:
        return msg("unknown (needs one minute of data)")
    if way is Way.UNEVEN:
        return msg("unknown (irregular growth)")
    if way is Way.STEADY:
        return msg("stable")
    if way is Way.SHRINKS:
        return msg("shrinking")
    if reach.seconds is None:
        return msg("not within a day at +{rate}/min", rate=_a_minute(rate))
    return msg("in about {time} at +{rate}/min", time=about(reach.seconds), rate=_a_minute(rate))


def _swapping(reach: Reach) -> Message:
    """Return when a unit that is at its limit, and swaps, is killed."""
    way, rate = reach.growth
    if way is Way.UNKNOWN:
        return msg("at its limit, swaps; killed: unknown (needs one minute of data)")
    if way is Way.UNEVEN:
        return msg("at its limit, swaps; killed: unknown (irregular growth)")
    if way is Way.STEADY:
        return msg("at its limit, swaps; stable")
    if way is Way.SHRINKS:
        return msg("at its limit, swaps; shrinking")
    if reach.seconds is None:
        return msg(
            "at its limit, swaps; not killed within a day at +{rate}/min", rate=_a_minute(rate)
        )
    return msg(
        "at its limit, swaps; killed in about {time} at +{rate}/min",
        time=about(reach.seconds),
        rate=_a_minute(rate),
    )


def _a_minute(rate: float) -> Value:
    return of_bytes(round(rate * 60))


def about(seconds: float) -> Value:
    """Return a time span, coarse: ``40s``, ``12min``, ``3h``."""
    if seconds < 90:
        return of_span(max(1, round(seconds)) * 1_000_000)
    if seconds < 90 * 60:
        return of_span(round(seconds / 60) * 60_000_000)
    return of_span(round(seconds / 3600) * 3600_000_000)
