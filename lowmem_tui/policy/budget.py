"""What the memory limits allow together, beside what the system itself needs; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Limit

MOST_KEPT = 768 << 20
"""Bytes; reached at 2 GiB: the system's own needs do not grow with the machine for ever."""


_ROOTS = frozenset({"-.slice", "system.slice", "user.slice", "machine.slice"})
"""They hold the system itself: their limit is none of the application's."""


def reserve(ram: int) -> int:
    """Return the bytes to keep for the system, out of ``ram`` bytes.

    The guide keeps some 400 MiB of 1 GiB and gives the application 600M: three eighths.
    """
    return min(ram * 3 // 8, MOST_KEPT)


def limits(snapshot: Snapshot, staged: Mapping[str, Limit] | None = None) -> dict[str, int]:
    """Return MemoryMax, in bytes, of the running units that have one, by name.

    ``staged`` values go first, then the kernel's, then systemd's. What lies below a limited unit
    counts in that unit's limit; but the top slices, which hold the system too, are passed over.
    """
    found: dict[str, tuple[str, int]] = {}
    for name, unit in snapshot.units.items():
        if unit.usage is None or name in _ROOTS:
            continue
        limit = (staged or {}).get(name, unit.usage.memory.max)
        if limit is None and unit.properties:
            limit = unit.properties.memory_max
        if isinstance(limit, int):
            found[name] = unit.usage.cgroup, limit
    paths = [f"{path.rstrip('/')}/" for path, _ in found.values()]
    return {
        name: limit
        for name, (path, limit) in found.items()
        if not any(path.startswith(above) for above in paths)
    }
