"""nginx's own memory: its workers, and what their connections may come to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.integer import natural
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.nginx.config import flat

if TYPE_CHECKING:
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
"""The share of RAM that a full nginx may come to."""

_SIZE = re.compile(r"([0-9]{1,7})([kKmM]?)\Z")


class Room(NamedTuple):
    """What was found."""

    facts: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    by_hand: tuple[str, ...] = ()


def look(config: Config, main: str, ground: Ground) -> Room:
    """Return what nginx holds, and what it would hold with every connection taken."""
    snapshot = ground.snapshot()
    ram = snapshot.host.mem_total
    workers = _workers(config, ground.inspector.facts().processors)
    connections = _number(_value(config, "events", "worker_connections"), CONNECTIONS)
    # A request that is handed on takes two: the visitor's and the application's.
    request = _buffers(config) + REQUEST
    full = workers * (connections * STRUCTURES + connections // 2 * request)
    unit = snapshot.units.get("nginx.service")
    facts = []
    if unit and unit.usage and unit.usage.processes:
        sizes = [ground.inspector.pss(p.pid) for p in unit.usage.processes]
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes):
            facts.append(
                f"nginx's {len(known)} processes hold {format_size(sum(known))} (PSS) now."
            )
        elif unit.usage.rss is not None:
            facts.append(
                f"nginx's {len(sizes)} processes hold {format_size(unit.usage.rss)} (RSS, what "
                "they share counted more than once) now."
            )
    told = (
        f"{workers} {'worker' if workers == 1 else 'workers'} with {connections} connections each "
        "(worker_connections): "
        f"with all of them handing requests on ({format_size(request)} of buffers each) nginx may "
        f"come to {format_size(full)}, {common.percent(full, ram)} of RAM."
    )
    facts.append(told)
    if full <= ram * MOST:
        return Room(tuple(facts))
    fit = int(ram * MOST / workers / (STRUCTURES + request / 2)) // 64 * 64
    line = f"worker_connections {max(64, fit)};"
    return Room(
        tuple(facts),
        (
            Finding(
                "nginx-connections",
                Severity.ADVICE,
                "nginx.service",
                told,
                f"by hand: `{line}` in the events block of {plain(main)}",
            ),
        ),
        (
            (
                f"The events block of {plain(main)}: `{line}` keeps a full nginx within a "
                "quarter of RAM."
            ),
        ),
    )


def _workers(config: Config, processors: int) -> int:
    found = next(
        (d.args[0] for d in flat(config.top) if d.name == "worker_processes" and d.args), "1"
    )
    return processors if found == "auto" else max(1, _number(found, 1))


def _buffers(config: Config) -> int:
    """Return the bytes that a proxied answer may hold: proxy_buffer_size and proxy_buffers."""
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
