"""Files of ours that are used only if nobody but root could have written them."""

from __future__ import annotations

import errno
import os
import stat

from lowmem_tui.host.reading import read_bounded

TYPE_CHECKING = False  # `triage` has no room for the typing module

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message

_LINKS = 40
"""How many symbolic links are followed, as by the kernel (MAXSYMLINKS)."""

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How such a file is opened: no link is followed, no pipe is waited for."""


class OthersError(PermissionError):
    """Others than root could have written a file; ``message`` says who."""

    def __init__(self, message: Message, path: str) -> None:
        super().__init__(errno.EPERM, str(message).rstrip("."), path)
        self.message = message


def whose(
    path: str, found: os.stat_result, owner: int = 0, *, group: bool = False
) -> Message | None:
    """Return a sentence on who else could have written this; None if nobody.

    ``group`` says that it does not matter whether a group can.
    """
    of_root = found.st_uid in {0, owner}
    by_group = bool(found.st_mode & stat.S_IWGRP and found.st_gid and not group)
    if of_root and not by_group and not found.st_mode & stat.S_IWOTH:
        return None
    # Not at the start: `triage` has no room for what messages need.
    from lowmem_tui.model.message import msg, of_path

    if not of_root:
        return msg(
            "{path} belongs to user {uid}, not to root.", path=of_path(path), uid=found.st_uid
        )
    if found.st_mode & stat.S_IWOTH:
        return msg("{path} can be written by everybody.", path=of_path(path))
    return msg("{path} can be written by group {gid}.", path=of_path(path), gid=found.st_gid)


def folder_trouble(
    path: str, root: str = "", *, owner: int = 0, group: bool = False
) -> Message | None:
    """Return who else could have put something into a folder below ``root``; None if nobody.

    Every folder on the way counts, ``root`` itself and those that symbolic links lead through
    included. ``group`` says that a group may write to those above the last. A folder that is not
    there is nobody's. OSError as the kernel gives it.
    """
    at = root or "/"
    if words := whose(at, os.lstat(at), owner, group=group):
        return words
    todo = [part for part in path.split("/") if part]
    links = 0
    while todo:
        name = todo.pop(0)
        below = os.path.join(at, name)
        try:
            found = os.lstat(below)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(found.st_mode):
            if (links := links + 1) > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(below)
            if target.startswith("/"):
                at = "/"
                if words := whose(at, os.lstat(at), owner, group=group):
                    return words
            todo = [part for part in target.split("/") if part not in {"", "."}] + todo
            continue
        if words := whose(below, found, owner, group=group and bool(todo)):
            return words
        at = below
    return None


def read_trusted(path: str, most: int, *, owner: int = 0) -> bytes | None:
    """Return a regular file of at most ``most`` bytes, None if it is absent.

    Raises OSError as ``read_open``.
    """
    try:
        fd = os.open(path, FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return read_open(fd, path, most, owner=owner)
    finally:
        os.close(fd)


def read_open(fd: int, path: str, most: int, *, owner: int = 0) -> bytes:
    """Return a file that was opened with ``FLAGS``; its path is for errors.

    Raises OSError: EFBIG for a larger one, EINVAL for a pipe, a socket or a device, EISDIR for a
    folder (none is waited for), ELOOP for a link; OthersError if others than root could have
    written it.
    """
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and (words := whose(path, found, owner)):
        raise OthersError(words, path)
    return read_bounded(fd, path, most)


def public(path: str, most: int) -> bytes | None:
    """Return a file of ours that everybody may read; None if it is absent, or not ours."""
    try:
        return read_trusted(path, most, owner=os.geteuid())
    except OSError:
        return None
