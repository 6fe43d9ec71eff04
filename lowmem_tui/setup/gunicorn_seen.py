"""The services that run gunicorn, as they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.setup import common, gunicorn_args, unit_text
from lowmem_tui.setup.gunicorn_args import DEFAULTS, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.snapshot import Unit, UnitSituation
    from lowmem_tui.model.usage import Process
    from lowmem_tui.setup.ground import Ground

NAME = "zz-lowmem-tui-gunicorn.conf"
PROGRAMS = frozenset({"gunicorn", "gunicorn3"})
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


@dataclass(frozen=True, slots=True)
class Cost:
    """What processes hold."""

    workers: tuple[int, ...]
    """Bytes of each worker, the largest first."""
    master: int
    pss: bool
    """Whether that is PSS, so that what is shared counts once; else RSS."""

    @property
    def words(self) -> str:
        """The name of the measure."""
        return "PSS" if self.pss else "RSS, what they share counted in each"


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """One service."""

    name: str
    situation: UnitSituation
    line: dict[str, str] | None
    """The options of its command line; None where that is not known (a script starts it)."""
    theirs: str
    """GUNICORN_CMD_ARGS as other files set it."""
    concurrency: str
    """WEB_CONCURRENCY: gunicorn's default number of workers."""
    file: str
    """Its configuration file; "" for none."""
    config: dict[str, str]
    computed: frozenset[str]
    """The options that the file computes."""
    path: str
    """Of our drop-in."""
    text: str | None
    ours: dict[str, str]
    stale: bool
    """Whether our drop-in repeats other arguments than the other files have by now."""
    hidden: str
    """Why our drop-in would not count; or ""."""
    cost: Cost | None
    gevent: bool | None
    """Whether its Python can import gevent; None if that is not known."""

    def origin(self, option: str) -> str:
        """Return who sets an option: ``line``, ``ours``, ``theirs``, ``file`` or ``default``."""
        if self.line is None or option in self.line:
            return "line"
        if option in self.ours and not self.stale:
            return "ours"
        if option in gunicorn_args.parse(unit_text.words(self.theirs) or []):
            return "theirs"
        if option in self.config or option in self.computed:
            return "file"
        return "default"

    def value(self, option: str) -> str:
        """Return the value that counts; "" if it is not known."""
        where = self.origin(option)
        if where == "line":
            return (self.line or {}).get(option, "")
        if where == "ours":
            return self.ours[option]
        if where == "theirs":
            return gunicorn_args.parse(unit_text.words(self.theirs) or [])[option]
        if where == "file":
            return self.config.get(option, "")
        if option == "workers" and self.concurrency.isdigit():
            return self.concurrency
        return DEFAULTS[option]

    @property
    def worker_class(self) -> str:
        """The class that counts: with threads gunicorn takes gthread for sync."""
        value = self.value("worker-class")
        return "gthread" if value == "sync" and self.value("threads") not in {"1", ""} else value

    @property
    def limit(self) -> int | None:
        """The MemoryMax that holds for it, in bytes; None for none."""
        setting = self.situation.settings.get(Key.MEMORY_MAX)
        if setting is None:
            return None
        found = setting.effective if setting.effective is not None else setting.loaded
        return found if isinstance(found, int) else None

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
    return _arguments(_command(unit)) is not None or any(_of_gunicorn(unit))


def _command(unit: Unit) -> tuple[str, ...]:
    return unit.properties.exec_start if unit.properties else ()


def _arguments(words: Sequence[str]) -> list[str] | None:
    """Return what follows gunicorn on a command line; None if it runs something else."""
    for at, word in enumerate(words[:4]):
        name = word.rpartition("/")[2]
        if name in PROGRAMS and (at == 0 or _is_python(words[0]) or words[at - 1] == "-m"):
            return list(words[at + 1 :])
    return None


def _is_python(word: str) -> bool:
    return word.rpartition("/")[2].startswith("python")


def _of_gunicorn(unit: Unit) -> Iterator[Process]:
    for process in unit.usage.processes if unit.usage else ():
        command = process.command or ""
        if command.startswith("gunicorn: ") or _arguments(command.split()) is not None:
            yield process


def _see(ground: Ground, situation: UnitSituation) -> Gunicorn:
    name = situation.unit.name
    path = unit_text.drop_in(name, NAME)
    others = unit_text.without(situation.files, path)
    variables = unit_text.environment(others)
    theirs = variables.get(VARIABLE, "")
    text, _ = common.read(ground.files, path)
    ours, stale = dict[str, str](), False
    if text is not None:
        said = unit_text.environment([UnitFile(path, text)]).get(VARIABLE, "")
        ours, stale = gunicorn_args.ours_of(said, theirs)
    line, program = _line(situation.unit)
    arguments = (line or {}) | gunicorn_args.parse(unit_text.words(theirs) or [])
    file, config, computed = _file(ground, situation, line or {}, arguments)
    return Gunicorn(
        name=name,
        situation=situation,
        line=line,
        theirs=theirs,
        concurrency=variables.get("WEB_CONCURRENCY", ""),
        file=file,
        config=config,
        computed=frozenset(computed),
        path=path,
        text=text,
        ours=ours,
        stale=stale,
        hidden=_hidden(ground, situation, path),
        cost=_cost(ground, situation.unit),
        gevent=_gevent(ground, program),
    )


def _line(unit: Unit) -> tuple[dict[str, str] | None, str]:
    """Return the options of the command line, and the program whose Python runs it."""
    commands = [list(_command(unit)), *((p.command or "").split() for p in _of_gunicorn(unit))]
    for words in commands:
        arguments = _arguments(words)
        if arguments is not None:
            program = next((w for w in words[:4] if w.rpartition("/")[2] in PROGRAMS), "")
            return gunicorn_args.parse(arguments), program if "/" in program else words[0]
    return None, ""


def _file(
    ground: Ground, situation: UnitSituation, line: dict[str, str], arguments: dict[str, str]
) -> tuple[str, dict[str, str], set[str]]:
    """Return the configuration file, what it sets, and what it computes."""
    folder = line.get("chdir") or unit_text.last(situation.files, "WorkingDirectory").lstrip("-")
    folder = unit_text.specified(folder, situation.unit.name) or ""
    named = arguments.get("config", "").removeprefix("file:")
    if named.startswith("python:"):
        return named, {}, set(gunicorn_args.OPTIONS)
    path = named or gunicorn_args.CONFIG_NAME
    if not path.startswith("/"):
        path = f"{folder.rstrip('/')}/{path.removeprefix('./')}"
    text, trouble = common.read(ground.files, path) if path.startswith("/") else (None, "")
    if text is not None:
        return path, *gunicorn_args.of_file(text)
    # What may not be read may say anything.
    return (path, {}, set(gunicorn_args.OPTIONS)) if trouble or named else ("", {}, set())


def _hidden(ground: Ground, situation: UnitSituation, path: str) -> str:
    """Return why an ``Environment=`` of ours would not count, or ""."""
    for value in unit_text.values(situation.files, "EnvironmentFile"):
        file = unit_text.specified(value.removeprefix("-"), situation.unit.name) or ""
        text, _ = common.read(ground.files, file) if file.startswith("/") else (None, "")
        for line in (text or "").splitlines():
            if line.strip().startswith(f"{VARIABLE}="):
                return f"{plain(file)} sets {VARIABLE}, which wins over a drop-in: add it there."
    after = unit_text.with_file(situation.files, path, "")
    at = [file.path for file in after].index(path)
    for later in after[at + 1 :]:
        if VARIABLE in unit_text.environment([later]):
            return f"{plain(later.path)} sets {VARIABLE} and is read after our file: add it there."
    return ""


def _cost(ground: Ground, unit: Unit) -> Cost | None:
    """Return what the workers hold now; None where none runs."""
    processes = [*_of_gunicorn(unit)]
    pids = {process.pid for process in processes}
    workers = [process for process in processes if process.ppid in pids]
    masters = [process for process in processes if process.ppid not in pids]
    if not workers:
        return None
    measured = {process.pid: ground.inspector.pss(process.pid) for process in processes}
    pss = all(size is not None for size in measured.values())
    sizes = {p.pid: (measured[p.pid] or 0) if pss else p.rss for p in processes}
    return Cost(
        tuple(sorted((sizes[p.pid] for p in workers), reverse=True)),
        sum(sizes[p.pid] for p in masters),
        pss,
    )


def _gevent(ground: Ground, program: str) -> bool | None:
    """Tell whether gevent lies where the gunicorn that is started lies: what can be seen of it."""
    root, _, folder = program.rpartition("/")[0].rpartition("/")
    if folder != "bin" or not root:
        return None
    names = ground.inspector.names
    places = [f"{root}/lib/{each}/site-packages" for each in names(f"{root}/lib")]
    venv, _ = common.read(ground.files, f"{root}/pyvenv.cfg")
    system = any(
        line.replace(" ", "") == "include-system-site-packages=true"
        for line in (venv or "").splitlines()
    )
    if system or root in {"/usr", "/usr/local"}:
        places += [SYSTEM_PACKAGES]
        places += [f"/usr/local/lib/{p}/dist-packages" for p in names("/usr/local/lib")]
    found = {name for place in places for name in names(place)}
    return "gevent" in found if "gunicorn" in found else None
