"""Starting again what ran before a change and has failed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.text import plain
from lowmem_tui.policy.cases import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.ports import Manager
    from lowmem_tui.model.unit import UnitProperties

AUTO_RESTART = "auto-restart"
"""``SubState`` of a unit that waits to be started again."""


def running(units: Mapping[str, UnitProperties]) -> tuple[str, ...]:
    """Return the names of those that run."""
    return tuple(unit.name for unit in units.values() if unit.active_state in RUNNING)


def revive(active: Sequence[str], manager: Manager) -> Iterator[str]:
    """Start those of these units that have failed; yields sentences. ManagerError, OSError."""
    for name, unit in manager.properties(active).items() if active else ():
        if not _has_failed(unit):
            continue
        try:
            manager.reset_failed_unit(name)
            manager.restart_unit(name)
        except LowmemError as error:
            yield f"{plain(name)} failed meanwhile and could not be started again: {error}"
        else:
            yield f"{plain(name)} failed meanwhile ({plain(unit.result)}) and was started again."


def _has_failed(unit: UnitProperties) -> bool:
    """Tell whether it has failed, or does so now: of one that was hit, systemd ends the rest."""
    ends = unit.active_state == "deactivating" and unit.result != "success"
    return ends or unit.active_state == "failed" or unit.sub_state == AUTO_RESTART
