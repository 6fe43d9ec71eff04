"""A bus that is gone, mute or mad: one clear sentence within its time, over a real socket."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lowmem_tui.host.dbus.jeepney_client import JeepneyManager
from lowmem_tui.model.errors import ManagerError, ManagerGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 1.0
"""How long the client waits for who never answers."""

PATIENCE = 15.0
"""How long it would wait for who does: the machine of a test may be busy."""

# What jeepney sends and awaits before the first message (D-Bus specification, authentication).
_OK = b"OK 0123456789abcdef0123456789abcdef\r\n"


class Bus(NamedTuple):
    greets: bool
    then: Callable[[socket.socket], None]
    kind: type[ManagerError]
    words: str
    seconds: float = SECONDS


def mute(_: socket.socket) -> None:
    """Answers nothing, and keeps the line."""


def hang_up(line: socket.socket) -> None:
    line.recv(65536)
    line.close()


def mad(line: socket.socket) -> None:
    line.recv(65536)
    line.sendall(b"\x00 this is no message at all\r\n" * 9)


def huge(line: socket.socket) -> None:
    """Say that a message of 2 GiB comes, and send of it what is taken."""
    line.recv(65536)
    head = b"l\x02\x00\x01" + struct.pack("<III", 0x7FFF0000, 2, 0)
    line.sendall(head + bytes(65536) * 64)


def drip(line: socket.socket) -> None:
    """Send a message, a byte each tenth of the time that a call has."""
    line.recv(65536)
    for byte in b"l\x02\x00\x01" + struct.pack("<III", 4096, 2, 0) + bytes(5000):
        line.sendall(bytes([byte]))
        time.sleep(SECONDS / 10)


BUSES = {
    "it announces 2 GiB": Bus(True, huge, ManagerGoneError, "larger than 16 MiB", PATIENCE),
    "it sends a byte at a time": Bus(True, drip, ManagerError, "has not answered in|has ended"),
    "mute from the first": Bus(False, mute, ManagerGoneError, "cannot be reached"),
    "mute after the greeting": Bus(True, mute, ManagerError, "has not answered in"),
    "it hangs up": Bus(True, hang_up, ManagerGoneError, "has ended", PATIENCE),
    "it talks nonsense": Bus(True, mad, ManagerError, "systemctl", PATIENCE),
}


def serve(listening: socket.socket, bus: Bus, lines: list[socket.socket]) -> None:
    # The test may end.
    with contextlib.suppress(OSError):
        while True:
            line, _ = listening.accept()
            lines.append(line)
            # The client may hang up.
            with contextlib.suppress(ConnectionError):
                if bus.greets and greeted(line):
                    bus.then(line)


def greeted(line: socket.socket) -> bool:
    said = b""
    while b"BEGIN\r\n" not in said:
        piece = line.recv(1)  # the first message may come in one piece with BEGIN
        if not piece:
            return False
        said += piece
        if said.endswith(b"\r\n") and b"BEGIN" not in said:
            line.sendall(_OK if said.count(b"\r\n") == 1 else b"AGREE_UNIX_FD\r\n")
    return True


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "bus")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
    return path


@pytest.fixture
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(address)
        made.listen()
        yield made
        made.shutdown(socket.SHUT_RDWR)


def sentence_of(kind: type[ManagerError], words: str, seconds: float = SECONDS) -> None:
    manager = JeepneyManager(call_seconds=seconds, reload_seconds=seconds)
    for ask in (lambda: manager.properties(["a.service"]), manager.reload):
        began = time.monotonic()
        with pytest.raises(kind, match=words) as caught:
            ask()
        # It may ask for several things, and never waits for ever.
        assert time.monotonic() < began + 20 * seconds
        said = str(caught.value)
        assert said.isprintable()
        assert said.endswith(".")
    manager.close()


@pytest.mark.parametrize("bus", BUSES.values(), ids=BUSES)
def test_a_bus_that_does_not_do_its_work(listening: socket.socket, bus: Bus) -> None:
    lines: list[socket.socket] = []
    threading.Thread(target=serve, args=(listening, bus, lines), daemon=True).start()
    try:
        sentence_of(bus.kind, bus.words, bus.seconds)
    finally:
        for line in lines:
            line.close()


def test_no_bus(address: str) -> None:
    assert address
    sentence_of(ManagerGoneError, "cannot be reached")
