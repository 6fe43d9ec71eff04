"""The power fails while a change is made, kept or undone: it is whole, or it was not made.

``LOWMEM_LAB_POWER_CUTS`` says how often (default 3): each costs a boot.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from .image import LabError

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

CUTS = int(os.environ.get("LOWMEM_LAB_POWER_CUTS", "3"))
SEED = int(os.environ.get("LOWMEM_LAB_SEED", "1"))

REDIS, CHAT = "redis-server.service", "cloudchat.service"
FILES = tuple(f"/etc/systemd/system/{unit}.d/zz-lowmem-tui.conf" for unit in (REDIS, CHAT))
SETS = (
    f"--set {REDIS}:MemoryMax=200M --set {REDIS}:OOMScoreAdjust=-150 --set {CHAT}:MemoryHigh=300M"
)
APPLY = f"lowmem-tui apply {SETS} --yes"
ENDED = {"applied", "confirmed", "expired", "undone", "failed"}

# What goes before, the command, the state of the newest change if it was made.
OPERATIONS = {
    "apply": ("", APPLY, "applied"),
    "confirm": (f"{APPLY} --trial 3600", "lowmem-tui confirm", "confirmed"),
    "undo": (APPLY, "lowmem-tui undo", "applied"),
}


def state(machine: Machine) -> dict[str, str]:
    """The drop-ins as they are, what systemd has loaded, and half files."""
    shown = {path: machine.run(f"cat {path} 2>&1", check=False).stdout for path in FILES}
    for unit in (REDIS, CHAT):
        shown[unit] = machine.run(
            f"systemctl show -p MemoryMax -p MemoryHigh -p OOMScoreAdjust {unit}; "
            f"cd /sys/fs/cgroup/system.slice/{unit} && cat memory.max memory.high"
        ).stdout
    shown["half"] = machine.run(
        "find /etc/systemd/system /run/systemd/system /var/lib/lowmem-tui -name '.*.new'; "
        "ls /run/systemd/system/*.d/zzz-lowmem-tui-trial.conf",
        check=False,
    ).stdout
    return shown


def newest(machine: Machine) -> tuple[int, str]:
    changes = json.loads(machine.run("lowmem-tui history --json", timeout=600).stdout)["changes"]
    return len(changes), changes[0]["state"] if changes else ""


def reset(machine: Machine) -> None:
    machine.run(
        f"rm -rf /var/lib/lowmem-tui /var/log/lowmem-tui {' '.join(FILES)}; "
        "systemctl daemon-reload; sync",
        timeout=600,
    )
    machine.run(f"systemctl restart {REDIS} {CHAT}", timeout=600)


def cut(machine: Machine, command: str, delay: float, record: int) -> None:
    """Cut the power so long after the record of the change has appeared."""

    def run() -> None:
        with contextlib.suppress(LabError):
            machine.run(f"touch /root/mark; {command}", check=False, timeout=900)

    thread = threading.Thread(target=run)
    thread.start()
    written = f"test /var/lib/lowmem-tui/{record}.json -nt /root/mark"
    machine.wait_for(written, timeout=900)
    time.sleep(delay)
    machine.power_cut()
    thread.join()


@pytest.mark.long
def test_power_cuts(boot: Boot) -> None:
    machine = boot()
    chance = random.Random(SEED)
    counts: dict[str, int] = {}
    # How long each takes from its record on, undisturbed; and what it comes to.
    reset(machine)
    none = state(machine)
    for number in range(CUTS):
        name = list(OPERATIONS)[number % len(OPERATIONS)]
        before_command, command, made = OPERATIONS[name]
        reset(machine)
        assert state(machine) == none
        if before_command:
            machine.run(before_command, timeout=900)
        changes, _ = newest(machine)
        record = changes if name == "confirm" else changes + 1
        cut(machine, command, chance.uniform(0, 8), record)
        machine.boot_again()
        for path in FILES:
            text = machine.run(f"cat {path}", check=False).stdout
            assert text == "" or text.endswith("M\n"), (name, text)
        settled = machine.run("lowmem-tui history", timeout=600)
        length, found = newest(machine)
        left = state(machine)
        assert left["half"] == "", (name, settled.stderr)
        kept = all(left[path].startswith("# Written by lowmem-tui") for path in FILES)
        gone = all("No such file" in left[path] for path in FILES)
        assert kept or gone, (name, left)
        # "undo" is a change that leaves no files when it was made.
        was_made = gone if name == "undo" else kept
        what = made if was_made else {"confirm": "expired"}.get(name, "failed")
        if name == "undo" and not was_made and length == changes:
            what = "applied"
        assert found == what, (name, found, left, settled.stderr)
        assert found in ENDED
        expected = ("209715200", "314572800") if kept else ("max", "max")
        assert left[REDIS].split()[-2] == expected[0], left
        assert left[CHAT].split()[-1] == expected[1], left
        key = f"{name}: {'made' if was_made else 'not made'}"
        counts[key] = counts.get(key, 0) + 1
        print(f"cut {number + 1}: {key}; {settled.stderr.strip()}", flush=True)
    print(counts)
