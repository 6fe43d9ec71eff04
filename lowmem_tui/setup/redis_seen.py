"""The Redis servers of a machine, as they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.unit import Key
from lowmem_tui.setup import common, redis_config, unit_text
from lowmem_tui.setup.redis_config import RedisConfig, bytes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.snapshot import Unit, UnitSituation
    from lowmem_tui.setup.ground import Ground

PROGRAMS = ("redis-server", "valkey-server", "keydb-server")
NAME = "zz-lowmem-tui-redis.conf"

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
    "# change of ExecStart in another file is hidden by this one: `lowmem-tui check` tells then.\n"
    "# To take it back: `lowmem-tui undo`, or remove this file and `systemctl daemon-reload`.\n"
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
    path: str
    """Of our drop-in."""
    text: str | None
    """Our drop-in's, if there is one."""
    ours: dict[str, str]
    """The options that it adds."""
    stale: bool
    """Whether our drop-in repeats another command than the unit has by now."""
    running: dict[str, str] | None
    """What the running server says; None where it does not run or does not answer."""
    trouble: str
    """Why it does not answer; or ""."""
    used: int | None
    """Bytes: ``used_memory``."""
    address: str
    overruled: str
    """A file that is read after ours and sets ExecStart; or ""."""

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        properties = self.situation.unit.properties
        return properties is not None and properties.active_state in {"active", "reloading"}

    @property
    def limit(self) -> int | None:
        """The MemoryMax that holds for it, in bytes; None for none."""
        setting = self.situation.settings.get(Key.MEMORY_MAX)
        if setting is None:
            return None
        found = setting.effective if setting.effective is not None else setting.loaded
        return found if isinstance(found, int) else None

    @property
    def rss(self) -> int | None:
        """Bytes."""
        usage = self.situation.unit.usage
        return usage.rss if usage else None

    def starts_with(self, name: str) -> str:
        """Return the value that it starts with."""
        if name in self.ours and not self.stale:
            return self.ours[name]
        if self.config.trouble and name not in self.config.values and self.running:
            return self.running[name]  # a file that may not be read: it has most likely that
        return self.config.get(name, DEFAULTS[name])

    def now(self, name: str) -> str:
        """Return the value that holds now: of the running server, or else at its start."""
        return self.running[name] if self.running else self.starts_with(name)


def same(name: str, one: str, other: str) -> bool:
    """Tell whether two values of a directive come to the same."""
    if name == "maxmemory":
        return bytes_of(one) == bytes_of(other)
    return one.lower() == other.lower()


def see(ground: Ground) -> list[Redis]:
    """Return the Redis servers, by name. Raises LowmemError."""
    names = common.services(ground.snapshot(), _is_redis)
    found = ground.situation(names).units if names else {}
    # The snapshot may be from before the last reload.
    return [_see(ground, each) for each in found.values() if _is_redis(each.unit)]


def _is_redis(unit: Unit) -> bool:
    words = unit.properties.exec_start if unit.properties else ()
    return common.program(unit) in PROGRAMS and "--sentinel" not in words


def _see(ground: Ground, situation: UnitSituation) -> Redis:
    name = situation.unit.name
    path = unit_text.drop_in(name, NAME)
    files = situation.files
    others = unit_text.without(files, path)
    starts = unit_text.values(others, "ExecStart")
    base = starts[0] if len(starts) == 1 else ""
    text, _ = common.read(ground.files, path)
    ours, stale = _options(text, base)
    words = [each for each in (unit_text.words(base.lstrip("-@:+!|")) or []) if each]
    specified = [unit_text.specified(word, name) for word in words]
    config = redis_config.config_of([w for w in specified if w is not None], ground.files)
    if not base or len(specified) != len([w for w in specified if w is not None]):
        config.trouble = "its ExecStart cannot be understood"
    where = redis_config.address(config)
    running, trouble, used = None, "", None
    properties = situation.unit.properties
    if properties is not None and properties.active_state in {"active", "reloading"}:
        if where is None:
            trouble = "it listens where it cannot be asked from here"
        else:
            running, trouble, used = _ask(ground, name, where)
    after = unit_text.with_file(files, path, f"[Service]\nExecStart=\nExecStart={base or '?'}\n")
    at = [file.path for file in after].index(path)
    overruled = next((f.path for f in after[at + 1 :] if unit_text.values([f], "ExecStart")), "")
    return Redis(
        name=name,
        situation=situation,
        config=config,
        base=base,
        path=path,
        text=text,
        ours=ours,
        stale=stale,
        running=running,
        trouble=trouble,
        used=used,
        address=where or "",
        overruled=overruled,
    )


def _ask(ground: Ground, name: str, where: str) -> tuple[dict[str, str] | None, str, int | None]:
    try:
        values = {
            each: ground.system.get(ActionKind.REDIS, f"{name} {each}{where}") for each in OPTIONS
        }
        used = ground.system.get(ActionKind.REDIS, f"{name} used_memory{where}")
    except (LowmemError, OSError) as error:
        return None, str(error).rstrip("."), None
    if not values["maxmemory"].isdigit():
        return None, "it does not tell its settings", None
    return values, "", int(used) if used.isdigit() else None


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
