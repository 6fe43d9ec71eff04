"""A log file of another machine, as a stream of bytes: plain, or packed by gzip, xz or bzip2.

Nothing is held whole, nothing but regular files (and standard input) is opened, and what a packed
file may become is bounded: a few kilobytes can unpack to terabytes.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
import sys
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lowmem_tui.model.errors import InvalidValueError, NotPermittedError
from lowmem_tui.model.message import N_, Message, msg, of_command, of_path, of_text
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "-"

PIECE = 1 << 18
"""Bytes that are read, and unpacked, at a time."""

MOST = 8 << 30
"""Bytes of a packed file, unpacked, that are read."""

FREE, RATIO = 64 << 20, 500
"""So much may come out of any packed file; beyond it no more than so many times what went in.
Logs pack to a tenth, a flood of the same report to a hundredth or two."""

XZ_MEMORY = 96 << 20
"""Bytes that unpacking may take (``xz -9`` needs 65 MiB)."""


class _Unpacker(Protocol):
    """As of bz2 and lzma."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's, in the same shape."""

    def __init__(self) -> None:
        import zlib

        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(0, max_length))


def _xz() -> _Unpacker:
    import lzma

    return lzma.LZMADecompressor(memlimit=XZ_MEMORY)


def _bzip2() -> _Unpacker:
    import bz2

    return bz2.BZ2Decompressor()


_PACKED = ((b"\x1f\x8b", _Gzip), (b"\xfd7zXZ\0", _xz), (b"BZh", _bzip2))

_ELSEWHERE = (
    (b"\x28\xb5\x2f\xfd", N_("{path} is packed by zstd: `{command}`."), "zstdcat {}"),
    (b"\x04\x22\x4d\x18", N_("{path} is packed by lz4: `{command}`."), "lz4cat {}"),
    (
        b"LPKSHHRH",
        N_("{path} is a file of the journal: `{command}`."),
        "journalctl --file={} -o export",
    ),
    (b"PK\x03\x04", N_("{path} is a zip archive: unpack it first."), ""),
)
"""What begins so is named, with the command that unpacks it."""


class LogFile(io.RawIOBase):
    """Reads a log; ``notes`` says what of it could not be read."""

    def __init__(self, source: BinaryIO | io.FileIO, name: str) -> None:
        super().__init__()
        self._source, self._name = source, plain(name, 200)
        self.notes: list[Message] = []
        self._unpacker: _Unpacker | None = None
        self._decode: codecs.IncrementalDecoder | None = None
        self._first: bytes | None = None
        self._begun = False
        """Some of the text was given."""
        self._ready = b""
        self._taken = self._given = 0
        self._over = False

    def close(self) -> None:
        """As io.RawIOBase; standard input stays open."""
        source = self._source
        if isinstance(source, io.FileIO) and not source.closed and source.fileno() > 2:
            source.close()
        super().close()

    def readable(self) -> bool:
        """As io.RawIOBase."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As io.RawIOBase. Raises InvalidValueError for what is no log."""
        view = memoryview(buffer).cast("B")
        while not self._ready and not self._over:
            self._ready = self._next()
        piece, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(piece)] = piece
        return len(piece)

    def _next(self) -> bytes:
        """Return some more of the text; b"" may be followed by more unless it is over."""
        if self._first is None:
            self._begin()
        if self._unpacker is not None:
            piece = self._unpacked()
        else:
            piece = self._read()
            self._over = not piece
        if piece and not self._begun:
            self._begun, piece = True, self._text(piece)
        if self._decode is not None:
            return self._decode.decode(piece, self._over).encode("utf-8", "backslashreplace")
        return piece

    def _begin(self) -> None:
        first = b""
        # Standard input may come in drops.
        while len(first) < 8 and (piece := self._source.read(PIECE)):
            first += piece
        self._first = first
        for magic, template, command in _ELSEWHERE:
            if first.startswith(magic):
                piped = f"{command.format(self._name)} | lowmem-tui incidents --file -"
                values = (("path", of_path(self._name)), ("command", of_command(piped)))
                raise InvalidValueError(Message(template, values if command else values[:1]))
        for magic, make in _PACKED:
            if first.startswith(magic):
                self._unpacker = make()

    def _text(self, first: bytes) -> bytes:
        """Look at the mark with which a text may begin, unpacked; return the text without it."""
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            # What a Windows shell writes.
            self._decode = codecs.getincrementaldecoder("utf-16")("replace")
        return first.removeprefix(codecs.BOM_UTF8)

    def _read(self) -> bytes:
        piece, self._first = self._first or b"", b""
        try:
            piece = piece or self._source.read(PIECE) or b""
        except OSError as error:
            self.notes.append(
                msg(
                    "{path} could not be read to its end: {error}.",
                    path=of_path(self._name),
                    error=str(error.strerror),
                )
            )
            return b""
        self._taken += len(piece)
        return piece

    def _unpacked(self) -> bytes:
        unpacker = self._unpacker
        if unpacker is None:
            return b""
        try:
            if unpacker.eof:
                return self._member(unpacker.unused_data or self._read())
            data = self._read() if unpacker.needs_input else b""
            if not data and unpacker.needs_input:
                return self._stop(
                    msg("{path} is cut: it was read as far as it goes.", path=of_path(self._name))
                )
            piece = unpacker.decompress(data, PIECE)
        except _broken() as error:
            return self._stop(
                msg(
                    "{path} is damaged ({error}): it was read as far as it goes.",
                    path=of_path(self._name),
                    error=of_text(str(error), 200),
                )
            )
        self._given += len(piece)
        if self._given > MOST or (self._given > FREE and self._given > RATIO * self._taken):
            return self._stop(
                msg(
                    "{path} unpacks to very much more than a log would: only its first {size} MiB "
                    "were read.",
                    path=of_path(self._name),
                    size=self._given >> 20,
                )
            )
        return piece

    def _member(self, data: bytes) -> bytes:
        """Go on with the next of several that were put behind each other."""
        data = data.lstrip(b"\0")
        if not data and not (data := self._read().lstrip(b"\0")):
            self._over = True
            return b""
        for magic, make in _PACKED:
            if data.startswith(magic):
                self._unpacker, self._first = make(), data
                return b""
        self._over = True  # what follows is no part of it, as gzip(1) has it
        return b""

    def _stop(self, words: Message) -> bytes:
        self._over = True
        self.notes.append(words)
        return b""


def _broken() -> tuple[type[Exception], ...]:
    import lzma
    import zlib

    return zlib.error, lzma.LZMAError, OSError, EOFError, ValueError


def open_log(path: str) -> LogFile:
    """Open a log; ``-`` is standard input. Raises InvalidValueError, NotPermittedError."""
    if path == STDIN:
        # Unbuffered: what a pipe has is read as it comes.
        return LogFile(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer), "standard input")
    name = plain(path, 200)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except PermissionError as error:
        raise NotPermittedError(
            msg("{path} may not be read: run this as root.", path=of_path(name))
        ) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file's name"
        raise InvalidValueError(
            msg("{path} cannot be opened: {reason}.", path=of_path(name), reason=str(why))
        ) from error
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        if stat.S_ISDIR(mode):
            raise InvalidValueError(
                msg(
                    "{path} is a folder: name a log file, or '-' for standard input.",
                    path=of_path(name),
                )
            )
        raise InvalidValueError(
            msg(
                "{path} is not a regular file: name a log file, or '-' for standard input.",
                path=of_path(name),
            )
        )
    return LogFile(io.FileIO(fd, "rb"), name)
