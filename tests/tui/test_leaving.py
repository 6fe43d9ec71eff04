"""The line is cut, a signal comes, or the operator leaves, while a change is being made."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.tui.test_terminal import LEFT, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "/etc/systemd/system/redis-server.service.d"
OURS = f"{FOLDER}/zz-lowmem-tui.conf"
TRIED = f"{FOLDER.replace('/etc', '/run')}/zzz-lowmem-tui-trial.conf"
MIB = 1 << 20
WORKING = "Working… systemd is reloading"
F8 = b"\x1b[19~"


class Doing(NamedTuple):
    """A change that the screen makes, and what is found after it was put back, and was made."""

    keys: tuple[tuple[bytes, str], ...]
    put_back: dict[str, Any]
    made: dict[str, Any]
    trial: str = ""


def left(states: list[str], limit: int, *files: str) -> dict[str, Any]:
    return {"states": states, "limit": limit * MIB, "files": [*files]}


FORM = (
    (b"/redis\r\r", "Advanced key-value store"),
    (b"\t", "our file sets"),
    (b"400M", "MemoryMax: 400M"),
    (F8, "A Permanently"),
)
DOINGS = {
    "apply": Doing(
        (*FORM, (b"A", "Apply permanently"), (b"y", WORKING)),
        left(["failed", "applied"], 300, OURS),
        left(["applied", "applied"], 400, OURS),
    ),
    "try": Doing(
        (*FORM, (b"a", WORKING)),
        left(["failed", "applied"], 300, OURS),
        left(["trial", "applied"], 400, TRIED, OURS),
    ),
    "undo": Doing(
        ((b"H", "u Undo"), (b"u", "y undoes it"), (b"y", WORKING)),
        left(["failed", "applied"], 300, OURS),
        left(["applied", "undone"], 256),
    ),
    "keep": Doing(
        ((F8, "y Keep"), (b"y", "Working… this may take")),
        left(["trial"], 300, TRIED),
        left(["confirmed"], 300, OURS),
        trial="1",
    ),
}


class Busy:
    """The program, in the middle of a change."""

    def __init__(self, doing: Doing, path: Path, **environment: str) -> None:
        self._path = path
        more = {"TRIAL": doing.trial} if doing.trial else {}
        self.terminal = Terminal(program="tests.tui.slow", LEFT=f"{path}", **more, **environment)
        self.terminal.until("cloudchat.service")
        for keys, answer in doing.keys:
            self.terminal.read(0.7)  # what is typed ahead is not taken
            self.terminal.type(keys, answer)
        self.terminal.read(0.3)

    def left(self) -> dict[str, Any]:
        """Wait for its end; return what is there then, without the exit status."""
        end = time.monotonic() + 60
        while not os.waitpid(self.terminal.pid, os.WNOHANG)[0]:
            assert time.monotonic() < end, "it does not end"
            time.sleep(0.05)
        self.terminal.pid = 0
        found: dict[str, Any] = json.loads(self._path.read_text())
        self.status = found.pop("status")
        return found

    @property
    def words(self) -> str:
        """What it said after the screen had gone."""
        return " ".join(self.terminal.sent.rpartition(LEFT)[2].decode().split())


@pytest.fixture
def apply(tmp_path: Path) -> Iterator[Busy]:
    busy = Busy(DOINGS["apply"], tmp_path / "left")
    yield busy
    busy.terminal.close()


@pytest.mark.parametrize("doing", DOINGS.values(), ids=DOINGS)
def test_a_lost_connection_rolls_the_change_back(doing: Doing, tmp_path: Path) -> None:
    busy = Busy(doing, tmp_path / "left")
    os.close(busy.terminal.master)
    assert busy.left() == doing.put_back


@pytest.mark.parametrize("doing", [DOINGS["apply"], DOINGS["keep"]], ids=["apply", "keep"])
def test_leaving_waits_for_the_change_and_tells(doing: Doing, tmp_path: Path) -> None:
    busy = Busy(doing, tmp_path / "left")
    busy.terminal.type(b"\x03", "Quit when it has ended? y/n")
    os.write(busy.terminal.master, b"y")
    assert busy.terminal.ended() == 0
    assert "is finished first" in busy.words
    assert "Verified: the files, systemd and the kernel agree." in busy.words
    found = json.loads((tmp_path / "left").read_text())
    assert found == {"status": 0, **doing.made}
    busy.terminal.close()


def test_a_change_that_fails_behind_who_leaves(tmp_path: Path) -> None:
    busy = Busy(DOINGS["apply"], tmp_path / "left", FAIL="1")
    os.write(busy.terminal.master, b"\x03\x03")
    assert busy.terminal.ended() == 6
    assert "systemd would not reload: try again." in busy.words
    assert "The change was rolled back: everything has its previous value." in busy.words
    busy.terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_rolls_it_back_and_reports_it(apply: Busy, number: signal.Signals) -> None:
    os.kill(apply.terminal.pid, number)
    os.kill(apply.terminal.pid, number)
    assert apply.terminal.ended() == 128 + number
    assert "rolled back first" in apply.words
    assert "It was interrupted (by you): run it again." in apply.words
    assert "The change was rolled back: everything has its previous value." in apply.words


def test_control_c_while_it_waits_rolls_it_back(apply: Busy) -> None:
    os.write(apply.terminal.master, b"\x03\x03")
    while "is finished first" not in apply.words:
        apply.terminal.read(0.05)
    os.write(apply.terminal.master, b"\x03")
    assert apply.terminal.ended() == 130
    assert "everything has its previous value" in apply.words


def test_control_z_does_not_stop_it(apply: Busy) -> None:
    os.write(apply.terminal.master, b"\x1a")
    apply.terminal.until("Applied")
    os.write(apply.terminal.master, b"\x1a")
    while LEFT not in apply.terminal.sent:
        apply.terminal.read(0.1)
    os.kill(apply.terminal.pid, signal.SIGCONT)
