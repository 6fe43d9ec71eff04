"""The whole program on a terminal of its own: what is sent, and how it leaves."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT = b"\x1b[?1049l"
"""The other screen is left."""


SEQUENCE = re.compile(r"\x1b\[([?>]?)([\d;]*)([A-Za-z])|\x1b\[\?\d+\$p|([^\x1b])")


Cells = dict[tuple[int, int], str]


def moved(cells: Cells, first: int, last: int, by: int) -> Cells:
    """Return the cells after lines were inserted or deleted within a region that scrolls."""
    after = {at: cell for at, cell in cells.items() if not first <= at[0] <= last}
    for (y, x), cell in cells.items():
        if first <= y <= last and first <= y + by <= last:
            after[y + by, x] = cell
    return after


def screen(sent: bytes) -> list[str]:
    """Return what a terminal shows after all that, as far as we use what it can do."""
    cells: Cells = {}
    x = y = 0
    last = 999  # of the region that scrolls
    for private, numbers, command, character in SEQUENCE.findall(sent.decode("utf-8", "replace")):
        given = [int(n or 1) for n in numbers.split(";")] if numbers else [1]
        if character:
            cells[y, x] = character
            x += 1
        elif command == "H" and not private:
            y, x = given[0] - 1, (given[1] if len(given) > 1 else 1) - 1
        elif command == "G":
            x = given[0] - 1
        elif command == "r":
            last = given[1] - 1 if numbers else 999
            x = y = 0
        elif command in {"L", "M"}:
            cells = moved(cells, y, last, given[0] if command == "L" else -given[0])
        elif private and command in "hl" and given == [1049]:
            cells.clear()
    height = max((at[0] for at in cells), default=0) + 1
    width = max((at[1] for at in cells), default=0) + 1
    return ["".join(cells.get((at, to), " ") for to in range(width)) for at in range(height)]


class Terminal:
    size = 80, 24

    def __init__(self, *options: str, program: str = "lowmem_tui", **environment: str) -> None:
        self.sent = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:  # pragma: no cover - the child
            # As a login shell has them, however the tests were started (nohup, `&`).
            for number in (signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment})
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *self.size[::-1], 0, 0))
            os.execv(sys.executable, [sys.executable, "-m", program, "--demo", *options])

    def read(self, seconds: float) -> bytes:
        """Take what is sent within a time."""
        start, end = len(self.sent), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.sent += os.read(self.master, 65536)
                except OSError:
                    break
        return self.sent[start:]

    def until(self, text: str, limit: float = 60) -> None:
        """Wait until this can be read on the screen."""
        end = time.monotonic() + limit
        while text not in "\n".join(shown := screen(self.sent)):
            assert time.monotonic() < end, f"{text!r} did not come:\n" + "\n".join(shown)
            self.read(0.1)

    def type(self, keys: bytes, answer: str) -> None:
        os.write(self.master, keys)
        self.until(answer)

    def ended(self) -> int:
        """Wait for the end; return the exit status."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError("it does not end")

    def switches(self) -> int:
        """How often its threads were woken."""
        total = 0
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/status") as status:
                total += sum(
                    int(line.split()[1]) for line in status if line.startswith("voluntary")
                )
        return total

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    found.until("cloudchat.service")
    yield found
    found.close()


def test_keys_resize_and_leaving(terminal: Terminal) -> None:
    terminal.type(b"/", " Find: ")
    terminal.type(b"redis", " Find: redis ")
    terminal.type(b"\x1b", "F1 Help")
    terminal.type(b"\x1bOR\xff\xc3", " Find: ")  # F3, and bytes that are no UTF-8
    terminal.type(b"\x1b", "F1 Help")
    terminal.type(b"\x1b[17~", "Sort by")  # F6
    terminal.type(b"\x1b", " Next OOM victim")
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    os.kill(terminal.pid, signal.SIGWINCH)
    terminal.until("PEAK")
    end = time.monotonic() + 60
    while len(screen(terminal.sent)) != 40:  # it is painted in pieces
        assert time.monotonic() < end
        terminal.read(0.1)
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0
    assert LEFT in terminal.sent
    assert b"Traceback" not in terminal.sent


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (b"/redis", " Find: redis "),
        (b"\\redis", " Filter: redis "),
        (b"/redis\r\r", "Advanced key-value store"),  # the page of the unit that was found
        (b"/q\x1b", "F1 Help"),  # q is for the prompt, not for leaving
    ],
)
def test_keys_that_come_in_one_burst_are_taken_in_order(
    terminal: Terminal, keys: bytes, answer: str
) -> None:
    """As on a slow line, where a second's typing arrives at once."""
    terminal.type(keys, answer)
    terminal.read(0.3)
    assert terminal.pid and os.waitpid(terminal.pid, os.WNOHANG) == (0, 0)


def test_a_signal_restores_the_terminal(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended() == 143
    assert LEFT in terminal.sent


def test_it_does_not_outlive_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    terminal = Terminal()
    signal.signal(signal.SIGHUP, before)
    terminal.until("cloudchat.service")
    os.close(terminal.master)
    end = time.monotonic() + 60
    while not os.waitpid(terminal.pid, os.WNOHANG)[0]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_to_the_shell_and_back(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGTSTP)
    end = time.monotonic() + 60
    while LEFT not in terminal.sent:
        assert time.monotonic() < end, "it did not leave the screen"
        terminal.read(0.1)
    terminal.read(0.5)
    assert "cloudchat.service" not in "\n".join(screen(terminal.sent))
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until("cloudchat.service")
    terminal.until("F1 Help")
    terminal.type(b"/", " Find: ")
    os.write(terminal.master, b"\x03")
    assert terminal.ended() == 0


def test_little_is_sent_and_nobody_is_woken_for_nothing(terminal: Terminal) -> None:
    terminal.read(3)
    before, started = terminal.switches(), time.monotonic()
    sent = terminal.read(6)
    lasted = time.monotonic() - started
    assert len(sent) / lasted < 1000
    assert (terminal.switches() - before) / lasted < 15, "wake-ups a second, of all threads"


@pytest.mark.parametrize("keys", ["", "setup"])
def test_ascii(keys: str) -> None:
    terminal = Terminal("--ascii", NO_COLOR="1")
    try:
        terminal.until("cloudchat.service")
        if keys:
            terminal.type(b"\x1bOQ", "Guided set-up")  # F2
            terminal.until("R Report")
        terminal.read(1)
        assert terminal.sent.isascii()
        styles = {
            n for found in re.findall(rb"\x1b\[([\d;]*)m", terminal.sent) for n in found.split(b";")
        }
        assert styles <= {b"", b"0", b"1", b"2", b"4", b"7"}
    finally:
        terminal.close()


def attributes(sent: bytes, line: int, column: int) -> set[str]:
    """Return the SGR parameters of a cell, by what was written there last."""
    x = y = 0
    style, found = "", ""
    for private, numbers, command, character in SEQUENCE.findall(sent.decode("utf-8", "replace")):
        if character:
            if (y, x) == (line, column):
                found = style
            x += 1
        elif command == "H" and not private:
            given = [int(n or 1) for n in numbers.split(";")] if numbers else [1]
            y, x = given[0] - 1, (given[1] if len(given) > 1 else 1) - 1
        elif command == "G":
            x = int(numbers or 1) - 1
        elif command == "m":
            style = numbers
    return set(found.split(";")) - {"", "0"}


ANYWHERE = {
    **{term: ((), {"TERM": term}) for term in ("linux", "xterm", "xterm-256color", "screen")},
    "tmux-256color": ((), {"TERM": "tmux-256color"}),
    "truecolor": ((), {"COLORTERM": "truecolor"}),
    "NO_COLOR": ((), {"NO_COLOR": "1"}),
    "ascii": (("--ascii",), {"TERM": "linux"}),
}


@pytest.mark.parametrize(("options", "environment"), ANYWHERE.values(), ids=list(ANYWHERE))
def test_the_cursor_of_the_form_is_the_two_colours_of_the_terminal_turned_round(
    options: tuple[str, ...], environment: dict[str, str]
) -> None:
    terminal = Terminal(*options, **environment)
    try:
        terminal.until("cloudchat.service")
        terminal.type(b"/redis\r\r", "[               ]")
        terminal.until("-100 to 100")
        for typed in ("", "9"):
            os.write(terminal.master, typed.encode())
            terminal.until(f"[{typed} ")
            terminal.read(0.3)
            shown = screen(terminal.sent)
            y = next(y for y, text in enumerate(shown) if "OOMScoreAdjust " in text and "[" in text)
            x = shown[y].index("[") + 1 + len(typed)
            assert attributes(terminal.sent, y, x) == {"7"}
            assert attributes(terminal.sent, y, x + 1) == set()
    finally:
        terminal.close()


def test_a_long_paste_is_cut_and_reported_and_half_a_character_ends_nothing(
    terminal: Terminal,
) -> None:
    terminal.type(b"\\", " Filter: ")
    os.write(terminal.master, b"\xc3")
    terminal.read(0.3)
    terminal.type(b"\xa9", " Filter: \u00e9")
    terminal.type(b"\x15", "Enter keep")
    os.write(terminal.master, b"\x1b[200~")
    for _ in range(50):
        os.write(terminal.master, b"red\x1b[31m" * 200)
        terminal.read(0.01)
    terminal.type(b"\x1b[201~", "Cut: 80 characters at most.")
    terminal.type(b"\x15", "Enter keep")
    terminal.type(b"\x1b[200~redis\nrm\x1b[201~", "Only the first line of the paste")
    terminal.type(b"\r", "UNIT with 'redis'")
