"""What nginx passes on to an application, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.setup.nginx_config import INCLUDE, flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.setup.nginx_config import Config, Directive

PASSES = ("proxy_pass", "uwsgi_pass", "fastcgi_pass", "scgi_pass", "grpc_pass")
"""What hands a request to an application."""

_NOT_INSIDE = "location"
"""An inner location has its own place in the list."""


@dataclass(frozen=True, slots=True)
class Location:
    """A location that hands requests on."""

    directive: Directive
    server: str
    """Its server's first name, or what it listens to; "" for neither."""
    passes: str
    """``proxy_pass http://127.0.0.1:8000``."""
    limits: tuple[Directive, ...]
    """Each limit_req that holds for it."""
    own: bool
    """Whether they stand in the location itself."""

    @property
    def limit(self) -> Directive | None:
        """The last of them."""
        return self.limits[-1] if self.limits else None

    @property
    def path(self) -> str:
        """What it matches, as it stands there: ``/``, ``= /login``."""
        return " ".join(self.directive.args)

    @property
    def first(self) -> Directive | None:
        """The first statement between its braces."""
        return next(iter(self.directive.block or ()), None)

    @property
    def zone(self) -> str:
        """The zone of its limit_req."""
        return zone_of(self.limit) if self.limit else ""


def zone_of(limit: Directive) -> str:
    """Return the name of the zone of a ``limit_req`` or a ``limit_req_zone``."""
    found = next((a[5:] for a in limit.args if a.startswith("zone=")), "")
    return found.partition(":")[0]


def locations(config: Config) -> list[Location]:
    """Return every location that hands requests on, in the order of the files."""
    found: list[Location] = []
    for http in flat(config.top):
        if http.name == "http":
            limits = _limits(http.inside())
            for server in http.inside():
                if server.name == "server":
                    found += _of_server(server, limits)
    return found


def _of_server(server: Directive, above: tuple[Directive, ...]) -> Iterator[Location]:
    words = {each.name: each.args[0] for each in reversed([*server.inside()]) if each.args}
    name = words.get("server_name", "")
    if name in {"", "_"}:
        name = words.get("listen", "")
    yield from _in(server.inside(), name, _limits(server.inside()) or above)


def _in(
    block: Iterable[Directive], server: str, above: tuple[Directive, ...]
) -> Iterator[Location]:
    for each in block:
        if each.name != "location":
            continue
        own = _limits(each.inside())
        limits = own or above
        if passes := next(_passes(each), ""):
            yield Location(each, server, passes, limits, bool(own))
        yield from _in(each.inside(), server, limits)


def _limits(block: Iterable[Directive]) -> tuple[Directive, ...]:
    return tuple(each for each in block if each.name == "limit_req")


def _passes(location: Directive) -> Iterator[str]:
    for each in location.inside():
        if each.name in PASSES:
            yield " ".join((each.name, *each.args))
        elif each.name not in {_NOT_INSIDE, INCLUDE} and each.block:  # if, limit_except
            yield from _passes(each)
