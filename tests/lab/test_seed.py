"""The server as Ubuntu 24.04 ships it: what the other suites do not have.

Logins go through ssh.socket: PID 1 holds the port, and ssh.service is started by whoever comes.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from .etc import etc
from .ssh import Connection
from .test_trial import over, states

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

pytestmark = pytest.mark.sample

SSH, SOCKET = "ssh.service", "ssh.socket"
MARIADB = "mariadb.service"
PATIENCE = 1500.0

TIERS = {
    0: "ssh multipathd nginx polkit dbus systemd-logind systemd-resolved systemd-networkd "
    "systemd-udevd systemd-journald serial-getty@ttyS0 iscsid dm-event",
    1: "mariadb php8.4-fpm fail2ban redis-server cloudchat rsyslog cron ModemManager snapd "
    "systemd-timesyncd networkd-dispatcher uuidd",
    2: "unattended-upgrades udisks2 certbot cloud-final cloud-init-main cloud-config apparmor ufw "
    "snapd.seeded snapd.apparmor fwupd-refresh apt-daily open-iscsi sysstat phpsessionclean",
    None: "user@0",
}
OFF = {
    f"{name}.service"
    for name in ("snapd", "multipathd", "ModemManager", "fwupd", "udisks2", "iscsid")
}
"""What Ubuntu's image brings, and a small rented server has no use for."""


def _connection(machine: Machine) -> Connection:
    assert machine.connection is not None
    return Connection(machine.connection.port, machine.connection.key)


def log_in(machine: Machine, script: str = "echo in") -> str:
    """Log in anew: another connection, another key exchange, another session."""
    connection = _connection(machine)
    try:
        return connection.run(script, timeout=600).stdout
    finally:
        connection.dispose()


def is_let_in(machine: Machine) -> bool:
    """Try once to log in."""
    connection = _connection(machine)
    try:
        words = [*connection.words("root"), "-oControlPath=none", "--", "true"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode == 0
    finally:
        connection.dispose()


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run(["systemctl", "show", "-P", name, unit]).stdout.strip()


def listener(machine: Machine) -> str:
    """Return the socket's state and who holds port 22."""
    holders = machine.run("ss -Hltnp 'sport = :22'").stdout
    names = sorted(set(re.findall(r'\("([^"]+)"', holders)))
    return f"{show(machine, SOCKET, 'ActiveState')}: {' '.join(names)}"


def nobody_comes(machine: Machine) -> None:
    """Have it as after a boot at which nobody has logged in; who is in, stays in."""
    machine.run(["systemctl", "stop", SSH])
    # KillMode=process, and PID 1 holds the port.
    assert listener(machine) == "active: systemd"
    assert show(machine, SSH, "ActiveState") == "inactive"


def checked(machine: Machine) -> list[dict[str, Any]]:
    done = machine.run(["lowmem-tui", "check", "--json"], check=False, timeout=PATIENCE)
    assert done.returncode in {0, 1}, done
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return found


def test_logins_go_through_the_socket(machine: Machine) -> None:
    assert show(machine, SSH, "UnitFileState") == "disabled"
    assert show(machine, SSH, "TriggeredBy") == SOCKET
    nobody_comes(machine)
    assert log_in(machine) == "in\n"
    assert show(machine, SSH, "ActiveState") == "active"
    assert listener(machine) == "active: sshd systemd"


def test_every_unit_has_the_right_tier(machine: Machine) -> None:
    listed = json.loads(machine.run("lowmem-tui list --json", timeout=PATIENCE).stdout)["units"]
    found = {unit["name"].removesuffix(".service"): unit["tier"] for unit in listed}
    for tier, names in TIERS.items():
        assert {name: found[name] for name in names.split()} == dict.fromkeys(names.split(), tier)
    # Mounts of snaps and sockets hold nothing, and fill no page.
    page = machine.run("lowmem-tui list", timeout=PATIENCE).stdout
    assert re.search(r"no processes, no memory \(\d+\): [^()]*snap-core22-1748\.mount", page)
    assert not re.search(r"^  (snap-|ssh\.socket)\S+ +0 ", page, re.MULTILINE)


def test_check_says_what_is_so_and_the_way_in_is_there_though_nobody_has_come(
    machine: Machine,
) -> None:
    nobody_comes(machine)
    found = checked(machine)
    policy = machine.run(["lowmem-tui", "setup", "--print"], timeout=PATIENCE).stdout
    assert show(machine, SSH, "ActiveState") == "inactive"
    (ssh,) = (each for each in found if each["subject"] == SSH)
    assert ssh["severity"] == "warning"
    assert f"(RestartSec=100ms). Then {SOCKET} fails, too" in ssh["text"]
    assert f'\n[units."{SSH}"]\n' in policy
    assert {each["subject"] for each in found if each["step"] == "idle"} == OFF
    # multipathd gives itself -1000; without a script networkd-dispatcher does not start.
    comments = " ".join(policy.replace("\n#", " ").split())
    assert "It sets OOMScoreAdjust=-1000 for itself when it starts" in comments
    assert "\nOOMScoreAdjust = -200\n" not in policy.partition("multipathd")[2].partition("[")[0]
    assert '"networkd-dispatcher.service" = "off"' not in policy
    log_in(machine)


def test_the_main_job(machine: Machine) -> None:
    """See, edit, apply, verify, undo; whoever comes meanwhile gets in."""
    before = etc(machine)
    nobody_comes(machine)
    sets = f"--set {SSH}:RestartSec=3s --set {MARIADB}:MemoryMax=300M"
    done = machine.run(f"lowmem-tui apply {sets} --yes", timeout=PATIENCE)
    assert "Verified" in done.stdout
    assert log_in(machine, f"systemctl show -P RestartUSec {SSH}") == "3s\n"
    group = show(machine, MARIADB, "ControlGroup")
    assert machine.get(f"/sys/fs/cgroup{group}/memory.max") == f"{300 << 20}\n"
    machine.run("lowmem-tui undo", timeout=PATIENCE)
    nobody_comes(machine)
    assert log_in(machine, f"systemctl show -P RestartUSec {SSH}") == "100ms\n"
    assert machine.get(f"/sys/fs/cgroup{group}/memory.max") == "max\n"
    assert etc(machine) == before


LOCKS_OUT = f"--set {SSH}:MemoryMax=1M --set {SSH}:MemorySwapMax=0"


def test_a_trial_that_locks_everybody_out_is_over_and_lets_them_in(machine: Machine) -> None:
    """The service is given up, the socket fails with it: both are there again afterwards."""
    nobody_comes(machine)
    refused = machine.run(f"lowmem-tui apply {LOCKS_OUT} --yes", check=False, timeout=PATIENCE)
    assert refused.returncode == 3
    assert "nobody can log in" in refused.stderr
    machine.run(f"lowmem-tui apply {LOCKS_OUT} --yes --force --trial 60", timeout=PATIENCE)
    assert not is_let_in(machine)
    assert show(machine, SOCKET, "Result") == "service-start-limit-hit"
    over(machine)
    machine.wait_for(f"systemctl is-active {SOCKET}")
    assert log_in(machine) == "in\n"
    assert listener(machine) == "active: sshd systemd"
    assert states(machine)[0] == "expired"
    told = machine.run("lowmem-tui history", timeout=PATIENCE).stdout
    assert f"{SOCKET} failed meanwhile (service-start-limit-hit) and was started again" in told


@pytest.mark.long
def test_a_trial_is_kept_from_a_login_that_came_meanwhile(machine: Machine) -> None:
    before = etc(machine)
    nobody_comes(machine)
    sets = f"--set {SSH}:RestartSec=3s --set {MARIADB}:OOMScoreAdjust=-100"
    machine.run(f"lowmem-tui apply {sets} --yes --trial 900", timeout=PATIENCE)
    assert log_in(machine, f"systemctl show -P RestartUSec {SSH}; lowmem-tui confirm >&2") == "3s\n"
    assert states(machine)[0] == "confirmed"
    nobody_comes(machine)
    assert log_in(machine, "lowmem-tui undo >/dev/null; echo undone") == "undone\n"
    assert etc(machine) == before


def left(machine: Machine) -> set[str]:
    """Return what check finds after the set-up, but for one thing that its next round settles.

    What is printed at once proposes Redis' bound and its MemoryMax without each knowing the other.
    """
    return {each["code"] for each in checked(machine)} - {"redis-fork-over-limit"}


def services(machine: Machine) -> set[str]:
    words = "systemctl list-units --type=service,socket --state=running,listening --no-legend"
    return {line.split()[0] for line in machine.run(f"{words} --plain").stdout.splitlines()}


@pytest.mark.long
def test_the_whole_set_up_a_reboot_and_its_undo(boot: Boot) -> None:
    machine = boot()
    before, ran = etc(machine), services(machine)
    policy = machine.run(["lowmem-tui", "setup", "--print"], timeout=PATIENCE).stdout
    machine.write("/root/policy.toml", policy)
    nobody_comes(machine)
    words = ["lowmem-tui", "apply", "--policy", "/root/policy.toml", "--yes"]
    done = machine.run(words, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done
    assert not re.search(r"systemctl stop \S+\.target", done.stdout)
    assert log_in(machine) == "in\n"
    assert left(machine) == set()

    machine.reboot()
    assert listener(machine) == "active: sshd systemd"
    assert machine.run("systemctl --failed --plain --no-legend").stdout == ""
    assert machine.run("cloud-init status", check=False).stdout == "status: done\n"
    assert services(machine) & OFF == set()
    assert "snapd.socket" not in services(machine)
    assert "/snap/core22/1748" in machine.get("/proc/mounts")
    assert left(machine) == set()

    machine.run(["lowmem-tui", "undo"], timeout=PATIENCE)
    assert etc(machine) == before
    nobody_comes(machine)
    assert log_in(machine) == "in\n"
    assert services(machine) >= ran - {"systemd-timedated.service"}
