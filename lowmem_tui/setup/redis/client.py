"""A running Redis: its values, by its own client; its password is read when it is needed.

A tool of the step.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.host.programs import find, run
from lowmem_tui.host.reading import SMALL, read, read_regular
from lowmem_tui.model.errors import InvalidValueError, ManagerError, NotReadyError, RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_command, of_setting, of_text, of_unit
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.setup.redis.file import RedisConfig, config_of

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message, Value

PATIENCE: Final = 15.0
"""Seconds that a Redis is waited for: one that is swapping answers late."""

VALUES: Final = frozenset({"maxmemory", "maxmemory-policy", "save", "appendonly"})
FIGURES: Final = frozenset({"used_memory"})
CLIENTS: Final = ("redis-cli", "valkey-cli", "keydb-cli", "redis6-cli")

_OPTIONS: Final = {
    "-h": re.compile(r"[0-9A-Za-z:][0-9A-Za-z.:-]*\Z"),
    "-p": re.compile(r"[0-9]{1,5}\Z"),
    "-s": re.compile(r"/[^\s]+\Z"),
    "@": re.compile(r"/[^\s]+\Z"),
}
_LOADING: Final = "LOADING"
_OWNERS: Final = (b".service", b".scope")
_COMMAND: Final = re.compile(r"[0-9A-Za-z_][!-~]*\Z")
"""What a command may be renamed to and still be sent: it is no option of the client."""


class Place(NamedTuple):
    """What is asked, and where."""

    directive: str
    options: tuple[str, ...]
    """Of the client."""
    secret: str
    """The configuration with the password and the renamed commands; or ""."""


def place(what: str) -> Place:
    """Return what an ``ActionKind.REDIS`` means. Raises InvalidValueError.

    ``UNIT DIRECTIVE`` and, where it is not at 127.0.0.1:6379, ``-h HOST``, ``-p PORT``,
    ``-s SOCKET`` as redis-cli has them; ``@ FILE`` is a configuration with a ``requirepass`` or a
    ``rename-command``.
    """
    unit, directive, *rest = what.split(" ")
    pairs = [*zip(rest[::2], rest[1::2], strict=False)]
    if (
        directive not in VALUES | FIGURES
        or len(rest) % 2
        or not all(o in _OPTIONS and _OPTIONS[o].match(v) for o, v in pairs)
    ):
        raise InvalidValueError(
            msg("'{what}' is not a setting of a running Redis.", what=of_text(what, 80))
        )
    if not is_unit_name(unit):
        raise InvalidValueError(msg("'{unit}' is not a unit's name.", unit=of_unit(unit, 60)))
    options = tuple(word for pair in pairs if pair[0] != "@" for word in pair)
    return Place(directive, options, dict(pairs).get("@", ""))


def password(path: str) -> str:
    """Return the password that clients of a configuration must send; "" for none."""
    return _config(path).password if path else ""


def check(what: str) -> None:
    """See ``Tool``."""
    place(what)


def get(what: str) -> str:
    """Return a value, or a figure. Raises LowmemError."""
    directive = place(what).directive
    if directive in FIGURES:
        return _figure(what, directive)
    lines = _ask(what, "CONFIG", "GET", directive)
    return lines[1] if len(lines) > 1 else ""


def put(what: str, value: str) -> None:
    """Set a value of one that runs. Raises LowmemError."""
    directive = place(what).directive
    if directive in FIGURES:
        raise InvalidValueError(
            msg("{name} is a measured value: it cannot be set.", name=of_setting(directive))
        )
    if get(what) != value:
        _ask(what, "CONFIG", "SET", directive, value)


def _figure(what: str, name: str) -> str:
    lines = [line.strip().partition(":") for line in _ask(what, "INFO")]
    figures = {key: value for key, _, value in lines}
    unit = what.partition(" ")[0]
    if not _is_of(unit, figures.get("process_id", "")):
        raise RefusedError(
            msg(
                "The Redis that answers there is not {unit} (it is process {pid}).",
                unit=of_unit(unit),
                pid=of_text(figures["process_id"], 20),
            )
        )
    if figures.get("loading", "0") != "0":
        raise _loading(unit)
    return figures.get(name, "")


def _is_of(unit: str, pid: str) -> bool:
    """Tell whether a process is a unit's; where that cannot be seen, it may be."""
    number = natural(pid, 10)
    group = read(f"/proc/{number}/cgroup", size=SMALL) if number else None
    owners = [part for part in re.split(rb"[/\n]", group or b"") if part.endswith(_OWNERS)]
    return not owners or unit.encode() in owners


def _ask(what: str, command: str, *words: str) -> list[str]:
    """Ask a running Redis; returns the lines of its answer. Raises ManagerError."""
    _, options, secret = place(what)
    config = _config(secret) if secret else RedisConfig()
    name = config.renamed.get(command.lower(), command)
    unit = of_unit(what.partition(" ")[0])
    if not _COMMAND.match(name):
        raise ManagerError(
            msg(
                "{unit} has no command {command} (rename-command): set the value yourself.",
                unit=unit,
                command=of_command(command),
            )
        )
    token = config.password
    more = {"REDISCLI_AUTH": token} if token and "\0" not in token else {}
    client = next((c for c in CLIENTS if find(c)), CLIENTS[0])
    done = run((client, *options, "--raw", name, *words), PATIENCE, more)
    lines = done.stdout.rstrip("\n").split("\n")
    # The first word of an error is its code.
    if any(text.startswith(_LOADING) for text in (lines[0], done.stderr)):
        raise _loading(what.partition(" ")[0])
    if done.returncode != 0:
        raise ManagerError(_unanswered(unit, client, done.stderr or done.stdout))
    # Its errors are an answer like any other, with exit status 0.
    if (words[:1] == ("SET",) and lines != ["OK"]) or (
        words[:1] == ("GET",) and lines[0] != words[1]
    ):
        raise ManagerError(
            msg(
                "{unit} refuses `{command}` ({answer}): set the value yourself.",
                unit=unit,
                command=of_command(" ".join((command, *words[:2]))),
                answer=of_text(lines[0], 80),
            )
        )
    return lines


def _loading(unit: str) -> NotReadyError:
    return NotReadyError(
        msg("{unit} is still loading its data: refresh when it is ready.", unit=of_unit(unit))
    )


def _unanswered(unit: Value, client: str, output: str) -> Message:
    why = plain(output.strip().replace("\n", " "), 300).rstrip(".")
    name = of_command(client)
    if not why:
        return msg("{client} cannot query {unit}, and reports no reason.", client=name, unit=unit)
    return msg("{client} cannot query {unit}: {why}.", client=name, unit=unit, why=why)


def _config(path: str) -> RedisConfig:
    return config_of(["redis-server", path], _Texts(path).read, _names)


class _Texts:
    """Files that whoever owns a configuration may read.

    What is set in them is sent to the server. So a configuration that is not root's must not have
    root read another's password for it, by an include.
    """

    def __init__(self, path: str) -> None:
        try:
            found = os.stat(path)
            self._owner, self._group = found.st_uid, found.st_gid
        except OSError:
            self._owner = self._group = 0  # reading it shows why

    def read(self, path: str) -> str | None:
        """Return a file's text. Raises OSError."""
        data = read_regular(path)
        if data is not None and self._owner:
            found = os.stat(path)
            group = found.st_gid == self._group and found.st_mode & stat.S_IRGRP
            if found.st_uid != self._owner and not (group or found.st_mode & stat.S_IROTH):
                raise PermissionError(errno.EACCES, "not for the owner of redis.conf", path)
        return None if data is None else data.decode("utf-8", "surrogateescape")


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
