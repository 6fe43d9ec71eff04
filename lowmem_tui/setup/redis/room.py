"""What a Redis may come to hold: the bound to propose, and whether one fits into what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.common import MIB
from lowmem_tui.setup.redis.config import bytes_of
from lowmem_tui.setup.redis.seen import see

if TYPE_CHECKING:
    from collections.abc import Sequence

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
"""A bound has room for so many times what is held, or is not taken by itself."""


class Proposed(NamedTuple):
    """The bound to propose."""

    value: str
    choices: tuple[str, ...]
    reason: str
    """Why it is not taken unless the operator says so, a sentence; "" if it is."""


def persistence(redis: Redis) -> str | None:
    """Return what it keeps on disk; None where that cannot be determined."""
    save, log = redis.now("save"), redis.now("appendonly")
    if save is None or log is None:
        return None
    kept = [*([f"RDB ({save})"] if save else []), *(["AOF"] if log.lower() == "yes" else [])]
    return " and ".join(kept) or OFF


def full(bound: int, *, saves: bool) -> int:
    """Return the bytes that so much data may come to, a fork that saves it included."""
    return (2 * bound if saves else bound) + OWN


def bound_in_bytes(redis: Redis) -> int:
    """Return the bytes that its data may come to, now or after its next start; 0 for no bound."""
    return max(_size(redis.now("maxmemory")), _size(redis.starts_with("maxmemory")))


def excess(redis: Redis, bound: int, ram: int, *, saves: bool) -> tuple[str, str] | None:
    """Return the code and the sentence where a bound is more than there is room for; or None."""
    name, holds, needs = plain(redis.name), format_size(bound), full(bound, saves=saves)
    if redis.limit is None or redis.limit >= ram:
        if bound <= ram // MOST:
            return None
        return "redis-over-share", (
            f"{name} may hold {holds} (maxmemory), {common.percent(bound, ram)} of RAM, and no "
            "MemoryMax is below that: a quarter is the most that leaves the rest its room."
        )
    if needs <= redis.limit:
        return None
    if saves:
        return "redis-fork-over-limit", (
            f"{name} may hold {holds} (maxmemory), so a fork that saves may take "
            f"{format_size(needs)}: more than its MemoryMax of {format_size(redis.limit)}."
        )
    return "redis-over-limit", (
        f"{name} may hold {holds} (maxmemory) and needs {format_size(OWN)} besides: at its "
        f"MemoryMax of {format_size(redis.limit)} it is killed before that is reached."
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
    """Return the usual share of RAM, or more where more is held."""
    # Rounded: a server of 1 GiB has some 960 MiB.
    usual = next((c for c in reversed(choices) if _size(c) <= ram / SHARE * 1.15), choices[0])
    return next(
        (c for c in choices if _size(c) >= max(_size(usual), holds * HEADROOM)), choices[-1]
    )


def _not_taken(redis: Redis, value: str, cap: int) -> str:
    """Return why a bound is offered and not taken; "" where it can lose nothing."""
    now, then = redis.now("maxmemory"), redis.starts_with("maxmemory")
    policies = redis.now("maxmemory-policy"), redis.starts_with("maxmemory-policy")
    if now is None or then is None or None in policies:
        return "What it starts with cannot be determined whole: not taken unless you say so."
    if _size(now) == _size(then) == _size(value):
        return ""
    if redis.copies:
        return (
            f"It is a replica of {plain(redis.copies, 60)} and does not keep to its own maxmemory "
            "(replica-ignore-maxmemory): bound that one; this counts once it is promoted."
        )
    if max(_size(now), _size(then)) > cap or (_size(now) and _size(then)):
        return "It has a bound of yours already: not changed unless you say so."
    if _size(value) > cap:
        return "There is no room for it and a fork that saves: not taken unless you say so."
    if redis.holds is None:
        return "What it holds is not known: not taken unless you say so."
    if redis.holds * HEADROOM > _size(value):
        return "What it holds leaves too little room below that: not taken unless you say so."
    if redis.evicts():
        return f"At a bound it throws out keys ({policies[0]}): not taken unless you say so."
    return ""


def needs(ground: Ground) -> dict[str, int]:
    """Return the bytes that each Redis may take, a fork that saves included, by its unit.

    By the bound that it has, or that is proposed and taken; without one nothing is known. Raises
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
