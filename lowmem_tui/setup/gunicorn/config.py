"""Where gunicorn's configuration file is, and what it sets: as gunicorn looks for it.

In the folder in which gunicorn starts (``WorkingDirectory=``), not in that of ``--chdir``. Only a
path that a unit of the system names is opened: none out of a process' command line, and none out
of a file that somebody else than root may write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common, unit_command, unit_text, unit_words
from lowmem_tui.setup.gunicorn import args as gunicorn_args

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.ports import Files
    from lowmem_tui.model.snapshot import UnitFile

ALL = frozenset(gunicorn_args.OPTIONS)
_ROOTS = ("RootDirectory", "RootImage", "RootDirectoryStartOnly")
_LONGEST = 4096
"""PATH_MAX."""
_OF_ROOT = ("/etc/", "/usr/", "/lib/", "/run/systemd/")


class Config(NamedTuple):
    """A configuration file."""

    file: str
    """Its path; "" for none, or where it is not known."""
    values: dict[str, str]
    computed: frozenset[str]
    """The options that it may set to what is unknown."""
    trouble: Message | None = None
    """Why, a sentence."""


def unknown(file: str, trouble: Message) -> Config:
    """Return a configuration that may set anything."""
    return Config(file, {}, ALL, trouble)


def read_trusted(files: Files, path: str) -> tuple[str | None, Message | None]:
    """Read an environment file as ``common.read``, if what it names may be opened.

    Who may write it would have root open what they like: only where files are root's.
    """
    if path.startswith(_OF_ROOT) and "/../" not in path:
        return common.read(files, path)
    return None, msg("{path} may be written by others", path=of_path(path))


def folder_of(files: Sequence[UnitFile], unit: str) -> str | None:
    """Return the folder in which a unit starts, without a slash at its end; None if unknown."""
    if unit_command.unreadable(files) or any(unit_text.last(files, key) for key in _ROOTS):
        return None
    folder = unit_text.last(files, "WorkingDirectory").removeprefix("-")
    made = unit_words.specified(folder, unit)
    if made is None or (made and not made.startswith("/")):
        return None
    return made.rstrip("/")


def read(files: Files, folder: str | None, named: str, *, may_open: bool) -> Config:
    """Return what a configuration file sets.

    ``named`` is what ``--config`` names ("" for nothing), ``may_open`` whether a unit's own files
    say so, ``folder`` where gunicorn starts (None if that is not known).
    """
    if named.startswith("python:"):
        return unknown(
            named, msg("{module} is a module of Python, which is not read.", module=_path(named))
        )
    if not may_open:
        return unknown(
            named,
            msg("{path} is not read: others may write the file that names it.", path=_path(named)),
        )
    path = named.removeprefix("file:") or gunicorn_args.CONFIG_NAME
    if not path.startswith("/"):
        if folder is None:
            return unknown(
                path, msg("The folder of {path} cannot be determined.", path=_path(path))
            )
        path = f"{folder}/{path.removeprefix('./')}"
    if len(path) >= _LONGEST:
        return unknown("", msg("{path} is longer than a path can be.", path=_path(path)))
    text, trouble = common.read(files, path)
    if text is None:
        if trouble:
            return unknown(path, msg("Its configuration file cannot be read: {why}.", why=trouble))
        if named:
            return unknown(path, msg("{path} does not exist.", path=_path(path)))
        return Config("", {}, frozenset())
    values, computed = gunicorn_args.of_file(text)
    why = None
    if computed:
        why = msg(
            "{path} is a program: the options that it computes are unknown.", path=_path(path)
        )
    return Config(path, values, frozenset(computed), why)


def _path(path: str) -> Value:
    return of_path(plain(path, 80))
