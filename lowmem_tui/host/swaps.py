"""/proc/swaps (proc(5)) and the swap lines of fstab(5)."""

from __future__ import annotations

import re
from typing import NamedTuple

_OCTAL = re.compile(r"\\([0-7]{3})")


class Swap(NamedTuple):
    """One swap space that is on. Bytes."""

    path: str
    """Not safe to print as it is."""
    kind: str
    """``partition`` or ``file``."""
    size: int
    used: int
    priority: int


class FstabSwap(NamedTuple):
    """One line of fstab(5) that names swap."""

    what: str
    """``/swapfile``, ``UUID=…``, ``LABEL=…``; not safe to print as it is."""
    options: frozenset[str]


def parse_swaps(text: str) -> list[Swap]:
    """Return what /proc/swaps lists; its sizes are in KiB."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 5 and fields[2].isdecimal() and fields[3].isdecimal():
            path = _unescape(fields[0]).removesuffix(" (deleted)")
            size, used = int(fields[2]) * 1024, int(fields[3]) * 1024
            found.append(Swap(path, fields[1], size, used, int(fields[4])))
    return found


def parse_fstab(text: str) -> list[FstabSwap]:
    """Return the lines of fstab that name swap."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#") and fields[2] == "swap":
            options = fields[3].split(",") if len(fields) > 3 else ()
            found.append(FstabSwap(_unescape(fields[0]), frozenset(options)))
    return found


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
