"""Real shortages of memory: whom the program foretells, the kernel kills.

The kills are made in guest/kills.py; what they come to is in docs/prediction.md.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import recipe
from .image import LabError

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

GUEST = Path(__file__).parent / "guest"
SEED = int(os.environ.get("LOWMEM_LAB_SEED", "2026"))
ENDED = "oracle: ended"

Line = dict[str, Any]
"""A kill, as guest/kills.py tells it."""

SHARP = 2
"""Points of score: whoever leads by more is killed, always."""


def kills(machine: Machine, *counts: str, timeout: float) -> list[Line]:
    """Make so many kills of each kind; return them.

    The machine is left alone meanwhile: every login would take the last pages.
    """
    machine.put(GUEST, "/root/guest")
    work = f"{recipe.VENV}/bin/python -m guest.kills {SEED} {' '.join(counts)}"
    machine.run(
        [
            *("systemd-run", "--quiet", "--collect", "--unit=oracle"),
            *("-p", "OOMScoreAdjust=-1000", "-p", "WorkingDirectory=/root"),
            *("-p", "StandardOutput=file:/root/kills", "-p", "StandardError=file:/root/log"),
            *("/bin/sh", "-c", f'{work}; echo "{ENDED} $?" > /dev/console'),
        ]
    )
    machine.wait_for(lambda: ENDED in machine.console.read_text(errors="replace"), timeout)
    lines = [json.loads(line) for line in machine.get("/root/kills").splitlines()]
    assert lines, machine.get("/root/log")
    assert lines[-1] == {"done": True}, machine.get("/root/log")
    for note in (line for line in lines if "note" in line):
        print(f"{note['population']}: {note['note']}")
    return [line for line in lines if "killed" in line]


def judge(lines: list[Line]) -> None:
    """Hold the program to what it says."""
    for line in lines:
        where = f"{line['population']}: {line}"
        assert line["domain_right"], where
        # oom_score from the other files of /proc, for every process of the machine.
        assert line["scores"] > 10, where
        assert line["scores_wrong"] == [], where
        assert line["right"] or line["lead"] <= SHARP, where
        assert line["goes_right"] or not line["right"] or line["another"], where


def remembered(machine: Machine, lines: list[Line], *, rebooted: bool) -> None:
    """Every kill is an incident, with its unit, cause and outcome."""
    done = machine.run(["lowmem-tui", "incidents", "--json"], timeout=600)
    made = json.loads(done.stdout)
    assert made["untold"] == {}, made["untold"]
    found = {(i["unit"], i["report"]["victim"]["pid"]): i for i in made["incidents"] if i["report"]}
    for line in lines:
        where = f"{line['population']}: {line}"
        assert (line["killed_unit"], line["killed"]) in found, where
        incident = found[line["killed_unit"], line["killed"]]
        outcome = "reboot" if rebooted and line["outcome"] == "dead" else line["outcome"]
        assert incident["cause"] == ("ram" if line["kind"] == "global" else "limit"), where
        assert incident["outcome"] == outcome, (incident, where)
        assert incident["this_boot"] is not rebooted, where
        if line["kind"] == "group":
            assert incident["report"]["limit_unit"] == line["domain"], (incident, where)


def table(lines: list[Line]) -> str:
    """Return what docs/prediction.md shows."""
    rows = ["| kills | number | first victim right | lead over 2 | of these right |"]
    rows += ["|---|---|---|---|---|"]
    for kind, what in (("global", "no memory in the machine"), ("group", "a limit")):
        mine = [line for line in lines if line["kind"] == kind]
        sharp = [line for line in mine if line["lead"] > SHARP]
        rows.append(
            f"| {what} | {len(mine)} | {sum(line['right'] for line in mine)} | {len(sharp)} "
            f"| {sum(line['right'] for line in sharp)} |"
        )
    return "\n".join(rows)


def made(machine: Machine, *counts: str, timeout: float) -> list[Line]:
    """Make the kills, show what they come to, and find them among the incidents."""
    lines = kills(machine, *counts, timeout=timeout)
    print(f"seed {SEED}, {machine.suite}\n{table(lines)}")
    for line in lines:
        print(json.dumps(line))
    remembered(machine, lines, rebooted=False)
    return lines


def test_some_kills(boot: Boot) -> None:
    try:
        lines = made(boot(memory=512), "group=4", "global=2", timeout=300)
    except LabError:  # an emulated kernel panics now and then, and says nothing more
        lines = made(boot(memory=512), "group=4", "global=2", timeout=600)
    assert len(lines) == 6
    judge(lines)


@pytest.mark.long
def test_sixty_kills(boot: Boot) -> None:
    machine = boot(memory=512)
    lines = made(machine, "group=31", "global=31", timeout=7200)
    machine.reboot()
    remembered(machine, lines, rebooted=True)
    judge(lines)
    assert [sum(line["kind"] == kind for line in lines) for kind in ("group", "global")] == [31, 31]
    right = sum(line["right"] for line in lines)
    assert right >= 0.95 * len(lines), [line for line in lines if not line["right"]]
