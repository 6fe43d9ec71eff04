"""A machine behind the same checks as a real one: what may not be changed there is refused."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from lowmem_tui.change.machine.system import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.change.machine.allowed import Allowed, Paths
    from lowmem_tui.model.plan import ActionKind
    from lowmem_tui.model.ports import Files, System
    from lowmem_tui.model.setup import Progress


class GuardedFiles:
    """``Files`` that writes what ``EtcFiles`` would write, and nothing else."""

    def __init__(self, files: Files, paths: Paths) -> None:
        self._files, self._paths = files, paths

    def read(self, path: str) -> str | None:
        """See ``Files``."""
        return self._files.read(path)

    def obstacle(self, path: str) -> str:
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


class GuardedSystem:
    """``System`` that changes what ``LocalSystem`` would change, and nothing else."""

    def __init__(self, system: System, allowed: Allowed) -> None:
        self._system, self._allowed = system, allowed

    @property
    def progress(self) -> Progress | None:
        """See ``System``."""
        return self._system.progress

    def get(self, kind: ActionKind, what: str) -> str:
        """See ``System``."""
        check(kind, what, self._allowed)
        return self._system.get(kind, what)

    def put(self, kind: ActionKind, what: str, value: str, stop: Callable[[], None]) -> None:
        """See ``System``."""
        check(kind, what, self._allowed)
        self._system.put(kind, what, value, stop)
