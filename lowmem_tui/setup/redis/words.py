"""What is reported of a Redis: facts, findings, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_command,
    of_list,
    of_path,
    of_setting,
    of_text,
    of_unit,
    sentences,
    verbatim,
)
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.redis.config import bytes_of
from lowmem_tui.setup.redis.room import OFF, bound_in_bytes, excess, full, persistence, proposed
from lowmem_tui.setup.redis.seen import EVICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import Item
    from lowmem_tui.setup.redis.seen import Redis

REFUSES = "noeviction"
"""The policy that evicts nothing: at maxmemory, writes are answered with an error."""

UNKNOWN = msg("cannot be determined")


def hindrance(redis: Redis) -> Message | None:
    """Return why our drop-in cannot bound it, a sentence."""
    if not redis.base:
        return msg("There is not exactly one ExecStart, so options cannot be added to it.")
    if redis.wrapper:
        return redis.wrapper
    if redis.overruled:
        return msg(
            "{file} sets ExecStart and is read after the drop-in: change it there.",
            file=of_path(redis.overruled),
        )
    if "\\" in redis.base[-1:]:
        return msg("Its ExecStart ends in a backslash, so options cannot be added to it.")
    return None


def unchangeable(redis: Redis, why: Message) -> Message:
    """Return that its options cannot be set from here, and why."""
    name = of_unit(redis.name)
    return sentences(msg("lowmem-tui cannot set the options of {unit}.", unit=name), why)


def _bound(value: str | None) -> Message:
    if value is None:
        return UNKNOWN
    size = bytes_of(value)
    return verbatim(format_size(size)) if size else msg("no limit")


def bound_of(redis: Redis) -> Message:
    """Return its maxmemory, now and after its next start."""
    now, then = _bound(redis.now("maxmemory")), _bound(redis.starts_with("maxmemory"))
    return now if now == then else _later(now, then)


def _later(now: Message, then: Message) -> Message:
    return msg("{now}; {then} after its next start", now=now, then=then)


def policy_of(redis: Redis) -> Message:
    """Return its policy, now and after its next start."""
    now = _policy(redis.now("maxmemory-policy"))
    then = _policy(redis.starts_with("maxmemory-policy"))
    return now if now == then else _later(now, then)


def _policy(value: str | None) -> Message:
    return verbatim(plain(value, 40)) if value else UNKNOWN


def facts(redis: Redis) -> Iterator[Message]:
    """Yield what was found."""
    name = of_unit(redis.name)
    if redis.running or redis.used is not None:
        yield _data(redis)
    if redis.runs and not redis.running:
        yield sentences(
            msg("{unit} is running, but its settings cannot be read.", unit=name),
            redis.trouble,
            msg("It uses {size} of RAM and swap.", size=of_bytes(redis.holds))
            if redis.holds
            else None,
        )
    elif not redis.runs:
        yield msg(
            "{unit} is not running; maxmemory when it starts: {bound}.",
            unit=name,
            bound=bound_of(redis),
        )
    yield msg(
        "At maxmemory, {unit} follows maxmemory-policy ({policy}); persistence: {disk}.",
        unit=name,
        policy=policy_of(redis),
        disk=_disk(redis),
    )
    limit = redis.limit
    bound = bytes_of(redis.now("maxmemory") or "") or redis.holds
    if limit is not None and bound:
        yield msg(
            "MemoryMax is {limit}; a fork that saves while every page changes needs {full} at "
            "{bound} of data.",
            limit=of_bytes(limit),
            full=of_bytes(full(bound, saves=True)),
            bound=of_bytes(bound),
        )
    if queues := _queue(redis):
        yield queues
    if redis.config.trouble:
        yield _start_unknown(redis, redis.config.trouble)


def _data(redis: Redis) -> Message:
    """Return how much data it has, what it uses, and its maxmemory."""
    name = of_unit(redis.name)
    rss = None
    if redis.rss is not None:
        rss = msg("It uses {size} of RAM (RSS).", size=of_bytes(redis.rss))
    data = msg("{unit} has an unknown amount of data.", unit=name)
    if redis.used is not None:
        data = msg("{unit} has {size} of data.", unit=name, size=of_bytes(redis.used))
    return sentences(data, rss, msg("maxmemory: {bound}.", bound=bound_of(redis)))


def _disk(redis: Redis) -> Message:
    stored = persistence(redis)
    return UNKNOWN if stored is None else verbatim(plain(stored, 80))


def _queue(redis: Redis) -> Message | None:
    evidence = redis.queues.words
    return msg("It may contain a queue ({evidence}).", evidence=evidence) if evidence else None


def _start_unknown(redis: Redis, why: Message) -> Message:
    return sentences(
        msg(
            "The options that {unit} starts with cannot be determined completely.",
            unit=of_unit(redis.name),
        ),
        why,
    )


def findings(redis: Redis, items: Sequence[Item], ram: int) -> Iterator[Finding]:
    """Yield what is wrong, and which items differ from what is proposed."""
    mend: Message | str = common.remedy("redis")
    if hindrance(redis):
        mend = msg("by hand: see `{command}`", command=of_command("lowmem-tui setup --step redis"))
    if redis.stale:
        yield Finding(
            "redis-command-hidden",
            Severity.PROBLEM,
            redis.name,
            msg(
                "{file} repeats an earlier ExecStart of {unit}, and hides the present one.",
                file=of_path(redis.path),
                unit=of_unit(redis.name),
            ),
            mend,
        )
    about_bound = list(_of_bound(redis, ram, mend))
    yield from about_bound
    if bound_in_bytes(redis) and redis.queues.words and redis.evicts_any_key():
        yield _queue_evicts(redis, mend)
    reported = {item.key for item in items} if redis.stale else set()
    if about_bound:
        reported.add(f"{redis.name} maxmemory")
    yield from common.undone("redis", items, reported)


def _of_bound(redis: Redis, ram: int, mend: Message | str) -> Iterator[Finding]:
    """Yield that it has no bound, or one that there is no room for."""
    values = redis.now("maxmemory"), redis.starts_with("maxmemory")
    unbounded = [value is not None and not bytes_of(value) for value in values]
    if any(unbounded):
        yield _unbounded(redis, mend, now=unbounded[0])
    saves = persistence(redis) != OFF
    if over := excess(redis, bound_in_bytes(redis), ram, saves=saves):
        yield Finding(over[0], Severity.WARNING, redis.name, over[1], mend)


def _unbounded(redis: Redis, mend: Message | str, *, now: bool) -> Finding:
    name = of_unit(redis.name)
    if not redis.copies:
        text = msg("{unit} has no maxmemory: its data grows until a process is killed.", unit=name)
        if not now:
            text = msg(
                "{unit} has no maxmemory after its next start: its data then grows until a "
                "process is killed.",
                unit=name,
            )
        return Finding("redis-unbounded", Severity.WARNING, redis.name, text, mend)
    master = of_text(redis.copies, 60)
    return Finding(
        "redis-replica-unbounded",
        Severity.ADVICE,
        redis.name,
        msg(
            "{unit} is a replica of {master} and grows with it: it ignores its own maxmemory "
            "(replica-ignore-maxmemory).",
            unit=name,
            master=master,
        ),
        msg("by hand: set maxmemory on {master}", master=master),
    )


def _queue_evicts(redis: Redis, mend: Message | str) -> Finding:
    return Finding(
        "redis-queue-evicts",
        Severity.WARNING if redis.queues.own else Severity.NOTE,
        redis.name,
        sentences(
            msg(
                "At maxmemory {unit} evicts keys (maxmemory-policy {policy}).",
                unit=of_unit(redis.name),
                policy=policy_of(redis),
            ),
            _queue(redis),
            msg(
                "An evicted key of a queue is work that is never done; {policy} evicts nothing.",
                policy=of_setting(REFUSES),
            ),
        ),
        mend,
    )


def by_hand(redis: Redis, ram: int) -> Iterator[Message]:
    """Yield what cannot be done from here."""
    bound, _, reason = proposed(redis, ram)
    if sentence := hindrance(redis):
        yield sentences(
            unchangeable(redis, sentence),
            _write(redis, f"maxmemory {bound}"),
            reason,
            msg(
                "Its maxmemory-policy ({policy}) decides what happens at that limit.",
                policy=policy_of(redis),
            ),
        )
    elif redis.runs and not redis.running and not reason:
        yield msg(
            "{unit}: set the running server with redis-cli (`{live}`), or run `{restart}` once the "
            "drop-in is written.",
            unit=of_unit(redis.name),
            live=of_command(f"CONFIG SET maxmemory {bound}"),
            restart=of_command(f"systemctl restart {redis.name}"),
        )


def _write(redis: Redis, line: str) -> Message:
    if not redis.config.file:
        return msg("Write into its redis.conf: {line}.", line=of_setting(line))
    return msg("Write into {file}: {line}.", file=of_path(redis.config.file), line=of_setting(line))


def warnings(redis: Redis, asked: Mapping[str, str], ram: int) -> Iterator[Notice]:
    """Yield what to know before these directives are set."""
    name = redis.name
    yield Notice(
        "redis-command-repeated",
        name,
        msg(
            "The drop-in repeats the ExecStart of {unit}: if a package changes it later, that "
            "change is hidden until this step is applied again (`{command}` reports it).",
            unit=of_unit(name),
            command=of_command("lowmem-tui check"),
        ),
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
            msg(
                "{unit} then stores nothing on disk: all its data is lost whenever it stops.",
                unit=of_unit(name),
            ),
            lost=True,
        )
    if redis.config.trouble:
        yield Notice(
            "redis-start-unknown",
            name,
            sentences(
                _start_unknown(redis, redis.config.trouble),
                msg(
                    "These options on its command line override whatever it sets: {options}.",
                    options=of_list(of_setting(option) for option in asked),
                ),
            ),
        )
    if redis.runs and not redis.running:
        yield Notice(
            "redis-not-asked",
            name,
            sentences(
                msg(
                    "{unit} could not be queried, so this applies from its next start.",
                    unit=of_unit(name),
                ),
                redis.trouble,
            ),
        )


def _over(redis: Redis, bound: int, asked: Mapping[str, str]) -> Notice:
    policy = asked.get("maxmemory-policy") or redis.now("maxmemory-policy")
    refuses = (policy or "").lower() == REFUSES
    what = msg("Keys are evicted at once, and undo does not restore them.")
    if refuses:
        what = msg("Writes are refused until it has less data.")
    elif policy is None:
        what = msg("Its maxmemory-policy cannot be determined: keys may be evicted at once.")
    name, held, most = of_unit(redis.name), of_bytes(redis.holds or 0), of_bytes(bound)
    over = msg("{unit} has {size} of data, more than {bound}.", unit=name, size=held, bound=most)
    if redis.used is None:
        over = msg(
            "{unit} uses {size} of RAM and swap, more than {bound}.",
            unit=name,
            size=held,
            bound=most,
        )
    return Notice("redis-over-bound", redis.name, sentences(over, what), lost=not refuses)


def _at_the_bound(redis: Redis, asked: Mapping[str, str]) -> Iterator[Notice]:
    """Yield what happens once maxmemory is reached, where that changes."""
    before, name = redis.now("maxmemory-policy"), of_unit(redis.name)
    policy = asked.get("maxmemory-policy") or before
    bound, old = (bytes_of(x or "") for x in (asked.get("maxmemory"), redis.now("maxmemory")))
    tighter = bool(bound) and (not old or (bound or 0) < old)
    wider = (policy or "").startswith(EVICTS) and not (before or "").startswith(EVICTS)
    if wider or (tighter and policy != REFUSES):
        yield Notice(
            "redis-evicts",
            redis.name,
            sentences(
                msg(
                    "At maxmemory {unit} evicts keys that may exist nowhere else, and undo does "
                    "not restore them: do not use maxmemory-policy {policy} for queues and "
                    "sessions.",
                    unit=name,
                    policy=_policy(policy),
                ),
                _queue(redis),
            ),
            lost=True,
        )
    elif tighter:
        yield Notice(
            "redis-refuses",
            redis.name,
            msg(
                "At maxmemory {unit} answers writes with an error (maxmemory-policy {policy}); its "
                "data is kept.",
                unit=name,
                policy=of_setting(REFUSES),
            ),
        )
