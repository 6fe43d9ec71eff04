"""The harness's end of a population: its units, its processes' connections, the kernel's log."""

from __future__ import annotations

import errno
import json
import os
import re
import selectors
import socket
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .nest import SOCKET

if TYPE_CHECKING:
    from .population import Population

CGROUP = Path("/sys/fs/cgroup")
UNITS = Path("/run/systemd/system")


class Peer(NamedTuple):
    """A process of a population."""

    pid: int
    unit: str
    name: str
    socket: socket.socket


class Kill(NamedTuple):
    """One kill as the kernel tells it, read by the plainest means there are."""

    pid: int
    constraint: str
    group: str
    """The control group whose limit was reached; empty for the machine."""
    tasks: dict[int, tuple[int, int]]
    """The report's table: pid → pages of rss, swap and page tables together; oom_score_adj."""
    rows: dict[int, str]
    """The same, as it was written."""


_SUMMARY = re.compile(
    r"oom-kill:constraint=(\w+).*?(?:,oom_memcg=(.*?))?,(?:global_oom,)?task_memcg"
)
_VICTIM = re.compile(r"[Oo]ut of memory: Killed process (\d+) ")
_ROW = re.compile(r"\[ *(\d+)\] +\d+ +\d+ +\d+ +(\d+) .*?(\d+) +(\d+) +(-?\d+) \S")


class KernelLog:
    """What the kernel says from now on."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._tasks: dict[int, tuple[int, int]] = {}
        self._rows: dict[int, str] = {}
        self._summary: tuple[str, str] | None = None

    def kills(self) -> list[Kill]:
        """Return the first victims of the shortages since the last call."""
        found: list[Kill] = []
        while True:
            try:
                record = os.read(self._fd, 8192).decode(errors="replace")
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return found
                if error.errno == errno.EPIPE:
                    continue
                raise
            text = record.partition(";")[2].partition("\n")[0]
            if " invoked oom-killer: " in text:
                self._tasks, self._rows = {}, {}
            elif row := _ROW.match(text):
                pid, rss, tables, swap, adj = (int(x) for x in row.groups())
                self._tasks[pid] = rss + swap + tables // 4096, adj
                self._rows[pid] = text
            elif summary := _SUMMARY.match(text):
                self._summary = summary[1], summary[2] or ""
            elif (victim := _VICTIM.search(text)) and self._summary:
                # The members of a group that dies as one follow without a summary of their own.
                found.append(Kill(int(victim[1]), *self._summary, self._tasks, self._rows))
                self._summary = None


class Nursery:
    """Starts populations and follows their processes."""

    def __init__(self) -> None:
        Path(SOCKET).parent.mkdir(exist_ok=True)
        Path(SOCKET).unlink(missing_ok=True)
        UNITS.mkdir(exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(SOCKET)
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.peers: dict[int, Peer] = {}
        self._answered: set[int] = set()

    def start(self, one: Population, log: KernelLog, timeout: float = 120) -> bool:
        """Start its units; return whether all of its processes have come, and none was killed."""
        (UNITS / one.slice).write_text(one.slice_text())
        expected = 0
        for nest in one.nests:
            spec: dict[str, object] = {"unit": nest.name, "groups": nest.groups}
            spec["processes"] = [asdict(member) for member in nest.members]
            (Path(SOCKET).parent / nest.name).write_text(json.dumps(spec))
            (UNITS / nest.name).write_text(nest.text(one.slice))
            expected += 1 + len(nest.members)
        systemctl("start", "--no-block", one.slice, *(n.name for n in one.nests))
        deadline = time.monotonic() + timeout
        names = {n.name for n in one.nests}
        while sum(p.unit in names for p in self.peers.values()) < expected:
            self.listen(0.2)
            if log.kills() or time.monotonic() > deadline:
                return False
        return True

    def grow(self, peer: Peer, size: int, timeout: float = 60) -> bool:
        """Have a process take so many bytes more; return False if it is gone, or stuck."""
        self._answered.discard(peer.pid)
        try:
            peer.socket.sendall(b"grow %d\n" % size)
        except OSError:
            return False
        deadline = time.monotonic() + timeout
        while peer.pid in self.peers and peer.pid not in self._answered:
            self.listen(0.05)
            if time.monotonic() > deadline:
                return False
        return peer.pid in self._answered

    def listen(self, timeout: float) -> None:
        """Take in who comes, who has done as told, and who is gone."""
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                connection, _ = self._listener.accept()
                connection.settimeout(10)
                unit, name, pid = connection.recv(256).decode().split()
                peer = Peer(int(pid), unit, name, connection)
                self.peers[peer.pid] = peer
                self._selector.register(connection, selectors.EVENT_READ, peer)
                continue
            peer = key.data
            try:
                said = peer.socket.recv(64)
            except OSError:
                said = b""
            if said:
                self._answered.add(peer.pid)
            else:
                self._selector.unregister(peer.socket)
                peer.socket.close()
                self.peers.pop(peer.pid, None)

    def end(self, one: Population) -> None:
        """Stop what is left of it."""
        names = [n.name for n in one.nests]
        systemctl("stop", *names, one.slice, check=False)
        systemctl("reset-failed", *names, check=False)
        for name in (*names, one.slice):
            (UNITS / name).unlink(missing_ok=True)
            (Path(SOCKET).parent / name).unlink(missing_ok=True)
        deadline = time.monotonic() + 30
        while any(p.unit in names for p in self.peers.values()) and time.monotonic() < deadline:
            self.listen(0.2)


def systemctl(*words: str, check: bool = True) -> str:
    """Run systemctl; return what it prints."""
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"systemctl {' '.join(words)}: {done.stderr}")
    return done.stdout


def shown(unit: str) -> dict[str, str]:
    """Return what becomes of a unit, as systemd has it."""
    text = systemctl("show", "-p", "ActiveState,SubState,MainPID,NRestarts,Result", "--", unit)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def number(path: Path, otherwise: int = 0) -> int:
    """Return a file's number; infinity and what is gone are ``otherwise``."""
    try:
        text = path.read_text().strip()
    except OSError:
        return otherwise
    return otherwise if text == "max" else int(text)


def meminfo() -> dict[str, int]:
    """Return /proc/meminfo, bytes."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}
