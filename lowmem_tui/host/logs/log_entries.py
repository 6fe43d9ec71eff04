"""The entries of a log file, one after the other, whatever shape they have; as of the journal.

Text lines (``log_lines``), and what ``journalctl`` prints as json, json-seq, export and verbose,
and ``dmesg -J``. Nothing is held but the entry that is being read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.logs import journal
from lowmem_tui.host.logs.journal import LONGEST_MESSAGE, TEXT, Entry
from lowmem_tui.host.logs.log_lines import Heads
from lowmem_tui.model.incident import Clock

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

    from lowmem_tui.host.logs.log_lines import Head

LONGEST = 1 << 16
"""Bytes of a line, or of a field, that are looked at; the rest of it is passed over."""

MOST_BOOTS = 1000
MOST_FIELDS = 200
"""Of one entry."""

RESTARTED = 60.0
"""Seconds by which the kernel's clock goes back where the machine was booted again: lines of
several processors may be out of order."""

BINARY = 1 << 26
"""Bytes of a field of ``export`` that are passed over at the most."""

_SPECIAL = frozenset({b"{", b"\x1e", b"d", b"_", b" ", b"\t", b"-"})
"""How lines begin that may be no text."""

_CHEAP = re.compile(
    rb"ill|oom|[Mm]em|llocat|\+0x|\) from \[|swap|Comm: |object size|suppressed|systemd|nohang"
    rb"|Linux version|\[1\]: "
)
"""Every line that matters has one of these: most lines cost no more than this."""

_VERBOSE = re.compile(
    rb"\S{2,5} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.?\d{0,9} \S{1,6} \[s=[0-9a-f]{1,32};"
)
_VERBOSE_PARTS = re.compile(rb";b=([0-9a-f]{32});m=[0-9a-f]{1,16};t=([0-9a-f]{1,16});")
_REBOOT = re.compile(rb"^-- (?:Boot [0-9a-f]{32}|Reboot) --")
_FIRST = "Linux version "


class Seen(NamedTuple):
    """An entry, and what its time counts from."""

    entry: Entry
    clock: Clock
    context: str = ""


class Entries:
    """Reads a log; yields what may matter."""

    def __init__(self, stream: io.BufferedReader, now: float) -> None:
        self._stream, self._heads = stream, Heads(now)
        self._boot = 0
        self._uptime = 0.0
        self._moment: float | None = None
        """Where lines tell only the time since the one before: the present one's."""
        self._deltas = False
        self._verbose: dict[str, str] | None = None
        """The entry of ``-o verbose`` that is being read."""
        self._pretty: list[bytes] | None = None
        """The same of ``-o json-pretty``."""
        self.lines = 0
        """How many were read."""
        self._known = False
        """What was read has heads of a log."""

    @property
    def understood(self) -> bool:
        """Whether anything looked like a log."""
        return self._known

    def read(self) -> Iterator[Seen]:
        """Yield the entries that may matter, in their order."""
        while raw := self._stream.readline(LONGEST):
            if not raw.endswith(b"\n") and len(raw) == LONGEST:
                self._skip()
            self.lines += 1
            yield from self._line(raw.rstrip(b"\r\n"))
        yield from self._end_verbose()

    def _skip(self) -> None:
        """Pass over the rest of a line that is too long."""
        while (more := self._stream.readline(LONGEST)) and not more.endswith(b"\n"):
            continue

    def _line(self, raw: bytes) -> Iterator[Seen]:
        if raw[:1] in _SPECIAL or self._pretty is not None or b" [s=" in raw[:64]:
            found = self._structured(raw)
            if found is not None:
                yield from found
                return
        yield from self._end_verbose()
        if self._deltas or not self._known or _CHEAP.search(raw):
            yield from self._text(raw)

    def _structured(self, raw: bytes) -> Iterable[Seen] | None:
        """Read a line of an entry with fields; None if it is none."""
        if self._pretty is not None or raw == b"{":
            return self._json_pretty(raw)
        if self._verbose is not None and raw.startswith(b"    "):
            self._field(raw.strip())
            return ()
        if raw.startswith((b"{", b"\x1e{", b"data: {")):
            return self._json(raw)
        if raw.startswith((b"__CURSOR=", b"__REALTIME_TIMESTAMP=")):
            return self._export(raw)
        if raw.lstrip().startswith((b'"time":', b'"msg":')):
            return self._dmesg_json(raw.strip())
        if _REBOOT.match(raw):
            self._reboot()
            return ()
        return self._begin_verbose(raw)

    def _json(self, raw: bytes) -> Iterator[Seen]:
        entry = journal.parse_entry(raw[raw.index(b"{") :])
        if entry is not None:
            self._known = True
            yield Seen(entry, Clock.WALL)

    def _json_pretty(self, raw: bytes) -> Iterable[Seen]:
        pretty = self._pretty = self._pretty or []
        pretty.append(raw)
        if raw.lstrip().startswith(b'"dmesg"') or len(pretty) > 2 * MOST_FIELDS:
            self._pretty = None  # not one entry, but the list of all
        elif raw.rstrip(b",") == b"}":
            self._pretty = None
            return self._json(b"\n".join(pretty).rstrip(b","))
        return ()

    def _begin_verbose(self, raw: bytes) -> Iterable[Seen] | None:
        if _VERBOSE.match(raw) is None or (parts := _VERBOSE_PARTS.search(raw)) is None:
            return None
        found = list(self._end_verbose())
        usec = int.from_bytes(bytes.fromhex(parts[2].decode().zfill(16)))
        self._verbose = {"_BOOT_ID": parts[1].decode(), "__REALTIME_TIMESTAMP": str(usec)}
        return found

    def _field(self, raw: bytes) -> None:
        name, equals, value = raw.partition(b"=")
        if self._verbose is not None and equals and len(self._verbose) < MOST_FIELDS:
            key = name.decode("ascii", "replace")
            self._verbose.setdefault(key, value.decode("utf-8", "backslashreplace"))

    def _end_verbose(self) -> Iterator[Seen]:
        fields, self._verbose = self._verbose, None
        entry = journal.entry_of(fields) if fields else None
        if entry is not None:
            self._known = True
            yield Seen(entry, Clock.WALL)

    def _export(self, first: bytes) -> Iterator[Seen]:
        """Read an entry of the export format (systemd's JOURNAL_EXPORT_FORMATS)."""
        fields: dict[str, str] = {}
        raw = first
        while raw:
            name, equals, value = raw.partition(b"=")
            if not equals:
                value = self._binary()
            key = name.decode("ascii", "replace")
            if len(fields) < MOST_FIELDS and key not in fields:
                text = value[: LONGEST_MESSAGE * 4].decode("utf-8", "backslashreplace")
                fields[key] = text
            raw = self._stream.readline(LONGEST)
            if len(raw) == LONGEST and not raw.endswith(b"\n"):
                self._skip()
            self.lines += 1
            raw = raw.rstrip(b"\n")
        entry = journal.entry_of(fields)
        if entry is not None:
            self._known = True
            yield Seen(entry, Clock.WALL)

    def _binary(self) -> bytes:
        size = int.from_bytes(self._stream.read(8), "little")
        value = self._stream.read(min(size, LONGEST))
        left = min(size - len(value), BINARY)
        while left > 0 and (piece := self._stream.read(min(left, LONGEST))):
            left -= len(piece)
        self._stream.readline(LONGEST)
        return value

    def _dmesg_json(self, raw: bytes) -> Iterator[Seen]:
        try:
            found = json.loads(b"{" + raw.rstrip(b",") + b"}")
        except (ValueError, RecursionError):
            return
        time, text = found.get("time"), found.get("msg")
        if isinstance(time, int | float) and 0 <= time < 1e12:
            self._clock(float(time))
        elif isinstance(text, str):
            self._known = True
            head = self._heads.read(text)
            yield self._seen(head._replace(uptime=self._uptime), text=head.text)

    def _text(self, raw: bytes) -> Iterator[Seen]:
        head = self._heads.read(raw.decode("utf-8", "backslashreplace"))
        dated = head.time is not None or head.uptime is not None or head.delta is not None
        self._known = self._known or dated
        if head.uptime is not None:
            self._clock(head.uptime)
        if head.text.startswith(_FIRST) and head.who == "kernel" and self._uptime > 1:
            self._reboot()
        if head.delta is not None:
            self._deltas = True
            base = self._moment or 0.0
            self._moment = base + head.delta
        elif self._deltas or head.time is not None:
            self._moment = head.time if head.time is not None else self._moment
        yield self._seen(head, text=head.text)

    def _seen(self, head: Head, *, text: str) -> Seen:
        time, clock = head.time, Clock.WALL
        if time is None and head.delta is not None:
            time = self._moment
            clock = Clock.WALL if (time or 0) > 1e8 else Clock.NONE
        elif time is None and head.uptime is not None:
            time, clock = head.uptime, Clock.BOOT
        if time is None and self._moment is not None and not self._deltas:
            time = self._moment  # the rest of an entry whose head is on an earlier line
        if time is None:
            # The order is all there is.
            time, clock = self.lines / 1_000_000, Clock.NONE
        kernel = head.who == "kernel"
        fields = {"_TRANSPORT": "kernel" if kernel else TEXT, "SYSLOG_IDENTIFIER": head.who}
        if head.pid:
            fields["SYSLOG_PID"] = head.pid
        boot = f"{self._boot:04x}{clock.value:->28}"
        entry = Entry("", time, boot, kernel, text[:LONGEST_MESSAGE], fields)
        return Seen(entry, clock, head.context)

    def _clock(self, uptime: float) -> None:
        if uptime < self._uptime - RESTARTED:
            self._reboot()
        self._uptime = uptime

    def _reboot(self) -> None:
        self._boot = min(self._boot + 1, MOST_BOOTS)
        self._moment = None
        self._uptime = 0.0
