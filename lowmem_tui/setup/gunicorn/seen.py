"""The services that run gunicorn, as they were found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path, of_setting
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common, unit_command, unit_text
from lowmem_tui.setup.gunicorn import args as gunicorn_args
from lowmem_tui.setup.gunicorn import config as gunicorn_config
from lowmem_tui.setup.gunicorn import cost as gunicorn_cost
from lowmem_tui.setup.gunicorn.args import DEFAULTS, VARIABLE
from lowmem_tui.setup.gunicorn.start import CONTAINERS, Start, start_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Unit, UnitSituation
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.gunicorn.cost import Cost
    from lowmem_tui.setup.unit_command import Read, Variables

NAME = "zz-lowmem-tui-gunicorn.conf"
CONCURRENCY = "WEB_CONCURRENCY"

_USERS = ("user@", "cron.", "crond.", "atd.", "anacron.", "ssh.", "sshd.", "ssh@", "sshd@")
"""Services that run what any user of the machine likes."""


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """One service."""

    name: str
    situation: UnitSituation
    line: dict[str, str] | None
    """The options that its command line sets for sure; None where none of it is known."""
    unsure: Message | str
    """Why other options may be set there, without a full stop; or ""."""
    theirs: str
    """GUNICORN_CMD_ARGS as the ``Environment=`` of other files sets it."""
    arguments: dict[str, str] | None
    """The options in that variable as gunicorn gets it; None if it is unknown."""
    concurrency: str | None
    """WEB_CONCURRENCY: gunicorn's default number of workers; None if it is unknown."""
    config_file: gunicorn_config.Config
    path: str
    """Of our drop-in."""
    text: str | None
    ours: dict[str, str]
    stale: bool
    """Whether our drop-in repeats other arguments than the other files have now."""
    hidden: Message | None
    """Why our drop-in would be ignored, a sentence."""
    cost: Cost | None
    running: int | None
    """The workers of its one master, where that was started by this very command line."""
    gevent: bool | None
    """Whether its Python can import gevent; None if that is unknown."""

    @property
    def file(self) -> str:
        """Its configuration file; "" for none."""
        return self.config_file.file

    @property
    def contradicted(self) -> bool:
        """Whether more workers run than was read, or fewer by more than one that is replaced."""
        read = natural(self.read_workers)
        if self.running is None or read is None or self._origin("workers") in {"line", "ours"}:
            return False
        return self.running > read or self.running < read - 1

    @property
    def read_workers(self) -> str:
        """The number of workers by what was read, whatever runs; "" if it is unknown."""
        return self._read("workers")

    def origin(self, option: str) -> str:
        """Return who sets an option.

        ``line``, ``ours``, ``theirs``, ``file``, ``default``, or ``unknown``.
        """
        where = self._origin(option)
        return "unknown" if where not in {"line", "ours"} and self.contradicted else where

    def _origin(self, option: str) -> str:
        if option in (self.line or {}):
            return "line"
        if self.line is None:
            return "unknown"
        if option in self.ours and not self.stale and not self.hidden:
            return "ours"
        if self.unsure or self.arguments is None:
            return "unknown"
        if option in self.arguments:
            return "theirs"
        if option in self.config_file.values or option in self.config_file.computed:
            return "file"
        unknown = option == "workers" and self.concurrency is None
        return "unknown" if unknown else "default"

    def value(self, option: str) -> str:
        """Return the value that counts; "" if it is not known."""
        return "" if self.origin(option) == "unknown" else self._read(option)

    def _read(self, option: str) -> str:
        where = self._origin(option)
        if where == "line":
            return (self.line or {})[option]
        if where == "ours":
            return self.ours[option]
        if where == "theirs":
            return (self.arguments or {})[option]
        if where == "file":
            return self.config_file.values.get(option, "")
        if where == "unknown":
            return ""
        return (self.concurrency if option == "workers" else "") or DEFAULTS[option]

    @property
    def workers(self) -> int | None:
        """The number of workers: as it is set, or else as they run; None if neither is known."""
        found = natural(self.value("workers"))
        if found is None and self.cost is not None:
            return len(self.cost.workers)
        return found

    @property
    def worker_class(self) -> str:
        """The class that counts, "" if it is not known: with threads gunicorn takes gthread."""
        value = self.value("worker-class")
        if value == "sync" or value.endswith("SyncWorker"):
            threads = self.value("threads")
            return ("sync" if threads in {"0", "1"} else "gthread") if threads else ""
        return value

    @property
    def limit(self) -> int | None:
        """The MemoryMax that applies to it, in bytes; None for none."""
        return common.memory_max(self.situation)

    @property
    def fragment(self) -> str:
        """The last file that sets its command: where the line is to be edited."""
        found = [f.path for f in self.situation.files if unit_text.values([f], "ExecStart")]
        return found[-1] if found else self.name


def see(ground: Ground) -> list[Gunicorn]:
    """Return the services that run gunicorn, by name. Raises LowmemError."""
    names = common.services(ground.snapshot(), _is_gunicorn)
    found = ground.situation(names).units if names else {}
    return [_see(ground, each) for each in found.values() if _is_gunicorn(each.unit)]


def _is_gunicorn(unit: Unit) -> bool:
    if start_of(_command(unit)) is not None:
        return True
    return not unit.name.startswith(_USERS) and any(gunicorn_cost.processes(unit))


def _command(unit: Unit) -> tuple[str, ...]:
    return unit.properties.exec_start if unit.properties else ()


def _see(ground: Ground, situation: UnitSituation) -> Gunicorn:
    unit = situation.unit
    path = unit_text.drop_in(unit.name, NAME)
    others = unit_text.without(situation.files, path)
    read = partial(common.read, ground.files)
    resolved = _resolved(ground, unit, others, read)
    trusted = _resolved(ground, unit, others, partial(gunicorn_config.read_trusted, ground.files))
    start = resolved.start
    theirs = unit_text.environment(others).get(VARIABLE, "")
    text, _ = read(path)
    ours, stale = dict[str, str](), False
    if text is not None:
        value = unit_text.environment([UnitFile(path, text)]).get(VARIABLE, "")
        ours, stale = gunicorn_args.ours_of(value, theirs)
    line, unsure = _line(unit, resolved)
    return Gunicorn(
        name=unit.name,
        situation=situation,
        line=line,
        unsure=unsure,
        theirs=theirs,
        arguments=resolved.arguments,
        concurrency=_concurrency(resolved),
        config_file=_config(ground, unit, others, resolved, trusted.named),
        path=path,
        text=text,
        ours=ours,
        stale=stale,
        hidden=_hidden(ground, situation, path, resolved),
        cost=gunicorn_cost.cost(ground.inspector, unit),
        running=None if start.unknown else gunicorn_cost.running(unit, start.words),
        gevent=gunicorn_cost.has_gevent(ground, trusted.start.program),
    )


class _Resolved(NamedTuple):
    """What the files of a unit set for gunicorn."""

    known: Variables
    start: Start
    reason: Message | str
    """Why words of its command line are unknown, without a full stop; or ""."""

    def variable(self, name: str) -> tuple[str, Message | str]:
        """Return a variable as gunicorn gets it, and why that is unknown; or ""."""
        if name in self.start.environment:
            return self.start.environment[name], ""
        if self.start.other_environment:
            return "", msg("its command line gives gunicorn other variables than the unit has")
        return self.known.values.get(name, ""), self.known.unknown(name) or ""

    @property
    def arguments(self) -> dict[str, str] | None:
        """The options in GUNICORN_CMD_ARGS; None if they are not known."""
        value, unknown = self.variable(VARIABLE)
        return None if unknown else gunicorn_args.of_variable(value)

    @property
    def line(self) -> dict[str, str]:
        """The options that are on its command line for sure: behind any unknown word."""
        words = self.start.words
        at = max((index for index, word in enumerate(words) if word is None), default=-1)
        return gunicorn_args.parse([word for word in words[at + 1 :] if word is not None])

    @property
    def named(self) -> str | None:
        """What ``--config`` names, "" for nothing; None if that is unknown."""
        for options in (self.line, self.arguments):
            if options is None:
                return None
            if "config" in options:
                return options["config"] or None
        return None if self.reason else ""


def _resolved(ground: Ground, unit: Unit, files: Sequence[UnitFile], read: Read) -> _Resolved:
    known = unit_command.variables(files, unit.name, read, ground.inspector.names)
    # What systemd names has its specifiers filled in, and its variables not.
    found = unit_command.commands_with(files, unit.name, known) or [
        unit_command.expand(_command(unit), known)
    ]
    for command in found:
        if start := start_of(command.seen):
            return _Resolved(known, start, start.unknown or command.unknown or "")
    reason = found[0].unknown or msg("a script starts it")
    program = (found[0].seen[:1] or (None,))[0] or ""
    if program.rpartition("/")[2] in CONTAINERS:
        start = Start(unknown=msg("it runs in a container"), other_environment=True)
        return _Resolved(known, start, start.unknown)
    return _Resolved(known, Start(unknown=reason), reason)


def _line(unit: Unit, resolved: _Resolved) -> tuple[dict[str, str] | None, Message | str]:
    """Return the options of the command line, and why there may be others.

    Where it is a script's, its processes show their own.
    """
    if not resolved.start.unknown:
        return resolved.line, resolved.reason
    arguments = gunicorn_cost.arguments(unit)
    return (None if arguments is None else gunicorn_args.parse(arguments)), resolved.reason


def _concurrency(resolved: _Resolved) -> str | None:
    value, unknown = resolved.variable(CONCURRENCY)
    number = natural(value.strip(), 9)
    return None if unknown or (value and number is None) else value.strip()


def _config(
    ground: Ground,
    unit: Unit,
    files: Sequence[UnitFile],
    resolved: _Resolved,
    trusted: str | None,
) -> gunicorn_config.Config:
    start, named = resolved.start, resolved.named
    if start.unknown or start.elsewhere or named is None:
        reason = resolved.reason or resolved.variable(VARIABLE)[1]
        if not reason and resolved.arguments is None:
            reason = msg(
                "{variable} is too long, or cannot be split as a shell would",
                variable=of_setting(VARIABLE),
            )
        reason = reason or msg("its root is another folder, or --config is empty")
        return gunicorn_config.unknown(
            "", msg("Its configuration file cannot be determined ({why}).", why=reason)
        )
    if start.paster or gunicorn_args.uses_paste([w for w in start.words if w is not None]):
        return gunicorn_config.unknown(
            "", msg("A paste file configures it, and lowmem-tui does not read that.")
        )
    folder = None if start.moved else gunicorn_config.folder_of(files, unit.name)
    return gunicorn_config.read(ground.files, folder, named, may_open=not named or trusted == named)


def _hidden(
    ground: Ground, situation: UnitSituation, path: str, resolved: _Resolved
) -> Message | None:
    """Return why an ``Environment=`` of ours would be ignored, a sentence."""
    start, unit, variable = resolved.start, situation.unit.name, of_setting(VARIABLE)
    if VARIABLE in start.environment:
        return msg(
            "Its command line sets {variable}, which overrides a drop-in: add the options there.",
            variable=variable,
        )
    if start.other_environment:
        return msg(
            "Its command line gives gunicorn other variables than the unit has: set {variable} "
            "there.",
            variable=variable,
        )
    read = partial(common.read, ground.files)
    probe = f"[Service]\nEnvironment={VARIABLE}=--lowmem-tui\n"
    after = unit_text.with_file(situation.files, path, probe)
    known = unit_command.variables(after, unit, read, ground.inspector.names)
    if reason := known.unknown(VARIABLE) or resolved.known.unknown(VARIABLE):
        return msg(
            "A file may set {variable}, which overrides a drop-in ({why}): add the options there.",
            variable=variable,
            why=reason,
        )
    if known.values.get(VARIABLE) == "--lowmem-tui":
        return None
    at = [file.path for file in after].index(path)
    for later in after[at + 1 :]:
        if unit_text.assigned(later, "Environment") or unit_text.assigned(
            later, "UnsetEnvironment"
        ):
            return msg(
                "{file} sets {variable} after our file: add the options there.",
                file=of_path(later.path),
                variable=variable,
            )
    files = [plain(file, 80) for file, _ in unit_command.environment_files(after, unit)]
    if not files:
        return msg(
            "Another file sets {variable}, which overrides a drop-in: add the options there.",
            variable=variable,
        )
    return msg(
        "{file} sets {variable}, which overrides a drop-in: add the options there.",
        file=of_path(files[-1]),
        variable=variable,
    )
