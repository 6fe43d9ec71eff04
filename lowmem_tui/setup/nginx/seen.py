"""nginx as it was found, and which of its locations can be bounded from here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.text import plain
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
    from collections.abc import Sequence

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
    """Where its file is included more than once: as it stands where nothing bounds it."""
    file: str
    """The file itself, with links resolved."""
    by_hand: str
    """Why it cannot be changed from here; or ""."""
    caution: str
    """Why a bound is not taken here unless the operator says so; or ""."""
    static: bool = False
    """Whether it is for static files: it needs no bound."""
    dry: str = ""
    """Where the ``limit_req_dry_run on`` stands that holds for it: ``FILE, line 3``; or ""."""

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
    main: str
    """The file that the configuration begins with."""
    elsewhere: str
    """Why nothing of it is changed from here: it is not the distribution's; or ""."""
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
            return _absent("There is no nginx.")
        return _absent(
            f"nginx has no {plain(nginx.main)}: which configuration it reads cannot be determined, "
            "and no limit_req is proposed."
        )
    config = nginx_config.read_config(nginx.main, ground.files, ground.inspector, nginx.ahead)
    elsewhere = ""
    if nginx.main != nginx_config.MAIN or nginx.unit != UNIT:
        elsewhere = (
            f"{plain(nginx.unit, 60)} reads {plain(nginx.main)}, not {nginx_config.MAIN}: "
            "lowmem-tui looks at it, and changes nothing there."
        )
    # `nginx -t` would test the distribution's files.
    broken = "; ".join(config.broken[:3]) or ("" if elsewhere else _tested(ground))
    broken = broken and f"{broken.rstrip('.')}."
    places = _places(ground, config, elsewhere)
    return Seen("", broken, config, nginx.main, elsewhere, zones_of(config), places)


def _absent(why: str) -> Seen:
    return Seen(why, "", nginx_config.Config(), nginx_config.MAIN, "", {}, ())


def _tested(ground: Ground) -> str:
    """Return what nginx itself says is wrong; an ordinary user cannot ask it."""
    try:
        return ground.system.get(ActionKind.TEST, NAME)
    except (LowmemError, OSError):
        return ""


def _places(ground: Ground, config: Config, elsewhere: str) -> tuple[Place, ...]:
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
    """Return where a location stands: one in a file that is included twice is one place."""
    directive = location.directive
    file, number = ground.inspector.real_path(directive.file), 0
    # A line may hold several of the same name.
    while any(
        each.directive.file == directive.file and each.directive is not directive
        for each in known.get((file, directive.line, location.path, number), ())
    ):
        number += 1
    return file, directive.line, location.path, number


def _caution(config: Config, these: Sequence[Location], cautions: Cautions) -> str:
    if config.unread:
        return f"{config.unread[0]}: whether a limit_req stands there is not known."
    return next(filter(None, map(cautions.of, these)), "")


def _dry(ground: Ground, these: Sequence[Location]) -> str:
    found = next((each.dry for each in these if each.dry), None)
    return f"{plain(ground.inspector.real_path(found.file))}, line {found.line}" if found else ""


def _hindrance(ground: Ground, config: Config, these: Sequence[Location], file: str) -> str:
    location = these[0]
    if not file.startswith(FOLDER):
        return f"it lies outside of {FOLDER}, where lowmem-tui changes nothing."
    if sentence := common.obstacle(ground.files, file):
        return sentence
    if dry := _dry(ground, these):
        return f"limit_req_dry_run is on ({dry}), so nothing would be refused."
    if location.own and location.zone != ZONE:
        return ""
    theirs = next((each for each in these if each.limits and not each.own), None)
    if theirs and not all(each.limits for each in these):
        return (
            f"its file is included more than once, and for {plain(theirs.server, 60) or 'one'} "
            f"limit_req zone={plain(theirs.zone, 40)} holds already, which a line here would "
            "replace: put limit_req into the servers that have none."
        )
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
