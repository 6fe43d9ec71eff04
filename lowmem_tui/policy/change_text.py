"""The state of a change, its note, what it did, and why it cannot be undone, in words; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.change import KEPT, SET_UP, State
from lowmem_tui.model.message import msg, of_list, of_setting, of_text, verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.message import Message


STATES = {
    State.APPLYING: msg("being applied"),
    State.CONFIRMING: msg("being confirmed"),
    State.APPLIED: msg("applied"),
    State.TRIAL: msg("trial"),
    State.CONFIRMED: msg("confirmed"),
    State.EXPIRED: msg("expired"),
    State.UNDONE: msg("undone"),
    State.FAILED: msg("failed"),
    State.INCOMPLETE: msg("incomplete"),
}
"""The states of a change, for every screen and command; ``--json`` has the codes."""


def noted(note: str) -> Message:
    """Return the note of a change: the operator's words, or which step of the set-up made it.

    The step is named as a policy file and ``setup --step`` name it: no language changes that.
    """
    if not note.startswith(SET_UP):
        return verbatim(note)
    step, _, wishes = note.removeprefix(SET_UP).partition("; ")
    if wishes:
        return msg("set-up: {step}; {wishes}", step=of_setting(step), wishes=of_text(wishes))
    return msg("set-up: {step}", step=of_setting(step))


def did(change: Change) -> Message:
    """Return what a change did: each unit once, with its settings; what was requested."""
    units: dict[str, list[str]] = {}
    for effect in change.effects:
        settings = units.setdefault(effect.unit, [])
        settings.append(f"{effect.key} {effect.from_} -> {effect.to}")
    done = [verbatim(f"{unit} {', '.join(each)}") for unit, each in units.items()]
    done += [verbatim(change.wishes)] if change.wishes else []
    done += [action.described for action in change.actions]
    what = _with_semicolons(done or [verbatim(path) for path in change.files])
    if change.undoes:
        return msg("undoes {changes}: {what}", changes=of_list(change.undoes), what=what)
    return what


def _with_semicolons(items: Sequence[Message]) -> Message:
    """Return items that have commas of their own as one message."""
    if not items:
        return verbatim("")
    found = items[-1]
    for item in reversed(items[:-1]):
        found = msg("{first}; {second}", first=item, second=found)
    return found


def why_not(change: Change, changes: Sequence[Change]) -> Message | None:
    """Return why this cannot be undone; None where it can be."""
    if change.state in {*KEPT, State.TRIAL, State.INCOMPLETE}:
        return None
    if change.state is State.UNDONE:
        by = [c.id for c in changes if change.id in c.undoes and c.state in KEPT]
        if by:
            return msg(
                "Change {id} is already undone, by {by}: to apply it again, undo {by}.",
                id=change.id,
                by=by[0],
            )
    return msg(
        "Change {id} is not in force ({state}): there is nothing to undo.",
        id=change.id,
        state=STATES[change.state],
    )
