"""`--plain` as a program: on a pty and through pipes, byte by byte; signals, and lost lines."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command

ROOT = Path(__file__).parents[2]

HOSTILE = r"""
import signal, sys
from dataclasses import replace
from lowmem_tui.cli import open as opening
from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.server import DemoServer

EVIL = "\x1b[2Jevil\x07\u202e\x9b31m\r\n\x1b]0;title\x07{name}{{}}%s\udcff.service"

class Hostile:
    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def look(self):
        found = self.real.look()
        units = dict(found.units)
        unit = units["cloudchat.service"]
        processes = tuple(
            p._replace(name="\x1b[31m" + p.name, command="\x1b]52;c;" + "\x07" * 3)
            for p in unit.usage.processes
        )
        properties = replace(unit.properties, name=EVIL, description="\x1b[8m\x00\x7f\x85" * 3)
        units[EVIL] = replace(
            unit, name=EVIL, properties=properties, usage=unit.usage._replace(processes=processes)
        )
        host = found.host._replace(hostname="\x1b[1mweb\x07")
        return replace(found, units=units, host=host)

backend = serve(DemoServer())
backend._watcher = Hostile(backend._watcher)
opening.open_backend = lambda *_, **__: backend
"""

PLAIN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
for each in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(each, signal.SIG_DFL)
from lowmem_tui.cli.main import run_command
status = run_command(sys.argv[1:])
sys.exit(status)
"""

RELOADS = """
import os, signal
from unittest import mock
from lowmem_tui.cli import open as opening
from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.demo.ports import DemoManager

server = DemoServer()
opening.open_backend = lambda *_, **__: serve(server)
real, first = DemoManager.reload, []

def reload(self):
    real(self)
    if not first:
        first.append(True)
        os.kill(os.getpid(), {number})

mock.patch.object(DemoManager, "reload", reload).start()
import atexit
atexit.register(lambda: print(sorted(p for p in server.disk.entries if "zz" in p)))
"""

TRIAL = ("edit redis", "MemoryMax", "300M", "0", "apply", "1")
JOBS = (
    *("triage", "list", "unit cloudchat", "list evil", "unit 1", "edit 1", "1", "-100", "0"),
    *("staged", "0", "review", "whatif", "incidents", "check", "?", "unit \x1b[A\x07", "0"),
    *("setup units", "0", "0", "apply", "0", "history", "q", "yes"),
)


class Program:
    """One on a pty of its own."""

    def __init__(self, *words: str, before: str = "", term: str = "dumb") -> None:
        self.seen = b""
        self.status: int | None = None
        self.pid, self.master = pty.fork()
        if not self.pid:  # pragma: no cover - the child
            os.chdir(ROOT)
            os.environ.update(TERM=term, LC_ALL="C.UTF-8", PYTHONPATH=str(ROOT))
            os.execv(sys.executable, [sys.executable, "-c", before + PLAIN, *words])
        mode = termios.tcgetattr(self.master)
        mode[3] &= ~termios.ECHO  # what is typed is not the program's output
        termios.tcsetattr(self.master, termios.TCSANOW, mode)

    def until(self, pattern: bytes) -> bytes:
        """Read until this was printed, from here on."""
        start, end = len(self.seen), time.monotonic() + 60
        while not re.search(pattern, self.seen[start:]):
            assert time.monotonic() < end, self.seen[-2000:]
            if not select.select([self.master], [], [], 1)[0]:
                continue
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece
        return self.seen[start:].replace(b"\r\n", b"\n")

    def type(self, line: str) -> bytes:
        """Type a line, and return what is answered."""
        os.write(self.master, line.encode() + b"\n")
        return self.until(rb"> \Z")

    def end(self) -> int:
        """Return its status when it has ended."""
        end = time.monotonic() + 60
        while not (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < end
            time.sleep(0.02)
        return os.waitstatus_to_exitcode(found[1])


def harmless(raw: bytes) -> bool:
    """Tell whether bytes are nothing but printable text and ends of lines."""
    text = raw.decode("utf-8")
    return all(char.isprintable() or char in "\r\n" for char in text)


def piped(
    typed: str, *words: str, before: str = "", **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", before + PLAIN, *words],
        input=typed.encode(),
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8", **env},
        timeout=120,
        check=False,
    )


# --- the bytes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_no_control_sequence_on_a_terminal(term: str) -> None:
    program = Program("--plain", before=HOSTILE, term=term)
    program.until(rb"> \Z")
    for line in JOBS[:-2]:
        program.type(line)
    program.type("q")
    os.write(program.master, b"yes\n")
    program.until(rb"never")
    assert program.end() == Exit.DONE
    assert b"evil" in program.seen
    assert harmless(program.seen)


def test_a_yes_that_was_typed_ahead_answers_no_question() -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    program.type("edit redis-server.service")
    program.type("MemoryMax")
    program.type("300M")
    program.type("0")
    os.write(program.master, b"q\nyes\n")
    program.until(rb"Type the word yes\.\s+> \Z")
    program.type("no")
    os.write(program.master, b"q\n")
    program.until(rb"Type the word yes\.\s+> \Z")
    os.write(program.master, b"yes\n")
    program.until(rb"never")
    assert program.end() == Exit.DONE


def test_no_control_sequence_through_a_pipe() -> None:
    done = piped("\n".join(JOBS) + "\n", "--plain", before=HOSTILE)
    assert done.returncode == Exit.DONE, done.stderr
    assert b"evil" in done.stdout
    assert harmless(done.stdout) and harmless(done.stderr)


def test_ascii_alone_where_the_locale_has_no_more() -> None:
    done = piped("list\nunit 1\nincidents\nq\n", "--plain", "--demo", LC_ALL="C")
    assert done.returncode == Exit.DONE
    assert done.stdout.isascii()


def test_a_line_is_wrapped_between_words_on_a_terminal() -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    lines = program.type("check").split(b"\n")
    os.write(program.master, b"q\n")
    assert program.end() == Exit.DONE
    assert max(map(len, lines)) <= 80


def test_neither_readline_nor_the_screens_library_is_loaded() -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n" + PLAIN
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--plain", "--demo"],
        input=b"edit redis\n1\n5\n0\napply\n1\nconfirm\nsetup\n0\nincidents\nwhatif\nq\n",
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.decode().split()}
    assert not loaded & {"readline", "curses", "textual", "rich", "jeepney", "psutil"}


# --- the terminal that can do no more -----------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "command"),
    [((), "lowmem-tui --demo --plain"), (("setup",), "lowmem-tui --demo setup --plain")],
)
def test_a_dumb_terminal_is_named_the_option(words: tuple[str, ...], command: str) -> None:
    program = Program("--demo", *words, term="dumb")
    said = program.until(rb"never")
    assert program.end() == Exit.USAGE
    assert f"`{command}`" in " ".join(said.decode().split())
    assert len(re.findall(rb"\.\s", said)) == 1


@pytest.mark.parametrize("command", ["list", "check", "history"])
def test_it_is_in_place_of_the_screen_alone(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["--plain", "--demo", command]) == Exit.USAGE
    assert "--plain replaces the screen" in capsys.readouterr().err


def test_the_interval_of_the_screen_is_no_mistake() -> None:
    done = piped("q\n", "--plain", "--demo", "--interval", "5", "--read-only", "--ascii")
    assert done.returncode == Exit.DONE


# --- ends ---------------------------------------------------------------------------------------


def test_control_d_ends_it_and_nothing_is_applied() -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    program.type("edit redis")
    os.write(program.master, b"\x04")
    assert program.end() == Exit.DONE


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_at_a_question_ends_it(number: signal.Signals) -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    program.type("edit redis")
    os.kill(program.pid, number)
    assert program.end() == 128 + number
    program.until(rb"never")
    assert b"Traceback" not in program.seen


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_change_that_a_signal_stops_is_rolled_back(number: signal.Signals) -> None:
    typed = "\n".join((*TRIAL, "history")) + "\n"
    done = piped(typed, "--plain", before=RELOADS.format(number=int(number)))
    assert done.returncode == 128 + number, done.stderr
    assert b"everything has its previous value" in done.stderr
    assert done.stdout.endswith(b"[]\n")


def test_control_c_in_a_change_rolls_it_back_and_the_edits_stay() -> None:
    typed = "\n".join((*TRIAL, "staged", "0", "q", "yes")) + "\n"
    done = piped(typed, "--plain", before=RELOADS.format(number=int(signal.SIGINT)))
    assert done.returncode == Exit.DONE, done.stderr
    assert b"Your edits are still staged." in done.stdout
    assert b"1 edit is staged." in done.stdout
    assert done.stdout.endswith(b"[]\n")


def test_control_c_twice_ends_it_where_edits_are_staged() -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    for line in TRIAL[:4]:
        program.type(line)
    os.kill(program.pid, signal.SIGINT)
    assert b"1 edit is still staged" in program.until(rb"> \Z")
    os.kill(program.pid, signal.SIGINT)
    assert program.end() == Exit.INTERRUPTED


def test_control_c_ends_it_where_nothing_is_lost() -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    os.kill(program.pid, signal.SIGINT)
    assert program.end() == Exit.INTERRUPTED


def test_a_lost_connection_ends_it_with_the_status_of_sighup() -> None:
    program = Program("--plain", "--demo")
    program.until(rb"> \Z")
    os.close(program.master)
    assert program.end() == Exit.HUNG_UP


def test_nobody_who_reads_is_no_fault() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PLAIN, "--plain", "--demo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as program:
        assert program.stdout is not None and program.stdin is not None
        program.stdout.readline()
        program.stdout.close()
        program.stdin.write(b"list\nlist\nlist\n" * 100)
        program.stdin.close()
        assert program.stderr is not None
        said = program.stderr.read()
        assert program.wait(60) == Exit.DONE
    assert said == b""
