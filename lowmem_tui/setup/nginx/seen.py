"""nginx as it was found, and which of its locations can be bounded from here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.message import (
    msg,
    of_path,
    of_setting,
    of_text,
    of_unit,
    sentences,
    verbatim,
)
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.setup import common
from lowmem_tui.setup.nginx import config as nginx_config
from lowmem_tui.setup.nginx import edit as nginx_edit
from lowmem_tui.setup.nginx import main as nginx_main
from lowmem_tui.setup.nginx import sites as nginx_sites
from lowmem_tui.setup.nginx import static as nginx_static
from lowmem_tui.setup.nginx.main import UNIT
from lowmem_tui.setup.nginx.tested import NAME
from lowmem_tui.setup.nginx.zones import zones_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.nginx.config import Config
    from lowmem_tui.setup.nginx.sites import Location
    from lowmem_tui.setup.nginx.static import Cautions
    from lowmem_tui.setup.nginx.zones import Zone

FOLDER = "/etc/nginx/"
OURS = "/etc/nginx/conf.d/zz-lowmem-tui.conf"
ZONE = "lowmem"

BURST = "burst=10 nodelay"


@dataclass(frozen=True, slots=True)
class Place:
    """A location, and what can be done about it."""

    key: str
    location: Location
    """Where its file is included more than once: the one without a limit_req."""
    file: str
    """The file itself, with links resolved."""
    by_hand: Message | str
    """Why it cannot be changed from here, a sentence; or ""."""
    caution: Message | None
    """Why a limit_req is not preselected here, a sentence."""
    static: bool = False
    """Whether it is for static files: it needs no limit_req."""
    dry: Message | None = None
    """Where the ``limit_req_dry_run on`` is set that applies to it: ``FILE, line 3``."""

    @property
    def ours(self) -> bool:
        """Whether our zone bounds it, by a line of its own."""
        return self.location.own and self.location.zone == ZONE

    @property
    def burst(self) -> str:
        """What its own line sets besides the zone."""
        limit = self.location.limit
        return " ".join(a for a in limit.args if not a.startswith("zone=")) if limit else ""

    @property
    def shown(self) -> Message:
        """``location / of example.org (/etc/nginx/sites-available/x, line 7)``."""
        where = self.location
        path, file, line = of_text(where.path, 60), of_path(self.file), where.directive.line
        if not where.server:
            return msg("location {path} ({file}, line {line})", path=path, file=file, line=line)
        return msg(
            "location {path} of {server} ({file}, line {line})",
            path=path,
            server=of_text(where.server, 60),
            file=file,
            line=line,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """nginx as it was found."""

    absent: Message | None
    broken: Message | None
    """Why nothing is changed: nginx refuses its configuration."""
    config: Config
    main: str
    """The file that the configuration begins with."""
    elsewhere: Message | None
    """Why nothing of it is changed from here: it is not the distribution's."""
    zones: dict[str, Zone]
    """By their names."""
    places: tuple[Place, ...]


def see(ground: Ground) -> Seen:
    """Look at nginx, its configuration and what can be done about it. Raises LowmemError."""
    nginx = nginx_main.started(ground)
    if nginx.unknown:
        return _absent(nginx.unknown)
    text, unreadable = common.read(ground.files, nginx.main)
    if text is None and not unreadable:
        if not nginx.there:
            return _absent(msg("There is no nginx."))
        return _absent(
            msg(
                "nginx has no {file}: which configuration it reads cannot be determined, so no "
                "limit_req is proposed.",
                file=of_path(nginx.main),
            )
        )
    config = nginx_config.read_config(nginx.main, ground.files, ground.inspector, nginx.ahead)
    elsewhere = None
    if nginx.main != nginx_config.MAIN or nginx.unit != UNIT:
        elsewhere = msg(
            "{unit} reads {file}, not {usual}: lowmem-tui checks that file, and changes nothing "
            "there.",
            unit=of_unit(nginx.unit, 60),
            file=of_path(nginx.main),
            usual=of_path(nginx_config.MAIN),
        )
    # `nginx -t` would test the distribution's files.
    zones = zones_of(config)
    broken = sentences(*config.broken[:3]) if config.broken else _unknown_zone(config, zones)
    if broken is None and not elsewhere:
        broken = _tested(ground)
    places = _places(ground, config, elsewhere)
    return Seen(None, broken, config, nginx.main, elsewhere, zones, places)


def _unknown_zone(config: Config, zones: Mapping[str, Zone]) -> Message | None:
    """Return that a limit_req names a zone that is set nowhere: nginx refuses that.

    A limit_req_zone in a server block is refused as well, and often met.
    """
    if config.unread:
        return None
    for location in nginx_sites.all_locations(config):
        for limit in location.limits:
            zone = nginx_sites.zone_of(limit)
            if "$" not in zone and zone not in zones:
                return msg(
                    "{file}, line {line}: limit_req names the zone {name}, and no limit_req_zone "
                    "in http sets it.",
                    file=of_path(limit.file),
                    line=limit.line,
                    name=of_text(zone, 60),
                )
    return None


def _absent(why: Message) -> Seen:
    return Seen(why, None, nginx_config.Config(), nginx_config.MAIN, None, {}, ())


def _tested(ground: Ground) -> Message | None:
    """Return what nginx itself reports as wrong; an ordinary user cannot ask it."""
    try:
        found = ground.system.get(ActionKind.TEST, NAME)
    except (LowmemError, OSError):
        return None
    return verbatim(f"{found.rstrip('.')}.") if found else None


def _places(ground: Ground, config: Config, elsewhere: Message | None) -> tuple[Place, ...]:
    everywhere = nginx_sites.all_locations(config)
    found: dict[tuple[str, int, str, int], list[Location]] = {}
    for each in everywhere:
        if each.passes:
            found.setdefault(_where(ground, each, found), []).append(each)
    names: defaultdict[str, int] = defaultdict(int)
    cautions = nginx_static.Cautions(everywhere)
    places = []
    for (file, _, path, _), these in found.items():
        key = f"{file.rpartition('/')[2]} {path}"
        names[key] += 1
        if names[key] > 1:
            key += f" #{names[key]}"
        shown = next((each for each in these if not each.limits), these[0])
        places.append(
            Place(
                *(key, shown, file),
                by_hand=elsewhere or _hindrance(ground, config, these, file),
                caution=_caution(config, these, cautions),
                static=all(nginx_static.is_static(each) for each in these),
                dry=_dry(ground, these),
            )
        )
    return tuple(places)


def _where(
    ground: Ground, location: Location, known: dict[tuple[str, int, str, int], list[Location]]
) -> tuple[str, int, str, int]:
    """Return where a location is set: one in a file that is included twice is one place."""
    directive = location.directive
    file, number = ground.inspector.real_path(directive.file), 0
    # A line may hold several of the same name.
    while any(
        each.directive.file == directive.file and each.directive is not directive
        for each in known.get((file, directive.line, location.path, number), ())
    ):
        number += 1
    return file, directive.line, location.path, number


def _caution(config: Config, these: Sequence[Location], cautions: Cautions) -> Message | None:
    if config.unread:
        return msg(
            "A limit_req may be set in a part of the configuration that is unknown: {why}.",
            why=config.unread[0],
        )
    return next(filter(None, map(cautions.of, these)), None)


def _dry(ground: Ground, these: Sequence[Location]) -> Message | None:
    found = next((each.dry for each in these if each.dry), None)
    if found is None:
        return None
    file = of_path(ground.inspector.real_path(found.file))
    return msg("{file}, line {line}", file=file, line=found.line)


def _hindrance(
    ground: Ground, config: Config, these: Sequence[Location], file: str
) -> Message | str:
    location = these[0]
    if not file.startswith(FOLDER):
        return msg(
            "It is outside of {folder}, and lowmem-tui changes nothing there.",
            folder=of_path(FOLDER),
        )
    if sentence := common.obstacle(ground.files, file):
        return sentence
    if dry := _dry(ground, these):
        return msg(
            "limit_req_dry_run is on ({where}), so limit_req would refuse nothing.", where=dry
        )
    if location.own and location.zone != ZONE:
        return ""
    theirs = next((each for each in these if each.limits and not each.own), None)
    if theirs and not all(each.limits for each in these):
        return _replaces(theirs)
    text = config.texts[location.directive.file]
    if edited(text, location, BURST) is None:
        return msg("The place in the file cannot be determined.")
    return ""


def _replaces(theirs: Location) -> Message:
    zone = of_setting(f"limit_req zone={theirs.zone[:40]}")
    if not theirs.server:
        return msg(
            "Its file is included more than once, and {setting} applies to one of these places, "
            "which a line here would replace: set limit_req in the servers that have none.",
            setting=zone,
        )
    return msg(
        "Its file is included more than once, and {setting} applies to {server}, which a line "
        "here would replace: set limit_req in the servers that have none.",
        setting=zone,
        server=of_text(theirs.server, 60),
    )


def statement(burst: str) -> str:
    """Return our line."""
    return f"limit_req zone={ZONE} {burst};"


def edited(text: str, location: Location, burst: str) -> str | None:
    """Return the text of its file with our line in a location; None if that is not possible."""
    if location.own and location.limit is not None:
        if location.limit.file != location.directive.file:
            return None
        return nginx_edit.replaced(text, location.limit, statement(burst))
    first = location.first
    if first is None or first.file != location.directive.file:
        return None
    return nginx_edit.inserted(text, location.directive, first, statement(burst))


def zone_of_theirs(seen: Seen) -> bool:
    """Return whether somebody else has made a zone of our name: it is used unchanged then."""
    return ZONE in seen.zones and seen.zones[ZONE].file != OURS


def zone_possible(seen: Seen) -> bool:
    """Return whether nginx reads our file within http."""
    if ZONE in seen.zones:
        return True
    base = nginx_config.MAIN.rpartition("/")[0]
    return any(
        nginx_config.matches(OURS.rpartition("/")[2], pattern.rpartition("/")[2])
        and pattern.rpartition("/")[0] == OURS.rpartition("/")[0]
        for http in seen.config.top
        if http.name == "http"
        for each in http.block or ()
        if each.name == nginx_config.INCLUDE and each.args
        for pattern in (nginx_config.absolute(each.args[0], base),)
    )
