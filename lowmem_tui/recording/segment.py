"""A segment: a file of compressed entries that a power cut leaves readable up to its last flush.

The head says on which boot of which machine it was made. What follows are chunks; each is what one
flush of the compressor gave, with its length and a check sum, and is written by one call. A chunk
that begins with a key frame can be read without those before it. docs/recording.md describes the
format to the byte.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.stream.frames import LAST_SECOND, newer
from lowmem_tui.stream.wire import Reader, put_number, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAGIC = b"LMTREC1\n"
VERSION = 1
LONGEST_HEAD = 4096
"""Bytes of the head as JSON."""
LONGEST_CHUNK = 1 << 22
"""Bytes of a chunk as it is in the file…"""
LONGEST_ENTRIES = 1 << 25
"""… and when it is decompressed: a chunk that would be more is damaged."""

FRAME = 1
"""An entry that is a frame of stream/."""
LOG = 2
"""An entry that is lines of the log: what was killed, and what systemd made of it."""

_HEAD = struct.Struct("<II")
"""Length and check sum of the JSON."""
_CHUNK = struct.Struct("<4sII")
"""Mark, length of what follows, check sum of it, which goes on from that of the head."""
_TAIL = struct.Struct("<dB")
"""Time of the first entry, whether it is a key chunk; then the compressed data."""
_MARK = b"LMTc"
_LEVEL = 6
_PIECE = 1 << 16


class Head(NamedTuple):
    """What a segment says of itself."""

    boot: str
    """The kernel's random boot id, without dashes."""
    host: str
    began: float
    """Seconds since 1970."""
    offset: int
    """Seconds that local time was ahead of UTC."""
    by: str
    """The version of lowmem-tui that wrote it."""
    number: int = 0
    """Which of a folder's segments it is, from the first: clocks may be set back."""


class Entry(NamedTuple):
    """One entry of a segment."""

    kind: int
    data: bytes


class Place(NamedTuple):
    """A chunk: where it is in the file, when it begins, whether it can be read alone."""

    begin: int
    """Where its compressed data begin."""
    end: int
    time: float
    """Of its first entry, in seconds since 1970."""
    key: bool
    gap: bool = False
    """Whether something before it is damaged."""


def pack_head(head: Head) -> bytes:
    """Return the beginning of a segment."""
    data = json.dumps({"version": VERSION, **head._asdict()}).encode()
    return MAGIC + _HEAD.pack(len(data), zlib.crc32(data)) + data


class Writer:
    """Appends entries to a segment. Whoever opened the file closes it.

    A file that is there is overwritten from its beginning: what an older recording left in it is
    not read as ours, because the check sums begin with that of the head.
    """

    def __init__(self, fd: int, head: Head, size: int | None = None) -> None:
        """Write the head; `size` is how long the file may get. Raises OSError of the kernel's."""
        self._fd, self._size = fd, size
        data = pack_head(head)
        self._seed = zlib.crc32(data)
        _write(fd, data, 0)
        self._at = len(data)
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._pending = bytearray()
        self._time = head.began
        self._key = True
        self._raw = 0

    @property
    def full(self) -> bool:
        """Whether the next entries belong into another segment: seven eighths are used."""
        used = self._at + len(self._pending) + self._raw // 4
        return self._size is not None and used > self._size - (self._size >> 3)

    def append(self, entry: Entry, time: float, *, key: bool = False) -> None:
        """Add an entry; with `key` it begins a chunk that can be read alone."""
        if key and self._raw:
            self._write_chunk(zlib.Z_FULL_FLUSH)
        elif key:
            # What follows does not need what was compressed before.
            self._pending += self._compressor.flush(zlib.Z_FULL_FLUSH)
        if not self._raw:
            self._time, self._key = time, key
        out = bytearray()
        put_number(out, len(entry.data) + 1)
        out.append(entry.kind)
        out += entry.data
        self._pending += self._compressor.compress(bytes(out))
        self._raw += len(out)
        if self._raw > LONGEST_ENTRIES >> 1:
            self._write_chunk(zlib.Z_FULL_FLUSH)

    def flush(self) -> None:
        """Bring everything onto the disk. Raises OSError: what was there before stays."""
        if self._raw:
            self._write_chunk(zlib.Z_SYNC_FLUSH)
            os.fdatasync(self._fd)

    def _write_chunk(self, how: int) -> None:
        self._pending += self._compressor.flush(how)
        data = _TAIL.pack(self._time, self._key) + self._pending
        _write(
            self._fd, _CHUNK.pack(_MARK, len(data), zlib.crc32(data, self._seed)) + data, self._at
        )
        self._at += _CHUNK.size + len(data)
        self._pending.clear()
        self._raw = 0


def _write(fd: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(fd, data, at)
        data, at = data[done:], at + done


class Segment:
    """A segment that is read. Whoever opened the file closes it."""

    def __init__(self, fd: int, name: str) -> None:
        """Read the head. Raises InvalidValueError for what is no segment of ours."""
        self._fd, self.name = fd, name
        begin = len(MAGIC) + _HEAD.size
        data = os.pread(fd, begin + LONGEST_HEAD, 0)
        if not data.startswith(MAGIC) or len(data) < begin:
            raise InvalidValueError(
                msg("{path} is not a recording of lowmem-tui.", path=of_path(name))
            )
        length, check = _HEAD.unpack_from(data, len(MAGIC))
        text = data[begin : begin + min(length, LONGEST_HEAD)]
        if len(text) != length or zlib.crc32(text) != check:
            raise _damaged_head(name)
        self._first = begin + length
        self._seed = zlib.crc32(data[: self._first])
        self.head = _head_of(text, name)

    def places(self) -> list[Place]:
        """Return the chunks that are whole, in their order. What is damaged is left out.

        After damage reading goes on at the next key chunk, which has ``gap`` set.
        """
        found: list[Place] = []
        at, lost = self._first, False
        while (here := self._next_mark(at)) is not None:
            place = self._place(here)
            lost = lost or here > at
            if place is None or (lost and not place.key):
                lost, at = True, here + 1
                continue
            found.append(place._replace(gap=lost))
            at, lost = place.end, False
        return found

    def _next_mark(self, at: int) -> int | None:
        """Return where the next chunk may begin, at `at` or after it."""
        while data := os.pread(self._fd, _PIECE, at):
            if (place := data.find(_MARK)) >= 0:
                return at + place
            at += max(1, len(data) - len(_MARK) + 1)
        return None

    def _place(self, at: int) -> Place | None:
        """Return the chunk at this place, if it is whole."""
        head = os.pread(self._fd, _CHUNK.size, at)
        if len(head) < _CHUNK.size:
            return None
        _, length, check = _CHUNK.unpack(head)
        if not _TAIL.size <= length <= LONGEST_CHUNK:
            return None
        data = os.pread(self._fd, length, at + _CHUNK.size)
        if len(data) < length or zlib.crc32(data, self._seed) != check:
            return None
        time, key = _TAIL.unpack_from(data)
        begin = at + _CHUNK.size + _TAIL.size
        return Place(begin, at + _CHUNK.size + length, time, bool(key))

    def entries(self, places: Sequence[Place]) -> Iterator[Entry]:
        """Yield the entries of chunks that follow each other, the first of them a key chunk.

        Raises StreamError where they are damaged.
        """
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        for place in places:
            if place.gap or place is places[0]:
                decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
            data = os.pread(self._fd, place.end - place.begin, place.begin)
            try:
                raw = decompressor.decompress(data, LONGEST_ENTRIES)
            except zlib.error:
                refuse()
            if decompressor.unconsumed_tail or decompressor.eof:
                refuse()
            yield from _split(raw)


def _split(raw: bytes) -> Iterator[Entry]:
    reader = Reader(raw, LONGEST_ENTRIES)
    while reader.remaining:
        length = reader.count(LONGEST_ENTRIES)
        if not length:
            refuse()
        end = reader.position + length
        yield Entry(raw[reader.position], raw[reader.position + 1 : end])
        reader.position = end


def _damaged_head(name: str) -> InvalidValueError:
    return InvalidValueError(
        msg("The beginning of {path} is damaged: it cannot be read.", path=of_path(name))
    )


_KINDS: Mapping[str, tuple[type, ...]] = {
    "boot": (str,),
    "host": (str,),
    "began": (int, float),
    "offset": (int,),
    "by": (str,),
    "number": (int,),
}


def _head_of(text: bytes, name: str) -> Head:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged_head(name) from None
    if not isinstance(data, dict) or type(version := data.get("version")) is not int:
        raise _damaged_head(name)
    if version > VERSION:
        raise newer()
    values: dict[str, Any] = {field: data.get(field) for field in _KINDS}
    if any(type(value) not in _KINDS[field] for field, value in values.items()):
        raise _damaged_head(name)
    head = Head(**values)
    if not 0 <= head.began < LAST_SECOND or abs(head.offset) > 86_400 or head.number < 0:
        raise _damaged_head(name)
    return head
