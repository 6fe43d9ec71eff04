"""uWSGI and PHP-FPM: looked at, not changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.quantity import format_size
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import budget
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.snapshot import Unit, UnitSituation
    from lowmem_tui.setup.ground import Ground

_PHP = re.compile(r"php-fpm[0-9.]*\Z")
_PHP_VERSION = re.compile(r"php(?:-fpm)?([0-9]+\.[0-9]+)")
_UWSGI = re.compile(r"uwsgi(?:-core|_python3[0-9]*)?\Z")
_CHILDREN = re.compile(r"^\s*pm\.max_children\s*=\s*([0-9]{1,5})", re.MULTILINE)
_REQUESTS = re.compile(r"^\s*pm\.max_requests\s*=\s*([0-9]{1,9})", re.MULTILINE)


class Others(NamedTuple):
    """What was found."""

    facts: tuple[str, ...]
    findings: tuple[Finding, ...]
    by_hand: tuple[str, ...]


class Pool(NamedTuple):
    """A unit with workers."""

    situation: UnitSituation
    kind: str
    sizes: tuple[int, ...]
    """Bytes of each worker, the largest first."""
    measure: str
    room: int
    """Bytes that it may have."""


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
        pool = _pool(ground, situation, ram)
        if pool is None:
            continue
        facts.append(_fact(pool))
        told = _php(ground, pool) if pool.kind == "PHP-FPM" else _uwsgi(pool)
        for finding, line in told:
            findings += [finding] if finding else []
            lines.append(line)
    return Others(tuple(facts), tuple(findings), tuple(lines))


def _kind(unit: Unit) -> str:
    program = common.program(unit)
    if _PHP.match(program):
        return "PHP-FPM"
    return "uWSGI" if _UWSGI.match(program) else ""


def _pool(ground: Ground, situation: UnitSituation, ram: int) -> Pool | None:
    unit = situation.unit
    kind = _kind(unit)
    if not kind:
        return None
    processes = unit.usage.processes if unit.usage else ()
    pids = {process.pid for process in processes}
    workers = [process for process in processes if process.ppid in pids]
    pss = [ground.inspector.pss(process.pid) for process in workers]
    known = [size for size in pss if size is not None]
    exact = len(known) == len(workers)
    sizes = known if exact else [process.rss for process in workers]
    setting = situation.settings.get(Key.MEMORY_MAX)
    limit = setting.effective if setting else None
    room = limit if isinstance(limit, int) else ram - budget.reserve(ram)
    return Pool(
        situation, kind, tuple(sorted(sizes, reverse=True)), "PSS" if exact else "RSS", room
    )


def _fact(pool: Pool) -> str:
    name = plain(pool.situation.unit.name)
    if not pool.sizes:
        return f"{name} ({pool.kind}) runs no worker now."
    return (
        f"{name} ({pool.kind}) runs {len(pool.sizes)} workers, the largest of "
        f"{format_size(pool.sizes[0])} ({pool.measure}); it may have {format_size(pool.room)}."
    )


def _php(ground: Ground, pool: Pool) -> Iterator[tuple[Finding | None, str]]:
    unit = pool.situation.unit
    command = " ".join(unit.properties.exec_start) if unit.properties else ""
    version = _PHP_VERSION.search(f"{unit.name} {command}")
    if not version or not pool.sizes:
        return
    folder = f"/etc/php/{version[1]}/fpm/pool.d"
    children = 0
    endless = []
    for name in ground.inspector.names(folder):
        if not name.endswith(".conf"):
            continue
        text, _ = common.read(ground.files, f"{folder}/{name}")
        children += sum(int(each) for each in _CHILDREN.findall(text or "")[-1:])
        if text and not any(int(each) for each in _REQUESTS.findall(text)):
            endless.append(name)
    fit = max(1, int(pool.room * 0.9 // pool.sizes[0]))
    shown = plain(unit.name)
    if children > fit:
        sentence = (
            f"{shown} may start {children} workers (pm.max_children) and has room for {fit} of "
            f"{format_size(pool.sizes[0])}."
        )
        line = f"pm.max_children = {fit} in {plain(folder)}, all pools together"
        yield (
            Finding("php-children", Severity.WARNING, unit.name, sentence, f"by hand: {line}"),
            f"{shown}: {line}.",
        )
    if endless:
        line = f"pm.max_requests = 500 in {common.listed(endless)} of {plain(folder)}"
        yield None, f"{shown}: {line} begins workers anew that have grown."


def _uwsgi(pool: Pool) -> Iterator[tuple[Finding | None, str]]:
    unit = pool.situation.unit
    if not pool.sizes:
        return
    fit = max(1, int(pool.room * 0.9 // pool.sizes[0]))
    name = plain(unit.name)
    finding = None
    if len(pool.sizes) > fit:
        finding = Finding(
            "uwsgi-workers",
            Severity.WARNING,
            unit.name,
            f"{name} runs {len(pool.sizes)} workers and has room for {fit} of "
            f"{format_size(pool.sizes[0])}.",
            f"by hand: processes = {fit} in its ini file",
        )
    line = f"processes = {min(fit, 2)}, max-requests = 1000 and reload-on-rss (MiB) in its ini file"
    yield finding, f"{name}: {line} keep its workers small."
