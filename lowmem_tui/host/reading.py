"""Reading the kernel's small files: one open, one read, and what an error means."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
"""As of typing, which is half a megabyte: `triage` loads this module and does without."""

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT = frozenset(
    {
        errno.ENOENT,  # no such file on this kernel, or the process or group has gone
        errno.ESRCH,  # the process ended after its file was opened
        errno.ENODEV,  # the group was removed after its file was opened
        errno.EACCES,  # an ordinary user's lot
        errno.EPERM,
        errno.EOPNOTSUPP,  # built in, but switched off (psi=0), or not for this kind of group
    }
)
"""The errors that mean "not known". Any other is an error."""

BRIEF = 448
"""Enough for every file here that is not named as longer. A larger buffer is not Python's own but
malloc's, and what is kept of it leaves a hole there at each read (docs/performance.md)."""

SMALL = 4096
"""Enough for what the kernel tells of one process."""

LONG = 1 << 16
"""Enough for a list of units: a file of ours."""


def read(path: str, dir_fd: int | None = None, size: int = BRIEF) -> bytes | None:
    """Return the beginning of a file, None if it is absent or unreadable.

    One read(2) is the whole file for those that the kernel writes in one piece: all of a control
    group's and of a process's, meminfo and uptime. Raises OSError for what is not in ``ABSENT``.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    try:
        return os.read(fd, size)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    finally:
        os.close(fd)


def read_whole(path: str, dir_fd: int | None = None) -> bytes | None:
    """Return a file that comes in several pieces (vmstat); else as ``read``."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    try:
        pieces = []
        while piece := os.read(fd, 16384):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    finally:
        os.close(fd)


def keep(path: str, dir_fd: int | None = None) -> int:
    """Return a descriptor to keep for a file; −1 if it is absent or unreadable."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in ABSENT:
            return -1
        raise


def listdir(path: str, dir_fd: int | None = None) -> list[str] | None:
    """Return the names in a folder; None if it is absent or unreadable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in ABSENT or error.errno == errno.ENOTDIR:
            return None
        raise
    try:
        return os.listdir(fd)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    finally:
        os.close(fd)


def folders(path: str, dir_fd: int) -> list[str]:
    """Return the names of the folders in a folder below ``dir_fd``, sorted; none if it is absent.

    ``path`` has a leading slash. The kernel tells which names are folders without a stat of each.
    """
    try:
        fd = os.open(f".{path}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in ABSENT or error.errno == errno.ENOTDIR:
            return []
        raise
    try:
        with os.scandir(fd) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except OSError as error:
        if error.errno in ABSENT:
            return []
        raise
    finally:
        os.close(fd)


def number(text: bytes) -> int | None:
    """Return a whole number of at most 20 digits (what the kernel prints), None for all else."""
    return int(text) if text.isdigit() and len(text) <= 20 else None


def signed(text: bytes) -> int | None:
    """Return a whole number that may have a minus."""
    if text[:1] == b"-":
        value = number(text[1:])
        return None if value is None else -value
    return number(text)


def decimal(text: bytes) -> float | None:
    """Return a number such as ``12.34``, None for all else (``nan``, ``1e9``, a second point)."""
    whole = text.replace(b".", b"", 1)
    if not whole.isdigit() or len(whole) > 20:
        return None
    return float(text)


def field(text: bytes, key: bytes) -> int | None:
    """Return the number that follows a key at the start of a line, as in memory.stat and vmstat.

    ``key`` has its blank with it (``b"anon "``). A line without its end has been cut: None.
    """
    if text.startswith(key):
        start = len(key)
    else:
        at = text.find(b"\n" + key)
        if at < 0:
            return None
        start = at + 1 + len(key)
    end = text.find(b"\n", start)
    return number(text[start:end]) if end >= 0 else None


def each(parse: Callable[[bytes], int | None], raw: bytes | None) -> int | None:
    """Return what a parser makes of a file that may be absent."""
    return None if raw is None else parse(raw)
