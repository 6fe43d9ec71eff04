"""Whole programs on a pty of their own: what they paint, and what they cost."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import selectors
import signal
import struct
import termios
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS, ROWS = 120, 40
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Program:
    """What to start, and the text that tells that its first frame is there."""

    name: str
    argv: tuple[str, ...]
    painted: re.Pattern[bytes]
    env: dict[str, str] = field(default_factory=dict)
    typed: bytes = b""
    """What is typed before it has begun."""


class Running:
    """One program on a pty; ``pump`` must be called for it to be able to write."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started = time.perf_counter()
        self.pid, self.master = pty.fork()
        if self.pid == 0:  # pragma: no cover - the child
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup's children ignore it
            os.environ.update(
                TERM="xterm-256color", LANG="C.UTF-8", LC_ALL="C.UTF-8", COLORTERM="", **program.env
            )
            size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execvp(program.argv[0], program.argv)
        os.set_blocking(self.master, False)
        os.write(self.master, program.typed)
        self.written = 0
        self.first_frame: float | None = None
        self._seen = b""

    def pump(self) -> None:
        """Read what has been written."""
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except BlockingIOError:
                return
            except OSError:
                return
            if not chunk:
                return
            self.written += len(chunk)
            if self.first_frame is None:
                self._seen += chunk
                if self.program.painted.search(self._seen):
                    self.first_frame = time.perf_counter() - self.started
                    self._seen = b""

    def cpu(self) -> float:
        """Return the seconds of processor used so far, its ended children included."""
        fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS

    def work(self) -> float:
        """Return the seconds of processor used so far by its threads, to the nanosecond."""
        used = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError):  # a thread that has just ended
                used += int((thread / "schedstat").read_text().split()[0])
        return used / 1e9

    def pss(self) -> int:
        """Return the proportional set size, in bytes."""
        return self._rollup("Pss")

    def anonymous(self) -> int:
        """Return what no other process shares, in bytes: PSS moves with who else runs Python."""
        return self._rollup("Anonymous")

    def _rollup(self, name: str) -> int:
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(
            int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(f"{name}:")
        )

    def stop(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.master)
        os.waitpid(self.pid, 0)


def pump_all(programs: Sequence[Running], seconds: float) -> None:
    """Let programs run for a while, taking what they write."""
    selector = selectors.DefaultSelector()
    for program in programs:
        selector.register(program.master, selectors.EVENT_READ, program)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            key.data.pump()
    selector.close()


def first_frame(program: Program, limit: float = 20.0) -> tuple[float, float]:
    """Start a program, and return the seconds until its first frame, and those of processor.

    On a machine that is busy with other things the second errs less.
    """
    running = Running(program)
    end = time.monotonic() + limit
    try:
        while running.first_frame is None:
            if time.monotonic() > end:
                raise RuntimeError(f"{program.name} painted nothing in {limit} s")
            pump_all([running], 0.002)
        return running.first_frame, running.work()
    finally:
        running.stop()


def instructions(program: Program, log: Path, limit: float = 300.0) -> int:
    """Return the instructions until its first frame, as valgrind counts them.

    They are the same on a machine that is busy; what the kernel does is not among them.
    """
    counted = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    argv = (*counted, f"--log-file={log}", *program.argv)
    running = Running(replace(program, argv=argv))
    end = time.monotonic() + limit
    while running.first_frame is None:
        if time.monotonic() > end:
            raise RuntimeError(f"{program.name} painted nothing in {limit} s")
        pump_all([running], 0.01)
    os.kill(running.pid, signal.SIGHUP)
    while not os.waitpid(running.pid, os.WNOHANG)[0]:
        pump_all([running], 0.05)
    os.close(running.master)
    found = re.search(r"Collected : (\d+)", log.read_text())
    if found is None:
        raise RuntimeError(f"valgrind has not counted: {log.read_text()}")
    return int(found[1])
