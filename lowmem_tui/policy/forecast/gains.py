"""The effect of changes: the server as it would be without them, what they have freed; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.change import KEPT
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_bytes, of_command, of_limit, of_unit
from lowmem_tui.model.settings import certain_default, parse_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast import whatif

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Action, Effect
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Value


def gained(actions: Iterable[Action]) -> int:
    """Return the bytes that stopping units has freed."""
    return sum(action.frees or 0 for action in actions)


def in_force(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that hold, the oldest first; given the newest first."""
    return [c for c in reversed(changes) if c.state in KEPT and not c.undoes]


def without(now: Snapshot, changes: Sequence[Change]) -> Snapshot:
    """Return the server of now with the settings from before these changes (the oldest first).

    Sizes are those of now, and what was stopped is not in it.
    """
    wanted: dict[str, dict[Key, Value]] = {}
    for change in reversed(changes):
        for effect in change.effects:
            value = _value(effect.key, effect.from_, now.host.mem_total)
            if value is not None:
                wanted.setdefault(effect.unit, {})[effect.key] = value
    return whatif.after(now, wanted)


def is_down(unit: str) -> Message:
    """Return that a unit has failed, and how to start it."""
    name = plain(unit)
    return msg(
        "{unit} is down: `{command}`.",
        unit=of_unit(unit),
        command=of_command(f"systemctl reset-failed {name} && systemctl start {name}"),
    )


def below_use(now: Snapshot, effect: Effect) -> Message | None:
    """Return what it kills, or may kill, to revert a MemoryMax on trial; None where nothing."""
    unit, host = now.units.get(effect.unit), now.host
    if unit is None or unit.usage is None or effect.key is not Key.MEMORY_MAX:
        return None
    held, limit = budget.held(unit), _value(effect.key, effect.from_, host.mem_total)
    if not isinstance(limit, int) or held <= limit:
        return None
    room, most = host.swap_free, unit.usage.memory.swap_max
    if isinstance(most, int):
        room = min(room, most - (unit.usage.memory.swap or 0))
    unit_name, used, then = of_unit(effect.unit), of_bytes(held), of_limit(limit)
    if room > 0:
        return msg(
            "Reverting it may kill {unit}: it uses {used} without page cache, and MemoryMax is "
            "then {limit}. What does not fit into swap is killed.",
            unit=unit_name,
            used=used,
            limit=then,
        )
    return msg(
        "Reverting it kills {unit}: it uses {used} without page cache, and MemoryMax is then "
        "{limit}.",
        unit=unit_name,
        used=used,
        limit=then,
    )


def _value(key: Key, text: str, ram: int) -> Value | None:
    try:
        return parse_value(key, text, ram)
    except InvalidValueError:
        return certain_default(key)
