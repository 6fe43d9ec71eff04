"""Reading the kernel's small files: one open, one read, and what an error means."""

from __future__ import annotations

import errno
import os
import stat

from lowmem_tui.model.integer import natural

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
        errno.EAGAIN,  # a pipe that somebody has put there, and writes nothing into
        errno.EOPNOTSUPP,  # built in, but switched off (psi=0), or not for this kind of group
        errno.ENAMETOOLONG,  # a control group nested deeper than PATH_MAX: no path leads there
    }
)
"""The errors that mean "not known". Any other is an error."""

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""A pipe is not waited for; the kernel's own files take no notice."""

BRIEF = 448
"""Enough for every file here that is not named as longer. A larger buffer is not Python's own but
malloc's, and what is kept of it leaves a hole there at each read (docs/performance.md)."""

SMALL = 4096
"""Enough for what the kernel tells of one process."""

LONG = 1 << 16
"""Enough for a list of units: a file of ours."""

FOREIGN = 1 << 20
"""No configuration that a person wrote is longer."""


def read(path: str, dir_fd: int | None = None, size: int = BRIEF) -> bytes | None:
    """Return the beginning of a file, None if it is absent or unreadable.

    One read(2) is the whole file for those that the kernel writes in one piece: all of a control
    group's and of a process's, meminfo and uptime. Raises OSError for what is not in ``ABSENT``.
    """
    try:
        fd = os.open(path, _READ, dir_fd=dir_fd)
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
        fd = os.open(path, _READ, dir_fd=dir_fd)
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


def read_regular(path: str, most: int = FOREIGN, dir_fd: int | None = None) -> bytes | None:
    """Return a whole regular file that others may have written, of at most ``most`` bytes.

    None if it is absent. ``/dev/null``, or a link to it, reads as empty: systemd masks a unit so.
    Raises OSError: EFBIG for a larger file, EINVAL for a pipe, a socket, a device or a folder
    (which is never waited for), and what the kernel says, EACCES included.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = os.fstat(fd)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3):
            return b""
        return read_bounded(fd, path, most)
    finally:
        os.close(fd)


def read_bounded(fd: int, path: str, most: int) -> bytes:
    """Return a whole regular file that is open; its path is for errors.

    Raises OSError: EFBIG for more than ``most`` bytes, EINVAL for a pipe, a socket or a device,
    EISDIR for a folder.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    pieces, rest = [], most + 1
    while rest > 0 and (piece := os.read(fd, min(rest, LONG))):
        pieces.append(piece)
        rest -= len(piece)
    if rest <= 0:
        raise OSError(errno.EFBIG, f"larger than {most >> 10} KiB", path)
    return b"".join(pieces)


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
    return natural(text[start:end]) if end >= 0 else None


def each(parse: Callable[[bytes], int | None], raw: bytes | None) -> int | None:
    """Return what a parser makes of a file that may be absent."""
    return None if raw is None else parse(raw)
