"""Whoever may use the system bus can send us signals: they cost nothing and change nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]

from lowmem_tui.host.dbus import jeepney_client, systemd
from lowmem_tui.host.dbus.jeepney_client import JeepneyManager
from lowmem_tui.model.errors import ManagerGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None, reason="needs dbus-daemon (package dbus-daemon)"
)

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""

MANAGER = DBusAddress(systemd.MANAGER_PATH, systemd.BUS_NAME, systemd.MANAGER)
SOON = 10.0


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a real bus of our own."""
    path = tmp_path / "bus"
    (tmp_path / "bus.conf").write_text(CONFIG.format(path=path))
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork", "--print-address"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    yield address
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


class Systemd:
    """Has systemd's name on the bus and answers what a client asks first."""

    def __init__(self, address: str, units: tuple[str, object] = ("a(ssssssouso)", [])) -> None:
        self.units = units
        self.bus = open_dbus_connection(address)
        self.clients: set[str] = set()
        name = (systemd.BUS_NAME, 4)  # or an error
        bus = DBusAddress("/org/freedesktop/DBus", systemd.BUS, systemd.BUS)
        self.bus.send_and_get_reply(new_method_call(bus, "RequestName", "su", name), timeout=SOON)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        try:
            while True:
                self.answer(self.bus.receive())
        except (ConnectionResetError, OSError, ValueError):
            return

    def answer(self, message: Message) -> None:
        if message.header.message_type is not MessageType.method_call:
            return
        self.clients.add(message.header.fields[HeaderFields.sender])
        member = message.header.fields[HeaderFields.member]
        if member == "ListUnits":
            self.bus.send(new_method_return(message, self.units[0], (self.units[1],)))
        elif member == "Subscribe":
            self.bus.send(new_method_return(message))
        else:
            self.bus.send(new_error(message, "a.b.Unknown"))

    def announce(self, name: str) -> None:
        tell(self.bus, min(self.clients), name)

    def close(self) -> None:
        # To close alone would not wake the thread.
        self.bus.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(SOON)
        self.bus.close()


def tell(bus: DBusConnection, client: str, name: str) -> None:
    """Send one client the news of a unit, as systemd would."""
    signal = new_signal(MANAGER, "UnitNew", "so", (name, "/a"))
    signal.header.fields[HeaderFields.destination] = client
    bus.send(signal)


@pytest.fixture
def manager(address: str) -> Iterator[JeepneyManager]:
    manager = JeepneyManager(call_seconds=SOON)
    yield manager
    manager.close()


def test_a_signal_in_systemd_s_name_is_not_believed(address: str, manager: JeepneyManager) -> None:
    real = Systemd(address)
    manager.subscribe()
    other = open_dbus_connection(address)
    for number in range(50):
        tell(other, min(real.clients), f"forged-{number}.service")
    real.announce("true.service")
    units: set[str] = set()
    until = time.monotonic() + SOON
    while "true.service" not in units and time.monotonic() < until:
        units |= manager.changes(0.1).units
    assert units == {"true.service"}
    other.close()
    real.close()


def test_systemd_that_was_started_again_is_believed_again(
    address: str, manager: JeepneyManager
) -> None:
    """`systemctl daemon-reexec` connects again, under another name of its own."""
    first = Systemd(address)
    manager.subscribe()
    client = min(first.clients)
    first.close()
    second = Systemd(address)
    second.clients.add(client)
    second.announce("a.service")
    until = time.monotonic() + SOON
    while not (changes := manager.changes(0.1)).reloaded and time.monotonic() < until:
        pass
    assert changes.reloaded  # everything is asked for anew
    second.announce("b.service")
    while not (changes := manager.changes(0.1)).units and time.monotonic() < until:
        pass
    assert changes.units == {"b.service"}
    second.close()


def test_a_flood_of_signals_ends_no_wait(
    address: str, manager: JeepneyManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jeepney_client, "AT_ONCE", 64)
    real = Systemd(address)
    manager.subscribe()
    client = min(real.clients)
    other, stop = open_dbus_connection(address), threading.Event()

    def flood() -> None:
        while not stop.is_set():
            tell(other, client, "forged.service")

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    for _ in range(20):
        assert not manager.changes(0.05).units
    assert manager.list_units() == []
    stop.set()
    thread.join(SOON)
    other.close()
    real.close()


@pytest.mark.parametrize(
    "units", [("i", 5), ("a(ss)", [("a", "b")]), ("as", ["x"]), ("v", ("s", ""))]
)
def test_an_answer_of_the_wrong_type(
    address: str, manager: JeepneyManager, units: tuple[str, object]
) -> None:
    real = Systemd(address, units)
    with pytest.raises(ManagerGoneError, match=r"cannot be understood.*systemctl"):
        manager.list_units()
    real.close()
