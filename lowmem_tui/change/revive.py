"""Starting again what ran before a change and has failed since."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import UnitType, unit_type
from lowmem_tui.policy.checks.cases import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.ports import Manager
    from lowmem_tui.model.unit import UnitProperties

AUTO_RESTART = "auto-restart"
"""``SubState`` of a unit that waits to be started again."""


def running(units: Mapping[str, UnitProperties], manager: Manager) -> tuple[str, ...]:
    """Return the names of those that run, ahead of them the sockets that wait for them.

    A socket fails with the service that systemd gives up on its behalf; ssh.service need not run
    for anybody to get in, but ssh.socket must. ManagerError.
    """
    triggers = (trigger for unit in units.values() for trigger in unit.triggered_by)
    sockets = dict.fromkeys(t for t in triggers if unit_type(t) is UnitType.SOCKET)
    waiting = manager.properties(tuple(sockets)) if sockets else {}
    found = (*waiting.values(), *units.values())
    return tuple(dict.fromkeys(unit.name for unit in found if unit.active_state in RUNNING))


def revive(active: Sequence[str], manager: Manager) -> Iterator[str]:
    """Start those of these units that have failed; yields sentences. ManagerError, OSError."""
    for name, unit in manager.properties(active).items() if active else ():
        if not _has_failed(unit):
            continue
        try:
            for each in (*unit.triggers, name):
                with contextlib.suppress(LowmemError):
                    manager.reset_failed_unit(each)
            manager.restart_unit(name)
        except LowmemError as error:
            yield f"{plain(name)} failed meanwhile and could not be started again: {error}"
        else:
            yield f"{plain(name)} failed meanwhile ({plain(unit.result)}) and was started again."


def _has_failed(unit: UnitProperties) -> bool:
    """Tell whether it has failed, or does so now: of one that was hit, systemd ends the rest."""
    ends = unit.active_state == "deactivating" and unit.result != "success"
    return ends or unit.active_state == "failed" or unit.sub_state == AUTO_RESTART
