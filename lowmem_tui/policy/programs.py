"""Which program a command line runs, of those that the table of tiers knows; pure, bounded.

Past wrappers and shells (policy.commands) and interpreters, whose script is what counts; a name's
version, platform and suffix (``redis6-server``, ``frpc_linux_amd64``, ``agent.py``) are no matter.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg
from lowmem_tui.model.unit import Tier
from lowmem_tui.policy.commands import SHELLS, WRAPPERS, commands, program_of
from lowmem_tui.policy.names import LONGEST, SERVICE, Kind, Names, Pattern, Rule, bare, is_agent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Sort(IntEnum):
    """What a program does; of several on a command line the least counts."""

    DAEMON = 0
    """It serves for good."""
    JOB = 1
    """It does one thing, and ends."""
    AGENT = 2
    """By its name it is an agent, whatever it does."""
    RUNNER = 3
    """It runs what somebody else wrote: an interpreter, a container's client."""


class Program(NamedTuple):
    """A program that the table knows."""

    name: str
    rule: Rule
    sort: Sort


AGENT = Rule(
    Tier.BUSINESS,
    msg("By its name it is an agent, which reports to a console or is controlled by one."),
)
_ENDS = Rule(Tier.SHORT_LIVED, msg("It does one thing, and ends."))
_SERVES = Rule(Tier.BUSINESS, None, Kind.APPLICATION)
_TUNNEL = Rule(Tier.GATEKEEPER, msg("It is a tunnel through which the server may be reached."))

_MOST_WORDS = 64
_MOST_KEPT = 1024
_NO_PROGRAMS = frozenset(
    {"unit", "thin", "emergency", "rescue", "networking", "at", "ssh", "watchdog"}
)
"""Units of the table by whose names programs of quite another sort are known."""

_GENERIC = frozenset(
    {
        *("server", "main", "index", "app", "run", "start", "core", "service", "daemon", "cli"),
        *("dashboard", "panel", "web", "bin", "dist", "src", "backend", "manage", "__main__"),
    }
)
"""Names that tell nothing: the folder above does."""

_NO_SUBCOMMANDS = frozenset(
    {
        *("tar", "curl", "wget", "rsync", "mysqldump", "mariadb-dump", "mysqlpump"),
        *("pg_dump", "mongodump", "s3cmd", "aws", "ossutil", "coscmd"),
    }
)
"""Their first words are names of files and databases: one may well be called web."""

_BUNDLERS = frozenset(
    {
        *("bundle", "bundler", "poetry", "pipenv", "uv", "uvx", "conda", "npx", "npm", "yarn"),
        *("pnpm", "dotnet", "snap", "proxychains", "proxychains4", "torsocks", "xvfb-run"),
        *("firejail", "valgrind", "strace", "doppler", "infisical", "direnv", "mise"),
    }
)
"""They run a program whose name stands behind a word or two of theirs."""

_VALUES = frozenset({"-r", "--require", "--import", "-X", "-W", "-I", "-cp", "-p", "-classpath"})
"""Options of interpreters whose value is the next word."""

_SOURCE = re.compile(r"\.(?:sh|bash|pyc?|pyz|[mc]?js|ts|rb|pl|php)\Z")

_REVERSE = re.compile(r"-[46AaCfGgKkMNnqsTtVvXxYy]*R|(?:-o)?RemoteForward")
"""The options by which ssh lets others in from the far end."""


class Programs:
    """The programs of the table."""

    def __init__(
        self,
        names: dict[str, tuple[Rule, Sort]],
        patterns: Sequence[tuple[Pattern, Rule, Sort]],
        units: Names,
        verbs: dict[str, Tier],
    ) -> None:
        """``verbs``: arguments that tell a job (tier 2) from what serves (tier 1)."""
        self._names = names
        self._patterns = tuple(patterns)
        self._units = units
        self._verbs = verbs
        self._kept: dict[str, Program | None] = {}
        self._lines: dict[tuple[str, ...], Program | None] = {}

    def __contains__(self, program: object) -> bool:
        """Tell whether a program is known."""
        return isinstance(program, str) and self.named(program) is not None

    def find(self, words: Sequence[str]) -> Program | None:
        """Return what a command line runs; None for nothing known."""
        if not words:
            return None
        line = tuple(words[:_MOST_WORDS])
        if line not in self._lines:
            if len(self._lines) >= _MOST_KEPT:
                self._lines.clear()
            self._lines[line] = self._find(line)
        return self._lines[line]

    def _find(self, words: Sequence[str]) -> Program | None:
        first = program_of(words[0])
        if first in SHELLS or first in WRAPPERS or "=" in first:
            found = [p for c in commands(words, self) if (p := self._command(c)) is not None]
        else:
            found = [p] if (p := self._command(words)) is not None else []
        if found and found[-1].sort is not Sort.JOB:
            # What runs before the last command of a shell only prepares it.
            found = [p for p in found if p.sort is not Sort.JOB]
        return min(found, key=lambda p: p.sort, default=None)

    def named(self, program: str) -> Program | None:
        """Return a program by its name without a folder."""
        if program not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[program] = self._named(program)
        return self._kept[program]

    def _named(self, program: str) -> Program | None:
        if len(program) > LONGEST:
            return None
        if found := self._exactly(program):
            return found
        plainer = tuple(bare(program))
        for name in plainer:
            found = self._exactly(name)
            # A script that is called nginx.py is somebody's own; one called backup.sh is a backup.
            if found and (found.sort is Sort.JOB or not _SOURCE.search(program)):
                return found._replace(name=program)
        agent = any(is_agent(name) for name in (program, *plainer))
        return Program(program, AGENT, Sort.AGENT) if agent else None

    def _exactly(self, name: str) -> Program | None:
        if entry := self._names.get(name):
            return Program(name, *entry)
        unit = self._units.units.get(f"{name}{SERVICE}") if name not in _NO_PROGRAMS else None
        if unit is None:
            for each, rule, sort in self._patterns:
                if each.fits(name):
                    return Program(name, rule, sort)
            found = self._units.one(f"{name}{SERVICE}") if name not in _NO_PROGRAMS else None
            # kafka-ui is no Kafka.
            far = found is not None and not found.itself and found.rule.kind is Kind.STORE
            unit = None if found is None or far else found.rule
        if unit is None:
            return None
        ends = unit.tier is Tier.SHORT_LIVED
        return Program(name, unit, Sort.JOB if ends else Sort.DAEMON)

    def _command(self, command: Sequence[str]) -> Program | None:
        """Return the program of a simple command."""
        name, arguments = program_of(command[0]).rstrip(":"), command[1:]
        if name in SHELLS or name in WRAPPERS:
            return None
        if name == "ssh":
            return self._ssh(arguments)
        found = self.named(name) or self._by_folder(command[0])
        if name in _BUNDLERS or (found is not None and found.sort is Sort.RUNNER):
            return self._script(name, arguments) or found
        return self._by_verb(found, arguments) if found is not None else None

    def _ssh(self, arguments: Sequence[str]) -> Program | None:
        reverse = any(_REVERSE.match(word) for word in arguments)
        return Program("ssh -R", _TUNNEL, Sort.DAEMON) if reverse else self.named("ssh")

    def _by_verb(self, found: Program, arguments: Sequence[str]) -> Program:
        """Return a program by its first word that is no option: a job, or what serves."""
        if found.sort is Sort.JOB:
            verb = self._serving(found.name, arguments)
            return Program(f"{found.name} {verb}", _SERVES, Sort.DAEMON) if verb else found
        verb = next((word for word in arguments if word[:1] != "-"), "")
        if self._verbs.get(verb) is Tier.SHORT_LIVED:
            return Program(f"{found.name} {verb}", _ENDS, Sort.JOB)
        return found

    def _serving(self, name: str, arguments: Sequence[str]) -> str:
        """Return what makes a job serve for good: ``--daemon``, or ``mount`` as its subcommand."""
        listed = next((n for n in (name, *bare(name)) if n in self._names), "")
        before = ""
        for word in arguments if listed else ():
            if self._verbs.get(word) is Tier.BUSINESS and (
                word[:1] == "-" or listed not in _NO_SUBCOMMANDS
            ):
                return word
            if word[:1] != "-" and before[:1] != "-":
                return ""  # it is the subcommand: what follows is its own
            before = word if "=" not in word else ""
        return ""

    def _script(self, name: str, arguments: Sequence[str]) -> Program | None:
        """Return what an interpreter runs, if that is known."""
        if name == "java" or name.startswith("java"):
            return self._java(arguments)
        most = 3 if name in _BUNDLERS else 1
        for at, word in list(_words(arguments))[:most]:
            parts = [word]
            if name == "snap" or (at and arguments[at - 1] == "-m"):
                parts = word.split(".")[:3]
            for part in parts:
                found = self.named(program_of(part)) or self._by_folder(part)
                if found is not None and found.sort is not Sort.RUNNER:
                    return self._by_verb(found, arguments[at + 1 :])
        return None

    def _java(self, arguments: Sequence[str]) -> Program | None:
        """Return what a virtual machine runs: an archive, or a class by a part of its name."""
        for at, word in _words(arguments):
            if at and arguments[at - 1] == "-jar":
                found = self.named(program_of(word)) or self._by_folder(word)
                return None if found is None or found.sort is Sort.RUNNER else found
            for part in word.split("."):
                known = self._units.one(f"{part.lower()}{SERVICE}")
                if known and known.itself and known.rule.tier is Tier.BUSINESS:
                    return Program(part, known.rule, Sort.DAEMON)
            return None
        return None

    def _by_folder(self, path: str) -> Program | None:
        """Return what ``/opt/NAME/server/index.js`` is by the folder that has a name."""
        *folders, last = path.rsplit("/", 3)
        if not folders or len(last) > LONGEST or _stem(last) not in _GENERIC:
            return None
        folders = folders if len(folders) < 3 else [folders[0].rpartition("/")[2], *folders[1:]]
        name = next((f for f in reversed(folders) if f not in _GENERIC), "")
        rule = self._units.units.get(f"{name}{SERVICE}")
        if name in _NO_PROGRAMS or rule is None or rule.tier is not Tier.BUSINESS:
            return None
        # A folder named after a store is more often what somebody wrote for it.
        return None if rule.kind is Kind.STORE else Program(name, rule, Sort.DAEMON)


def _stem(name: str) -> str:
    return next(bare(name), name) if "." in name else name


def _words(arguments: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the arguments that are no options, nor options' values, each with its index."""
    before = ""
    for at, word in enumerate(arguments):
        if word in {"-c", "-e"}:
            return  # the program itself stands there
        if word[:1] != "-" and before not in _VALUES and "=" not in word:
            yield at, word
        before = word
