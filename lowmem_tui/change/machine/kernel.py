"""The kernel's own values, written where they take effect at once."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from lowmem_tui.host.cgroupfs import CGROUP, parse_limit
from lowmem_tui.host.reading import ABSENT, SMALL, folders, read
from lowmem_tui.model.integer import natural, signed
from lowmem_tui.model.unit import Unlimited

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from lowmem_tui.model.unit import Limit

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_START = 19
"""``starttime`` of stat (proc(5), field 22), counted from the field after the name."""


class KernelValues:
    """``Kernel`` (model.ports) of this machine.

    Control groups: Documentation/admin-guide/cgroup-v2.rst. oom_score_adj: proc(5).
    """

    def __init__(self, proc: str = "/proc", cgroup: str = CGROUP) -> None:
        """Take the two trees."""
        self._proc = proc
        self._cgroup = cgroup

    def limit(self, cgroup: str, file: str) -> Limit | None:
        """See ``Kernel``; bytes."""
        raw = read(self._path(cgroup, file))
        return None if raw is None else parse_limit(raw)

    def set_limit(self, cgroup: str, file: str, value: Limit) -> None:
        """See ``Kernel``. The kernel rounds bytes down to whole pages."""
        text = "max" if isinstance(value, Unlimited) else str(value)
        _write(self._path(cgroup, file), text)

    def processes(self, cgroup: str) -> Sequence[tuple[int, int]]:
        """See ``Kernel``; start is in clock ticks after boot."""
        found: list[tuple[int, int]] = []
        below = [cgroup.rstrip("/")]
        try:
            root = os.open(self._cgroup, _FOLDER)
        except OSError as error:
            if error.errno in ABSENT:
                return found
            raise
        try:
            while below:
                group = below.pop()
                below += (f"{group}/{folder}" for folder in folders(group or "/", root))
                for line in _lines(f".{group}/cgroup.procs", root):
                    pid = natural(line)
                    # 0 stands for a process of a pid namespace that is not ours.
                    start = self._start(pid) if pid else None
                    if pid and start is not None:
                        found.append((pid, start))
        finally:
            os.close(root)
        return sorted(found)

    def oom_score_adj(self, pid: int, start: int) -> int | None:
        """See ``Kernel``."""
        with self._process(pid, start) as folder:
            raw = None if folder is None else read("oom_score_adj", folder)
            return None if raw is None else signed(raw.strip())

    def set_oom_score_adj(self, pid: int, start: int, value: int) -> bool:
        """See ``Kernel``. To go below the least value so far takes CAP_SYS_RESOURCE."""
        with self._process(pid, start) as folder:
            if folder is None:
                return False
            try:
                _write("oom_score_adj", str(value), folder)
            except (FileNotFoundError, ProcessLookupError):
                return False
            return True

    def _path(self, cgroup: str, file: str) -> str:
        if not cgroup.startswith("/") or ".." in cgroup.split("/") or "/" in file:
            raise PermissionError(errno.EPERM, "it is no control group's file", f"{cgroup}/{file}")
        return f"{self._cgroup}{cgroup.rstrip('/')}/{file}"

    def _start(self, pid: int) -> int | None:
        raw = read(f"{self._proc}/{pid}/stat", size=SMALL)
        return None if raw is None else _starttime(raw)

    @contextlib.contextmanager
    def _process(self, pid: int, start: int) -> Generator[int | None, None, None]:
        """Open the folder of one process: it stays that process's, should the pid be reused."""
        try:
            folder = os.open(f"{self._proc}/{pid}", _FOLDER)
        except (FileNotFoundError, ProcessLookupError):
            yield None
            return
        try:
            raw = read("stat", folder, SMALL)
            yield folder if raw is not None and _starttime(raw) == start else None
        finally:
            os.close(folder)


def _starttime(stat: bytes) -> int | None:
    # The name may hold anything, brackets and spaces included.
    fields = stat.rpartition(b")")[2].split()
    return natural(fields[_START]) if len(fields) > _START else None


def _lines(path: str, root: int) -> list[bytes]:
    """Return the lines of cgroup.procs; none for a group that is gone, or a threaded one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    except OSError as error:
        if error.errno in ABSENT:
            return []
        raise
    pieces = []
    try:
        while piece := os.read(fd, 65536):
            pieces.append(piece)
    except OSError as error:
        # What threads a threaded group has, the group above it counts as its own.
        if error.errno not in ABSENT:
            raise
    finally:
        os.close(fd)
    return b"".join(pieces).split()


def _write(path: str, text: str, folder: int | None = None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
