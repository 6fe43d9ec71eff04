"""Switching swap off: what is in it must go somewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lowmem_tui.host.reading import read, read_whole
from lowmem_tui.host.swaps import parse_swaps
from lowmem_tui.model.errors import ManagerError, RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_bytes, of_path

if TYPE_CHECKING:
    from lowmem_tui.host.swaps import Swap

PATIENCE: Final = 1000.0
"""Seconds that switching swap off may take: a full one is read back page by page."""

KEPT: Final = 32 << 20
"""Bytes of RAM that are to be left: reading swap back needs some itself."""


def check_room(space: str, proc: str = "/proc") -> None:
    """Raise RefusedError if what a swap space holds does not fit into RAM and other swap.

    The kernel would begin anyway, and kill for it.
    """
    swaps = _swaps(proc)
    used = sum(swap.used for swap in swaps if swap.path == space)
    others = sum(swap.size - swap.used for swap in swaps if swap.path != space)
    raw = read(f"{proc}/meminfo", size=16384) or b""
    found = re.search(rb"^MemAvailable:\s+(\d+) kB", raw, re.MULTILINE)
    available = natural(found[1]) if found else None
    if not used or available is None:
        return
    room = available * 1024 + others - KEPT
    if used > room:
        raise RefusedError(
            msg(
                "{path} cannot be switched off now: {used} of it is in use, and RAM and other swap "
                "have room for {room}. Stop what uses the most, and try again.",
                path=of_path(space),
                used=of_bytes(used),
                room=of_bytes(max(0, room)),
            )
        )


def check_off(space: str, proc: str = "/proc") -> None:
    """Raise ManagerError if a swap space is still on."""
    if any(swap.path == space for swap in _swaps(proc)):
        raise ManagerError(
            msg(
                "{path} could not be switched off: see `journalctl -b -n 20`, stop what uses the "
                "most, and try again.",
                path=of_path(space),
            )
        )


def _swaps(proc: str) -> list[Swap]:
    return parse_swaps((read_whole(f"{proc}/swaps") or b"").decode("utf-8", "surrogateescape"))
