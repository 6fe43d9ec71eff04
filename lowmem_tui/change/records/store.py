"""The folders in which changes are recorded, on a real machine."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from lowmem_tui.change.machine.files import replace, temporary
from lowmem_tui.change.records.paths import MODES, SUMMARIES, SUMMARY
from lowmem_tui.host.trusted import FLAGS, OthersError, folder_trouble, read_open
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.message import msg, sentences

if TYPE_CHECKING:
    from collections.abc import Generator

    from lowmem_tui.model.message import Message

MOST = 8 << 20
"""Bytes of the largest file that is read."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HALF = temporary("")
_ASIDE = ".unreadable"
_SUMMARY = {name := SUMMARY.rpartition("/")[2], temporary(name)}


class FolderStore:
    """``Store`` (model.ports) of this machine: nothing is written outside of the four folders.

    What others than root could have written is ignored: it reads as if it was not there, and
    ``troubles`` reports it. Nothing is written there either.
    """

    def __init__(self, root: str = "/", *, owner: int = 0) -> None:
        """Take the tree below `root`; `owner` is the uid that our folders must have."""
        self._root = root.rstrip("/")
        self._owner = owner
        self._folders: dict[str, Message | None] = {}
        """What is known of folders: looked at once for each operation, which has a store of its
        own. Where nobody but root may write, nobody else makes it otherwise meanwhile."""
        self._files: dict[str, Message] = {}

    def troubles(self) -> list[Message]:
        """See ``Store``."""
        folders = (self._trouble(folder) for folder in MODES)
        return [words for words in dict.fromkeys((*folders, *self._files.values())) if words]

    def names(self, folder: str) -> list[str]:
        """See ``Store``. Half files are left out."""
        return sorted(name for name in self._all(folder) if not name.startswith("."))

    def read(self, path: str) -> str | None:
        """See ``Store``."""
        if self._trouble(path.rpartition("/")[0]):
            return None
        try:
            fd = os.open(self._root + path, FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            data = read_open(fd, self._root + path, MOST, owner=self._owner)
        except OthersError as error:
            self._files[path] = _ignored(error.message)
            return None
        finally:
            os.close(fd)
        return data.decode("utf-8", "surrogateescape")

    def write(self, path: str, text: str) -> None:
        """See ``Store``."""
        folder, name = _split(path)
        self._refuse(folder)
        self._make(folder)
        with self._open(folder) as inside:
            replace(name, text.encode("utf-8", "surrogateescape"), inside, MODES[folder][1])

    def remove(self, path: str) -> None:
        """See ``Store``."""
        folder, name = _split(path)
        self._refuse(folder)
        with contextlib.suppress(FileNotFoundError), self._open(folder) as inside:
            os.unlink(name, dir_fd=inside)
            os.fsync(inside)

    def set_aside(self, path: str) -> str:
        """See ``Store``."""
        folder, name = _split(path)
        self._refuse(folder)
        there = set(self._all(folder))
        number = 1
        while (new := f"{name}{_ASIDE}{f'.{number}' if number > 1 else ''}") in there:
            number += 1
        with self._open(folder) as inside:
            os.rename(name, new, src_dir_fd=inside, dst_dir_fd=inside)
            os.fsync(inside)
        return f"{folder}/{new}"

    def tidy(self, folder: str) -> None:
        """See ``Store``."""
        for name in self._all(folder):
            if name.startswith(_HALF[:1]) and name.endswith(_HALF[1:]):
                # Whatever else has such a name is no half file, and harms nothing.
                with contextlib.suppress(IsADirectoryError):
                    self.remove(f"{folder}/{name}")

    def _all(self, folder: str) -> list[str]:
        if self._trouble(folder):
            return []
        try:
            return os.listdir(self._root + folder)
        except FileNotFoundError:
            return []

    def _trouble(self, folder: str) -> Message | None:
        """Return sentences on who else could have written there; None if nobody. OSError."""
        if folder not in self._folders:
            # rsyslog's group owns /var/log on Ubuntu; of what lies there nothing is acted upon.
            words = folder_trouble(folder, self._root, owner=self._owner, group=folder == SUMMARIES)
            self._folders[folder] = _ignored(words) if words else None
        return self._folders[folder]

    def _refuse(self, folder: str) -> None:
        if words := self._trouble(folder):
            raise RefusedError(words)

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
                if folder == SUMMARIES and set(os.listdir(fd)) - _SUMMARY:
                    # A group that may rename in /var/log has put another folder here.
                    raise PermissionError(errno.EPERM, "it is no folder of lowmem-tui", folder)
                os.fchmod(fd, MODES[folder][0])
            yield fd
        finally:
            os.close(fd)


def _ignored(who: Message) -> Message:
    """Return the sentences on something that others could have written."""
    return sentences(
        who,
        msg(
            "So what it holds is ignored, and no change is made with it: look at who wrote there, "
            "give it to root alone (`chown root:root`, `chmod go-w`), or move it away."
        ),
    )


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    if folder not in MODES or not name:
        raise PermissionError(errno.EPERM, "it is no place of lowmem-tui", path)
    return folder, name
