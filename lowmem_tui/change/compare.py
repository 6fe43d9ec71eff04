"""When values of a setting are the same, and in words why they are not: pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.settings import Bound, certain_default, parse_value, render_value, same
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import CGROUP_FILES, MEMORY_KEYS, Key

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Setting
    from lowmem_tui.model.unit import UnitProperties, Value

PAGE = os.sysconf("SC_PAGE_SIZE")


class Machine(NamedTuple):
    """What a share of RAM and the kernel's rounding depend on."""

    ram: int | None = None
    """Bytes; None if it is not known."""
    page_size: int = PAGE


class Declared(NamedTuple):
    """The assignment that wins in the files."""

    text: str
    path: str
    legacy: bool = False
    """A ``MemoryLimit=``: systemd applies it as memory.max, and says that MemoryMax is infinity."""


def near(key: Key, one: Value | None, other: Value | None) -> bool:
    """Tell whether two values are one but for a page: of a share of RAM two may come out so."""
    if key in MEMORY_KEYS and isinstance(one, int) and isinstance(other, int):
        return abs(one - other) <= PAGE
    return one == other


def expected(key: Key, declared: str, machine: Machine) -> Value | None:
    """Return what systemd loads for a declared text; None if that cannot be told."""
    if machine.ram is None and declared.strip()[-1:] in {"%", "‰", "‱"}:
        return None
    try:
        return parse_value(key, declared, machine.ram or 0, machine.page_size)
    except InvalidValueError:
        return None


def not_loaded(
    key: Key, declared: Declared | None, properties: UnitProperties, machine: Machine
) -> str:
    """Say that systemd has not loaded what the files declare, or ""."""
    loaded = properties.loaded(key)
    if loaded is None or (declared and declared.legacy):
        return ""
    if declared is None:
        usual = certain_default(key)
        if properties.need_daemon_reload and usual is not None and loaded != usual:
            return _unread(key, "no file sets it any more", loaded)
        return ""
    wanted = expected(key, declared.text, machine)
    if wanted is None or same(key, wanted, loaded, machine.page_size):
        return ""
    says = f"{plain(declared.path)} says {key}={plain(declared.text)}"
    # systemd 252 does not see that a UNIT.d is new, and says that nothing needs a reload.
    known = {properties.fragment_path, *properties.drop_in_paths}
    if properties.need_daemon_reload or (known != {""} and declared.path not in known):
        return _unread(key, says, loaded)
    return (
        f"{says}, but systemd has loaded {render_value(key, loaded)}: see `systemctl status "
        f"{plain(properties.name)}`."
    )


def _unread(key: Key, says: str, loaded: Value) -> str:
    return (
        f"Changed on disk, not reloaded: {says}, while systemd still has "
        f"{render_value(key, loaded)}: `systemctl daemon-reload`."
    )


def not_in_kernel(
    key: Key, properties: UnitProperties, kernel: Value | None, page_size: int = PAGE
) -> str:
    """Say that the kernel does not do what systemd has loaded, or ""."""
    loaded = properties.loaded(key)
    if loaded is None or kernel is None or same(key, loaded, kernel, page_size):
        return ""
    if key in CGROUP_FILES:
        return (
            f"systemd has loaded {render_value(key, loaded)}, but {CGROUP_FILES[key]} of what runs "
            f"is {render_value(key, kernel)}: restart {properties.name}, or apply the setting here."
        )
    if is_sshd(properties) and kernel == -1000:
        return (
            "sshd gives itself -1000 and hands OOMScoreAdjust on to every session: it protects "
            "the listener anyway; leave the setting alone."
        )
    return (
        f"systemd has loaded {loaded}, but the main process has {kernel}: it takes effect when "
        f"{properties.name} is restarted, unless the service sets its own."
    )


def is_sshd(properties: UnitProperties) -> bool:
    """Tell whether a unit is OpenSSH's listener, which sets its own score (port-linux.c)."""
    command = properties.exec_start[:1] or ("",)
    return command[0].rpartition("/")[2] == "sshd"


def capped(setting: Setting) -> str:
    """Say that a parent's value bounds a unit's own, or ""."""
    wanted, effective, by = setting.loaded, setting.effective, setting.capped_by
    if by is None or not isinstance(wanted, int) or not isinstance(effective, int):
        return ""
    if effective >= wanted:
        return ""
    key, least = setting.key, render_value(setting.key, effective)
    if key.facts.bounded is Bound.PROTECTION:
        return f"{plain(by)} above it protects only {least}: set {key} there, too."
    return f"{plain(by)} above it allows only {least}: raise {key} there, or move the unit."
