"""The first frame: before Textual is loaded, and what Textual shows afterwards is the same."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual.strip import Strip

from lowmem_tui.model.cells import width_of
from lowmem_tui.tui.terminal import looks
from lowmem_tui.tui.terminal.first_keys import quits
from lowmem_tui.tui.terminal.palette import style
from tests.tui.test_terminal import LEFT, SEQUENCE, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTUAL = b"\x1b[?1003h"
"""Textual has begun: it asks for the mouse."""

CURSOR = b"\x1b[?25h"
CTRL_L = b"\x0c"

WAITS = """\
import os, sys, time
with open(os.environ["LOADED"], "w") as file:
    file.write("\\n".join(sys.modules))
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.01)
sys.path.remove(os.path.dirname(os.path.dirname(__file__)))
del sys.modules["textual"]
import textual
"""
"""A Textual that is as slow to load as a test wants it."""


class Slow:
    """A program whose Textual is loaded when ``go`` says so."""

    def __init__(self, folder: Path) -> None:
        (folder / "textual").mkdir()
        (folder / "textual" / "__init__.py").write_text(WAITS)
        self.go, self.loaded = folder / "go", folder / "loaded"
        self.environment = {
            "PYTHONPATH": str(folder),
            "GO": str(self.go),
            "LOADED": str(self.loaded),
        }
        self.terminals: list[Terminal] = []

    def start(self, *options: str) -> Terminal:
        terminal = Terminal(*options, **self.environment)
        self.terminals.append(terminal)
        return terminal


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    found = Slow(tmp_path)
    yield found
    for terminal in found.terminals:
        terminal.close()


TITLES = re.compile(r"\x1b\][^\x07]*\x07")
"""What is not for the screen itself (OSC): the shape of the pointer."""

Styled = dict[tuple[int, int], tuple[str, str]]


def styled(sent: bytes) -> Styled:
    """Return each cell: its character and its SGR parameters."""
    cells: Styled = {}
    x = y = 0
    sgr = ""
    text = TITLES.sub("", sent.decode())
    for private, numbers, command, character in SEQUENCE.findall(text):
        if character:
            cells[y, x] = character, sgr
            x += width_of(character)
        elif command == "H" and not private:
            given_ = [int(n or 1) for n in numbers.split(";")] if numbers else [1, 1]
            y, x = given_[0] - 1, given_[1] - 1
        elif command == "G":
            x = int(numbers or 1) - 1
        elif command == "m":
            sgr = numbers.removeprefix("0;")
    return cells


EVERYWHERE: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "english": ((), {}),
    "chinese": (("--lang", "zh_CN"), {}),
    "no colour": (("--read-only",), {"NO_COLOR": ""}),
    "ascii": (("--ascii",), {}),
    "console": (("--lang=zh_CN",), {"TERM": "linux"}),
}


@pytest.mark.parametrize("size", [(80, 24), (120, 35), (40, 12)], ids=str)
@pytest.mark.parametrize(("options", "environment"), EVERYWHERE.values(), ids=list(EVERYWHERE))
def test_textual_shows_the_same_and_sends_nothing_of_it_again(
    options: tuple[str, ...], environment: dict[str, str], size: tuple[int, int]
) -> None:
    class Sized(Terminal):
        pass

    Sized.size = size
    # No other look comes while this lasts.
    terminal = Sized("--interval", "60", *options, **environment)
    try:
        terminal.until("F10")
        while TEXTUAL not in terminal.sent:
            terminal.read(0.05)
        begun = terminal.sent.index(TEXTUAL)
        frame = styled(terminal.sent[:begun])
        assert len({y for y, _ in frame}) == size[1]
        os.write(terminal.master, CTRL_L)  # all of it once more, by Textual
        end = time.monotonic() + 60
        while (whole := styled(terminal.sent[begun:])).keys() != frame.keys():
            assert time.monotonic() < end, whole
            terminal.read(0.1)
        assert whole == frame
    finally:
        terminal.close()


def test_nothing_is_sent_twice(slow: Slow) -> None:
    terminal = slow.start("--interval", "60")
    terminal.until("cloudchat.service")
    terminal.read(0.2)
    before = len(terminal.sent)
    os.write(terminal.master, b"j")
    slow.go.touch()
    terminal.until("systemd-journald.service")
    while b"\x1b[6;1H" not in terminal.sent[before:]:  # the cursor has moved
        terminal.read(0.1)
    cells = styled(terminal.sent[before:])
    assert {y for y, _ in cells} == {4, 5}, "two lines, for the cursor"
    assert LEFT not in terminal.sent
    assert terminal.sent.count(b"\x1b[?1049h") == 1


@pytest.mark.parametrize("keys", [b"q", b"\x03", b"\x11", b"\x1b[21~", b"jj\x1b[Bq", b"/q\x03"])
def test_quitting_needs_no_textual_and_leaves_the_terminal_as_it_was(
    keys: bytes, slow: Slow
) -> None:
    terminal = slow.start()
    before = termios.tcgetattr(terminal.master)
    terminal.until("cloudchat.service")
    assert termios.tcgetattr(terminal.master) != before
    os.write(terminal.master, keys)
    assert terminal.ended() == 0
    assert terminal.sent.endswith(LEFT + CURSOR)
    assert termios.tcgetattr(terminal.master) == before


def test_a_signal_before_textual_restores_the_terminal(slow: Slow) -> None:
    terminal = slow.start()
    before = termios.tcgetattr(terminal.master)
    terminal.until("cloudchat.service")
    while not slow.loaded.exists():
        terminal.read(0.05)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended() == 143
    assert LEFT + CURSOR in terminal.sent
    assert b"Traceback" not in terminal.sent
    assert termios.tcgetattr(terminal.master) == before


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (b"/redis", " Find: redis "),
        (b"/redis\r\r", "Advanced key-value store"),
        (b"\\q", " Filter: q "),
        (b"K", "Incidents"),
    ],
)
def test_keys_typed_before_are_done_in_order_when_the_screen_is_there(
    keys: bytes, answer: str, slow: Slow
) -> None:
    terminal = slow.start()
    terminal.until("cloudchat.service")
    for key in keys:
        os.write(terminal.master, bytes((key,)))
    terminal.read(0.3)
    assert os.waitpid(terminal.pid, os.WNOHANG) == (0, 0)
    slow.go.touch()
    terminal.until(answer)
    os.write(terminal.master, b"\x03")
    assert terminal.ended() == 0


def test_the_first_frame_follows_the_size_of_the_terminal(slow: Slow) -> None:
    terminal = slow.start()
    terminal.until("cloudchat.service")
    for columns, lines in ((120, 35), (40, 12), (10, 3), (80, 24)):
        before = len(terminal.sent)
        fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.kill(terminal.pid, signal.SIGWINCH)
        wanted = (lines - 1, columns - 1) if columns > 10 else None
        while wanted and wanted not in styled(terminal.sent[before:]):
            terminal.read(0.1)
    slow.go.touch()
    terminal.type(b"/redis", " Find: redis ")
    os.write(terminal.master, b"\x03")
    assert terminal.ended() == 0


@pytest.mark.parametrize("term", ["", "unknown"])
def test_without_a_known_terminal_textual_paints_the_first_frame(term: str) -> None:
    terminal = Terminal(TERM=term)
    try:
        terminal.until("cloudchat.service")
        assert terminal.sent.index(TEXTUAL) < terminal.sent.index(b"cloudchat.service")
        os.write(terminal.master, b"q")
        assert terminal.ended() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (b"q", True),
        (b"jGq", True),
        (b"/q", False),
        (b"\rq", False),
        (b"Hq", False),
        (b"\x1b[200~q\x03\x1b[201~", False),
        (b"\x1b[200~\x03", False),
        (b"\x1b[200~x\x1b[201~\x03", True),
        (b"\x1bOA\x1b[6~q", True),
        (b"", False),
    ],
)
def test_what_means_to_quit(typed: bytes, expected: bool) -> None:
    assert quits(typed) is expected


@given(st.binary(max_size=200))
def test_whatever_is_typed_is_read(typed: bytes) -> None:
    quits(typed)


@pytest.mark.parametrize("look", dict.fromkeys([*looks.COLOUR, *looks.PLAIN]), ids=str)
def test_a_look_is_the_same_for_textual(look: looks.Look) -> None:
    rich = style(look)
    assert isinstance(rich, Style)
    assert (Strip.render_ansi(rich, None) if rich else "") == look.sgr
