"""systemd over D-Bus with jeepney: pure Python, the default client."""

from __future__ import annotations

import select
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    new_method_call,
)
from jeepney.bus import find_system_bus  # type: ignore[import-untyped]
from jeepney.io.blocking import prep_socket  # type: ignore[import-untyped]
from jeepney.low_level import (  # type: ignore[import-untyped]
    Header,
    Variant,
    calc_msg_size,
    parse_signature,
)

from lowmem_tui.host import systemd, wire
from lowmem_tui.model.errors import ManagerGoneError, NotPermittedError
from lowmem_tui.model.unit import is_template, is_unit_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lowmem_tui.model.ports import Changes, ListedUnit
    from lowmem_tui.model.unit import UnitProperties

_Call: TypeAlias = Message
_P = ParamSpec("_P")
_T = TypeVar("_T")

_CHUNK: Final = 65536
_FIRST: Final = 16
"""The first bytes of a message, which tell its size."""
_WANTED: Final = frozenset(key.encode() for key in systemd.WANTED)

_GONE = "The connection to the system bus has ended: see `systemctl status dbus`, then try again."


class _Incoming:
    """A message from the bus; its body is decoded when it is asked for."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._header, end = Header.from_buffer(raw)
        self._body_at = (end + 7) & ~7
        self._fields: dict[int, Any] = self._header.fields

    def field(self, field: HeaderFields) -> str:
        value = self._fields.get(field)
        return value if isinstance(value, str) else ""

    @property
    def answers(self) -> int:
        """The serial of the call that this replies to; 0 for a signal."""
        return int(self._fields.get(HeaderFields.reply_serial, 0))

    @property
    def kind(self) -> MessageType:
        return self._header.message_type

    def body(self) -> tuple[Any, ...]:
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
            for key, at in wire.entries(self._raw, self._body_at, endianness.struct_code(), _WANTED)
        }


class _Link:
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

    def send(self, message: _Call) -> int:
        """Send a call; returns its serial, which the reply will name."""
        self._serial += 1
        self._sock.sendall(message.serialise(serial=self._serial))
        return self._serial

    def receive(self, deadline: float) -> _Incoming | None:
        """Return the next message, None when none has come by then (on the monotonic clock)."""
        while True:
            message = self._next()
            if message is not None:
                return message
            wait = max(0.0, deadline - time.monotonic())
            # Rounded up, or the last millisecond would be spent turning.
            if not self._poll.poll(int(wait * 1000 + 0.999)):
                return None
            data = self._sock.recv(_CHUNK)
            if not data:
                raise ConnectionResetError
            self._buffer += data

    def _next(self) -> _Incoming | None:
        if len(self._buffer) < _FIRST:
            return None
        size = calc_msg_size(self._buffer)
        if len(self._buffer) < size:
            return None
        raw = bytes(self._buffer[:size])
        del self._buffer[:size]
        return _Incoming(raw)

    def close(self) -> None:
        self._sock.close()


class JeepneyManager:
    """A ``Manager`` (model.ports) over the system bus; $DBUS_SYSTEM_BUS_ADDRESS is honoured.

    It connects at the first call, and again at the first call after a connection was lost.
    """

    def __init__(
        self,
        *,
        call_seconds: float = systemd.CALL_SECONDS,
        reload_seconds: float = systemd.RELOAD_SECONDS,
    ) -> None:
        self._call_seconds = call_seconds
        self._reload_seconds = reload_seconds
        self._link: _Link | None = None
        self._subscribed = False
        self._news = systemd.Announcements()

    def list_units(self) -> Sequence[ListedUnit]:
        """See ``Manager``."""
        return systemd.listed(self._ask("list the units", _manager("ListUnits"))[0])

    def list_unit_files(self) -> dict[str, str]:
        """See ``Manager``."""
        rows = self._ask("list the unit files", _manager("ListUnitFiles"))[0]
        return systemd.unit_file_states(rows)

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        """See ``Manager``. A template itself has ``load_state`` "template"."""
        names = tuple(dict.fromkeys(names))
        asked = [name for name in names if is_unit_name(name)]
        found = {}
        self._news.asking(asked)
        questions = [_question(name) for name in asked]
        for at, reply in self._exchange("describe the units", questions, self._call_seconds):
            name = asked[at]
            found[name] = self._understood(_answer, name, reply)
            self._news.answered(name, found[name])
        return {name: found.get(name) or systemd.not_found(name) for name in names}

    def reload(self) -> None:
        """See ``Manager``. systemd answers when it has read everything."""
        doing = "reload"
        self._ask(doing, _manager("Reload"), self._reload_seconds)
        self._ask(
            doing,
            new_method_call(
                DBusAddress(systemd.MANAGER_PATH, systemd.BUS_NAME, systemd.PEER), "Ping"
            ),
            self._reload_seconds,
        )

    def restart_unit(self, name: str) -> None:
        """See ``Manager``."""
        self._ask(f"restart {name}", _manager("RestartUnit", "ss", name, "replace"))

    def reset_failed_unit(self, name: str) -> None:
        """See ``Manager``."""
        self._ask(f"reset {name}", _manager("ResetFailedUnit", "s", name))

    def start_revert_timer(self, name: str, seconds: float, command: Sequence[str]) -> None:
        """See ``Manager``."""
        timer, service = systemd.revert_timer(seconds), systemd.revert_service(command)
        arguments = (f"{name}.timer", "fail", timer, [(f"{name}.service", service)])
        call = _manager("StartTransientUnit", systemd.TRANSIENT_SIGNATURE, *arguments)
        self._ask("arm the timer", call)

    def stop_unit(self, name: str) -> None:
        """See ``Manager``."""
        doing = f"stop {name}"
        call = _manager("StopUnit", "ss", name, "replace")
        for _, reply in self._exchange(doing, [call], self._call_seconds):
            if reply.field(HeaderFields.error_name) not in systemd.NO_SUCH_UNIT:
                self._understood(_body, reply, doing)

    def subscribe(self) -> None:
        """See ``Manager``."""
        self._subscribed = True
        if self._link is None:
            self._connect()
        else:
            self._ask_for_signals()

    def changes(self, timeout: float) -> Changes:
        """See ``Manager``. After a lost connection everything is said to have been reloaded."""
        deadline = time.monotonic() + timeout
        link = self._link or self._connect()
        while True:
            # Once there is something to tell, take what has come already, and wait no longer.
            message = self._receive(link, 0.0 if self._news else deadline)
            if message is None:
                return self._news.take()
            self._note(message)

    def close(self) -> None:
        """See ``Manager``."""
        self._subscribed = False
        self._drop()

    def _connect(self) -> _Link:
        try:
            link = _Link(self._call_seconds)
        except PermissionError as error:
            raise NotPermittedError(
                "This user may not use the D-Bus system bus: run the same with sudo."
            ) from error
        except (OSError, ValueError) as error:
            raise ManagerGoneError(
                f"The D-Bus system bus cannot be reached ({error}): start it with `systemctl start "
                "dbus`."
            ) from error
        self._link = link
        try:
            self._ask("greet", _bus("Hello"))
            if self._subscribed:
                self._ask_for_signals()
                self._news.everything()
        except BaseException:
            self._drop()
            raise
        return link

    def _ask_for_signals(self) -> None:
        doing = "tell of changes"
        rules = [_bus("AddMatch", "s", systemd.match_rule(keys)) for keys in systemd.WATCHED]
        for _, reply in self._exchange(doing, rules, self._call_seconds):
            self._understood(_body, reply, doing)
        self._ask(doing, _manager("Subscribe"))

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _ask(self, doing: str, call: _Call, seconds: float | None = None) -> tuple[Any, ...]:
        ((_, reply),) = self._exchange(doing, [call], seconds or self._call_seconds)
        return self._understood(_body, reply, doing)

    def _exchange(
        self, doing: str, calls: Sequence[_Call], seconds: float
    ) -> Iterator[tuple[int, _Incoming]]:
        """Send calls, a limited number ahead of the replies; yields replies as they come."""
        if not calls:
            return
        link = self._link or self._connect()
        waiting: dict[int, int] = {}
        to_send = deque(enumerate(calls))
        deadline = time.monotonic() + seconds
        while to_send or waiting:
            while to_send and len(waiting) < systemd.IN_FLIGHT:
                at, call = to_send.popleft()
                waiting[self._send(link, call)] = at
            message = self._receive(link, deadline)
            if message is None:
                # Should they come after all: their serials are unknown then.
                raise systemd.late(doing, seconds)
            answered = waiting.pop(message.answers, None)
            if answered is None:
                self._note(message)
            else:
                yield answered, message
                deadline = time.monotonic() + seconds

    def _send(self, link: _Link, message: _Call) -> int:
        try:
            return link.send(message)
        except BaseException as error:
            self._drop()
            if isinstance(error, OSError):
                raise ManagerGoneError(_GONE) from error
            raise

    def _receive(self, link: _Link, deadline: float) -> _Incoming | None:
        try:
            return link.receive(deadline)
        except BaseException as error:
            # Half a message may have been read: nothing after it could be understood.
            self._drop()
            if isinstance(error, Exception):
                raise ManagerGoneError(_GONE) from error
            raise

    def _note(self, message: _Incoming) -> None:
        if message.kind is MessageType.signal:
            member = message.field(HeaderFields.member)
            # The properties themselves are not needed.
            body = () if member == "PropertiesChanged" else self._understood(message.body)
            self._news.signal(message.field(HeaderFields.path), member, body)

    def _understood(self, decode: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what a decoder makes of a message; the bus sends none that is broken."""
        try:
            return decode(*args, **kwargs)
        except (AssertionError, LookupError, TypeError, ValueError, struct.error) as error:
            self._drop()
            raise ManagerGoneError(_GONE) from error


def _manager(member: str, signature: str | None = None, *arguments: object) -> _Call:
    there = DBusAddress(systemd.MANAGER_PATH, systemd.BUS_NAME, systemd.MANAGER)
    return new_method_call(there, member, signature, arguments)


def _bus(member: str, signature: str | None = None, *arguments: object) -> _Call:
    there = DBusAddress("/org/freedesktop/DBus", systemd.BUS, systemd.BUS)
    return new_method_call(there, member, signature, arguments)


def _question(name: str) -> _Call:
    """Return the call that tells of a unit: to ask by its path makes systemd load it."""
    if is_template(name):
        return _manager("GetUnitFileState", "s", name)
    there = DBusAddress(systemd.unit_path(name), systemd.BUS_NAME, systemd.PROPERTIES)
    return new_method_call(there, "GetAll", "s", ("",))


def _answer(name: str, reply: _Incoming) -> UnitProperties:
    if reply.field(HeaderFields.error_name) in systemd.NO_SUCH_UNIT:
        return systemd.not_found(name)
    if is_template(name) or reply.kind is MessageType.error:
        return systemd.template(name, _body(reply, f"describe {name}")[0])
    return systemd.decode(name, reply.properties())


def _body(reply: _Incoming, doing: str) -> tuple[Any, ...]:
    """Return what a reply holds; raises its error."""
    body = reply.body()
    if reply.kind is MessageType.error:
        name = reply.field(HeaderFields.error_name)
        raise systemd.refusal(name, body[0] if body and isinstance(body[0], str) else name, doing)
    return body
