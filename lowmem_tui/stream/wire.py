"""The numbers and strings of a frame: written to a bytearray, read with every length checked.

docs/stream.md describes the format. Whole numbers are LEB128: seven bits a byte, the lowest first,
the eighth bit set on all but the last byte.
"""

from __future__ import annotations

import struct
from typing import NoReturn

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.message import Message, msg

LONGEST_FRAME = 16 << 20
"""Bytes."""
LONGEST_STRING = 4096
"""Bytes: as long as the command lines that the sampler reads."""
LARGEST_NUMBER = 1 << 72
"""What a number of a frame is below: 64 bits, a sign and the tag of what kind it is."""

_DOUBLE = struct.Struct("<d")


class StreamError(LowmemError):
    """Bytes that are no frame, or not one that this version can read."""


def refuse(message: Message | None = None) -> NoReturn:
    """Raise StreamError: of what is damaged, if nothing better is known."""
    raise StreamError(message or msg("The recorded data is damaged: it cannot be read."))


def put_number(out: bytearray, number: int) -> None:
    """Append a whole number, 0 or more."""
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def put_string(out: bytearray, text: str) -> None:
    """Append a string, cut to its longest length. Any character of Python's is kept."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > LONGEST_STRING:
        data = data[:LONGEST_STRING].decode("utf-8", "ignore").encode()
    put_number(out, len(data))
    out += data


def put_double(out: bytearray, number: float) -> None:
    """Append eight bytes."""
    out += _DOUBLE.pack(number)


class Reader:
    """Reads a frame from its beginning; what is not there raises StreamError."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, longest: int = LONGEST_FRAME) -> None:
        if len(data) > longest:
            refuse()
        self.data = data
        self.position = 0

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.position

    def number(self) -> int:
        """Return a whole number, 0 or more, below LARGEST_NUMBER."""
        data, position = self.data, self.position
        number = shift = 0
        try:
            while (byte := data[position]) > 127:
                number |= (byte & 127) << shift
                shift += 7
                position += 1
                if shift > 70:
                    refuse()
        except IndexError:
            refuse()
        self.position = position + 1
        return number | byte << shift

    def count(self, most: int) -> int:
        """Return how many things follow: at most `most`, and no more than there are bytes for."""
        count = self.number()
        if count > most or count > self.remaining:
            refuse()
        return count

    def string(self, longest: int = LONGEST_STRING) -> str:
        """Return a string."""
        length = self.count(longest)
        end = self.position + length
        try:
            text = self.data[self.position : end].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            refuse()
        self.position = end
        return text

    def double(self) -> float:
        """Return a finite number of eight bytes."""
        if self.remaining < _DOUBLE.size:
            refuse()
        (number,) = _DOUBLE.unpack_from(self.data, self.position)
        self.position += _DOUBLE.size
        if not -1e300 < number < 1e300:
            refuse()
        return float(number)
