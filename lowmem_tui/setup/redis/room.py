"""The maxmemory to propose for a Redis, and whether one fits into the memory that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_bytes, of_text, of_unit
from lowmem_tui.setup import common
from lowmem_tui.setup.common import MIB
from lowmem_tui.setup.redis.config import bytes_of
from lowmem_tui.setup.redis.seen import see

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.redis.seen import Redis

OFF = "off"

OWN = 16 * MIB
"""Bytes that Redis needs besides its data: code, clients, buffers."""

LADDER = tuple(
    f"{size}mb"
    for size in (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
)
FEWEST = 3
"""So many sizes are offered at least."""
SHARE = 16
"""The bound is a sixteenth of RAM, on the ladder: 64mb on 1 GiB, as the guide has it."""
MOST = 4
"""And a quarter of RAM at most."""
HEADROOM = 1.5
"""A bound has room for so many times the data, or is not preselected."""


class Proposed(NamedTuple):
    """The bound to propose."""

    value: str
    choices: tuple[str, ...]
    reason: Message | None
    """Why it is not preselected, a sentence."""


def persistence(redis: Redis) -> str | None:
    """Return what it stores on disk; None where that cannot be determined."""
    save, log = redis.now("save"), redis.now("appendonly")
    if save is None or log is None:
        return None
    kept = [*([f"RDB ({save})"] if save else []), *(["AOF"] if log.lower() == "yes" else [])]
    return " + ".join(kept) or OFF


def full(bound: int, *, saves: bool) -> int:
    """Return the bytes that so much data can need, a fork that saves it included."""
    return (2 * bound if saves else bound) + OWN


def bound_in_bytes(redis: Redis) -> int:
    """Return its maxmemory in bytes, the larger of now and after its next start; 0 for none."""
    return max(_size(redis.now("maxmemory")), _size(redis.starts_with("maxmemory")))


def excess(redis: Redis, bound: int, ram: int, *, saves: bool) -> tuple[str, Message] | None:
    """Return the code and the sentence where a bound is more than there is room for; or None."""
    name, data, needs = of_unit(redis.name), of_bytes(bound), full(bound, saves=saves)
    if redis.limit is None or redis.limit >= ram:
        if bound <= ram // MOST:
            return None
        return "redis-over-share", msg(
            "maxmemory lets {unit} have {data} of data, {share} of RAM, and no MemoryMax is below "
            "that: more than a quarter leaves too little room for the rest.",
            unit=name,
            data=data,
            share=common.percent(bound, ram),
        )
    if needs <= redis.limit:
        return None
    if saves:
        return "redis-fork-over-limit", msg(
            "maxmemory lets {unit} have {data} of data, so that a fork that saves can need "
            "{needs}: more than its MemoryMax of {limit}.",
            unit=name,
            data=data,
            needs=of_bytes(needs),
            limit=of_bytes(redis.limit),
        )
    return "redis-over-limit", msg(
        "maxmemory lets {unit} have {data} of data, and Redis needs {own} besides: at its "
        "MemoryMax of {limit} it is killed before maxmemory is reached.",
        unit=name,
        data=data,
        own=of_bytes(OWN),
        limit=of_bytes(redis.limit),
    )


def proposed(redis: Redis, ram: int) -> Proposed:
    """Return the bound to propose."""
    now, then = redis.now("maxmemory"), redis.starts_with("maxmemory")
    cap = ram // MOST
    if redis.limit is not None:
        cap = min(cap, (redis.limit - OWN) // 2)
    fitting = [each for each in LADDER if _size(each) <= cap]
    choices = fitting if len(fitting) >= FEWEST else [*LADDER[:FEWEST]]
    theirs = _size(now) or _size(then)
    if 0 < theirs <= cap:
        value = f"{theirs // MIB}mb" if theirs % MIB == 0 else str(theirs)
        choices = sorted({value, *choices}, key=_size)
    else:
        value = _first(redis.holds or 0, fitting or choices[:1], ram)
    return Proposed(value, tuple(choices), _not_taken(redis, value, cap))


def _first(holds: int, choices: Sequence[str], ram: int) -> str:
    """Return the usual share of RAM, or more where there is more data."""
    # Rounded: a server of 1 GiB has some 960 MiB.
    usual = next((c for c in reversed(choices) if _size(c) <= ram / SHARE * 1.15), choices[0])
    return next(
        (c for c in choices if _size(c) >= max(_size(usual), holds * HEADROOM)), choices[-1]
    )


def _not_taken(redis: Redis, value: str, cap: int) -> Message | None:
    """Return why a bound is not preselected; None where it can lose nothing."""
    now, then = redis.now("maxmemory"), redis.starts_with("maxmemory")
    policies = redis.now("maxmemory-policy"), redis.starts_with("maxmemory-policy")
    if now is None or then is None or None in policies:
        return msg(
            "Not preselected: the options that it starts with cannot be determined completely."
        )
    if _size(now) == _size(then) == _size(value):
        return None
    if redis.copies:
        return msg(
            "It is a replica of {master} and ignores its own maxmemory "
            "(replica-ignore-maxmemory): set maxmemory there. Here it applies once this server is "
            "promoted.",
            master=of_text(redis.copies, 60),
        )
    if max(_size(now), _size(then)) > cap or (_size(now) and _size(then)):
        return msg("Not preselected: it already has a maxmemory of your own.")
    if _size(value) > cap:
        return msg("Not preselected: there is no room for it and a fork that saves.")
    if redis.holds is None:
        return msg("Not preselected: the size of its data is unknown.")
    if redis.holds * HEADROOM > _size(value):
        return msg("Not preselected: its data leaves too little room below that.")
    if redis.evicts():
        return msg(
            "Not preselected: at maxmemory it evicts keys (maxmemory-policy {policy}).",
            policy=of_text(policies[0] or "", 40),
        )
    return None


def needs(ground: Ground) -> dict[str, int]:
    """Return the bytes that each Redis may need, a fork that saves included, by its unit.

    By the bound that it has, or that is preselected; without one nothing is known. Raises
    LowmemError, OSError.
    """
    ram, found = ground.snapshot().host.mem_total, {}
    for redis in see(ground):
        bound = bound_in_bytes(redis)
        if not bound and not (made := proposed(redis, ram)).reason:
            bound = _size(made.value)
        if 0 < bound < ram:
            found[redis.name] = full(bound, saves=persistence(redis) != OFF)
    return found


def _size(text: str | None) -> int:
    return bytes_of(text or "") or 0
