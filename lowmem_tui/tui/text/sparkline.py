"""A line of small bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*#@"
"""For terminals whose font holds nothing better."""

FLAT = 0.01
"""A change of less than this part is noise: the line stays at the bottom."""


def sparkline(values: Sequence[int | None], steps: str = BLOCKS) -> str:
    """Return one character per value, from the least to the greatest; a space for not known."""
    known = [v for v in values if v is not None]
    if not known:
        return " " * len(values)
    low, high = min(known), max(known)
    span = high - low if high - low > high * FLAT else 0
    top = len(steps) - 1
    return "".join(
        " " if v is None else steps[round((v - low) * top / span) if span else 0] for v in values
    )
