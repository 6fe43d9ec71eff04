"""Redis' configuration as Redis itself reads it: words, lines, includes, command line.

Source: ``sdssplitargs`` of sds.c, ``loadServerConfig`` of config.c, ``main`` of server.c (7.0;
Valkey has the same). tests/setup/test_real_redis.py compares it with a real server.

redis.conf is often the redis user's own file. So all that one command line leads to has a budget
of files and bytes, and what is beyond it is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path, of_setting
from lowmem_tui.model.text import plain as safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowmem_tui.model.message import Message, Value

    Read = Callable[[str], "str | None"]
    """Returns a file's text, None if there is none. OSError; the message is made here."""
    Names = Callable[[str], Sequence[str]]
    """Returns the names in a folder."""

MOST_FILES: Final = 64
"""Files that are read for one server at most."""

MOST_BYTES: Final = 512 << 10
"""Characters of all of them together at most: redis.conf as it ships has a hundred thousand."""

MOST_LINES: Final = 10_000
"""Lines of all of them together at most, comments left out."""

LONGEST_PATH: Final = 4096
"""PATH_MAX of Linux."""

MOST_NAMES: Final = 4096
"""Names that the patterns of one server are compared with at most."""

_BLANK: Final = " \t\n\v\f\r"
_WORD: Final = re.compile(
    r"([^ \n\r\t\0\"']*)"
    r"(?:\"((?:[^\"\\]|\\.)*)\"(?=[ \t\n\v\f\r]|\Z)"
    r"|'((?:[^'\\]|\\'|\\(?!'))*)'(?=[ \t\n\v\f\r]|\Z)"
    r"|(?=[ \n\r\t]|\Z))",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_MEANS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}

_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1 << 10,
    "m": 1000**2,
    "mb": 1 << 20,
    "g": 1000**3,
    "gb": 1 << 30,
}
_SIZE: Final = re.compile(r"([0-9]{1,20})([A-Za-z]{0,2})\Z")
_LARGEST: Final = (1 << 64) - 1

SEVERAL: Final = frozenset({"save", "bind", "client-output-buffer-limit", "oom-score-adj-values"})
"""Directives with several words, which may be in one pair of quotes, too."""

SINGLE: Final = frozenset(
    {
        "maxmemory", "maxmemory-policy", "appendonly", "port", "tls-port", "unixsocket",
        "requirepass", "aclfile", "dir", "dbfilename", "logfile", "pidfile",
    }
)  # fmt: skip
"""Directives that matter here and have one word: with another number Redis does not start."""


def split(line: str) -> list[str] | None:
    """Return the words of a line; None where its quotes are not closed (``sdssplitargs``)."""
    words: list[str] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at] in _BLANK:
            at += 1
        if at >= end:
            return words
        found = _WORD.match(line, at)
        if found is None or found.end() == at:
            return None
        plain, double, single = found.groups()
        if double is not None:
            plain += _unescaped(double)
        elif single is not None:
            plain += single.replace("\\'", "'")
        words.append(plain)
        at = found.end()


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")

    def byte(found: re.Match[bytes]) -> bytes:
        return bytes.fromhex(found[1].decode()) if found[1] else _MEANS.get(found[2], found[2])

    return _ESCAPE.sub(byte, raw).decode("utf-8", "surrogateescape")


def quoted(text: str) -> str:
    """Return a text as one word of a line."""
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(char, escape)
    return f'"{text}"'


def bytes_of(text: str) -> int | None:
    """Return the bytes of a size as Redis reads it (``64mb``); None for what is none."""
    found = _SIZE.match(text)
    unit = _UNITS.get(found[2].lower()) if found else None
    number = natural(found[1]) if found else None
    if number is None or unit is None or number * unit > _LARGEST:
        return None
    return number * unit


_WRONG: Final[dict[str, Callable[[str], bool]]] = {
    "maxmemory": lambda text: text != "" and bytes_of(text) is None,  # "" is 0
    "appendonly": lambda text: text.lower() not in {"yes", "no"},
}


@dataclass(slots=True)
class RedisConfig:
    """Directives by their names in small letters; of repeated ones the last counts."""

    file: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)
    saves: list[str] = field(default_factory=list)
    """``save`` adds up."""
    renamed: dict[str, str] = field(default_factory=dict)
    """The new names of commands, by the old in small letters; "" for one that was taken away."""
    passwords: list[str] = field(default_factory=list)
    """Of the ACL user ``default``, as lines of the configuration have them."""
    trouble: Message | None = None
    """Why not all of it is known, a sentence."""
    sure: set[str] = field(default_factory=set)
    """What was set after the last unknown part: no such part can change it."""
    speaking: bool = False
    """Whether the command line is what is read now."""
    spoken: set[str] = field(default_factory=set)
    """What the command line sets."""

    def get(self, name: str, default: str = "") -> str:
        """Return the first word of a directive's value; of ``save`` all of them."""
        found = self.values.get(name)
        if name == "save" and found is not None:
            return " ".join(found)
        return found[0] if found else default

    def knows(self, name: str) -> bool:
        """Return whether its value at the start is known, be it Redis' own default."""
        return not self.trouble or name in self.sure

    def lose(self, why: Message) -> None:
        """Note that a part is unknown: it may change all that was read before."""
        self.trouble = why
        self.sure.clear()

    @property
    def password(self) -> str:
        """What a client must send first; "" for nothing, or where that cannot be known."""
        return self.passwords[-1] if self.passwords else self.get("requirepass")

    def take(self, name: str, args: Sequence[str]) -> None:
        """Take one directive."""
        name = lower(name)
        if self.speaking:
            self.spoken.add(name)
        if name in SEVERAL and len(args) == 1:
            args = split(args[0]) or args
        if name in SINGLE and len(args) != 1:
            self.lose(
                msg(
                    "Its {name} has {count} values, which Redis refuses.",
                    name=of_setting(name),
                    count=len(args),
                )
            )
            return
        if name == "save":
            self._save(list(args))
            return
        if name == "user" and args[:1] == ["default"]:
            self.passwords += [word[1:] for word in args if word.startswith(">")]
        elif name == "rename-command" and len(args) == 2:
            self.renamed[lower(args[0])] = args[1]
        elif (wrong := _WRONG.get(name)) and wrong(args[0]):
            self.lose(_refused(name))
            return
        else:
            self.values[name] = list(args)
        self.sure.add(name)

    def _save(self, args: list[str]) -> None:
        """Take ``save``: it adds to the earlier ones, known or not; ``""`` clears them."""
        if args == [""]:
            self.saves.clear()
            self.sure.add("save")
        elif len(args) % 2 or any(natural(word) is None for word in args):
            self.lose(_refused("save"))
            return
        else:
            self.saves += args
        self.values["save"] = self.saves


def _refused(name: str) -> Message:
    return msg("Its {name} has a value that Redis refuses.", name=of_setting(name))


def lower(text: str) -> str:
    """Return ASCII in small letters, as ``tolower`` of the C locale."""
    return text.lower() if text.isascii() else text


def config_of(
    words: Sequence[str | None],
    read: Read,
    names: Names | None = None,
    folder: str = "/",
    unknown: Message | str = "",
) -> RedisConfig:
    """Return the configuration of a command line (``redis-server FILE --name value…``).

    A word that is None stands for any number of unknown words, ``unknown`` is the reason.
    Paths are relative to ``folder``, the service's working directory. Without ``names`` a pattern
    of files is not followed.
    """
    reader = _Reader(read, names, folder)
    config, rest = reader.config, list(words[1:])
    first = rest[0] if rest else None
    if first is not None and not first.startswith("-"):
        config.file = reader.path(first)
        reader.file(config.file)
        del rest[0]
    if "-" in (() if config.file else rest[:1]) or "-" in rest[-1:]:
        config.lose(msg("It reads its configuration from standard input."))
    config.speaking = True
    options: list[str] = []
    for word in rest:
        if word is None:
            reader.lines(_options(options))
            options = []
            config.lose(
                msg("A part of its command line is unknown: {why}.", why=unknown)
                if unknown
                else msg("A part of its command line is unknown.")
            )
        elif word != "-":
            options.append(word)
    reader.lines(_options(options))
    return config


def _options(words: Sequence[str]) -> str:
    """Return options as lines (``main`` of server.c)."""
    text, complete = "", True
    for index, word in enumerate(words):
        if not (complete and word.startswith("--")):
            text += f"{quoted(word)} "
            complete = True
            continue
        text += f"\n{word[2:]} "
        complete = len(split(word) or ()) != 1
        bare = lower(word) in {"--save", "--sentinel"}
        if not complete and bare and (index + 1 == len(words) or words[index + 1][:2] == "--"):
            text += '""' if lower(word) == "--save" else ""
            complete = True
    return text


_TOO_MUCH: Final = msg("Its configuration has more lines or includes than lowmem-tui reads.")


def _shown(path: str) -> Value:
    return of_path(safe(path, 80))


class _Reader:
    """Reads the files of one server, within the budget."""

    def __init__(self, read: Read, names: Names | None, folder: str) -> None:
        self.config = RedisConfig()
        self._read, self._names = read, names
        self._folder = folder
        self._files = MOST_FILES
        self._bytes = MOST_BYTES
        self._lines = MOST_LINES
        self._compared = MOST_NAMES
        self._open: list[str] = []

    def path(self, name: str) -> str:
        """Return the path that a name means."""
        return name if name.startswith("/") else f"{self._folder.rstrip('/')}/{name}"

    def file(self, path: str) -> None:
        """Take a file's lines."""
        text = self._text(path)
        if text is not None:
            self._open.append(path)
            self.lines(text)
            self._open.pop()

    def _text(self, path: str, *, needed: bool = True) -> str | None:
        if len(path) > LONGEST_PATH:
            self.config.lose(msg("Its configuration includes a path that is too long."))
            return None
        if path in self._open:
            self.config.lose(msg("{path} includes itself.", path=_shown(path)))
            return None
        if not self._files or not self._bytes:
            self.config.lose(_TOO_MUCH)
            return None
        self._files -= 1
        try:
            text = self._read(path)
        except IsADirectoryError:
            return ""  # fopen(3) takes one, and reads nothing
        except OSError as error:
            why = error.strerror or str(error)
            self.config.lose(msg("{path} cannot be read ({error}).", path=_shown(path), error=why))
            return None
        if text is None:
            if needed:
                self.config.lose(msg("{path} does not exist.", path=_shown(path)))
        elif len(text) > self._bytes:
            self._bytes = 0
            self.config.lose(_TOO_MUCH)
            return None
        elif "\0" in text:
            self.config.lose(msg("{path} is not a text file.", path=_shown(path)))
            return None
        else:
            self._bytes -= len(text)
        return text

    def lines(self, text: str) -> None:
        """Take lines of a configuration."""
        for each in text.split("\n"):
            line = each.strip(" \t\r\n")
            if not line or line.startswith("#"):
                continue
            self._lines -= 1
            if self._lines < 0:
                self.config.lose(_TOO_MUCH)
                return
            found = split(line)
            if found is None:
                self.config.lose(msg("A line has quotes that are not closed, which Redis refuses."))
            elif found:
                self._directive(lower(found[0]), found[1:])

    def _directive(self, name: str, args: list[str]) -> None:
        if name == "include" and len(args) == 1:
            self._include(args[0])
            return
        self.config.take(name, args)
        if name == "dir" and len(args) == 1:
            self._folder = self.path(args[0])[: LONGEST_PATH + 1]

    def _include(self, name: str) -> None:
        if not any(char in name for char in "*?["):
            self.file(self.path(name))
            return
        paths = self._matching(self.path(name))
        if paths is None:
            self.config.lose(msg("The include {pattern} is not followed.", pattern=_shown(name)))
            return
        # Redis reads them one after the other, as if they were one; those that match are there.
        texts = [self._text(path, needed=False) for path in paths]
        self._open += paths
        self.lines("".join(text for text in texts if text is not None))
        del self._open[len(self._open) - len(paths) :]

    def _matching(self, pattern: str) -> list[str] | None:
        """Return the paths that match (glob(7)), sorted; None where that cannot be determined."""
        if self._names is None or "\\" in pattern or "[^" in pattern or "[[" in pattern:
            return None
        found = [""]
        for part in pattern.split("/")[1:]:
            if not any(char in part for char in "*?["):
                found = [f"{path}/{part}" for path in found]
                continue
            found = list(self._matches(found, part))
            if self._compared <= 0:
                return None
        return sorted(found)

    def _matches(self, folders: Sequence[str], part: str) -> Iterator[str]:
        from fnmatch import fnmatchcase

        for folder in folders:
            names = self._list(folder or "/")
            self._compared -= len(names) + 1
            if self._compared <= 0:
                return
            for name in names:
                if fnmatchcase(name, part) and (name[0] != "." or part[0] == "."):
                    yield f"{folder}/{name}"

    def _list(self, folder: str) -> Sequence[str]:
        """Return the names in a folder; of one that may not be read nothing is known any more."""
        names = self._names(folder) if self._names else ()
        if not names:
            try:
                self._read(folder)
            except (IsADirectoryError, NotADirectoryError):
                pass
            except OSError:
                self._compared = 0
        return names
