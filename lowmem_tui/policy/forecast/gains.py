"""What changes have come to: the server as it would be without them, what they gave back; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.change import KEPT
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.quantity import parse_size
from lowmem_tui.model.settings import certain_default, parse_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast import whatif

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.plan import Action, Effect
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Value

_HELD = re.compile(r"\(it holds ([0-9.]+[KMGTPEB]?)\)\Z")


def stopped(unit: str, held: int | None) -> str:
    """Return the words of an action that stops a unit; ``held`` are the bytes it gives back."""
    gives = f" (it holds {format_size(held)})" if held is not None else ""
    return f"systemctl stop {plain(unit)}{gives}"


def gained(actions: Iterable[Action]) -> int:
    """Return the bytes that stopping units gave back, as their words tell."""
    found = (_HELD.search(a.words) for a in actions if a.kind is ActionKind.RUN)
    return sum(parse_size(match[1]) for match in found if match)


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


def is_down(unit: str) -> str:
    """Say that a unit has failed, and how to start it."""
    name = plain(unit)
    return f"{name} is down: `systemctl reset-failed {name} && systemctl start {name}`."


def below_use(now: Snapshot, effect: Effect) -> str:
    """Return whom it kills, or may, to take a MemoryMax back that is tried; or ""."""
    unit, host = now.units.get(effect.unit), now.host
    if unit is None or unit.usage is None or effect.key is not Key.MEMORY_MAX:
        return ""
    held, limit = budget.held(unit), _value(effect.key, effect.from_, host.mem_total)
    if not isinstance(limit, int) or held <= limit:
        return ""
    room, most = host.swap_free, unit.usage.memory.swap_max
    if isinstance(most, int):
        room = min(room, most - (unit.usage.memory.swap or 0))
    swap = room > 0
    return (
        f"Taking it back {'may kill' if swap else 'kills'} {plain(effect.unit)}: it holds "
        f"{format_size(held)} besides page cache, and its limit is {format_size(limit)} then"
        f"{': what does not fit into swap is killed' if swap else ''}."
    )


def _value(key: Key, text: str, ram: int) -> Value | None:
    try:
        return parse_value(key, text, ram)
    except InvalidValueError:
        return certain_default(key)
