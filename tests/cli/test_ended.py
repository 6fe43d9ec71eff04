"""A signal ends a command in order, with the status that tells which it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lowmem_tui.cli import ended
from lowmem_tui.cli.exit import Exit

SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]

APPLYING = """
import os, signal, sys, time
from unittest import mock
from lowmem_tui.cli import apply
from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.demo.ports import DemoManager

server = DemoServer()
real, first = DemoManager.reload, []

def reload(self):
    real(self)
    if not first:
        first.append(True)
        os.kill(os.getpid(), {number})

signal.signal(signal.SIGINT, signal.default_int_handler)
for each in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(each, signal.SIG_DFL)
apply.open_backend = lambda *_: serve(server)
with mock.patch.object(DemoManager, "reload", reload):
    status = run_command(["apply", "--yes", "--set", "redis-server.service:MemoryMax=300M"])
print(sorted(path for path in server.disk.entries if "lowmem-tui" in path))
sys.exit(status)
"""

WAITING = """
import signal, sys, time
from unittest import mock
from lowmem_tui.cli import list as listing
from lowmem_tui.cli.main import run_command

signal.signal(signal.SIGINT, signal.default_int_handler)
for each in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(each, signal.SIG_DFL)

def run(options):
    print("begun", flush=True)
    time.sleep(60)

with mock.patch.object(listing, "run", run):
    sys.exit(run_command(["list"]))
"""


def started(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_a_change_is_rolled_back_first(number: signal.Signals) -> None:
    with started(APPLYING.format(number=int(number))) as program:
        out, err = program.communicate(timeout=60)
    assert program.returncode == 128 + number
    assert f"It was interrupted ({number.name}): run it again. The change was rolled back" in err
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_says_so(number: signal.Signals) -> None:
    with started(WAITING) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.send_signal(number)
        _, err = program.communicate(timeout=60)
    assert program.returncode == Exit.by(number) == 128 + number
    assert err.endswith("; no change is incomplete.\n")
    assert "Traceback" not in err


def test_a_lost_connection_has_the_same_status() -> None:
    """Nobody reads what it says then, and that is no fault of its own."""
    master, slave = os.openpty()
    child = os.fork()
    if not child:
        os.close(master)
        os.setsid()
        for each in (0, 1, 2):
            os.dup2(slave, each)
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.execv(sys.executable, [sys.executable, "-c", WAITING])
    os.close(slave)
    seen = b""
    while b"begun" not in seen:
        seen += os.read(master, 100)
    os.close(master)
    end = time.monotonic() + 60
    while not (found := os.waitpid(child, os.WNOHANG))[0]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(found[1]) == 129


def test_what_is_ignored_stays_ignored_and_all_is_as_before() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    term = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(ended.Ended) as raised, ended.caught():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGTERM)
        assert ended.number_of(raised.value) is signal.SIGTERM
        assert ended.number_of(KeyboardInterrupt()) is signal.SIGINT
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, term)
