"""Several plans made one: one review, one reload, all or nothing; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.plan import Notice, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.plan import Action


def merged(plans: Iterable[Plan]) -> Plan:
    """Return the plan that does all of these, in their order.

    What is done again after a change (a restart, a program's own test) is done once, where the
    last of the plans does it. Two plans that write the same file refuse each other.
    """
    made = tuple(plans)
    files = tuple(file for plan in made for file in plan.files)
    refusals = [refusal for plan in made for refusal in plan.refusals]
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            text = msg(
                "Two sections write {path}: apply them one after the other.",
                path=of_path(file.path),
            )
            refusals.append(Notice("same-file", "", text))
        seen.add(file.path)
    return Plan(
        edits=tuple(edit for plan in made for edit in plan.edits),
        files=files,
        effects=tuple(effect for plan in made for effect in plan.effects),
        warnings=tuple(dict.fromkeys(warning for plan in made for warning in plan.warnings)),
        refusals=tuple(dict.fromkeys(refusals)),
        actions=_once(action for plan in made for action in plan.actions),
        at_restart=any(plan.at_restart for plan in made),
    )


def _once(actions: Iterable[Action]) -> tuple[Action, ...]:
    given = tuple(actions)
    last = {action: at for at, action in enumerate(given) if action.kind.repeats}
    return tuple(a for at, a in enumerate(given) if last.get(a, at) == at)
