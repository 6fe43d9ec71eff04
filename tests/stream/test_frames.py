"""Snapshots → frames → the same snapshots; and what is no frame is refused in one sentence."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.settings import Key
from lowmem_tui.stream import frames, kinds, schema
from lowmem_tui.stream.frames import Decoder, Encoder, StreamError
from lowmem_tui.stream.kinds import Record
from lowmem_tui.stream.wire import LONGEST_FRAME, Reader, put_number
from tests.stream.snapshots import any_snapshot, server, ticks

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot

VERSION_1 = Path(__file__).parent / "version-1.frames"
"""A key frame and two differences as the first version wrote them, each after its length (4 bytes,
big-endian). Never made again: newer versions must read it."""


@given(st.lists(any_snapshot(), min_size=1, max_size=5), st.sets(st.integers(0, 4)))
def test_what_is_read_is_what_was_written(snapshots: list[Snapshot], keys: set[int]) -> None:
    encoder, decoder = Encoder(), Decoder()
    for place, snapshot in enumerate(snapshots):
        assert decoder.snapshot(encoder.frame(snapshot, key=place in keys)) == snapshot


def test_a_day_of_changes_and_units_that_come_and_go() -> None:
    first = server(20, 30)
    encoder, decoder = Encoder(), Decoder()
    decoder.snapshot(encoder.frame(first))
    for number, snapshot in enumerate(islice(ticks(first, 0.3), 200)):
        names = sorted(snapshot.units)
        there = {name: snapshot.units[name] for name in reversed(names[number % 7 :])}
        now = replace(snapshot, units=there)
        assert decoder.snapshot(encoder.frame(now)) == now


def test_a_frame_of_200_units_and_300_processes_of_which_a_tenth_change_is_short() -> None:
    first = server(200, 300)
    encoder = Encoder()
    encoder.frame(first)
    lengths = [len(encoder.frame(snapshot)) for snapshot in islice(ticks(first), 50)]
    assert max(lengths) <= 1000


def test_what_did_not_change_takes_a_few_bytes() -> None:
    first = server(200, 300)
    encoder = Encoder()
    encoder.frame(first)
    assert len(encoder.frame(first)) <= 8


def test_a_key_frame_can_be_read_alone_in_the_middle() -> None:
    first = server(5, 5)
    encoder = Encoder()
    later = list(islice(ticks(first), 3))
    encoder.frame(first)
    encoder.frame(later[0])
    decoder = Decoder()
    assert decoder.snapshot(encoder.frame(later[1], key=True)) == later[1]
    assert decoder.snapshot(encoder.frame(later[2])) == later[2]


def test_a_missing_frame_is_noticed_and_the_next_key_frame_goes_on() -> None:
    first = server(5, 5)
    one, two, three = islice(ticks(first), 3)
    encoder, decoder = Encoder(), Decoder()
    decoder.snapshot(encoder.frame(first))
    encoder.frame(one)
    with pytest.raises(StreamError, match="A part of the recorded data is missing"):
        decoder.snapshot(encoder.frame(two))
    assert decoder.snapshot(encoder.frame(three, key=True)) == three


def test_a_frame_that_cannot_be_read_changes_nothing() -> None:
    first = server(5, 5)
    (one,) = islice(ticks(first), 1)
    encoder, decoder = Encoder(), Decoder()
    decoder.snapshot(encoder.frame(first))
    frame = encoder.frame(one)
    for end in range(len(frame)):
        with pytest.raises(StreamError):
            decoder.snapshot(frame[:end])
    with pytest.raises(StreamError):
        decoder.snapshot(frame + b"\0")
    assert decoder.snapshot(frame) == one


# --- versions -------------------------------------------------------------------------------------


def test_a_newer_version_is_refused_with_what_to_do() -> None:
    newer = bytearray(frames.MAGIC)
    put_number(newer, frames.VERSION + 1)
    with pytest.raises(StreamError, match="newer version of lowmem-tui: install that version"):
        Decoder().snapshot(bytes(newer) + b"what it may write")


def without(record: Record, *names: str) -> Record:
    kept = {name: kind for name, kind in record.fields.items() if name not in names}
    places = [list(record.fields).index(name) for name in kept]
    return Record(
        record.name,
        kept,
        lambda one: tuple(record.values(one)[place] for place in places),
        record.make,
        optional=record.optional,
    )


def test_a_writer_with_fewer_fields_and_other_ones_is_read() -> None:
    """Of an older version: what it did not know is not known. Of a newer one: it is left out."""
    other = without(schema.ZRAM, "used")
    zram = Record("Zram", {**other.fields, "new": kinds.STRINGS, "flag": kinds.MAYBE_FLAG},
                  lambda one: (one.stored, ("x", "y"), True), schema.ZRAM.make,
                  optional=True)  # fmt: skip
    host = Record("HostUsage", {**schema.HOST.fields, "zram": zram}, schema.HOST.values,
                  schema.HOST.make)  # fmt: skip
    whole = Record("Snapshot", {**schema.SNAPSHOT.fields, "host": host}, schema.SNAPSHOT.values,
                   schema.SNAPSHOT.make)  # fmt: skip
    names = {"Zram": zram, "HostUsage": host, "Snapshot": whole}
    records = tuple(names.get(record.name, record) for record in schema.RECORDS)
    first = server(3, 3)
    first = replace(first, host=first.host._replace(zram=schema.ZRAM.make((7 << 20, 3 << 20))))
    second = replace(first, host=first.host._replace(zram=schema.ZRAM.make((9 << 20, 4 << 20))))
    with patch.object(frames, "RECORDS", records), patch.object(frames, "SNAPSHOT", whole):
        head = frames._head()
        with patch.object(frames, "_HEAD", head):
            encoder = Encoder()
            written = [encoder.frame(first), encoder.frame(second)]
    decoder = Decoder()
    for frame, snapshot in zip(written, (first, second), strict=True):
        read = decoder.snapshot(frame)
        assert read.host.zram is not None
        assert snapshot.host.zram is not None
        assert read.host.zram.stored == snapshot.host.zram.stored
        assert read.host.zram.used == 0
        assert read.units == snapshot.units


def test_settings_are_known_by_their_names() -> None:
    """Another version numbers them otherwise, and has some that this one does not know."""
    first = server(3, 3)
    names = ("FutureSetting", *reversed(list(Key)))
    numbers = {key: number for number, key in enumerate(names) if isinstance(key, Key)}
    with patch.object(frames, "SETTINGS", names), patch.object(kinds, "_NUMBERS", numbers):
        head = frames._head()
        with patch.object(frames, "_HEAD", head):
            frame = Encoder().frame(first)
    assert Decoder().snapshot(frame) == first


def test_what_the_first_version_wrote_is_read() -> None:
    data = VERSION_1.read_bytes()
    decoder, read = Decoder(), []
    while data:
        length = int.from_bytes(data[:4], "big")
        read.append(decoder.snapshot(data[4 : 4 + length]))
        data = data[4 + length :]
    assert [round(each.time, 2) for each in read] == [1_700_000_000.25, 1_700_000_001.25,
                                                      1_700_000_002.25]  # fmt: skip
    assert sorted(read[-1].units) == ["service-0.service", "service-1.service"]
    unit = read[-1].units["service-1.service"]
    assert unit.usage is not None
    assert unit.usage.memory.current == 5_951_488
    assert [process.pid for process in unit.usage.processes] == [101]
    assert read[0].host.mem_total == 1 << 30


# --- hostile bytes --------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    for begin in (b"", frames.MAGIC, frames._HEAD, b"\0\1"):
        decoder = Decoder()
        decoder.snapshot(Encoder().frame(server(3, 3)))
        try:
            decoder.snapshot(begin + data)
        except LowmemError as error:
            assert str(error).endswith((".", "…"))


@given(st.data())
def test_a_frame_with_changed_bytes_is_read_or_refused(data: st.DataObject) -> None:
    first = server(3, 3)
    encoder, decoder = Encoder(), Decoder()
    frame = bytearray(encoder.frame(first))
    for _ in range(data.draw(st.integers(1, 8))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = decoder.snapshot(bytes(frame))
    except StreamError:
        return
    # What was read is a snapshot of the right types: it can be written again, and is the same.
    assert Decoder().snapshot(Encoder().frame(read)) == read


def test_counts_and_lengths_that_are_not_there_take_no_memory() -> None:
    huge = bytearray()
    put_number(huge, (1 << 70) - 1)
    tracemalloc.start()
    try:
        for begin in (frames._HEAD, frames._HEAD + b"\x7f", frames.MAGIC + b"\1", b"\0\1"):
            decoder = Decoder()
            decoder.snapshot(Encoder().frame(server(3, 3)))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with pytest.raises(StreamError):
                decoder.snapshot(bytes(begin) + bytes(huge) * 20)
            assert tracemalloc.get_traced_memory()[1] - before < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_frame_that_is_too_long_is_refused() -> None:
    with pytest.raises(StreamError):
        Reader(bytes(LONGEST_FRAME + 1))


def test_more_units_than_any_server_has_are_cut() -> None:
    first = server(1, 1)
    (unit,) = first.units.values()
    many = {f"{n}.service": replace(unit, usage=None, properties=None) for n in range(17_000)}
    read = Decoder().snapshot(Encoder().frame(replace(first, units=many)))
    assert len(read.units) == kinds.MOST_UNITS
