"""What is said of a Redis: facts, findings, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.redis.config import bytes_of
from lowmem_tui.setup.redis.room import OFF, bound_in_bytes, excess, full, persistence, proposed
from lowmem_tui.setup.redis.seen import EVICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.setup import Item
    from lowmem_tui.setup.redis.seen import Redis

REFUSES = "noeviction"
"""The policy that throws nothing out: at the bound, writes are answered with an error."""

UNKNOWN = "cannot be determined"


def hindrance(redis: Redis) -> str:
    """Return why our drop-in cannot bound it; or ""."""
    if not redis.base:
        return "there is not exactly one ExecStart, so it cannot be repeated with options added."
    if redis.wrapper:
        return redis.wrapper
    if redis.overruled:
        return (
            f"{plain(redis.overruled)} sets ExecStart and is read after our file: change it there."
        )
    if "\\" in redis.base[-1:]:
        return "its ExecStart ends in a backslash: options cannot be added."
    return ""


def _bound(value: str | None) -> str:
    if value is None:
        return UNKNOWN
    size = bytes_of(value)
    return format_size(size) if size else "no bound"


def bound_of(redis: Redis) -> str:
    """Return its bound, now and after its next start."""
    now, then = _bound(redis.now("maxmemory")), _bound(redis.starts_with("maxmemory"))
    return now if now == then else f"{now}; {then} after its next start"


def _policies(redis: Redis) -> tuple[str | None, str | None]:
    return redis.now("maxmemory-policy"), redis.starts_with("maxmemory-policy")


def policy_of(redis: Redis) -> str:
    """Return its policy, now and after its next start."""
    now, then = _policies(redis)
    if now == then:
        return plain(now or UNKNOWN, 40)
    return f"{plain(now or UNKNOWN, 40)}; {plain(then or UNKNOWN, 40)} after its next start"


def facts(redis: Redis) -> Iterator[str]:
    """Yield what was found."""
    name = plain(redis.name)
    rss = f", {format_size(redis.rss)} of RAM in all (RSS)" if redis.rss is not None else ""
    if redis.running or redis.used is not None:
        used = "an unknown amount" if redis.used is None else format_size(redis.used)
        yield f"{name} holds {used} of data{rss}; its bound: {bound_of(redis)}."
    if redis.runs and not redis.running:
        held = f" It holds {format_size(redis.holds)} of RAM and swap." if redis.holds else ""
        yield f"{name} runs but does not tell its settings: {plain(redis.trouble, 200)}.{held}"
    elif not redis.runs:
        yield f"{name} does not run; its maxmemory when it starts: {bound_of(redis)}."
    yield (
        f"At the bound it goes by maxmemory-policy {policy_of(redis)}; on disk: "
        f"{plain(persistence(redis) or UNKNOWN, 80)}."
    )
    limit = redis.limit
    bound = bytes_of(redis.now("maxmemory") or "") or redis.holds
    if limit is not None and bound:
        yield (
            f"MemoryMax is {format_size(limit)}; a fork that saves while every page changes takes "
            f"{format_size(full(bound, saves=True))} at {format_size(bound)} of data."
        )
    if redis.queues.words:
        yield f"It may have a queue in it: {redis.queues.words}."
    if redis.config.trouble:
        yield f"{name}: {plain(redis.config.trouble, 200)}; what it starts with is not known whole."


def findings(redis: Redis, items: Sequence[Item], ram: int) -> Iterator[Finding]:
    """Yield what is wrong, and what of the items is not as it is proposed."""
    mend = (
        "by hand, see `lowmem-tui setup --step redis`"
        if hindrance(redis)
        else common.remedy("redis")
    )
    if redis.stale:
        yield Finding(
            "redis-command-hidden",
            Severity.PROBLEM,
            redis.name,
            f"{plain(redis.path)} repeats another ExecStart than {plain(redis.name)} has by now: a "
            "newer one is hidden.",
            mend,
        )
    about_bound = list(_of_bound(redis, ram, mend))
    yield from about_bound
    if bound_in_bytes(redis) and redis.queues.words and redis.evicts_any_key():
        yield _queue_evicts(redis, mend)
    told = {item.key for item in items} if redis.stale else set()
    if about_bound:
        told.add(f"{redis.name} maxmemory")
    yield from common.undone("redis", items, told)


def _of_bound(redis: Redis, ram: int, mend: str) -> Iterator[Finding]:
    """Yield that it has no bound, or one that there is no room for."""
    values = redis.now("maxmemory"), redis.starts_with("maxmemory")
    unbounded = [value is not None and not bytes_of(value) for value in values]
    if any(unbounded):
        yield _unbounded(redis, "" if unbounded[0] else " after its next start", mend)
    saves = persistence(redis) != OFF
    if over := excess(redis, bound_in_bytes(redis), ram, saves=saves):
        yield Finding(over[0], Severity.WARNING, redis.name, over[1], mend)


def _unbounded(redis: Redis, when: str, mend: str) -> Finding:
    name = plain(redis.name)
    if not redis.copies:
        text = f"{name} has no maxmemory{when}: its data grows until something is killed."
        return Finding("redis-unbounded", Severity.WARNING, redis.name, text, mend)
    master = plain(redis.copies, 60)
    return Finding(
        "redis-replica-unbounded",
        Severity.ADVICE,
        redis.name,
        f"{name} is a replica of {master} and grows as that one does: it does not keep to a "
        "maxmemory of its own (replica-ignore-maxmemory).",
        f"by hand: set maxmemory on {master}",
    )


def _queue_evicts(redis: Redis, mend: str) -> Finding:
    return Finding(
        "redis-queue-evicts",
        Severity.WARNING if redis.queues.own else Severity.NOTE,
        redis.name,
        f"At its maxmemory {plain(redis.name)} throws out keys (maxmemory-policy "
        f"{policy_of(redis)}), and it may have a queue in it ({redis.queues.words}): what is "
        f"thrown out there is work that nobody does. {REFUSES} throws nothing out.",
        mend,
    )


def by_hand(redis: Redis, ram: int) -> Iterator[str]:
    """Yield what cannot be done from here."""
    bound, _, reason = proposed(redis, ram)
    name = plain(redis.name)
    if sentence := hindrance(redis):
        yield (
            f"{name}: {sentence} Put into {plain(redis.config.file or 'its redis.conf')}: "
            f"maxmemory {bound}{f' ({plain(reason)})' if reason else ''}; its maxmemory-policy "
            f"({policy_of(redis)}) says what happens at that bound."
        )
    elif redis.runs and not redis.running and not reason:
        yield (
            f"{name}: set what runs with redis-cli (CONFIG SET maxmemory {bound}), or "
            f"`systemctl restart {name}` once its drop-in is there."
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
    if bound and redis.holds is not None and redis.holds > bound:
        yield _over(redis, bound, asked)
    saves = persistence(redis) != OFF and "save" not in asked
    if bound and (over := excess(redis, bound, ram, saves=saves)):
        yield Notice(over[0], name, over[1])
    yield from _at_the_bound(redis, asked)
    if asked.get("save") == "":
        yield Notice(
            "redis-not-kept",
            name,
            f"{plain(name)} keeps nothing on disk then: all its data is lost whenever it stops.",
            lost=True,
        )
    if redis.config.trouble:
        yield Notice(
            "redis-start-unknown",
            name,
            f"{plain(name)}: {plain(redis.config.trouble, 200)}; what it starts with is not known "
            f"whole, and {', '.join(asked)} on its command line wins over it.",
        )
    if redis.runs and not redis.running:
        yield Notice(
            "redis-not-asked",
            name,
            f"{plain(name)} could not be asked ({plain(redis.trouble, 120)}): this counts from its "
            "next start.",
        )


def _over(redis: Redis, bound: int, asked: Mapping[str, str]) -> Notice:
    policy = asked.get("maxmemory-policy") or redis.now("maxmemory-policy")
    refuses = (policy or "").lower() == REFUSES
    what = "keys are thrown out at once, which undo does not bring back"
    if refuses:
        what = "writes are refused until it holds less"
    elif policy is None:
        what = "what happens to that cannot be determined: keys may be thrown out at once"
    held = redis.holds or 0
    more = "" if redis.used is not None else " of RAM and swap"
    return Notice(
        "redis-over-bound",
        redis.name,
        f"{plain(redis.name)} holds {format_size(held)}{more}, more than {format_size(bound)}: "
        f"{what}.",
        lost=not refuses,
    )


def _at_the_bound(redis: Redis, asked: Mapping[str, str]) -> Iterator[Notice]:
    """Yield what a bound, or another policy, comes to once it is reached."""
    before, name = redis.now("maxmemory-policy"), plain(redis.name)
    policy = asked.get("maxmemory-policy") or before
    bound, old = (bytes_of(x or "") for x in (asked.get("maxmemory"), redis.now("maxmemory")))
    tighter = bool(bound) and (not old or (bound or 0) < old)
    wider = (policy or "").startswith(EVICTS) and not (before or "").startswith(EVICTS)
    queue = f" It may have a queue in it: {redis.queues.words}." if redis.queues.words else ""
    if wider or (tighter and policy != REFUSES):
        yield Notice(
            "redis-evicts",
            redis.name,
            f"At its bound {name} throws out keys that may be nowhere else, and undo does not "
            f"bring them back: maxmemory-policy {plain(policy or UNKNOWN, 40)} is wrong for queues "
            f"and sessions.{queue}",
            lost=True,
        )
    elif tighter:
        yield Notice(
            "redis-refuses",
            redis.name,
            f"At its bound {name} answers writes with an error (maxmemory-policy {REFUSES}); what "
            "it has stays.",
        )
