"""One unit in sentences: for `show` and for the dialogue of plain lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli.dialogue.words import limit, size
from lowmem_tui.model.message import msg, of_list, of_text, of_unit, plural
from lowmem_tui.model.unit import CGROUP_FILES
from lowmem_tui.policy.setting_advice import TIER_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.model.usage import UnitUsage
    from lowmem_tui.policy.classify import Verdict

WIDEST = 2000
"""Cells of a unit's description."""


def identity(unit: Unit, verdict: Verdict | None) -> Iterator[Message]:
    """Yield what it is, its state, and its tier with the reason."""
    p = unit.properties
    if p is None or not p.description:
        yield msg("{unit}.", unit=of_unit(unit.name))
    else:
        yield msg(
            "{unit}: {description}.",
            unit=of_unit(unit.name),
            description=of_text(p.description, WIDEST),
        )
    if p is not None:
        yield msg(
            "State: {active} ({sub}), {load}, result {result}.",
            active=p.active_state,
            sub=p.sub_state,
            load=p.load_state,
            result=p.result,
        )
    if verdict is not None:
        yield msg("{tier}. {reason}", tier=TIER_NAMES[verdict.tier], reason=verdict.reason)
    if p is not None and p.need_daemon_reload:
        yield msg("Its files have changed on disk, and systemd has not reloaded them.")


def memory(usage: UnitUsage | None) -> Iterator[Message]:
    """Yield what it uses, its limits in the kernel, its waiting for memory, its OOM kills."""
    if usage is None:
        yield msg("It is not running: it uses no memory.")
        return
    held = usage.memory
    yield msg(
        "It uses {rss} RSS and {swap} swap. cgroup total (memory.current): {total}; anonymous "
        "memory {anon}, page cache {file}, shmem {shmem}, kernel {kernel}, peak {peak}.",
        rss=size(usage.rss),
        swap=size(usage.swap),
        total=size(held.current),
        anon=size(held.anon),
        file=size(held.file),
        shmem=size(held.shmem),
        kernel=size(held.kernel),
        peak=size(held.peak),
    )
    yield msg(
        "Its limits and its protection in the kernel: {values}.",
        values=of_list(
            f"{file} {limit(held.settings.get(key))}" for key, file in CGROUP_FILES.items()
        ),
    )
    if held.pressure is not None:
        yield msg(
            "Its tasks waited for memory {ten} percent of the last 10 seconds and {sixty} percent "
            "of the last 60.",
            ten=str(held.pressure.some.avg10),
            sixty=str(held.pressure.some.avg60),
        )
    if held.oom_kills:
        yield plural(
            "The OOM killer has killed in it once since it started.",
            "The OOM killer has killed in it {n} times since it started.",
            held.oom_kills,
        )


def after_a_kill(unit: Unit) -> Iterator[Message]:
    """Yield what systemd does if it is killed for memory; nothing where that is unknown."""
    from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook

    found = outlook(unit.properties) if unit.properties else None
    if found is not None:
        yield msg("If it is killed for memory now: {outcome}.", outcome=killed_now(found))
        yield msg("If it fails at every start: {outcome}.", outcome=at_every_start(found))
