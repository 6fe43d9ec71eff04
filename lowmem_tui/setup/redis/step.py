"""Redis: a bound for its data, what goes when it is reached, and what that means for a fork."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice
from lowmem_tui.model.setup import Item, Look
from lowmem_tui.model.text import plain
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
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    title = "Redis: a bound for its data"
    about = (
        "Redis holds all its data in memory and takes more until something stops it: without a "
        "bound of its own that is MemoryMax, which kills it, or the whole machine. When it saves "
        "it forks, and the pages that change meanwhile are held twice."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        found = see(self._ground)
        if not found:
            return Look(absent="There is no Redis.")
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
                    f"{plain(name)}: maxmemory {asked['maxmemory']} is no bound, for RAM is "
                    f"{format_size(ram)}: a quarter of that is the most."
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
        if sentence := hindrance(redis):
            raise RefusedError(f"{plain(redis.name)}: {sentence}")
        if sentence := common.obstacle(self._ground.files, redis.path):
            raise RefusedError(sentence)
        text = render(redis.base, {**redis.ours, **(asked if redis.stale else wanted)})
        yield FileChange(redis.path, redis.text, text)


def make(ground: Ground) -> RedisStep:
    """Return the step."""
    return RedisStep(ground)


def _directives(key: str, what: str, value: str) -> dict[str, str]:
    """Return the directives that a wish is. Raises InvalidValueError."""
    if what == "maxmemory":
        size = bytes_of(value.strip())
        if not size or size < MIB:
            raise common.wrong("redis", key, value, "a size such as 64mb")
        return {what: value.lower()}
    if what == "maxmemory-policy":
        if value not in POLICIES + OTHER_POLICIES:
            raise common.wrong("redis", key, value, f"one of {', '.join(POLICIES)}")
        return {what: value}
    if value != OFF:
        raise common.wrong("redis", key, value, f"{OFF}, or leave it out")
    return {"save": "", "appendonly": "no"}


def _live(redis: Redis, asked: Mapping[str, str]) -> Iterator[Action]:
    """Yield what sets the running server, without a restart."""
    if not redis.running:
        return
    for name in reversed(OPTIONS):  # the policy before the bound: nothing is refused in between
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
        f"{redis.name}: nothing kept on disk",
        persistence(redis) or UNKNOWN,
        OFF,
        "Saves the fork and its memory. All data is lost at every restart, crash or kill: only for "
        "a cache that can be filled again, never for sessions, queues or the only copy.",
        (OFF,),
        taken=False,
        done=_done(redis, off),
    )


def _bound_item(redis: Redis, ram: int) -> Item:
    value, choices, reason = proposed(redis, ram)
    size = bytes_of(value) or 0
    held = ""
    if redis.holds is not None:
        what = "" if redis.used is not None else " of RAM and swap, its data with it,"
        held = f" It holds {format_size(redis.holds)}{what} now."
    room = "it has no MemoryMax: this is the only bound."
    if redis.limit is not None:
        room = f"MemoryMax={format_size(redis.limit)} has "
        if full(size, saves=True) <= redis.limit:
            room += f"room for twice {value}, which a fork that saves may take."
        else:
            room += f"no room for twice {value}, which a fork that saves may take: raise it."
    return Item(
        f"{redis.name} maxmemory",
        f"{redis.name}: at most so much data",
        bound_of(redis),
        value,
        f"{value} is {common.percent(size, ram)} of RAM; {room}{held} {plain(reason)}".rstrip(),
        choices,
        taken=not reason,
        done=_done(redis, {"maxmemory": value}),
    )


def _policy_item(redis: Redis) -> Item:
    """Return the policy as it is: what throws out data is chosen, never proposed."""
    now = redis.now("maxmemory-policy")
    kept = now if now in POLICIES + OTHER_POLICIES else REFUSES
    queue = ""
    if redis.queues.words:
        queue = f" It may have a queue in it ({redis.queues.words}): that is for {REFUSES}."
    return Item(
        f"{redis.name} maxmemory-policy",
        f"{redis.name}: what goes at the bound",
        policy_of(redis),
        kept,
        f"{REFUSES} answers writes with an error, and nothing is lost. allkeys-lru throws out what "
        "was not used for longest: right for a cache, wrong for a queue, for sessions or the only "
        f"copy of something. volatile-lru throws out only what has an expiry.{queue}",
        tuple(dict.fromkeys((kept, *POLICIES))),
        taken="maxmemory-policy" in redis.ours,
        done=_done(redis, {"maxmemory-policy": kept}),
    )


def _done(redis: Redis, wanted: Mapping[str, str]) -> bool:
    """Tell whether it runs and starts with these values."""
    return not redis.stale and all(
        same(name, redis.starts_with(name), value) and same(name, redis.now(name), value)
        for name, value in wanted.items()
    )
