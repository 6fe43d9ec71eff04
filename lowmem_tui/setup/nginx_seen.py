"""nginx as it was found, and which of its locations can be bounded from here."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common, nginx_config, nginx_edit, nginx_sites
from lowmem_tui.setup.nginx_zones import zones_of

if TYPE_CHECKING:
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.setup.ground import Ground
    from lowmem_tui.setup.nginx_config import Config
    from lowmem_tui.setup.nginx_sites import Location
    from lowmem_tui.setup.nginx_zones import Zone

UNIT = "nginx.service"
FOLDER = "/etc/nginx/"
OURS = "/etc/nginx/conf.d/zz-lowmem-tui.conf"
ZONE = "lowmem"

BURST = "burst=10 nodelay"


@dataclass(frozen=True, slots=True)
class Place:
    """A location, and what can be done about it."""

    key: str
    location: Location
    file: str
    """The file itself, with links resolved."""
    by_hand: str
    """Why it cannot be changed from here; or ""."""

    @property
    def ours(self) -> bool:
        """Whether our zone bounds it, by a line of its own."""
        return self.location.own and self.location.zone == ZONE

    @property
    def burst(self) -> str:
        """What its own line says besides the zone."""
        limit = self.location.limit
        return " ".join(a for a in limit.args if not a.startswith("zone=")) if limit else ""

    @property
    def shown(self) -> str:
        """``location / of example.org (/etc/nginx/sites-available/x, line 7)``."""
        where = self.location
        server = f" of {plain(where.server, 60)}" if where.server else ""
        line = where.directive.line
        return f"location {plain(where.path, 60)}{server} ({plain(self.file)}, line {line})"


@dataclass(frozen=True, slots=True)
class Seen:
    """nginx as it was found."""

    absent: str
    broken: str
    """Why nothing is touched: the configuration does not stand as it is."""
    config: Config
    unit: UnitProperties | None
    zones: dict[str, Zone]
    """By their names."""
    places: tuple[Place, ...]


def see(ground: Ground) -> Seen:
    """Look at nginx, its configuration and what can be done about it. Raises LowmemError."""
    unit = ground.situation([UNIT]).units[UNIT].unit.properties
    main = nginx_config.MAIN
    if unit is not None and not unit.exists:
        unit = None
    text, unreadable = common.read(ground.files, main)
    if text is None and not unreadable:
        why = "There is no nginx." if unit is None else f"nginx has no {main}."
        return Seen(why, "", nginx_config.Config(), unit, {}, ())
    if other := _other_file(unit):
        why = f"nginx is started with {plain(other)}, which is not looked at: do it by hand."
        return Seen(why, "", nginx_config.Config(), unit, {}, ())
    config = nginx_config.read_config(main, ground.files, ground.inspector)
    broken = "; ".join(config.broken[:3]) or _tested(ground)
    broken = broken and f"{broken.rstrip('.')}."
    return Seen("", broken, config, unit, zones_of(config), _places(ground, config))


def _tested(ground: Ground) -> str:
    """Return what nginx itself says is wrong; an ordinary user cannot ask it."""
    try:
        return ground.system.get(ActionKind.TEST, "nginx")
    except (LowmemError, OSError):
        return ""


def _places(ground: Ground, config: Config) -> tuple[Place, ...]:
    found: dict[tuple[str, int], Place] = {}
    names: defaultdict[str, int] = defaultdict(int)
    for each in nginx_sites.locations(config):
        file = ground.inspector.real_path(each.directive.file)
        at = (file, each.directive.line)
        if at in found:  # a file that is included twice
            continue
        key = f"{file.rpartition('/')[2]} {each.path}"
        names[key] += 1
        if names[key] > 1:
            key += f" #{names[key]}"
        found[at] = Place(key, each, file, _hindrance(ground, config, each, file))
    return tuple(found.values())


def _hindrance(ground: Ground, config: Config, location: Location, file: str) -> str:
    if not file.startswith(FOLDER):
        return f"it lies outside of {FOLDER}, where lowmem-tui changes nothing."
    if sentence := common.obstacle(ground.files, file):
        return sentence
    if location.own and location.zone != ZONE:
        return ""
    text = config.texts[location.directive.file]
    if edited(text, location, BURST) is None:
        return "the place in the file cannot be told for sure."
    return ""


def statement(burst: str) -> str:
    """Return our line."""
    return f"limit_req zone={ZONE} {burst};"


def edited(text: str, location: Location, burst: str) -> str | None:
    """Return the text of its file with our line in a location; None if that cannot be done."""
    if location.own and location.limit is not None:
        if location.limit.file != location.directive.file:
            return None
        return nginx_edit.replaced(text, location.limit, statement(burst))
    first = location.first
    if first is None or first.file != location.directive.file:
        return None
    return nginx_edit.inserted(text, location.directive, first, statement(burst))


def zone_of_theirs(seen: Seen) -> bool:
    """Tell whether somebody else has made a zone of our name: it is used as it is then."""
    return ZONE in seen.zones and seen.zones[ZONE].file != OURS


def zone_possible(seen: Seen) -> bool:
    """Tell whether nginx reads our file within http."""
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


def _other_file(unit: UnitProperties | None) -> str:
    """Return the main file that the unit's command names, if it is another than usual."""
    words = unit.exec_start if unit else ()
    for flag, value in itertools.pairwise(words):
        if flag == "-c" and value != nginx_config.MAIN:
            return value
    return ""
