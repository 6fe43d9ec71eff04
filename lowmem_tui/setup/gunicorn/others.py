"""PHP-FPM, uWSGI and other servers with workers: looked at, not changed."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import budget
from lowmem_tui.setup import common, unit_command
from lowmem_tui.setup.gunicorn import php_fpm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.snapshot import Unit, UnitSituation
    from lowmem_tui.model.usage import Process
    from lowmem_tui.setup.context import Ground

PHP = "PHP-FPM"
_PHP = re.compile(r"php[0-9]*-?fpm[-0-9.]*\Z")

_SETTINGS = {
    "uWSGI": (
        "processes = {fit}",
        "processes = {few}, max-requests = 1000 and reload-on-rss (MiB)",
    ),
    "uvicorn": ("--workers {fit}", "--workers {few} and --limit-max-requests 1000"),
    "hypercorn": ("--workers {fit}", "--workers {few} and --max-requests 1000"),
    "granian": ("--workers {fit}", "--workers {few} and --workers-lifetime"),
    "puma": ("workers {fit}", "workers {few}"),
    "unicorn": ("worker_processes {fit}", "worker_processes {few}"),
}
"""What bounds the number of workers, and what keeps them small."""

_PLACES = {
    "uWSGI": "in its ini file",
    "puma": "in config/puma.rb",
    "unicorn": "in its configuration",
}

_KINDS = (
    (re.compile(r"uwsgi(?:-core|_python3[0-9]*)?\Z"), "uWSGI"),
    (re.compile(r"uvicorn\Z"), "uvicorn"),
    (re.compile(r"hypercorn\Z"), "hypercorn"),
    (re.compile(r"granian\Z"), "granian"),
    (re.compile(r"puma\Z"), "puma"),
    (re.compile(r"unicorn(?:_rails)?\Z"), "unicorn"),
)


class Others(NamedTuple):
    """What was found."""

    facts: tuple[str, ...]
    findings: tuple[Finding, ...]
    by_hand: tuple[str, ...]


class Workers(NamedTuple):
    """A unit with workers."""

    situation: UnitSituation
    kind: str
    sizes: tuple[int, ...]
    """Bytes of each worker, the largest first."""
    measure: str
    room: int
    """Bytes that it may have."""

    @property
    def fit(self) -> int:
        """How many workers of the largest's size have room."""
        return max(1, int(self.room * 0.9 // max(self.sizes[0], 1))) if self.sizes else 1


def look(ground: Ground) -> Others:
    """Return what is to be said of them. Raises LowmemError."""
    snapshot = ground.snapshot()
    names = common.services(snapshot, lambda unit: bool(_kind(unit)))
    found = ground.situation(names).units if names else {}
    facts: list[str] = []
    findings: list[Finding] = []
    lines: list[str] = []
    ram = snapshot.host.mem_total
    for situation in found.values():
        workers = _workers(ground, situation, ram)
        if workers is None:
            continue
        facts.append(_fact(workers))
        if workers.kind == PHP:
            pools = _pools(ground, situation)
            facts += _pool_facts(workers, pools)
            told = _php(workers, pools)
        else:
            told = _other(workers)
        for finding, line in told:
            findings += [finding] if finding else []
            lines.append(line)
    return Others(tuple(facts), tuple(findings), tuple(lines))


def _kind(unit: Unit) -> str:
    words = unit.properties.exec_start if unit.properties else ()
    if unit.name.startswith("user@"):
        return ""
    if _PHP.match(common.program(unit)) or any(map(_is_master, _processes(unit))):
        return PHP
    for name in _programs(words):
        for pattern, kind in _KINDS:
            if pattern.match(name):
                return kind
    return ""


def _processes(unit: Unit) -> Sequence[Process]:
    return unit.usage.processes if unit.usage else ()


def _is_master(process: Process) -> bool:
    return (process.command or "").startswith("php-fpm: master process")


def _programs(words: Sequence[str]) -> Iterator[str]:
    """Yield the names of the program, and of what an interpreter or a bundler runs by it."""
    program = words[0].rpartition("/")[2] if words else ""
    yield program
    if program.startswith(("python", "pypy", "ruby", "bundle", "poetry", "uv", "pipenv")):
        yield from (word.rpartition("/")[2] for word in words[1:4])


def _workers(ground: Ground, situation: UnitSituation, ram: int) -> Workers | None:
    unit = situation.unit
    kind = _kind(unit)
    if not kind:
        return None
    processes = _processes(unit)
    pids = {process.pid for process in processes}
    workers = [process for process in processes if process.ppid in pids]
    pss = [ground.inspector.pss(process.pid) for process in workers]
    known = [size for size in pss if size is not None]
    exact = len(known) == len(workers)
    sizes = known if exact else [process.rss for process in workers]
    setting = situation.settings.get(Key.MEMORY_MAX)
    limit = setting.effective if setting else None
    room = limit if isinstance(limit, int) else ram - budget.reserve(ram)
    return Workers(
        situation, kind, tuple(sorted(sizes, reverse=True)), "PSS" if exact else "RSS", room
    )


def _fact(workers: Workers) -> str:
    name = plain(workers.situation.unit.name)
    if not workers.sizes:
        return f"{name} ({workers.kind}) runs no worker now."
    return (
        f"{name} ({workers.kind}) runs {len(workers.sizes)} workers, the largest of "
        f"{format_size(workers.sizes[0])} ({workers.measure}); it may have "
        f"{format_size(workers.room)}."
    )


# PHP-FPM


def _pools(ground: Ground, situation: UnitSituation) -> php_fpm.Pools:
    """Read what configures it: only a file that its unit names, or its program's place."""
    unit = situation.unit
    read = partial(common.read, ground.files)
    known = unit_command.variables(situation.files, unit.name, read, ground.inspector.names)
    loaded = unit.properties.exec_start if unit.properties else ()
    found = unit_command.commands_with(situation.files, unit.name, known) or [
        unit_command.expand(loaded, known)
    ]
    words = found[0].words
    if words is None:
        return php_fpm.Pools("", trouble=f"its command line is not known ({found[0].unknown})")
    titles = {php_fpm.named_by_title(p.command or "") for p in _processes(unit) if _is_master(p)}
    places, prefix = php_fpm.candidates(unit.name, words)
    path, trouble = php_fpm.find(ground, places, titles.pop() if len(titles) == 1 else "")
    if not path:
        return php_fpm.Pools("", trouble=trouble)
    names = set(known.values) | set(known.hidden)
    variables = {n: None if known.unknown(n) else known.values.get(n, "") for n in names}
    return php_fpm.read(ground, path, prefix, variables)


def _pool_facts(workers: Workers, pools: php_fpm.Pools) -> Iterator[str]:
    name = plain(workers.situation.unit.name)
    if contradiction := _contradiction(workers, pools):
        yield f"{name}: {contradiction}, so how many it may start cannot be determined."
    elif pools.children is None:
        reason = pools.trouble or "a value of its pools is not known"
        yield f"{name}: how many workers it may start cannot be determined: {reason}."
    else:
        each = [
            f"{plain(p.name, 40)} {p.children} ({plain(p.kind, 20) or 'pm not set'})"
            for p in pools.pools.values()
        ]
        cap = f", process.max {pools.most}" if pools.most else ""
        yield (
            f"{name}: pm.max_children {pools.children} in all{cap}: {common.listed(each)} "
            f"({plain(pools.file, 80)})."
        )


def _contradiction(workers: Workers, pools: php_fpm.Pools) -> str:
    if pools.children is not None and len(workers.sizes) > pools.children:
        return f"{len(workers.sizes)} workers run, and its files allow {pools.children}"
    return ""


def _php(workers: Workers, pools: php_fpm.Pools) -> Iterator[tuple[Finding | None, str]]:
    if not workers.sizes:
        return
    name, fit = workers.situation.unit.name, workers.fit
    shown, where = plain(name), plain(pools.file, 80) or "its pools"
    running = len(workers.sizes)
    known = None if _contradiction(workers, pools) else pools.children
    most = running if known is None else known
    if most > fit:
        verb = "runs" if known is None else "may start"
        sentence = (
            f"{shown} {verb} {most} workers (pm.max_children) and has room for {fit} of "
            f"{format_size(workers.sizes[0])}."
        )
        line = f"pm.max_children = {fit} in {where}, all pools together"
        yield (
            Finding("php-children", Severity.WARNING, name, sentence, f"by hand: {line}"),
            f"{shown}: {line}.",
        )
    if endless := [pool.name for pool in pools.pools.values() if pool.requests == 0]:
        line = f"pm.max_requests = 500 in {common.listed(endless)} of {where}"
        yield None, f"{shown}: {line} recycles workers that have grown."


# The others


def _other(workers: Workers) -> Iterator[tuple[Finding | None, str]]:
    if not workers.sizes:
        return
    name, fit = workers.situation.unit.name, workers.fit
    bound, small = _SETTINGS[workers.kind]
    where = _PLACES.get(workers.kind, "on its command line")
    finding = None
    if len(workers.sizes) > fit:
        finding = Finding(
            f"{workers.kind.lower()}-workers",
            Severity.WARNING,
            name,
            f"{plain(name)} runs {len(workers.sizes)} workers ({bound.split()[0]}) and has room "
            f"for {fit} of {format_size(workers.sizes[0])}.",
            f"by hand: {bound.format(fit=fit)} {where}",
        )
    line = f"{small.format(few=min(fit, 2))} {where} keep its workers small"
    yield finding, f"{plain(name)}: {line}."
