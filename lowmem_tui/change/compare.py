"""When values of a setting are the same, and why they are not: pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_path, of_setting, of_text, of_unit
from lowmem_tui.model.settings import Bound, certain_default, parse_value, render_value, same
from lowmem_tui.model.unit import CGROUP_FILES, MEMORY_KEYS, Key

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Setting
    from lowmem_tui.model.unit import UnitProperties, Value

PAGE = os.sysconf("SC_PAGE_SIZE")


class Machine(NamedTuple):
    """What a share of RAM and the kernel's rounding depend on."""

    ram: int | None = None
    """Bytes; None if it is not known."""
    page_size: int = PAGE


class Declared(NamedTuple):
    """The assignment in effect, of all in the files."""

    text: str
    path: str
    legacy: bool = False
    """A ``MemoryLimit=``: systemd applies it as memory.max, and shows MemoryMax as infinity."""


def near(key: Key, one: Value | None, other: Value | None) -> bool:
    """Tell whether two values are one but for a page: of a share of RAM two may come out so."""
    if key in MEMORY_KEYS and isinstance(one, int) and isinstance(other, int):
        return abs(one - other) <= PAGE
    return one == other


def expected(key: Key, declared: str, machine: Machine) -> Value | None:
    """Return what systemd loads for a declared text; None if that is unknown."""
    if machine.ram is None and declared.strip()[-1:] in {"%", "‰", "‱"}:
        return None
    try:
        return parse_value(key, declared, machine.ram or 0, machine.page_size)
    except InvalidValueError:
        return None


def not_loaded(
    key: Key, declared: Declared | None, properties: UnitProperties, machine: Machine
) -> Message | str:
    """Say that systemd has not loaded what the files declare, or ""."""
    loaded = properties.loaded(key)
    if loaded is None or (declared and declared.legacy):
        return ""
    if declared is None:
        usual = certain_default(key)
        if properties.need_daemon_reload and usual is not None and loaded != usual:
            return msg(
                "Changed on disk, not reloaded: no file sets {key} any more, but systemd still has "
                "{loaded}. Run `systemctl daemon-reload`.",
                key=of_setting(key),
                loaded=render_value(key, loaded),
            )
        return ""
    wanted = expected(key, declared.text, machine)
    if wanted is None or same(key, wanted, loaded, machine.page_size):
        return ""
    path, setting = of_path(declared.path), of_setting(key, declared.text)
    # systemd 252 does not see that a UNIT.d is new, and reports that nothing needs a reload.
    known = {properties.fragment_path, *properties.drop_in_paths}
    if properties.need_daemon_reload or (known != {""} and declared.path not in known):
        return msg(
            "Changed on disk, not reloaded: {path} has {setting}, but systemd still has {loaded}. "
            "Run `systemctl daemon-reload`.",
            path=path,
            setting=setting,
            loaded=render_value(key, loaded),
        )
    return msg(
        "{path} has {setting}, but systemd has loaded {loaded}: see `systemctl status {unit}`.",
        path=path,
        setting=setting,
        loaded=render_value(key, loaded),
        unit=of_unit(properties.name),
    )


def not_in_kernel(
    key: Key, properties: UnitProperties, kernel: Value | None, page_size: int = PAGE
) -> Message | str:
    """Say that the kernel does not do what systemd has loaded, or ""."""
    loaded = properties.loaded(key)
    if loaded is None or kernel is None or same(key, loaded, kernel, page_size):
        return ""
    if key in CGROUP_FILES:
        return msg(
            "systemd has loaded {loaded}, but {file} of the running unit is {kernel}: restart "
            "{unit}, or apply the setting here.",
            loaded=render_value(key, loaded),
            file=CGROUP_FILES[key],
            kernel=render_value(key, kernel),
            unit=of_unit(properties.name),
        )
    if is_sshd(properties) and kernel == -1000:
        return msg(
            "sshd sets its own score to -1000 and passes OOMScoreAdjust on to every session. The "
            "listener is protected anyway: keep the setting as it is."
        )
    return msg(
        "systemd has loaded {loaded}, but the main process has {kernel}: the setting takes effect "
        "when {unit} is restarted, unless the service sets its own.",
        loaded=str(loaded),
        kernel=str(kernel),
        unit=of_unit(properties.name),
    )


def is_sshd(properties: UnitProperties) -> bool:
    """Tell whether a unit is OpenSSH's listener, which sets its own score (port-linux.c)."""
    command = properties.exec_start[:1] or ("",)
    return command[0].rpartition("/")[2] == "sshd"


def capped(setting: Setting) -> Message | str:
    """Say that a parent's value bounds a unit's own, or ""."""
    wanted, effective, by = setting.loaded, setting.effective, setting.capped_by
    if by is None or not isinstance(wanted, int) or not isinstance(effective, int):
        return ""
    if effective >= wanted:
        return ""
    key, least = setting.key, render_value(setting.key, effective)
    if key.facts.bounded is Bound.PROTECTION:
        return msg(
            "{parent} above it protects only {limit}: set {key} there, too.",
            parent=of_text(by),
            limit=least,
            key=of_setting(key),
        )
    return msg(
        "{parent} above it allows only {limit}: raise {key} there, or move the unit.",
        parent=of_text(by),
        limit=least,
        key=of_setting(key),
    )
