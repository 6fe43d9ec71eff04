"""Runs in the guest: does `list --json` say what systemctl, /proc and cgroupfs say?

Prints one line for each disagreement. Nothing of the program is imported: the figures are read
once more by the plainest means there are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
PAGE = os.sysconf("SC_PAGE_SIZE")
ASKED = (
    "Id,ActiveState,MainPID,NRestarts,ControlGroup,MemoryMax,MemoryHigh,MemorySwapMax,"
    "OOMScoreAdjust,Restart,OOMPolicy,LoadState"
)
KINDS = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")


def output(*words: str) -> str:
    """Return what a command prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def shown() -> dict[str, dict[str, str]]:
    """Return what systemd says of each unit, by its primary name."""
    text = output("systemctl", "show", "--all", "--property", ASKED, "*")
    units = {}
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("Id") and fields.get("LoadState") != "not-found":
            units[fields["Id"]] = fields
    return units


def pids(group: Path) -> list[int]:
    """Return the processes of a group and of those below it."""
    found = []
    for folder, _, _ in os.walk(group):
        try:
            found += [int(line) for line in Path(folder, "cgroup.procs").read_text().split()]
        except OSError:
            continue
    return found


def rss(group: Path) -> int:
    """Return the resident bytes of a group's processes."""
    total = 0
    for pid in pids(group):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total


def number(text: str) -> int | None:
    """Return a limit as JSON has it: None for infinity."""
    return None if text.strip() in {"infinity", "max", "", str(2**64 - 1)} else int(text)


def near(one: int, other: int) -> bool:
    """Whether two readings, some moments apart, can be of the same thing."""
    return abs(one - other) <= 4 << 20 or abs(one - other) <= 0.2 * max(one, other)


def main() -> None:
    """Compare everything; what moves is given a second look before it is said to differ."""
    for attempt in range(3):
        wrong = disagreements()
        if not wrong or attempt == 2:
            break
    print("\n".join(wrong))


def disagreements() -> list[str]:
    """Return one sentence for each."""
    listed: dict[str, dict[str, Any]] = {
        unit["name"]: unit for unit in json.loads(output(sys.argv[1], "list", "--json"))["units"]
    }
    wrong = []
    units = shown()
    for name, unit in units.items():
        group = CGROUP / unit["ControlGroup"].lstrip("/") if unit.get("ControlGroup") else None
        runs = name.endswith(KINDS) and group is not None and (group / "cgroup.procs").exists()
        # The systemctl of this very script, and its session, are no steady ground.
        if name.startswith(("session-", "user")) or not (runs or name.endswith(".service")):
            continue
        if name not in listed:
            wrong.append(f"{name} is missing")
            continue
        wrong += [
            f"{name}: {text}" for text in compare(listed[name], unit, group if runs else None)
        ]
    wrong += [
        f"{name} is listed, and systemd does not know it"
        for name, unit in listed.items()
        if name not in units and name.endswith(KINDS) and unit["state"] == "active"
    ]
    return wrong


def compare(ours: dict[str, Any], theirs: dict[str, str], group: Path | None) -> list[str]:
    """Return what differs of one unit."""
    wrong: list[str] = []

    def same(what: str, one: object, other: object) -> None:
        if one != other:
            wrong.append(f"{what} is {one!r}, and should be {other!r}")

    same("state", ours["state"], theirs["ActiveState"])
    settings = ours["settings"]
    for key in ("MemoryMax", "MemoryHigh", "MemorySwapMax"):
        if key in settings:
            same(f"loaded {key}", settings[key]["loaded"], number(theirs[key]))
    if "MainPID" in theirs:
        same("main_pid", ours["main_pid"], int(theirs["MainPID"]) or None)
        same("restarts", ours["restarts"], int(theirs["NRestarts"]))
        same("loaded score", settings["OOMScoreAdjust"]["loaded"], int(theirs["OOMScoreAdjust"]))
        same("loaded Restart", settings["Restart"]["loaded"], theirs["Restart"])
        same("loaded OOMPolicy", settings["OOMPolicy"]["loaded"], theirs["OOMPolicy"] or None)
    if group is None:
        return wrong
    for key, file in (("MemoryMax", "max"), ("MemoryHigh", "high"), ("MemorySwapMax", "swap.max")):
        path = group / f"memory.{file}"
        if key in settings and path.exists():
            same(f"kernel {key}", settings[key]["kernel"], number(path.read_text()))
    if not theirs["Id"].endswith(".slice"):
        found = pids(group)
        same("processes", ours["processes"], len(found))
        if not near(ours["rss"] or 0, rss(group)):
            wrong.append(f"rss is {ours['rss']}, and should be about {rss(group)}")
        scores = [int(Path(f"/proc/{pid}/oom_score").read_text()) for pid in found]
        if scores and abs(ours["oom_score"] - max(scores)) > 3:
            wrong.append(f"oom_score is {ours['oom_score']}, and should be {max(scores)}")
        if ours["main_pid"]:
            adj = int(Path(f"/proc/{ours['main_pid']}/oom_score_adj").read_text())
            same("oom_score_adj", ours["oom_score_adj"], adj)
    for key, file in (("memory", "memory.current"), ("swap", "memory.swap.current")):
        if (group / file).exists() and not near(ours[key], int((group / file).read_text())):
            wrong.append(f"{key} is {ours[key]}, and should be {(group / file).read_text()}")
    return wrong


if __name__ == "__main__":
    main()
