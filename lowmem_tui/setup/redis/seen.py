"""The Redis servers of a machine, as they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import LowmemError, NotReadyError, RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, verbatim
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.setup import common, unit_text
from lowmem_tui.setup.redis import config as redis_config
from lowmem_tui.setup.redis import programs as redis_programs
from lowmem_tui.setup.redis import queue as redis_queue
from lowmem_tui.setup.redis.config import RedisConfig, bytes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import UnitSituation
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.redis.queue import Queues

NAME = "zz-lowmem-tui-redis.conf"

EVICTS = "allkeys-"
"""What these policies begin with: they evict any key, not only those with an expiry."""

OPTIONS = ("maxmemory", "maxmemory-policy", "save", "appendonly")
"""The directives that are set, in the order in which they are: eviction before the bound."""

DEFAULTS = {
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "save": "3600 1 300 100 60 10000",
    "appendonly": "no",
}
"""Redis' own."""

HEAD = (
    "# Written by lowmem-tui. It repeats the unit's ExecStart with options at its end, so a later\n"
    "# change of ExecStart in another file is hidden by this one: `lowmem-tui check` reports it.\n"
    "# To undo: `lowmem-tui undo`, or remove this file and run `systemctl daemon-reload`.\n"
)


@dataclass(frozen=True, slots=True)
class Redis:
    """One server."""

    name: str
    situation: UnitSituation
    config: RedisConfig
    """What it starts with, our drop-in left out."""
    base: str
    """``ExecStart=`` without our drop-in; "" if there is not exactly one."""
    wrapper: Message | None
    """Why options at its end would not reach it, a sentence."""
    path: str
    """Of our drop-in."""
    text: str | None
    """Our drop-in's, if there is one."""
    ours: dict[str, str]
    """The options that it adds."""
    stale: bool
    """Whether our drop-in repeats another command than the unit has now."""
    running: dict[str, str] | None
    """What the running server reports; None where it does not run or does not answer."""
    trouble: Message | None
    """Why it does not answer, a sentence."""
    used: int | None
    """Bytes: ``used_memory``."""
    loading: bool
    """Whether not all of its data is in memory yet, so that its size is unknown."""
    address: str
    overruled: str
    """A file that is read after ours and sets ExecStart; or ""."""
    queues: Queues
    """What indicates a queue in it."""

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        properties = self.situation.unit.properties
        return properties is not None and properties.active_state in {"active", "reloading"}

    @property
    def limit(self) -> int | None:
        """The MemoryMax that applies to it, in bytes; None for none."""
        return common.memory_max(self.situation)

    @property
    def rss(self) -> int | None:
        """Bytes."""
        usage = self.situation.unit.usage
        return usage.rss if usage else None

    @property
    def holds(self) -> int | None:
        """Bytes of data that it has; where it does not report that, all of its RAM and swap.

        None where that is unknown: it does not run, and its files may have any size.
        """
        usage = self.situation.unit.usage
        if self.used is not None or not self.runs or self.loading or usage is None:
            return self.used
        return usage.rss + (usage.swap or 0) if usage.rss else None

    def starts_with(self, name: str) -> str | None:
        """Return the value that it starts with; None where that cannot be determined."""
        if name in self.ours and not self.stale:
            return self.ours[name]
        return self.config.get(name, DEFAULTS[name]) if self.config.knows(name) else None

    def now(self, name: str) -> str | None:
        """Return the value in force now: of the running server, or else at its start."""
        return self.running[name] if self.running else self.starts_with(name)

    @property
    def copies(self) -> str:
        """The server whose data it copies, as ``replicaof`` names it; "" for none.

        It ignores its own maxmemory unless replica-ignore-maxmemory is no.
        """
        return redis_config.copies(self.config)

    def evicts(self) -> bool:
        """Return whether it may evict keys at maxmemory, now or after its next start."""
        policies = self.now("maxmemory-policy"), self.starts_with("maxmemory-policy")
        return any((policy or "").lower() != "noeviction" for policy in policies)

    def evicts_any_key(self) -> bool:
        """Return whether it may evict keys without an expiry, now or after its next start."""
        policies = self.now("maxmemory-policy"), self.starts_with("maxmemory-policy")
        return any((policy or "").lower().startswith(EVICTS) for policy in policies)


def same(name: str, one: str | None, other: str) -> bool:
    """Return whether two values of a directive mean the same."""
    if one is None:
        return False
    if name == "maxmemory":
        return bytes_of(one) == bytes_of(other)
    return one.lower() == other.lower()


def see(ground: Ground) -> list[Redis]:
    """Return the Redis servers, by name. Raises LowmemError."""
    names = common.services(ground.snapshot(), redis_programs.is_one)
    found = ground.situation(names).units if names else {}
    # The snapshot may be from before the last reload.
    those = [each for each in found.values() if redis_programs.is_one(each.unit)]
    seen = (_see(ground, each, names) for each in those)
    return [redis for redis in seen if redis is not None]


def _see(ground: Ground, situation: UnitSituation, names: Sequence[str]) -> Redis | None:
    """Return what is known of one; None for a Sentinel, which holds no data."""
    name = situation.unit.name
    path = unit_text.drop_in(name, NAME)
    files = situation.files
    others = unit_text.without(files, path)
    starts = unit_text.values(others, "ExecStart")
    base = starts[0] if len(starts) == 1 else ""
    text, _ = common.read(ground.files, path)
    ours, stale = _options(text, base)
    start = redis_programs.start(ground, name, others)
    if start.sentinel:
        return None
    config = start.config
    where, title = redis_config.address(config), redis_programs.title_of(situation.unit)
    if where is None and title is not None and not redis_config.tls_alone(config):
        secret = redis_config.secret_of(config)
        where = None if secret is None else title + secret
    asked = _Asked(None, None, None)
    properties = situation.unit.properties
    if properties is not None and properties.active_state in {"active", "reloading"}:
        asked = _ask(ground, name, where, config)
    after = unit_text.with_file(files, path, f"[Service]\nExecStart=\nExecStart={base or '?'}\n")
    at = [file.path for file in after].index(path)
    overruled = next((f.path for f in after[at + 1 :] if unit_text.values([f], "ExecStart")), "")
    return Redis(
        name=name,
        situation=situation,
        config=config,
        base=base,
        wrapper=start.wrapper,
        path=path,
        text=text,
        ours=ours,
        stale=stale,
        running=asked.values,
        trouble=asked.trouble,
        used=asked.used,
        loading=asked.loading,
        address=where or "",
        overruled=overruled,
        queues=redis_queue.evidence(name, config, ground.snapshot(), names),
    )


class _Asked(NamedTuple):
    """What a running server reports."""

    values: dict[str, str] | None
    trouble: Message | None
    used: int | None
    loading: bool = False


def _ask(ground: Ground, name: str, where: str | None, config: RedisConfig) -> _Asked:
    if where is None:
        return _Asked(None, _unreachable(config), None)
    used, trouble, loading = None, None, False
    try:
        used = natural(ground.system.get(ActionKind.REDIS, f"{name} used_memory{where}"))
    except RefusedError as error:
        return _Asked(None, error.message, None)  # another one answers there
    except (LowmemError, OSError) as error:
        trouble, loading = _reason(error), isinstance(error, NotReadyError)
    try:
        values = {
            each: ground.system.get(ActionKind.REDIS, f"{name} {each}{where}") for each in OPTIONS
        }
    except (LowmemError, OSError) as error:
        return _Asked(None, _reason(error), used, loading)
    if natural(values["maxmemory"]) is None:
        return _Asked(None, msg("It does not report its settings."), used, loading)
    return _Asked(values, trouble, used, loading)


def _unreachable(config: RedisConfig) -> Message:
    """Return why a server has no address that can be asked."""
    if redis_config.secret_of(config) is None:
        return msg(
            "Its password or the names of its commands are on its command line, and "
            "lowmem-tui does not show them."
        )
    if redis_config.tls_alone(config):
        return msg("It accepts only TLS (port 0, tls-port), which lowmem-tui does not use.")
    return msg("Its address is unknown.")


def _reason(error: LowmemError | OSError) -> Message:
    return error.message if isinstance(error, LowmemError) else verbatim(f"{error}.")


def command(base: str, options: Mapping[str, str]) -> str:
    """Return the command with options at its end."""
    added = (
        f" --{name} {options[name] or unit_text.quoted('')}" for name in OPTIONS if name in options
    )
    return base + "".join(added)


def render(base: str, options: Mapping[str, str]) -> str | None:
    """Return our drop-in; None where it would add nothing."""
    if not options:
        return None
    return f"{HEAD}[Service]\nExecStart=\nExecStart={command(base, options)}\n"


def _options(text: str | None, base: str) -> tuple[dict[str, str], bool]:
    """Return the options that our drop-in adds, and whether the command before them has changed."""
    if text is None:
        return {}, False
    starts = unit_text.values([UnitFile("", text)], "ExecStart")
    start = starts[-1] if starts else ""
    words = unit_text.words(start.removeprefix(base)) or []
    options: dict[str, str] = {}
    while len(words) > 1 and words[-2].removeprefix("--") in OPTIONS:
        options.setdefault(words[-2].removeprefix("--"), words[-1])
        del words[-2:]
    return options, start != command(base, options)
