"""The kernel's lines, the newest first: those of kills are kept, what killed nothing is folded.

A unit that stands at its limit with nothing to kill writes a report every few seconds, for days.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.host.logs.kernel_log import BEGINS, Reader, alone, parse
from lowmem_tui.host.logs.shortages import Folder

if TYPE_CHECKING:
    from lowmem_tui.host.logs.kernel_log import Line
    from lowmem_tui.model.incident import OomReport

MOST = 256
"""Lines of one report that matter."""

KILLS = "oom-kill:constraint=|Killed process [0-9]|^Tasks in /|Kill process [0-9]"
"""A regular expression of the lines that tell of kills, and of nothing else."""

_KILLS = ("oom-kill:", "Killed process ", "Kill process ", "Tasks in /")


class Backwards:
    """Takes line after line, each older than the one before."""

    def __init__(self) -> None:
        self._block: list[Line] = []
        self._lines: list[Line] = []
        self._folder = Folder()

    @property
    def kept(self) -> int:
        """How many lines are held."""
        return len(self._lines)

    def take(self, line: Line) -> None:
        """Take a line."""
        self._block.append(line)
        first = BEGINS in line.text or "page allocation failure: " in line.text
        if first or len(self._block) == MOST:
            self._end()

    def _end(self) -> None:
        block, self._block = self._block, []
        if any(word in line.text for line in block for word in _KILLS):
            self._lines += block
            return
        reader = Reader()
        for line in reversed(block):
            reader.take(line)
        reader.finish()
        self._fold(reader.ready())

    def _fold(self, reports: list[OomReport]) -> None:
        for report in reports:
            for shortage in report.shortages:
                self._folder.add(shortage)

    def reports(self) -> tuple[OomReport, ...]:
        """Return the reports, the oldest first; the last one has the shortages."""
        self._end()
        reports = list(parse(reversed(self._lines)))
        self._fold(reports)
        kills = [replace(r, shortages=()) for r in reports if r.victim is not None]
        found = self._folder.all()
        if kills:
            kills[-1] = replace(kills[-1], shortages=found)
        return tuple(kills or map(alone, found))
