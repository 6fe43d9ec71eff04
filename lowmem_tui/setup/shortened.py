"""Long lists in a sentence: the first items, and how many more there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Given, Message

MOST = 4
"""So many items are shown."""


def shortened(items: Sequence[Given]) -> Message:
    """Return items as a list, the many cut short."""
    names = of_list(items[:MOST])
    if len(items) <= MOST:
        return msg("{names}", names=names)
    return msg("{names} and {n} more", names=names, n=len(items) - MOST)
