"""Starting again what ran before a change and has failed since."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.message import msg, of_unit
from lowmem_tui.model.unit import UnitType, unit_type
from lowmem_tui.policy.checks.cases import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Manager
    from lowmem_tui.model.unit import UnitProperties

UNKNOWN = msg("It is unknown whether a unit has failed meanwhile: see `systemctl --failed`.")

AUTO_RESTART = "auto-restart"
"""``SubState`` of a unit that waits to be started again."""


def running(units: Mapping[str, UnitProperties], manager: Manager) -> tuple[str, ...]:
    """Return the names of those that run, ahead of them the sockets that wait for them.

    A socket fails with its service when that hits the start limit; ssh.service need not run
    for anybody to get in, but ssh.socket must. ManagerError.
    """
    triggers = (trigger for unit in units.values() for trigger in unit.triggered_by)
    sockets = dict.fromkeys(t for t in triggers if unit_type(t) is UnitType.SOCKET)
    waiting = manager.properties(tuple(sockets)) if sockets else {}
    found = (*waiting.values(), *units.values())
    return tuple(dict.fromkeys(unit.name for unit in found if unit.active_state in RUNNING))


def revive(active: Sequence[str], manager: Manager) -> Iterator[Message]:
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
            yield msg(
                "{unit} failed meanwhile and could not be started again: {reason}",
                unit=of_unit(name),
                reason=error.message,
            )
        else:
            yield msg(
                "{unit} failed meanwhile ({result}) and was started again.",
                unit=of_unit(name),
                result=unit.result,
            )


def _has_failed(unit: UnitProperties) -> bool:
    """Tell whether it has failed, or does so now: of one that was hit, systemd ends the rest."""
    ends = unit.active_state == "deactivating" and unit.result != "success"
    return ends or unit.active_state == "failed" or unit.sub_state == AUTO_RESTART
