"""Names of systemd's units, and the types that they tell (systemd.unit(5))."""

from __future__ import annotations

import re
from enum import StrEnum

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
