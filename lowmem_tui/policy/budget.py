"""What the memory limits allow together, beside what the system itself needs; pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.cgroup import ROOT_SLICE, TOP_SLICES
from lowmem_tui.model.message import msg, of_bytes, of_limit, of_unit, plural, sentences
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Tier, UnitType, unit_type
from lowmem_tui.policy.forecast.oom import cap_above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Limit

MOST_KEPT = 768 << 20
"""Bytes; reached at 2 GiB: the system's own needs do not grow with the machine without end."""


_ROOTS = TOP_SLICES | {ROOT_SLICE}
"""They hold the system itself: their limit is none of the application's."""


def reserve(ram: int) -> int:
    """Return the bytes to keep for the system, out of ``ram`` bytes.

    The guide keeps some 400 MiB of 1 GiB and gives the application 600M: three eighths.
    """
    return min(ram * 3 // 8, MOST_KEPT)


def limits(snapshot: Snapshot, staged: Mapping[str, Limit] | None = None) -> dict[str, int]:
    """Return MemoryMax, in bytes, of the running units that have one, by name.

    ``staged`` values go first, then the kernel's, then systemd's. What lies below a limited unit
    counts in that unit's limit; but the top slices, which hold the system too, are passed over:
    theirs only bounds what each unit below may have.
    """
    found: dict[str, tuple[str, int]] = {}
    tops: dict[str, int] = {}
    for name, unit in snapshot.units.items():
        if unit.usage is None:
            continue
        limit = (staged or {}).get(name, unit.limit)
        if isinstance(limit, int) and name in _ROOTS:
            tops[f"{unit.usage.cgroup.rstrip('/')}/"] = limit
        elif isinstance(limit, int):
            found[name] = unit.usage.cgroup, limit
    paths = [f"{path.rstrip('/')}/" for path, _ in found.values()]
    return {
        name: min([limit, *(top for above, top in tops.items() if path.startswith(above))])
        for name, (path, limit) in found.items()
        if not any(path.startswith(above) for above in paths)
    }


class Verdict(StrEnum):
    """What happens when every limit is filled at the same time."""

    FITS = "fits"
    SWAPS = "swaps"
    """More than RAM, but not more than RAM and swap."""
    KILLS = "kills"
    """More than there is at all: the kernel kills, limits or not."""


class Part(NamedTuple):
    """A unit with a limit. Bytes."""

    unit: str
    used: int
    """What only swap can reclaim (anon + shmem), else the resident memory."""
    allowed: int
    swap: int
    """How much of the machine's swap it may fill."""


class Budget(NamedTuple):
    """What is promised, and what there is. Bytes."""

    ram: int
    swap: int
    reserve: int
    parts: tuple[Part, ...]
    """The largest limit first."""

    @property
    def promised(self) -> int:
        """The reserve and all limits."""
        return self.reserve + sum(part.allowed for part in self.parts)

    @property
    def free(self) -> int:
        """What of RAM is not promised; below 0 where too much is."""
        return self.ram - self.promised

    @property
    def usable(self) -> int:
        """What of swap may be filled: MemorySwapMax bounds the units, nothing the system itself."""
        return min(self.swap, self.reserve + sum(min(p.swap, p.allowed) for p in self.parts))

    @property
    def verdict(self) -> Verdict:
        """What happens when all is filled."""
        if self.promised <= self.ram:
            return Verdict.FITS
        return Verdict.SWAPS if self.promised <= self.ram + self.usable else Verdict.KILLS


def budget(
    snapshot: Snapshot,
    staged: Mapping[str, Limit] | None = None,
    swaps: Mapping[str, Limit] | None = None,
) -> Budget:
    """Return the budget of a server; ``staged`` are MemoryMax, ``swaps`` MemorySwapMax."""
    host = snapshot.host
    parts = [
        Part(name, held(unit), limit, swap_of(snapshot, unit, (swaps or {}).get(name)))
        for name, limit in limits(snapshot, staged).items()
        for unit in (snapshot.units[name],)
    ]
    parts.sort(key=lambda part: (-part.allowed, part.unit))
    return Budget(host.mem_total, host.swap_total, reserve(host.mem_total), tuple(parts))


def swap_of(snapshot: Snapshot, unit: Unit, staged: Limit | None = None) -> int:
    """Return the bytes of the machine's swap that a unit may fill."""
    most = staged
    if most is None and unit.usage:
        most = unit.usage.memory.swap_max
    if most is None and unit.properties:
        most = unit.properties.memory_swap_max
    swap = snapshot.host.swap_total
    return min(swap, most) if isinstance(most, int) else swap


def in_words(found: Budget) -> Message:
    """Return the sum of the limits and the reserve, and what happens when all of it is used."""
    ram, reserve = of_bytes(found.ram), of_bytes(found.reserve)
    if not found.parts:
        return msg(
            "No unit has a MemoryMax: of {ram} of RAM {reserve} is the reserve, and any unit can "
            "use the rest.",
            reserve=reserve,
            ram=ram,
        )
    limits = of_bytes(found.promised - found.reserve)
    if found.verdict is Verdict.FITS:
        return msg(
            "MemoryMax of all units ({limits}) and the reserve ({reserve}) fit into {ram} of RAM; "
            "{free} can still be assigned.",
            limits=limits,
            reserve=reserve,
            ram=ram,
            free=of_bytes(found.free),
        )
    sums = msg(
        "MemoryMax of all units ({limits}) and the reserve ({reserve}) are {over} more than {ram} "
        "of RAM.",
        limits=limits,
        reserve=reserve,
        over=of_bytes(-found.free),
        ram=ram,
    )
    if found.verdict is Verdict.SWAPS:
        return sentences(sums, msg("If all units reach their MemoryMax at once, the server swaps."))
    if not found.usable:
        kills = msg(
            "If all units reach their MemoryMax at once, memory runs out, and the kernel "
            "kills a process."
        )
    elif found.usable == found.swap:
        kills = msg(
            "If all units reach their MemoryMax at once, {swap} of swap is not enough, and "
            "the kernel kills a process.",
            swap=of_bytes(found.usable),
        )
    else:
        kills = msg(
            "If all units reach their MemoryMax at once, the {swap} of swap that may be "
            "used is not enough, and the kernel kills a process.",
            swap=of_bytes(found.usable),
        )
    return sentences(sums, kills)


def held(unit: Unit) -> int:
    """Return the bytes that a limit cannot push out to files: anon + shmem, else the RSS."""
    return (unit.usage.unreclaimable or 0) if unit.usage else 0


def in_use(unit: Unit) -> int:
    """Return the bytes that a unit has in use: in RAM without page cache (``held``), and in swap.

    "In use" means this everywhere; of the machine MemTotal - MemAvailable, and swap.
    """
    return held(unit) + ((unit.usage.swap or 0) if unit.usage else 0)


def need(unit: Unit) -> int:
    """Return the bytes of RAM that a unit has needed at most, page cache apart; 0: not known.

    The page cache of now may well have been in the peak, and a limit only pushes it out.
    """
    if unit.usage is None:
        return 0
    memory = unit.usage.memory
    cache = max(0, (memory.file or 0) - (memory.shmem or 0))
    return max(held(unit), (memory.peak or 0) - cache)


def _high(unit: Unit) -> int:
    """Return a unit's MemoryHigh in bytes, the kernel's or systemd's; 0 if it has none."""
    highs = (
        unit.usage.memory.high if unit.usage else None,
        unit.properties.memory_high if unit.properties else None,
    )
    return max((high for high in highs if isinstance(high, int)), default=0)


def least_limit(unit: Unit, whole: int = 0) -> int:
    """Return the least MemoryMax that is ever advised: what the unit has needed, and a tenth.

    ``whole`` are bytes that it needs by its own configuration. All are bytes.
    """
    return max(_up(_LEAST_SPARE * need(unit)), _up(whole), above_high(unit))


def above_high(unit: Unit) -> int:
    """Return the least advice under which a unit's MemoryHigh counts."""
    return _up(_high(unit) + 1) if _high(unit) else _STEP


class Advice(NamedTuple):
    """A MemoryMax for a unit."""

    unit: str
    limit: int
    """Bytes."""
    why: Message
    """Sentences."""
    fits: bool = True
    """Whether it fits into RAM beside the reserve, the limits that stay, and those before it."""

    @property
    def words(self) -> Message:
        """The unit, its limit and why."""
        return msg(
            "{unit}: {limit}. {why}",
            unit=of_unit(self.unit, 60),
            limit=of_limit(self.limit >> 20 << 20),
            why=self.why,
        )


_STEP = 10 << 20
"""Advice is given in tens of MiB."""

_SMALL = 32
"""What needs less than one part in so many of RAM lives within the reserve."""

_SPARE, _LEAST_SPARE = 2.0, 1.1
"""Whoever is not the largest gets so many times what it has needed: a fork's copy, a reload; and
where there is little, hardly more than that."""

_ENOUGH = 0.5
"""What does not run gets no advice where there is no room for this share of its least."""


def advise(
    snapshot: Snapshot,
    tiers: Mapping[str, Tier | None],
    least: Mapping[str, int] | None = None,
    kept: Mapping[str, int] | None = None,
    whole: Mapping[str, int] | None = None,
) -> list[Advice]:
    """Return a MemoryMax for each business unit that runs and is not small, the largest first.

    The guide's rule, scaled: keep three eighths of RAM for the system (some 400 MiB of 1 GiB),
    give the lesser ones up to twice what they have needed, and the largest the rest. Together with
    the reserve that is never more than RAM, unless the needs themselves are, or a MemoryHigh that
    each limit is to stand above: none is below what its unit has needed. Units of the other tiers
    get no limit: gatekeepers must not be killed, short-lived ones end by themselves.

    ``least`` are bytes for units that get advice though they are small, or do not run yet: what
    they are given at the least, where there is room. ``kept`` are limits that stay as they are, of
    whatever unit. ``whole`` are bytes that a unit (not the largest) is given even where the others
    and the rest for the largest become less by that.
    """
    ram, floors, fixed, wholes = snapshot.host.mem_total, least or {}, kept or {}, whole or {}
    units = _to_limit(snapshot, tiers, floors, fixed)
    if not units:
        return []
    room = ram - reserve(ram) - sum(fixed.values())
    first = _largest(snapshot, units, [name for name in fixed if name in tiers])
    spare, left = _spare(units, first, room)
    wanted = _wanted([u for u in units if u is not first], floors, spare, left)
    others = [u for u in units if u.name in wanted]
    given = {u.name: max(_lowest(u, wholes), wanted[u.name]) for u in others}
    made = []
    # Where the largest has a limit already, there is no rest to be given.
    if first is not None:
        least_of = {u.name: max(_lowest(u, wholes), _LEAST_SPARE * need(u)) for u in others}
        _trim(given, least_of, room - need(first))
        made.append(_rest(snapshot, first, room, given, fixed))
    full = first is None and sum(given.values()) > room
    made += [_other(snapshot, u, given[u.name], _up(spare * need(u)), full=full) for u in others]
    return list(_fitting(snapshot, made, room))


def _to_limit(
    snapshot: Snapshot,
    tiers: Mapping[str, Tier | None],
    floors: Mapping[str, int],
    fixed: Mapping[str, int],
) -> list[Unit]:
    """Return the business services that get a limit, those that need most first."""
    small = snapshot.host.mem_total // _SMALL
    names = [
        name
        for name, tier in tiers.items()
        if tier is Tier.BUSINESS and name not in fixed and unit_type(name) is UnitType.SERVICE
    ]
    units = [snapshot.units.get(name) or Unit(name, None, None) for name in names]
    units = [u for u in units if need(u) > small or u.name in floors]
    return sorted(units, key=lambda u: (-need(u), -floors.get(u.name, 0), u.name))


def _largest(snapshot: Snapshot, units: Sequence[Unit], fixed: Iterable[str]) -> Unit | None:
    """Return the unit that gets the rest of the room; None where one of a fixed limit is larger."""
    needed = [need(snapshot.units[name]) for name in fixed if name in snapshot.units]
    return None if max(needed, default=0) > need(units[0]) else units[0]


def _lowest(unit: Unit, whole: Mapping[str, int]) -> int:
    """Return the bytes that a unit is given in any case."""
    return max(above_high(unit), _up(whole.get(unit.name, 0)))


def _spare(units: Sequence[Unit], first: Unit | None, room: int) -> tuple[float, float]:
    """Return how many times its need each gets, and the bytes that all but the first share."""
    if first is None:
        return _SPARE, float(room)
    spare = min(_SPARE, max(_LEAST_SPARE, room / max(1, sum(need(u) for u in units))))
    # The floors are given whole where the largest keeps what it needs, and a third of the room.
    return spare, room - max(spare * need(first), room / 3)


def _wanted(
    others: Sequence[Unit], floors: Mapping[str, int], spare: float, left: float
) -> dict[str, int]:
    """Return the bytes that each but the largest is to have, by name."""
    share = _share([(spare * need(u), floors.get(u.name, 0)) for u in others], left)
    return {
        u.name: _up(max(spare * need(u), share * floors.get(u.name, 0)))
        for u in others
        # What does not run may need all of it.
        if need(u) or share >= _ENOUGH
    }


def _fitting(snapshot: Snapshot, made: Iterable[Advice], room: int) -> Iterator[Advice]:
    """Yield what is advised, marked whether it fits beside what was yielded before it.

    Where what is there is too much already, a limit makes that no worse: it bounds what had none.
    """
    # Of what does not run, limits may be too much without being so yet.
    full = budget(snapshot).free < 0
    for each in made:
        unit = snapshot.units.get(each.unit)
        # Nobody sets a limit below what a unit has needed.
        good = (full or each.limit <= room) and not (unit and each.limit < need(unit))
        room -= each.limit if good else 0
        yield each._replace(fits=good)


def _share(wants: Sequence[tuple[float, int]], left: float) -> float:
    """Return the part of the floors, at most 1, with which each of (need, floor) fits into left."""
    share = 1.0
    for _ in wants:
        above = [need for need, floor in wants if need >= share * floor]
        floors = sum(floor for need, floor in wants if need < share * floor)
        fits = max(0.0, left - sum(above)) / max(1, floors)
        if fits >= share:
            break
        share = fits
    return share


def _trim(given: dict[str, int], least: Mapping[str, float], room: float) -> None:
    """Take what rounding up has given too much, from whoever has most beyond its least."""
    while given and sum(given.values()) > room:
        name = max(given, key=lambda each: given[each] - least[each])
        if given[name] - _STEP < least[name]:
            return
        given[name] -= _STEP


def _other(snapshot: Snapshot, unit: Unit, size: int, wanted: int, *, full: bool) -> Advice:
    """Return what one of the others gets; ``wanted`` is what its need alone requires.

    ``full``: the limits that are there leave no room for it.
    """
    more = msg("A fork or a reload needs more.")
    if _high(unit) and size == above_high(unit):
        more = _above_high(unit)
    elif size > wanted:
        least = of_limit(size >> 20 << 20)
        more = msg("It gets at least {size}, because it may have been small until now.", size=least)
    size, bound = _within(snapshot, unit, size)
    lower = msg("With the limits that are set now this is more than RAM: lower one of them too.")
    return Advice(unit.name, size, sentences(_needed(unit), more, bound, lower if full else None))


def _rest(
    snapshot: Snapshot, unit: Unit, room: int, given: Mapping[str, int], fixed: Mapping[str, int]
) -> Advice:
    """Return what the largest gets; ``fixed`` are the limits that stay."""
    rest = max(_STEP, (room - sum(given.values())) // _STEP * _STEP)
    why = _remains(snapshot, [*given.values(), *filter(None, fixed.values())])
    words = _needed(unit)
    if above_high(unit) > rest:
        rest, why = above_high(unit), _above_high(unit)
    if rest < need(unit):
        rest, why, words = least_limit(unit), words, _too_little(snapshot, unit, rest)
    rest, bound = _within(snapshot, unit, rest)
    return Advice(unit.name, rest, sentences(bound or why, words))


def _remains(snapshot: Snapshot, others: Sequence[int]) -> Message:
    """Return why the largest gets so much; ``others`` are the limits of the others in bytes."""
    ram, kept = snapshot.host.mem_total, of_bytes(reserve(snapshot.host.mem_total))
    if not others:
        return msg(
            "It is the largest and gets what remains of {ram} of RAM; the reserve is {reserve}.",
            ram=of_bytes(ram),
            reserve=kept,
        )
    return plural(
        "It is the largest and gets what remains of {ram} of RAM; the reserve is {reserve}, and "
        "{n} other unit gets {limits}.",
        "It is the largest and gets what remains of {ram} of RAM; the reserve is {reserve}, and "
        "{n} other units get {limits}.",
        len(others),
        ram=of_bytes(ram),
        reserve=kept,
        limits=of_bytes(sum(others)),
    )


def _needed(unit: Unit) -> Message:
    if needed := need(unit):
        return msg("It has needed up to {needed} so far.", needed=of_bytes(needed))
    return msg("It does not run now.")


def _above_high(unit: Unit) -> Message:
    return msg("MemoryMax must be above its MemoryHigh of {high}.", high=of_bytes(_high(unit)))


def _too_little(snapshot: Snapshot, unit: Unit, left: int) -> Message:
    """Return that less remains than it has needed, and what helps; ``left`` are bytes."""
    shown = of_limit(left >> 20 << 20)
    effect = msg(
        "Only {left} remains for it, and with that as its limit it would be killed.", left=shown
    )
    if swap_of(snapshot, unit):
        effect = msg(
            "Only {left} remains for it, and with that as its limit it would swap.", left=shown
        )
    return sentences(effect, what_helps(snapshot))


def what_helps(snapshot: Snapshot) -> Message:
    """Return what helps where no limit can be lowered enough, a sentence."""
    if snapshot.host.swap_total:
        return msg(
            "Run fewer workers or services, move a service to another server, or add RAM to the "
            "server."
        )
    return msg(
        "Run fewer workers or services, move a service to another server, add swap, or add RAM to "
        "the server."
    )


def _within(snapshot: Snapshot, unit: Unit, size: int) -> tuple[int, Message | None]:
    """Return a limit that the slices above a unit let it have, and what bounds it."""
    cap = cap_above(snapshot, unit.usage.cgroup) if unit.usage else None
    if cap is None or cap[1] >= size:
        return size, None
    return cap[1], msg("{slice} above it allows no more.", slice=of_unit(cap[0], 60))


def _up(size: float) -> int:
    return -(-round(size) // _STEP) * _STEP
