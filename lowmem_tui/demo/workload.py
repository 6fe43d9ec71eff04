"""How the processes of the demo server live: what leaks, what breathes, what works for a while."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lowmem_tui.demo import roster
from lowmem_tui.demo.memory import STEP
from lowmem_tui.demo.noise import noise
from lowmem_tui.demo.roster import KIB, MIB

if TYPE_CHECKING:
    from lowmem_tui.demo.init import Init
    from lowmem_tui.demo.memory import Cgroup, Task

LEAKS = (0.85 * MIB, 0.25 * MIB)
"""Bytes per second that each gunicorn worker keeps indefinitely: one has the busy rooms."""


def live(init: Init, seed: int) -> None:
    """Let every process do what it does in one step."""
    for name, service in init.services.items():
        act = _ACTS.get(name)
        if act is not None and service.sub in {"running", "start"}:
            group = init.memory.groups[service.path]
            act(init, group, seed)
            group.touch()


def _cloudchat(init: Init, group: Cgroup, seed: int) -> None:
    master, *workers = group.tasks
    wanted = init.services[group.name].crew.programs[1:]
    if len(workers) < len(wanted) and init.step % 2 == 0:
        # The arbiter puts a new worker in the place of a lost one; it inherits the score.
        new = init.spawn(group, wanted[0], master.adj)
        new.ppid = master.pid
    awake = 1 - group.slowed
    for number, worker in enumerate(workers):
        chance = noise(seed, 10 + number, init.step)
        leak = LEAKS[number % len(LEAKS)]
        worker.anon += int(leak * STEP * awake * (1 + 0.7 * chance))
        if chance > 0.9:
            worker.anon += int(0.8 * MIB)
        _come_back(group, worker, 30 * KIB * (1 + chance))
    group.cache = max(int(0.5 * MIB), group.cache + int(noise(seed, 12, init.step) * 90 * KIB))


def _redis(init: Init, group: Cgroup, seed: int) -> None:
    redis = group.tasks[0]
    wave = math.sin(init.elapsed / 47 * 2 * math.pi) * 4
    size = int((78 + wave + 1.2 * noise(seed, 20, init.step // 3)) * MIB)
    redis.anon = max(0, redis.anon + (size - redis.anon - redis.swap) // 6)
    _come_back(group, redis, 8 * KIB * (1 + noise(seed, 21, init.step)))


def _nginx(init: Init, group: Cgroup, seed: int) -> None:
    if init.step % 5 == 0:
        for number, worker in enumerate(group.tasks[1:]):
            size = 4.2 + 0.5 * noise(seed, 30 + number, init.step)
            worker.anon = max(0, int(size * MIB) - worker.swap)


def _journald(init: Init, group: Cgroup, seed: int) -> None:
    if init.step % 4 == 0:
        group.cache += int((1 + noise(seed, 40, init.step)) * 48 * KIB)
        if group.cache > 26 * MIB:
            group.cache = 12 * MIB


def _certbot(init: Init, group: Cgroup, seed: int) -> None:
    certbot = group.tasks[0]
    if certbot.anon + certbot.swap < 37 * MIB:
        certbot.anon += int((2.2 + noise(seed, 50, init.step)) * MIB)


def _backup(init: Init, group: Cgroup, seed: int) -> None:
    zstd = group.tasks[-1]
    zstd.anon = max(0, int((14 + 2.5 * noise(seed, 60, init.step)) * MIB) - zstd.swap)
    # What it reads stays in the page cache, charged to it.
    group.cache = min(group.cache + int(1.6 * MIB), 70 * MIB)


def _come_back(group: Cgroup, task: Task, size: float) -> None:
    """Fault in what was swapped out, where there is room for it."""
    limit = group.limits["memory.max"]
    # As it was a step ago: to weigh it for every process would cost more than it tells.
    if isinstance(limit, int) and group.sizes().current > 0.93 * limit:
        return
    back = min(task.swap, int(size))
    group.stall = max(group.stall, back / (8 * MIB))
    task.swap -= back
    task.anon += back


_ACTS = {
    roster.CLOUDCHAT: _cloudchat,
    roster.REDIS: _redis,
    "nginx.service": _nginx,
    "systemd-journald.service": _journald,
    "certbot.service": _certbot,
    "cloudchat-backup.service": _backup,
}
