"""The server as Ubuntu 24.04 ships it: what the other suites do not have.

Logins go through ssh.socket: PID 1 holds the port, and ssh.service is started by whoever comes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .ssh import Connection

if TYPE_CHECKING:
    from .machine import Machine

pytestmark = pytest.mark.sample

SSH, SOCKET = "ssh.service", "ssh.socket"


def log_in(machine: Machine) -> None:
    """Log in anew: another connection, another key exchange, another session."""
    assert machine.connection is not None
    connection = Connection(machine.connection.port, machine.connection.key)
    try:
        assert connection.run("echo in").stdout == "in\n"
    finally:
        connection.dispose()


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run(["systemctl", "show", "-P", name, unit]).stdout.strip()


def listener(machine: Machine) -> str:
    """Return the socket's state and who holds port 22."""
    holders = machine.run("ss -Hltnp 'sport = :22'").stdout
    names = sorted(set(re.findall(r'\("([^"]+)"', holders)))
    return f"{show(machine, SOCKET, 'ActiveState')}: {' '.join(names)}"


def test_logins_go_through_the_socket(machine: Machine) -> None:
    assert show(machine, SSH, "UnitFileState") == "disabled"
    assert show(machine, SSH, "TriggeredBy") == SOCKET
    assert listener(machine) == "active: sshd systemd"
    machine.run(["systemctl", "stop", SSH])
    # KillMode=process: whoever is in stays in; PID 1 alone holds the port now.
    assert listener(machine) == "active: systemd"
    assert show(machine, SSH, "ActiveState") == "inactive"
    log_in(machine)
    assert show(machine, SSH, "ActiveState") == "active"
    assert listener(machine) == "active: sshd systemd"
