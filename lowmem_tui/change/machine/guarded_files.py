"""Files behind the checks of a real machine: what may not be written there is refused."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Files


class GuardedFiles:
    """``Files`` that writes what ``EtcFiles`` would write, and nothing else."""

    def __init__(self, files: Files, paths: Paths) -> None:
        self._files, self._paths = files, paths

    def read(self, path: str) -> str | None:
        """See ``Files``."""
        return self._files.read(path)

    def obstacle(self, path: str) -> Message | None:
        """See ``Files``."""
        self._paths.parts(path)
        return self._files.obstacle(path)

    def is_others(self, path: str) -> bool:
        """See ``Files``."""
        return self._paths.is_others(path)

    def write(self, path: str, text: str) -> None:
        """See ``Files``. PermissionError for a path that is none of ours."""
        self._paths.parts(path)
        if self.is_others(path):
            self._files.edit(path, text, self._there(path))
        else:
            self._files.write(path, text)

    def edit(self, path: str, text: str, known: str | None) -> None:
        """See ``Files``. PermissionError for a path that is none of ours."""
        self._paths.parts(path)
        if known is None:
            self._there(path)
        self._files.edit(path, text, known)

    def remove(self, path: str) -> None:
        """See ``Files``. PermissionError for a path that is none of ours, or somebody else's."""
        self._paths.parts(path)
        if self.is_others(path):
            raise PermissionError(errno.EPERM, "it is no file of lowmem-tui", path)
        self._files.remove(path)

    def tidy(self, path: str) -> None:
        """See ``Files``."""
        self._paths.parts(path)
        self._files.tidy(path)

    def _there(self, path: str) -> str:
        """Return what is in a file that is changed and never made."""
        if (text := self._files.read(path)) is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return text
