"""Owner, mode, ACL, extended attributes and flags of a file, to be copied to another exactly."""

from __future__ import annotations

import array
import errno
import fcntl
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.host.reading import FOREIGN, LONG
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.message import msg, of_path, of_text

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message

_GET_FLAGS: Final = 0x80086601 if array.array("l").itemsize == 8 else 0x80046601
_SET_FLAGS: Final = 0x40086602 if array.array("l").itemsize == 8 else 0x40046602
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS (ioctl_iflags(2)), which take an int nevertheless."""

_IMMUTABLE, _APPEND, _VERITY = 0x10, 0x20, 0x100000

_OF_THE_FILE_SYSTEM: Final = 0x800 | 0x1000 | 0x80000 | 0x10000000
"""Flags that say how a file is stored (encrypted, indexed, in extents, inline): not given."""

_ACL: Final = "system.posix_acl_access"
_SIGNATURES: Final = frozenset({"security.ima", "security.evm"})

_NO_FLAGS: Final = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_NOT_GIVEN: Final = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EINVAL})


class Attributes(NamedTuple):
    """All that a file has besides its bytes and its times."""

    uid: int
    gid: int
    mode: int
    flags: int
    """Of chattr(1), without those of the file system."""
    xattrs: tuple[tuple[str, bytes], ...]
    """Sorted by name; the ACL is one of them."""


def of(fd: int) -> Attributes:
    """Return those of an open file. OSError."""
    found = os.fstat(fd)
    xattrs = tuple((name, os.getxattr(fd, name)) for name in sorted(_xattrs(fd)))
    mode = stat.S_IMODE(found.st_mode)
    return Attributes(found.st_uid, found.st_gid, mode, _flags(fd), xattrs)


def hindrance(fd: int) -> Message | None:
    """Return why an open file must not be replaced by another one, or None. OSError."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return msg("It is not an ordinary file: move it away.")
    if found.st_nlink > 1:
        return msg(
            "It has {count} names (hard links), and the others would keep the old text: put "
            "symbolic links in place of all but one.",
            count=found.st_nlink,
        )
    flags = _flags(fd)
    if flags & (_IMMUTABLE | _APPEND):
        if flags & _IMMUTABLE:
            return msg("It is immutable: run `chattr -i` on it.")
        return msg("It is append-only: run `chattr -a` on it.")
    names = _xattrs(fd)
    if flags & _VERITY or _SIGNATURES & set(names):
        return msg(
            "It is signed (fs-verity or IMA), which an edit would break: edit and sign it by hand."
        )
    for name in names:
        try:
            os.getxattr(fd, name)
        except OSError as error:
            if error.errno not in _NOT_GIVEN:
                raise
            return msg(
                "It has the extended attribute {name}, which cannot be read: edit it by hand.",
                name=f"{name!a}",
            )
    return None


def content(fd: int) -> bytes:
    """Return the bytes of an open file. OSError: EFBIG for one that no person wrote."""
    pieces, at = [], 0
    while piece := os.pread(fd, LONG, at):
        pieces.append(piece)
        at += len(piece)
        if at > FOREIGN:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return b"".join(pieces)


def in_words(has: Attributes, data: bytes) -> str:
    """Return a file in words, to be compared with ``look``."""
    return f"{has} {hashlib.sha256(data).hexdigest()}"


def carried(path: str, inside: int) -> tuple[Attributes, bytes]:
    """Return what a file has that is to be edited, and its bytes. RefusedError, OSError."""
    if _flags(inside) & _APPEND:
        # A new file could be made there, and neither renamed nor removed again.
        folder = of_path(path.rpartition("/")[0])
        raise RefusedError(msg("{path} is append-only: run `chattr -a {path}`.", path=folder))
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path.rpartition("/")[2], flags, dir_fd=inside)
    try:
        if why := hindrance(fd):
            raise RefusedError(msg("{path}: {reason}", path=of_path(path), reason=why))
        return of(fd), content(fd)
    finally:
        os.close(fd)


def obstacle(path: str, inside: int) -> Message | None:
    """Return why a file is not edited, or None. OSError."""
    try:
        carried(path, inside)
    except RefusedError as error:
        return error.message
    except PermissionError:
        return None  # an ordinary user's lot; nor may they edit it
    return None


def look(name: str, inside: int) -> str:
    """Return in words what is at a name of a folder; "" for nothing. OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=inside)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return "a link or a socket"
        raise
    try:
        return str(hindrance(fd) or in_words(of(fd), content(fd)))
    finally:
        os.close(fd)


def begin(fd: int, wanted: Attributes, path: str) -> None:
    """Give a new file, which its owner alone can open, all that gives nobody a right.

    To be called before there is anything in it; ``path`` is for the sentence. RefusedError for what
    cannot be given, OSError.
    """
    try:
        os.fchown(fd, wanted.uid, wanted.gid)
        names = {name for name, _ in wanted.xattrs}
        # From the folder's default ACL, for one.
        for stray in set(_xattrs(fd)) - names:
            os.removexattr(fd, stray)
        for name, value in wanted.xattrs:
            if name != _ACL and _value(fd, name) != value:
                os.setxattr(fd, name, value)
    except OSError as error:
        raise _refused(error, path) from error


def finish(fd: int, wanted: Attributes, path: str) -> None:
    """Give it the rest, the ACL and the mode at the end, and see that all of it is so.

    RefusedError, OSError.
    """
    try:
        for name, value in wanted.xattrs:
            if name == _ACL:
                os.setxattr(fd, name, value)
        os.fchmod(fd, wanted.mode)
        if (now := _all_flags(fd)) & ~_OF_THE_FILE_SYSTEM != wanted.flags:
            flags = (now & _OF_THE_FILE_SYSTEM) | wanted.flags
            fcntl.ioctl(fd, _SET_FLAGS, array.array("I", [flags]))
    except OSError as error:
        raise _refused(error, path) from error
    if of(fd) != wanted:
        raise _cannot(path, "something of it differs")


def _refused(error: OSError, path: str) -> Exception:
    if error.errno not in _NOT_GIVEN:
        return error
    return _cannot(path, os.strerror(error.errno).lower())


def _cannot(path: str, why: str) -> RefusedError:
    return RefusedError(
        msg(
            "The owner, mode, ACL, extended attributes or flags (lsattr) of {path} cannot be "
            "copied to a new file ({reason}): edit it by hand.",
            path=of_path(path),
            reason=of_text(why),
        )
    )


def _xattrs(fd: int) -> list[str]:
    try:
        return os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise


def _value(fd: int, name: str) -> bytes | None:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


def _flags(fd: int) -> int:
    return _all_flags(fd) & ~_OF_THE_FILE_SYSTEM


def _all_flags(fd: int) -> int:
    """Return the flags of chattr(1); 0 where the file system has none."""
    found = array.array("I", [0])
    try:
        fcntl.ioctl(fd, _GET_FLAGS, found)
    except OSError as error:
        if error.errno in _NO_FLAGS:
            return 0
        raise
    return found[0]
