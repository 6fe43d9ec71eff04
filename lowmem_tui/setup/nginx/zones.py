"""Whether the zones that bound an application bound each visitor, and to how much."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.integer import natural
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup.nginx.sites import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
"""Variables that are the same for many visitors; of one that is not known nothing is said."""

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
    """What it counts by, as it stands there: ``$binary_remote_addr``, ``$limited``."""
    rate: str
    usual: str
    """What that is for a visitor that no ``map`` and no ``geo`` names; "" is counted nowhere."""

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
        """Whether it lets nearly everything through."""
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
        found[zone_of(each)] = Zone(each.file, key, rate, usual.of(key))
    return found


class _Table(NamedTuple):
    """A ``map`` or a ``geo``: what a variable is for which value of another."""

    source: str
    """``$limit``; "" for an address (geo)."""
    values: dict[str, str]

    def usual(self, value: str | None) -> str:
        """Return what comes of a value; None: of one that is named nowhere."""
        if value is not None and value in self.values:
            return self.values[value]
        return self.values.get("default", "")


def _tables(config: Config) -> dict[str, _Table]:
    found = {}
    for each in (*config.find("http", "map"), *config.find("http", "geo")):
        if each.args:
            values = {inner.name: inner.args[0] for inner in each.inside() if inner.args}
            source = each.args[0] if each.name == "map" and len(each.args) == 2 else ""
            found[each.args[-1].removeprefix("$")] = _Table(source, values)
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
                self._known[name] = self.of(table.usual(self.of(table.source) if maps else None))
                self._depth -= 1
        return self._known[name]


def findings(
    zones: Mapping[str, Zone], locations: Sequence[Location], remedy: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield each zone that bounds a location and is none; ``remedy`` is for those of a file."""
    told = set()
    for location in locations:
        used = [name for each in location.limits if (name := zone_of(each)) in zones]
        # One that is a bound is enough.
        if any(not (z.some or z.shared or z.fast) for z in map(zones.__getitem__, used)):
            continue
        told |= set(used)
    for name in sorted(told):
        zone, shown = zones[name], plain(name, 40)
        rate = plain(zone.rate, 20)
        if zone.some:
            code = "nginx-zone-some"
            what = (
                f"The limit_req_zone {shown} counts by {plain(zone.key, 60)}, which is empty for a "
                "visitor that no map and no geo names: nothing bounds those."
            )
        elif zone.shared:
            code = "nginx-zone-shared"
            what = (
                f"The limit_req_zone {shown} counts by {plain(zone.key, 60)}, which is the same "
                f"for many visitors: one alone can use up its {rate} for all."
            )
        else:
            code = "nginx-zone-fast"
            what = (
                f"The limit_req_zone {shown} allows each visitor {rate}: that is no bound for a "
                "small application."
            )
        line = f"limit_req_zone $binary_remote_addr zone={shown}:10m rate=5r/s;"
        by_hand = f"by hand: {line} in {plain(zone.file)}"
        yield Finding(code, Severity.WARNING, zone.file, what, remedy.get(zone.file, by_hand))
