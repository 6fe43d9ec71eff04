"""What units may use by their own configuration: a limit below that kills them one day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.setup.redis import programs as redis_programs
from lowmem_tui.setup.redis import room as redis_room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.setup.context import Ground


def needs(ground: Ground, units: Sequence[Unit]) -> dict[str, int]:
    """Return the bytes that each unit may use by its configuration; those alone that are known."""
    return _of_redis(ground, units)


def _of_redis(ground: Ground, units: Sequence[Unit]) -> dict[str, int]:
    if not any(redis_programs.is_one(unit) for unit in units):
        return {}
    try:
        return redis_room.needs(ground)
    except (LowmemError, OSError):
        return {}  # the step `redis` reports why; the settings of the others are proposed
