"""systemd over D-Bus with jeepney: pure Python, the default client."""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    HeaderFields,
    MessageType,
    new_method_call,
)

from lowmem_tui.host.dbus import systemd
from lowmem_tui.host.dbus.jeepney_link import Call, Incoming, Link, TooLargeError
from lowmem_tui.model.errors import ManagerGoneError
from lowmem_tui.model.message import msg
from lowmem_tui.model.unit import is_template, is_unit_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lowmem_tui.model.ports import Changes, ListedUnit
    from lowmem_tui.model.unit import UnitProperties

_P = ParamSpec("_P")
_T = TypeVar("_T")

AT_ONCE: Final = 4096
"""Signals that are taken in one go: whoever may use the bus can send us some without end."""
OWNER_SECONDS: Final = 10.0
"""Seconds between two questions who systemd is, should another sender claim to be it."""
_ODD = (AssertionError, LookupError, RecursionError, TypeError, ValueError, struct.error)
"""What a decoder raises for a message that it does not understand."""

_TOO_LARGE = msg(
    "A message on the system bus is larger than 16 MiB and was not read: see `busctl monitor`, "
    "then try again."
)
_STRANGE = msg(
    "The system bus sent an answer that cannot be understood: see `systemctl status dbus`, then "
    "try again."
)


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
        self._link: Link | None = None
        self._subscribed = False
        self._news = systemd.Announcements()
        self._owner = ""  # systemd's unique name on the bus: others may send signals, too
        self._claimed = ""  # the last other sender
        self._owner_due = 0.0

    def list_units(self) -> Sequence[ListedUnit]:
        """See ``Manager``."""
        rows = self._ask("list the units", _manager("ListUnits"))
        return self._understood(lambda: systemd.listed(rows[0]))

    def list_unit_files(self) -> dict[str, str]:
        """See ``Manager``."""
        rows = self._ask("list the unit files", _manager("ListUnitFiles"))
        return self._understood(lambda: systemd.unit_file_states(rows[0]))

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
        """See ``Manager``. After a lost connection everything counts as reloaded."""
        deadline = time.monotonic() + timeout
        link = self._link or self._connect()
        for _ in range(AT_ONCE):
            # Once there is something to tell, take what has come already, and wait no longer.
            message = self._receive(link, 0.0 if self._news else deadline)
            if message is None:
                break
            self._note(message)
        self._ask_who_systemd_is()
        return self._news.take()

    def _ask_who_systemd_is(self) -> None:
        """Find out whether who sends signals in systemd's name is systemd, started again."""
        claimed, self._claimed = self._claimed, ""
        if not claimed or time.monotonic() < self._owner_due:
            return
        self._owner_due = time.monotonic() + OWNER_SECONDS
        (owner, *_) = self._ask("say who it is", _bus("GetNameOwner", "s", systemd.BUS_NAME))
        if owner != self._owner:
            self._owner = owner
            self._news.everything()

    def close(self) -> None:
        """See ``Manager``."""
        self._subscribed = False
        self._drop()

    def _connect(self) -> Link:
        try:
            link = Link(self._call_seconds)
        except PermissionError as error:
            raise systemd.denied() from error
        except (OSError, ValueError) as error:
            raise systemd.unreachable(error) from error
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

    def _ask(self, doing: str, call: Call, seconds: float | None = None) -> tuple[Any, ...]:
        ((_, reply),) = self._exchange(doing, [call], seconds or self._call_seconds)
        return self._understood(_body, reply, doing)

    def _exchange(
        self, doing: str, calls: Sequence[Call], seconds: float
    ) -> Iterator[tuple[int, Incoming]]:
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
                if time.monotonic() > deadline:
                    raise systemd.late(doing, seconds)
            else:
                self._learn_owner(message)
                yield answered, message
                deadline = time.monotonic() + seconds

    def _send(self, link: Link, message: Call) -> int:
        try:
            return link.send(message)
        except BaseException as error:
            self._drop()
            if isinstance(error, OSError):
                raise systemd.ended() from error
            raise

    def _receive(self, link: Link, deadline: float) -> Incoming | None:
        try:
            return link.receive(deadline)
        except BaseException as error:
            # Half a message may have been read: nothing after it could be understood.
            self._drop()
            if isinstance(error, TooLargeError):
                raise ManagerGoneError(_TOO_LARGE) from error
            if isinstance(error, Exception):
                raise systemd.ended() from error
            raise

    def _learn_owner(self, reply: Incoming) -> None:
        """Take the sender of a reply for systemd; the bus lets nobody else answer a call."""
        sender = reply.field(HeaderFields.sender)
        if sender.startswith(":"):
            self._owner = sender

    def _note(self, message: Incoming) -> None:
        if message.kind is MessageType.signal:
            sender = message.field(HeaderFields.sender)
            if sender != self._owner:
                self._claimed = sender or self._claimed
                return
            member = message.field(HeaderFields.member)
            # The properties themselves are not needed.
            body = () if member == "PropertiesChanged" else self._understood(message.body)
            self._news.signal(message.field(HeaderFields.path), member, body)

    def _understood(self, decode: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what a decoder makes of a message; the bus sends none that is broken."""
        try:
            return decode(*args, **kwargs)
        except _ODD as error:
            self._drop()
            raise ManagerGoneError(_STRANGE) from error


def _manager(member: str, signature: str | None = None, *arguments: object) -> Call:
    there = DBusAddress(systemd.MANAGER_PATH, systemd.BUS_NAME, systemd.MANAGER)
    return new_method_call(there, member, signature, arguments)


def _bus(member: str, signature: str | None = None, *arguments: object) -> Call:
    there = DBusAddress("/org/freedesktop/DBus", systemd.BUS, systemd.BUS)
    return new_method_call(there, member, signature, arguments)


def _question(name: str) -> Call:
    asked = systemd.question(name)
    there = DBusAddress(asked.path, systemd.BUS_NAME, asked.interface)
    return new_method_call(there, asked.member, "s", (asked.argument,))


def _answer(name: str, reply: Incoming) -> UnitProperties:
    if reply.field(HeaderFields.error_name) in systemd.NO_SUCH_UNIT:
        return systemd.not_found(name)
    if is_template(name) or reply.kind is MessageType.error:
        return systemd.template(name, _body(reply, f"describe {name}")[0])
    return systemd.decode(name, reply.properties())


def _body(reply: Incoming, doing: str) -> tuple[Any, ...]:
    """Return what a reply holds; raises its error."""
    body = reply.body()
    if reply.kind is MessageType.error:
        name = reply.field(HeaderFields.error_name)
        raise systemd.refusal(name, body[0] if body and isinstance(body[0], str) else name, doing)
    return body
