"""Figures as a dialogue says them: what is unknown is a word, not a dash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_limit, format_size
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_
from lowmem_tui.model.unit import Unlimited

if TYPE_CHECKING:
    from lowmem_tui.model.unit import Limit

UNKNOWN = N_("unknown")


def size(value: int | None) -> str:
    """Return bytes, rounded."""
    return tr(UNKNOWN) if value is None else format_size(value)


def limit(value: Limit | None) -> str:
    """Return a limit as a unit file has it, rounded."""
    if value is None:
        return tr(UNKNOWN)
    return str(value) if isinstance(value, Unlimited) else format_limit(value)


def known(value: object) -> object:
    """Return a value, or the word for none."""
    return tr(UNKNOWN) if value is None else value
