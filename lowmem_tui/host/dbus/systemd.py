"""What systemd says over D-Bus, made into our values: pure, shared by both clients.

Source: org.freedesktop.systemd1(5); for object paths, systemd's src/basic/bus-label.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.amount import INFINITY, Unlimited
from lowmem_tui.model.cgroup import ROOT_SLICE
from lowmem_tui.model.errors import (
    LowmemError,
    ManagerError,
    ManagerGoneError,
    NotPermittedError,
)
from lowmem_tui.model.message import msg, of_seconds
from lowmem_tui.model.ports import Changes, ListedUnit
from lowmem_tui.model.quantity import UINT64_MAX
from lowmem_tui.model.settings import Key
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import UnitProperties, UnitType, is_template, unit_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BUS_NAME: Final = "org.freedesktop.systemd1"
MANAGER_PATH: Final = "/org/freedesktop/systemd1"
UNIT_PATH: Final = "/org/freedesktop/systemd1/unit/"
MANAGER: Final = "org.freedesktop.systemd1.Manager"
UNIT: Final = "org.freedesktop.systemd1.Unit"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
PEER: Final = "org.freedesktop.DBus.Peer"
BUS: Final = "org.freedesktop.DBus"

CALL_SECONDS: Final = 60.0
"""How long a call may take; PID 1 is deaf while it reloads: seconds, on a busy server many."""
RELOAD_SECONDS: Final = 120.0
"""How long a reload may take; 11 s were seen on weak hardware (systemd#26950)."""
IN_FLIGHT: Final = 32
"""Calls on their way at once; the system bus allows 128 replies pending per connection."""

TEMPLATE: Final = "template"
"""Our own ``load_state`` for a template that has a unit file: systemd never loads one."""

WATCHED: Final = (
    {"interface": MANAGER, "member": "UnitNew", "path": MANAGER_PATH},
    {"interface": MANAGER, "member": "UnitRemoved", "path": MANAGER_PATH},
    {"interface": MANAGER, "member": "Reloading", "path": MANAGER_PATH},
    # A unit's change is announced once per interface. That of Unit comes always, and is enough.
    {
        "interface": PROPERTIES,
        "member": "PropertiesChanged",
        "path_namespace": UNIT_PATH.rstrip("/"),
        "arg0": UNIT,
    },
)
"""The signals that we ask for, as the keys of D-Bus match rules; all sent by systemd."""

_NEEDED_BY: Final = ("RequiredBy", "RequisiteOf", "BoundBy", "WantedBy")

WANTED: Final = (
    *("Id", "Names", "Description", "LoadState", "ActiveState", "SubState", "UnitFileState"),
    *("FragmentPath", "DropInPaths", "NeedDaemonReload", "Transient", "TriggeredBy"),
    "Triggers",
    *_NEEDED_BY,
    *("ControlGroup", "Slice", "Type", "MainPID", "ExecStart", "User"),
    *("Delegate", "Result", "NRestarts", "RestartSteps"),
    *("RestartMaxDelayUSec", "StartLimitIntervalUSec", "StartLimitBurst"),
    *("ConditionResult", "ConditionTimestamp"),
    *(key.facts.property for key in Key),
)
"""The properties that ``decode`` reads."""


REVERT_RETRY: Final = 10.0
"""Seconds until a revert that failed is run again."""

_STAYS: Final = (("DefaultDependencies", ("b", False)), ("IgnoreOnIsolate", ("b", True)))
"""systemctl default, rescue, emergency and soft-reboot stop what does not have these."""


def revert_timer(seconds: float) -> list[tuple[str, tuple[str, object]]]:
    """Return the properties of the timer of ``start_revert_timer``, as (name, variant)."""
    return [
        ("Description", ("s", "Revert the trial of lowmem-tui")),
        *_STAYS,
        ("TimersMonotonic", ("a(st)", [("OnActiveSec", int(seconds * 1_000_000))])),
        ("AccuracyUSec", ("t", 100_000)),
        ("RemainAfterElapse", ("b", False)),
    ]


def revert_service(command: Sequence[str]) -> list[tuple[str, tuple[str, object]]]:
    """Return the properties of the service that the timer starts: it must get through."""
    return [
        ("Description", ("s", "Revert the trial of lowmem-tui")),
        *_STAYS,
        ("Type", ("s", "oneshot")),
        ("ExecStart", ("a(sasb)", [(command[0], list(command), False)])),
        # No limit that is on trial on another slice holds the revert up.
        ("Slice", ("s", ROOT_SLICE)),
        ("OOMScoreAdjust", ("i", -999)),
        ("Restart", ("s", "on-failure")),
        ("RestartUSec", ("t", int(REVERT_RETRY * 1_000_000))),
        ("CollectMode", ("s", "inactive-or-failed")),
    ]


TRANSIENT_SIGNATURE: Final = "ssa(sv)a(sa(sv))"


def unit_path(name: str) -> str:
    """Return the object path of a unit, by ``bus_label_escape``."""
    escaped = "".join(
        char
        if char.isascii() and (char.isalpha() or (at and char.isdigit()))
        else "".join(f"_{byte:02x}" for byte in char.encode())
        for at, char in enumerate(name)
    )
    return UNIT_PATH + (escaped or "_")


def unit_name(path: str) -> str | None:
    """Return the unit of an object path, None for any other object's path."""
    if not path.startswith(UNIT_PATH):
        return None
    first, *rest = path[len(UNIT_PATH) :].split("_")
    try:
        raw = first.encode() + b"".join(
            bytes([int(part[:2], 16)]) + part[2:].encode() for part in rest
        )
    except ValueError:
        return None
    return raw.decode(errors="replace")


def listed(rows: Iterable[Sequence[object]]) -> list[ListedUnit]:
    """Return the answer of ListUnits, ``a(ssssssouso)``."""
    return [ListedUnit(str(row[0]), str(row[2])) for row in rows]


def unit_file_states(rows: Iterable[Sequence[object]]) -> dict[str, str]:
    """Return the answer of ListUnitFiles, ``a(ss)`` of path and state, by name."""
    return {str(path).rpartition("/")[2]: str(state) for path, state in rows}


def not_found(name: str) -> UnitProperties:
    """Return the properties of a unit that does not exist."""
    return UnitProperties(name=name, names=(name,), load_state="not-found")


def template(name: str, state: str) -> UnitProperties:
    """Return the properties of a template itself, of which systemd knows the file alone."""
    return UnitProperties(
        name=name,
        names=(name,),
        load_state="masked" if state.startswith("masked") else TEMPLATE,
        unit_file_state=state,
    )


def decode(name: str, raw: Mapping[str, object]) -> UnitProperties:
    """Return the properties of the unit that was asked for as ``name``.

    ``raw`` has the properties of all its interfaces (``GetAll`` of ""), variants taken away.
    What this version of systemd does not have, or this type of unit, is None.
    """
    primary = _text(raw, "Id") or name
    service = unit_type(primary) is UnitType.SERVICE
    return UnitProperties(
        name=primary,
        names=_texts(raw, "Names") or (primary,),
        description=_text(raw, "Description"),
        load_state=_text(raw, "LoadState") or "not-found",
        active_state=_text(raw, "ActiveState") or "inactive",
        sub_state=_text(raw, "SubState") or "dead",
        unit_file_state=_text(raw, "UnitFileState"),
        fragment_path=_text(raw, "FragmentPath"),
        drop_in_paths=_texts(raw, "DropInPaths"),
        need_daemon_reload=raw.get("NeedDaemonReload") is True,
        transient=raw.get("Transient") is True,
        triggered_by=_texts(raw, "TriggeredBy"),
        triggers=_texts(raw, "Triggers"),
        required_by=tuple(unit for kind in _NEEDED_BY for unit in _texts(raw, kind)),
        control_group=_text(raw, "ControlGroup"),
        slice=_text(raw, "Slice"),
        # A mount has a Type too, its file system's.
        type=_text(raw, "Type") if service else "",
        main_pid=_number(raw, "MainPID") or 0,
        exec_start=_first_command(raw.get("ExecStart")),
        user=_text(raw, "User"),
        delegate=raw.get("Delegate") is True,
        result=_text(raw, "Result") or "success",
        n_restarts=_number(raw, "NRestarts"),
        restart_steps=_number(raw, "RestartSteps"),
        restart_max_delay_usec=_limit(raw, "RestartMaxDelayUSec"),
        start_limit_interval_usec=_limit(raw, "StartLimitIntervalUSec"),
        start_limit_burst=_number(raw, "StartLimitBurst"),
        # Before the first start there is no result: it says "no" then, too.
        unmet=raw.get("ConditionResult") is False and bool(_number(raw, "ConditionTimestamp")),
        settings={
            key: value
            for key in Key
            if (value := key.facts.kind.decode(raw.get(key.facts.property))) is not None
        },
    )


def _text(raw: Mapping[str, object], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def _texts(raw: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = raw.get(key)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _number(raw: Mapping[str, object], key: str) -> int | None:
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _limit(raw: Mapping[str, object], key: str) -> int | Unlimited | None:
    value = _number(raw, key)
    return INFINITY if value == UINT64_MAX else value


def _first_command(value: object) -> tuple[str, ...]:
    """Return the arguments of the first command of ``a(sasbttttuii)``."""
    match value:
        case [[_, [*arguments], *_], *_]:
            return tuple(map(str, arguments))
        case _:
            return ()


_DENIED = (
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.DBus.Error.AuthFailed",
    "org.freedesktop.PolicyKit1.Error.NotAuthorized",
)
_LATE = (
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.Timeout",
    "org.freedesktop.DBus.Error.TimedOut",
)
_GONE = (
    "org.freedesktop.DBus.Error.Disconnected",
    "org.freedesktop.DBus.Error.NoServer",
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
)
NO_SUCH_UNIT: Final = (
    "org.freedesktop.systemd1.NoSuchUnit",
    "org.freedesktop.DBus.Error.InvalidArgs",
    "org.freedesktop.DBus.Error.UnknownObject",
    "org.freedesktop.DBus.Error.UnknownInterface",
    "org.freedesktop.DBus.Error.FileNotFound",
)
"""What systemd answers when it is asked about a name that is none, or that nothing has."""


def refusal(name: str, message: str, doing: str) -> LowmemError:
    """Return the error for a D-Bus error's name and text; ``doing`` is what it answers to."""
    why = plain(message).rstrip(".")
    if name in _DENIED:
        return NotPermittedError(
            msg(
                "systemd lets only root do this ({request}): run the same with sudo.", request=doing
            )
        )
    if name in _LATE:
        return late(doing, CALL_SECONDS)
    if name in _GONE:
        return ManagerGoneError(
            msg(
                "systemd does not answer on the system bus: see `systemctl status dbus`, then try "
                "again."
            )
        )
    if name == "org.freedesktop.systemd1.UnitMasked":
        return ManagerError(
            msg(
                "systemd refused this ({request}): {reason}. Run `systemctl unmask` first.",
                request=doing,
                reason=why,
            )
        )
    return ManagerError(
        msg(
            "systemd refused this ({request}): {reason}. See `journalctl -b _PID=1`.",
            request=doing,
            reason=why,
        )
    )


def late(doing: str, seconds: float) -> ManagerError:
    """Return the error for an answer that has not come."""
    return ManagerError(
        msg(
            "systemd has not answered in {seconds} ({request}): the server may be out of memory. "
            "Try again.",
            seconds=of_seconds(seconds),
            request=doing,
        )
    )


def denied() -> NotPermittedError:
    """Return the error where the bus itself refuses this user."""
    return NotPermittedError(
        msg("This user may not use the D-Bus system bus: run the same with sudo.")
    )


def unreachable(why: object) -> ManagerGoneError:
    """Return the error where there is no bus to connect to."""
    return ManagerGoneError(
        msg(
            "The D-Bus system bus cannot be reached ({reason}): start it with `systemctl start "
            "dbus`.",
            reason=str(why),
        )
    )


def ended() -> ManagerGoneError:
    """Return the error for a connection that was lost."""
    return ManagerGoneError(
        msg(
            "The connection to the system bus has ended: see `systemctl status dbus`, then try "
            "again."
        )
    )


class Question(NamedTuple):
    """A call of one text that tells of a unit."""

    path: str
    interface: str
    member: str
    argument: str


def question(name: str) -> Question:
    """Return the call that describes a unit: to ask by its path makes systemd load it."""
    if is_template(name):
        return Question(MANAGER_PATH, MANAGER, "GetUnitFileState", name)
    return Question(unit_path(name), PROPERTIES, "GetAll", "")


class Announcements:
    """Collects what systemd's signals tell.

    To ask for a unit that is not loaded makes systemd load it, and drop it again: it announces
    both. Who asks again because of that would ask indefinitely, so this echo of a question is left
    out. A start of the unit is a PropertiesChanged too, which is not left out.
    """

    def __init__(self) -> None:
        self._units: set[str] = set()
        self._reloaded = False
        self._echoes: dict[str, set[str]] = {}

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return self._reloaded or bool(self._units)

    def asking(self, names: Iterable[str]) -> None:
        """Note questions about to be asked: the echo may come before the answer is looked at."""
        for name in names:
            self._echoes[name] = {"UnitNew", "UnitRemoved"}

    def answered(self, name: str, properties: UnitProperties) -> None:
        """Note the answer: a unit that runs was loaded before, and has no echo."""
        echoes = self._echoes.pop(name, {"UnitNew", "UnitRemoved"})
        if properties.active_state == "inactive" and not properties.transient:
            self._echoes[properties.name] = echoes

    def signal(self, path: str, member: str, body: Sequence[object]) -> None:
        """Take one signal of ``WATCHED``."""
        if member == "Reloading":
            self._reloaded |= bool(body) and body[0] is False
        elif member == "PropertiesChanged":
            name = unit_name(path)
            if name is not None:
                self._units.add(name)
        elif member in {"UnitNew", "UnitRemoved"} and body:
            name = str(body[0])
            echoes = self._echoes.get(name)
            if echoes and member in echoes:
                echoes.discard(member)
            else:
                self._units.add(name)

    def everything(self) -> None:
        """Note that signals may have been missed."""
        self._reloaded = True

    def take(self) -> Changes:
        """Return what has been collected, and begin again."""
        changes = Changes(frozenset(self._units), self._reloaded)
        self._units.clear()
        self._reloaded = False
        return changes


def match_rule(keys: Mapping[str, str]) -> str:
    """Return a D-Bus match rule for a signal of systemd."""
    return ",".join(
        f"{key}='{value}'" for key, value in {"type": "signal", "sender": BUS_NAME, **keys}.items()
    )
