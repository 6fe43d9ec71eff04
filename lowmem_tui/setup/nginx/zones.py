"""Whether the zones that bound an application bound each visitor, and to which rate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path, of_setting, of_text
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup.nginx.sites import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.setup.nginx.config import Config
    from lowmem_tui.setup.nginx.sites import Location

MOST = 50
"""Requests a second: more than that from one visitor is no bound for a small application."""

SHARED = frozenset(
    {
        *("server_name", "host", "http_host", "hostname", "scheme", "uri", "request_uri"),
        *("document_uri", "request_method", "server_addr", "server_port", "request_filename"),
    }
)
"""Variables that are the same for many visitors; of one that is unknown nothing is reported."""

_VARIABLE = re.compile(r"\$\{?([A-Za-z0-9_]+)\}?")
_PER = {"s": 1, "m": 60}
DEEPEST = 20
"""Maps of maps that are followed."""
LONGEST = 1000
"""Characters of a key."""

_RATE = re.compile(r"([0-9]{1,9})r/([sm])\Z")


class Zone(NamedTuple):
    """A ``limit_req_zone``."""

    file: str
    key: str
    """What it counts by, as in its file: ``$binary_remote_addr``, ``$limited``."""
    rate: str
    usual: str
    """What that is for a visitor that no ``map`` and no ``geo`` names; "" is not counted."""

    @property
    def some(self) -> bool:
        """Whether it counts only those that a ``map`` or a ``geo`` names."""
        return not self.usual

    @property
    def shared(self) -> bool:
        """Whether all visitors are counted together."""
        return bool(self.usual) and set(_VARIABLE.findall(self.usual)) <= SHARED

    @property
    def fast(self) -> bool:
        """Whether its rate is no bound."""
        found = _RATE.match(self.rate)
        count = natural(found[1]) if found else None
        return count is not None and found is not None and count > MOST * _PER[found[2]]


def zones_of(config: Config) -> dict[str, Zone]:
    """Return the zones by their names."""
    usual = _Usual(config)
    found = {}
    for each in config.find("http", "limit_req_zone"):
        key = next((a for a in each.args if "=" not in a), "")
        rate = next((a.removeprefix("rate=") for a in each.args if a.startswith("rate=")), "")
        if not rate:
            continue  # nginx refuses it: there is no such zone
        found[zone_of(each)] = Zone(each.file, key, rate, usual.of(key))
    return found


class _Table(NamedTuple):
    """A ``map`` or a ``geo``: what a variable is for which value of another."""

    source: str
    """``$limit``; "" for an address (geo)."""
    values: dict[str, str]
    literal: bool
    """Whether its values are as they stand: ``geo`` knows no variables."""

    def usual(self, value: str | None) -> str:
        """Return what a value becomes; None: one that is named nowhere."""
        if value is not None and value in self.values:
            return self.values[value]
        return self.values.get("default", "")


def _tables(config: Config) -> dict[str, _Table]:
    found = {}
    for each in (*config.find("http", "map"), *config.find("http", "geo")):
        if each.args:
            values = {inner.name: inner.args[0] for inner in each.inside() if inner.args}
            source = each.args[0] if each.name == "map" and len(each.args) == 2 else ""
            table = _Table(source, values, each.name == "geo")
            found[each.args[-1].removeprefix("$")] = table
    return found


class _Usual:
    """What keys are for a visitor that no ``map`` and no ``geo`` names."""

    def __init__(self, config: Config) -> None:
        self._tables = _tables(config)
        self._known: dict[str, str] = {}
        self._depth = 0

    def of(self, key: str) -> str:
        """Return a key with its maps followed."""
        return _VARIABLE.sub(lambda found: self._value(found[1]), key[:LONGEST])[:LONGEST]

    def _value(self, name: str) -> str:
        table = self._tables.get(name)
        if name not in self._known:
            self._known[name] = f"${name}"  # as it is within a circle, and where it is no map
            if table is not None and self._depth < DEEPEST:
                self._depth += 1
                source = _VARIABLE.fullmatch(table.source)
                maps = source and source[1] in self._tables
                usual = table.usual(self.of(table.source) if maps else None)
                self._known[name] = usual.replace("$", "%") if table.literal else self.of(usual)
                self._depth -= 1
        return self._known[name]


def findings(
    zones: Mapping[str, Zone], locations: Sequence[Location], remedy: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield each zone that bounds a location too little; ``remedy`` is for those of a file."""
    found = set()
    for location in locations:
        used = [name for each in location.limits if (name := zone_of(each)) in zones]
        # One that bounds each visitor is enough.
        if any(not (z.some or z.shared or z.fast) for z in map(zones.__getitem__, used)):
            continue
        found |= set(used)
    for name in sorted(found):
        zone = zones[name]
        code, what = _weak(name, zone)
        line = f"limit_req_zone $binary_remote_addr zone={plain(name, 40)}:10m rate=5r/s;"
        by_hand = msg("by hand: {line} in {file}", line=of_setting(line), file=of_path(zone.file))
        yield Finding(code, Severity.WARNING, zone.file, what, remedy.get(zone.file, by_hand))


def _weak(name: str, zone: Zone) -> tuple[str, Message]:
    """Return why a zone bounds too little: a finding's code and sentence."""
    shown, key, rate = of_text(name, 40), of_text(zone.key, 60), of_text(zone.rate, 20)
    if zone.some:
        return "nginx-zone-some", msg(
            "The limit_req_zone {name} counts by {key}, which is empty for a visitor that no map "
            "and no geo names: these visitors have no limit.",
            name=shown,
            key=key,
        )
    if zone.shared:
        return "nginx-zone-shared", msg(
            "The limit_req_zone {name} counts by {key}, which is the same for many visitors: one "
            "of them alone can use up its {rate}, and the others are refused.",
            name=shown,
            key=key,
            rate=rate,
        )
    return "nginx-zone-fast", msg(
        "The limit_req_zone {name} allows each visitor {rate}: that is too much for a small "
        "application.",
        name=shown,
        rate=rate,
    )
