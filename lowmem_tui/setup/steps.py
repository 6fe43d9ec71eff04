"""The steps, in the order in which they are gone through."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.ports import Step
    from lowmem_tui.setup.context import Ground

STEPS: dict[str, str] = {
    "box": "machine",
    "tiers": "units.tiers",
    "units": "units.step",
    "swap": "swap.step",
    "sysctl": "sysctl",
    "journal": "journal.step",
    "nginx": "nginx.step",
    "gunicorn": "gunicorn.step",
    "redis": "redis.step",
    "sessions": "sessions",
    "idle": "idle.step",
}
"""The section of each step, and the module in this room whose ``make`` builds it."""


def steps(ground: Ground) -> tuple[Step, ...]:
    """Return every step, standing on one server."""
    return tuple(
        import_module(f"lowmem_tui.setup.{module}").make(ground) for module in STEPS.values()
    )
