"""What machine this is, apart from its memory (model.ports.Inspector): for the set-up alone."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING

import psutil

from lowmem_tui.host.procfs import text
from lowmem_tui.host.reading import SMALL, read, read_regular
from lowmem_tui.model.integer import natural
from lowmem_tui.model.setup import FolderUsage, HostFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FILES = 200_000
"""Files and folders that are looked at below a folder at most: more does not change the advice."""


class LocalInspector:
    """This machine."""

    def __init__(self, root: str = "/", proc_root: str = "/proc") -> None:
        """Take the tree below `root`."""
        self._root = root.rstrip("/")
        self._proc = proc_root

    def facts(self) -> HostFacts:
        """See ``Inspector``. Raises OSError."""
        root = self._root or "/"
        disk = psutil.disk_usage(root)
        return HostFacts(
            distribution=self._distribution(),
            kernel=os.uname().release,
            systemd=self._systemd(),
            container=self._container(),
            processors=os.cpu_count() or 1,
            root_filesystem=self._file_system(),
            root_free=disk.free,
            root_total=disk.total,
            root_writable=not os.statvfs(root).f_flag & os.ST_RDONLY,
            zram=self._zram(),
            unified=os.path.exists(f"{self._root}/sys/fs/cgroup/cgroup.controllers"),
        )

    def _distribution(self) -> str:
        for path in ("/etc/os-release", "/usr/lib/os-release"):
            found = re.search(
                rb'^PRETTY_NAME=["\']?([^"\'\n]*)',
                _foreign(self._root + path),
                re.MULTILINE,
            )
            if found:
                return text(found[1])
        return "Linux"

    def _systemd(self) -> int | None:
        # libsystemd-shared-257.so carries the version; asking systemd would need its bus.
        for folder in ("usr/lib/systemd", "usr/lib/x86_64-linux-gnu/systemd", "lib/systemd"):
            for name in self.names(f"/{folder}"):
                if found := re.match(r"libsystemd-shared-(\d+)", name):
                    return natural(found[1])
        for folder in self.names("/usr/lib"):
            for name in self.names(f"/usr/lib/{folder}/systemd") if "linux-gnu" in folder else ():
                if found := re.match(r"libsystemd-shared-(\d+)", name):
                    return natural(found[1])
        return None

    def _container(self) -> str:
        if reported := _foreign(f"{self._root}/run/systemd/container"):
            return text(reported.strip())
        for mark, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
            if os.path.exists(self._root + mark):
                return name
        # OpenVZ shows its guests /proc/vz, its host /proc/bc too (src/basic/virt.c).
        if os.path.exists(f"{self._proc}/vz") and not os.path.exists(f"{self._proc}/bc"):
            return "openvz"
        for part in (read(f"{self._proc}/1/environ", size=SMALL) or b"").split(b"\0"):
            if part.startswith(b"container="):
                return text(part.partition(b"=")[2])
        return ""

    def _file_system(self) -> str:
        found = "unknown"
        for line in (read(f"{self._proc}/self/mounts", size=1 << 20) or b"").splitlines():
            fields = line.split(b" ")
            if len(fields) > 2 and fields[1] == b"/":
                found = text(fields[2])  # the last one lies on top
        return found

    def _zram(self) -> bool:
        if os.path.exists(f"{self._root}/sys/module/zram"):
            return True
        folder = f"{self._root}/lib/modules/{os.uname().release}"
        for name in ("modules.dep", "modules.builtin"):
            with contextlib.suppress(OSError), open(f"{folder}/{name}", "rb") as file:
                if any(b"/zram.ko" in line.split(b":", 1)[0] for line in file):
                    return True
        return False

    def names(self, folder: str) -> list[str]:
        """See ``Inspector``."""
        try:
            return sorted(os.listdir(self._root + folder))
        except OSError:
            return []

    def real_path(self, path: str) -> str:
        """See ``Inspector``."""
        return os.path.realpath(self._root + path).removeprefix(self._root)

    def usage(self, folder: str) -> FolderUsage | None:
        """See ``Inspector``."""
        top = self._root + folder
        try:
            device = os.lstat(top).st_dev
            with os.scandir(top):
                pass
        except OSError:
            return None
        files = size = seen = 0
        oldest: float | None = None
        waiting = [top]
        # A loop: applications nest folders as deep as they like.
        while waiting and seen < MOST_FILES:
            for entry in _entries(waiting.pop()):
                seen += 1
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                if stat.S_ISDIR(found.st_mode) and found.st_dev == device:
                    waiting.append(entry.path)
                elif stat.S_ISREG(found.st_mode):
                    files += 1
                    size += found.st_blocks * 512
                    oldest = found.st_mtime if oldest is None else min(oldest, found.st_mtime)
                if seen >= MOST_FILES:
                    break
        return FolderUsage(files, size, oldest)

    def pss(self, pid: int) -> int | None:
        """See ``Inspector``: the line ``Pss:`` of /proc/PID/smaps_rollup, which is in KiB."""
        found = re.search(
            rb"^Pss:\s+(\d+) kB",
            read(f"{self._proc}/{pid}/smaps_rollup", size=SMALL) or b"",
            re.MULTILINE,
        )
        size = natural(found[1]) if found else None
        return None if size is None else size * 1024


def _foreign(path: str) -> bytes:
    """Return the beginning of a file below /etc or /run; nothing where it cannot be read."""
    try:
        return read_regular(path, SMALL) or b""
    except OSError:
        return b""


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder; nothing where it cannot be read (gone, or nested too deeply)."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries
