"""Swap files: written whole, never sparse, and gone again if that is interrupted."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
from typing import TYPE_CHECKING, Final

from lowmem_tui.model.errors import InvalidValueError, ManagerError
from lowmem_tui.model.setup import Progress
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable

PATH: Final = re.compile(r"/swapfile\Z")
"""The only path: ``swapfile.swap`` is named after it."""

PIECE: Final = 1 << 20
"""Bytes written at once."""


class SwapFiles:
    """The swap files of this machine."""

    def __init__(self, root: str = "") -> None:
        """Take the tree below `root`."""
        self._root = root
        self.progress: Progress | None = None

    def get(self, what: str) -> str:
        """Return the size of a swap file in bytes, as text; "" if there is none."""
        try:
            found = os.lstat(self._path(what))
        except FileNotFoundError:
            return ""
        return str(found.st_size) if stat.S_ISREG(found.st_mode) else "0"

    def put(self, what: str, value: str, check: Callable[[], None]) -> None:
        """Make a swap file of this many bytes, or remove it ("")."""
        path = self._path(what)
        if not value:
            self._remove(path)
        elif self.get(what) != value:
            self._make(path, int(value), check)

    def _path(self, what: str) -> str:
        if not PATH.match(what):
            raise InvalidValueError(
                f"{plain(what, 60)} is no place for a swap file: use /swapfile."
            )
        return self._root + what

    @staticmethod
    def _remove(path: str) -> None:
        for each in (f"{path}.new", path):
            try:
                os.unlink(each)
            except FileNotFoundError:
                continue

    def _make(self, path: str, size: int, check: Callable[[], None]) -> None:
        new = f"{path}.new"
        self._remove(new)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(new, flags, 0o600)
        try:
            try:
                os.fchmod(fd, 0o600)
                self._fill(fd, size, check)
                os.fsync(fd)
            finally:
                os.close(fd)
            made = subprocess.run(
                ["mkswap", new],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode != 0:
                raise ManagerError(f"mkswap failed: {plain(made.stderr.strip(), 200)}.")
            os.rename(new, path)
        except BaseException:
            self._remove(new)
            raise
        finally:
            self.progress = None

    def _fill(self, fd: int, size: int, check: Callable[[], None]) -> None:
        zeros = bytes(PIECE)
        done = 0
        while done < size:
            check()
            done += os.write(fd, zeros[: min(PIECE, size - done)])
            self.progress = Progress("writing the swap file", done, size)
            if done % (32 * PIECE) == 0:
                # Not to fill the page cache of a small server with it.
                os.fdatasync(fd)
                os.posix_fadvise(fd, 0, done, os.POSIX_FADV_DONTNEED)
