"""One connection to the system bus with jeepney: messages out, messages in, of bounded size."""

from __future__ import annotations

import select
import time
from typing import Any, Final, TypeAlias

from jeepney import HeaderFields, Message, MessageType  # type: ignore[import-untyped]
from jeepney.bus import find_system_bus  # type: ignore[import-untyped]
from jeepney.io.blocking import prep_socket  # type: ignore[import-untyped]
from jeepney.low_level import (  # type: ignore[import-untyped]
    Header,
    Variant,
    calc_msg_size,
    parse_signature,
)

from lowmem_tui.host.dbus import dbus_dict, systemd

Call: TypeAlias = Message

MOST: Final = 1 << 24
"""Bytes of a message: what ListUnits answers on a server of 30,000 units. The specification's own
bound, 128 MiB, is more than the server has to spare."""

_CHUNK: Final = 65536
_FIRST: Final = 16
"""The first bytes of a message, which tell its size."""
_WANTED: Final = frozenset(key.encode() for key in systemd.WANTED)


class TooLargeError(Exception):
    """A message is larger than ``MOST``."""


class Incoming:
    """A message from the bus; its body is decoded when it is asked for."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._header, end = Header.from_buffer(raw)
        self._body_at = (end + 7) & ~7
        self._fields: dict[int, Any] = self._header.fields

    def field(self, field: HeaderFields) -> str:
        """Return a text of the header; "" where it has none."""
        value = self._fields.get(field)
        return value if isinstance(value, str) else ""

    @property
    def answers(self) -> int:
        """The serial of the call that this replies to; 0 for a signal."""
        return int(self._fields.get(HeaderFields.reply_serial, 0))

    @property
    def kind(self) -> MessageType:
        """What it is: a reply, an error, a signal, or a call."""
        return self._header.message_type

    def body(self) -> tuple[Any, ...]:
        """Decode the body; raises what jeepney raises for one that is odd."""
        signature = self.field(HeaderFields.signature)
        body: tuple[Any, ...] = parse_signature(list(f"({signature})")).parse_data(
            self._raw, self._body_at, self._header.endianness
        )[0]
        return body

    def properties(self) -> dict[str, object]:
        """Return the properties that we read of a GetAll's answer, variants taken away."""
        if self.field(HeaderFields.signature) != "a{sv}":
            raise ValueError("no answer of GetAll")
        endianness = self._header.endianness
        variant = Variant()
        return {
            key: variant.parse_data(self._raw, at, endianness)[0][1]
            for key, at in dbus_dict.entries(
                self._raw, self._body_at, endianness.struct_code(), _WANTED
            )
        }


class Link:
    """One connection: messages out, messages in."""

    def __init__(self, seconds: float) -> None:
        """Connect and authenticate; raises OSError, ValueError."""
        try:
            address = find_system_bus()
        except (StopIteration, RuntimeError) as error:
            raise ValueError(error) from error
        self._sock = prep_socket(address, timeout=seconds)
        # For sending; what is received has been polled for.
        self._sock.settimeout(seconds)
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)
        self._buffer = bytearray()
        self._serial = 0

    def send(self, message: Call) -> int:
        """Send a call; returns its serial, which the reply will name."""
        self._serial += 1
        self._sock.sendall(message.serialise(serial=self._serial))
        return self._serial

    def receive(self, deadline: float) -> Incoming | None:
        """Return the next message, None when none has come by then (on the monotonic clock)."""
        late = False
        while True:
            message = self._next()
            if message is not None:
                return message
            wait = max(0.0, deadline - time.monotonic())
            # Rounded up, or the last millisecond would be spent turning. What has come is taken,
            # even when it is late; who sends a byte at a time is not waited for.
            if late or not self._poll.poll(int(wait * 1000 + 0.999)):
                return None
            late = wait == 0.0
            data = self._sock.recv(_CHUNK)
            if not data:
                raise ConnectionResetError
            self._buffer += data

    def _next(self) -> Incoming | None:
        if len(self._buffer) < _FIRST:
            return None
        size = calc_msg_size(self._buffer)
        if size > MOST:
            raise TooLargeError
        if len(self._buffer) < size:
            return None
        raw = bytes(self._buffer[:size])
        del self._buffer[:size]
        return Incoming(raw)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()
