"""Redis: maxmemory, maxmemory-policy, and what they mean for a fork that saves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.message import (
    N_,
    msg,
    of_bytes,
    of_list,
    of_setting,
    of_unit,
    sentences,
)
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice
from lowmem_tui.model.setup import Item, Look
from lowmem_tui.setup import common
from lowmem_tui.setup.common import MIB
from lowmem_tui.setup.redis.config import bytes_of
from lowmem_tui.setup.redis.room import OFF, full, persistence, proposed
from lowmem_tui.setup.redis.seen import OPTIONS, render, same, see
from lowmem_tui.setup.redis.words import (
    REFUSES,
    UNKNOWN,
    bound_of,
    by_hand,
    facts,
    findings,
    hindrance,
    policy_of,
    unchangeable,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.redis.seen import Redis

POLICIES = (
    "allkeys-lru",
    "allkeys-lfu",
    "volatile-lru",
    "volatile-lfu",
    "volatile-ttl",
    "noeviction",
)
OTHER_POLICIES = ("allkeys-random", "volatile-random")
PERSISTENCE = "persistence"
KEYS = ("maxmemory", "maxmemory-policy", PERSISTENCE)


class RedisStep:
    """See ``Step``."""

    name = "redis"
    title = N_("Redis: maxmemory")
    about = N_(
        "Redis keeps all its data in memory. Without maxmemory it grows until MemoryMax or the "
        "kernel's OOM killer kills it. When it saves, it forks, and every page that changes "
        "meanwhile is in memory twice."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        found = see(self._ground)
        if not found:
            return Look(absent=msg("There is no Redis."))
        ram = self._ground.snapshot().host.mem_total
        items = {redis.name: tuple(_items(redis, ram)) for redis in found}
        return Look(
            facts=tuple(fact for redis in found for fact in facts(redis)),
            items=tuple(item for redis in found for item in items[redis.name]),
            findings=tuple(
                each for redis in found for each in findings(redis, items[redis.name], ram)
            ),
            by_hand=tuple(each for redis in found for each in by_hand(redis, ram)),
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        wanted = {key: value.strip() for key, value in wishes.items() if value.strip()}
        if not wanted:
            return common.plan_of(())
        found = {redis.name: redis for redis in see(self._ground)}
        known = [f"{name} {key}" for name in found for key in KEYS]
        options: dict[str, dict[str, str]] = {}
        for key, value in wanted.items():
            unit, _, what = key.rpartition(" ")
            name = common.primary_name(unit, (each.situation for each in found.values()))
            if name is None or what not in KEYS:
                raise common.unknown("redis", key, known)
            options.setdefault(name, {}).update(_directives(key, what, value))
        ram = self._ground.snapshot().host.mem_total
        files: list[FileChange] = []
        actions: list[Action] = []
        notices: list[Notice] = []
        for name, asked in options.items():
            redis = found[name]
            before = len(files) + len(actions)
            files += self._drop_in(redis, asked)
            actions += _live(redis, asked)
            if len(files) + len(actions) == before:
                continue
            if (bytes_of(asked.get("maxmemory", "")) or 0) >= ram:
                raise RefusedError(
                    msg(
                        "{unit}: maxmemory {size} limits nothing, because RAM is {ram}: choose a "
                        "quarter of RAM at most.",
                        unit=of_unit(name),
                        size=asked["maxmemory"],
                        ram=of_bytes(ram),
                    )
                )
            notices += warnings(redis, asked, ram)
        return common.plan_of(files, actions, notices)

    def _drop_in(self, redis: Redis, asked: Mapping[str, str]) -> Iterator[FileChange]:
        wanted = {
            name: value
            for name, value in asked.items()
            if not same(name, redis.starts_with(name), value)
        }
        if not wanted and not (redis.stale and redis.ours):
            return
        if why := hindrance(redis):
            raise RefusedError(unchangeable(redis, why))
        if sentence := common.obstacle(self._ground.files, redis.path):
            raise RefusedError(sentence)
        text = render(redis.base, {**redis.ours, **(asked if redis.stale else wanted)})
        yield FileChange(redis.path, redis.text, text)


def make(ground: Ground) -> RedisStep:
    """Return the step."""
    return RedisStep(ground)


def _directives(key: str, what: str, value: str) -> dict[str, str]:
    """Return the directives that are requested. Raises InvalidValueError."""
    if what == "maxmemory":
        size = bytes_of(value.strip())
        if not size or size < MIB:
            raise common.wrong("redis", key, value, msg("a size such as 64mb"))
        return {what: value.lower()}
    if what == "maxmemory-policy":
        if value not in POLICIES + OTHER_POLICIES:
            raise common.wrong(
                "redis", key, value, msg("one of {values}", values=of_list(POLICIES))
            )
        return {what: value}
    if value != OFF:
        raise common.wrong("redis", key, value, msg("{value}, or leave it out", value=OFF))
    return {"save": "", "appendonly": "no"}


def _live(redis: Redis, asked: Mapping[str, str]) -> Iterator[Action]:
    """Yield what sets the running server, without a restart."""
    if not redis.running:
        return
    for name in reversed(OPTIONS):  # the policy before maxmemory: nothing is refused in between
        if name in asked and not same(name, redis.running[name], asked[name]):
            value = asked[name]
            if name == "maxmemory":
                value = str(bytes_of(value))
            yield Action(
                ActionKind.REDIS,
                f"{redis.name} {name}{redis.address}",
                redis.running[name],
                value,
                words=f"redis-cli CONFIG SET {name} {asked[name] or chr(34) * 2}",
            )


def _items(redis: Redis, ram: int) -> Iterator[Item]:
    if hindrance(redis):
        return
    yield _bound_item(redis, ram)
    yield _policy_item(redis)
    off = {"save": "", "appendonly": "no"}
    yield Item(
        f"{redis.name} {PERSISTENCE}",
        msg("{unit}: persistence", unit=of_unit(redis.name)),
        persistence(redis) or UNKNOWN,
        OFF,
        msg(
            "off (save and appendonly) saves the fork and its memory, but all data is lost at "
            "every restart, crash or kill: only for a cache that can be filled again, never for "
            "sessions, queues or the only copy of something."
        ),
        (OFF,),
        taken=False,
        done=_done(redis, off),
    )


def _bound_item(redis: Redis, ram: int) -> Item:
    value, choices, reason = proposed(redis, ram)
    size = bytes_of(value) or 0
    share = common.percent(size, ram)
    return Item(
        f"{redis.name} maxmemory",
        msg("{unit}: maxmemory", unit=of_unit(redis.name)),
        bound_of(redis),
        value,
        sentences(
            msg("{value} is {share} of RAM.", value=value, share=share),
            _room(redis, value, size),
            _data(redis),
            reason,
        ),
        choices,
        taken=not reason,
        done=_done(redis, {"maxmemory": value}),
    )


def _room(redis: Redis, value: str, size: int) -> Message:
    """Return whether MemoryMax has room for a fork that saves."""
    if redis.limit is None:
        return msg("It has no MemoryMax: maxmemory is its only limit.")
    limit = of_bytes(redis.limit)
    if full(size, saves=True) <= redis.limit:
        return msg(
            "MemoryMax ({limit}) has room for twice {value}, which a fork that saves can need.",
            limit=limit,
            value=value,
        )
    return msg(
        "MemoryMax ({limit}) has no room for twice {value}, which a fork that saves can need: "
        "raise it.",
        limit=limit,
        value=value,
    )


def _data(redis: Redis) -> Message | None:
    """Return how much data it has now; None where that is unknown."""
    if redis.holds is None:
        return None
    if redis.used is None:
        return msg(
            "It uses {size} of RAM and swap now, its data included.", size=of_bytes(redis.holds)
        )
    return msg("It has {size} of data now.", size=of_bytes(redis.holds))


def _policy_item(redis: Redis) -> Item:
    """Return the policy in force: one that evicts data is chosen, never proposed."""
    now = redis.now("maxmemory-policy")
    kept = now if now in POLICIES + OTHER_POLICIES else REFUSES
    queue = None
    if evidence := redis.queues.words:
        queue = msg(
            "It may contain a queue ({evidence}), which needs {policy}.",
            evidence=evidence,
            policy=of_setting(REFUSES),
        )
    return Item(
        f"{redis.name} maxmemory-policy",
        msg("{unit}: maxmemory-policy", unit=of_unit(redis.name)),
        policy_of(redis),
        kept,
        sentences(
            msg(
                "At maxmemory, noeviction answers writes with an error, and nothing is lost. "
                "allkeys-lru evicts the least recently used keys: right for a cache, wrong for "
                "queues, sessions or the only copy of something. volatile-lru evicts only keys "
                "with an expiry."
            ),
            queue,
        ),
        tuple(dict.fromkeys((kept, *POLICIES))),
        taken="maxmemory-policy" in redis.ours,
        done=_done(redis, {"maxmemory-policy": kept}),
    )


def _done(redis: Redis, wanted: Mapping[str, str]) -> bool:
    """Return whether it runs and starts with these values."""
    return not redis.stale and all(
        same(name, redis.starts_with(name), value) and same(name, redis.now(name), value)
        for name, value in wanted.items()
    )
