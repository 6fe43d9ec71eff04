"""nginx: how many requests one address may send on to the application."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError, RefusedError
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

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.nginx.seen import Place, Seen

RATE_KEY = "rate"
RATE = "5r/s"
RATES = ("2r/s", "5r/s", "10r/s", "20r/s", "50r/s")
BURST_OF_MANY = "burst=40 nodelay"
"""Where a page asks several things at once."""
BURSTS = ("burst=5 nodelay", "burst=10 nodelay", "burst=20 nodelay", "burst=40 nodelay")

_RATE = re.compile(r"[1-9][0-9]{0,5}r/[sm]\Z")
_BURST = re.compile(r"burst=[1-9][0-9]{0,5}(?: nodelay| delay=[1-9][0-9]{0,5})?\Z")


class NginxStep:
    """See ``Step``."""

    name = "nginx"
    title = "nginx: requests to the application"
    about = (
        "One visitor, or one robot, can send more requests than a small application can hold in "
        "memory at once. nginx can bound them for each address before they reach it: what is "
        "beyond is answered with 503 by nginx, which costs next to nothing."
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
                        f"nginx would not start again, and no limit_req is proposed: {seen.broken}",
                        "correct the file until `sudo nginx -t` reports no error",
                    ),
                ),
                by_hand=("No limit_req is proposed until `sudo nginx -t` reports no error.",),
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
                "how often one address may ask",
                f"at most {rate}" if rate else "as often as it likes",
                rate or RATE,
                f"limit_req_zone: a zone of 10 MB in a file of our own ({OURS}), counted for each "
                "address ($binary_remote_addr). Someone who reads and clicks stays below 5 "
                "requests to the application in a second; a page that calls it more often needs "
                "more.",
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
            raise InvalidValueError(f"[nginx] {seen.absent}")
        if seen.broken:
            raise RefusedError(
                f"nginx's configuration is broken already, so nothing is put into it: "
                f"{seen.broken} Correct it until `sudo nginx -t` reports no error."
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
                raise RefusedError(f"{place.shown} cannot be changed: {place.by_hand}")
            text = seen.config.texts[place.location.directive.file]
            before.setdefault(place.file, text)
            made = edited(texts.get(place.file, text), place.location, wanted[place.key])
            if made is None:
                raise RefusedError(
                    f"{place.shown}: the place cannot be told for sure; put in by hand: "
                    f"{statement(wanted[place.key])}"
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
            raise RefusedError(
                f"{nginx_config.MAIN} does not include {OURS} within http: put `include "
                "/etc/nginx/conf.d/*.conf;` there, then run this again."
            )
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
            raise common.wrong("nginx", key, value, "a rate such as 5r/s or 30r/m")
        if key != RATE_KEY and not _BURST.match(value):
            raise common.wrong("nginx", key, value, "something like burst=10 nodelay")


def _zone_text(rate: str) -> str:
    return (
        "# Written by lowmem-tui. The zone for the lines `limit_req zone=lowmem …` in the\n"
        "# locations that hand requests to an application: take them away before this file\n"
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
    line = (
        f"One line with limit_req put into {place.shown}. The file is the administrator's: the "
        "rest of it stays byte for byte, the review shows the line, and undo restores the file."
    )
    return Item(
        place.key,
        f"limit_req: bound {passes} at {path}",
        place.burst if place.ours else "no bound",
        value,
        line if place.ours or not place.caution else f"{place.caution} {line}",
        _with(BURSTS, value),
        taken=place.ours or not place.caution,
        done=place.ours,
    )


def _burst(place: Place) -> str:
    return BURST_OF_MANY if nginx_static.burst_of_many(place.location) else BURST


def _facts(seen: Seen) -> Iterator[str]:
    count = len(seen.places)
    bounded = sum(p.location.bounded for p in seen.places)
    files = len(seen.config.texts)
    if seen.elsewhere:
        yield seen.elsewhere
    told = f"{files} {'file' if files == 1 else 'files'} read, {plain(seen.main)} first: "
    if count:
        yield (
            f"{told}{count} {'location hands' if count == 1 else 'locations hand'} requests on to "
            f"an application, {bounded or 'none'} of them with a bound (limit_req)."
        )
    else:
        yield f"{told}no location hands requests on to an application."
    for name, zone in seen.zones.items():
        yield (
            f"There is a zone {plain(name)} of {plain(zone.rate)} in {plain(zone.file)}, "
            f"counted by {plain(zone.key)}."
        )
    status = next((d for d in seen.config.find("http", "limit_req_status") if d.args), None)
    if status:
        yield f"What limit_req refuses is answered with {plain(status.args[0], 20)} here."
    yield from (f"{trouble}: what it says is not known." for trouble in seen.config.unread)


def _findings(seen: Seen) -> Iterator[Finding]:
    for place in seen.places:
        if place.dry:
            yield _dry(place)
        elif place.location.limit is None and not place.static and not seen.config.unread:
            yield _unbounded(place)
    yield from nginx_zones.findings(
        seen.zones,
        [place.location for place in seen.places if place.location.bounded],
        {OURS: common.remedy("nginx")},
    )


def _unbounded(place: Place) -> Finding:
    return Finding(
        "nginx-unbounded",
        Severity.ADVICE if place.caution else Severity.WARNING,
        place.file,
        f"{place.shown} sends every request on ({plain(place.location.passes, 80)}), however many "
        f"one address makes: it has no limit_req.{' ' if place.caution else ''}{place.caution}",
        f"by hand: {statement(BURST)}" if place.by_hand else common.remedy("nginx"),
    )


def _dry(place: Place) -> Finding:
    limit = "the limit_req there" if place.location.limit else "a limit_req"
    return Finding(
        "nginx-dry-run",
        Severity.WARNING,
        place.file,
        f"limit_req_dry_run is on for {place.shown}: {limit} only counts, and refuses nothing.",
        f"by hand: take `limit_req_dry_run on;` out of {place.dry}, then reload nginx",
    )


def _by_hand(seen: Seen) -> Iterator[str]:
    for place in seen.places:
        if place.location.limit is None and place.by_hand and not place.static:
            yield (
                f"{place.shown}: {place.by_hand.rstrip('.')}; put in as its first line: "
                f"{statement(BURST)}"
            )
    unbounded = [p for p in seen.places if p.location.limit is None and not p.static]
    if unbounded and not seen.elsewhere and not zone_possible(seen):
        yield (
            f"{nginx_config.MAIN} includes no conf.d/*.conf within http: put `include "
            "/etc/nginx/conf.d/*.conf;` there, then run this again."
        )
    if seen.places and not any(seen.config.find("http", "real_ip_header")):
        yield (
            "Is there a load balancer or a CDN in front? Then all visitors come from its address "
            "and share one bound: set real_ip_header and set_real_ip_from first."
        )


def _warnings(paths: list[str]) -> Iterator[Notice]:
    for path in paths:
        yield Notice(
            "nginx-their-file",
            UNIT,
            f"{plain(path)} is not a file of lowmem-tui: one line is put into it for each location "
            "taken, and `lowmem-tui undo` restores it byte for byte.",
        )


def _with(choices: tuple[str, ...], value: str) -> tuple[str, ...]:
    return choices if value in choices else (value, *choices)
