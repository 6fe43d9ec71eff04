"""System calls that fail when they are told to."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = frozenset(
    {
        *("open", "close", "read", "write", "pwrite", "ftruncate", "fsync", "rename", "unlink"),
        *("mkdir", "rmdir", "stat", "fstat", "fchmod"),
        *("link", "symlink", "readlink", "lstat", "pread", "fdatasync", "listdir"),
        *("fchown", "listxattr", "getxattr", "setxattr", "removexattr"),
    }
)


class Killed(BaseException):
    """The process died here: nothing that it would have done afterwards is done."""


class FaultyOs:
    """Stands in for the ``os`` of a module: its n-th system call fails, or kills."""

    def __init__(
        self, fail_at: int = -1, error: int = 0, *, kill: bool = False, byte_by_byte: bool = False
    ) -> None:
        self.calls: list[str] = []
        self._fail_at = fail_at
        self._error = error
        self._kill = kill
        self._byte_by_byte = byte_by_byte
        self._dead = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        real = getattr(os, name)
        return self._wrap(name, real) if name in CALLS else real

    @property
    def error(self) -> int:
        """The number of the error that is raised."""
        return self._error

    def call(self, name: str, real: Callable[..., object], *values: object) -> object:
        """Make a call that counts as a system call."""
        return self._wrap(name, real)(*values)

    def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: Any, **options: Any) -> object:  # noqa: ANN401
            if self._dead:
                # The kernel closes what a dead process had open, and drops its locks.
                if name == "close":
                    real(*arguments, **options)
                raise Killed
            self.calls.append(name)
            if len(self.calls) - 1 == self._fail_at:
                if name == "close":
                    real(*arguments, **options)
                if self._kill:
                    self._dead = True
                    raise Killed
                raise OSError(self._error, os.strerror(self._error))
            if name == "write" and self._byte_by_byte:
                arguments = (arguments[0], bytes(arguments[1])[:1])
            return real(*arguments, **options)

        return call


def tree(root: str) -> dict[str, tuple[str, bytes]]:
    """Every folder and file below, with mode, owner, extended attributes and content."""
    found = {}
    for folder, _, names in os.walk(root):
        below = os.path.relpath(folder, root)
        found[below] = (_has(folder), b"")
        for name in names:
            path = os.path.join(folder, name)
            # What waits for its place has the number of a file in its name.
            shown = re.sub(r"\.[0-9]+-[0-9]+-", ".N-N-", name)
            found[os.path.join(below, shown)] = (_has(path), _read(path))
    return found


def _has(path: str) -> str:
    found = os.lstat(path)
    xattrs = [
        (name, os.getxattr(path, name, follow_symlinks=False))
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    ]
    return f"{oct(found.st_mode)} {found.st_uid}:{found.st_gid} {xattrs or ''}"


def _read(path: str) -> bytes:
    if os.path.islink(path):
        return os.readlink(path).encode()
    with open(path, "rb") as file:
        return file.read()
