"""Real kills of every kind, told with unit, cause and outcome; and again after a reboot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

HOG = """\
import os, sys, time
if len(sys.argv) > 2:
    if os.path.exists(sys.argv[2]):
        time.sleep(100000)
    open(sys.argv[2], "w")
time.sleep(0.5)
held = [bytearray(os.urandom(1) * 1048576) for _ in range(int(sys.argv[1]))]
time.sleep(100000)
"""
FAMILY = """\
import subprocess, time
children = [subprocess.Popen(["sleep", "100000"]) for _ in range(2)]
subprocess.Popen(["python3", "/root/hog.py", "200"]).wait()
time.sleep(100000)
"""
DOG = """\
import os, socket, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.connect(os.environ["NOTIFY_SOCKET"])
    notify.send(b"READY=1")
if os.path.exists("/root/dog"):
    while True:
        time.sleep(1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(os.environ["NOTIFY_SOCKET"])
            notify.send(b"WATCHDOG=1")
open("/root/dog", "w")
time.sleep(100000)
"""
LIMIT = "MemoryMax=60M\nMemorySwapMax=0\n"
FAT = "ExecStart=/usr/bin/python3 /root/hog.py 200"
HOUSE = f"ExecStart=/usr/bin/python3 /root/family.py\n{LIMIT}"

UNITS = {
    "hogback": f"[Service]\n{FAT} /root/flag\n{LIMIT}Restart=always\nRestartSec=3\n",
    "hogdead": f"[Service]\n{FAT}\n{LIMIT}",
    "hogloop": f"[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=3\n[Service]\n{FAT}\n{LIMIT}"
    "Restart=always\nRestartSec=100ms\n",
    "hoggroup": f"[Service]\n{HOUSE}OOMPolicy=kill\n",
    "hoglives": f"[Service]\n{HOUSE}OOMPolicy=continue\n",
    "hogslice": f"[Service]\n{FAT}\nSlice=capped.slice\n",
    "hogdog": "[Service]\nExecStart=/usr/bin/python3 /root/dog.py\nType=notify\nWatchdogSec=10\n"
    "Restart=always\nRestartSec=2\n",
    "hogglobal": "[Service]\nExecStart=/usr/bin/python3 /root/hog.py 4000\nOOMScoreAdjust=500\n",
}

# Of each unit's last incident: cause, outcome, systemd's result.
WANTED = {
    "hogback": ("limit", "back", "oom-kill"),
    "hogdead": ("limit", "dead", "oom-kill"),
    "hogloop": ("limit", "gave-up", "oom-kill"),
    "hoggroup": ("limit", "dead", "oom-kill"),
    "hoglives": ("limit", "lived", None),
    "hogslice": ("limit", "dead", "oom-kill"),
    "hogdog": ("watchdog", "back", "watchdog"),
    "hogglobal": ("ram", "dead", "oom-kill"),
}
COUNTS = {**dict.fromkeys(WANTED.keys() - {"hogdog"}, 1), "hogloop": 3}


def night(machine: Machine) -> None:
    """Let it all happen."""
    for name, text in (("hog", HOG), ("family", FAMILY), ("dog", DOG)):
        machine.write(f"/root/{name}.py", text)
    for name, text in UNITS.items():
        machine.write(f"/etc/systemd/system/{name}.service", text)
    machine.write("/etc/systemd/system/capped.slice", f"[Slice]\n{LIMIT}")
    machine.run("systemctl daemon-reload")
    machine.run(f"systemctl start --no-block {' '.join(UNITS)}")
    for name in ("hogdead", "hogloop", "hoggroup", "hogslice", "hogglobal"):
        machine.wait_for(f"systemctl is-failed {name}", timeout=400)
    for name in ("hogback", "hogdog"):
        restarted = f'test "$(systemctl show -P NRestarts {name})" -ge 1'
        machine.wait_for(f"{restarted} && systemctl is-active {name}", timeout=200)
    killed = "grep -q '^oom_kill [1-9]' /sys/fs/cgroup/system.slice/hoglives.service/memory.events"
    machine.wait_for(killed, timeout=200)
    machine.run("journalctl --sync")


def barks(machine: Machine) -> int:
    """Return how often the watchdog has ended its unit."""
    return int(machine.run("systemctl show -P NRestarts hogdog").stdout)


def incidents(machine: Machine, *words: str) -> list[dict[str, Any]]:
    done = machine.run(["lowmem-tui", "incidents", "--json", *words], timeout=300)
    made = json.loads(done.stdout)
    assert made["untold"] == {}, made
    found: list[dict[str, Any]] = made["incidents"]
    return found


def last_of_each(found: list[dict[str, Any]]) -> dict[str, tuple[str, str, str]]:
    return {
        str(i["unit"]).removesuffix(".service"): (i["cause"], i["outcome"], i["result"])
        for i in reversed(found)
    }


@pytest.mark.long
def test_every_kill_is_reported(boot: Boot) -> None:
    machine = boot()
    night(machine)
    ended = barks(machine)
    found = incidents(machine)
    assert last_of_each(found) == WANTED
    for name, count in COUNTS.items():
        assert sum(i["unit"] == f"{name}.service" for i in found) == count, name
    # On a slow machine it is not quick enough for its own watchdog, and that is an incident, too.
    assert ended <= sum(i["unit"] == "hogdog.service" for i in found) <= barks(machine)
    reports = {i["unit"]: i["report"] for i in found}
    # Its parent for sure; who has died of that already is not killed once more.
    assert reports["hoggroup.service"]["also_killed"]
    assert reports["hogslice.service"]["limit_unit"] == "capped.slice"
    assert all(i["this_boot"] for i in found)
    (back,) = (i for i in found if i["unit"] == "hogback.service")
    assert 3 <= back["back_after"] < 30

    refused = machine.run("lowmem-tui incidents", user="op", check=False, timeout=300)
    assert refused.returncode == 4
    assert "systemd-journal" in refused.stderr

    machine.reboot()
    again = incidents(machine)
    after = {name: (cause, "reboot" if end == "dead" else end, result)
             for name, (cause, end, result) in WANTED.items()}  # fmt: skip
    assert last_of_each(again) == after
    assert not any(i["this_boot"] for i in again)
    assert [i["time"] for i in again] == [i["time"] for i in found]
    assert incidents(machine, "--since", "boot") == []
