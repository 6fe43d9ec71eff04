"""What nginx passes on to an application, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lowmem_tui.setup.nginx.config import INCLUDE, flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.setup.nginx.config import Config, Directive

PASSES = ("proxy_pass", "uwsgi_pass", "fastcgi_pass", "scgi_pass", "grpc_pass")
"""What passes a request to an application."""

LONGEST = 4096
"""Characters of a word: nginx has no longer ones (NGX_CONF_BUFFER)."""
_OPENS = frozenset({"allow", "satisfy"})

MODIFIERS = ("^~", "~*", "~", "=", "@")
"""How a location matches; the two with ``~`` first are patterns."""


@dataclass(frozen=True, slots=True)
class Location:
    """A location, and what applies to it."""

    directive: Directive
    server: str
    """Its server's first name, or what it listens to; "" for neither."""
    passes: str
    """``proxy_pass http://127.0.0.1:8000``; "" where nothing is passed on."""
    limits: tuple[Directive, ...]
    """Each limit_req that applies to it."""
    own: bool
    """Whether they are set in the location itself."""
    dry: Directive | None = None
    """The ``limit_req_dry_run on`` that applies to it: nothing is refused then."""
    site: Directive | None = None
    """Its server."""
    outer: tuple[Directive, ...] = ()
    """The locations around it, the outermost first."""
    conditional: bool = False
    """Whether it passes on only what an ``if`` or ``limit_except`` within it selects."""
    rooted: bool = False
    """Whether the folder of its files is set (root)."""

    @property
    def limit(self) -> Directive | None:
        """The last of its limit_req."""
        return self.limits[-1] if self.limits else None

    @property
    def bounded(self) -> bool:
        """Whether a limit_req refuses anything here."""
        return bool(self.limits) and self.dry is None

    @property
    def path(self) -> str:
        """What it matches, as in its file: ``/``, ``= /login``."""
        return " ".join(self.directive.args)

    @property
    def first(self) -> Directive | None:
        """The first statement between its braces."""
        return next(iter(self.directive.block or ()), None)

    @property
    def zone(self) -> str:
        """The zone of its limit_req."""
        return zone_of(self.limit) if self.limit else ""

    @property
    def match(self) -> tuple[str, str]:
        """How it matches, and what: ``("=", "/a")``, ``("", "/")``. ``=/a`` needs no space."""
        if len(self.directive.args) > 1:
            return self.directive.args[0], self.directive.args[1][:LONGEST]
        text = self.directive.args[0][:LONGEST] if self.directive.args else ""
        found = next((each for each in MODIFIERS if text.startswith(each)), "")
        return found, text[len(found) :]

    def values(self, name: str) -> Iterator[tuple[str, ...]]:
        """Yield the arguments of each statement of a name that is set in it."""
        yield from (each.args for each in self.directive.inside() if each.name == name)

    def has(self, *names: str) -> bool:
        """Return whether one of these statements is set in it."""
        return any(each.name in names for each in self.directive.inside())


def zone_of(limit: Directive) -> str:
    """Return the name of the zone of a ``limit_req`` or a ``limit_req_zone``."""
    found = next((a[5:] for a in limit.args if a.startswith("zone=")), "")
    return found.partition(":")[0]


def locations(config: Config) -> list[Location]:
    """Return every location that passes requests on, in the order of the files."""
    return [each for each in all_locations(config) if each.passes]


def all_locations(config: Config) -> list[Location]:
    """Return every location, in the order of the files."""
    found: list[Location] = []
    for http in flat(config.top):
        if http.name == "http":
            above = _Above().below(http)
            for server in http.inside():
                if server.name == "server":
                    found += _led([*_of_server(server, above)], server)
    return found


def _led(locations: list[Location], server: Directive) -> Iterator[Location]:
    """Yield the locations of a server; a named one is bounded where all that lead to it are.

    No request names it, and limit_req is checked once for a request: ahead of
    ``try_files``, in the location that the request matches first.
    """
    leads: dict[str, list[Location | None]] = {name: [None] for name in _led_from(server)}
    for each in locations:
        for name in _led_from(each.directive):
            leads.setdefault(name, []).append(each)
    for each in locations:
        ahead = leads.get(each.path, []) if each.path.startswith("@") else []
        known = [o for o in ahead if o is not None and o.bounded and not _returns(o.directive)]
        if known and len(known) == len(ahead) and not each.limits:
            yield replace(each, limits=known[-1].limits, dry=None)
        else:
            yield each


def _led_from(block: Directive) -> Iterator[str]:
    """Yield the named locations that a block passes its requests to."""
    for each in block.inside():
        if each.name in {"try_files", "error_page"} and each.args:
            yield each.args[-1]


@dataclass(frozen=True, slots=True)
class _Above:
    """What a block inherits: each of them by itself, as nginx merges them."""

    limits: tuple[Directive, ...] = ()
    dry: Directive | None = None
    root: bool = False

    def below(self, block: Directive) -> _Above:
        own = tuple(each for each in block.inside() if each.name == "limit_req")
        dry = self.dry
        for each in block.inside():
            if each.name == "limit_req_dry_run" and each.args:
                dry = each if each.args[0].lower() == "on" else None
        root = self.root or any(each.name == "root" for each in block.inside())
        return _Above(own or self.limits, dry, root)


def _of_server(server: Directive, above: _Above) -> Iterator[Location]:
    words = {each.name: each.args[0] for each in reversed([*server.inside()]) if each.args}
    name = words.get("server_name", "")
    if name in {"", "_"}:
        name = words.get("listen", "")
    yield from _in(server, name, above.below(server), server, ())


def _in(
    block: Directive, name: str, above: _Above, server: Directive, outer: tuple[Directive, ...]
) -> Iterator[Location]:
    answered = block is server and _returns(server)
    for each in block.inside():
        if each.name != "location":
            continue
        here = above.below(each)
        own = any(inner.name == "limit_req" for inner in each.inside())
        closed = answered or _returns(each) or _refuses(each)
        passes = "" if closed else next(_anywhere(each), "")
        always = any(_passes(each.inside()))
        yield Location(
            *(each, name, passes, here.limits, own, here.dry, server, outer),
            conditional=bool(passes) and not always,
            rooted=here.root,
        )
        if not answered:
            yield from _in(each, name, here, server, (*outer, each))


def _returns(block: Directive) -> bool:
    """Return whether everything is answered by a ``return``, which comes ahead of all else.

    A ``break`` or a ``rewrite`` before it may keep a request from it.
    """
    for each in block.inside():
        if each.name == "return":
            return True
        if each.name in {"break", "rewrite"} or (
            each.name == "if" and any(i.name in {"break", "rewrite"} for i in each.inside())
        ):
            return False
    return False


def _refuses(location: Directive) -> bool:
    """Return whether it refuses everybody: ``deny all`` without an ``allow``."""
    names = {each.name for each in location.inside()}
    return not names & _OPENS and any(
        each.name == "deny" and each.args == ("all",) for each in location.inside()
    )


def _passes(block: Iterable[Directive]) -> Iterator[str]:
    for each in block:
        if each.name in PASSES:
            yield " ".join((each.name, *each.args))


def _anywhere(location: Directive) -> Iterator[str]:
    """Yield what passes requests on in a location, within ``if`` and ``limit_except`` too.

    An inner location has its own place in the list.
    """
    yield from _passes(location.inside())
    for each in location.inside():
        if each.name not in {"location", INCLUDE} and each.block:
            yield from _anywhere(each)
