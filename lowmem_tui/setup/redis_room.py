"""What a Redis may come to hold: the bound to propose, and whether one fits into what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.quantity import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.common import MIB
from lowmem_tui.setup.redis_config import bytes_of

if TYPE_CHECKING:
    from lowmem_tui.setup.redis_seen import Redis

OFF = "off"

OWN = 16 * MIB
"""Bytes that Redis needs besides its data: code, clients, buffers."""

LADDER = tuple(f"{size}mb" for size in (8, 16, 32, 64, 128, 256, 512, 1024, 2048))
SHARE = 16
"""The bound is a sixteenth of RAM, on the ladder: 64mb on 1 GiB, as the guide has it."""
MOST = 4
"""And a quarter of RAM at most."""


class Proposed(NamedTuple):
    """The bound to propose."""

    value: str
    choices: tuple[str, ...]
    fits: bool
    """Whether all data that is there fits into it."""


def persistence(redis: Redis) -> str:
    """Return what it keeps on disk."""
    save, log = redis.now("save"), redis.now("appendonly")
    kept = [*([f"RDB ({save})"] if save else []), *(["AOF"] if log == "yes" else [])]
    return " and ".join(kept) or OFF


def full(bound: int, *, saves: bool) -> int:
    """Return the bytes that so much data may come to, a fork that saves it included."""
    return (2 * bound if saves else bound) + OWN


def excess(redis: Redis, bound: int, ram: int, *, saves: bool) -> tuple[str, str] | None:
    """Return the code and the sentence where a bound is more than there is room for; or None."""
    name, holds, needs = plain(redis.name), format_size(bound), full(bound, saves=saves)
    if redis.limit is None or redis.limit >= ram:
        if bound <= ram // MOST:
            return None
        return "redis-over-share", (
            f"{name} may hold {holds}, {common.percent(bound, ram)} of RAM, and no MemoryMax is "
            "below that: a quarter is the most that leaves the rest its room."
        )
    if needs <= redis.limit:
        return None
    if saves:
        return "redis-fork-over-limit", (
            f"{name} may hold {holds}, so a fork that saves may take {format_size(needs)}: more "
            f"than its limit of {format_size(redis.limit)}."
        )
    return "redis-over-limit", (
        f"{name} may hold {holds} and needs {format_size(OWN)} besides: at its limit of "
        f"{format_size(redis.limit)} it is killed before its bound is reached."
    )


def proposed(redis: Redis, ram: int) -> Proposed:
    """Return the bound to propose."""
    now = bytes_of(redis.now("maxmemory")) or 0
    cap = ram // MOST
    if redis.limit is not None:
        cap = min(cap, (redis.limit - OWN) // 2)
    choices = [each for each in LADDER if (bytes_of(each) or 0) <= cap] or [LADDER[0]]
    if 0 < now <= cap:
        shown = f"{now // MIB}mb" if now % MIB == 0 else str(now)
        return Proposed(shown, tuple(dict.fromkeys((shown, *choices))), fits=True)
    # Rounded: a server of 1 GiB has some 960 MiB.
    start = next(
        (each for each in reversed(choices) if (bytes_of(each) or 0) <= ram / SHARE * 1.15),
        choices[0],
    )
    used = redis.used or 0
    fits = [each for each in choices if (bytes_of(each) or 0) >= used * 1.2]
    value = start if start in fits or not fits else fits[0]
    return Proposed(value, tuple(choices), fits=used < (bytes_of(value) or 0))
