"""Swap files: written whole, never sparse, and gone again if that is interrupted."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from lowmem_tui.host.programs import run
from lowmem_tui.model.errors import ManagerError, RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_bytes, of_path, of_text
from lowmem_tui.model.setup import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.change.machine.allowed import Allowed

PIECE: Final = 1 << 20
"""Bytes written at once; between two pieces it can be stopped."""

SYNC_EVERY: Final = 32 * PIECE
"""Bytes after which they are put on the disk, not to fill a small server's page cache."""

MARGIN: Final = 64 << 20
"""Bytes that are left free on the disk at least, for everybody else."""

FOREIGN: Final = "foreign"
"""The value of what is there and was not made by us."""

LABEL: Final = "lowmem-tui"
"""The label (mkswap -L) that tells our swap file from anybody else's."""

_LABEL_AT, _LABEL_SIZE = 1024 + 12 + 16, 16
"""Where the label is in a swap header (``union swap_header`` of include/linux/swap.h)."""

_MAGIC = b"SWAPSPACE2"
"""At the end of the first page."""


class SwapFiles:
    """The swap files of this machine."""

    def __init__(self, root: str, allowed: Allowed) -> None:
        """Take the tree below `root`; `allowed` says which paths they may have."""
        self._root = root
        self._allowed = allowed
        self.progress: Progress | None = None

    def get(self, what: str) -> str:
        """Return the size of a swap file in bytes, as text; "" if there is none.

        ``FOREIGN`` for anything there that we did not make.
        """
        path = self._path(what)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return ""
        try:
            return str(found.st_size) if _is_ours(path) else FOREIGN
        except PermissionError:
            # An ordinary user sees its size alone.
            return str(found.st_size)

    def put(self, what: str, value: str, check: Callable[[], None]) -> None:
        """Make a swap file of this many bytes, or remove it ("").

        What is there and not ours is never touched: to remove our file it is no obstacle, to make
        one it is. Raises RefusedError for that, and where it does not fit.
        """
        path = self._path(what)
        if not value:
            self._remove(path)
        elif self.get(what) != value:
            size = natural(value)
            if size is None:
                raise RefusedError(
                    msg(
                        "{value} is not a number of bytes: write 2147483648.",
                        value=of_text(value, 40),
                    )
                )
            self._make(path, size, check)

    def _path(self, what: str) -> str:
        self._allowed.check_swap_file(what)
        return self._root + what

    def _remove(self, path: str) -> None:
        """Remove our file, and what a crash has left of writing one."""
        gone = _unlink(temporary(path))
        try:
            ours = _is_ours(path)
        except FileNotFoundError:
            ours = False
        if ours:
            gone |= _unlink(path)
        if gone:
            _sync_folder(path)

    def _make(self, path: str, size: int, check: Callable[[], None]) -> None:
        new = temporary(path)
        _unlink(new)
        if os.path.lexists(path):
            raise in_the_way(path)
        _fits(path, size)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(new, flags, 0o600)
        try:
            try:
                os.fchmod(fd, 0o600)
                self._fill(fd, size, check)
                os.fsync(fd)
            finally:
                os.close(fd)
            _mkswap(new)
            check()
            # Unlike a rename, a link replaces nothing that has come meanwhile.
            try:
                os.link(new, path, follow_symlinks=False)
            except FileExistsError as error:
                raise in_the_way(path) from error
            os.unlink(new)
            _sync_folder(path)
        except BaseException:
            with contextlib.suppress(OSError):
                _unlink(new)
            raise
        finally:
            self.progress = None

    def _fill(self, fd: int, size: int, check: Callable[[], None]) -> None:
        zeros = memoryview(bytes(PIECE))
        done = synced = 0
        while done < size:
            check()
            done += os.write(fd, zeros[: min(PIECE, size - done)])
            self.progress = Progress("writing the swap file", done, size)
            if done - synced >= SYNC_EVERY or done == size:
                os.fdatasync(fd)
                os.posix_fadvise(fd, synced, done - synced, os.POSIX_FADV_DONTNEED)
                synced = done


def temporary(path: str) -> str:
    """Return the name under which a swap file is written: hidden, and nobody else's."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}.lowmem-tui"


def _is_ours(path: str) -> bool:
    """Tell whether it is an ordinary file that holds our label. OSError."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return False
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        head = os.pread(fd, os.sysconf("SC_PAGE_SIZE"), 0)
    finally:
        os.close(fd)
    label = head[_LABEL_AT : _LABEL_AT + _LABEL_SIZE].rstrip(b"\0")
    return head.endswith(_MAGIC) and label == LABEL.encode()


def in_the_way(path: str) -> RefusedError:
    """Return the error for a file that is not ours where ours is to be, or was."""
    return RefusedError(
        msg(
            "{path} already exists and was not made by lowmem-tui: move it away, or switch it on "
            "yourself (`swapon`).",
            path=of_path(path),
        )
    )


def _fits(path: str, size: int) -> None:
    folder = os.path.dirname(path)
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), folder)
    check_fits(size, disk.f_bavail * disk.f_frsize)


def check_fits(size: int, free: int) -> None:
    """Raise RefusedError if a swap file of so many bytes leaves too little of what is free."""
    if free < size + MARGIN:
        raise RefusedError(
            msg(
                "A swap file of {size} does not fit: the disk has {free} free, and {margin} of "
                "that must stay free. Free some space, or make the file smaller.",
                size=of_bytes(size),
                free=of_bytes(free),
                margin=of_bytes(MARGIN),
            )
        )


def _mkswap(path: str) -> None:
    made = run(("mkswap", "--label", LABEL, path))
    if made.returncode != 0:
        raise ManagerError(msg("mkswap failed: {output}", output=of_text(made.stderr.strip(), 200)))
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink(path: str) -> bool:
    """Remove a file; tell whether there was one. OSError: the kernel keeps one that is in use."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _sync_folder(path: str) -> None:
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
