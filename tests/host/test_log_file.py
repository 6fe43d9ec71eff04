"""The kernel logs of other machines: every shape in which they come, cut, packed and hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.host.logs import file_evidence, log_file
from lowmem_tui.host.logs.file_evidence import FileWitness
from lowmem_tui.host.logs.log_entries import LONGEST, Entries
from lowmem_tui.host.logs.log_lines import Heads
from lowmem_tui.model.errors import InvalidValueError, NotPermittedError, RefusedError
from lowmem_tui.model.incident import Cause, Clock, Ending, Incident, Incidents, Kind
from lowmem_tui.policy.incidents.build import join
from tests.host.test_kernel_log import INVOKED, KILLED, SUMMARY
from tests.host.test_shortages import FAILED, TRACE, stuck

if TYPE_CHECKING:
    from collections.abc import Callable

    Shape = Callable[[int, str], str]

HERE = Path(__file__).parent / "oom"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
AT = datetime(2026, 11, 30, 3, 12, 1, tzinfo=UTC).timestamp()
REPORT = (
    INVOKED,
    "CPU: 1 UID: 0 PID: 77 Comm: nginx Not tainted",
    "memory: usage 102400kB, limit 102400kB, failcnt 26",
    SUMMARY,
    KILLED,
)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs without a zone are of this machine's."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def incidents_in(path: Path, since: float | None = None) -> Incidents:
    return join(FileWitness(str(path), NOW).evidence(since))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Incident]]:
    """Let a log of these lines be read."""

    def reading(*lines: str | bytes, since: float | None = None) -> list[Incident]:
        path = tmp_path / "log"
        path.write_bytes(
            b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines)
        )
        return list(incidents_in(path, since).incidents)[::-1]

    return reading


def uptime(at: int) -> str:
    return f"{12.345 + at / 1000:12.6f}"


WALL: dict[str, Shape] = {
    "dmesg -T": lambda at, text: f"[Mon Nov 30 03:12:01 2026] {text}",
    "dmesg -xT": lambda at, text: f"kern  :warn  : [Mon Nov 30 03:12:01 2026] {text}",
    "dmesg -dT": lambda at, text: f"[Mon Nov 30 03:12:01 2026 <    0.000012>] {text}",
    "dmesg iso": lambda at, text: f"2026-11-30T03:12:01,{at:06d}+00:00 {text}",
    "dmesg -H": lambda at, text: f"[{'  +0.000012' if at else 'Nov30 03:12'}] {text}",
    "syslog": lambda at, text: f"Nov 30 03:12:01 host kernel: [{uptime(at)}] {text}",
    "syslog, no clock": lambda at, text: f"Nov 30 03:12:01 host kernel: {text}",
    "syslog, no host": lambda at, text: f"Nov 30 03:12:01 kernel: {text}",
    "syslog, a priority": lambda at, text: f"<4>Nov 30 03:12:01 host kernel: {text}",
    "syslog, busybox": lambda at, text: (
        f"Nov 30 03:12:01 host kern.warn kernel: [{uptime(at)}] {text}"
    ),
    "syslog, French": lambda at, text: f"nov. 30 03:12:01 host kernel: {text}",
    "syslog, Chinese": lambda at, text: f"11月 30 03:12:01 host kernel: {text}",
    "rsyslog": lambda at, text: f"2026-11-30T03:12:01.{at:06d}+00:00 host kernel: [1.2] {text}",
    "rsyslog, a zone": lambda at, text: f"2026-11-30T05:12:01.{at:06d}+02:00 host kernel: {text}",
    "RFC 5424": lambda at, text: (
        f"<4>1 2026-11-30T03:12:01Z host kernel - - - [{uptime(at)}] {text}"
    ),
    "RFC 5424, data": lambda at, text: (
        f'<4>1 2026-11-30T03:12:01.5Z host kernel - - [a@1 b="c"] {text}'
    ),
    "short": lambda at, text: f"Nov 30 03:12:01 host kernel: {text}",
    "short-precise": lambda at, text: f"Nov 30 03:12:01.{at:06d} host kernel: {text}",
    "short-iso": lambda at, text: f"2026-11-30T03:12:01+0000 host kernel: {text}",
    "short-iso, 257": lambda at, text: f"2026-11-30T03:12:01+00:00 host kernel: {text}",
    "short-full": lambda at, text: f"Mon 2026-11-30 03:12:01 UTC host kernel: {text}",
    "short-unix": lambda at, text: f"{AT + at / 1000:.6f} host kernel: {text}",
    "netconsole by syslog": lambda at, text: f"Nov 30 03:12:01 10.0.0.7 [{uptime(at)}] {text}",
    "a hypervisor's": lambda at, text: (
        f"2026-11-30T03:12:01.103Z In(05) vcpu-5 - Guest: <4>[{uptime(at)}] {text}"
    ),
}
BOOTED: dict[str, Shape] = {
    "dmesg": lambda at, text: f"[{uptime(at)}] {text}",
    "dmesg -x": lambda at, text: f"kern  :warn  : [{uptime(at)}] {text}",
    "dmesg -d": lambda at, text: f"[{uptime(at)} <    0.000012>] {text}",
    "dmesg -r": lambda at, text: f"<4>[{uptime(at)}] {text}",
    "coloured": lambda at, text: f"\x1b[32m[{uptime(at)}] \x1b[0m\x1b[33m{text}\x1b[0m",
    "callers": lambda at, text: f"[{uptime(at)}][ T4711] {text}",
    "processors": lambda at, text: f"[{uptime(at)}][   C0] {text}",
    "short-monotonic": lambda at, text: f"[{uptime(at)}] host kernel: {text}",
    "netconsole, extended": lambda at, text: f"4,{at},{12345000 + at},-;{text}",
    "a console server's": lambda at, text: f"ttyS0| [{uptime(at)}] {text}",
}
NONE: dict[str, Shape] = {
    "dmesg -t": lambda at, text: text,
    "pasted": lambda at, text: f"kernel: {text}",
    "dmesg delta": lambda at, text: f"[<    0.000012>] {text}",
}
SHAPES = [
    *((Clock.WALL, name, shape) for name, shape in WALL.items()),
    *((Clock.BOOT, name, shape) for name, shape in BOOTED.items()),
    *((Clock.NONE, name, shape) for name, shape in NONE.items()),
]


@pytest.mark.parametrize(("clock", "name", "shape"), SHAPES, ids=[s[1] for s in SHAPES])
def test_each_shape(
    clock: Clock, name: str, shape: Shape, read: Callable[..., list[Incident]]
) -> None:
    (incident,) = read(*(shape(at, text) for at, text in enumerate(REPORT)))
    assert (incident.unit, incident.cause) == ("hog.service", Cause.LIMIT)
    report = incident.report
    assert report is not None
    assert report.victim is not None
    assert (report.asked_by, report.asked_pid, report.limit) == ("nginx", 77, 102400 << 10)
    assert report.victim.anon == 100000 << 10
    assert incident.clock is clock
    if clock is Clock.WALL:
        assert incident.time == pytest.approx(AT, abs=60)
    if clock is Clock.BOOT:
        assert incident.time == pytest.approx(12.35, abs=0.1)


@pytest.mark.parametrize(("clock", "name", "shape"), SHAPES, ids=[s[1] for s in SHAPES])
def test_each_shape_of_what_killed_nothing(
    clock: Clock, name: str, shape: Shape, read: Callable[..., list[Incident]]
) -> None:
    found = read(*(shape(at, text) for at, text in enumerate((*stuck(), FAILED, *TRACE))))
    kinds = {i.kind: i.shortage for i in found}
    stopped, failed = kinds[Kind.NO_VICTIM], kinds[Kind.ALLOCATION]
    assert stopped is not None
    assert failed is not None
    assert (stopped.unit, stopped.limit) == ("hog.service", 64 << 20)
    assert (failed.process, failed.path) == ("kswapd1", "network")


# What journalctl prints with fields


def fields(at: int, text: str, **more: str) -> dict[str, str]:
    return {
        "__CURSOR": f"s=1;i={at}",
        "__REALTIME_TIMESTAMP": str(int(AT * 1_000_000) + at),
        "_BOOT_ID": "b" * 32,
        "_TRANSPORT": "kernel",
        "MESSAGE": text,
        **more,
    }


ENTRIES = [
    *(fields(at, text) for at, text in enumerate(REPORT)),
    fields(
        5_000_000, "x", _TRANSPORT="journal", UNIT="hog.service", UNIT_RESULT="oom-kill",
        MESSAGE_ID="d9b373ed55a64feb8242e02dbe79a49c",
    ),
    fields(
        9_000_000, "x", _TRANSPORT="journal", UNIT="hog.service",
        MESSAGE_ID="39f53479d3a045ac8e11786248231fbf",
    ),
]  # fmt: skip


def exported(entry: dict[str, str], *, binary: bool) -> bytes:
    lines = b""
    for name, value in entry.items():
        if binary and name == "MESSAGE":
            raw = value.encode() + b"\n\xff"
            lines += name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
        else:
            lines += f"{name}={value}\n".encode()
    return lines + b"\n"


def verbose(entry: dict[str, str]) -> bytes:
    usec = int(entry["__REALTIME_TIMESTAMP"])
    head = (
        f"Mon 2026-11-30 03:12:01.000000 UTC [s={'a' * 32};i=1;b={'b' * 32};m=1;t={usec:x};x=1]\n"
    )
    shown = (f"    {k}={v}\n" for k, v in entry.items() if not k.startswith("__"))
    return (head + "".join(shown)).encode()


STRUCTURED = {
    "json": [json.dumps(entry).encode() + b"\n" for entry in ENTRIES],
    "json, bytes": [
        json.dumps({**e, "MESSAGE": list(e["MESSAGE"].encode())}).encode() + b"\n" for e in ENTRIES
    ],
    "json-seq": [b"\x1e" + json.dumps(entry).encode() + b"\n" for entry in ENTRIES],
    "json-sse": [b"data: " + json.dumps(entry).encode() + b"\n\n" for entry in ENTRIES],
    "json-pretty": [json.dumps(entry, indent=4).encode() + b"\n" for entry in ENTRIES],
    "export": [exported(entry, binary=False) for entry in ENTRIES],
    "export, binary": [exported(entry, binary=True) for entry in ENTRIES],
    "verbose": [verbose(entry) for entry in ENTRIES],
}


@pytest.mark.parametrize("pieces", STRUCTURED.values(), ids=STRUCTURED)
def test_each_shape_with_fields(pieces: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(pieces))
    (incident,) = incidents_in(path).incidents
    assert (incident.unit, incident.cause, incident.ending) == (
        "hog.service", Cause.LIMIT, Ending.BACK,
    )  # fmt: skip
    assert incident.back_after == pytest.approx(9, abs=0.01)
    assert incident.time == pytest.approx(AT, abs=1)


def test_dmesg_as_json(tmp_path: Path) -> None:
    path = tmp_path / "log"
    entries = [{"pri": 4, "time": 12 + at / 10, "msg": text} for at, text in enumerate(REPORT)]
    path.write_text(json.dumps({"dmesg": entries}, indent=3))
    (incident,) = incidents_in(path).incidents
    assert (incident.unit, incident.clock) == ("hog.service", Clock.BOOT)
    assert incident.time == pytest.approx(12.4)


# What came of it, by systemd's words


def test_the_words_of_systemd_in_a_syslog(read: Callable[..., list[Incident]]) -> None:
    say = "Nov 30 03:12:0{} host {}: {}"
    (incident,) = read(
        *(say.format(1, "kernel", text) for text in REPORT),
        say.format(2, "systemd[1]", "hog.service: Failed with result 'oom-kill'."),
        say.format(2, "systemd[1]", "other.service: Failed with result 'exit-code'."),
        say.format(5, "systemd[1]", "hog.service: Scheduled restart job, restart counter is at 3."),
        say.format(6, "systemd[1]", "Started hog.service - The hog."),
    )
    assert (incident.ending, incident.restarts, incident.back_after) == (Ending.BACK, 3, 5.0)


def test_a_unit_that_oomd_has_killed_whole_did_not_go_on(
    read: Callable[..., list[Incident]],
) -> None:
    """A user's manager says it of its own unit; what came then is not in the log."""
    words = "app-x.scope: systemd-oomd killed 3 process(es) in this unit."
    (incident,) = read(f"Nov 30 03:12:01 host systemd[900]: {words}")
    assert (incident.unit, incident.ending) == ("app-x.scope", Ending.UNKNOWN)


def test_where_the_log_ends_the_outcome_is_unknown(read: Callable[..., list[Incident]]) -> None:
    say = "Nov 30 03:12:01 host {}: {}"
    (incident,) = read(
        *(say.format("kernel", text) for text in REPORT),
        say.format("systemd[1]", "hog.service: Failed with result 'oom-kill'."),
    )
    assert incident.ending is Ending.UNKNOWN


def test_pid_1_in_dmesg(read: Callable[..., list[Incident]]) -> None:
    (incident,) = read(
        *(f"[{uptime(at)}] {text}" for at, text in enumerate(REPORT)),
        "[   13.000000] systemd[1]: hog.service: Failed with result 'oom-kill'.",
        "[   14.000000] systemd[1]: Started hog.service - x.",
    )
    assert (incident.ending, incident.result) == (Ending.BACK, "oom-kill")


def test_other_killers_in_a_syslog(read: Callable[..., list[Incident]]) -> None:
    cgroup = "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope"
    found = read(
        f"Nov 30 03:12:01 host systemd-oomd[840]: Killed {cgroup} due to memory pressure for /x",
        "Nov 30 03:12:01 host systemd[1837]: a.scope: systemd-oomd killed 12 process(es) in this"
        " unit.",
        'Nov 30 03:15:01 host earlyoom[5]: sending SIGTERM to process 31 uid 0 "x": badness 9, '
        "VmRSS 7 MiB",
    )
    assert [(i.kind, i.unit) for i in found] == [
        (Kind.OOMD, "user@1000.service"),
        (Kind.EARLYOOM, ""),
    ]


def test_what_a_program_says_of_a_kill_is_no_kill(read: Callable[..., list[Incident]]) -> None:
    assert read(*(f"Nov 30 03:12:01 host myapp[7]: {text}" for text in REPORT)) == []


# Times


def test_a_year_is_the_latest_that_is_past() -> None:
    heads = Heads(NOW)
    for text, year in (
        ("Nov 30 03:12:01", 2026),
        ("Dec 24 03:12:01", 2025),
        ("Feb 29 03:12:01", 2024),
    ):
        found = heads.read(f"{text} host kernel: x").time
        assert found is not None
        assert datetime.fromtimestamp(found, UTC).year == year
    assert heads.read("Foo 30 03:12:01 host kernel: x").time is None
    assert heads.read("Feb 30 03:12:01 host kernel: x").text


def test_boots_are_distinguished(read: Callable[..., list[Incident]]) -> None:
    once = [f"[{uptime(at)}] {text}" for at, text in enumerate(REPORT)]
    late = [f"[ 9000.{at:06d}] {text}" for at, text in enumerate(REPORT)]
    first, second = read(*late, *once)
    assert (first.time > 8000, second.time < 20) == (True, True)
    assert len(read(*once, "-- Reboot --", *once)) == 2
    assert len(read(*late, "[    0.000000] Linux version 6.1.0 (x)", *once)) == 2


def test_since_is_held_against_dates_alone(read: Callable[..., list[Incident]]) -> None:
    dated = [f"Nov 30 03:12:01 host kernel: {text}" for text in REPORT]
    assert read(*dated, since=AT + 10) == []
    assert len(read(*dated, since=AT - 10)) == 1
    assert len(read(*(f"[{uptime(1)}] {text}" for text in REPORT), since=AT)) == 1


# Cut, mixed, hostile


def test_windows_lines_and_what_is_no_text(read: Callable[..., list[Incident]]) -> None:
    (incident,) = read(
        b"\xef\xbb\xbf\xff\xfe\x00 garbage",
        *(f"[{uptime(at)}] {text}\r" for at, text in enumerate(REPORT)),
        b"\x80\xff" * 50,
    )
    assert incident.unit == "hog.service"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("coding", ["utf-16", "utf-8-sig"])
def test_what_a_windows_shell_writes(
    tmp_path: Path, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "log"
    raw = "".join(f"[{uptime(1)}] {text}\r\n" for text in REPORT).encode(coding)
    path.write_bytes(pack(raw))
    (incident,) = incidents_in(path).incidents
    assert incident.unit == "hog.service"


def test_the_first_and_the_last_line_may_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    text = "\n".join(f"[{uptime(at)}] {text}" for at, text in enumerate(REPORT))
    path.write_text(f"oom-killer: x\n{text[:-30]}")
    (incident,) = incidents_in(path).incidents
    assert incident.unit == "hog.service"


def test_a_line_without_end_is_passed_over(read: Callable[..., list[Incident]]) -> None:
    lines = [f"[{uptime(at)}] {text}" for at, text in enumerate(REPORT)]
    (incident,) = read(lines[0], "x" * (3 * LONGEST) + "oom-kill:", *lines[1:])
    assert incident.unit == "hog.service"


PACKED = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "plain": lambda raw: raw,
    "two members": lambda raw: gzip.compress(raw[:40]) + gzip.compress(raw[40:]),
    "a tail": lambda raw: gzip.compress(raw) + b"\0" * 100,
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_packed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack("".join(f"[{uptime(1)}] {text}\n" for text in REPORT).encode()))
    (incident,) = incidents_in(path).incidents
    assert incident.unit == "hog.service"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_packed_log_that_is_cut_or_damaged(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    text = "".join(f"[{uptime(1)}] {text} {os.urandom(20).hex()}\n" for text in REPORT * 400)
    raw = pack(text.encode())
    path = tmp_path / "log"
    for broken in (raw[: len(raw) // 2], raw[:200] + b"\x55" * 500 + raw[700:]):
        path.write_bytes(broken)
        (note, *_) = incidents_in(path).notes
        assert "read as far as it goes" in str(note)


BOMBS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("pack", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_cut_with_a_sentence(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "FREE", 4 << 20)
    path = tmp_path / "log"
    path.write_bytes(pack(b"\0" * (64 << 20)))
    assert "unpacks to very much more than a log would" in str(incidents_in(path).notes[0])


def test_a_flood_of_one_report_is_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    lines = (f"[{n / 1000:12.6f}] {text}\n" for n in range(20_000) for text in stuck())
    path.write_bytes(gzip.compress("".join(lines).encode()))
    found = incidents_in(path)
    assert [i.count for i in found.incidents] == [20_000]
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("magic", "words"),
    [
        (b"\x28\xb5\x2f\xfd", "zstdcat"),
        (b"LPKSHHRH\0\0", "journalctl --file="),
        (b"PK\x03\x04", "zip"),
        (b"\x04\x22\x4d\x18", "lz4cat"),
    ],
)
def test_what_is_packed_otherwise_is_named(magic: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(magic + b"x" * 100)
    with pytest.raises(InvalidValueError, match=words):
        incidents_in(path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero"), tmp_path / "none", Path("a\0b")):
        with pytest.raises(InvalidValueError):
            incidents_in(path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lowmem_tui.host.logs.log_file.os.open", refuse)
    with pytest.raises(NotPermittedError):
        incidents_in(tmp_path / "log")


@pytest.mark.parametrize("text", [b"", b"\0" * 500, b"hello\nworld\n"])
def test_what_is_no_log_is_named(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(text)
    found = incidents_in(path)
    assert found.incidents == ()
    assert "log" in str(found.notes[0])


def test_many_kills_are_bounded_and_what_killed_nothing_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_evidence, "MOST", 10)
    monkeypatch.setattr(file_evidence, "deque", lambda maxlen: file_evidence_deque(min(maxlen, 10)))
    path = tmp_path / "log"
    with path.open("w") as out:
        for n in range(50):
            for text in (*REPORT, *stuck() * 20):
                out.write(f"[{n + 1:5d}.000000] {text}\n")
    found = incidents_in(path)
    kinds = [i.kind for i in found.incidents]
    assert kinds.count(Kind.OOM_KILL) == 10
    assert kinds.count(Kind.NO_VICTIM) == 1
    assert "Of 50 kills the last 10" in " ".join(map(str, found.notes))


def file_evidence_deque(most: int) -> object:
    from collections import deque

    return deque(maxlen=most)


def test_its_reports_are_not_read_again(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        FileWitness(str(tmp_path), NOW).report("x")


RECORDED = sorted(HERE.glob("*.jsonl"))


@pytest.mark.parametrize("path", RECORDED, ids=[p.stem for p in RECORDED])
def test_a_recorded_night(path: Path) -> None:
    found = {i.unit: (i.cause, i.ending) for i in incidents_in(path).incidents[::-1]}
    assert found["hogback.service"] == (Cause.LIMIT, Ending.BACK)
    assert found["hogloop.service"] == (Cause.LIMIT, Ending.START_LIMIT)


REMOTE = Path("/lib/systemd/systemd-journal-remote")
"""It makes a journal of an export."""

REAL = (
    "short", "short-full", "short-iso", "short-iso-precise", "short-precise", "short-monotonic",
    "short-unix", "verbose", "export", "json", "json-pretty", "json-seq", "json-sse", "with-unit",
    "cat",
)  # fmt: skip


def night() -> bytes:
    """A night of a server, as an export."""
    kernel = {"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel", "PRIORITY": "4"}
    pid1 = {
        "_TRANSPORT": "journal", "_PID": "1", "_COMM": "systemd", "SYSLOG_IDENTIFIER": "systemd",
        "_SYSTEMD_UNIT": "init.scope", "UNIT": "hog.service",
    }  # fmt: skip
    failed = {"MESSAGE_ID": "d9b373ed55a64feb8242e02dbe79a49c", "UNIT_RESULT": "oom-kill"}
    earlyoom = {
        "_TRANSPORT": "stdout", "_PID": "5", "SYSLOG_IDENTIFIER": "earlyoom",
        "_SYSTEMD_UNIT": "earlyoom.service",
    }  # fmt: skip
    started = {"MESSAGE_ID": "39f53479d3a045ac8e11786248231fbf"}
    texts: list[tuple[str, dict[str, str]]] = [
        *((text, kernel) for text in REPORT),
        ("hog.service: Failed with result 'oom-kill'.", pid1 | failed),
        ("Started hog.service - The hog.", pid1 | started),
        *((text, kernel) for text in (*stuck(), FAILED, *TRACE, "Mem-Info:")),
        ('sending SIGTERM to process 31 uid 0 "tail": badness 600, VmRSS 9 MiB', earlyoom),
    ]
    lines: list[str] = []
    for at, (text, more) in enumerate(texts):
        usec = int(AT * 1_000_000) + at * 100_000
        entry = {
            "__CURSOR": f"s={'a' * 32};i={at + 1:x};b={'b' * 32};m={at + 9:x};t={usec:x};x={at:x}",
            "__REALTIME_TIMESTAMP": str(usec),
            "__MONOTONIC_TIMESTAMP": str(9_000_000 + at * 100_000),
            "_BOOT_ID": "b" * 32, "_HOSTNAME": "web-1", "MESSAGE": text, **more,
        }  # fmt: skip
        lines += [*(f"{name}={value}" for name, value in entry.items()), ""]
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.skipif(not REMOTE.exists(), reason="no systemd-journal-remote here")
@pytest.mark.parametrize("output", REAL)
def test_what_the_real_journalctl_prints(output: str, tmp_path: Path) -> None:
    journal, path = tmp_path / "x.journal", tmp_path / "log"
    (tmp_path / "export").write_bytes(night())
    subprocess.run([REMOTE, "-o", journal, tmp_path / "export"], capture_output=True, check=True)
    with path.open("wb") as out:
        subprocess.run(
            ["journalctl", "--no-pager", "--file", journal, "-o", output], stdout=out, check=True
        )
    found = {i.kind: i for i in incidents_in(path).incidents}
    kill, failed = found[Kind.OOM_KILL], found[Kind.ALLOCATION].shortage
    assert kill.unit == "hog.service"
    assert found[Kind.NO_VICTIM].unit == "hog.service"
    assert failed is not None
    assert failed.path == "network"
    if output != "cat":  # the messages alone: of whom is open
        assert Kind.EARLYOOM in found
        assert kill.ending is Ending.BACK


@settings(deadline=None)
@given(st.binary(max_size=4000), st.sampled_from(["", "__CURSOR=", "{", "[ 1.0] ", "\x1f\x8b"]))
def test_any_bytes(raw: bytes, start: str) -> None:
    source = log_file.LogFile(io.BytesIO(start.encode() + raw), "x")
    with suppress(InvalidValueError):
        for seen in Entries(io.BufferedReader(source), NOW).read():
            assert seen.entry.message is not None


@settings(deadline=None)
@given(st.text(max_size=300), st.sampled_from([s[2] for s in SHAPES]))
def test_any_line(text: str, shape: Shape) -> None:
    Heads(NOW).read(text)
    Heads(NOW).read(shape(0, text))
