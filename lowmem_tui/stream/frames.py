"""Snapshots → frames → snapshots.

A key frame can be read alone: it names the version, the records and their fields, and then has the
whole snapshot. The frames after it have the differences, each from the one before, and its number.
docs/stream.md describes both to the byte.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lowmem_tui.model.message import msg
from lowmem_tui.model.settings import Key
from lowmem_tui.stream import kinds
from lowmem_tui.stream.kinds import SETTINGS, SIMPLE, Entries, Kind, Record, Table
from lowmem_tui.stream.schema import PROCESS, RECORDS, SNAPSHOT
from lowmem_tui.stream.wire import (
    LONGEST_STRING,
    Reader,
    StreamError,
    put_number,
    put_string,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.snapshot import Snapshot

__all__ = ["VERSION", "Decoder", "Encoder", "StreamError"]

MAGIC = b"LMT"
"""How a key frame begins; a difference begins with a 0 byte."""
VERSION = 1
"""Raised only where the meaning of a kind or of the frame changes: a new field needs no new one."""

LAST_SECOND = 253_402_300_800
"""The year 10000, which no clock and no calendar of Python's reaches."""
_MOST_RECORDS = 64
_MOST_FIELDS = 64
_LONGEST_NAME = 64


class Encoder:
    """Makes the frames of one stream."""

    def __init__(self) -> None:
        self._before: Snapshot | None = None
        self._number = 0

    def frame(self, snapshot: Snapshot, *, key: bool = False) -> bytes:
        """Return the next frame: a key frame where it is the first, or asked for."""
        before = None if key else self._before
        out = bytearray()
        if before is None:
            self._number = 0
            out += _HEAD
            units: dict[str, Any] = {}
        else:
            self._number += 1
            out.append(0)
            put_number(out, self._number)
            units = before.units
        snapshot = replace(snapshot, units=_in_order(snapshot.units, units))
        SNAPSHOT.write(out, snapshot, before)
        self._before = snapshot
        return bytes(out)


def _in_order(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the units in the order that the reader has: what it knows first."""
    ordered = {name: new[name] for name in old if name in new}
    if len(ordered) < len(new):
        for name in new:
            if name not in ordered and len(ordered) < kinds.MOST_UNITS and _fits(name):
                ordered[name] = new[name]
    return ordered


def _fits(name: str) -> bool:
    return len(name) * 4 <= LONGEST_STRING or len(name.encode("utf-8", "surrogatepass")) <= (
        LONGEST_STRING
    )


class Decoder:
    """Reads the frames of one stream; a frame that cannot be read changes nothing in it."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._record = SNAPSHOT
        self._number = 0

    def snapshot(self, frame: bytes) -> Snapshot:
        """Return the snapshot of a frame.

        Raises StreamError where the frame is damaged, was written by a newer version, or is a
        difference from a frame that has not been read.
        """
        reader = Reader(frame)
        if frame.startswith(MAGIC):
            reader.position = len(MAGIC)
            record, number, before = _read_head(reader), 0, None
        else:
            record, number, before = self._record, self._next(reader), self._snapshot
        snapshot: Snapshot = record.read(reader, before)
        _check(snapshot, complete=not reader.remaining)
        self._snapshot, self._record, self._number = snapshot, record, number
        return snapshot

    def _next(self, reader: Reader) -> int:
        if reader.number() or self._snapshot is None:
            refuse()
        number = reader.number()
        if number != self._number + 1:
            refuse(msg("A part of the recorded data is missing: reading goes on after it."))
        return number


def _check(snapshot: Snapshot | None, *, complete: bool) -> None:
    """Refuse what no sampler has seen, and what every reader of a snapshot relies on."""
    if snapshot is None or not complete:
        refuse()
    host = snapshot.host
    processes = sum(len(unit.usage.processes) for unit in snapshot.units.values() if unit.usage)
    if (
        not 0 <= snapshot.time < LAST_SECOND
        or not 0 <= snapshot.monotonic < LAST_SECOND
        or host.mem_total < 1
        or not 512 <= host.page_size <= 1 << 24
        or host.page_size & (host.page_size - 1)
        or processes > kinds.MOST_PROCESSES
    ):
        refuse()


# --- the head of a key frame ----------------------------------------------------------------------


def _head() -> bytes:
    out = bytearray(MAGIC)
    put_number(out, VERSION)
    put_number(out, len(SETTINGS))
    for key in SETTINGS:
        put_string(out, str(key))
    put_number(out, len(RECORDS))
    for record in RECORDS:
        put_string(out, record.name)
        put_number(out, len(record.fields))
        for name, kind in record.fields.items():
            put_string(out, name)
            put_number(out, kind.code)
            if (inner := _inner(kind)) is not None:
                put_number(out, RECORDS.index(inner))
    return bytes(out)


def _inner(kind: Kind) -> Record | None:
    if isinstance(kind, Record):
        return kind
    return kind.record if isinstance(kind, Entries | Table) else None


_HEAD = _head()


def _read_head(reader: Reader) -> Record:
    """Return how the snapshots of a stream are read. Raises StreamError."""
    head = _HEAD[len(MAGIC) :]
    if reader.data.startswith(head, reader.position):
        reader.position += len(head)
        return SNAPSHOT
    if reader.number() > VERSION:
        raise newer()
    settings = _read_settings(reader)
    found: list[Record] = []
    for _ in range(reader.count(_MOST_RECORDS)):
        found.append(_read_record(reader, found, settings))
    return found[-1] if found and found[-1].name == SNAPSHOT.name else refuse()


def newer() -> StreamError:
    """Return the error for what this version is too old to read."""
    return StreamError(
        msg("This was recorded by a newer version of lowmem-tui: install that version to read it.")
    )


def _read_settings(reader: Reader) -> tuple[Key | None, ...]:
    known = {str(key): key for key in Key}
    names = [reader.string(_LONGEST_NAME) for _ in range(reader.count(_MOST_FIELDS))]
    if len(set(names)) < len(names):
        refuse()
    return tuple([known.get(name) for name in names])


def _read_record(reader: Reader, found: list[Record], settings: tuple[Key | None, ...]) -> Record:
    """Return how a record of the writer's is read: into ours of that name, or to be left out."""
    ours = {record.name: record for record in RECORDS}.get(reader.string(_LONGEST_NAME))
    fields: dict[str, Kind] = {}
    for _ in range(reader.count(_MOST_FIELDS)):
        name = reader.string(_LONGEST_NAME)
        if name in fields:
            refuse()
        fields[name] = _read_kind(reader, found, settings)
        if ours and name in ours.fields and not _alike(fields[name], ours.fields[name]):
            refuse()
    return _reading(ours, fields)


def _read_kind(reader: Reader, found: list[Record], settings: tuple[Key | None, ...]) -> Kind:
    code = reader.number()
    if code in SIMPLE:
        return kinds.with_settings(SIMPLE[code], settings)
    place = reader.number()
    inner = found[place] if place < len(found) else refuse()
    if code == Record.code:
        return inner
    if code == Entries.code and inner.name == PROCESS.name:
        return Entries(inner, lambda process: process[:2])
    return Table(inner) if code == Table.code else refuse()


def _alike(theirs: Kind, ours: Kind) -> bool:
    if isinstance(theirs, Record) and isinstance(ours, Record):
        return theirs.name == ours.name
    if isinstance(theirs, Entries | Table) and isinstance(ours, Entries | Table):
        return theirs.code == ours.code and theirs.record.name == ours.record.name
    return theirs.code == ours.code and not isinstance(theirs, Record | Entries | Table)


def _reading(ours: Record | None, fields: dict[str, Kind]) -> Record:
    """Return a record with the writer's fields in the writer's order, of our class.

    What the writer does not have is blank; what we do not have is read and left out.
    """
    name = ours.name if ours else "?"
    if ours is None:
        return Record(name, fields, lambda _: tuple(k.blank for k in fields.values()), lambda _: ())
    if any(
        isinstance(k, Record) and not k.optional and n not in fields for n, k in ours.fields.items()
    ):
        refuse()
    own, blanks, make, get = tuple(ours.fields), ours.blanks, ours.make, ours.values
    places = [own.index(each) if each in own else -1 for each in fields]
    unknown = [kind.blank for kind in fields.values()]

    def values(one: Any) -> tuple[Any, ...]:  # noqa: ANN401
        had = get(one)
        return tuple([had[p] if p >= 0 else unknown[n] for n, p in enumerate(places)])

    def made(read: tuple[Any, ...]) -> Any:  # noqa: ANN401
        new = list(blanks)
        for place, value in zip(places, read, strict=True):
            if place >= 0:
                new[place] = value
        return make(tuple(new))

    return Record(name, fields, values, made, optional=ours.optional)
