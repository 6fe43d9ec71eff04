"""Whether the zones that bound an application bound each visitor, and to how much."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup.nginx_sites import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.setup.nginx_config import Config
    from lowmem_tui.setup.nginx_sites import Location

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
_RATE = re.compile(r"([0-9]{1,9})r/([sm])\Z")


class Zone(NamedTuple):
    """A ``limit_req_zone``."""

    file: str
    key: str
    """What it counts by: ``$binary_remote_addr``."""
    rate: str

    @property
    def shared(self) -> bool:
        """Whether all visitors are counted together."""
        return set(_VARIABLE.findall(self.key)) <= SHARED

    @property
    def fast(self) -> bool:
        """Whether it lets nearly everything through."""
        found = _RATE.match(self.rate)
        return found is not None and int(found[1]) > MOST * (60 if found[2] == "m" else 1)


def zones_of(config: Config) -> dict[str, Zone]:
    """Return the zones by their names."""
    return {
        zone_of(each): Zone(
            each.file,
            next((a for a in each.args if "=" not in a), ""),
            next((a.removeprefix("rate=") for a in each.args if a.startswith("rate=")), ""),
        )
        for each in config.find("http", "limit_req_zone")
    }


def findings(
    zones: Mapping[str, Zone], locations: Sequence[Location], remedy: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield each zone that bounds a location and is none; ``remedy`` is for those of a file."""
    told = set()
    for location in locations:
        used = [name for each in location.limits if (name := zone_of(each)) in zones]
        # One that is a bound is enough.
        if any(not zones[name].shared and not zones[name].fast for name in used):
            continue
        told |= set(used)
    for name in sorted(told):
        zone, shown = zones[name], plain(name, 40)
        rate = plain(zone.rate, 20)
        if zone.shared:
            code = "nginx-zone-shared"
            what = (
                f"The zone {shown} counts by {plain(zone.key, 60)}, which is the same for many "
                f"visitors: one alone can use up its {rate} for all."
            )
        else:
            code = "nginx-zone-fast"
            what = (
                f"The zone {shown} allows each visitor {rate}: that is no bound for a small "
                "application."
            )
        line = f"limit_req_zone $binary_remote_addr zone={shown}:10m rate=5r/s;"
        by_hand = f"by hand: {line} in {plain(zone.file)}"
        yield Finding(code, Severity.WARNING, zone.file, what, remedy.get(zone.file, by_hand))
