"""nginx: how many requests one address may send to the application."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError, RefusedError
from lowmem_tui.model.message import (
    N_,
    as_message,
    msg,
    of_bytes,
    of_command,
    of_path,
    of_setting,
    of_text,
    plural,
    sentences,
)
from lowmem_tui.model.plan import FileChange, Notice
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.nginx import config as nginx_config
from lowmem_tui.setup.nginx import room as nginx_room
from lowmem_tui.setup.nginx import static as nginx_static
from lowmem_tui.setup.nginx import zones as nginx_zones
from lowmem_tui.setup.nginx.main import UNIT
from lowmem_tui.setup.nginx.seen import (
    BURST,
    OURS,
    ZONE,
    edited,
    see,
    statement,
    zone_of_theirs,
    zone_possible,
)
from lowmem_tui.setup.nginx.tested import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.nginx.seen import Place, Seen

RATE_KEY = "rate"
RATE = "5r/s"
RATES = ("2r/s", "5r/s", "10r/s", "20r/s", "50r/s")
BURST_OF_MANY = "burst=40 nodelay"
"""Where a page requests several things at once."""
BURSTS = ("burst=5 nodelay", "burst=10 nodelay", "burst=20 nodelay", "burst=40 nodelay")

_TEST = of_command("sudo nginx -t")
_LINE = of_setting(statement(BURST))
_ZONE_LINE = of_setting(f"limit_req_zone $binary_remote_addr zone={ZONE}:10m rate={RATE};")
_RATE = re.compile(r"[1-9][0-9]{0,5}r/[sm]\Z")
_BURST = re.compile(r"burst=[1-9][0-9]{0,5}(?: nodelay| delay=[1-9][0-9]{0,5})?\Z")


class NginxStep:
    """See ``Step``."""

    name = "nginx"
    title = N_("nginx: requests to the application")
    about = N_(
        "One visitor or robot can send more requests than a small application has memory for. "
        "limit_req bounds the requests of each address before they reach the application: nginx "
        "answers those beyond the limit with 503, which needs almost no memory."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    # Looking

    def look(self) -> Look:
        """See ``Step``."""
        seen = see(self._ground)
        if seen.absent:
            return Look(absent=seen.absent)
        if seen.broken:
            return Look(
                facts=(seen.broken,),
                findings=(
                    Finding(
                        "nginx-broken",
                        Severity.PROBLEM,
                        UNIT,
                        msg(
                            "nginx cannot start with this configuration, and no limit_req is "
                            "proposed: {why}",
                            why=seen.broken,
                        ),
                        msg("correct the file until `{command}` reports no error", command=_TEST),
                    ),
                ),
                by_hand=(
                    msg(
                        "No limit_req is proposed until `{command}` reports no error.",
                        command=_TEST,
                    ),
                ),
            )
        room = nginx_room.look(seen.config, seen.main, self._ground)
        return Look(
            facts=(*_facts(seen), *room.facts),
            items=tuple(self._items(seen)),
            findings=(*_findings(seen), *room.findings),
            by_hand=(*_by_hand(seen), *room.by_hand),
        )

    # Proposing

    def _items(self, seen: Seen) -> Iterator[Item]:
        places = _ours_to_do(seen)
        if not places or not zone_possible(seen):
            return
        taken = any(p.ours or not p.caution for p in places)
        if not zone_of_theirs(seen):
            rate = _rate(seen)
            yield Item(
                RATE_KEY,
                msg("limit_req_zone: requests of one address"),
                rate or msg("no limit"),
                rate or RATE,
                msg(
                    "limit_req_zone counts the requests of each address ($binary_remote_addr) in a "
                    "zone of {size}, set in {file}. A visitor who reads and clicks sends fewer "
                    "than 5 requests a second to the application; a page that sends more needs a "
                    "higher rate.",
                    size=of_bytes(10 << 20),
                    file=of_path(OURS),
                ),
                _with(RATES, rate or RATE),
                taken=taken,
                done=bool(rate),
            )
        yield from map(_item, places)

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        wanted = {key: value.strip() for key, value in wishes.items() if value.strip()}
        if not wanted:
            return common.plan_of(())
        seen = see(self._ground)
        if seen.absent:
            raise InvalidValueError(msg("[nginx] {why}", why=seen.absent))
        if seen.broken:
            raise RefusedError(
                sentences(
                    msg("nginx's configuration is broken already, so nothing is changed in it."),
                    seen.broken,
                    msg("Correct it until `{command}` reports no error.", command=_TEST),
                )
            )
        _check(wanted, seen)
        places = {p.key: p for p in seen.places}
        texts: dict[str, str] = {}
        before: dict[str, str] = {}
        # From the end of each file, so that the lines above stay where they are.
        todo = sorted(
            (places[key] for key in wanted if key != RATE_KEY),
            key=lambda p: -p.location.directive.line,
        )
        for place in todo:
            if place.location.bounded and not place.ours:
                continue  # bounded by a line of theirs
            if place.ours and place.burst == wanted[place.key]:
                continue
            if place.by_hand:
                raise RefusedError(_unchangeable(place))
            text = seen.config.texts[place.location.directive.file]
            before.setdefault(place.file, text)
            made = edited(texts.get(place.file, text), place.location, wanted[place.key])
            if made is None:
                raise RefusedError(
                    msg(
                        "The place for limit_req in {location} cannot be determined: write this "
                        "line there yourself: {line}",
                        location=place.shown,
                        line=of_setting(statement(wanted[place.key])),
                    )
                )
            texts[place.file] = made
        files = [*self._zone_file(wanted, seen, bounded=bool(texts))]
        files += [FileChange(path, before[path], text) for path, text in sorted(texts.items())]
        if not files:
            return common.plan_of(())
        actions = (
            common.tested(NAME, "nginx -t"),
            common.again("reload", UNIT),
        )
        return common.plan_of(files, actions, _warnings(sorted(texts)))

    def _zone_file(
        self, wanted: Mapping[str, str], seen: Seen, *, bounded: bool
    ) -> Iterator[FileChange]:
        rate = wanted.get(RATE_KEY, "")
        now = _rate(seen)
        if zone_of_theirs(seen) or (not rate and not bounded) or (now and rate in {"", now}):
            return
        if not zone_possible(seen):
            raise RefusedError(_not_included())
        if sentence := common.obstacle(self._ground.files, OURS):
            raise RefusedError(sentence)
        text, _ = common.read(self._ground.files, OURS)
        yield FileChange(OURS, text, _zone_text(rate or RATE))


def make(ground: Ground) -> NginxStep:
    """Return the step."""
    return NginxStep(ground)


def _check(wanted: Mapping[str, str], seen: Seen) -> None:
    keys = [RATE_KEY, *(p.key for p in seen.places)]
    for key, value in wanted.items():
        if key not in keys:
            raise common.unknown("nginx", key, keys)
        if key == RATE_KEY and not _RATE.match(value):
            raise common.wrong("nginx", key, value, msg("a rate such as 5r/s or 30r/m"))
        if key != RATE_KEY and not _BURST.match(value):
            raise common.wrong("nginx", key, value, msg("something like burst=10 nodelay"))


def _zone_text(rate: str) -> str:
    return (
        "# Written by lowmem-tui. The zone for the lines `limit_req zone=lowmem …` in the\n"
        "# locations that pass requests to an application: remove them before this file\n"
        "# (`lowmem-tui undo` does both).\n"
        f"limit_req_zone $binary_remote_addr zone={ZONE}:10m rate={rate};\n"
    )


def _rate(seen: Seen) -> str:
    """Return the rate of the zone of our name; "" if there is none."""
    zone = seen.zones.get(ZONE)
    return zone.rate if zone else ""


def _ours_to_do(seen: Seen) -> list[Place]:
    return [p for p in seen.places if not p.by_hand and (p.ours or p.location.limit is None)]


def _item(place: Place) -> Item:
    passes, path = place.location.passes.partition(" ")[0], plain(place.location.path)
    value = place.burst if place.ours else _burst(place)
    line = msg(
        "One line with limit_req is added to {location}. The file is not one of lowmem-tui: the "
        "rest of it is not changed, the review shows the line, and undo restores the file.",
        location=place.shown,
    )
    return Item(
        place.key,
        msg("limit_req for {passes} at {path}", passes=of_setting(passes), path=of_text(path)),
        place.burst if place.ours else msg("no limit_req"),
        value,
        sentences(None if place.ours else place.caution, line),
        _with(BURSTS, value),
        taken=place.ours or not place.caution,
        done=place.ours,
    )


def _burst(place: Place) -> str:
    return BURST_OF_MANY if nginx_static.burst_of_many(place.location) else BURST


def _facts(seen: Seen) -> Iterator[Message]:
    if seen.elsewhere:
        yield seen.elsewhere
    files = plural(
        "{n} file is read ({main}).",
        "{n} files are read, {main} first.",
        len(seen.config.texts),
        main=of_path(seen.main),
    )
    yield sentences(_passing(seen), files)
    for name, zone in seen.zones.items():
        yield msg(
            "{file} sets the limit_req_zone {name} with {rate}, counted by {key}.",
            file=of_path(zone.file),
            name=of_text(name, 60),
            rate=of_text(zone.rate, 60),
            key=of_text(zone.key, 200),
        )
    status = next((d for d in seen.config.find("http", "limit_req_status") if d.args), None)
    if status:
        code = of_text(status.args[0], 20)
        yield msg("limit_req_status: what limit_req refuses is answered with {code}.", code=code)
    for why in seen.config.unread:
        yield msg("A part of the configuration is unknown: {why}.", why=why)


def _passing(seen: Seen) -> Message:
    """Return how many locations pass requests to an application, and how many are bounded."""
    bounded = sum(p.location.bounded for p in seen.places)
    if not seen.places:
        return msg("No location passes requests to an application.")
    if not bounded:
        return plural(
            "{n} location passes requests to an application, without an effective limit_req.",
            "{n} locations pass requests to an application, none of them with an effective "
            "limit_req.",
            len(seen.places),
        )
    return plural(
        "{n} location passes requests to an application, with a limit_req.",
        "{n} locations pass requests to an application, {bounded} of them with a limit_req.",
        len(seen.places),
        bounded=bounded,
    )


def _findings(seen: Seen) -> Iterator[Finding]:
    for place in seen.places:
        if place.dry:
            yield _dry(place)
        elif place.location.limit is None and not place.static and not seen.config.unread:
            yield _unbounded(place, seen)
    yield from nginx_zones.findings(
        seen.zones,
        [place.location for place in seen.places if place.location.bounded],
        {OURS: common.remedy("nginx")},
    )


def _unbounded(place: Place, seen: Seen) -> Finding:
    return Finding(
        "nginx-unbounded",
        Severity.ADVICE if place.caution else Severity.WARNING,
        place.file,
        sentences(
            msg(
                "{location} has no limit_req: it passes on every request ({passes}), however many "
                "one address sends.",
                location=place.shown,
                passes=of_setting(plain(place.location.passes, 80)),
            ),
            place.caution,
        ),
        _line_by_hand(seen) if place.by_hand else common.remedy("nginx"),
    )


def _lacks_zone(seen: Seen) -> bool:
    """Return whether the zone is not set, and nothing that is done from here would set it."""
    return ZONE not in seen.zones and not _ours_to_do(seen)


def _line_by_hand(seen: Seen) -> Message:
    if not _lacks_zone(seen):
        return msg("by hand: {line}", line=_LINE)
    return msg("by hand: {zone} in http, and {line} there", zone=_ZONE_LINE, line=_LINE)


def _dry(place: Place) -> Finding:
    return Finding(
        "nginx-dry-run",
        Severity.WARNING,
        place.file,
        msg(
            "limit_req_dry_run is on for {location}: limit_req only counts there, and refuses "
            "nothing.",
            location=place.shown,
        ),
        msg(
            "by hand: remove `{line}` ({where}), then reload nginx",
            line=of_setting("limit_req_dry_run on;"),
            where=place.dry or "",
        ),
    )


def _by_hand(seen: Seen) -> Iterator[Message]:
    for place in seen.places:
        if place.location.limit is None and place.by_hand and not place.static:
            line = msg("Write this as its first line: {line}", line=_LINE)
            yield sentences(_unchangeable(place), line)
    unbounded = [p for p in seen.places if p.location.limit is None and not p.static]
    if _lacks_zone(seen) and any(place.by_hand for place in unbounded):
        yield msg(
            "nginx refuses limit_req without its zone: write this line into the http block as "
            "well: {line}",
            line=_ZONE_LINE,
        )
    if unbounded and not _lacks_zone(seen) and not zone_possible(seen):
        yield _not_included()
    if seen.places and not any(seen.config.find("http", "real_ip_header")):
        yield msg(
            "Behind a load balancer or a CDN all visitors come from its address and share one "
            "limit: if there is one, set real_ip_header and set_real_ip_from first."
        )


def _unchangeable(place: Place) -> Message:
    return sentences(
        msg("lowmem-tui cannot change {location}.", location=place.shown),
        as_message(place.by_hand),
    )


def _not_included() -> Message:
    return msg(
        "{main} does not include {file} in http: write `{line}` there, then run this again.",
        main=of_path(nginx_config.MAIN),
        file=of_path(OURS),
        line=of_setting("include /etc/nginx/conf.d/*.conf;"),
    )


def _warnings(paths: list[str]) -> Iterator[Notice]:
    for path in paths:
        yield Notice(
            "nginx-their-file",
            UNIT,
            msg(
                "{file} is not a file of lowmem-tui: one line is added for each selected location, "
                "and `{command}` restores the file.",
                file=of_path(path),
                command=of_command("lowmem-tui undo"),
            ),
        )


def _with(choices: tuple[str, ...], value: str) -> tuple[str, ...]:
    return choices if value in choices else (value, *choices)
