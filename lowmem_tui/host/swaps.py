"""/proc/swaps (proc(5)) and the swap lines of fstab(5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.integer import natural, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

TAGS: Final = {
    "UUID": "by-uuid",
    "LABEL": "by-label",
    "PARTUUID": "by-partuuid",
    "PARTLABEL": "by-partlabel",
    "ID": "by-id",
}
"""Where udev has links by what fstab(5) names."""

_BLANKS = re.compile(r"[ \t]+")
_OCTAL = re.compile(rb"\\([0-7]{3})")
_UDEV = re.compile(r"[^0-9A-Za-z#+.:=@_\x80-\ud7ff\ue000-\U0010ffff-]")


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
    """``/swap.img``, ``UUID=…``, ``LABEL=…``; not safe to print as it is."""
    options: frozenset[str]


def parse_swaps(text: str) -> list[Swap]:
    """Return what /proc/swaps lists; its sizes are in KiB."""
    found = []
    for fields in _fields(text):
        if len(fields) < 5:
            continue
        size, used, priority = natural(fields[2]), natural(fields[3]), signed(fields[4])
        if size is not None and used is not None and priority is not None:
            path = _unescape(fields[0]).removesuffix(" (deleted)")
            found.append(Swap(path, fields[1], size * 1024, used * 1024, priority))
    return found


def parse_fstab(text: str) -> list[FstabSwap]:
    """Return the lines of fstab that name swap."""
    found = []
    for fields in _fields(text):
        if len(fields) >= 3 and not fields[0].startswith("#") and fields[2] == "swap":
            options = fields[3].split(",") if len(fields) > 3 else ()
            found.append(FstabSwap(_unescape(fields[0]), frozenset(options)))
    return found


def _fields(text: str) -> Iterator[list[str]]:
    """Yield the fields of each line: blanks and tabs are between them, and nothing else is."""
    for line in text.split("\n"):
        yield _BLANKS.split(line.strip(" \t\r"))


def tag_path(what: str) -> str:
    """Return the path that a first field of fstab(5) means; "" for what is none.

    As ``fstab_node_to_udev_node`` of systemd: quotes around a value are taken away, and what udev
    does not leave as it is in a name is in hexadecimal.
    """
    kind, equals, value = what.partition("=")
    if not equals or what.startswith("/"):
        return what if what.startswith("/") else ""
    folder = TAGS.get(kind.upper())
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return f"/dev/disk/{folder}/{_UDEV.sub(_hexed, value)}" if folder and value else ""


def _hexed(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    made = _OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), raw)
    return made.decode("utf-8", "surrogateescape")
