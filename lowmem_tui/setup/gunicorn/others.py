"""PHP-FPM, uWSGI and other servers with workers: checked, not changed."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_list,
    of_path,
    of_setting,
    of_text,
    of_unit,
    plural,
    verbatim,
)
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import budget
from lowmem_tui.setup import common, unit_command
from lowmem_tui.setup.gunicorn import php_fpm
from lowmem_tui.setup.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.snapshot import Unit, UnitSituation
    from lowmem_tui.model.usage import Process
    from lowmem_tui.setup.context import Ground

PHP = "PHP-FPM"
_PHP = re.compile(r"php[0-9]*-?fpm[-0-9.]*\Z")

_SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "uWSGI": ("processes = {}", ("max-requests = 1000", "reload-on-rss (MiB)")),
    "uvicorn": ("--workers {}", ("--limit-max-requests 1000",)),
    "hypercorn": ("--workers {}", ("--max-requests 1000",)),
    "granian": ("--workers {}", ("--workers-lifetime",)),
    "puma": ("workers {}", ()),
    "unicorn": ("worker_processes {}", ()),
}
"""What sets the number of workers, and what recycles them."""

_PLACES = {
    "uWSGI": msg("its ini file"),
    "puma": verbatim("config/puma.rb"),
    "unicorn": msg("its configuration"),
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

    facts: tuple[Message, ...]
    findings: tuple[Finding, ...]
    by_hand: tuple[Message, ...]


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
    """Return what is to be reported of them. Raises LowmemError."""
    snapshot = ground.snapshot()
    names = common.services(snapshot, lambda unit: bool(_kind(unit)))
    found = ground.situation(names).units if names else {}
    facts: list[Message] = []
    findings: list[Finding] = []
    lines: list[Message] = []
    ram = snapshot.host.mem_total
    for situation in found.values():
        workers = _workers(ground, situation, ram)
        if workers is None:
            continue
        facts.append(_fact(workers))
        if workers.kind == PHP:
            pools = _pools(ground, situation)
            facts += _pool_facts(workers, pools)
            reported = _php(workers, pools)
        else:
            reported = _other(workers)
        for finding, line in reported:
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


def _fact(workers: Workers) -> Message:
    name, kind = of_unit(workers.situation.unit.name), workers.kind
    if not workers.sizes:
        return msg("{unit} ({kind}) runs no worker now.", unit=name, kind=kind)
    return plural(
        "{unit} ({kind}) runs {n} worker of {size} ({measure}); it can have {room}.",
        "{unit} ({kind}) runs {n} workers, the largest of {size} ({measure}); it can have {room}.",
        len(workers.sizes),
        unit=name,
        kind=kind,
        size=of_bytes(workers.sizes[0]),
        measure=workers.measure,
        room=of_bytes(workers.room),
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
        return php_fpm.Pools(
            "", trouble=msg("its command line is unknown ({why})", why=found[0].unknown or "")
        )
    titles = {php_fpm.named_by_title(p.command or "") for p in _processes(unit) if _is_master(p)}
    places, prefix = php_fpm.candidates(unit.name, words)
    path, trouble = php_fpm.find(ground, places, titles.pop() if len(titles) == 1 else "")
    if not path:
        return php_fpm.Pools("", trouble=trouble)
    names = set(known.values) | set(known.hidden)
    variables = {n: None if known.unknown(n) else known.values.get(n, "") for n in names}
    return php_fpm.read(ground, path, prefix, variables)


def _pool_facts(workers: Workers, pools: php_fpm.Pools) -> Iterator[Message]:
    name = of_unit(workers.situation.unit.name)
    if _contradicted(workers, pools):
        yield plural(
            "{unit} runs {n} worker, but its files allow {allowed}: how many it can start cannot "
            "be determined.",
            "{unit} runs {n} workers, but its files allow {allowed}: how many it can start cannot "
            "be determined.",
            len(workers.sizes),
            unit=name,
            allowed=pools.children or 0,
        )
    elif pools.children is None:
        yield msg(
            "How many workers {unit} can start cannot be determined: {why}.",
            unit=name,
            why=pools.trouble or msg("a value of its pools is unknown"),
        )
    else:
        yield _pool_sum(name, pools, pools.children)


def _pool_sum(name: Value, pools: php_fpm.Pools, children: int) -> Message:
    """Return how many workers all pools together can start."""
    each = shortened([_pool(pool) for pool in pools.pools.values()])
    file = of_path(plain(pools.file, 80))
    if not pools.most:
        return msg(
            "{unit}: pm.max_children {children} in all: {pools} ({file}).",
            unit=name,
            children=children,
            pools=each,
            file=file,
        )
    return msg(
        "{unit}: pm.max_children {children} in all, process.max {most}: {pools} ({file}).",
        unit=name,
        children=children,
        most=pools.most,
        pools=each,
        file=file,
    )


def _pool(pool: php_fpm.Pool) -> Message:
    return msg(
        "{pool} {children} ({kind})",
        pool=_pool_name(pool.name),
        children=pool.children or 0,
        kind=of_text(pool.kind, 20) if pool.kind else msg("pm is not set"),
    )


def _pool_name(name: str) -> Value | Message:
    return of_text(name, 40) if name else msg("a pool without a name")


def _contradicted(workers: Workers, pools: php_fpm.Pools) -> bool:
    return pools.children is not None and len(workers.sizes) > pools.children


def _php(workers: Workers, pools: php_fpm.Pools) -> Iterator[tuple[Finding | None, Message]]:
    if not workers.sizes:
        return
    name, fit = workers.situation.unit.name, workers.fit
    where = of_path(plain(pools.file, 80)) if pools.file else msg("its pools")
    known = None if _contradicted(workers, pools) else pools.children
    if (len(workers.sizes) if known is None else known) > fit:
        line = msg(
            "{line} in {file}, all pools together",
            line=of_setting(f"pm.max_children = {fit}"),
            file=where,
        )
        text, mend = _too_many(workers, known), msg("by hand: {line}", line=line)
        yield (
            Finding("php-children", Severity.WARNING, name, text, mend),
            msg("{unit}: {line}.", unit=of_unit(name), line=line),
        )
    if endless := [pool.name for pool in pools.pools.values() if pool.requests == 0]:
        yield (
            None,
            msg(
                "{unit}: {line} in {pools} of {file} recycles workers that have grown.",
                unit=of_unit(name),
                line=of_setting("pm.max_requests = 500"),
                pools=shortened([_pool_name(each) for each in endless]),
                file=where,
            ),
        )


def _too_many(workers: Workers, known: int | None) -> Message:
    """Return that more workers run, or can start, than there is room for."""
    name, size = of_unit(workers.situation.unit.name), of_bytes(workers.sizes[0])
    if known is None:
        return plural(
            "{unit} runs {n} worker (pm.max_children) and has room for {fit} of {size}.",
            "{unit} runs {n} workers (pm.max_children) and has room for {fit} of {size}.",
            len(workers.sizes),
            unit=name,
            fit=workers.fit,
            size=size,
        )
    return plural(
        "{unit} can start {n} worker (pm.max_children) and has room for {fit} of {size}.",
        "{unit} can start {n} workers (pm.max_children) and has room for {fit} of {size}.",
        known,
        unit=name,
        fit=workers.fit,
        size=size,
    )


# The others


def _other(workers: Workers) -> Iterator[tuple[Finding | None, Message]]:
    if not workers.sizes:
        return
    name, fit = workers.situation.unit.name, workers.fit
    number, recycled = _SETTINGS[workers.kind]
    where = _PLACES.get(workers.kind, msg("its command line"))
    finding = None
    if len(workers.sizes) > fit:
        finding = Finding(
            f"{workers.kind.lower()}-workers",
            Severity.WARNING,
            name,
            plural(
                "{unit} runs {n} worker ({option}) and has room for {fit} of {size}.",
                "{unit} runs {n} workers ({option}) and has room for {fit} of {size}.",
                len(workers.sizes),
                unit=of_unit(name),
                option=of_setting(number.split()[0]),
                fit=fit,
                size=of_bytes(workers.sizes[0]),
            ),
            msg("by hand: {line} ({place})", line=of_setting(number.format(fit)), place=where),
        )
    lines = of_list(of_setting(line) for line in (number.format(min(fit, 2)), *recycled))
    yield (
        finding,
        msg(
            "{unit}: to keep its workers few and small, set {lines} ({place}).",
            unit=of_unit(name),
            lines=lines,
            place=where,
        ),
    )
