"""The demo server's swap: a partition, and a file if one is made."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Final

from lowmem_tui.demo.roster import SWAP
from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.setup import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.demo.memory import Memory

FILE, UNIT = "/swapfile", "swapfile.swap"

PIECE: Final = 64 << 20
PAUSE: Final = 0.01
"""Seconds for each piece: a demo's disk is fast, but not infinitely so."""


class DemoSwap:
    """What is on, and what there is."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.size = 0
        """Bytes of the swap file; 0 for none."""
        self.on = False

    def table(self) -> str:
        """Return /proc/swaps; the caller holds the lock."""
        used = self._memory.swap_total - self._memory.free_swap()
        lines = ["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"]
        spaces = [("/dev/vda2", "partition", SWAP), (FILE, "file", self.size if self.on else 0)]
        for number, (path, kind, size) in enumerate(spaces):
            if size:
                here = min(used, size)
                used -= here
                lines.append(f"{path:<40}{kind}\t{size >> 10}\t\t{here >> 10}\t\t{-2 - number}")
        return "\n".join([*lines, ""])

    def make(self, size: int, check: Callable[[], None]) -> Iterator[Progress]:
        """Write the file, or remove it (0), piece by piece; the caller does not hold the lock."""
        for done in range(0, size, PIECE) if size != self.size else ():
            check()
            sleep(PAUSE)
            yield Progress("writing the swap file", min(done + PIECE, size), size)
        self.size = size

    def switch(self, *, on: bool) -> None:
        """Switch the file on or off; the caller holds the lock. Raises RefusedError."""
        if on == self.on:
            return
        memory = self._memory
        if not on and (used := memory.swap_total - memory.free_swap()) > SWAP:
            raise RefusedError(
                f"{FILE} cannot be switched off now: {format_size(used)} of swap is in use; stop "
                "what uses the most, and try again."
            )
        self.on = on
        memory.swap_total = SWAP + (self.size if on else 0)
