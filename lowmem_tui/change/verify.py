"""After a change: whether files, systemd and the kernel have what was requested."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.change.compare import PAGE, Machine, capped, expected, is_sshd, near, not_in_kernel
from lowmem_tui.change.situation import SettingsReader
from lowmem_tui.change.trials.drop_ins import our_files
from lowmem_tui.model.message import msg, of_path, of_setting, of_unit
from lowmem_tui.model.plan import Mismatch, When
from lowmem_tui.model.settings import render_value, same
from lowmem_tui.model.unit import Key, UnitType, unit_type
from lowmem_tui.policy import dropin
from lowmem_tui.policy.checks.cases import RUNNING
from lowmem_tui.policy.forecast.gains import is_down

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lowmem_tui.change.steps import Ports
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Effect, Plan
    from lowmem_tui.model.snapshot import Setting
    from lowmem_tui.model.unit import UnitProperties, Value


def to_be_live(effect: Effect, loaded: Value | None) -> Value | None:
    """Return the value that the kernel should have for what runs: systemd's, to the byte."""
    return loaded if near(effect.key, loaded, effect.live) else effect.live


class Verified(NamedTuple):
    """The result of a change."""

    mismatches: tuple[Mismatch, ...]
    """What is not as the plan wants it."""
    pending: tuple[Message | str, ...]
    """Sentences on what waits for a restart."""
    down: tuple[Message | str, ...]
    """Sentences on the units that have failed."""


def verify(plan: Plan, ports: Ports, denied: Collection[str] = ()) -> Verified:
    """Return the result of a change: files, systemd and the kernel are read once.

    ``denied`` are the units whose scores the kernel did not let us lower.
    Raises ManagerError, OSError.
    """
    reader = SettingsReader(ports.files, ports.kernel, Machine(), strict=True)
    properties = _properties(plan, ports)
    settings = {name: reader.settings(each) for name, each in properties.items()}
    asked = {(edit.unit, edit.key): edit.value for edit in plan.edits}
    mismatches = []
    pending = []
    for effect in plan.effects:
        unit = properties[effect.unit]
        setting = settings[effect.unit].get(effect.key)
        if setting is None:
            continue
        cause = _cause(effect, asked.get((effect.unit, effect.key)), setting, unit)
        if cause and effect.key is Key.OOM_SCORE_ADJUST and unit.name in denied:
            cause = no_privilege(unit)
        if cause:
            mismatches.append(_mismatch(effect, setting, cause))
        elif effect.when is When.RESTART and unit.active_state in RUNNING:
            pending.append(_pending(effect, unit))
    # Asked again, and last: a new limit can kill a unit after systemd has answered and before the
    # kernel is read. Its files are gone then, which is no mismatch, and only its state tells.
    return Verified(tuple(mismatches), tuple(pending), down(plan, ports))


def down(plan: Plan, ports: Ports) -> tuple[Message | str, ...]:
    """Return sentences on the units of a plan that have failed. Raises ManagerError."""
    return _down(_properties(plan, ports).values())


def _properties(plan: Plan, ports: Ports) -> dict[str, UnitProperties]:
    """Ask systemd for the units whose settings a plan changes."""
    return ports.manager.properties(dict.fromkeys(e.unit for e in plan.effects))


def _down(units: Iterable[UnitProperties]) -> tuple[Message | str, ...]:
    failed = [u for u in units if u.active_state == "failed"]
    return tuple(
        is_down(unit.name)
        for unit in failed
        if unit_type(unit.name) not in {UnitType.SCOPE, UnitType.SLICE}
    )


def no_privilege(unit: UnitProperties) -> Message:
    """Say that the kernel does not let us lower a unit's score."""
    return msg(
        "There is no privilege to lower it here (CAP_SYS_RESOURCE is missing, as in a container): "
        "restart {unit}, and if that does not help set it on the container's host.",
        unit=of_unit(unit.name),
    )


def _pending(effect: Effect, unit: UnitProperties) -> Message:
    name = of_unit(unit.name)
    if effect.key is Key.OOM_SCORE_ADJUST and is_sshd(unit):
        return msg(
            "{unit}: OOMScoreAdjust applies to the sessions that begin after its next start "
            "(`systemctl restart {unit}`). The listener keeps the -1000 that it sets itself.",
            unit=name,
        )
    return msg(
        "{unit}: {key} takes effect at its next start (`systemctl restart {unit}`).",
        unit=name,
        key=of_setting(effect.key),
    )


def _cause(
    effect: Effect, asked: str | None, setting: Setting, unit: UnitProperties
) -> Message | str:
    """Return why a setting is not as requested, or ""."""
    key = effect.key
    ours = setting.source in our_files(unit.name)
    if asked is not None and not ours and not _comes_out_the_same(key, asked, setting):
        return _winner(key, asked, setting)
    known = effect.loaded is not None and setting.loaded is not None
    if known and not near(key, setting.loaded, effect.loaded):
        return _not_loaded(key, asked, setting, unit, ours=ours)
    if effect.live is not None and setting.kernel is not None:
        wanted = to_be_live(effect, setting.loaded)
        if not same(key, wanted, setting.kernel, PAGE):
            return not_in_kernel(key, unit, setting.kernel) or msg("The kernel did not accept it.")
    if effect.loaded is not None:
        return capped(setting)
    return ""


def _comes_out_the_same(key: Key, asked: str, setting: Setting) -> bool:
    """Tell whether another file that overrides ours happens to set the same."""
    value = expected(key, asked, Machine())
    return value is not None and setting.source is not None and value == setting.loaded


def _winner(key: Key, asked: str | None, setting: Setting) -> Message:
    key_ = of_setting(key)
    if setting.source is None:
        return msg("No file sets {key}, ours included: somebody removed it meanwhile.", key=key_)
    path, found = of_path(setting.source), of_setting(key, setting.declared or "")
    if dropin.is_later(setting.source):
        return msg(
            "{path} has {setting} and is read after ours: change it there.",
            path=path,
            setting=found,
        )
    if asked is None:
        return msg("{path} has {setting}: change it there.", path=path, setting=found)
    return msg(
        "{path} has {setting}, and our drop-in does not set {key} any more: somebody removed it "
        "meanwhile.",
        path=path,
        setting=found,
        key=key_,
    )


def _not_loaded(
    key: Key, asked: str | None, setting: Setting, unit: UnitProperties, *, ours: bool
) -> Message:
    if unit.load_state not in {"loaded", "template"}:
        return msg(
            "systemd does not load {unit} ({state}): see `systemctl status {unit}`.",
            unit=of_unit(unit.name),
            state=unit.load_state,
        )
    if not ours:
        return _winner(key, asked, setting)
    if unit.need_daemon_reload:
        return msg("The files were changed again since the reload: run `systemctl daemon-reload`.")
    return msg(
        "systemd has loaded another value than the one in the file: see `journalctl -b _PID=1`."
    )


def _mismatch(effect: Effect, setting: Setting, cause: Message | str) -> Mismatch:
    return Mismatch(
        unit=effect.unit,
        key=effect.key,
        wanted=effect.to,
        declared=setting.declared if setting.declared is not None else "nothing",
        loaded=render_value(effect.key, setting.loaded),
        kernel=render_value(effect.key, setting.kernel),
        cause=cause,
    )


def differences(plan: Plan, ports: Ports) -> Verified:
    """Return where declared, loaded and kernel differ, for each setting that a plan touches.

    For after it was reverted: nothing waits for a restart then. Raises ManagerError.
    """
    reader = SettingsReader(ports.files, ports.kernel, Machine())
    properties = _properties(plan, ports)
    settings = {name: reader.settings(each) for name, each in properties.items()}
    mismatches = tuple(
        _mismatch(replace(effect, to=effect.from_), setting, setting.differs)
        for effect in plan.effects
        if (setting := settings[effect.unit].get(effect.key)) and setting.differs
    )
    return Verified(mismatches, (), _down(properties.values()))
