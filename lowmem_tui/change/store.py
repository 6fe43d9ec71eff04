"""The folders in which changes are remembered, on a real machine."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from lowmem_tui.change.files import read_all, replace, temporary
from lowmem_tui.change.places import MODES

if TYPE_CHECKING:
    from collections.abc import Generator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HALF = temporary("")


class FolderStore:
    """``Store`` (model.ports) of this machine: nothing is written outside of the four folders."""

    def __init__(self, root: str = "/", *, owner: int = 0) -> None:
        """Take the tree below `root`; `owner` is the uid that our folders must have."""
        self._root = root.rstrip("/")
        self._owner = owner

    def names(self, folder: str) -> list[str]:
        """See ``Store``. Half files are left out."""
        return sorted(name for name in self._all(folder) if not name.startswith("."))

    def read(self, path: str) -> str | None:
        """See ``Store``."""
        try:
            fd = os.open(self._root + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return read_all(fd).decode("utf-8", "surrogateescape")
        finally:
            os.close(fd)

    def write(self, path: str, text: str) -> None:
        """See ``Store``."""
        folder, name = _split(path)
        self._make(folder)
        with self._open(folder) as inside:
            replace(name, text.encode("utf-8", "surrogateescape"), inside, MODES[folder][1])

    def remove(self, path: str) -> None:
        """See ``Store``."""
        folder, name = _split(path)
        with contextlib.suppress(FileNotFoundError), self._open(folder) as inside:
            os.unlink(name, dir_fd=inside)
            os.fsync(inside)

    def tidy(self, folder: str) -> None:
        """See ``Store``."""
        for name in self._all(folder):
            if name.startswith(_HALF[:1]) and name.endswith(_HALF[1:]):
                self.remove(f"{folder}/{name}")

    def _all(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._root + folder)
        except FileNotFoundError:
            return []

    def _make(self, folder: str) -> None:
        """Make a folder, and the one of ours above it; the mode is ours whatever the umask."""
        above = folder.rpartition("/")[0]
        if above in MODES:
            self._make(above)
        try:
            os.mkdir(self._root + folder, MODES[folder][0])
        except FileExistsError:
            pass
        else:
            with self._open(folder) as inside:
                os.fsync(inside)
            fd = os.open(self._root + above, _FOLDER)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    @contextlib.contextmanager
    def _open(self, folder: str) -> Generator[int, None, None]:
        fd = os.open(self._root + folder, _FOLDER)
        try:
            found = os.fstat(fd)
            if found.st_uid != self._owner:
                raise PermissionError(errno.EPERM, "it does not belong to root", folder)
            # A crash may have come between making it and this; the umask may have been odd.
            if found.st_mode & 0o7777 != MODES[folder][0]:
                os.fchmod(fd, MODES[folder][0])
            yield fd
        finally:
            os.close(fd)


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    if folder not in MODES or not name:
        raise PermissionError(errno.EPERM, "it is no place of lowmem-tui", path)
    return folder, name
