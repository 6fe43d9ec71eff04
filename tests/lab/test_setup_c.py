"""From a fresh image to the policy's table by `setup --print | apply --policy -`, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .etc import etc

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

pytestmark = pytest.mark.long

LIB = "/usr/lib/systemd/system"
ETC = "/etc/systemd/system"

MODEM = """\
[Unit]
Description=Modem Manager

[Service]
ExecStart=/bin/sleep infinity
Restart=on-abort

[Install]
WantedBy=multi-user.target
Alias=dbus-org.freedesktop.ModemManager1.service
"""
SNAPD = """\
[Unit]
Requires=snapd.socket
After=snapd.socket

[Service]
ExecStart=/bin/sleep infinity
OOMScoreAdjust=-900
Restart=always

[Install]
WantedBy=multi-user.target
"""
SOCKET = "[Socket]\nListenStream=/run/snapd.socket\n\n[Install]\nWantedBy=sockets.target\n"
PACKAGEKIT = "[Unit]\nDescription=PackageKit\n\n[Service]\nExecStart=/bin/sleep infinity\n"

IDLE = {
    "ModemManager.service": MODEM,
    "snapd.service": SNAPD,
    "snapd.socket": SOCKET,
    "packagekit.service": PACKAGEKIT,
}
"""What idles on many a server, by the names and files of Debian's packages; it only sleeps here."""

OURS = {"tiers", "units", "idle"}
PATIENCE = 1500.0
"""Seconds: a swap file of 2 GB is written."""

DOORS = ("ssh.service", "serial-getty@", "getty@")


def states(machine: Machine) -> dict[str, tuple[str, str]]:
    """Whether each of the idle ones runs, and whether it is started at boot."""
    return {
        name: (
            machine.run(["systemctl", "is-active", name], check=False).stdout.strip(),
            machine.run(["systemctl", "is-enabled", name], check=False).stdout.strip(),
        )
        for name in IDLE
    }


def found(machine: Machine) -> list[dict[str, Any]]:
    """What `check` finds of the steps that are tested here."""
    done = machine.run(["lowmem-tui", "check", "--json"], check=False, timeout=PATIENCE)
    assert done.returncode in {0, 1}, done
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == (1 if findings else 0)
    return [finding for finding in findings if finding["step"] in OURS]


def table(machine: Machine) -> None:
    """Assert the policy's table, for every unit that runs."""
    done = machine.run(["lowmem-tui", "list", "--json"], timeout=PATIENCE)
    units = [u for u in json.loads(done.stdout)["units"] if u["tier"] is not None]
    running = [u for u in units if u["processes"] and u["name"].endswith(".service")]
    assert len(running) >= 12
    limited = set()
    for unit in running:
        name, settings = unit["name"], unit["settings"]
        score = settings["OOMScoreAdjust"]
        limit = settings["MemoryMax"]
        if unit["tier"] == 0:
            if not name.startswith(DOORS):
                assert score["loaded"] <= -200, (name, score)
                assert score["kernel"] == score["loaded"], (name, score)
            assert limit["kernel"] is None, (name, limit)
            kind = machine.run(["systemctl", "show", "-P", "Type", name]).stdout.strip()
            if kind != "oneshot":
                assert settings["Restart"]["loaded"] in {"always", "on-failure"}, name
            if name in {"ssh.service", "nginx.service"}:
                span = machine.run(["systemctl", "show", "-P", "RestartUSec", name]).stdout
                assert span.strip() == "3s", (name, span)
        elif unit["tier"] == 1:
            assert -200 <= score["loaded"] <= 200, (name, score)
            assert score["kernel"] == score["loaded"], (name, score)
            assert settings["Restart"]["loaded"] in {"always", "on-failure"}, name
            assert limit["kernel"] == limit["loaded"], (name, limit)
            if limit["loaded"] is not None:
                limited.add(name)
                assert limit["loaded"] > unit["anon"], (name, limit)
            if settings["Restart"]["loaded"] == "always":
                span = machine.run(["systemctl", "show", "-P", "RestartUSec", name]).stdout
                assert span.strip() in {"3s", "5s", "10s"}, (name, span)
    assert limited >= {"cloudchat.service", "redis-server.service", "worker@alpha.service"}
    by_name = {u["name"]: u["settings"] for u in running}
    order = [
        by_name[name]["OOMScoreAdjust"]["loaded"]
        for name in ("cloudchat.service", "worker@alpha.service", "redis-server.service")
    ]
    assert order == sorted(order, reverse=True)
    assert order[0] > 0 > order[-1]


def test_from_a_fresh_image_to_the_policy_and_back(boot: Boot) -> None:
    machine = boot()
    for name, text in IDLE.items():
        machine.write(f"{LIB}/{name}", text)
    machine.run(
        "systemctl daemon-reload && systemctl enable --now snapd.socket snapd.service "
        "ModemManager.service && systemctl start packagekit.service",
        timeout=PATIENCE,
    )
    before, ran = etc(machine), states(machine)
    assert ran == {
        "ModemManager.service": ("active", "enabled"),
        "snapd.service": ("active", "enabled"),
        "snapd.socket": ("active", "enabled"),
        "packagekit.service": ("active", "static"),
    }

    # check finds what setup would do.
    policy = machine.run(["lowmem-tui", "setup", "--print"], timeout=PATIENCE).stdout
    findings = found(machine)
    subjects = {finding["subject"] for finding in findings}
    assert subjects >= {
        *("nginx.service", "cloudchat.service", "redis-server.service", "worker@alpha.service"),
        *("systemd-logind.service", "snapd.service", "ModemManager.service", "packagekit.service"),
    }
    for subject in subjects:
        escaped = subject.replace("\\", "\\\\")
        assert f'\n[units."{escaped}"]\n' in policy or f'\n"{escaped}" = "off"\n' in policy
    (ssh,) = (finding for finding in findings if finding["subject"] == "ssh.service")
    assert ssh["remedy"] == "sudo lowmem-tui apply --set 'ssh.service:RestartSec=3s'"

    machine.write("/root/policy.toml", policy)
    words = ["lowmem-tui", "apply", "--policy", "/root/policy.toml", "--yes"]
    done = machine.run(words, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done
    assert "Verified" in done.stdout
    table(machine)
    assert states(machine) == {
        "ModemManager.service": ("inactive", "disabled"),
        "snapd.service": ("inactive", "disabled"),
        "snapd.socket": ("inactive", "disabled"),
        "packagekit.service": ("inactive", "masked"),
    }

    # Nothing of these steps is left, and a second time nothing is changed.
    assert found(machine) == []
    after = etc(machine)
    again = machine.run(words, check=False, timeout=PATIENCE)
    assert again.returncode == 0, again
    assert again.stdout.startswith("Nothing to do: it is already set.\n"), again
    assert etc(machine) == after
    report = machine.run(["lowmem-tui", "setup", "--report", "-"], timeout=PATIENCE).stdout
    assert "systemctl mask packagekit.service" in report
    assert "## The next OOM victim" in report

    undone = machine.run(["lowmem-tui", "undo"], check=False, timeout=PATIENCE)
    assert undone.returncode in {0, 1}, undone
    assert etc(machine) == before
    assert states(machine) == ran
