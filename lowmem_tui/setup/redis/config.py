"""What a Redis starts with, and where it can be asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.integer import natural
from lowmem_tui.setup.redis import file as redis_file
from lowmem_tui.setup.redis.file import RedisConfig, bytes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Files
    from lowmem_tui.setup.redis.file import Names

__all__ = ["RedisConfig", "address", "bytes_of", "config_of", "title_port"]

_LOCAL = ("127.0.0.1", "localhost", "::1")
_EVERY = ("*", "0.0.0.0")  # noqa: S104 - what is listened on, not by us
_LITERAL = re.compile(r"[0-9.]+\Z|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\Z")
_TITLE = re.compile(r"\S+ (\*|127\.0\.0\.1|\[?::1\]?|\[?::\*?\]?|0\.0\.0\.0):([0-9]{1,5})(?: |\Z)")


def config_of(
    words: Sequence[str | None],
    files: Files,
    names: Names | None = None,
    folder: str = "/",
    unknown: Message | str = "",
) -> RedisConfig:
    """Return the configuration of a command line (``redis-server FILE --name value…``)."""
    return redis_file.config_of(words, files.read, names, folder, unknown)


def address(config: RedisConfig) -> str | None:
    """Return where it can be asked, as ``ActionKind.REDIS`` has it; None if that is unknown.

    ``""`` is 127.0.0.1:6379; a leading space is part of the others.
    """
    parts = (*(config.values.get("bind", ())), config.get("port"), config.get("unixsocket"))
    if any(char in _SPACE for part in (*parts, config.file) for char in part):
        return None
    if not all(config.knows(name) for name in ("port", "bind", "unixsocket")):
        return None
    place = _place(config)
    secret = secret_of(config)
    return None if place is None or secret is None else place + secret


def secret_of(config: RedisConfig) -> str | None:
    """Return the part of an address that names the file of its password and its commands' names.

    None where they are on its command line, which is repeated nowhere.
    """
    if config.spoken & {"requirepass", "rename-command", "user"}:
        return None
    if not config.file or not (config.password or config.renamed):
        return ""
    return f" @ {config.file}"


def tls_alone(config: RedisConfig) -> bool:
    """Return whether it can be reached only through TLS, and at no socket."""
    port = config.knows("port") and natural(config.get("port", "6379"), 5) == 0
    return port and bool(natural(config.get("tls-port"), 5)) and not config.get("unixsocket")


def copies(config: RedisConfig) -> str:
    """Return the server whose data it copies, and whose maxmemory applies; "" for none."""
    master = config.values.get("replicaof") or config.values.get("slaveof", [])
    ignores = config.get("replica-ignore-maxmemory", config.get("slave-ignore-maxmemory", "yes"))
    if len(master) != 2 or [word.lower() for word in master] == ["no", "one"]:
        return ""
    return "" if ignores.lower() == "no" else ":".join(master)


_SPACE = frozenset(" \t\n\v\f\r\0")


def _place(config: RedisConfig) -> str | None:
    port = natural(config.get("port", "6379"), 5)
    socket = config.get("unixsocket")
    hosts = [host.lstrip("-").lower() for host in config.values.get("bind", ("*",)) if host]
    if port and (host := _host(hosts)) is not None:
        return f"{host}{'' if port == 6379 else f' -p {port}'}"
    return f" -s {socket}" if socket.startswith("/") else None


def _host(hosts: Sequence[str]) -> str | None:
    """Return the option for an address that it listens at; a name is not looked up."""
    if any(host in {*_EVERY, "127.0.0.1", "localhost"} for host in hosts):
        return ""
    if any(host in {*_LOCAL, "::*", "::"} for host in hosts):
        return " -h ::1"
    literal = next((host for host in hosts if _LITERAL.match(host)), None)
    return None if literal is None else f" -h {literal}"


def title_port(command: str) -> str | None:
    """Return the address in the title of a running Redis (``… 127.0.0.1:6379``).

    Only of this machine's own addresses: anybody may write there. None if there is none.
    """
    found = _TITLE.match(command[:300])
    port = natural(found[2], 5) if found else None
    if not found or not port:
        return None
    host = " -h ::1" if "::" in found[1] else ""
    return f"{host}{'' if port == 6379 else f' -p {port}'}"
