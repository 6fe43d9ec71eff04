"""Which kills a change may have caused; pure.

A limit reaches its unit and what is below it. The kill order is one for the machine, and for each
limited group: a score changes whom the kernel chooses there. A limit that is raised lets its unit
take memory from all that have none of their own; one that is lowered takes from nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.unit import MEMORY_KEYS, Key, Unlimited
from lowmem_tui.policy.forecast.oom import cap_above

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lowmem_tui.model.plan import Effect
    from lowmem_tui.model.snapshot import Snapshot


def may_have_killed(
    snapshot: Snapshot, unit: str, changed: Collection[str], effects: Sequence[Effect]
) -> bool:
    """Return whether a kill in a unit may be due to a change of these units' settings."""
    if unit in changed or _below(snapshot, unit, changed):
        return True
    if any(effect.key is Key.OOM_SCORE_ADJUST for effect in effects):
        return True
    raised = any(_raised(effect, snapshot.host.mem_total) for effect in effects)
    return raised and not _limited(snapshot, unit)


def _below(snapshot: Snapshot, unit: str, changed: Collection[str]) -> bool:
    cgroup = _cgroup(snapshot, unit)
    above = (_cgroup(snapshot, name) for name in changed)
    return bool(cgroup) and any(path and cgroup.startswith(f"{path}/") for path in above)


def _cgroup(snapshot: Snapshot, name: str) -> str:
    unit = snapshot.units.get(name)
    return unit.usage.cgroup.rstrip("/") if unit is not None and unit.usage is not None else ""


def _limited(snapshot: Snapshot, unit: str) -> bool:
    """Tell whether a kill there may be due to a limit: it is not known to be the machine's."""
    found = snapshot.units.get(unit)
    if found is None or found.usage is None:
        return True
    own = isinstance(found.usage.memory.max, int)
    return own or cap_above(snapshot, found.usage.cgroup) is not None


def _raised(effect: Effect, ram: int) -> bool:
    if effect.key not in MEMORY_KEYS:
        return False
    before, after = (_size(effect.key, text, ram) for text in (effect.from_, effect.to))
    return after > before


def _size(key: Key, text: str, ram: int) -> float:
    try:
        value = parse_value(key, text, ram)
    except InvalidValueError:
        value = key.facts.default
    return float("inf") if isinstance(value, Unlimited | str) else float(value)
