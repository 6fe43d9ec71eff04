"""What ``--json`` shows: the values that several commands have in common (docs/cli.md)."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from lowmem_tui.model.kept import shown
from lowmem_tui.model.language import english
from lowmem_tui.model.message_data import bare_values
from lowmem_tui.model.unit import Unlimited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.plan import Action, Effect, Notice
    from lowmem_tui.model.snapshot import Setting, Situation, Unit
    from lowmem_tui.model.unit import Value
    from lowmem_tui.model.usage import Pressure
    from lowmem_tui.policy.classify import Verdict

SCHEMA = 1
"""The version of what every command prints: keys are added, never changed."""


def write(view: Mapping[str, object]) -> None:
    """Print what a command shows, on standard output."""
    json.dump({"schema": SCHEMA, **view}, sys.stdout, indent=2)
    print()


def notice(notice: Notice) -> dict[str, object]:
    """Return a warning or a refusal."""
    return {
        "code": notice.code,
        "unit": notice.unit,
        "text": english(notice.message),
        "values": bare_values(notice.message),
    }


def effect(effect: Effect) -> dict[str, object]:
    """Return what a plan or a change makes of one setting."""
    return {
        "unit": effect.unit,
        "key": effect.key,
        "from": effect.from_,
        "to": effect.to,
        "when": effect.when,
    }


def action(action: Action) -> dict[str, object]:
    """Return what is done besides files and settings."""
    return {
        "kind": action.kind,
        "what": action.what,
        "from": str(shown(action.before)),
        "to": str(shown(action.after)),
        "words": str(action.described),
    }


def pressure(pressure: Pressure | None) -> dict[str, object] | None:
    """Return the averages of a pressure file, percent; None where the kernel measures none."""
    if pressure is None:
        return None
    return {
        name: {"avg10": stall.avg10, "avg60": stall.avg60, "avg300": stall.avg300}
        for name, stall in (("some", pressure.some), ("full", pressure.full))
        if stall is not None
    }


def unit(unit: Unit, verdict: Verdict, situation: Situation) -> dict[str, object]:
    """Return a unit with its tier, what it uses (bytes), and its settings where they are known."""
    usage, properties = unit.usage, unit.properties
    memory = usage.memory if usage else None
    known = situation.units.get(unit.name)
    return {
        "name": unit.name,
        "tier": verdict.tier,
        "reason": str(verdict.reason),
        "state": properties.active_state if properties else ("active" if usage else None),
        **_columns(unit),
        "memory": memory.current if memory else None,
        "main_pid": (properties.main_pid or None) if properties else None,
        "restarts": properties.n_restarts if properties else None,
        "settings": {key: _setting(s) for key, s in known.settings.items()} if known else None,
    }


def _columns(unit: Unit) -> dict[str, object]:
    """Return the columns of the screen's table that have a key here."""
    from lowmem_tui.tui.table.columns import COLUMNS

    return {c.json: (c.in_json or c.unit)(unit) for c in COLUMNS if c.json}


def _setting(setting: Setting) -> dict[str, object]:
    values: dict[str, object] = {
        "declared": setting.declared,
        "source": setting.source,
        "loaded": value(setting.loaded),
    }
    if setting.key.facts.file is not None:
        values["kernel"] = value(setting.kernel)
    if setting.key.facts.bounded:
        values["effective"] = value(setting.effective)
    if setting.differs:
        values["differs"] = str(setting.differs)
    return values


def value(value: Value | None) -> int | str | None:
    """Return a value of a setting; None for infinity, and where it is unknown."""
    return None if isinstance(value, Unlimited) else value
