"""What units have held in the last minutes: the history line's few bytes per unit and tick."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.snapshot import Snapshot

SPAN = 240.0
"""Seconds that are kept."""

TICKS = 240
"""Looks that are kept at most."""

_SLACK = 60
_UNKNOWN = 0xFFFFFFFF


class History:
    """A ring of the newest looks, in KiB, for every unit: about 1 KiB of memory for each."""

    def __init__(self) -> None:
        self._times = array("d")
        self._rows: dict[str, array[int]] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Take one look; one that has been taken is not taken twice."""
        times = self._times
        if times and snapshot.monotonic <= times[-1]:
            return
        length = len(times)
        times.append(snapshot.monotonic)
        for name, unit in snapshot.units.items():
            if unit.usage is None:
                continue
            held = unit.usage.memory.current
            if held is None:
                held = unit.usage.rss
            row = self._rows.get(name)
            if row is None:
                row = self._rows[name] = array("I", (_UNKNOWN,)) * length
            row.append(_UNKNOWN if held is None else min(held >> 10, _UNKNOWN - 1))
        for row in self._rows.values():
            if len(row) == length:
                row.append(_UNKNOWN)
        if len(times) > TICKS + _SLACK:
            self._forget(len(times) - TICKS)

    def _forget(self, count: int) -> None:
        del self._times[:count]
        for name, row in list(self._rows.items()):
            del row[:count]
            if all(held == _UNKNOWN for held in row):
                del self._rows[name]

    def of(self, name: str, bins: int) -> tuple[Sequence[int | None], float]:
        """Return the most that was held in each of so many equal spans of time, and their length.

        Bytes, oldest first, None where nothing is known. A span begins at a fixed moment, so that
        the picture moves by whole spans and does not waver.
        """
        step = max(1.0, SPAN / max(bins, 1))
        row = self._rows.get(name)
        result: list[int | None] = [None] * bins
        if row is None or bins < 1:
            return result, step
        last = int(self._times[-1] / step)
        for time, held in zip(self._times, row, strict=True):
            place = bins - 1 - (last - int(time / step))
            if held != _UNKNOWN and place >= 0:
                result[place] = max(result[place] or 0, held << 10)
        return result, step


_kept: WeakKeyDictionary[object, History] = WeakKeyDictionary()


def history_of(app: object) -> History:
    """Return the app's history; whoever sees a snapshot adds it."""
    return _kept.setdefault(app, History())
