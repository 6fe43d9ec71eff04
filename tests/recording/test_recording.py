"""Snapshots → a file → the same snapshots; and what a power cut or a bad disk leaves of it."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.recording.recorder import KEY_EVERY, Recorder, program_and_script
from lowmem_tui.recording.recording import Position, Recording
from lowmem_tui.recording.segment import LOG, Head, Segment, Writer, pack_head
from tests.built import properties_of
from tests.stream.snapshots import server, ticks
from tests.unit.servers import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lowmem_tui.model.snapshot import Snapshot

FIRST = server(4, 6)
HEAD = Head("b" * 32, "box", FIRST.time, 28_800, "0.1", 0)


def to_hundredths(one: Snapshot) -> Snapshot:
    return replace(one, time=round(one.time, 2), monotonic=round(one.monotonic, 2))


def seconds(number: int) -> list[Snapshot]:
    """Return so many snapshots, a second each but for the clock's own drift."""
    return [to_hundredths(each) for each in (FIRST, *islice(ticks(FIRST), number - 1))]


@contextmanager
def recorder(path: Path, size: int | None = None, head: Head = HEAD) -> Iterator[Recorder]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        if size:
            os.posix_fallocate(fd, 0, size)
        made = Recorder(Writer(fd, head, size), arguments=True)
        yield made
        made.flush()
    finally:
        os.close(fd)


def all_of(path: Path) -> list[Snapshot]:
    with Recording(str(path)) as found:
        read = [found.snapshot(found.first)]
        position = found.step(found.first, forward=True)
        while position is not None:
            read.append(found.snapshot(position))
            position = found.step(position, forward=True)
    return read


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    taken = seconds(1000)
    with recorder(tmp_path / "a.lmt") as one:
        for each in taken:
            one.take(each)
    assert all_of(tmp_path / "a.lmt") == taken


def test_every_moment_is_found(tmp_path: Path) -> None:
    taken = seconds(1000)
    with recorder(tmp_path / "a.lmt", 1 << 22) as one:
        for each in taken:
            one.take(each)
    with Recording(str(tmp_path / "a.lmt")) as found:
        for wanted in (0, 1, 499, 899, 900, 901, 999):
            for after in (0.0, 0.5):
                at = found.find(taken[wanted].time + after)
                assert found.snapshot(at) == taken[wanted]
        assert found.snapshot(found.find(0)) == taken[0]
        assert found.snapshot(found.last) == taken[-1]
        assert found.step(found.last, forward=True) is None
        assert found.step(found.first, forward=False) is None
        assert found.step(found.find(taken[900].time), forward=False) == found.find(taken[899].time)


def test_snapshots_are_read_in_any_order(tmp_path: Path) -> None:
    taken = seconds(300)
    with recorder(tmp_path / "a.lmt") as one:
        for each in taken:
            one.take(each)
    with Recording(str(tmp_path / "a.lmt")) as found:
        for number in (7, 8, 8, 6, 299, 0, 150, 151):
            assert found.snapshot(Position(0, number)) == taken[number]


def test_a_recording_takes_the_memory_of_its_bytes_and_not_of_its_snapshots(tmp_path: Path) -> None:
    """A file from elsewhere: one key frame of many units, then thousands of short frames."""
    many = {f"{n}.service": Unit(f"{n}.service", None, None) for n in range(2000)}
    now = replace(FIRST, units=many)
    with recorder(tmp_path / "a.lmt") as one:
        for number in range(800):
            unit = Unit("0.service", None, properties_of("0.service", main_pid=number))
            one.take(
                replace(now, monotonic=FIRST.monotonic + number, units=many | {unit.name: unit})
            )
    tracemalloc.start()
    try:
        with Recording(str(tmp_path / "a.lmt")) as found:
            assert found.last.number == 799
            assert found.snapshot(found.last).units.keys() == many.keys()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path) -> None:
    taken = [
        replace(each, time=each.time - (3600 if number > 50 else 0))
        for number, each in enumerate(seconds(100))
    ]
    with recorder(tmp_path / "a.lmt") as one:
        for each in taken:
            one.take(each)
    assert all_of(tmp_path / "a.lmt") == taken


def test_a_power_cut_loses_what_was_not_flushed_and_nothing_before_it(tmp_path: Path) -> None:
    taken = seconds(400)
    with recorder(tmp_path / "a.lmt", 1 << 20) as one:
        for number, each in enumerate(taken):
            one.take(each)
            if number == 250:
                one.flush()
                at_flush = (tmp_path / "a.lmt").read_bytes()
    whole = (tmp_path / "a.lmt").read_bytes()
    assert all_of_bytes(tmp_path, at_flush) == taken[:251]
    # Any piece of what came after it reaches the disk, or none of it.
    changed = [n for n, (a, b) in enumerate(zip(at_flush, whole, strict=True)) if a != b]
    for cut in range(changed[0], changed[-1], max(1, (changed[-1] - changed[0]) // 40)):
        read = all_of_bytes(tmp_path, whole[:cut] + at_flush[cut:])
        assert len(read) >= 251
        assert read == taken[: len(read)]


def all_of_bytes(folder: Path, data: bytes) -> list[Snapshot]:
    (folder / "cut").write_bytes(data)
    return all_of(folder / "cut")


def test_an_older_recording_in_the_same_file_is_not_read(tmp_path: Path) -> None:
    with recorder(tmp_path / "a.lmt", 1 << 20) as one:
        for each in seconds(900):
            one.take(each)
    new = to_hundredths(replace(FIRST, time=FIRST.time + 10_000))
    with recorder(tmp_path / "a.lmt", 1 << 20, HEAD._replace(began=new.time, number=1)) as one:
        one.take(new)
    assert all_of(tmp_path / "a.lmt") == [new]


def test_damage_is_left_out_and_its_time_named(tmp_path: Path) -> None:
    taken = seconds(2000)
    path = tmp_path / "a.lmt"
    with recorder(path) as one:
        for each in taken:
            one.take(each)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    read = all_of(path)
    assert 2000 - KEY_EVERY <= len(read) < 2000
    with Recording(str(path)) as found:
        (gap,) = found.gaps
    assert gap.name == str(path)
    lost = [each for each in taken if each not in read]
    assert gap.begin <= lost[0].time
    assert lost[-1].time < gap.end
    assert 0 < gap.end - gap.begin <= KEY_EVERY + 61


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    taken = seconds(90)
    for number, name in ((0, "z.lmt"), (1, "a.lmt"), (2, "k.lmt")):
        mine = taken[number * 30 : number * 30 + 30]
        head = HEAD._replace(began=mine[0].time, number=number)
        with recorder(tmp_path / name, 1 << 20, head) as one:
            for each in mine:
                one.take(each)
    (tmp_path / "b.lmt").write_bytes(b"LMTREC1\nno")
    (tmp_path / "other").write_bytes(b"x")
    os.mkfifo(tmp_path / "c.lmt")
    assert all_of(tmp_path) == taken
    with Recording(str(tmp_path)) as found:
        assert sorted(str(note).partition(str(tmp_path))[2] for note in found.notes) == [
            "/b.lmt is not a recording of lowmem-tui.",
            "/c.lmt is not a file.",
        ]


def test_kills_are_found(tmp_path: Path) -> None:
    taken = [
        replace(each, host=each.host._replace(oom_kills=(number >= 20) + 2 * (number >= 70)))
        for number, each in enumerate(seconds(100))
    ]
    with recorder(tmp_path / "a.lmt") as one:
        for each in taken:
            one.take(each)
    with Recording(str(tmp_path / "a.lmt")) as found:
        assert [found.snapshot(p).time for p in found.kills()] == [taken[20].time, taken[70].time]


def test_a_kill_is_on_the_disk_at_once(tmp_path: Path) -> None:
    taken = seconds(10)
    killed = replace(taken[-1], time=taken[-1].time + 1, host=taken[-1].host._replace(oom_kills=1))
    path = tmp_path / "a.lmt"
    with recorder(path) as one:
        for each in taken:
            one.take(each)
        one.take(killed)
        assert all_of(path)[-1] == killed
        one.log("Killed process 12 (redis-server)\ufffd")
        with Recording(str(path)) as found:
            assert found.log() == "Killed process 12 (redis-server)\ufffd\n".encode()


def test_a_day_of_a_small_server_is_at_most_3_megabytes(tmp_path: Path) -> None:
    """60 units and 100 processes, a tenth changing, at 5 s: an hour is a twenty-fourth of it."""
    first = server(60, 100)
    with recorder(tmp_path / "a.lmt") as one:
        one.take(first)
        for number, each in enumerate(islice(ticks(first), 719), 1):
            one.take(replace(each, monotonic=first.monotonic + 5 * number,
                             time=first.time + 5 * number))  # fmt: skip
    assert (tmp_path / "a.lmt").stat().st_size * 24 <= 3_000_000


# --- what is no recording -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not a recording of lowmem-tui."),
        (b"hello", "is not a recording of lowmem-tui."),
        (b"LMTREC1\n" + bytes(40), "is damaged: it cannot be read."),
        (pack_head(HEAD)[:-1], "is damaged: it cannot be read."),
        (pack_head(HEAD), "There is nothing in the recording"),
        (pack_head(HEAD._replace(began=float("1e300"))), "is damaged: it cannot be read."),
    ],
)
def test_what_is_no_recording_is_refused_in_one_sentence(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InvalidValueError, match=sentence):
        Recording(str(tmp_path / "a"))
    assert len(os.listdir("/proc/self/fd")) < 100


def test_what_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="cannot be read: No such file or directory"):
        Recording(str(tmp_path / "a"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_survived(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "whole"
    if not path.exists():
        with recorder(path) as one:
            for each in seconds(950):
                one.take(each)
            one.log("a line")
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (tmp_path / "cut").write_bytes(changed)
    try:
        with Recording(str(tmp_path / "cut")) as found:
            found.log()
            assert found.snapshot(found.find(FIRST.time + 500)).units.keys() == FIRST.units.keys()
    except InvalidValueError as error:
        assert str(error).endswith(".")


def test_chunks_of_another_segment_are_not_read(tmp_path: Path) -> None:
    for name, head in (("a", HEAD), ("b", HEAD._replace(host="other"))):
        with recorder(tmp_path / name, None, head) as one:
            for each in seconds(5):
                one.take(each)
    mixed = pack_head(HEAD) + (tmp_path / "b").read_bytes()
    (tmp_path / "mixed").write_bytes(mixed)
    fd = os.open(tmp_path / "mixed", os.O_RDONLY)
    try:
        assert Segment(fd, "mixed").places() == []
    finally:
        os.close(fd)
    assert LOG == 2


# --- command lines --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "recorded"),
    [
        ("/usr/sbin/mysqld --password=secret", "/usr/sbin/mysqld"),
        ("/usr/bin/python3 /srv/manage.py run --key secret", "/usr/bin/python3 /srv/manage.py"),
        ("python3.11 -u -m gunicorn app:app -b secret", "python3.11 -m gunicorn"),
        ("java -Xmx256m -Dpassword=secret -jar /srv/app.jar", "java -jar /srv/app.jar"),
        ("bash -lc TOKEN=secret ./run.sh", "bash"),
        ("node -e fetch(secret)", "node"),
        ("perl /usr/bin/x.pl secret", "perl /usr/bin/x.pl"),
        ("sh secret", "sh"),
        ("nginx: worker process", "nginx:"),
        ("", ""),
    ],
)  # fmt: skip
def test_arguments_are_not_recorded(command: str, recorded: str) -> None:
    assert program_and_script(command) == recorded


def test_no_argument_is_in_the_file(tmp_path: Path) -> None:
    unit = FIRST.units["service-0.service"]
    assert unit.usage is not None
    assert unit.properties is not None
    hidden = replace(
        unit,
        usage=unit.usage._replace(processes=(process(7, command="/bin/x --key hunter2"),)),
        properties=replace(unit.properties, exec_start=("/bin/x", "--key", "hunter2")),
    )
    fd = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    try:
        one = Recorder(Writer(fd, HEAD))
        one.take(replace(FIRST, units={**FIRST.units, unit.name: hidden}))
        one.flush()
    finally:
        os.close(fd)
    (read,) = all_of(tmp_path / "a")
    found = read.units[unit.name]
    assert found.usage is not None
    assert found.properties is not None
    assert found.usage.processes[0].command == "/bin/x"
    assert found.properties.exec_start == ("/bin/x",)
