"""The journal, by `journalctl`: which entries are asked for, and what is made of its answer.

What it prints is read as it comes, the newest first, and never held whole: the reader stops at so
many entries or seconds, and journalctl with it. No library: `incidents` must be light.
"""

from __future__ import annotations

import glob
import json
import os
import re
import threading
from typing import TYPE_CHECKING, NamedTuple, cast

from lowmem_tui.host.logs import pid1_text
from lowmem_tui.host.logs.killers import UNITS
from lowmem_tui.host.programs import start
from lowmem_tui.model.errors import LowmemError, NotPermittedError, UnsupportedError
from lowmem_tui.model.incident import EventKind, UnitEvent
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg
from lowmem_tui.model.unit import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from typing import IO

PROGRAM = "journalctl"

LONGEST = 65536
"""Bytes of one entry; a longer one is passed over."""

LONGEST_MESSAGE = 4096
"""Characters of a message that are kept."""

FIELDS = (
    "MESSAGE,MESSAGE_ID,UNIT,UNIT_RESULT,N_RESTARTS,CODE_FUNC,SYSLOG_IDENTIFIER,SYSLOG_PID"
    ",USER_UNIT,_SYSTEMD_UNIT,_COMM,_TRANSPORT,_BOOT_ID"
)

TEXT = "text"
"""``_TRANSPORT`` of an entry that was read from a file of lines: it has no fields but these."""

# Message ids of systemd (sd-messages.h; `journalctl --list-catalog`).
OOM = "fe6faa94e7774663a0da52717891d8ef"
OOMD = "d989611b15e44c9dbf31e3c81256e4ed"
RESULT = "d9b373ed55a64feb8242e02dbe79a49c"
ENDED = "7ad2d189f7e94e70a38c781354912448"
RESTART = "5eb03494b6584870a536b337290809b3"
STARTED = "39f53479d3a045ac8e11786248231fbf"

TOO_OFTEN = "unit_test_start_limit"
"""The function that says "Start request repeated too quickly": that message has no id."""

KILLED_BY = ("oom-kill", "watchdog", "start-limit-hit")
"""Results that are an incident by themselves (systemd.exec(5), ``SERVICE_RESULT``)."""

_KINDS = {
    OOM: EventKind.OOM,
    OOMD: EventKind.OOMD,
    RESULT: EventKind.RESULT,
    ENDED: EventKind.ENDED,
    RESTART: EventKind.RESTART,
    STARTED: EventKind.STARTED,
}

FILES = ("/var/log/journal/*/system.journal", "/run/log/journal/*/system.journal")
"""Where journald keeps what is the system's (systemd-journald.service(8))."""

_NOT_YOURS = msg(
    "The journal of the system may not be read: run this as root, or join the group "
    "systemd-journal."
)
_UNSEEN = ("not seeing messages", "insufficient permissions", "Permission denied")
_NO_GREP = "pattern matching"
_BOOT = re.compile(r"[0-9a-f]{32}")


_KILLERS = {unit: program for program, units in UNITS.items() for unit in units}


class Entry(NamedTuple):
    """One entry of the journal, of what was asked for."""

    cursor: str
    time: float
    """When journald took it in, seconds since 1970."""
    boot: str
    kernel: bool
    message: str
    fields: dict[str, str]


def check_readable() -> None:
    """Raise NotPermittedError where there is a system journal that this user may not read.

    journalctl says nothing of it to a user who has a journal of their own.
    """
    found = [path for pattern in FILES for path in glob.glob(pattern)]
    if found and not any(os.access(path, os.R_OK) for path in found):
        raise NotPermittedError(_NOT_YOURS)


def killers() -> list[str]:
    """Return the match for what tells of kills, exact fields alone: journald has them indexed."""
    results = [f"UNIT_RESULT={word}" for word in KILLED_BY]
    return [
        "_TRANSPORT=kernel",
        *("+", "_PID=1", f"MESSAGE_ID={OOM}", f"MESSAGE_ID={OOMD}"),
        *("+", "_PID=1", f"MESSAGE_ID={RESULT}", *results),
        *("+", "_PID=1", f"CODE_FUNC={TOO_OFTEN}"),
        # A user's manager: it speaks for its own units alone.
        *("+", "_COMM=systemd", f"MESSAGE_ID={OOMD}"),
        *("+", *(f"_SYSTEMD_UNIT={unit}" for unit in _KILLERS)),
    ]


def lives(units: Iterable[str]) -> list[str]:
    """Return the match for the starts and ends of units."""
    ids = [f"MESSAGE_ID={number}" for number in (RESULT, ENDED, RESTART, STARTED)]
    return ["_PID=1", *ids, *(f"UNIT={unit}" for unit in units)]


def parse_entry(raw: bytes) -> Entry | None:
    """Return an entry as ``-o json`` prints it; None for what is cut or odd. Never raises."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return entry_of({str(key): _text(value) for key, value in found.items()})


def entry_of(fields: dict[str, str]) -> Entry | None:
    """Return an entry of these fields; None without a time or a boot. It takes the message out."""
    usec = natural(fields.get("__REALTIME_TIMESTAMP", ""), 17)
    boot = fields.get("_BOOT_ID", "")
    if usec is None or not _BOOT.fullmatch(boot):
        return None
    return Entry(
        fields.get("__CURSOR", ""),
        usec / 1_000_000,
        boot,
        fields.get("_TRANSPORT") == "kernel",
        fields.pop("MESSAGE", "")[:LONGEST_MESSAGE],
        fields,
    )


def program(entry: Entry) -> str:
    """Return the killer beside the kernel that wrote this, by the name of ``killers.UNITS``; or "".

    Who sent an entry is journald's word; in a file of lines it is the name there.
    """
    fields = entry.fields
    if fields.get("_TRANSPORT") == TEXT:
        name = fields.get("SYSLOG_IDENTIFIER", "").removesuffix("-desktop")
        return name if name in UNITS else ""
    return _KILLERS.get(fields.get("_SYSTEMD_UNIT", ""), "")


def _text(value: object) -> str:
    """Return a field; one that is not UTF-8 comes as numbers, one given several times as a list."""
    if isinstance(value, list) and value and isinstance(value[0], str | list):
        value = value[0]
    if isinstance(value, list) and all(isinstance(n, int) and 0 <= n < 256 for n in value):
        return bytes(value).decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else ""


def as_json(entry: Entry) -> str:
    """Return an entry as ``-o json`` prints it, with the fields that are asked for."""
    fields = {name: entry.fields[name] for name in FIELDS.split(",") if name in entry.fields}
    return json.dumps(
        {
            "__CURSOR": entry.cursor,
            "__REALTIME_TIMESTAMP": str(round(entry.time * 1_000_000)),
            "MESSAGE": entry.message,
            **fields,
        }
    )


def of_pid1(entry: Entry) -> bool:
    """Tell whether PID 1 wrote this into the kernel's log, as it does while journald is down."""
    fields = entry.fields
    return (
        (entry.kernel or fields.get("_TRANSPORT") == TEXT)
        and fields.get("SYSLOG_IDENTIFIER") == "systemd"
        and fields.get("SYSLOG_PID") == "1"
    )


def event(entry: Entry) -> UnitEvent | None:
    """Return what systemd says of a unit; None if this is no such message."""
    if of_pid1(entry):
        reported = pid1_text.event(entry.message)
        return None if reported is None else UnitEvent(entry.time, entry.boot, *reported)
    fields = entry.fields
    if fields.get("_TRANSPORT") == TEXT:
        return _of_user_manager(entry)
    unit = fields.get("UNIT", "")
    kind = _KINDS.get(fields.get("MESSAGE_ID", ""))
    if kind is EventKind.OOMD and not unit and fields.get("USER_UNIT"):
        manager = fields.get("_SYSTEMD_UNIT", "")
        unit = manager if manager.startswith("user@") else ""
    if kind is None and fields.get("CODE_FUNC") == TOO_OFTEN:
        kind = EventKind.TOO_OFTEN
    if not unit or len(unit) > MAX_NAME or kind is None or entry.kernel:
        return None
    detail = ""
    if kind is EventKind.RESULT:
        detail = fields.get("UNIT_RESULT", "")[:64]
    elif kind is EventKind.RESTART:
        detail = fields.get("N_RESTARTS", "")[:64]
    return UnitEvent(entry.time, entry.boot, unit, kind, detail)


def _of_user_manager(entry: Entry) -> UnitEvent | None:
    """Return that a user's unit was killed by systemd-oomd: of others its manager may speak."""
    if entry.fields.get("SYSLOG_IDENTIFIER") != "systemd":
        return None
    reported = pid1_text.event(entry.message)
    if reported is None or reported[1] is not EventKind.OOMD:
        return None
    return UnitEvent(entry.time, entry.boot, *reported)


class Reading:
    """One run of journalctl."""

    def __init__(
        self,
        matches: Sequence[str],
        *,
        options: Sequence[str] = (),
        grep: str = "",
        since: float | None = None,
        until: float | None = None,
        most: int,
        seconds: float,
    ) -> None:
        """At most so many entries, within so many seconds; times in seconds since 1970."""
        self._words = [
            PROGRAM, "--no-pager", "--all", "--reverse", "--output=json",
            f"--output-fields={FIELDS}", *options,
        ]  # fmt: skip
        if since is not None:
            self._words.append(f"--since=@{max(0, int(since))}")
        if until is not None:
            self._words.append(f"--until=@{max(0, int(until) + 1)}")
        self._grep = [f"--grep={grep}", "--case-sensitive=yes"] if grep else []
        self._matches = list(matches)
        self._most, self._seconds = most, seconds
        self.cut = False
        """Whether it ended before the journal did."""

    def entries(self) -> Generator[Entry]:
        """Yield the entries, the newest first.

        Raises NotPermittedError, UnsupportedError (there is no journalctl), LowmemError.
        """
        try:
            yield from self._run(self._grep)
        except _NoGrepError:
            yield from self._run([])

    def _run(self, grep: Sequence[str]) -> Generator[Entry]:
        self.cut = False
        count = 0
        try:
            process = start([*self._words, *grep, *self._matches], bufsize=LONGEST)
        except FileNotFoundError as error:
            raise UnsupportedError(
                msg("There is no journalctl here: install systemd's, or use `dmesg`.")
            ) from error
        except OSError as error:
            raise LowmemError(
                msg("journalctl cannot be started ({error}).", error=str(error.strerror))
            ) from error
        out, words = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        over = threading.Event()

        def stop() -> None:
            over.set()
            process.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            while raw := out.readline(LONGEST):
                if not raw.endswith(b"\n"):
                    while raw and not raw.endswith(b"\n"):
                        raw = out.readline(LONGEST)
                    continue
                if (entry := parse_entry(raw)) is None:
                    continue
                if count == self._most:
                    self.cut = True
                    return
                count += 1
                yield entry
            reported = words.read(LONGEST).decode("utf-8", "replace")
            status = process.wait()
            self.cut = over.is_set()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            out.close()
            words.close()
        if not self.cut:
            _judge(reported, status, count)


class _NoGrepError(LowmemError):
    """This journalctl was built without PCRE2."""


def _judge(reported: str, status: int, count: int) -> None:
    """Raise what journalctl's words on standard error come to."""
    if _NO_GREP in reported and not count:
        raise _NoGrepError(reported)
    if any(words in reported for words in _UNSEEN):
        raise NotPermittedError(_NOT_YOURS)
    # Nothing found is status 1 with --grep, and no error.
    if status and not count and (words := " ".join(reported.split())) and "No entries" not in words:
        raise LowmemError(msg("journalctl failed: {output}.", output=words[:200]))
