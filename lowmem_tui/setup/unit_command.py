"""The command line that a unit runs, and the variables that it runs with, as systemd makes them.

What cannot be seen (a file that may not be read, a variable of the service manager, a specifier of
the host) is unknown, with the reason; it is never replaced by nothing or by a default.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_path, of_setting, of_text
from lowmem_tui.model.text import plain
from lowmem_tui.setup import manager_environment, unit_text, unit_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.snapshot import UnitFile

    Read = Callable[[str], tuple[str | None, Message | None]]
    """A file's text (None: no such file, or unreadable), and why it cannot be read."""
    Names = Callable[[str], Sequence[str]]
    """The names in a folder."""

_FILES = 64
"""So many environment files of one unit are read."""
_PREFIXES = re.compile(r"[-@:+!|]*")
_GLOB = re.compile(r"[*?\[\\]")

_DIRECTORIES = {
    "RUNTIME_DIRECTORY": ("RuntimeDirectory", "/run"),
    "STATE_DIRECTORY": ("StateDirectory", "/var/lib"),
    "CACHE_DIRECTORY": ("CacheDirectory", "/var/cache"),
    "LOGS_DIRECTORY": ("LogsDirectory", "/var/log"),
    "CONFIGURATION_DIRECTORY": ("ConfigurationDirectory", "/etc"),
}
_MANAGERS = {
    *("PATH", "LANG", "USER", "LOGNAME", "HOME", "SHELL", "TERM"),
    *("INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"),
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "REMOTE_ADDR", "REMOTE_PORT"),
    *("MAINPID", "MANAGERPID", "SYSTEMD_EXEC_PID", "CREDENTIALS_DIRECTORY"),
    *("MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"),
}
"""What systemd sets itself where no file does (systemd.exec(5))."""


class Variables(NamedTuple):
    """The environment that a unit's files give to its processes."""

    values: dict[str, str]
    """Those that are known."""
    hidden: dict[str, Message]
    """Those that are set to what is not known: why."""
    trouble: Message | None
    """Why any other may be set, and where; None if none is. Not a sentence."""

    def unknown(self, name: str) -> Message | None:
        """Return why the value of a variable is not known; None if it is known, or not set."""
        if name in self.values:
            return None
        if name in self.hidden:
            return self.hidden[name]
        if self.trouble:
            return self.trouble
        return msg("systemd sets {name}", name=of_setting(name)) if name in _MANAGERS else None


class Command(NamedTuple):
    """One command line of a unit."""

    seen: tuple[str | None, ...]
    """Its words, the path of the program first; None stands for any number that are unknown."""
    unknown: Message | None
    """Why a word is not known (which variable, which file); None if all are. Not a sentence."""
    path: str = ""
    """The file that it is set in; "" where only systemd knows it."""

    @property
    def words(self) -> tuple[str, ...] | None:
        """All words; None if not all are known."""
        known = tuple(word for word in self.seen if word is not None)
        return None if self.unknown or not known else known


def command(
    files: Sequence[UnitFile], unit: str, read: Read, names: Names | None = None
) -> Command:
    """Return the command of a unit's ``ExecStart=``.

    ``files`` are those of a unit of the system in systemd's order; ``read`` is
    ``functools.partial(common.read, ground.files)`` and ``names`` ``ground.inspector.names``. Only
    absolute paths of ``EnvironmentFile=`` are read. Where there is not exactly one command,
    ``unknown`` says so and ``seen`` is empty.
    """
    if reason := unreadable(files):
        return Command((), reason)
    found = commands(files, unit, read, names)
    if len(found) == 1:
        return found[0]
    if not found:
        return Command((), msg("it has no ExecStart"))
    return Command((), msg("it has {count} ExecStart", count=len(found)))


def commands(
    files: Sequence[UnitFile], unit: str, read: Read, names: Names | None = None
) -> list[Command]:
    """Return all commands of ``ExecStart=``, as ``command``."""
    return commands_with(files, unit, variables(files, unit, read, names))


def commands_with(files: Sequence[UnitFile], unit: str, known: Variables) -> list[Command]:
    """Return all commands of ``ExecStart=`` with these variables.

    None where a file of the unit cannot be read: it may set another command.
    """
    if unreadable(files):
        return []
    return [each for path, line in _starts(files) for each in _parsed(line, path, unit, known)]


def unreadable(files: Sequence[UnitFile]) -> Message | None:
    """Return why what a unit sets is not known: a file of it that cannot be read; or None."""
    gone = next((file.path for file in files if file.text is None), "")
    return msg("{path} cannot be read", path=_path(gone)) if gone else None


def _path(path: str) -> Value:
    return of_path(plain(path, 80))


def _starts(files: Sequence[UnitFile]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for file in files:
        for value in unit_text.assigned(file, "ExecStart"):
            if value:
                found.append((file.path, value))
            else:
                found.clear()
    return found


def expand(words: Sequence[str], known: Variables) -> Command:
    """Return the command of these words with its variables filled in (what D-Bus names)."""
    seen: list[str | None] = [words[0]] if words else []
    unknown: Message | None = None
    for word in words[1:]:
        if reason := next(filter(None, map(known.unknown, unit_words.variables_of(word))), None):
            unknown = unknown or reason
            seen.append(None)
        else:
            seen += unit_words.expanded(word, known.values)
    return Command(tuple(seen), unknown)


def _parsed(line: str, path: str, unit: str, known: Variables) -> Iterator[Command]:
    """Yield the commands of one ``ExecStart=``: a lone semicolon is between two."""
    at = 0
    while at < len(line):
        try:
            words, at, expanding = _words(line, at)
        except InvalidValueError as error:
            yield Command((), msg("its ExecStart cannot be parsed: {why}", why=error.message), path)
            return
        if words:
            yield _specified(words, unit, known if expanding else None)._replace(path=path)


def _words(line: str, at: int) -> tuple[list[str], int, bool]:
    """Return the words of the command that begins here, and whether its variables are filled in."""
    program, at = unit_words.first_or_kept(line, at)
    prefixes = _PREFIXES.match(program)
    flags = prefixes[0] if prefixes else ""
    words = [program[len(flags) :]]
    own_name = "@" in flags
    while at < len(line):
        rest = line[at : at + 3]
        if rest[:1] == ";" and rest[1:2].strip(unit_words.BLANK) == "":
            return words, unit_words.skip_blanks(line, at + 1), ":" not in flags
        if rest[:2] == "\\;" and rest[2:].strip(unit_words.BLANK) == "":
            word, at = ";", unit_words.skip_blanks(line, at + 2)
        else:
            word, at = unit_words.first_or_kept(line, at)
        if own_name:
            own_name = False  # argv[0], which no program reads
        else:
            words.append(word)
    return words, at, ":" not in flags


def _specified(words: Sequence[str], unit: str, known: Variables | None) -> Command:
    seen: list[str | None] = []
    unknown: Message | None = None
    for index, word in enumerate(words):
        made = unit_words.specified(word, unit)
        if made is None:
            unknown = unknown or _of_host(of_text(word, 60))
            seen.append(None)
        elif known is None or index == 0:
            seen.append(made)
        else:
            one = expand(("", made), known)
            seen += one.seen[1:]
            unknown = unknown or one.unknown
    return Command(tuple(seen), unknown)


def _of_host(what: Value) -> Message:
    return msg("{what} has a specifier of this host", what=what)


# Variables


def variables(
    files: Sequence[UnitFile], unit: str, read: Read, names: Names | None = None
) -> Variables:
    """Return what all settings of variables come to.

    They are ``DefaultEnvironment=`` of the manager, the unit's directories, ``PassEnvironment=``,
    ``Environment=`` and ``EnvironmentFile=``; in this order a later one wins, and
    ``UnsetEnvironment=`` over all (systemd.exec(5)).
    """
    if reason := unreadable(files):
        return Variables({}, {}, reason)
    values: dict[str, str] = {}
    hidden: dict[str, Message] = {}
    trouble: Message | None = None
    # The manager's files are read for a command that has variables, and for no other.
    if any("$" in value for value in unit_text.values(files, "ExecStart")):
        values, hidden, trouble = manager_environment.defaults(read, names)
    _directories(files, unit, values, hidden)
    for name in _listed(files, unit, "PassEnvironment"):
        values.pop(name or "", None)
        hidden[name or ""] = msg(
            "{name} is the service manager's (PassEnvironment=)", name=of_text(name or "", 60)
        )
    for word in _listed(files, unit, "Environment", raw=True):
        _assign(word or "", unit, values, hidden)
    for path, optional in environment_files(files, unit):
        for each, reason in _matching(path, optional, names):
            reason = reason or _merge(each, optional, read, values, hidden)
            if reason:
                # It may set any: what has been known so far is not known any more.
                values, hidden, trouble = {}, {}, reason
    for word in _listed(files, unit, "UnsetEnvironment"):
        _unset(word or "", values, hidden, trouble)
    return Variables(values, hidden, trouble)


def _unset(
    word: str, values: dict[str, str], hidden: dict[str, Message], trouble: Message | None
) -> None:
    """Do what a word of ``UnsetEnvironment=`` says: a name, or an assignment."""
    name, equals, value = word.partition("=")
    if not equals or values.get(name) == value:
        values.pop(name, None)
        hidden.pop(name, None)
        if trouble and not equals:
            values[name] = ""
    elif name not in values and (reason := hidden.get(name) or trouble):
        hidden[name] = reason


def _directories(
    files: Sequence[UnitFile], unit: str, values: dict[str, str], hidden: dict[str, Message]
) -> None:
    """Add the variables that name a unit's own directories."""
    for name, (key, root) in _DIRECTORIES.items():
        words = _listed(files, unit, key)
        if words:
            values.pop(name, None)
            hidden.pop(name, None)
        if any(word is None for word in words):
            hidden[name] = _of_host(of_setting(f"{key}="))
        elif words:
            # From systemd 253 on DIRECTORY:LINK.
            values[name] = ":".join(f"{root}/{(word or '').partition(':')[0]}" for word in words)


def _listed(
    files: Sequence[UnitFile], unit: str, key: str, *, raw: bool = False
) -> list[str | None]:
    """Return the words of a setting that adds up; None for one with a specifier of the host."""
    words = (w for value in unit_text.values(files, key) for w in unit_words.until_broken(value))
    return [word if raw else unit_words.specified(word, unit) for word in words]


def _assign(word: str, unit: str, values: dict[str, str], hidden: dict[str, Message]) -> None:
    made = unit_words.specified(word, unit)
    name, equals, value = (word if made is None else made).partition("=")
    if not equals or not unit_words.is_assignment(name, value):
        return
    values.pop(name, None)
    hidden.pop(name, None)
    if made is None:
        hidden[name] = _of_host(of_text(name, 60))
    else:
        values[name] = value


def environment_files(files: Sequence[UnitFile], unit: str) -> Iterator[tuple[str, bool]]:
    """Yield the paths of ``EnvironmentFile=``, and whether each may be missing.

    A path with a specifier of the host is yielded as it stands there.
    """
    for value in unit_text.values(files, "EnvironmentFile"):
        optional = value.startswith("-")
        path = value.removeprefix("-")
        made = unit_words.specified(path, unit)
        if made is None or made.startswith("/"):
            yield path if made is None else made, optional


def _matching(
    path: str, optional: bool, names: Names | None
) -> Iterator[tuple[str, Message | None]]:
    """Yield the files that a pattern names, or why that is not known."""
    setting = of_setting("EnvironmentFile", plain(path, 80))
    if "%" in path:
        yield path, _of_host(setting)
    elif not _GLOB.search(path):
        yield path, None
    else:
        folder, _, pattern = path.rpartition("/")
        if names is None or _GLOB.search(folder) or "\\" in pattern:
            yield path, msg("{setting} is a pattern", setting=setting)
            return
        found = [n for n in names(folder) if n[:1] != "." and fnmatchcase(n, pattern)]
        if not (found or optional):
            yield path, msg("{setting} names no files", setting=setting)
        elif len(found) > _FILES:
            yield path, msg("{setting} names {count} files", setting=setting, count=len(found))
        else:
            yield from ((f"{folder}/{name}", None) for name in sorted(found))


def _merge(
    path: str, optional: bool, read: Read, values: dict[str, str], hidden: dict[str, Message]
) -> Message | None:
    """Add what a file assigns; return why that cannot be seen, or None."""
    text, trouble = read(path)
    shown = _path(path)
    if text is None:
        if trouble or optional:
            return trouble
        return msg("{path} is not there (EnvironmentFile=)", path=shown)
    if len(text) > unit_words.LONGEST:
        return msg(
            "{path} is longer than {most} characters (EnvironmentFile=)",
            path=shown,
            most=unit_words.LONGEST,
        )
    try:
        found = [*unit_words.environment_file(text)]
    except InvalidValueError as error:
        return msg(
            "{path} (EnvironmentFile=) cannot be parsed: {why}", path=shown, why=error.message
        )
    for name, value, sure in found:
        values.pop(name, None)
        hidden.pop(name, None)
        if sure:
            values[name] = value
        else:
            hidden[name] = msg(
                "{name} follows a comment that ends in a backslash, in {path}",
                name=of_text(name, 60),
                path=shown,
            )
    return None
