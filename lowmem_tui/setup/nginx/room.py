"""nginx's own memory: its workers, and the most that their connections can use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_bytes, of_path, of_setting, plural
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.setup import common
from lowmem_tui.setup.nginx.config import flat

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.nginx.config import Config

CONNECTIONS = 512
"""nginx's own default of worker_connections."""
STRUCTURES = 424
"""Bytes that are allocated for each connection, used or not: ngx_connection_t and two
ngx_event_t on a 64 bit machine."""
REQUEST = 4096 + 1024
"""request_pool_size and client_header_buffer_size: bytes that a request holds at least."""
MOST = 0.25
"""The share of RAM that nginx may use with every connection taken."""

_SIZE = re.compile(r"([0-9]{1,7})([kKmM]?)\Z")


class Room(NamedTuple):
    """What was found."""

    facts: tuple[Message, ...]
    findings: tuple[Finding, ...] = ()
    by_hand: tuple[Message, ...] = ()


def look(config: Config, main: str, ground: Ground) -> Room:
    """Return what nginx uses, and what it would use with every connection taken."""
    snapshot = ground.snapshot()
    ram = snapshot.host.mem_total
    workers = _workers(config, ground.inspector.facts().processors)
    connections = _number(_value(config, "events", "worker_connections"), CONNECTIONS)
    # A request that is handed on takes two: the visitor's and the application's.
    request = _buffers(config) + REQUEST
    full = workers * (connections * STRUCTURES + connections // 2 * request)
    facts = [] if (used := _used(snapshot.units.get("nginx.service"), ground)) is None else [used]
    most = plural(
        "{n} worker with {connections} connections (worker_connections): with all of them passing "
        "requests to an application ({request} of buffers each), nginx can use {full}, {share} of "
        "RAM.",
        "{n} workers with {connections} connections each (worker_connections): with all of them "
        "passing requests to an application ({request} of buffers each), nginx can use {full}, "
        "{share} of RAM.",
        workers,
        connections=connections,
        request=of_bytes(request),
        full=of_bytes(full),
        share=common.percent(full, ram),
    )
    facts.append(most)
    if full <= ram * MOST:
        return Room(tuple(facts))
    fit = int(ram * MOST / workers / (STRUCTURES + request / 2)) // 64 * 64
    line = of_setting(f"worker_connections {max(64, fit)};")
    remedy = msg("by hand: `{line}` in the events block of {file}", line=line, file=of_path(main))
    by_hand = msg(
        "The events block of {file}: `{line}` bounds nginx to a quarter of RAM.",
        file=of_path(main),
        line=line,
    )
    found = Finding("nginx-connections", Severity.ADVICE, "nginx.service", most, remedy)
    return Room(tuple(facts), (found,), (by_hand,))


def _used(unit: Unit | None, ground: Ground) -> Message | None:
    """Return what nginx uses now; None where that is unknown."""
    if not unit or not unit.usage or not unit.usage.processes:
        return None
    sizes = [ground.inspector.pss(p.pid) for p in unit.usage.processes]
    known = [size for size in sizes if size is not None]
    if len(known) == len(sizes):
        return plural(
            "{n} process of nginx uses {size} (PSS).",
            "{n} processes of nginx use {size} (PSS).",
            len(known),
            size=of_bytes(sum(known)),
        )
    if unit.usage.rss is None:
        return None
    return plural(
        "{n} process of nginx uses {size} (RSS).",
        "{n} processes of nginx use {size} (RSS: memory that they share is counted more than "
        "once).",
        len(sizes),
        size=of_bytes(unit.usage.rss),
    )


def _workers(config: Config, processors: int) -> int:
    found = next(
        (d.args[0] for d in flat(config.top) if d.name == "worker_processes" and d.args), "1"
    )
    return processors if found == "auto" else max(1, _number(found, 1))


def _buffers(config: Config) -> int:
    """Return the bytes that a proxied answer may use: proxy_buffer_size and proxy_buffers."""
    first = _size(_value(config, "http", "proxy_buffer_size"), 4096)
    found = next((d.args for d in config.find("http", "proxy_buffers")), ("8", "4k"))
    if len(found) != 2:
        return first + 8 * 4096
    return first + _number(found[0], 8) * _size(found[1], 4096)


def _value(config: Config, block: str, name: str) -> str:
    return next((d.args[0] for d in config.find(block, name) if d.args), "")


def _number(text: str, default: int) -> int:
    found = natural(text, 7)
    return default if found is None else found


def _size(text: str, default: int) -> int:
    found = _SIZE.match(text)
    if not found:
        return default
    return _number(found[1], default) * {"": 1, "k": 1024, "m": 1 << 20}[found[2].lower()]
