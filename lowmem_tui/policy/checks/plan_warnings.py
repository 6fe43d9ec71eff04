"""What a plan warns of once all its edits are known: what a unit, and the server, come to; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_limit,
    of_setting,
    of_text,
    of_unit,
    plural,
    sentences,
)
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.unit import Key, Tier, Unlimited
from lowmem_tui.policy import budget
from lowmem_tui.policy.checks import elsewhere, protections, restart_warnings
from lowmem_tui.policy.checks.cases import After, goes_into_swap, swap_left, unreclaimable, workers
from lowmem_tui.policy.classify import LARGE
from lowmem_tui.policy.forecast.oom import kill_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.message import Value as MessageValue
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
            msg(
                "{unit} uses {held}, its largest worker {largest}: {limit} leaves no room to start "
                "another worker before that one ends, as a reload does. Allow {enough}, or run "
                "fewer workers.",
                unit=of_unit(after.name),
                held=of_bytes(held),
                largest=of_bytes(largest),
                limit=of_limit(limit),
                enough=_whole(held + largest),
            ),
        )
    # The page cache of now may well have been in the peak, and a limit only pushes it out.
    peak = usage.memory.peak
    if after.case.at_restart and held is not None:
        peak = max(peak or 0, held)
    if peak is None or limit >= peak - max(0, (usage.memory.file or 0) - (usage.memory.shmem or 0)):
        return None
    unit, used, most = of_unit(after.name), of_bytes(peak), of_limit(limit)
    text = msg(
        "{unit} has used {peak} since it started, more than {limit}: it is killed when it needs "
        "that again. Allow more, or watch it for a day first.",
        unit=unit,
        peak=used,
        limit=most,
    )
    if after.case.situation.swap:
        text = msg(
            "{unit} has used {peak} since it started, more than {limit}: it swaps, or is killed, "
            "when it needs that again. Allow more, or watch it for a day first.",
            unit=unit,
            peak=used,
            limit=most,
        )
    return Notice("memory-max-below-peak", after.name, text)


def _swap_left(after: After) -> int:
    """Return the bytes of swap that the unit could still fill."""
    return swap_left(after.case, after.will(Key.MEMORY_SWAP_MAX))


def _whole(size: int) -> MessageValue:
    """Return a size as a limit to write, rounded up to 10M."""
    step = 10 << 20
    return of_setting(f"{-(-size // step) * 10}M")


def _no_swap(after: After) -> tuple[Message, Message] | None:
    """Return why a unit has no swap at all, and what would give it some; None where it has."""
    if not after.case.situation.swap:
        return (
            msg("There is no swap."),
            msg("Use MemoryMax with Restart=, or create swap first."),
        )
    if after.will(Key.MEMORY_SWAP_MAX) == 0:
        return (
            msg("With MemorySwapMax=0 it has no swap."),
            msg("Use MemoryMax with Restart=, or allow it some swap."),
        )
    if after.case.situation.snapshot.host.knobs.swappiness == 0:
        return (
            msg("With vm.swappiness=0 no unit swaps at a limit."),
            msg("Use MemoryMax with Restart=, or raise vm.swappiness."),
        )
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
        sentences(
            why,
            msg(
                "At MemoryHigh the kernel can only slow {unit} down, perhaps indefinitely.",
                unit=of_unit(after.name),
            ),
            instead,
        ),
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
        msg(
            "{unit} uses {held}. Above {setting} it has only {room} of swap left, so the "
            "kernel can only slow it down, perhaps indefinitely. Set MemoryHigh to at "
            "least {enough}, or use MemoryMax with Restart=.",
            unit=of_unit(after.name),
            held=of_bytes(held),
            setting=of_setting(Key.MEMORY_HIGH, render_limit(high)),
            room=of_bytes(room),
            enough=_whole(held - room),
        ),
    )


def _high_never_reached(after: After) -> Notice | None:
    high, limit = after.will(Key.MEMORY_HIGH), after.limit
    if not after.touches(Key.MEMORY_HIGH, Key.MEMORY_MAX) or limit is None:
        return None
    if not isinstance(high, int) or high < limit:
        return None
    text = msg(
        "{high} of {unit} is never reached: {max} takes effect first.",
        high=of_setting(Key.MEMORY_HIGH, render_limit(high)),
        unit=of_unit(after.name),
        max=of_setting(Key.MEMORY_MAX, render_limit(limit)),
    )
    better = msg("Set it a little below, or drop it.")
    if not _swap_left(after):
        better = msg("Drop it: without swap it can only slow the unit down.")
    return Notice("memory-high-never-reached", after.name, sentences(text, better))


def _stops_all(after: After) -> Notice | None:
    limited = after.touches(Key.MEMORY_MAX) and after.limit is not None
    if not (limited or after.touches(Key.OOM_POLICY)) or after.will(Key.OOM_POLICY) != "stop":
        return None
    program = pre_fork(after)
    if not program:
        return None
    return Notice(
        "oom-policy-stops-all",
        after.name,
        msg(
            "{unit} serves with several {program} processes, and with OOMPolicy=stop the kill of "
            "one stops them all. With OOMPolicy=continue it replaces that one.",
            unit=of_unit(after.name),
            program=of_text(program, 30),
        ),
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
        msg(
            "{unit} is a gatekeeper (tier 0): at a limit it is killed just when it is needed. "
            "Limit the services behind it instead.",
            unit=of_unit(after.name),
        ),
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
    over = total + kept > room + swap
    return Notice(
        "limits-over-memory" if over else "limits-over-ram",
        unit,
        sentences(
            plural(
                "Overcommitted: MemoryMax of {n} unit ({unit}) adds up to {total}; with the "
                "reserve of {reserve} that is {sum} of {ram} of RAM.",
                "Overcommitted: MemoryMax of {n} units adds up to {total}; with the reserve of "
                "{reserve} that is {sum} of {ram} of RAM.",
                len(found),
                unit=of_unit(unit),
                total=of_bytes(total),
                reserve=of_bytes(kept),
                sum=of_bytes(total + kept),
                ram=of_bytes(room),
            ),
            _when_all_are_used(swap, host.swap_total, over=over),
            msg("Limits of {fit} in total would fit.", fit=of_setting(f"{(room - kept) >> 20}M")),
        ),
    )


def _when_all_are_used(swap: int, all_swap: int, *, over: bool) -> Message:
    """Return what happens when every unit uses all that it is allowed; bytes of usable swap."""
    if not over:
        return msg("If all units reach their MemoryMax at once, the server swaps.")
    if not swap:
        return msg(
            "If all units reach their MemoryMax at once, memory runs out, and the kernel "
            "kills a process."
        )
    if swap == all_swap:
        return msg(
            "If all units reach their MemoryMax at once, {swap} of swap is not enough, and "
            "the kernel kills a process.",
            swap=of_bytes(swap),
        )
    return msg(
        "If all units reach their MemoryMax at once, the {swap} of swap that they may use "
        "is not enough, and the kernel kills a process.",
        swap=of_bytes(swap),
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
        msg(
            "{unit} uses the most memory, {held}: with {setting} the kernel kills {first} before "
            "it, which frees {frees}. Protect small services, and keep this one at 0.",
            unit=of_unit(after.name),
            held=of_bytes(_held(largest)),
            setting=of_setting(Key.OOM_SCORE_ADJUST, wanted),
            first=of_unit(first.unit, 60),
            frees=of_bytes(first.rss),
        ),
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
