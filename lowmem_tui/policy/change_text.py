"""What a change of the history did, and why it cannot be undone, in words; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.change import KEPT, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.change import Change


def did(change: Change) -> str:
    """Return what a change did: each unit once, with its settings; what was wished for."""
    start = f"undoes {' and '.join(change.undoes)}: " if change.undoes else ""
    units: dict[str, list[str]] = {}
    for effect in change.effects:
        settings = units.setdefault(effect.unit, [])
        settings.append(f"{effect.key} {effect.from_} -> {effect.to}")
    done = [f"{unit} {', '.join(all_)}" for unit, all_ in units.items()]
    done += [change.wishes] if change.wishes else []
    done += [action.described for action in change.actions]
    return start + "; ".join(done or change.files)


def why_not(change: Change, changes: Sequence[Change]) -> str:
    """Return why this cannot be undone; or ""."""
    if change.state in {*KEPT, State.TRIAL, State.INCOMPLETE}:
        return ""
    if change.state is State.UNDONE:
        by = [c.id for c in changes if change.id in c.undoes and c.state in KEPT]
        if by:
            return (
                f"Change {change.id} is undone already, by {by[0]}: undo {by[0]} to bring it back."
            )
    return f"Change {change.id} is not in force ({change.state}): there is nothing to undo."
