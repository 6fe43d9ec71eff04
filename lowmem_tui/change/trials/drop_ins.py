"""The drop-ins of a trial: where they lie, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.change.machine.allowed import RUN_PLACE, TRIAL_DROP_IN
from lowmem_tui.model.plan import FileChange
from lowmem_tui.model.settings import render_value
from lowmem_tui.model.unit import Key
from lowmem_tui.model.unitfile import section_of
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from lowmem_tui.model.plan import Effect, Plan
    from lowmem_tui.model.ports import Files


def trial_path(unit: str) -> str:
    """Return the path of a unit's trial drop-in. Raises InvalidValueError for no unit's name."""
    folder = dropin.path(unit).removeprefix(dropin.FOLDER).rpartition("/")[0]
    return f"{RUN_PLACE}{folder}/{TRIAL_DROP_IN}"


def our_files(unit: str) -> tuple[str, str]:
    """Return the paths of a unit's drop-ins that are ours."""
    return dropin.path(unit), trial_path(unit)


def trial_files(plan: Plan, files: Files) -> tuple[FileChange, ...]:
    """Return the drop-ins that make the plan so until a reboot. OSError.

    Being read last they say each value outright, that of a setting which the plan drops, too.
    """
    asked = {(edit.unit, edit.key): edit.value for edit in plan.edits}
    lines: dict[str, dict[Key, str]] = {}
    for effect in plan.effects:
        value = _value(effect, asked.get((effect.unit, effect.key)))
        lines.setdefault(effect.unit, {})[effect.key] = value
    return tuple(
        FileChange(path, files.read(path), _text(unit, values))
        for unit, values in lines.items()
        for path in [trial_path(unit)]
    )


def _value(effect: Effect, asked: str | None) -> str:
    if effect.loaded is not None:
        return render_value(effect.key, effect.loaded)
    # Dropped, and no other file sets it: systemd's own. system.conf may say otherwise, which only
    # shows when the change is kept.
    return asked or render_value(effect.key, effect.key.facts.default)


def _text(unit: str, values: dict[Key, str]) -> str:
    return "\n".join(
        (
            "# A trial of lowmem-tui: gone when its time is over, or after a reboot.",
            "# Keep it with 'lowmem-tui confirm', undo it with 'lowmem-tui undo'.",
            "",
            f"[{section_of(unit) or 'Service'}]",
            *(f"{key}={values[key]}" for key in Key if key in values),
            "",
        )
    )
