"""Snapshots → a segment: key frames now and then, and nothing of a command line that is secret."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.recording.segment import FRAME, LOG, Entry
from lowmem_tui.stream.frames import Encoder

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.recording.segment import Writer

KEY_EVERY = 900.0
"""Seconds from one key frame to the next: no more than that is read to find a moment."""
FLUSH_EVERY = 60.0
"""Seconds: a power cut loses no more than that."""
FULL_STALL = 10.0
"""Per cent of time in which all tasks waited for memory: each snapshot is flushed at once."""

_INTERPRETERS = ("python", "perl", "ruby", "node", "php", "java", "bash", "sh", "dash", "lua")
_MODULE = frozenset({"-m", "-jar"})
_PROGRAM_TEXT = re.compile(r"-[a-z]*[cer]")
"""An option that a program's text follows: ``-c``, ``-lc``, ``-e``, ``-r``."""
_SCRIPT = re.compile(r"[^=\s]*[/.][^=\s]*")


class Recorder:
    """Appends snapshots to a segment."""

    def __init__(self, writer: Writer, *, arguments: bool = False) -> None:
        """With `arguments` command lines are recorded whole: they may hold passwords."""
        self._writer = writer
        self._arguments = arguments
        self._encoder = Encoder()
        self._before: Snapshot | None = None
        self._key_at = self._flushed_at = float("-inf")
        self._cut: dict[str, tuple[Unit, Unit]] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Append a snapshot. Raises OSError as the kernel gives it."""
        before, self._before = self._before, snapshot
        now = snapshot.monotonic
        key = now - self._key_at >= KEY_EVERY
        if key:
            self._key_at = now
        # A hundredth of a second is exact enough, and takes two bytes instead of nine.
        kept = replace(
            self._harmless(snapshot),
            time=round(snapshot.time, 2),
            monotonic=round(snapshot.monotonic, 2),
        )
        frame = self._encoder.frame(kept, key=key)
        self._writer.append(Entry(FRAME, frame), snapshot.time, key=key)
        if now - self._flushed_at >= FLUSH_EVERY or _is_short(snapshot, before):
            self.flush()

    def log(self, lines: str) -> None:
        """Append lines of the log that tell of a kill, and bring them onto the disk."""
        if self._before is not None and lines:
            self._writer.append(Entry(LOG, lines.encode("utf-8", "replace")), self._before.time)
            self.flush()

    def flush(self) -> None:
        """Bring everything onto the disk. Raises OSError."""
        self._writer.flush()
        if self._before is not None:
            self._flushed_at = self._before.monotonic

    def _harmless(self, snapshot: Snapshot) -> Snapshot:
        if self._arguments:
            return snapshot
        units = {}
        for name, unit in snapshot.units.items():
            known = self._cut.get(name)
            if known is None or known[0] is not unit:
                known = (unit, _without_arguments(unit))
            units[name] = known
        self._cut = units
        return replace(snapshot, units={name: cut for name, (_, cut) in units.items()})


def _is_short(now: Snapshot, before: Snapshot | None) -> bool:
    """Return whether memory is short, or something was killed since."""
    kills = (now.host.oom_kills or 0) - (before.host.oom_kills or 0 if before else 0)
    full = now.host.pressure and now.host.pressure.full
    return (before is not None and kills > 0) or bool(full and full.avg10 >= FULL_STALL)


def _without_arguments(unit: Unit) -> Unit:
    usage, properties = unit.usage, unit.properties
    if usage:
        usage = usage._replace(
            processes=tuple(
                each._replace(command=program_and_script(each.command)) if each.command else each
                for each in usage.processes
            )
        )
    if properties and properties.exec_start:
        cut = program_and_script(" ".join(properties.exec_start))
        properties = replace(properties, exec_start=tuple(cut.split(" ")))
    return replace(unit, usage=usage, properties=properties)


def program_and_script(command: str) -> str:
    """Return a command line without its arguments: they may hold passwords.

    The script of an interpreter stays, and a module's name (``python3 -m http.server``).
    """
    words = command.split(" ")
    name = words[0].rpartition("/")[2]
    if not name.rstrip("0123456789.").endswith(_INTERPRETERS):
        return words[0]
    for place, word in enumerate(words[1:], 1):
        if word in _MODULE:
            return " ".join((words[0], *words[place : place + 2]))
        if word.startswith("-"):
            if _PROGRAM_TEXT.fullmatch(word):
                break
        elif word:
            return f"{words[0]} {word}" if _SCRIPT.fullmatch(word) else words[0]
    return words[0]
