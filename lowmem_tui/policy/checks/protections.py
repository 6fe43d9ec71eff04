"""Warnings about MemoryLow and MemoryMin: do the slices grant them, and can RAM give them; pure.

As the kernel has it (cgroup-v2.rst, memory.min; effective_protection of mm/memcontrol.c): a group
is protected for no more than each group above it, the root left out; where the groups below one
use more protected memory than it has, each gets a part, in proportion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import INFINITY, Unlimited
from lowmem_tui.model.message import msg, of_bytes, of_limit, of_setting, of_unit, sentences
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.settings import Bound, Key, render_value
from lowmem_tui.policy import budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.settings import Value
    from lowmem_tui.model.snapshot import Situation, Snapshot, Unit
    from lowmem_tui.policy.checks.cases import After

KEYS = tuple(key for key in Key if key.facts.bounded is Bound.PROTECTION)


class Group(NamedTuple):
    """A control group that runs, and what it asks to have protected."""

    name: str
    path: str
    asks: float
    """Bytes; infinity for all that it uses."""


def warnings(situation: Situation, afters: Sequence[After]) -> Iterator[Notice]:
    """Yield what a plan's protections come to: for each setting, at most one for a unit."""
    for key in KEYS:
        raised = [after for after in afters if _bytes(after.changed.get(key))]
        if not raised:
            continue
        groups = _groups(situation.snapshot, afters, key)
        for after in raised:
            path = _path(after, situation.snapshot)
            found = _not_granted(after, key, path, groups) or _shared(after, key, path, groups)
            if found is not None:
                yield found
        if (found := _over_ram(raised[0], key, situation.snapshot, groups)) is not None:
            yield found


def _bytes(value: Value | None) -> float:
    if isinstance(value, Unlimited):
        return float("inf")
    return float(value) if isinstance(value, int) else 0.0


def _groups(snapshot: Snapshot, afters: Sequence[After], key: Key) -> list[Group]:
    """Return all groups with what they ask for once the plan is carried out."""
    staged = {after.name: after.changed[key] for after in afters if key in after.changed}
    return [
        Group(name, unit.usage.cgroup.rstrip("/"), _bytes(staged.get(name, _now(unit, key))))
        for name, unit in snapshot.units.items()
        if unit.usage is not None and unit.usage.cgroup != "/"
    ]


def _now(unit: Unit, key: Key) -> Value | None:
    kernel = unit.usage.memory.settings.get(key) if unit.usage else None
    if kernel is not None:
        return kernel
    return unit.properties.loaded(key) if unit.properties else None


def _path(after: After, snapshot: Snapshot) -> str:
    """Return the group of a unit: that which it has, or will have in its slice."""
    usage = after.case.known.unit.usage
    if usage is not None:
        return usage.cgroup.rstrip("/")
    slice_ = snapshot.units.get(after.case.properties.slice)
    above = slice_.usage.cgroup if slice_ is not None and slice_.usage is not None else ""
    return f"{above.rstrip('/')}/{after.name}"


def _not_granted(after: After, key: Key, path: str, groups: Sequence[Group]) -> Notice | None:
    """Warn where a slice above protects less than the unit asks for."""
    above = [group for group in groups if path.startswith(f"{group.path}/")]
    least = min(above, key=lambda group: group.asks, default=None)
    wanted = after.changed[key]
    if least is None or least.asks >= _bytes(wanted):
        return None
    slice_, unit = of_unit(least.name, 60), of_unit(after.name)
    setting, key_ = of_setting(key, render_value(key, wanted)), of_setting(key)
    if least.asks:
        first = msg(
            "{slice} above {unit} grants only {granted} of {setting}: the kernel protects no more.",
            slice=slice_,
            unit=unit,
            granted=of_bytes(round(least.asks)),
            setting=setting,
        )
    else:
        first = msg(
            "{slice} above {unit} grants none of {setting}: the kernel does not protect it.",
            slice=slice_,
            unit=unit,
            setting=setting,
        )
    better = msg("Set {key} on {slice}, too, to the sum of its units.", key=key_, slice=slice_)
    return Notice("protection-not-granted", after.name, sentences(first, better))


def _shared(after: After, key: Key, path: str, groups: Sequence[Group]) -> Notice | None:
    """Warn where the units of a slice ask for more than it has."""
    home = path.rpartition("/")[0]
    slice_ = next((group for group in groups if group.path == home), None)
    beside = [g for g in groups if g.path.rpartition("/")[0] == home and g.path != path and g.asks]
    total = sum(group.asks for group in beside) + _bytes(after.changed[key])
    if slice_ is None or total <= slice_.asks or not beside:
        return None
    words = msg(
        "{n} units of {slice} request {total} of {key}, but the slice has {has}: if they "
        "use more than that, each gets only a part. Raise it on the slice, or lower it on "
        "the units.",
        n=len(beside) + 1,
        slice=of_unit(slice_.name, 60),
        total=of_limit(INFINITY) if total == float("inf") else of_bytes(round(total)),
        key=of_setting(key),
        has=of_bytes(round(slice_.asks)),
    )
    return Notice("protection-shared", after.name, words)


def _over_ram(after: After, key: Key, snapshot: Snapshot, groups: Sequence[Group]) -> Notice | None:
    """Warn where the protections that count add up to more than RAM can give."""
    ram = snapshot.host.mem_total
    reserve = budget.reserve(ram)
    total = sum(min(group.asks, float(ram)) for group in groups if group.path.count("/") == 1)
    if total + reserve <= ram:
        return None
    first = msg(
        "With this {key} protects {total}; with the reserve of {reserve} that is more than {ram} "
        "of RAM. {room} of {key} would fit.",
        key=of_setting(key),
        total=of_bytes(round(total)),
        reserve=of_bytes(reserve),
        ram=of_bytes(ram),
        room=of_limit((ram - reserve) >> 20 << 20),
    )
    then = msg("When memory runs out the kernel reclaims from all of them.")
    if key is Key.MEMORY_MIN:
        then = msg("When memory runs out the kernel kills instead of reclaiming.")
    return Notice("protections-over-ram", after.name, sentences(first, then))
