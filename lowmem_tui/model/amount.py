"""Sizes, limits and time spans as text: systemd's syntax, and short forms for columns.

The other way, from text to numbers, is `model.quantity`.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias


class Unlimited(Enum):
    """The value ``infinity`` of a limit, apart from ``None``, which is "not known"."""

    INFINITY = "infinity"

    def __str__(self) -> str:
        return self.value


INFINITY = Unlimited.INFINITY

Limit: TypeAlias = int | Unlimited
"""Bytes, or infinity."""

UNKNOWN = "?"
NONE = "—"

SIZE_SUFFIXES = "EPTGMKB"

_SEC = 1_000_000
SPAN_UNITS = {
    **dict.fromkeys(("usec", "us", "µs", "μs"), 1),
    **dict.fromkeys(("msec", "ms"), 1000),
    **dict.fromkeys(("seconds", "second", "sec", "s"), _SEC),
    **dict.fromkeys(("minutes", "minute", "min", "m"), 60 * _SEC),
    **dict.fromkeys(("hours", "hour", "hr", "h"), 3600 * _SEC),
    **dict.fromkeys(("days", "day", "d"), 86400 * _SEC),
    **dict.fromkeys(("weeks", "week", "w"), 7 * 86400 * _SEC),
    **dict.fromkeys(("months", "month", "M"), 2629800 * _SEC),
    **dict.fromkeys(("years", "year", "y"), 31557600 * _SEC),
}
_SPAN_SHOWN = tuple(
    (name, SPAN_UNITS[name]) for name in ("y", "month", "w", "d", "h", "min", "s", "ms", "us")
)


def render_limit(limit: Limit) -> str:
    """Return the limit in systemd's syntax, exact, with the largest suffix that divides it."""
    if isinstance(limit, Unlimited):
        return str(limit)
    if limit:
        for rank, suffix in enumerate(SIZE_SUFFIXES[:-1]):
            if limit % suffix_factor(rank) == 0:
                return f"{limit // suffix_factor(rank)}{suffix}"
    return str(limit)


def format_size(size: int | None) -> str:
    """Return a size in at most 5 characters for a column: ``8.1M``, ``412M``, ``—`` for None.

    Rounded; ``render_limit`` is the exact one.
    """
    if size is None:
        return NONE
    if size < 1024:
        return f"{size}B" if size else "0"
    value = float(size)
    for suffix in "KMGTPE":
        value /= 1024
        if value < 99.95:
            return f"{value:.1f}".removesuffix(".0") + suffix
        if value < 1023.5:
            return f"{value:.0f}{suffix}"
    return f"{value:.0f}E"


def format_limit(limit: Limit | None) -> str:
    """Return a limit in at most 5 characters: ``—`` for no limit, ``?`` for not known."""
    if limit is None:
        return UNKNOWN
    return NONE if isinstance(limit, Unlimited) else format_size(limit)


def format_time_span(usec: int | Unlimited | None) -> str:
    """Return microseconds in systemd's words, exact: ``1min 30s``, ``1.5s``; ``?`` for None."""
    if usec is None:
        return UNKNOWN
    if isinstance(usec, Unlimited):
        return str(usec)
    parts: list[str] = []
    rest = usec
    for name, unit in _SPAN_SHOWN:
        if rest < unit:
            continue
        whole, below = divmod(rest, unit)
        if below and unit in {_SEC, 1000}:
            fraction = str(below).zfill(len(str(unit)) - 1).rstrip("0")
            parts.append(f"{whole}.{fraction}{name}")
            break
        parts.append(f"{whole}{name}")
        rest = below
    return " ".join(parts) or "0"


def format_seconds(seconds: float) -> str:
    """Return seconds as a person says them: ``0.4s``, ``5s``, ``1min 30s``."""
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    return format_time_span(round(seconds) * _SEC)


def suffix_factor(rank: int) -> int:
    """Return the factor of a suffix by its place in SIZE_SUFFIXES; 1 for B and for none."""
    return 1 << 10 * max(0, 6 - rank)
