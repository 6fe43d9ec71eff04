"""Control groups: which of them are units, and parsers of the memory controller's files.

A parser returns None for text that is cut or odd; it never raises. Imports next to nothing, for
`triage`. Source:
Documentation/admin-guide/cgroup-v2.rst; for names, systemd's src/basic/cgroup-util.c.
"""

from __future__ import annotations

from lowmem_tui.host.reading import TYPE_CHECKING, field
from lowmem_tui.model.cgroup import ROOT_SLICE
from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from lowmem_tui.model.amount import Limit

CGROUP = "/sys/fs/cgroup"

_LEAVES = frozenset({"service", "scope", "socket", "mount", "swap"})
_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.\\@-")


def unit_name(folder: str) -> str | None:
    """Return the unit that a folder's name stands for, None if it stands for none.

    systemd puts one underscore before a name that could be mistaken for the kernel's own files or
    begins with one (``cg_escape``).
    """
    name = folder[1:] if folder[:1] == "_" else folder
    suffix = name.rpartition(".")[2]
    if (suffix in _LEAVES or suffix == "slice") and set(name) <= _NAME:
        return name if len(name) > len(suffix) + 1 else None
    return None


def owner(path: str) -> tuple[str, str]:
    """Return the path and the name of the unit that a process in this group belongs to.

    By the path alone, as ``walk`` would have it; of groups without a unit, one in the other, it
    gives the innermost.
    """
    end, name = 0, ""
    for folder in path.split("/")[1:]:
        unit = unit_name(folder) if folder else ROOT_SLICE
        if unit is None:
            end, name = end + 1 + len(folder), ""
            continue
        if end and not name:
            break  # below a group without a unit: a system of its own
        end, name = end + 1 + len(folder), unit
        if not unit.endswith(".slice"):
            break
    return path[:end], name or path[:end]


def parse_size(raw: bytes) -> int | None:
    """Return the bytes of memory.current, memory.swap.current or memory.peak."""
    return natural(raw.strip())


def parse_limit(raw: bytes) -> Limit | None:
    """Return the bytes of a limit (memory.max, memory.high…), or infinity."""
    text = raw.strip()
    if text == b"max":
        # Not at the top: this module must load without re, enum and dataclasses (triage).
        from lowmem_tui.model.amount import INFINITY

        return INFINITY
    return natural(text)


def parse_memory_stat(raw: bytes) -> tuple[int | None, ...]:
    """Return the values of memory.stat that ``MEMORY_STAT`` declares, in its order."""
    # Not at the top, as above.
    from lowmem_tui.model.usage import MEMORY_STAT

    return tuple([field(raw, key) for key in MEMORY_STAT.values()])


def parse_oom_kills(raw: bytes) -> int | None:
    """Return ``oom_kill`` of memory.events, groups below included."""
    return field(raw, b"oom_kill ")


def parse_flag(raw: bytes) -> bool | None:
    """Return memory.oom.group: whether the kernel kills the whole group."""
    value = raw.strip()
    return value == b"1" if value in {b"0", b"1"} else None
