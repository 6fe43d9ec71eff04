"""systemd units: names, settings as systemd has loaded them, tiers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NAME = 255
"""Longest unit name systemd takes (UNIT_NAME_MAX, systemd.unit(5)), in bytes, with its suffix."""

UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.[a-z]+\Z")


class UnitType(StrEnum):
    """The suffix of a unit's name (systemd.unit(5)); ``CGROUP`` is a group without a unit."""

    SERVICE = "service"
    SCOPE = "scope"
    SLICE = "slice"
    SOCKET = "socket"
    MOUNT = "mount"
    SWAP = "swap"
    TIMER = "timer"
    TARGET = "target"
    PATH = "path"
    DEVICE = "device"
    AUTOMOUNT = "automount"
    CGROUP = "cgroup"


_TYPES = {str(kind): kind for kind in UnitType}
"""A look-up costs a fifth of what calling an enum does, and every unit's type is asked for."""


def unit_type(name: str) -> UnitType:
    """Return the type that a unit's name tells; ``CGROUP`` when it tells none."""
    _, dot, suffix = name.rpartition(".")
    return _TYPES.get(suffix, UnitType.CGROUP) if dot else UnitType.CGROUP


def is_unit_name(name: str) -> bool:
    """Tell whether systemd would take this as the name of a unit (``unit_name_is_valid``).

    A path is only ever built from a name for which this holds: it has no slash, no control
    character and no leading dot.
    """
    if not (0 < len(name.encode("utf-8", "replace")) <= MAX_NAME) or name[0] in ".@":
        return False
    return bool(UNIT_NAME.match(name)) and unit_type(name) is not UnitType.CGROUP


def is_template(name: str) -> bool:
    """Tell whether the name is a template itself (``worker@.service``), not an instance."""
    return "@." in name


class Tier(IntEnum):
    """The three tiers of the policy; a unit with none (a session, a slice) has ``None``."""

    GATEKEEPER = 0
    BUSINESS = 1
    SHORT_LIVED = 2


class Unlimited(Enum):
    """The value ``infinity`` of a limit, apart from ``None``, which is "not known"."""

    INFINITY = "infinity"

    def __str__(self) -> str:
        return self.value


INFINITY = Unlimited.INFINITY

Limit: TypeAlias = int | Unlimited
"""Bytes, or infinity."""


class Key(StrEnum):
    """The settings that may be edited, by their names in a unit file."""

    OOM_SCORE_ADJUST = "OOMScoreAdjust"
    MEMORY_MAX = "MemoryMax"
    MEMORY_HIGH = "MemoryHigh"
    MEMORY_SWAP_MAX = "MemorySwapMax"
    RESTART = "Restart"
    RESTART_SEC = "RestartSec"
    OOM_POLICY = "OOMPolicy"


MEMORY_KEYS = frozenset({Key.MEMORY_MAX, Key.MEMORY_HIGH, Key.MEMORY_SWAP_MAX})

CGROUP_FILES = {
    Key.MEMORY_MAX: "memory.max",
    Key.MEMORY_HIGH: "memory.high",
    Key.MEMORY_SWAP_MAX: "memory.swap.max",
}
"""The kernel's file for each memory setting (Documentation/admin-guide/cgroup-v2.rst)."""

Value: TypeAlias = int | Unlimited | str
"""A setting's value: bytes, a score, microseconds, infinity, or one of systemd's words."""


@dataclass(frozen=True, slots=True)
class UnitProperties:
    """What systemd has loaded of a unit (org.freedesktop.systemd1(5)); ``None`` is "not known"."""

    name: str
    """The primary ``Id``: an alias asked for is resolved to it."""
    names: tuple[str, ...] = ()
    description: str = ""
    load_state: str = "loaded"
    """``loaded``, ``not-found``, ``bad-setting``, ``error``, ``masked``."""
    active_state: str = "inactive"
    sub_state: str = "dead"
    unit_file_state: str = ""
    fragment_path: str = ""
    drop_in_paths: tuple[str, ...] = ()
    """In the order in which systemd reads them."""
    need_daemon_reload: bool = False
    transient: bool = False
    triggered_by: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    """What it starts, being a socket, a timer or a path."""
    required_by: tuple[str, ...] = ()
    """``RequiredBy``, ``RequisiteOf``, ``BoundBy`` and ``WantedBy`` together."""
    control_group: str = ""
    slice: str = ""
    type: str = ""
    """``Type=``: ``simple``, ``oneshot``, ``notify``…; empty for a unit that is no service."""
    main_pid: int = 0
    exec_start: tuple[str, ...] = ()
    """The arguments of the first ``ExecStart=``."""
    user: str = ""
    delegate: bool = False
    result: str = "success"
    n_restarts: int | None = None
    restart: str | None = None
    restart_usec: int | Unlimited | None = None
    restart_steps: int | None = None
    restart_max_delay_usec: int | Unlimited | None = None
    start_limit_interval_usec: int | Unlimited | None = None
    start_limit_burst: int | None = None
    timeout_stop_usec: int | Unlimited | None = None
    watchdog_usec: int | Unlimited | None = None
    active_enter_usec: int | None = None
    """``ActiveEnterTimestamp``, microseconds since 1970; 0 if it was never active."""
    unmet: bool = False
    """One of its conditions (``ConditionPathExists=`` …) did not hold when it was last to start."""
    oom_score_adjust: int | None = None
    oom_policy: str | None = None
    memory_max: Limit | None = None
    memory_high: Limit | None = None
    memory_swap_max: Limit | None = None

    def loaded(self, key: Key) -> Value | None:
        """Return what systemd has loaded for a setting."""
        return _LOADED[key](self)

    @property
    def exists(self) -> bool:
        """Whether there is such a unit at all."""
        return self.load_state != "not-found"


_LOADED: dict[Key, Callable[[UnitProperties], Value | None]] = {
    Key.OOM_SCORE_ADJUST: lambda p: p.oom_score_adjust,
    Key.MEMORY_MAX: lambda p: p.memory_max,
    Key.MEMORY_HIGH: lambda p: p.memory_high,
    Key.MEMORY_SWAP_MAX: lambda p: p.memory_swap_max,
    Key.RESTART: lambda p: p.restart,
    Key.RESTART_SEC: lambda p: p.restart_usec,
    Key.OOM_POLICY: lambda p: p.oom_policy,
}
