"""What a plan warns of once all its edits are known: what a unit, and the server, come to; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size, render_limit
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, Tier, Unlimited
from lowmem_tui.policy import budget
from lowmem_tui.policy.checks import elsewhere, protections, restart_warnings
from lowmem_tui.policy.checks.cases import After, goes_into_swap, swap_left, unreclaimable, workers
from lowmem_tui.policy.classify import LARGE
from lowmem_tui.policy.forecast.oom import kill_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowmem_tui.model.snapshot import Situation, Unit
    from lowmem_tui.model.unit import Limit

SMALL = 1 / 8
"""A limit of up to this share of RAM is a small one."""

_PRE_FORK = ("gunicorn", "nginx", "php-fpm", "uwsgi", "apache2", "httpd", "unicorn", "puma")
"""How the names of programs begin that serve with processes of their own making."""


def pre_fork(after: After) -> str:
    """Return the program of a unit that serves with several processes; "" for any other."""
    if found := workers(after):
        return found[0].name
    if after.processes:
        return ""
    for argument in after.case.properties.exec_start[:3]:
        program = argument.rpartition("/")[2]
        if program.startswith(_PRE_FORK):
            return program
    return ""


# --- memory -------------------------------------------------------------------------------------


def _no_room(after: After) -> Notice | None:
    """Warn of a limit below what the unit has needed, or needs while a worker is replaced."""
    limit, held = after.limit, unreclaimable(after.case)
    usage = after.case.known.unit.usage
    if not after.touches(Key.MEMORY_MAX) or limit is None or usage is None:
        return None
    if held is not None and limit < held and not after.case.at_restart:
        return None  # it is refused
    largest = max((p.rss for p in workers(after)), default=0)
    if held is not None and largest and held + largest > limit + _swap_left(after):
        return Notice(
            "no-room-for-worker",
            after.name,
            f"{after.name} holds {format_size(held)}, its largest worker {format_size(largest)}: "
            f"{render_limit(limit)} leaves no room for another before that one ends, as a reload "
            f"needs. Allow {_whole(held + largest)}, or run fewer workers.",
        )
    # The page cache of now may well have been in the peak, and a limit only pushes it out.
    peak = usage.memory.peak
    if after.case.at_restart and held is not None:
        peak = max(peak or 0, held)
    if peak is None or limit >= peak - max(0, (usage.memory.file or 0) - (usage.memory.shmem or 0)):
        return None
    then = "it swaps, or is killed," if after.case.situation.swap else "it is killed"
    return Notice(
        "memory-max-below-peak",
        after.name,
        f"{after.name} has held {format_size(peak)} since it started, more than "
        f"{render_limit(limit)}: {then} when it needs that again. Allow more, or watch it for a "
        "day first.",
    )


def _swap_left(after: After) -> int:
    """Return the bytes of swap that the unit could still fill."""
    return swap_left(after.case, after.will(Key.MEMORY_SWAP_MAX))


def _whole(size: int) -> str:
    """Return a size as a limit to write, rounded up to 10M."""
    step = 10 << 20
    return f"{-(-size // step) * 10}M"


def _no_swap(after: After) -> tuple[str, str] | None:
    """Return why a unit has no swap at all, and what would give it some; None where it has."""
    if not after.case.situation.swap:
        return "There is no swap", "make swap first"
    if after.will(Key.MEMORY_SWAP_MAX) == 0:
        return "With MemorySwapMax=0 it has no swap", "allow it some swap"
    if after.case.situation.snapshot.host.knobs.swappiness == 0:
        return "With vm.swappiness=0 no unit swaps at a limit", "raise vm.swappiness"
    return None


def _high_without_swap(after: After) -> Notice | None:
    if not after.touches(Key.MEMORY_HIGH, Key.MEMORY_SWAP_MAX):
        return None
    if not isinstance(after.will(Key.MEMORY_HIGH), int):
        return None
    if (found := _no_swap(after)) is None:
        return None
    why, instead = found
    return Notice(
        "memory-high-without-swap",
        after.name,
        f"{why}: at MemoryHigh the kernel can only slow {after.name} down, perhaps for ever. Use "
        f"MemoryMax with Restart=, or {instead}.",
    )


def _high_below_use(after: After) -> Notice | None:
    """Warn where more must leave RAM than the swap that is left to the unit can take."""
    high, held, room = after.will(Key.MEMORY_HIGH), unreclaimable(after.case), _swap_left(after)
    if not after.touches(Key.MEMORY_HIGH, Key.MEMORY_SWAP_MAX) or _no_swap(after) is not None:
        return None  # _high_without_swap says it
    if not isinstance(high, int) or held is None or held <= high:
        return None
    if goes_into_swap(after.case, held - high, after.will(Key.MEMORY_SWAP_MAX)):
        return None
    return Notice(
        "memory-high-below-use",
        after.name,
        f"{after.name} holds {format_size(held)}, and above MemoryHigh={render_limit(high)} it "
        f"has {format_size(room)} of swap left: the kernel can only slow it down, perhaps for "
        f"ever. Allow {_whole(held - room)}, or use MemoryMax with Restart=.",
    )


def _high_never_reached(after: After) -> Notice | None:
    high, limit = after.will(Key.MEMORY_HIGH), after.limit
    if not after.touches(Key.MEMORY_HIGH, Key.MEMORY_MAX) or limit is None:
        return None
    if not isinstance(high, int) or high < limit:
        return None
    better = "Set it a little below, or drop it"
    if not _swap_left(after):
        better = "Drop it: without swap it can only slow the unit down"
    return Notice(
        "memory-high-never-reached",
        after.name,
        f"MemoryHigh={render_limit(high)} of {after.name} is never reached: MemoryMax="
        f"{render_limit(limit)} counts first. {better}.",
    )


def _stops_all(after: After) -> Notice | None:
    limited = after.touches(Key.MEMORY_MAX) and after.limit is not None
    if not (limited or after.touches(Key.OOM_POLICY)) or after.will(Key.OOM_POLICY) != "stop":
        return None
    program = plain(pre_fork(after), 30)
    if not program:
        return None
    return Notice(
        "oom-policy-stops-all",
        after.name,
        f"{after.name} serves with several {program} processes, and with OOMPolicy=stop the kill "
        "of one stops them all. OOMPolicy=continue lets it replace the one.",
    )


def _gatekeeper(after: After) -> Notice | None:
    if (
        not after.touches(Key.MEMORY_MAX)
        or after.limit is None
        or after.tier is not Tier.GATEKEEPER
    ):
        return None
    return Notice(
        "limit-on-gatekeeper",
        after.name,
        f"{after.name} is a gatekeeper (tier 0): at a limit it is killed just when it is needed. "
        "Limit what stands behind it instead.",
    )


UNIT_CHECKS: tuple[Callable[[After], Notice | None], ...] = (
    _gatekeeper,
    restart_warnings.unguarded,
    *elsewhere.CHECKS,
    _no_room,
    _high_without_swap,
    _high_below_use,
    _high_never_reached,
    _stops_all,
    *restart_warnings.CHECKS,
)


# --- the server ---------------------------------------------------------------------------------


def _over_budget(situation: Situation, afters: Sequence[After]) -> Notice | None:
    """Warn when limits that this plan makes or raises allow more than there is."""
    snapshot, host = situation.snapshot, situation.snapshot.host
    staged: dict[str, Limit] = {
        a.name: limit
        for a in afters
        if isinstance(limit := a.changed.get(Key.MEMORY_MAX), int | Unlimited)
    }
    found, before = budget.limits(snapshot, staged), budget.limits(snapshot)
    swaps: dict[str, Limit] = {
        a.name: most
        for a in afters
        if isinstance(most := a.changed.get(Key.MEMORY_SWAP_MAX), int | Unlimited)
    }
    room, kept = host.mem_total, budget.reserve(host.mem_total)
    swap = budget.budget(snapshot, staged, swaps).usable
    total = sum(found.values())
    if total + kept <= room:
        return None
    # A small limit where there was none is no reason to complain of the others.
    was = sum(before.values()) + kept
    crossed = was <= room or was <= room + swap < total + kept
    unit = next(
        (
            name
            for name in staged
            if name in found
            and (
                found[name] > before[name]
                if name in before
                else crossed or found[name] > SMALL * room
            )
        ),
        None,
    )
    if unit is None:
        return None
    code, what, then = "limits-over-ram", f"{format_size(room)} of RAM", "they swap"
    if total + kept > room + swap:
        code, then = "limits-over-memory", "the kernel kills, limits or not"
        if swap:
            usable = "swap" if swap == host.swap_total else "the swap that they may use"
            what = f"{format_size(room + swap)} of RAM and {usable}"
    who = f"{unit}'s limit allows" if len(found) == 1 else f"{len(found)} units' limits allow"
    return Notice(
        code,
        unit,
        f"{who} {format_size(total)}; with {format_size(kept)} kept for the system that is more "
        f"than {what}: filled together, {then}. {(room - kept) >> 20}M of limits would fit.",
    )


def _protects_largest(situation: Situation, afters: Sequence[After]) -> Notice | None:
    """Warn when the unit that holds the most is put behind others in the kill order."""
    snapshot = situation.snapshot
    known = {after.name: after.case.known.unit for after in afters}
    snapshot = replace(
        snapshot, units=snapshot.units | {n: u for n, u in known.items() if n in snapshot.units}
    )
    largest = max(snapshot.units.values(), key=_held, default=None)
    after = next((a for a in afters if largest and a.name == largest.name), None)
    if after is None or largest is None or _held(largest) < LARGE * snapshot.host.mem_total:
        return None
    wanted = after.changed.get(Key.OOM_SCORE_ADJUST)
    before = after.case.properties.oom_score_adjust
    if not isinstance(wanted, int) or wanted >= min(0, before or 0):
        return None
    scores = {
        a.name: score
        for a in afters
        if isinstance(score := a.changed.get(Key.OOM_SCORE_ADJUST), int)
    }
    first = next(iter(kill_order(snapshot, scores)), None)
    if first is None or first.unit == after.name:
        return None
    return Notice(
        "protects-largest",
        after.name,
        f"{after.name} holds the most, {format_size(_held(largest))}: with OOMScoreAdjust={wanted} "
        f"the kernel kills {plain(first.unit, 60)} before it, for {format_size(first.rss)}. "
        "Protect what is small; leave this at 0.",
    )


def _held(unit: Unit) -> int:
    """Return the bytes of a unit's processes, swap included."""
    if unit.usage is None or not unit.usage.processes:
        return 0
    return (unit.usage.rss or 0) + (unit.usage.swap or 0)


SERVER_CHECKS: tuple[Callable[[Situation, Sequence[After]], Notice | None], ...] = (
    _over_budget,
    _protects_largest,
)


def warnings(situation: Situation, afters: Sequence[After]) -> Iterator[Notice]:
    """Yield what a plan warns of as a whole; units that it does not change are left out."""
    for after in afters:
        for check in UNIT_CHECKS:
            if after.changed and (notice := check(after)):
                yield notice
    for server_check in SERVER_CHECKS:
        if notice := server_check(situation, afters):
            yield notice
    yield from protections.warnings(situation, afters)
