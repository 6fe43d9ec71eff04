"""Which services are a Redis, and by which words and files each is started."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common, unit_command, unit_text
from lowmem_tui.setup.redis import config as redis_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Unit, UnitFile
    from lowmem_tui.model.usage import Process
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.redis.config import RedisConfig

PROGRAM: Final = re.compile(
    r"(?:redis|valkey|keydb|redict)\d*-server(?:[-.]?\d[\d.]*)?\Z", re.ASCII
)
"""``redis-server``, ``redis6-server`` of Amazon Linux, ``valkey-server``…"""

WRAPPERS: Final = frozenset(
    {
        *("env", "nice", "ionice", "chrt", "taskset", "numactl", "setarch", "setpriv", "prlimit"),
        *("tini", "dumb-init", "chpst", "runuser", "stdbuf"),
    }
)
"""Programs that end in the command that they start, word for word."""

SHELLS: Final = frozenset({"sh", "dash", "bash", "su", "sudo", "runuser", "tini", "dumb-init"})
"""What may wait beside the program that it has started."""

ROOTED: Final = ("RootDirectory", "RootImage")

_LAUNCH: Final = re.compile(
    r"(?:\$\{?\w*EXEC\w*\}?|\$\{?\w*DAEMON\w*\}?|\$\{?\w*SERVER\w*\}?|(?<![\w$])[\w/.-]*-server)"
    r"[\"']?[ \t]+(?:--[ \t]+)?[\"']?(\$\{?\w+\}?|/[\w/.-]+)[\"']?[ \t]*(?:[\"'&;)>|].*)?\Z"
)
"""The line of an init script that starts it with a file alone: ``$EXEC $CONF``."""
_ASSIGNED: Final = re.compile(r"[ \t]*(?:export[ \t]+)?(\w+)=([\"']?)([^\"'`;&|<>()]*)\2[ \t]*\Z")
_SOURCED: Final = re.compile(r"(?:^|[;&|])[ \t]*(?:\.|source)[ \t]+([^ \t;]+)")
_LIBRARIES: Final = frozenset(
    {"/lib/lsb/init-functions", "/etc/rc.d/init.d/functions", "/etc/init.d/functions"}
)
_PLAIN_PATH: Final = re.compile(r"/[\w/.@+-]+\Z")
_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")
LONGEST: Final = 64 << 10
"""Characters of an init script that are read at most."""
LONGEST_LINE: Final = 400


class Start(NamedTuple):
    """How one is started."""

    config: RedisConfig
    """What it starts with."""
    wrapper: Message | None
    """Why options at the end of ExecStart= would not reach it, a sentence."""
    sentinel: bool


def is_one(unit: Unit) -> bool:
    """Return whether a service is a Redis: by what it starts, or by its main process."""
    words = unit.properties.exec_start if unit.properties else ()
    program = common.program(unit)
    if PROGRAM.match(program):
        return "--sentinel" not in words
    if program in WRAPPERS and any(PROGRAM.match(_name(word)) for word in words):
        return "--sentinel" not in words
    return any(_is_server(process) for process in _main(unit))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_server(process: Process) -> bool:
    program = _name((process.command or "")[:300].partition(" ")[0])
    named = PROGRAM.match(program) or PROGRAM.match(process.name)
    return bool(named) and not is_sentinel(process)


def is_sentinel(process: Process) -> bool:
    """Return whether a process is a Sentinel: a running one has it in its title."""
    command = (process.command or "")[:300]
    return "[sentinel]" in command or "--sentinel" in command.split(" ")


def _main(unit: Unit) -> Iterator[Process]:
    """Yield the main process, or what it has started where it is a shell that waits.

    Of an init script (systemd-sysv-generator) systemd knows no main process: any counts whose
    parent is none of the unit's.
    """
    processes = unit.usage.processes if unit.usage else ()
    main = unit.properties.main_pid if unit.properties else 0
    pids = {process.pid for process in processes}
    tops = [p for p in processes if (p.pid == main if main in pids else p.ppid not in pids)]
    yield from tops
    waiting = {p.pid for p in tops if p.name in SHELLS}
    yield from (p for p in processes if p.ppid in waiting)


def title_of(unit: Unit) -> str | None:
    """Return the address in the title of a running one; None if there is none."""
    titles = (redis_config.title_port(p.command or "") for p in _main(unit) if _is_server(p))
    return next((title for title in titles if title is not None), None)


def start(ground: Ground, unit: str, files: Sequence[UnitFile]) -> Start:
    """Return how a unit, by its files without our drop-in, starts its server."""
    command = unit_command.command(
        files, unit, partial(common.read, ground.files), ground.inspector.names
    )
    seen = command.seen
    if not seen:
        why = msg(
            "Its ExecStart cannot be understood, so options cannot be added to it: {why}.",
            why=command.unknown or "",
        )
        return Start(_lost(why), why, False)
    folder = unit_text.last(files, "WorkingDirectory").removeprefix("-") or "/"
    at = next((i for i, word in enumerate(seen) if word and PROGRAM.match(_name(word))), None)
    if at is None or (at and _name(seen[0] or "") not in WRAPPERS):
        return Start(_of_script(ground, seen, command.unknown or ""), _through(seen), False)
    config = redis_config.config_of(
        seen[at:], ground.files, ground.inspector.names, folder, command.unknown or ""
    )
    if any(unit_text.last(files, key) for key in ROOTED):
        config.lose(msg("It has a root folder of its own (RootDirectory=)."))
    elif not folder.startswith("/") and not config.file.startswith("/"):
        config.lose(
            msg(
                "Its WorkingDirectory {folder} cannot be determined.",
                folder=of_path(plain(folder, 60)),
            )
        )
    wrapper = None
    if seen[-1] == "-":
        wrapper = msg("Its ExecStart ends in `-` (standard input): options after it are ignored.")
    return Start(config, wrapper, "--sentinel" in seen)


def _lost(why: Message) -> RedisConfig:
    config = redis_config.RedisConfig()
    config.lose(why)
    return config


def _through(seen: Sequence[str | None]) -> Message:
    if not seen[0]:
        return msg(
            "It is started through another program, so options at the end of its ExecStart do not "
            "reach it."
        )
    return msg(
        "It is started through {program}, so options at the end of its ExecStart do not reach it.",
        program=of_path(plain(seen[0], 80)),
    )


def _of_script(ground: Ground, seen: Sequence[str | None], unknown: Message | str) -> RedisConfig:
    """Return the configuration that an init script starts it with; lost where that is unclear."""
    path = seen[0] or ""
    why = unknown or msg("it is started through {program}", program=of_path(plain(path, 80)))
    if "/init.d/" not in path and not path.endswith(".sh"):
        return _lost(msg("Its configuration file is unknown: {why}.", why=why))
    text, trouble = common.read(ground.files, path)
    file = config_file(text or "") if text is None or len(text) <= LONGEST else ""
    if not file:
        return _lost(msg("Its configuration file is unknown: {why}.", why=trouble or why))
    return redis_config.config_of(("redis-server", file), ground.files, ground.inspector.names)


def config_file(script: str) -> str:
    """Return the file that an init script starts a Redis with; "" where that is unclear."""
    known: dict[str, str] = {}
    files: set[str] = set()
    for line in script.split("\n"):
        if len(line) > LONGEST_LINE:
            return ""
        if found := _ASSIGNED.match(line):
            name, quote, value = found.groups()
            known[name] = value if quote == "'" else _filled(value, known)
        elif (found := _SOURCED.search(line)) and found[1] not in _LIBRARIES:
            return ""
        elif not line.lstrip().startswith("#") and (found := _LAUNCH.search(line.rstrip())):
            files.add(_filled(found[1], known))
    (file,) = files if len(files) == 1 else ("",)
    return file if _PLAIN_PATH.match(file) else ""


def _filled(text: str, known: dict[str, str]) -> str:
    """Fill in the variables of a shell that are known; the others stay."""
    return _VARIABLE.sub(lambda found: known.get(found[1], found[0]), text)[:4096]
