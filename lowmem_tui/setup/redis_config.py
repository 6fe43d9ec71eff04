"""What a Redis starts with: its configuration file, with its command line over it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.ports import Files

DEEPEST = 8
"""Includes within includes that are followed."""

_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1 << 10,
    "m": 1000**2,
    "mb": 1 << 20,
    "g": 1000**3,
    "gb": 1 << 30,
}
_SIZE = re.compile(r"([0-9]{1,15})([a-z]{0,2})\Z")
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(slots=True)
class RedisConfig:
    """Directives by their names in small letters; of repeated ones the last counts."""

    file: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)
    saves: list[str] = field(default_factory=list)
    """``save`` adds up."""
    trouble: str = ""
    """Why not all of it is known; or ""."""

    def get(self, name: str, default: str = "") -> str:
        """Return the first word of a directive's value."""
        found = self.values.get(name)
        return found[0] if found else default

    def take(self, name: str, args: Sequence[str]) -> None:
        """Take one directive."""
        name = name.lower()
        if name == "save":
            if list(args) == [""]:
                self.saves.clear()
            else:
                self.saves += args
            self.values[name] = [" ".join(self.saves)]
        elif name == "bind":
            self.values[name] = [arg for word in args for arg in word.split()]
        else:
            self.values[name] = list(args)


def bytes_of(text: str) -> int | None:
    """Return the bytes of a size as Redis reads it (``64mb``); None for what is none."""
    found = _SIZE.match(text.strip().lower())
    if not found or found[2] not in _UNITS:
        return None
    return int(found[1]) * _UNITS[found[2]]


def config_of(words: Sequence[str], files: Files) -> RedisConfig:
    """Return what a command line (``redis-server FILE --name value…``) comes to; never raises."""
    config = RedisConfig()
    rest = list(words[1:])
    if rest and not rest[0].startswith("-"):
        config.file = rest.pop(0)
        _read(config, config.file, files, 0)
    elif rest and rest[0] == "-":
        rest.pop(0)
        config.trouble = "it is configured through its standard input"
    name, args = "", list[str]()
    given: list[tuple[str, list[str]]] = []
    for word in rest:
        if word.startswith("--"):
            name, args = word[2:], []
            given.append((name, args))
        elif name:
            args.append(word)
    if any(each[0].lower() == "save" for each in given):
        config.saves.clear()  # the command line's take the place of the file's
    for name, args in given:
        config.take(name, args)
    return config


def _read(config: RedisConfig, path: str, files: Files, depth: int) -> None:
    text, trouble = common.read(files, path)
    if text is None:
        config.trouble = trouble or f"there is no {path}"
        return
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, *args = shlex.split(line)
        except ValueError:
            config.trouble = f"a line of {path} cannot be understood"
            continue
        if name.lower() != "include":
            config.take(name, args)
        elif args and depth < DEEPEST and not any(char in args[0] for char in "*?["):
            _read(config, args[0], files, depth + 1)
        else:
            config.trouble = f"what {path} includes is not followed"


def address(config: RedisConfig) -> str | None:
    """Return where it can be asked, as ``ActionKind.REDIS`` has it; None if that is not known.

    ``""`` is 127.0.0.1:6379; a leading space is part of the others.
    """
    secret = f" @ {config.file}" if config.get("requirepass") and config.file else ""
    port = config.get("port", "6379")
    socket = config.get("unixsocket")
    parts = [port, socket, config.file, *config.values.get("bind", ())]
    if any(char.isspace() for part in parts for char in part):
        return None
    if port.isdigit() and int(port) and not config.get("tls-port"):
        hosts = [host.lstrip("-") for host in config.values.get("bind", ())]
        if not hosts or any(host in {"*", "0.0.0.0", *_LOCAL} for host in hosts):  # noqa: S104
            host = "" if _reachable(hosts) else " -h ::1"
        else:
            host = f" -h {hosts[0]}"
        return f"{host}{'' if port == '6379' else f' -p {port}'}{secret}"
    return f" -s {socket}{secret}" if socket.startswith("/") else None


def _reachable(hosts: Sequence[str]) -> bool:
    return not hosts or any(h in {"*", "0.0.0.0", "127.0.0.1", "localhost"} for h in hosts)  # noqa: S104
