"""How much swap a small server should have, and how large a swap file its disk carries; pure."""

from __future__ import annotations

from typing import Final

STEP: Final = 256 << 20
"""Bytes: sizes are proposed in multiples of this."""

MOST: Final = 2 << 30
"""Bytes: the guide's swap file. More than that on a slow disk is only a longer standstill."""

KEPT: Final = 768 << 20
"""Bytes of the disk that a swap file leaves free at least; a tenth of it, if that is more."""

CARRIERS: Final = frozenset({"ext2", "ext3", "ext4", "xfs"})
"""File systems on which a written file is a swap file with nothing more to be done."""


def nominal(ram: int) -> int:
    """Return the bytes that were rented: MemTotal is less by what the kernel takes for itself."""
    return -(-ram // STEP) * STEP


def wanted(ram: int) -> int:
    """Return the bytes of swap that are best: twice the RAM, 2 GiB at most."""
    return min(2 * nominal(ram), MOST)


def enough(ram: int, swap: int) -> bool:
    """Tell whether there is swap enough to be left alone: as much as RAM, or nearly so."""
    return swap >= min(nominal(ram), MOST) * 7 // 8


def enough_packed(ram: int, zram: int) -> bool:
    """Tell whether there is compressed swap enough: a quarter of RAM, before it is compressed."""
    return zram * 4 >= ram


def kept(disk_total: int) -> int:
    """Return the bytes of the disk that stay free."""
    return max(KEPT, disk_total // 10)


def file_size(ram: int, other: int, disk_free: int, disk_total: int) -> int:
    """Return the bytes of the swap file to propose; 0 if the disk has no room for a useful one.

    ``other`` is the swap that there is besides.
    """
    size = -(-max(0, wanted(ram) - other) // STEP) * STEP
    room = (disk_free - kept(disk_total)) // STEP * STEP
    return max(0, min(size, room))


def zram_size(ram: int) -> int:
    """Return the bytes (not compressed) of a zram device to propose: half of RAM."""
    return max(64 << 20, ram // 2 // (32 << 20) * (32 << 20))
