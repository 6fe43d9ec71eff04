"""One line of a log in any of the shapes in which kernel logs are handed about. Pure.

dmesg (plain, -T, -x, -r, -e, -H, -d, --time-format iso), syslog (RFC 3164, RFC 5424 and the dates
of rsyslog), journalctl (short, short-iso, short-precise, short-monotonic, short-full, short-unix,
with-unit), /proc/kmsg, netconsole (plain and extended), and lines without any head.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from lowmem_tui.host.logs import kmsg
from lowmem_tui.model.integer import natural

LONGEST = 8192
"""Characters of a line that are looked at."""


class Head(NamedTuple):
    """What stands before a line's text."""

    text: str
    who: str = "kernel"
    """The program; ``kernel`` where the line names none."""
    pid: str = ""
    time: float | None = None
    """Seconds since 1970."""
    uptime: float | None = None
    """Seconds since the boot."""
    delta: float | None = None
    """Seconds since the line before."""
    context: str = ""


_COLOURS = re.compile(r"\x1b\[[0-9;]{0,12}m")
_LEVEL = re.compile(r"(?:<[0-9]{1,3}>(?:1 )?)?(?:[a-z0-9]{1,9} {0,7}:[a-z]{1,6} {0,6}: ?)?")
"""The priority of /proc/kmsg and RFC 5424; the words of ``dmesg -x``."""

_RECORD = re.compile(r"([0-9]{1,4}),([0-9]{1,20}),([0-9]{1,18}),[-c+](?:,([^;\s]{0,200}))?;")
_UPTIME = re.compile(r"\[ {0,12}([0-9]{1,12}\.[0-9]{1,9})(?: <[ 0-9.+-]{1,30}>)?\]")
_DELTA = re.compile(r"\[(?:<| {0,9}\+) {0,12}([0-9]{1,12}\.[0-9]{1,9})>?\]")
_CALLER = re.compile(r" ?\[ {0,8}([TC][0-9]{1,10}(?:@C[0-9]{1,5})?)\]")
_CTIME = re.compile(
    r"\[\S{1,10} (\S{1,12}) {1,2}(\S{1,12}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) ([0-9]{4})"
    r"(?: <[ 0-9.+-]{1,30}>)?\]"
)
"""``dmesg -T``; in some languages the day stands before the month."""

_SHORT_DATE = re.compile(r"\[([A-Z][a-z]{2}) ?([0-9]{1,2}) ([0-9]{2}:[0-9]{2})\]")
_SYSLOG = re.compile(
    r"([^\W\d_]{3,9}|[0-9]{1,2}月)\.? {1,2}([0-9]{1,2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:[.,]([0-9]{1,9}))? "
)
_ISO = re.compile(
    r"(?:[^\W\d_]{2,4}\.? )?([0-9]{4})-([0-9]{2})-([0-9]{2})([T ])([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:([.,])([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2})?(?: ([A-Z]{1,5}|[+-][0-9]{2}))? "
)
_UNIX = re.compile(r"([0-9]{9,11}\.[0-9]{1,9}) ")
_PRIORITY = (
    r"(?:(?:kern|user|daemon|auth|authpriv|syslog|cron|mail|local[0-7])"
    r"\.(?:emerg|alert|crit|err|warn|notice|info|debug) )?"
)
"""What busybox' syslogd writes before the program."""

_TAG = re.compile(
    rf"(?:(\S{{0,254}}[^\s:]) )?{_PRIORITY}([^\s:\[\]]{{1,128}})(?:\[([0-9]{{1,10}})\])?: ?"
)
_KERNEL_TAG = re.compile(r"(?:\S{1,255} )?(?:kernel: ?|([^\s:\[\]]{1,128})\[([0-9]{1,10})\]: )")
_RFC5424 = re.compile(r"\S{1,255} (\S{1,48}) (\S{1,128}) \S{1,32} (?:-|\[[^\]]{0,1000}\]) ?")
_HOST_ALONE = re.compile(r"\S{1,255} (?=\[ {0,12}[0-9]{1,12}\.[0-9])")
_GUEST = re.compile(r"<[0-9]{1,3}>(\[ {0,12}[0-9]{1,12}\.[0-9]{1,9}\])")
_INIT = re.compile(r"(systemd)\[([0-9]{1,10})\]: ")

_MONTHS = {
    name: at
    for at, names in enumerate(
        (
            "jan gen ene", "feb fev fév fe", "mar mär mrt", "apr avr abr", "may mai mag maj mei",
            "jun juin giu", "jul juil lug", "aug aoû ago", "sep set", "oct okt ott out", "nov",
            "dec dez dic déc",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip


class Heads:
    """Reads the heads of one log's lines; ``now`` dates those that have no year."""

    def __init__(self, now: float) -> None:
        self._now = now

    def read(self, line: str) -> Head:
        """Return a line's head and its text. Never raises."""
        line = line[:LONGEST]
        if "\x1b" in line:
            line = _COLOURS.sub("", line)
        if (record := _RECORD.match(line)) is not None:
            return _of_record(record, line)
        level = _LEVEL.match(line)
        start = level.end() if level else 0
        rfc5424 = start > 2 and line.startswith("1 ", start - 2) and line[start - 3] == ">"
        try:
            return self._dated(line, start, rfc5424=rfc5424)
        except (ValueError, OverflowError, OSError):
            return _text(line[start:])

    def _dated(self, line: str, start: int, *, rfc5424: bool) -> Head:
        if line.startswith("[", start):
            return self._in_brackets(line, start)
        if (found := _ISO.match(line, start)) is not None:
            if found[6] == ",":  # dmesg: no host and no program
                return _text(line[found.end() :], time=_iso(found))
            return _of_program(line, found.end(), _iso(found), rfc5424=rfc5424)
        if (found := _SYSLOG.match(line, start)) is not None:
            return _of_program(line, found.end(), self._syslog(found))
        if (found := _UNIX.match(line, start)) is not None:
            return _of_program(line, found.end(), float(found[1]))
        if (tag := _KERNEL_TAG.match(line, start)) is not None:
            return _tagged(tag, line)
        # A console server's own head, or none.
        stamp = _UPTIME.search(line, start, start + 160)
        return self._in_brackets(line, stamp.start()) if stamp else _text(line[start:])

    def _in_brackets(self, line: str, start: int) -> Head:
        if (found := _UPTIME.match(line, start)) is not None:
            uptime = float(found[1])
            caller = _CALLER.match(line, found.end())
            at = caller.end() if caller else found.end()
            text = line[at + 1 :] if line.startswith(" ", at) else line[at:]
            if (tag := _KERNEL_TAG.match(text)) is not None:
                return _tagged(tag, text, uptime=uptime)
            return _text(text, uptime=uptime, context=caller[1] if caller else "")
        if (found := _CTIME.match(line, start)) is not None:
            month, day = (
                (found[1], found[2]) if natural(found[2]) is not None else (found[2], found[1])
            )
            time = _local(_whole(found[4]), _month(month), day, found[3])
            return _text(line[found.end() :].removeprefix(" "), time=time)
        if (found := _DELTA.match(line, start)) is not None:
            return _text(line[found.end() :].removeprefix(" "), delta=float(found[1]))
        if (found := _SHORT_DATE.match(line, start)) is not None:
            minute = self._latest(_month(found[1]), found[2], f"{found[3]}:00")
            return _text(line[found.end() :].removeprefix(" "), time=minute)
        return _text(line[start:])

    def _syslog(self, found: re.Match[str]) -> float | None:
        time = self._latest(_month(found[1]), found[2], found[3])
        return None if time is None else time + _fraction(found[4])

    def _latest(self, month: int, day: str, clock: str) -> float | None:
        """Return the latest such moment that is past, a day's difference of clocks allowed."""
        if not month:
            return None
        year = datetime.fromtimestamp(self._now + 86400).astimezone().year
        for at in range(year, year - 9, -1):
            try:
                time = _local(at, month, day, clock)
            except ValueError:
                continue  # the 29th of February
            if time <= self._now + 86400:
                return time
        return None


def _of_record(record: re.Match[str], line: str) -> Head:
    """Read a record of /dev/kmsg, as extended netconsole sends it."""
    text = kmsg.unescaped(line[record.end() :].encode("utf-8", "surrogateescape"))
    usec = natural(record[3]) or 0
    caller = (record[4] or "").partition("caller=")[2].partition(",")[0]
    return _text(text, uptime=usec / 1_000_000, context=caller)


def _of_program(line: str, at: int, time: float | None, *, rfc5424: bool = False) -> Head:
    """Read what follows a date: a host and a program, or a text at once."""
    if rfc5424 and (found := _RFC5424.match(line, at)) is not None:
        text = line[found.end() :].removeprefix("\ufeff")
        pid = found[2] if natural(found[2]) is not None else ""
        return _kernels(text, time) if found[1] == "kernel" else Head(text, found[1], pid, time)
    if (host := _HOST_ALONE.match(line, at)) is not None or line.startswith("[", at):
        return _kernels(line[host.end() if host else at :], time)
    tag = _TAG.match(line, at)
    if tag is None or tag[1] is None:
        if (bare := _KERNEL_TAG.match(line, at)) is not None:
            return _tagged(bare, line)._replace(time=time)
        # A hypervisor's or a console server's log.
        stamp = _GUEST.search(line, at, at + 160)
        return _kernels(line[stamp.start(1) :], time) if stamp else _text(line[at:], time=time)
    text = line[tag.end() :]
    if tag[2] == "kernel":
        return _kernels(text, time)
    # `-o with-unit` has a unit for a name: of what PID 1 says, the unit that it is about.
    who = "systemd" if tag[3] == "1" else tag[2].removesuffix(".service")
    return Head(text, who, tag[3] or "", time)


def _kernels(text: str, time: float | None) -> Head:
    """Read a text of the kernel, before which its own clock may stand."""
    uptime, context = None, ""
    if (found := _UPTIME.match(text)) is not None:
        uptime, text = float(found[1]), text[found.end() :].removeprefix(" ")
    if (caller := _CALLER.match(text)) is not None:
        context, text = caller[1], text[caller.end() :].removeprefix(" ")
    return _text(text, time=time, uptime=uptime, context=context)


def _tagged(tag: re.Match[str], line: str, uptime: float | None = None) -> Head:
    text = line[tag.end() :]
    if tag[1] is None:
        head = _kernels(text, None)
        return head._replace(uptime=uptime if head.uptime is None else head.uptime)
    return Head(text, tag[1], tag[2], uptime=uptime)


def _text(
    text: str,
    *,
    time: float | None = None,
    uptime: float | None = None,
    delta: float | None = None,
    context: str = "",
) -> Head:
    """Return a line of the kernel, or what PID 1 wrote there."""
    if (init := _INIT.match(text)) is not None:
        return Head(text[init.end() :], init[1], init[2], time, uptime, delta, context)
    return Head(text, "kernel", "", time, uptime, delta, context)


def _month(name: str) -> int:
    if name.endswith("月"):
        found = natural(name[:-1]) or 0
        return found if found <= 12 else 0
    short = name.lower().rstrip(".")
    return _MONTHS.get(short[:4]) or _MONTHS.get(short[:3]) or 0


def _whole(text: str) -> int:
    return natural(text) or 0


def _fraction(digits: str | None) -> float:
    return float(f"0.{digits}") if digits else 0.0


def _local(year: int, month: int, day: str, clock: str) -> float:
    hour, minute, second = (_whole(part) for part in clock.split(":"))
    at = datetime(year, month, _whole(day), hour, minute, min(second, 59))  # noqa: DTZ001
    return at.timestamp()


def _iso(found: re.Match[str]) -> float:
    hour, minute, second = (_whole(part) for part in found[5].split(":"))
    at = datetime(  # noqa: DTZ001
        _whole(found[1]), _whole(found[2]), _whole(found[3]), hour, minute, min(second, 59)
    )
    shift = found[8] or found[9] or ""
    if shift in {"Z", "UTC", "GMT"}:
        at = at.replace(tzinfo=UTC)
    elif shift[:1] in {"+", "-"}:
        minutes = _whole(shift[1:3]) * 60 + (_whole(shift[-2:]) if len(shift) > 3 else 0)
        minutes = -minutes if shift[0] == "-" else minutes
        at = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    # Another zone's name, or none: the time of this machine.
    return at.timestamp() + _fraction(found[7])
