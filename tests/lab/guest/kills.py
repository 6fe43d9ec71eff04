"""Runs in the guest: real shortages, each predicted by the program from a sample taken just before.

``python -m guest.kills SEED global=N group=M`` makes random populations until so many kills of
each kind were made, and prints one line of JSON for each kill: the prediction, the kernel's victim,
what went with it, what came of its unit. The prediction is the program's own code on the program's
own sample; what happened is read without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lowmem_tui.host.dbus.jeepney_client import JeepneyManager
from lowmem_tui.host.sampler import ProcSampler
from lowmem_tui.host.watcher import ALWAYS
from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.policy.forecast.kills import predict
from lowmem_tui.policy.forecast.oom import (
    Candidate,
    cgroup_kill_order,
    cgroup_total,
    global_total,
    kill_order,
    score_of,
)

from .nursery import CGROUP, KernelLog, Kill, Nursery, Peer, meminfo, number, shown, systemctl
from .population import BOX, EVEN, M, Population, population, scaled

if TYPE_CHECKING:
    from lowmem_tui.model.unit import UnitProperties

SWAP = 96 * M
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
PROTECTED = ("sshd", "systemd-network", "dbus-daemon", "systemd-logind", "systemd-journal")
"""Not in the lottery: without them there is nobody to tell of it. Names begin so."""
BASE = ("cron", "nginx", "systemd-udevd", "polkit")
IDLE = ("cloudchat", "redis-server")
"""Not there: a thrashing machine would do little but run their timers, for minutes."""
SUDDEN = 12.0
"""Seconds after a kill before which a unit that lives on is not stopped: an end that soon after it
would count as its outcome (policy.incidents.SUDDEN)."""
PATIENCE = 240.0
"""Seconds that one shortage may take to come."""


class Predicted(NamedTuple):
    """The last sample before a kill, and what follows from it."""

    snapshot: Snapshot
    order: list[Candidate]
    group: str
    """The control group of the domain; empty for the machine."""
    total: int
    """Pages."""
    split: dict[int, list[int]]
    """Of the first three: pages of anonymous, file and shared memory, and in swap."""


class Oracle:
    """Looks at the machine as the program does: with its sampler and its D-Bus client."""

    def __init__(self) -> None:
        self._sampler, self._manager = ProcSampler(), JeepneyManager()
        self._properties: dict[str, UnitProperties] = {}
        self.ask([u.name for u in self._manager.list_units() if u.name.endswith(ALWAYS)])

    def ask(self, names: list[str]) -> None:
        """Have systemd tell of these units."""
        self._properties.update(self._manager.properties(names))

    def look(self) -> Snapshot:
        self._sampler.refresh()
        now = self._sampler.sample()
        units = {n: Unit(n, usage, self._properties.get(n)) for n, usage in now.units.items()}
        return Snapshot(now.time, now.monotonic, now.host, units)

    def predict(self, domain: str) -> Predicted:
        snapshot = self.look()
        if domain == BOX:
            order = kill_order(snapshot)
            return Predicted(snapshot, order, "", global_total(snapshot.host), split(order))
        usage = snapshot.units[domain].usage
        assert usage is not None
        assert isinstance(usage.memory.max, int)
        total = cgroup_total(snapshot.host, usage.memory.max, usage.memory.swap_max)
        order = cgroup_kill_order(snapshot, domain)
        return Predicted(snapshot, order, usage.cgroup, total, split(order))


def split(order: list[Candidate]) -> dict[int, list[int]]:
    """Return what the memory of the first three is, to explain a miss by."""
    found = {}
    for candidate in order[:3]:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{candidate.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            names = ("RssAnon", "RssFile", "RssShmem", "VmSwap")
            found[candidate.pid] = [int(fields.get(n, "0").split()[0]) // 4 for n in names]
    return found


def protect() -> None:
    """Take what the harness and its connection need out of the lottery."""
    for pid in [int(name) for name in os.listdir("/proc") if name.isdecimal()]:
        try:
            name = Path(f"/proc/{pid}/comm").read_text()
            if name.startswith(PROTECTED) or pid == os.getpid():
                Path(f"/proc/{pid}/oom_score_adj").write_text("-1000")
        except OSError:
            continue


def small_swap() -> None:
    """Have little swap, so that it fills quickly."""
    device = os.path.realpath("/dev/disk/by-label/swap")
    subprocess.run(["swapoff", "-a"], check=True)
    size = str(SWAP // 1024)
    subprocess.run(["mkswap", "-L", "swap", device, size], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", device], check=True)
    # Huge pages for who asks, but not the 23 MB that the kernel then keeps free for them.
    free = Path("/proc/sys/vm/min_free_kbytes")
    before = free.read_text()
    Path("/sys/kernel/mm/transparent_hugepage/enabled").write_text("madvise")
    free.write_text(before)


def stay() -> None:
    """Keep the harness's own pages in RAM, or each sample of a thrashing machine takes minutes."""
    if ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT):
        raise OSError("mlockall")


def room(one: Population, rng: random.Random) -> tuple[int, int]:
    """Return the bytes that a population fills at first, and those an adjustment is a part of."""
    info = meminfo()
    swap = info["SwapTotal"]
    if one.target == BOX:
        return info["MemAvailable"] + info["SwapFree"] - 60 * M, info["MemTotal"] + swap
    nest = next((n for n in one.nests if n.name == one.target), None)
    limit, most = (
        (one.slice_limit, one.slice_swap_max) if nest is None else (nest.limit, nest.swap_max)
    )
    assert limit is not None
    usable = min(info["SwapFree"], swap if most is None else most) * 2 // 3
    if nest is None and any(n.swap_max is not None for n in one.nests):
        usable = min(usable, 2 * M)
    total = limit + min(swap, swap if most is None else most)
    return int(limit * rng.uniform(0.5, 0.75)) + usable, total


def left(group: str) -> int:
    """Return about how many bytes can still be had: of a control group, or of the machine."""
    info = meminfo()
    if not group:
        files = info["Active(file)"] + info["Inactive(file)"]
        return info["MemFree"] + files + info["SwapFree"]
    folder = CGROUP / group.lstrip("/")
    swap = min(
        number(folder / "memory.swap.max", 1 << 60) - number(folder / "memory.swap.current"),
        info["SwapFree"],
    )
    below = 0
    for unit in [u for u in folder.iterdir() if u.name.endswith(".service")] or [folder]:
        bound = number(unit / "memory.swap.max", 1 << 60)
        below += min(bound, number(unit / "memory.current")) - number(unit / "memory.swap.current")
    return number(folder / "memory.max") - number(folder / "memory.current") + min(swap, below)


def provoke(
    nursery: Nursery, log: KernelLog, oracle: Oracle, one: Population, rng: random.Random
) -> tuple[Predicted, list[Kill], Peer] | None:
    """Have processes grow, step by step, until the kernel kills; None if no kill was predicted.

    All in turn as long as there is room; then one alone, in steps so small that they hardly change
    the order, with a sample before each.
    """
    growers = growing(nursery, one)
    rng.shuffle(growers)
    deadline = time.monotonic() + PATIENCE
    group, finest, near = "", 512 << 10, 16 * M
    if one.target != BOX:
        found = oracle.predict(one.target)
        group, near = found.group, 2 * M
        finest = max(16 << 10, found.total * 4096 // 1000)
    if one.shape in EVEN:
        growers.sort(key=lambda p: p.name.isdecimal())  # a main process is the first
        turns = itertools.cycle([p for p in growers if p.name.isdecimal()] or growers)
    else:
        turns = itertools.cycle(rng.choices(growers, k=64))
    predicted: Predicted | None = None
    grower = growers[0]
    while time.monotonic() < deadline and grower.pid in nursery.peers:
        rest = left(group)
        if rest >= near:
            grower = next(turns)
            step = near // 12 if one.shape in EVEN else min(4 * M, (rest - near) // 4 + M)
        else:
            grower, step = growers[0], max(finest, rest // 6)
            new = oracle.predict(one.target)
            if kills := log.kills():
                # On the brink anybody's page is the last one: it came during the sample.
                return predicted and (predicted, kills, grower)
            predicted = new
        nursery.grow(grower, step & ~4095)
        kills = log.kills()
        if not kills and grower.pid not in nursery.peers:
            time.sleep(1)
            kills = log.kills()
        if kills:
            return predicted and (predicted, kills, grower)
    return None


def settled(nursery: Nursery, gone: set[int], timeout: float = 15) -> set[int]:
    """Return who is gone of the population, once that is who was predicted, or for good."""
    before = set(nursery.peers) | gone
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        nursery.listen(0.2)
        if before - set(nursery.peers) == gone:
            break
    # Whoever is stopped too would be so by now.
    quiet = time.monotonic() + 1.5
    while time.monotonic() < quiet:
        nursery.listen(0.2)
    return before - set(nursery.peers)


def outcome(unit: str, main: int | None) -> str:
    """Return what came of a unit, in the words of ``incidents --json``."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = shown(unit)
        if now["ActiveState"] in {"active", "failed", "inactive"}:
            break
        time.sleep(0.3)
    if now["ActiveState"] != "active":
        return "dead"
    if main is None or not unit.endswith(".service") or int(now.get("MainPID", "0")) == main:
        return "lived"
    return "back"


def line_of(
    one: Population, predicted: Predicted, kill: Kill, grower: Peer, log: set[int]
) -> dict[str, Any]:
    """Return the line of a kill, as far as it is known at once."""
    order, snapshot = predicted.order, predicted.snapshot
    first = order[0]
    rank = next((i for i, c in enumerate(order) if c.pid == kill.pid), None)
    victim = None if rank is None else order[rank]
    second = order[1] if len(order) > 1 else None
    found = predict(snapshot, one.target, 1)
    assert found is not None
    assert found.first is not None
    step = predicted.total // 1000

    def points(candidate: Candidate | None) -> dict[str, object] | None:
        """What the kernel counted at the kill beside what we counted before."""
        if candidate is None:
            return None
        row = kill.tasks.get(candidate.pid)
        return {
            "pid": candidate.pid,
            "predicted": candidate.points,
            "counted": row[0] + row[1] * step if row else 0,
            "adj": candidate.adj,
            "score": candidate.score,
            "split": predicted.split.get(candidate.pid),
            "row": kill.rows.get(candidate.pid, ""),
        }

    scores = [
        (p, p.oom_score, score_of(p, snapshot.host))
        for unit in snapshot.units.values()
        for p in (unit.usage.processes if unit.usage else ())
        if p.oom_score is not None
    ]
    return {
        "population": one.label,
        "shape": one.shape,
        "kind": "global" if one.target == BOX else "group",
        "domain": one.target,
        "domain_right": kill.group == predicted.group,
        "constraint": kill.constraint,
        "policies": {n.name: n.oom_policy for n in one.nests},
        "nested": any(n.groups for n in one.nests),
        "swap_held": sum(c.swap for c in order),
        "candidates": len(order),
        "grower": grower.pid,
        "predicted": first.pid,
        "predicted_unit": first.unit,
        "killed": kill.pid,
        "killed_unit": victim.unit if victim else "",
        "right": first.pid == kill.pid,
        "rank": rank,
        "lead": first.score - second.score if second else 9999,
        "lead_proc": (
            score_of(first.process, snapshot.host) - score_of(second.process, snapshot.host)
            if second
            else 9999
        ),
        "lead_pages": first.points - second.points if second else 10**9,
        "points": [points(c) for c in (first, victim, second)],
        "step_pages": predicted.total,
        "goes": found.first.goes.value,
        "gone_predicted": sorted({first.pid, *(p.pid for p in found.first.others)} & log),
        "scores": len(scores),
        "scores_off": max(abs(ours - theirs) for _, theirs, ours in scores),
        "scores_wrong": [
            [p.name, p.pid, theirs, ours] for p, theirs, ours in scores if abs(ours - theirs) > 1
        ],
    }


def live(
    nursery: Nursery,
    log: KernelLog,
    oracle: Oracle,
    one: Population,
    wanted: int,
    made: list[dict[str, Any]],
) -> float:
    """Start a population and take kills from it, into ``made``; return when it may be ended."""
    rng = random.Random(one.draw)
    one = scaled(one, *room(one, rng))
    spare = 0.0
    log.kills()
    if not nursery.start(one, log):
        say(one, "did not come up")
        return 0.0
    for nest in one.nests:
        if nest.reclaim and (usage := oracle.look().units[nest.name].usage):
            folder = CGROUP / usage.cgroup.lstrip("/")
            with contextlib.suppress(OSError):  # less than that could be had
                (folder / "memory.reclaim").write_text(str(nest.reclaim))
    while len(made) < min(wanted, one.kills):
        if not growing(nursery, one) or (one.target and one.target not in oracle.look().units):
            break
        oracle.ask([one.slice, *(n.name for n in one.nests)])
        result = provoke(nursery, log, oracle, one, rng)
        if result is None or not result[0].order:
            say(one, "came to no kill that was predicted")
            break
        predicted, (kill, *others), grower = result
        members = {
            pid
            for pid in (*nursery.peers, *(c.pid for c in predicted.order))
            if is_ours(predicted, pid)
        }
        line = line_of(one, predicted, kill, grower, members)
        gone = settled(nursery, set(line["gone_predicted"]) | {kill.pid} & members)
        line["gone"] = sorted(gone)
        line["goes_right"] = line["gone"] == line["gone_predicted"]
        # Before the victim's memory is given back another may be killed for the same page.
        line["another"] = [k.pid for k in (*others, *log.kills())]
        unit = predicted.snapshot.units.get(line["killed_unit"])
        about = unit.properties if unit else None
        line["outcome"] = outcome(line["killed_unit"], about.main_pid if about else None)
        spare = time.monotonic() + SUDDEN if line["outcome"] == "lived" else spare
        made.append(line)
        if line["another"]:
            break
    return spare


def end(nursery: Nursery, one: Population, made: list[dict[str, Any]], due: float) -> None:
    """End a population, see to the machine's own services, and tell of the kills."""
    time.sleep(max(0.0, due - time.monotonic()))
    nursery.end(one)
    if one.target == BOX:
        systemctl("start", *BASE, check=False)
    for line in made:
        if line["outcome"] == "dead" and line["killed_unit"].removesuffix(".service") in BASE:
            line["outcome"] = "back"
        print(json.dumps(line), flush=True)


def is_ours(predicted: Predicted, pid: int) -> bool:
    """Tell whether a process was in a unit of the population."""
    return any(
        p.pid == pid
        for name, unit in predicted.snapshot.units.items()
        if name.startswith("oracle-") and unit.usage
        for p in unit.usage.processes
    )


def growing(nursery: Nursery, one: Population) -> list[Peer]:
    """Return whose memory brings the domain to its end, and no other domain."""
    nests = {n.name: n for n in one.nests}
    found = [
        peer
        for peer in nursery.peers.values()
        if peer.unit in nests
        and (
            one.target in {BOX, peer.unit}
            or (one.target == one.slice and nests[peer.unit].limit is None)
        )
    ]
    return sorted(found, key=lambda p: (p.unit, p.name))


def say(one: Population, text: str) -> None:
    print(json.dumps({"population": one.label, "note": text}), flush=True)


def main() -> None:
    seed = int(sys.argv[1])
    # The reports go to the log alone: a serial console takes a second for each.
    Path("/proc/sys/kernel/printk").write_text("1")
    systemctl("stop", *IDLE)
    small_swap()
    nursery, log, oracle = Nursery(), KernelLog(), Oracle()
    oracle.look()
    stay()
    for kind, count in (word.split("=") for word in sys.argv[2:]):
        missing, at = int(count), 0
        waiting: list[tuple[Population, list[dict[str, Any]], float]] = []
        while missing > 0 and at < 2 * int(count) + 4:
            protect()
            oracle.ask([f"{name}.service" for name in BASE])
            began = time.monotonic()
            one = population(seed, kind, at)
            made: list[dict[str, Any]] = []
            due = 0.0
            try:
                due = live(nursery, log, oracle, one, missing, made)
            except (OSError, RuntimeError, AssertionError, KeyError):
                say(one, traceback.format_exc())
            waiting.append((one, made, due))
            # Of the machine's memory all is needed for the next; beside a limit some can wait.
            while waiting and (kind == "global" or waiting[0][2] < time.monotonic()):
                end(nursery, *waiting.pop(0))
            missing -= len(made)
            at += 1
            told = f"oracle: {one.label} {time.monotonic() - began:.0f} s, {missing} to go\n"
            Path("/dev/console").write_text(told)
        for each in waiting:
            end(nursery, *each)
    print(json.dumps({"done": True}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
