"""What systemd says of units, by its words alone: where a log has no fields. Pure.

Sources: src/core/unit.c, service.c, job.c and src/shared of systemd 219 to 258. A description is
its author's: only ``Started NAME - DESCRIPTION`` (and NAME alone) tell the unit.
"""

from __future__ import annotations

import re

from lowmem_tui.model.incident import EventKind
from lowmem_tui.model.integer import natural
from lowmem_tui.model.unit import MAX_NAME

PREFIX = "systemd[1]: "
"""Before what PID 1 writes into the kernel's log: when journald does not run, for one."""

_TYPES = "service|scope|slice|socket|mount|swap|timer|path|target|device|automount"
_UNIT = rf"([^\s:/]{{1,{MAX_NAME}}}\.(?:{_TYPES}))"
_SAYS = re.compile(rf"{_UNIT}: (.*)", re.DOTALL)
_STARTED = re.compile(rf"(?:Started|Finished) {_UNIT}(?: - |\.\Z|\Z)")
_OOMD = re.compile(r"systemd-oomd killed (?:[0-9]{1,9}|some) process")
_RESTART = re.compile(r"Scheduled restart job, restart counter is at ([0-9]{1,9})\b")
_RESULT = re.compile(r"Failed with result '([a-z-]{1,40})'")

_WORDS = (
    ("A process of this unit has been killed by the OOM killer", EventKind.OOM),
    ("Start request repeated too quickly", EventKind.TOO_OFTEN),
    ("Service RestartSec=", EventKind.RESTART),
    ("Service hold-off time over, scheduling restart", EventKind.RESTART),
    ("Succeeded.", EventKind.ENDED),
    ("Deactivated successfully", EventKind.ENDED),
)

LINES = (
    "killed by the OOM killer|systemd-oomd killed|Failed with result|Start request repeated too"
    "|Scheduled restart job|scheduling restart|: Succeeded\\.|Deactivated successfully"
    "|(Started|Finished) \\S+\\.service"
)
"""A regular expression of the lines that ``event`` reads."""


def event(text: str) -> tuple[str, EventKind, str] | None:
    """Return the unit, what happened to it and the detail, as in ``UnitEvent``; or None."""
    if (match := _STARTED.match(text)) is not None:
        return match[1], EventKind.STARTED, ""
    match = _SAYS.match(text)
    if match is None:
        return None
    unit, words = match[1], match[2]
    if (result := _RESULT.match(words)) is not None:
        return unit, EventKind.RESULT, result[1]
    if (restart := _RESTART.match(words)) is not None:
        return unit, EventKind.RESTART, str(natural(restart[1]))
    if _OOMD.match(words):
        return unit, EventKind.OOMD, ""
    for start, kind in _WORDS:
        if words.startswith(start):
            return unit, kind, ""
    return None
