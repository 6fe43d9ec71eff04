"""Runs in the guest: do `list --json` and `triage` say what systemctl, /proc and cgroupfs say?

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
        wrong = disagreements() + of_the_host() + of_triage()
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
    wrong += [
        f"{key} is {ours[key]}, and should be {there}"
        for key, there in held(group).items()
        if (ours[key] is None) != (there is None)
        or (there is not None and not near(ours[key], there))
    ]
    return wrong


def held(group: Path) -> dict[str, int | None]:
    """Return what the kernel tells of a group; None where it does not (6.1 has no memory.peak)."""
    files = {
        name: (group / f"memory.{name}").read_text() if (group / f"memory.{name}").exists() else ""
        for name in ("current", "swap.current", "peak", "stat", "events")
    }
    fields = dict(line.split() for name in ("stat", "events") for line in files[name].splitlines())
    texts = {
        "memory": files["current"],
        "swap": files["swap.current"],
        "peak": files["peak"],
        "anon": fields.get("anon"),
        "file": fields.get("file"),
        "oom_kills": fields.get("oom_kill"),
    }
    return {key: int(text) if text else None for key, text in texts.items()}


def of_the_host() -> list[str]:
    """Return what differs of the machine's own figures."""
    host = json.loads(output(sys.argv[1], "list", "--json"))["host"]
    lines = Path("/proc/meminfo").read_text().splitlines()
    known = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    theirs = {
        "mem_total": known["MemTotal"],
        "mem_available": known["MemAvailable"],
        "swap_total": known["SwapTotal"],
        "swap_used": known["SwapTotal"] - known["SwapFree"],
    }
    wrong = [
        f"{key} is {host[key]}, and should be {there}"
        for key, there in theirs.items()
        if not near(host[key], there)
    ]
    if (host["pressure"] is not None) != bool(pressure()):
        wrong.append(f"pressure is {host['pressure']}, and should be {pressure()!r}")
    return wrong


def pressure() -> str:
    """Return the kernel's pressure; empty where it does not measure it."""
    try:
        return Path("/proc/pressure/memory").read_text()
    except OSError:
        return ""


def of_triage() -> list[str]:
    """Return what differs of the units on the page of `triage`: the ten fattest of all."""
    page = output(sys.argv[1], "triage").splitlines()
    start = next(i for i, line in enumerate(page) if line.split()[-1:] == ["UNIT"])
    rows = [line.split() for line in page[start + 1 : page.index("", start)]]
    groups = {Path(folder).name: Path(folder) for folder, _, _ in os.walk(CGROUP)}
    wrong = []
    sizes = []
    for size, swap, score, limit, name in rows:
        # The session of this very script holds what it looks with, and begins and ends with it.
        own = name.startswith(("session-", "user@"))
        group = groups.get(name) or groups[f"_{name}"]
        found = held(group)
        sizes.append(figure(size) + figure(swap))
        if own:
            continue
        if not near(figure(size), rss(group)):
            wrong.append(f"triage: {name} has {size}, and should have {rss(group)}")
        if not near(figure(swap), found["swap"] or 0):
            wrong.append(f"triage: {name} has {swap} in swap, and should have {found['swap']}")
        scores = [read_score(pid) for pid in pids(group)]
        if abs(int(score) - max(scores)) > 3:
            wrong.append(f"triage: {name} has score {score}, and should have {max(scores)}")
        there = number((group / "memory.max").read_text())
        if (limit != "-") != (there is not None) or (there and not near(figure(limit), there)):
            wrong.append(f"triage: {name} has limit {limit}, and should have {there}")
    services = sorted(
        (rss(g) + (held(g)["swap"] or 0) for n, g in groups.items() if n.endswith(".service")),
        reverse=True,
    )
    if len(rows) != 10 or not near(max(sizes), max(sizes[0], services[0])):
        wrong.append(f"triage: these are not the ten fattest: {rows}")
    return wrong


def read_score(pid: int) -> int:
    """Return a process's score; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/oom_score").read_text())
    except OSError:
        return 0


def figure(text: str) -> int:
    """Return the bytes of a size as `triage` writes it."""
    number, suffix = text[:-1], text[-1]
    return int(float(number) * 1024 ** ("BKMGT".index(suffix))) if suffix in "BKMGT" else int(text)


if __name__ == "__main__":
    main()
