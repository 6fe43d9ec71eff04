"""Which programs a command line runs, past shells and wrappers; pure, bounded, never raises.

What cannot be determined from the words alone (a variable, a script of its own) is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Sequence

Command: TypeAlias = tuple[str, ...]
"""The words of one simple command; the first is the program as it was written."""

SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "rbash"})
WRAPPERS = frozenset(
    {
        *("env", "nice", "ionice", "chrt", "taskset", "nohup", "setsid", "setpriv", "timeout"),
        *(
            "flock",
            "stdbuf",
            "unbuffer",
            "tini",
            "dumb-init",
            "gosu",
            "su-exec",
            "chpst",
            "numactl",
        ),
        *("su", "runuser", "sudo", "doas", "start-stop-daemon", "daemon", "daemonize", "xargs"),
        *("exec", "command", "time", "catatonit", "prlimit", "unshare", "nsenter", "chroot"),
        *("sg", "newgrp", "systemd-cat", "systemd-inhibit", "dbus-run-session", "cpulimit"),
        *("authbind", "softlimit", "setuidgid", "envdir", "logger", "watch", "script", "eatmydata"),
    }
)
"""They run another program, which is named somewhere behind their own options."""

RUNNERS = frozenset(
    {
        *("npx", "pnpx", "bunx", "yarn", "pnpm", "xvfb-run", "proxychains", "proxychains4"),
        *("torsocks", "uv", "poetry", "pipenv"),
    }
)
"""They may run another program, or do something of their own."""

INTERPRETERS = frozenset({"node", "nodejs", "bun", "python", "python2", "python3", "ruby", "perl"})
"""They run the script that is their first word which is no option."""

_NAMES_FOLLOW = frozenset(
    {"-u", "-U", "-g", "-G", "--user", "--group", "--chuid", "--setuid", "--reuid", "--regid"}
)
"""Behind these stands a name of a user or group, which may be that of a program as well."""

_KEYWORDS = frozenset(
    {"exec", "command", "then", "do", "else", "elif", "if", "while", "until", "!"}
)
_PREFIXES = "@-:+!|"
"""What may stand before the program of an ExecStart= (systemd.service(5))."""

_MOST_COMMANDS, _MOST_WORDS, _MOST_TEXT = 64, 64, 4096
_BLANKS = " \t\r\n"
_WORD = re.compile(
    r"""[;&|()]+|(?:[^ \t\r\n;&|()'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL
)
"""What shlex.shlex(punctuation_chars=";&|()") splits, at a tenth of its cost: this is on the way to
the first screen."""
_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)""", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_LOOK_AHEAD = 12
"""Words behind a wrapper in which its program is looked for."""


def program_of(word: str) -> str:
    """Return the name of a program, without its folder."""
    return word.lstrip(_PREFIXES).rpartition("/")[2]


_NO_SCRIPT = frozenset({"-m", "-c", "-e", "-p", "--eval", "--print", "-pe"})
"""Behind these of an interpreter's options stands a module or a program's text: what follows is
neither a script nor a program (``python3 -m at``, ``node -e CODE at``)."""


def commands(
    words: Sequence[str], known: Container[str], scripts: Container[str] | None = None
) -> Iterator[Command]:
    """Yield the simple commands that a command line runs, each wrapper before what it wraps.

    ``known`` are the names of programs that are looked for behind a wrapper; ``scripts`` those
    that are looked for behind an interpreter, all of ``known`` if it is None.
    """
    waiting: list[Command] = [*_split_at(words, {";"})]
    for _ in range(_MOST_COMMANDS):
        if not waiting:
            return
        command = _bare(waiting.pop(0))
        if not command:
            continue
        yield command
        if program_of(command[0]) in INTERPRETERS:
            waiting[:0] = _interpreted(command, known if scripts is None else scripts)
        else:
            waiting[:0] = _inside(command, known)


def _interpreted(command: Command, scripts: Container[str]) -> list[Command]:
    """Return the command of the script that an interpreter runs, if it is one of these."""
    for at, word in enumerate(command[1:], 1):
        if word in _NO_SCRIPT:
            return []
        if word[:1] != "-":
            return [command[at:]] if program_of(word) in scripts else []
    return []


def _inside(command: Command, known: Container[str]) -> list[Command]:
    """Return the commands that a shell or a wrapper runs."""
    program = program_of(command[0])
    if program in SHELLS:
        return _script(command)
    if program not in WRAPPERS | RUNNERS:
        return []
    if program in {"su", "runuser", "sg", "script"} and (
        text := _option(command, "-c", "--command")
    ):
        return _parts(text)
    for at, word in enumerate(command[1 : 1 + _LOOK_AHEAD], 1):
        named = command[at - 1] in _NAMES_FOLLOW
        if word[:1] != "-" and not named and _is_program(program_of(word), known):
            return [command[at:]]
    return []


def _is_program(name: str, known: Container[str]) -> bool:
    return name in SHELLS or name in WRAPPERS or name in INTERPRETERS or name in known


def _script(command: Command) -> list[Command]:
    """Return the commands of ``sh -c TEXT``; none of a script that is a file."""
    for at, word in enumerate(command[1:_LOOK_AHEAD], 1):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return _parts(" ".join(command[at + 1 :]))
        if not word.startswith(("-", "+")):
            # busybox sh -c …
            return [command[at:]] if program_of(word) in SHELLS else []
    return []


def _option(command: Command, short: str, long: str) -> str:
    """Return what stands behind an option; "" without it."""
    for at, word in enumerate(command):
        if word in {short, long}:
            return " ".join(command[at + 1 :])
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
    return ""


def _parts(text: str) -> list[Command]:
    """Return the simple commands of a shell's text."""
    text = text[:_MOST_TEXT].replace("\n", ";")
    if _WORD.sub("", text).strip(_BLANKS):  # a quote that does not end
        words = text.split()
    else:
        words = [_unquoted(word) for word in _WORD.findall(text)]
    return list(_split_at(words, {";", "&", "&&", "|", "||", "(", ")", ";;", "{", "}"}))


def _unquoted(word: str) -> str:
    """Return a word as the shell understands it."""
    if "'" not in word and '"' not in word and "\\" not in word:
        return word
    return _QUOTED.sub(_inner, word)


def _inner(quoted: re.Match[str]) -> str:
    single, double, escaped = quoted.groups()
    if double is not None:
        return _ESCAPED.sub(r"\1", double)
    return single if single is not None else escaped


def _split_at(words: Iterable[str], signs: Collection[str]) -> Iterator[Command]:
    part: list[str] = []
    for word in words:
        if word in signs:
            yield tuple(part)
            part = []
        elif len(part) < _MOST_WORDS:
            part.append(word)
    yield tuple(part)


def _bare(command: Command) -> Command:
    """Return a command without assignments and the shell's own words before it."""
    for at, word in enumerate(command):
        name, equals, _ = word.partition("=")
        if word in _KEYWORDS or (equals and name.isidentifier()):
            continue
        return command[at:]
    return ()


def words_of(text: str) -> list[str]:
    """Return the words of an ExecStart= as it is written in a unit file."""
    import shlex

    try:
        return shlex.split(text[:_MOST_TEXT])
    except ValueError:
        return text[:_MOST_TEXT].split()
