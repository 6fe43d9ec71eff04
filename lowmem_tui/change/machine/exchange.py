"""Putting something in the place of what is known, so that an edit made meanwhile is never lost.

rename(2) replaces whatever has come to a name since it was looked at. Here the new and the old one
change places (``RENAME_EXCHANGE``), and what came out is compared before it is let go: what is not
known goes back to its place, and wins.

A crash may come at each instant, so the name under which the new one waits says which it is (inode
and time), and what was known to be there. ``resume`` reads it and ends what was begun, as it would
have ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NO_REPLACE, _EXCHANGE = 1, 2
"""Flags of renameat2(2)."""

_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""How a file system says that it knows no such flag, and an old C library no such call."""

_GONE: Final = (0, 0)
"""What waits is nothing: the old one is to be removed."""


class Place(NamedTuple):
    """A name in a folder."""

    name: str
    inside: int
    """The folder, open."""
    look: Callable[[str], str]
    """Returns in words that can be compared what is at a name of the folder; "" for nothing."""


def put(place: Place, new: str, expected: str) -> bool:
    """Put what is at another name (``new``) of the folder in the place of what is ``expected``.

    Returns False, with everything as it was, if something else is there. Durable. OSError.
    """
    try:
        stands = _exchange(place, new, expected) if expected else _create(place, new)
        os.fsync(place.inside)
    except BaseException:
        with contextlib.suppress(OSError):
            resume(place)
        raise
    return stands


def take(place: Place, expected: str) -> bool:
    """Remove what is there if it is what is ``expected``; else as ``put``."""
    aside = _aside(place, _GONE, expected)
    try:
        try:
            renameat2(place.inside, place.name, aside, _NO_REPLACE)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            if place.look(place.name) != expected:
                return False
            os.unlink(place.name, dir_fd=place.inside)
            stands = True
        else:
            stands = _decide(place, aside, _GONE, _digest(expected))
        os.fsync(place.inside)
    except FileNotFoundError:
        return False
    except BaseException:
        with contextlib.suppress(OSError):
            resume(place)
        raise
    return stands


def resume(place: Place) -> None:
    """End what a crash has interrupted; nothing is done where there was none. OSError."""
    for aside, ours, digest in _left(place):
        _decide(place, aside, ours, digest)


def _create(place: Place, new: str) -> bool:
    try:
        renameat2(place.inside, new, place.name, _NO_REPLACE)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        try:
            os.link(
                new,
                place.name,
                src_dir_fd=place.inside,
                dst_dir_fd=place.inside,
                follow_symlinks=False,
            )
        except FileExistsError:
            return False
        os.unlink(new, dir_fd=place.inside)
    return True


def _exchange(place: Place, new: str, expected: str) -> bool:
    ours = _identity(place, new)
    if ours is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), new)
    aside = _aside(place, ours, expected)
    os.rename(new, aside, src_dir_fd=place.inside, dst_dir_fd=place.inside)
    try:
        renameat2(place.inside, aside, place.name, _EXCHANGE)
    except OSError as error:
        if error.errno not in _CANNOT | {errno.ENOENT}:
            raise
        # Compared and renamed: an edit in between, some microseconds, would be lost.
        if place.look(place.name) != expected:
            os.unlink(aside, dir_fd=place.inside)
            return False
        os.rename(aside, place.name, src_dir_fd=place.inside, dst_dir_fd=place.inside)
        return True
    return _decide(place, aside, ours, _digest(expected))


def _decide(place: Place, aside: str, ours: tuple[int, int], digest: str) -> bool:
    """Let go of the old one if it is what was known, else bring it back; tells which."""
    if _identity(place, aside) == ours:
        # It never came to its place.
        os.unlink(aside, dir_fd=place.inside)
        return False
    known = _digest(place.look(aside)) == digest and not _is_being_written(place, aside)
    there = _identity(place, place.name)
    stands = there == (None if ours == _GONE else ours)
    if known:
        os.unlink(aside, dir_fd=place.inside)
    elif stands and ours == _GONE:
        renameat2(place.inside, aside, place.name, _NO_REPLACE)
    elif stands:
        renameat2(place.inside, aside, place.name, _EXCHANGE)
        if _identity(place, aside) == ours:
            os.unlink(aside, dir_fd=place.inside)
    # Else two others have come, one after the other: both are left where they are.
    return known and stands


def _is_being_written(place: Place, name: str) -> bool:
    """Tell whether somebody has a file open for writing.

    A read lease (fcntl(2)) is given where nobody has, and where leases are known.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=place.inside)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return False  # a link has nothing to be written
        raise
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(fd)
    return False


def _identity(place: Place, name: str) -> tuple[int, int] | None:
    """Return inode and time of what is at a name: a number may be given again, not with both."""
    try:
        found = os.stat(name, dir_fd=place.inside, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _aside(place: Place, ours: tuple[int, int], expected: str) -> str:
    """Return a hidden name, with no suffix that anybody reads."""
    return f".{place.name}.{ours[0]}-{ours[1]}-{_digest(expected)}.old"


def _left(place: Place) -> Iterator[tuple[str, tuple[int, int], str]]:
    pattern = re.compile(
        rf"\.{re.escape(place.name)}\.([0-9]{{1,20}})-([0-9]{{1,20}})-([0-9a-f]{{16}})\.old"
    )
    for name in os.listdir(place.inside):
        if found := pattern.fullmatch(name):
            yield name, (natural(found[1]) or 0, natural(found[2]) or 0), found[3]


def renameat2(inside: int, old: str, new: str, flags: int) -> None:
    """Rename within a folder, by these flags. OSError; ENOSYS where the C library cannot."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError) as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    names = os.fsencode(old), os.fsencode(new)
    if call(inside, names[0], inside, names[1], ctypes.c_uint(flags)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new)
