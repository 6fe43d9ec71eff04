"""Limits at which a kill frees nothing: nothing may be killed, or the memory outlives the kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.message import msg, of_bytes, of_setting, of_text, of_unit, plural, sentences
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
"""From this share of a limit on, shared memory that outlives a kill is warned about."""


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
    unit = of_unit(case.unit.name)
    if by_setting:
        why = msg("{unit} has OOMScoreAdjust=-1000: the kernel can kill nothing in it.", unit=unit)
        better = msg(
            "Set OOMScoreAdjust to -999 or more as well ('{unit}:OOMScoreAdjust=-500'), or set no "
            "MemoryMax.",
            unit=unit,
        )
    else:
        why = plural(
            "The only process of {unit}, {process} (pid {pid}), set OOMScoreAdjust=-1000 for "
            "itself: the kernel can kill nothing in it.",
            "All {n} processes of {unit}, such as {process} (pid {pid}), set OOMScoreAdjust=-1000 "
            "for themselves: the kernel can kill nothing in it.",
            len(safe),
            unit=unit,
            process=of_text(safe[0].name, 30),
            pid=safe[0].pid,
        )
        better = msg("Set no MemoryMax; limit what it serves instead.")
    stalled = msg(
        "At {setting} it stalls indefinitely, and so does everything that waits for it.",
        setting=of_setting(Key.MEMORY_MAX, render_limit(limit)),
    )
    return case.notice("limit-on-unkillable", sentences(why, stalled, better), forceable=True)


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
    unit, setting = of_unit(case.unit.name), of_setting(Key.MEMORY_MAX, render_limit(limit))
    if login:
        text = msg(
            "The listener of {unit} has OOMScoreAdjust=-1000: at {setting} the kernel can only "
            "kill the logins that begin in it. Set no MemoryMax on it.",
            unit=unit,
            setting=setting,
        )
    elif by_setting:
        text = msg(
            "{unit} has OOMScoreAdjust=-1000, which not all of its processes have yet: after its "
            "next start the kernel can kill nothing in it, and at {setting} it stalls "
            "indefinitely. Set OOMScoreAdjust to -999 or more as well "
            "('{unit}:OOMScoreAdjust=-500'), or set no MemoryMax.",
            unit=unit,
            setting=setting,
        )
    else:
        text = plural(
            "{n} of {all} processes of {unit}, {process} (pid {pid}), has OOMScoreAdjust=-1000 and "
            "uses {held}: at {setting} the kernel kills the others for that memory, and when it "
            "alone fills the limit the unit stalls indefinitely. Set no MemoryMax, or give it a "
            "unit of its own.",
            "{n} of {all} processes of {unit}, such as {process} (pid {pid}), have "
            "OOMScoreAdjust=-1000 and use {held}: at {setting} the kernel kills the others for "
            "that memory, and when they alone fill the limit the unit stalls indefinitely. Set no "
            "MemoryMax, or give them a unit of their own.",
            len(safe),
            all=len(safe) + len(others),
            unit=unit,
            process=of_text(safe[0].name, 30),
            pid=safe[0].pid,
            held=of_bytes(sum(process.rss for process in safe)),
            setting=setting,
        )
    return case.notice("limit-partly-unkillable", text)


def outlives(case: EditCase) -> Notice | None:
    """Warn of a limit on shared memory that a kill may not free."""
    usage, limit = case.unit.known.unit.usage, _limit(case)
    shmem = (usage.memory.shmem or 0) if usage else 0
    if limit is None or shmem < max(_MUCH_SHMEM, limit * _SHMEM_SHARE):
        return None
    return case.notice(
        "shmem-outlives-kill",
        msg(
            "{unit} uses {shmem} of shared memory (shmem). Files on tmpfs (/dev/shm, /run, /tmp) "
            "are part of it, outlive a kill and stay charged: at {setting} one process after the "
            "other is killed without freeing them. Remove the files, bound them where they are "
            "(size= of the tmpfs mount), or allow more.",
            unit=of_unit(case.unit.name),
            shmem=of_bytes(shmem),
            setting=of_setting(Key.MEMORY_MAX, render_limit(limit)),
        ),
    )


def mount(case: EditCase) -> Notice | None:
    """Warn of a limit on a mount: what is written there is charged to whoever writes."""
    if _limit(case) is None or unit_type(case.unit.name) is not UnitType.MOUNT:
        return None
    return case.notice(
        "limit-on-mount",
        msg(
            "Files below {unit} are charged to the units that write them: MemoryMax limits only "
            "the mount command. Bound a tmpfs by size= in its mount options.",
            unit=of_unit(case.unit.name),
        ),
    )
