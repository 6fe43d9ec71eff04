"""What units have used in the last minutes: a few bytes per unit, for the line and the growth."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.snapshot import Snapshot

SPAN = 240.0
"""Seconds that are kept."""

SPANS = 60
"""Equal spans of these; as many as the history line has room for at most."""

STEP = SPAN / SPANS

_UNKNOWN = 0xFFFFFFFF
_EMPTY = array("I", (_UNKNOWN,)) * SPANS


BOX = ""
"""The name under which RAM and swap of the whole machine are kept, with the units' limits."""


class MemoryHistory:
    """A ring of spans for every unit, the most it held in each, in KiB: 240 bytes a unit.

    A second one for units with a limit: anonymous memory and shmem, in RAM and
    in swap, for that is what grows against a limit; it begins again with another main process. A
    ring is made whole when its unit is first seen, so that the program does not grow.
    """

    def __init__(self) -> None:
        self._last = float("-inf")
        self._span = 0
        """The newest, counted from the machine's start."""
        self._rows: dict[str, array[int]] = {}
        self._pinned: dict[str, array[int]] = {}
        self._mains: dict[str, int] = {}
        """The main process of each of these."""

    @property
    def span(self) -> int:
        """The number of the newest span: nothing older changes until it does."""
        return self._span

    def add(self, snapshot: Snapshot) -> None:
        """Take one look; one that has been taken is not taken twice."""
        if snapshot.monotonic <= self._last:
            return
        self._last = snapshot.monotonic
        span = int(snapshot.monotonic / STEP)
        if span != self._span:
            self._turn(span)
        place, rows, pinned = span % SPANS, self._rows, self._pinned
        host = snapshot.host
        _put(pinned, BOX, place, host.mem_total - host.mem_available + host.swap_used)
        for name, unit in snapshot.units.items():
            if unit.usage is None:
                continue
            memory = unit.usage.memory
            held = memory.current
            if held is None:
                held = unit.usage.rss
            if held is None:
                continue
            _put(rows, name, place, held)
            if isinstance(memory.max, int) and memory.anon is not None:
                main = unit.properties.main_pid if unit.properties else 0
                if main and main != self._mains.get(name):
                    if name in self._mains:
                        pinned.pop(name, None)
                    self._mains[name] = main
                _put(
                    pinned, name, place, memory.anon + (memory.shmem or 0) + (unit.usage.swap or 0)
                )

    def _turn(self, span: int) -> None:
        """Forget what the ring has no room for any more, and whoever is not in it any more."""
        stale = [number % SPANS for number in range(max(self._span, span - SPANS) + 1, span + 1)]
        self._span = span
        for rows in (self._rows, self._pinned):
            for name, row in list(rows.items()):
                for place in stale:
                    row[place] = _UNKNOWN
                if row == _EMPTY:
                    del rows[name]
        for name in self._mains.keys() - self._pinned.keys():
            del self._mains[name]

    def pinned(self, name: str) -> list[int | None]:
        """Return what a unit with a limit held of anonymous memory and shmem, in RAM and in swap.

        Bytes, one each ``STEP``, oldest first, None where nothing is known. ``BOX``: RAM and swap
        of the machine.
        """
        row = self._pinned.get(name, _EMPTY)
        numbers = range(self._span - SPANS + 1, self._span + 1)
        return [None if (h := row[n % SPANS]) == _UNKNOWN else h << 10 for n in numbers]

    def of(self, name: str, bins: int) -> tuple[Sequence[int | None], float]:
        """Return the most that was held in each of so many equal spans of time, and their length.

        Bytes, oldest first, None where nothing is known. A span begins at a fixed moment, so that
        the picture moves by whole spans and does not waver.
        """
        step = max(STEP, SPAN / max(bins, 1))
        row = self._rows.get(name)
        result: list[int | None] = [None] * bins
        if row is None or bins < 1:
            return result, step
        last = int(self._span * STEP / step)
        for number in range(self._span - SPANS + 1, self._span + 1):
            held = row[number % SPANS]
            place = bins - 1 - (last - int(number * STEP / step))
            if held != _UNKNOWN and place >= 0:
                result[place] = max(result[place] or 0, held << 10)
        return result, step


def _put(rows: dict[str, array[int]], name: str, place: int, held: int) -> None:
    row = rows.get(name)
    if row is None:
        row = rows[name] = _EMPTY[:]
    held = min(held >> 10, _UNKNOWN - 1)
    if row[place] == _UNKNOWN or row[place] < held:
        row[place] = held
