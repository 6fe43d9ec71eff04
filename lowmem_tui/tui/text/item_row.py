"""A row of a list of items, between texts that are only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.text import Text


class ItemRow(NamedTuple):
    """A paragraph, or a line (``no_wrap``); one item may have several."""

    text: Text
    item: int | None = None
    """The item's number, counted from 0; None for what is only read."""
