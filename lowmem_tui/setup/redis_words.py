"""What is said of a Redis: facts, findings, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.plan import Notice
from lowmem_tui.model.quantity import format_size
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.redis_config import bytes_of
from lowmem_tui.setup.redis_room import OFF, excess, full, persistence, proposed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.setup import Item
    from lowmem_tui.setup.redis_seen import Redis

POLICY = "allkeys-lru"
EVICTS = "allkeys-"
"""What these policies begin with: they throw out any key, not only those with an expiry."""


def hindrance(redis: Redis) -> str:
    """Return why our drop-in cannot bound it; or ""."""
    if not redis.base:
        return "there is not exactly one ExecStart, so it cannot be repeated with options added."
    if redis.overruled:
        return (
            f"{plain(redis.overruled)} sets ExecStart and is read after our file: change it there."
        )
    if "\\" in redis.base[-1:]:
        return "its ExecStart ends in a backslash: options cannot be added."
    return ""


def bound_of(redis: Redis) -> str:
    """Return its bound, now and after its next start."""
    now, then = bytes_of(redis.now("maxmemory")), bytes_of(redis.starts_with("maxmemory"))
    said = format_size(now) if now else "no bound"
    if now == then:
        return said
    return f"{said}; {format_size(then) if then else 'no bound'} after its next start"


def facts(redis: Redis) -> Iterator[str]:
    """Yield what was found."""
    name = plain(redis.name)
    if redis.running:
        used = "an unknown amount" if redis.used is None else format_size(redis.used)
        rss = f", {format_size(redis.rss)} of RAM in all (RSS)" if redis.rss is not None else ""
        yield f"{name} holds {used} of data{rss}; its bound: {bound_of(redis)}."
    elif redis.runs:
        yield f"{name} runs but could not be asked: {redis.trouble}."
    else:
        yield f"{name} does not run; its bound when it starts: {bound_of(redis)}."
    yield (
        f"At the bound it goes by {plain(redis.now('maxmemory-policy'), 40)}; on disk: "
        f"{plain(persistence(redis), 80)}."
    )
    limit = redis.limit
    bound = bytes_of(redis.now("maxmemory")) or redis.used
    if limit is not None and bound:
        yield (
            f"MemoryMax is {format_size(limit)}; a fork that saves while every page changes takes "
            f"{format_size(full(bound, saves=True))} at {format_size(bound)} of data."
        )
    if redis.config.trouble:
        yield f"{name}: {plain(redis.config.trouble, 200)}; what it starts with is not known whole."


def findings(redis: Redis, items: Sequence[Item], ram: int) -> Iterator[Finding]:
    """Yield what is wrong, and what of the items is not as it is proposed."""
    name = plain(redis.name)
    mend = (
        "by hand, see `lowmem-tui setup --step redis`"
        if hindrance(redis)
        else common.remedy("redis")
    )
    now, then = bytes_of(redis.now("maxmemory")), bytes_of(redis.starts_with("maxmemory"))
    if redis.stale:
        yield Finding(
            "redis-command-hidden",
            Severity.PROBLEM,
            redis.name,
            f"{plain(redis.path)} repeats another ExecStart than {name} has by now: a newer one is "
            "hidden.",
            mend,
        )
    if not now or not then:
        when = "" if not now else " after its next start"
        yield Finding(
            "redis-unbounded",
            Severity.WARNING,
            redis.name,
            f"{name} has no maxmemory{when}: its data grows until something is killed.",
            mend,
        )
    bound = max(now or 0, then or 0)
    over = excess(redis, bound, ram, saves=persistence(redis) != OFF)
    if over:
        yield Finding(over[0], Severity.WARNING, redis.name, over[1], mend)
    told = {item.key for item in items} if redis.stale else set()
    if over or not now or not then:
        told.add(f"{redis.name} maxmemory")
    yield from common.undone("redis", items, told)


def by_hand(redis: Redis, ram: int) -> Iterator[str]:
    """Yield what cannot be done from here."""
    bound = proposed(redis, ram).value
    if sentence := hindrance(redis):
        yield (
            f"{plain(redis.name)}: {sentence} Put into {plain(redis.config.file or 'redis.conf')}: "
            f"maxmemory {bound} and maxmemory-policy {POLICY}."
        )
    if redis.runs and not redis.running:
        yield (
            f"{plain(redis.name)}: set what runs with redis-cli (CONFIG SET maxmemory {bound}), or "
            f"`systemctl restart {plain(redis.name)}` once its drop-in is there."
        )


def warnings(redis: Redis, asked: Mapping[str, str], ram: int) -> Iterator[Notice]:
    """Yield what to know before these directives are set."""
    name = redis.name
    yield Notice(
        "redis-command-repeated",
        name,
        f"The drop-in repeats the ExecStart of {plain(name)}: should a package change that later, "
        "the change is hidden until this step is gone through again (`lowmem-tui check` tells).",
    )
    bound = bytes_of(asked.get("maxmemory", ""))
    policy = asked.get("maxmemory-policy", redis.now("maxmemory-policy"))
    if bound and redis.used is not None and redis.used > bound:
        what = (
            "writes are refused until it holds less"
            if policy == "noeviction"
            else "keys are thrown out at once, which undo does not bring back"
        )
        yield Notice(
            "redis-over-bound",
            name,
            f"{plain(name)} holds {format_size(redis.used)}, more than {format_size(bound)}: "
            f"{what}.",
            lost=policy != "noeviction",
        )
    saves = persistence(redis) != OFF and "save" not in asked
    if bound and (over := excess(redis, bound, ram, saves=saves)):
        yield Notice(over[0], name, over[1])
    if policy.startswith(EVICTS) and not redis.now("maxmemory-policy").startswith(EVICTS):
        yield Notice(
            "redis-evicts",
            name,
            f"At its bound {plain(name)} throws out keys that may be nowhere else, and undo does "
            f"not bring them back: {plain(policy, 40)} is wrong for queues and sessions.",
            lost=True,
        )
    if asked.get("save") == "":
        yield Notice(
            "redis-not-kept",
            name,
            f"{plain(name)} keeps nothing on disk then: all its data is lost whenever it stops.",
        )
    if redis.runs and not redis.running:
        yield Notice(
            "redis-not-asked",
            name,
            f"{plain(name)} could not be asked ({plain(redis.trouble, 120)}): this counts from its "
            "next start.",
        )
