"""How far a unit is from its limit, by how it has grown; "not known" rather than a guess; pure.

The slope is the median of those between all pairs of points (Theil and Sen): a leap or two, a
restart or a hole in the record does not bend it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.quantity import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST_TIME = 60.0
"""Seconds that must have been watched."""

LEAST_POINTS = 8

STEADY = 1 << 20
"""Bytes; less growth over what was watched is none."""

STEADY_SHARE = 100
"""And less than one part in so many of what is held."""

LONGEST = 24 * 3600.0
"""Seconds; what is further away is not told from a few minutes' growth."""


class Way(StrEnum):
    """How a unit goes on."""

    GROWS = "grows"
    STEADY = "steady"
    SHRINKS = "shrinks"
    UNEVEN = "uneven"
    """Up and down: no slope is better than another."""
    UNKNOWN = "unknown"
    """Not watched for long enough."""


class Growth(NamedTuple):
    """How a unit has grown."""

    way: Way
    rate: float = 0.0
    """Bytes a second; 0 where it is not known."""


class Reach(NamedTuple):
    """How far a unit is from its limit. Bytes."""

    unit: str
    held: int
    limit: int
    growth: Growth

    @property
    def seconds(self) -> float | None:
        """Until the limit is reached at this rate; None: not in sight, or not known."""
        if self.growth.way is not Way.GROWS or self.growth.rate <= 0:
            return None
        left = max(0, self.limit - self.held) / self.growth.rate
        return left if left <= LONGEST else None


def growth(values: Sequence[int | None], step: float) -> Growth:
    """Return how values (bytes, one each ``step`` seconds, None for not known) have grown."""
    points = [(i, v) for i, v in enumerate(values) if v is not None]
    if len(points) < LEAST_POINTS:
        return Growth(Way.UNKNOWN)
    span = (points[-1][0] - points[0][0]) * step
    if span < LEAST_TIME:
        return Growth(Way.UNKNOWN)
    slopes = sorted(
        (later - earlier) / (j - i)
        for n, (i, earlier) in enumerate(points)
        for j, later in points[n + 1 :]
    )
    middle = slopes[len(slopes) // 2] / step
    low, high = slopes[len(slopes) // 4] / step, slopes[3 * len(slopes) // 4] / step
    noise = max(STEADY, points[-1][1] // STEADY_SHARE) / span
    if abs(middle) < noise and max(abs(low), abs(high)) < 2 * noise:
        return Growth(Way.STEADY, middle)
    if low > 0 and middle >= noise:
        return Growth(Way.GROWS, middle)
    if high < 0 and middle <= -noise:
        return Growth(Way.SHRINKS, middle)
    return Growth(Way.UNEVEN)


def first(reaches: Iterable[Reach]) -> Reach | None:
    """Return the unit that reaches its limit first at its present growth; None if none is seen."""
    known = [r for r in reaches if r.seconds is not None]
    return min(known, key=lambda r: (r.seconds or 0.0, r.unit), default=None)


def in_words(reach: Reach) -> str:
    """Return how far it is: ``in about 12 min, at +2.1M a min``."""
    way, rate = reach.growth
    if reach.held >= reach.limit:
        return "at its limit now"
    if way is Way.UNKNOWN:
        return "not known yet, it takes a minute"
    if way is Way.UNEVEN:
        return "not known, it goes up and down"
    if way is Way.STEADY:
        return "steady, not in sight"
    if way is Way.SHRINKS:
        return "shrinks, not in sight"
    pace = f"at +{format_size(round(rate * 60))} a min"
    if reach.seconds is None:
        return f"not within a day {pace}"
    return f"in about {about(reach.seconds)} {pace}"


def about(seconds: float) -> str:
    """Return a time span, coarse: ``40 s``, ``12 min``, ``3 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"
