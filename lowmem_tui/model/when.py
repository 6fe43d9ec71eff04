"""A moment as a person writes it: what ``journalctl --since`` takes (systemd.time(7)), and more.

A time span alone is so long ago, and zones may be written as RFC 3339 has them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_text
from lowmem_tui.model.quantity import parse_time_span

if TYPE_CHECKING:
    from datetime import tzinfo

LONGEST = 100
"""Characters that are looked at."""

USEC = 1_000_000

_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SINCE_1970 = re.compile(r"@([0-9]{1,12})(?:\.([0-9]{1,9}))?")
_FULL = re.compile(
    r"(?:(?P<weekday>[A-Za-z]{3,9}) )?"
    r"(?:(?P<year>[0-9]{4}|[0-9]{2})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2}))?"
    r"(?:(?P<between>[ Tt]|\A)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})"
    r"(?::(?P<second>[0-9]{1,2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r"(?: ?(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_SPAN = re.compile(r"([0-9].*?)( ago| left)?")


def parse_when(text: str, now: float, zone: tzinfo | None = None) -> float:
    """Return the moment that is meant, in seconds since 1970. Raises InvalidValueError.

    ``now`` is the present, ``zone`` where days begin and times are; the machine's own if None.
    """
    words = " ".join(text.split()) if len(text) <= LONGEST else ""
    try:
        found = _meant(words, now, zone)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        raise InvalidValueError(
            msg(
                "'{text}' is not a time: write it as for `journalctl --since` (yesterday, "
                "'2 hours ago', -2h, 2026-01-31, '2026-01-31 03:00', 03:00, @1700000000), or 2h, "
                "3d, boot.",
                text=of_text(text, 40),
            )
        )
    return found


def _meant(words: str, now: float, zone: tzinfo | None) -> float | None:
    if words.lower() == "now":
        return now
    if (match := _SINCE_1970.fullmatch(words)) is not None:
        return float(f"{match[1]}.{match[2] or 0}")
    if words[:1] in {"-", "+"}:
        return _shifted(now, words[1:], later=words[0] == "+")
    rest, named = _zone(words)
    if named is not None:
        zone, words = named, rest
    if (days := _DAYS.get(words.lower())) is not None:
        start = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return _stamp(start.replace(tzinfo=None) + timedelta(days=days), zone)
    if (match := _FULL.fullmatch(words)) is not None and (match["day"] or match["hour"]):
        return _moment(match, now, zone)
    match = _SPAN.fullmatch(words)
    if match is None or named is not None:
        return None
    if match[2] is None and natural(match[1]) is not None:
        return None  # a number alone: seconds, a year, seconds since 1970?
    return _shifted(now, match[1], later=match[2] == " left")


def _zone(words: str) -> tuple[str, tzinfo | None]:
    """Return what stands before the name of a time zone, and the zone; None without one."""
    before, _, name = words.rpartition(" ")
    if name.upper() == "UTC":
        return before, UTC
    if before and re.fullmatch(r"[A-Z][A-Za-z_]{1,30}(?:/[A-Za-z0-9_+-]{1,30}){1,2}", name):
        from zoneinfo import ZoneInfo  # seldom wanted, and not small

        try:
            return before, ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            return words, None
    return words, None


def _shifted(now: float, span: str, *, later: bool) -> float | None:
    usec = parse_time_span(span)
    if not isinstance(usec, int):
        return None
    return now + usec / USEC if later else max(0.0, now - usec / USEC)


def _moment(match: re.Match[str], now: float, zone: tzinfo | None) -> float | None:
    if bool(match["between"]) != bool(match["day"] and match["hour"]):
        return None
    if match["offset"]:
        if not match["hour"]:
            return None
        zone = _offset(match["offset"])
    if match["day"]:
        year, month, day = (natural(match[part]) or 0 for part in ("year", "month", "day"))
        if len(match["year"]) == 2:
            year += 1900 if year >= 69 else 2000
        if not 1 <= day <= 31:
            return None
        # As mktime(3): February has its 30th in March.
        at = datetime(year, month, 1) + timedelta(days=day - 1)  # noqa: DTZ001
    else:
        at = datetime.fromtimestamp(now, zone).replace(
            hour=0, minute=0, second=0, microsecond=0, tzinfo=None
        )
    if match["weekday"] and not _is(match["weekday"].lower(), at):
        return None
    hour, minute, second = (natural(match[part] or "0") or 0 for part in _CLOCK)
    if hour > 23 or minute > 59 or second > 60:
        return None
    usec = natural((match["fraction"] or "0").ljust(6, "0")[:6]) or 0
    at += timedelta(hours=hour, minutes=minute, seconds=second, microseconds=usec)
    stamp = _stamp(at, zone)
    return stamp if stamp >= 0 else None


_CLOCK = ("hour", "minute", "second")


def _is(name: str, day: datetime) -> bool:
    whole = _WEEKDAYS[day.weekday()]
    return name in {whole, whole[:3]}


def _offset(text: str) -> tzinfo:
    if text in {"Z", "z"}:
        return UTC
    hours, minutes = natural(text[1:3]) or 0, natural(text[-2:]) or 0
    if len(text) == 3:
        minutes = 0
    shift = timedelta(hours=hours, minutes=minutes)
    return timezone(-shift if text[0] == "-" else shift)


def _stamp(at: datetime, zone: tzinfo | None) -> float:
    return at.replace(tzinfo=zone).timestamp()
