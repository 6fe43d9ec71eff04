"""systemd over D-Bus with pydbus: the distribution's libraries, for who wants those.

pydbus makes and keeps the connection. The calls go to its Gio connection as they are: pydbus's
own proxies describe every object again, which takes three times as long (and PID 1's time, too).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias

from lowmem_tui.host.dbus import systemd
from lowmem_tui.model.errors import (
    LowmemError,
    ManagerError,
    ManagerGoneError,
    UnsupportedError,
)
from lowmem_tui.model.message import msg
from lowmem_tui.model.unit import is_template, is_unit_name

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from lowmem_tui.model.ports import Changes, ListedUnit
    from lowmem_tui.model.unit import UnitProperties

_Gio: TypeAlias = Any
"""PyGObject's types are made when it is imported."""

_MISSING = msg(
    "The pydbus client needs pydbus and PyGObject: install them with the distribution's package "
    "manager (`apt install python3-pydbus`) and use a virtual environment made with "
    "--system-site-packages, or leave --bus at jeepney."
)


class PydbusManager:
    """A ``Manager`` (model.ports) over the system bus; $DBUS_SYSTEM_BUS_ADDRESS is honoured.

    It connects at the first call, and again at the first call after a connection was lost.
    """

    def __init__(
        self,
        *,
        call_seconds: float = systemd.CALL_SECONDS,
        reload_seconds: float = systemd.RELOAD_SECONDS,
    ) -> None:
        """Raise UnsupportedError where the libraries are not installed."""
        try:
            import pydbus
            from gi.repository import Gio, GLib
        except (ImportError, ValueError) as error:
            raise UnsupportedError(_MISSING) from error
        self._gio, self._glib, self._pydbus = Gio, GLib, pydbus
        # Of our own: the default one may be somebody else's, in another thread.
        self._context = GLib.MainContext.new()
        self._call_seconds = call_seconds
        self._reload_seconds = reload_seconds
        self._bus: _Gio = None
        self._subscribed = False
        self._news = systemd.Announcements()

    def list_units(self) -> Sequence[ListedUnit]:
        """See ``Manager``."""
        return systemd.listed(self._manager("list the units", "ListUnits").unpack()[0])

    def list_unit_files(self) -> dict[str, str]:
        """See ``Manager``."""
        rows = self._manager("list the unit files", "ListUnitFiles").unpack()[0]
        return systemd.unit_file_states(rows)

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        """See ``Manager``. A template itself has ``load_state`` "template"."""
        names = tuple(dict.fromkeys(names))
        asked = [name for name in names if is_unit_name(name)]
        self._news.asking(asked)
        found = dict(zip(asked, self._describe(asked), strict=True))
        for name, each in found.items():
            self._news.answered(name, each)
        return {name: found.get(name) or systemd.not_found(name) for name in names}

    def reload(self) -> None:
        """See ``Manager``. systemd answers when it has read everything."""
        doing, seconds = "reload", self._reload_seconds
        self._manager(doing, "Reload", seconds=seconds)
        self._ask(doing, systemd.MANAGER_PATH, systemd.PEER, "Ping", seconds=seconds)

    def restart_unit(self, name: str) -> None:
        """See ``Manager``."""
        self._manager(f"restart {name}", "RestartUnit", "(ss)", name, "replace")

    def reset_failed_unit(self, name: str) -> None:
        """See ``Manager``."""
        self._manager(f"reset {name}", "ResetFailedUnit", "(s)", name)

    def start_revert_timer(self, name: str, seconds: float, command: Sequence[str]) -> None:
        """See ``Manager``."""
        timer, service = (
            [(key, self._glib.Variant(*value)) for key, value in properties]
            for properties in (systemd.revert_timer(seconds), systemd.revert_service(command))
        )
        arguments = (f"{name}.timer", "fail", timer, [(f"{name}.service", service)])
        signature = f"({systemd.TRANSIENT_SIGNATURE})"
        self._manager("arm the timer", "StartTransientUnit", signature, *arguments)

    def stop_unit(self, name: str) -> None:
        """See ``Manager``."""
        try:
            self._manager(f"stop {name}", "StopUnit", "(ss)", name, "replace")
        except ManagerError as error:
            if self._remote_name(error.__cause__) not in systemd.NO_SUCH_UNIT:
                raise

    def subscribe(self) -> None:
        """See ``Manager``."""
        self._subscribed = True
        if self._bus is None:
            self._connect()
        else:
            self._ask_for_signals()

    def changes(self, timeout: float) -> Changes:
        """See ``Manager``. After a lost connection everything counts as reloaded."""
        self._connection()
        late: list[bool] = []
        timer = self._glib.timeout_source_new(max(0, int(timeout * 1000)))
        timer.set_callback(lambda *_: late.append(True))
        timer.attach(self._context)
        try:
            while not self._news and not late and not self._closed():
                self._context.iteration(True)
            while self._context.pending():
                self._context.iteration(False)
        finally:
            timer.destroy()
        if self._closed() and not self._news:
            raise self._gone()
        return self._news.take()

    def close(self) -> None:
        """See ``Manager``."""
        self._subscribed = False
        bus, self._bus = self._bus, None
        if bus is not None:
            with contextlib.suppress(self._glib.Error):
                bus.con.close_sync(None)

    @contextlib.contextmanager
    def _in_context(self) -> Generator[None, None, None]:
        """Have Gio deliver replies and signals to our context, whatever the thread."""
        self._context.push_thread_default()
        try:
            yield
        finally:
            self._context.pop_thread_default()

    def _closed(self) -> bool:
        return self._bus is None or bool(self._bus.con.is_closed())

    def _gone(self) -> ManagerGoneError:
        self._bus = None
        return systemd.ended()

    def _connection(self) -> _Gio:
        return self._connect() if self._bus is None else self._bus.con

    def _connect(self) -> _Gio:
        with self._in_context():
            try:
                system = self._gio.BusType.SYSTEM
                address = self._gio.dbus_address_get_for_bus_sync(system, None)
                # A connection of our own: the shared one would end the program with itself.
                self._bus = self._pydbus.connect(address)
            except self._glib.Error as error:
                if error.matches(
                    self._gio.io_error_quark(), self._gio.IOErrorEnum.PERMISSION_DENIED
                ):
                    raise systemd.denied() from error
                raise systemd.unreachable(error.message) from error
        if self._subscribed:
            self._ask_for_signals()
            self._news.everything()
        return self._bus.con

    def _ask_for_signals(self) -> None:
        with self._in_context():
            for keys in systemd.WATCHED:
                self._bus.con.signal_subscribe(
                    systemd.BUS_NAME,
                    keys["interface"],
                    keys["member"],
                    # Gio has no path_namespace; arg0 is enough.
                    keys.get("path"),
                    keys.get("arg0"),
                    self._gio.DBusSignalFlags.NONE,
                    self._note,
                )
        self._manager("tell of changes", "Subscribe")

    def _note(self, *signal: _Gio) -> None:
        _connection, _sender, path, _interface, member, parameters, *_ = signal
        # The properties themselves are not needed: not to unpack them saves most of the work.
        body = () if member == "PropertiesChanged" else parameters.unpack()
        self._news.signal(path, member, body)

    def _manager(
        self,
        doing: str,
        member: str,
        signature: str = "()",
        *arguments: object,
        seconds: float | None = None,
    ) -> _Gio:
        return self._ask(
            doing,
            systemd.MANAGER_PATH,
            systemd.MANAGER,
            member,
            signature,
            *arguments,
            seconds=seconds,
        )

    def _ask(
        self,
        doing: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "()",
        *arguments: object,
        seconds: float | None = None,
    ) -> _Gio:
        seconds = seconds or self._call_seconds
        connection = self._connection()
        try:
            return connection.call_sync(
                systemd.BUS_NAME,
                path,
                interface,
                member,
                self._glib.Variant(signature, arguments),
                None,
                self._gio.DBusCallFlags.NONE,
                int(seconds * 1000),
                None,
            )
        except self._glib.Error as error:
            raise self._error(error, doing, seconds) from error

    def _describe(self, names: Sequence[str]) -> list[UnitProperties]:
        """Ask for many units, a limited number ahead of the replies."""
        connection = self._connection()
        found: dict[int, UnitProperties] = {}
        failed: list[LowmemError] = []
        waiting: set[int] = set()

        def answered(_source: object, result: object, at: int) -> None:
            waiting.discard(at)
            try:
                found[at] = self._decode(names[at], connection.call_finish(result))
            except self._glib.Error as error:
                if self._remote_name(error) in systemd.NO_SUCH_UNIT:
                    found[at] = systemd.not_found(names[at])
                else:
                    failed.append(self._error(error, f"describe {names[at]}", self._call_seconds))

        with self._in_context():
            for at, name in enumerate(names):
                while len(waiting) >= systemd.IN_FLIGHT:
                    self._context.iteration(True)
                if failed:
                    break
                waiting.add(at)
                self._question(connection, name, answered, at)
            while waiting:
                self._context.iteration(True)
        if failed:
            raise failed[0]
        return [found[at] for at in range(len(names))]

    def _question(self, connection: _Gio, name: str, answered: object, at: int) -> None:
        asked = systemd.question(name)
        connection.call(
            systemd.BUS_NAME,
            asked.path,
            asked.interface,
            asked.member,
            self._glib.Variant("(s)", (asked.argument,)),
            None,
            self._gio.DBusCallFlags.NONE,
            int(self._call_seconds * 1000),
            None,
            answered,
            at,
        )

    def _decode(self, name: str, reply: _Gio) -> UnitProperties:
        if is_template(name):
            return systemd.template(name, reply.unpack()[0])
        # To unpack all of the 400 properties would take ten times as long.
        values = self._glib.VariantDict.new(reply.get_child_value(0))
        raw = {}
        for key in systemd.WANTED:
            value = values.lookup_value(key, None)
            if value is not None:
                raw[key] = value.unpack()
        return systemd.decode(name, raw)

    def _remote_name(self, error: _Gio) -> str:
        return self._gio.DBusError.get_remote_error(error) or ""

    def _error(self, error: _Gio, doing: str, seconds: float) -> LowmemError:
        name = self._remote_name(error)
        if name:
            return systemd.refusal(name, error.message.partition(f"{name}: ")[2], doing)
        if error.matches(self._gio.io_error_quark(), self._gio.IOErrorEnum.TIMED_OUT):
            return systemd.late(doing, seconds)
        return self._gone()
