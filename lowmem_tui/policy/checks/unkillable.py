"""Limits at which a kill gives nothing back: nobody may be killed, or what is held outlives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size, render_limit
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, UnitType, unit_type
from lowmem_tui.policy.checks.cases import everyone
from lowmem_tui.policy.checks.preflight import LEAST_LIMIT, LOGINS, stem
from lowmem_tui.policy.forecast.oom import OOM_SCORE_ADJ_MIN

if TYPE_CHECKING:
    from lowmem_tui.model.plan import Notice
    from lowmem_tui.model.usage import Process
    from lowmem_tui.policy.checks.cases import EditCase

_MUCH_SHMEM = 16 << 20
_SHMEM_SHARE = 1 / 4
"""From so much of a limit on, shared memory that outlives a kill is told of."""


def _limit(case: EditCase) -> int | None:
    limit = case.limit if case.key is Key.MEMORY_MAX else None
    return limit if limit is not None and limit >= LEAST_LIMIT else None


def _score(case: EditCase) -> int | None:
    """Return the OOMScoreAdjust that the unit will have."""
    wanted = case.beside.get(Key.OOM_SCORE_ADJUST, case.unit.properties.oom_score_adjust)
    return wanted if isinstance(wanted, int) else None


def _safe(case: EditCase) -> tuple[list[Process], list[Process]]:
    """Return the processes that the kernel may not kill, and the others.

    A staged score reaches those that have the one that is declared; the others keep their own.
    """
    declared, score = case.unit.properties.oom_score_adjust, _score(case)
    safe: list[Process] = []
    others: list[Process] = []
    for process in everyone(case.unit):
        adj = process.oom_score_adj
        if adj == declared and score is not None and not case.unit.at_restart:
            adj = score
        (safe if adj == OOM_SCORE_ADJ_MIN or process.pid == 1 else others).append(process)
    return safe, others


def stalls(case: EditCase) -> Notice | None:
    """Refuse a limit on a unit in which the kernel may kill nothing."""
    limit = _limit(case)
    if limit is None or stem(case.unit.name) in LOGINS:
        return None
    safe, others = _safe(case)
    by_setting = _score(case) == OOM_SCORE_ADJ_MIN
    if others or not (safe or by_setting):
        return None
    unit, key = case.unit.name, Key.OOM_SCORE_ADJUST
    why = f"{unit} has {key}=-1000"
    better = f"Set {key} to -999 or more as well ('{unit}:{key}=-500'), or set no MemoryMax"
    if not by_setting:
        whose = f"{plain(safe[0].name, 30)} (pid {safe[0].pid})"
        more = f" and {len(safe) - 1} more" if len(safe) > 1 else ""
        why = f"{whose}{more} of {unit} took {key}=-1000, which is all that runs there"
        better = "Set no MemoryMax; limit what it serves instead"
    return case.notice(
        "limit-on-unkillable",
        f"{why}: the kernel may kill nothing in it. At MemoryMax={render_limit(limit)} it stalls "
        f"for ever, and so does whoever waits for it. {better}.",
        forceable=True,
    )


def stalls_in_part(case: EditCase) -> Notice | None:
    """Warn of a limit that some of a unit's processes can fill, and never be killed at."""
    limit = _limit(case)
    if limit is None:
        return None
    safe, others = _safe(case)
    login = stem(case.unit.name) in LOGINS
    by_setting = _score(case) == OOM_SCORE_ADJ_MIN
    if not (safe or by_setting) or not (others or login):
        return None
    unit, key = case.unit.name, Key.OOM_SCORE_ADJUST
    if login:
        text = (
            f"The listener of {unit} is at {key}=-1000: at MemoryMax={render_limit(limit)} the "
            "kernel can only kill the logins that begin in it. Set no MemoryMax on it."
        )
    elif by_setting:
        text = (
            f"{unit} has {key}=-1000, which not all of its processes have yet: after its next "
            f"start the kernel may kill nothing in it, and at MemoryMax={render_limit(limit)} it "
            "stalls for ever. "
            f"Set {key} to -999 or more as well ('{unit}:{key}=-500'), or set no MemoryMax."
        )
    else:
        held = sum(process.rss for process in safe)
        names = plain(safe[0].name, 30)
        who = f"{names} (pid {safe[0].pid}) of {unit} is"
        if len(safe) > 1:
            who = f"{len(safe)} of {len(safe) + len(others)} processes of {unit} are"
        text = (
            f"{who} at {key}=-1000 with {format_size(held)}: at MemoryMax={render_limit(limit)} "
            "the kernel kills the others for what these hold, and when they alone fill the limit "
            "the unit stalls for ever. Set no MemoryMax, or give them a unit of their own."
        )
    return case.notice("limit-partly-unkillable", text)


def outlives(case: EditCase) -> Notice | None:
    """Warn of a limit on shared memory that a kill may not free."""
    usage, limit = case.unit.known.unit.usage, _limit(case)
    shmem = (usage.memory.shmem or 0) if usage else 0
    if limit is None or shmem < max(_MUCH_SHMEM, limit * _SHMEM_SHARE):
        return None
    unit = case.unit.name
    return case.notice(
        "shmem-outlives-kill",
        f"{unit} holds {format_size(shmem)} of shared memory (shmem). What of it is files on tmpfs "
        f"(/dev/shm, /run, /tmp) outlives a kill and stays charged: at MemoryMax="
        f"{render_limit(limit)} one process after the other is killed, and it is not freed. Remove "
        "the files, bound them where they lie (size= of the tmpfs mount), or allow more.",
    )


def mount(case: EditCase) -> Notice | None:
    """Warn of a limit on a mount: what is written there is charged to whoever writes."""
    if _limit(case) is None or unit_type(case.unit.name) is not UnitType.MOUNT:
        return None
    return case.notice(
        "limit-on-mount",
        f"Files below {case.unit.name} are charged to the units that write them: MemoryMax holds "
        "only the mount command. Bound a tmpfs by size= in its mount options.",
    )
