"""Runs in the guest: services that die, the program's verdict on each, and what systemd does.

``python -m guest.restarts SECONDS [NAME…]`` watches them for so long, a few at a time, and prints
one line of JSON for each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lowmem_tui.host.dbus.jeepney_client import JeepneyManager
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.policy.forecast import restart_text
from lowmem_tui.policy.forecast.restart import (
    ServiceEnd,
    delay_before,
    ends_at_every_start,
    policy_of,
)

from .mortals import MEMORY, MORTALS, ONCE, Mortal
from .nursery import UNITS, systemctl

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTES = Path("/run/mortal")
AT_ONCE = 6
"""So many at a time: more of them slow each other down."""
SHOWN = "LoadState,ActiveState,SubState,Result,NRestarts"


def unit(mortal: Mortal) -> str:
    return f"mortal-{mortal.name}.service"


def verdict(manager: JeepneyManager, mortal: Mortal) -> dict[str, object]:
    """Return what the program predicts, from what systemd has loaded."""
    properties = manager.properties([unit(mortal)])[unit(mortal)]
    # As it is before its first start: the delay grows with what was restarted already.
    properties = replace(properties, n_restarts=0)
    found = restart_text.outlook(properties)
    policy = policy_of(properties)
    assert found is not None
    assert policy is not None
    said = found.now if mortal.dies == ONCE else found.start
    words = (
        restart_text.killed_now(found)
        if mortal.dies == ONCE
        else restart_text.at_every_start(found)
    )
    if mortal.dies == MEMORY:
        said = ends_at_every_start(policy, ServiceEnd.OOM_KILL)
    return {
        "name": mortal.name,
        "dies": mortal.dies,
        "reaction": said.reaction.value,
        "refused": str(found.unloadable) if found.unloadable else "",
        "words": str(words),
        "starts": said.starts,
        "after": said.after / 1e6,
        "per_minute": said.per_minute,
        "within": None if said.within is INFINITY else said.within / 1e6,
        "delays": [delay_before(policy, n) / 1e6 for n in range(1, 40)],
        "waits": properties.restart_usec is INFINITY,
    }


def seen(mortal: Mortal) -> dict[str, object]:
    """Return what systemd has done."""
    text = systemctl("show", "-p", SHOWN, unit(mortal))
    now = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        starts = [float(line) for line in (NOTES / mortal.name).read_text().split()]
    except FileNotFoundError:
        starts = []
    return {
        "began": starts,
        "load": now["LoadState"],
        "state": now["ActiveState"],
        "sub": now["SubState"],
        "result": now["Result"],
    }


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def watch(manager: JeepneyManager, chosen: Sequence[Mortal], seconds: float) -> None:
    """Let some of them live and die for so long, and print the result."""
    for mortal in chosen:
        for note in (mortal.name, f"{mortal.name}.once"):
            (NOTES / note).unlink(missing_ok=True)
        (UNITS / unit(mortal)).write_text(mortal.text())
    systemctl("daemon-reload")
    predicted = {m.name: verdict(manager, m) for m in chosen}
    for mortal in chosen:
        subprocess.run(["systemctl", "start", "--no-block", unit(mortal)], check=False,
                       stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(1)
    time.sleep(seconds)
    for mortal in chosen:
        line = {**predicted[mortal.name], **seen(mortal), "until": uptime()}
        print(json.dumps(line), flush=True)
    systemctl("stop", *(unit(m) for m in chosen), check=False)
    systemctl("reset-failed", *(unit(m) for m in chosen), check=False)
    for mortal in chosen:
        (UNITS / unit(mortal)).unlink()
    systemctl("daemon-reload")


def main() -> None:
    seconds, names = float(sys.argv[1]), sys.argv[2:]
    NOTES.mkdir(exist_ok=True)
    manager = JeepneyManager()
    chosen = [m for m in MORTALS if not names or m.name in names]
    for first in range(0, len(chosen), AT_ONCE):
        watch(manager, chosen[first : first + AT_ONCE], seconds)


if __name__ == "__main__":
    main()
