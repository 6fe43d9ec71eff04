"""The figures of a unit that more than one place shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.settings import same
from lowmem_tui.model.unit import INFINITY, Unlimited

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.model.unit import Limit


class Totals(NamedTuple):
    """The sums of a group."""

    rss: int | None
    swap: int | None


def adjust(unit: Unit) -> int | None:
    """Return the oom_score_adj of the main process, or of the one most likely to be killed."""
    if main := unit.main_process:
        return main.oom_score_adj
    return unit.properties.oom_score_adjust if unit.properties else None


def limit(unit: Unit) -> Limit | None:
    """Return the kernel's memory.max, or what systemd would set if the unit ran."""
    # What does not run has no limit until systemd knows of one.
    return INFINITY if unit.usage is None and unit.limit is None else unit.limit


def sort_limit(unit: Unit) -> int | None:
    """Return the limit for sorting: those without one come last."""
    value = limit(unit)
    return None if isinstance(value, Unlimited) else value


def held(unit: Unit) -> int | None:
    """Return the unit's anonymous memory and shmem in bytes; RSS where these are unknown."""
    return unit.usage.unreclaimable if unit.usage else None


def used(unit: Unit) -> float | None:
    """Return the share of the limit that is in use; None without a limit."""
    most, holds = sort_limit(unit), held(unit)
    if unit.usage is None or not most or holds is None:
        return None
    return holds / most


def processes(unit: Unit) -> int | None:
    """Return how many processes it has; None where they are hidden from this user (hidepid)."""
    usage = unit.usage
    if usage is None:
        return 0
    return len(usage.processes) or (None if usage.rss is None else 0)


def description(unit: Unit) -> str:
    """Return the unit's description, or the command line of its first process."""
    if unit.properties and unit.properties.description not in {"", unit.name}:
        return unit.properties.description
    if unit.usage and unit.usage.processes:
        first = unit.usage.processes[0]
        return first.command or first.name
    return ""


def differs(unit: Unit, page: int) -> bool:
    """Whether files, systemd and kernel are seen to disagree about the unit."""
    properties = unit.properties
    if properties is None:
        return False
    if properties.need_daemon_reload:
        return True
    if unit.usage is None:
        return False
    kernel = unit.usage.memory.settings
    return any(
        (loaded := properties.loaded(key)) is not None and not same(key, loaded, value, page)
        for key, value in kernel.items()
    )
