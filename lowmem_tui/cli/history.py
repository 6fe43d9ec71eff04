"""`lowmem-tui history`: what was changed, when, why and by whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lowmem_tui.cli import json_view
from lowmem_tui.cli.apply import say_settled
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.model.change import UNENDED, State
from lowmem_tui.model.message import N_
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lowmem_tui.model.change import Change


STATES = {
    State.APPLYING: N_("being applied"),
    State.CONFIRMING: N_("being confirmed"),
    State.APPLIED: N_("applied"),
    State.TRIAL: N_("trial"),
    State.CONFIRMED: N_("confirmed"),
    State.EXPIRED: N_("expired"),
    State.UNDONE: N_("undone"),
    State.FAILED: N_("failed"),
    State.INCOMPLETE: N_("incomplete"),
}


def run(options: argparse.Namespace) -> Exit:
    """Print the history, the newest first. As root, what was interrupted is settled before."""
    backend = open_backend(options)
    try:
        if not backend.cannot_change:  # else the list itself tells what is not ended
            say_settled(backend)
        changes, notices = backend.history(), backend.notices()
    finally:
        backend.close()
    if options.json:
        json_view.write(
            {"changes": [as_json(change) for change in changes], "notices": list(notices)}
        )
        return Exit.DONE
    if not changes:
        print("Nothing was changed yet.")
    for change in changes:
        for line in lines(change):
            print(line)
    for notice in notices:
        print(notice)
    return Exit.DONE


def as_json(change: Change) -> dict[str, object]:
    """Return a change as cli.md's contract has it."""
    return {
        "id": change.id,
        "time": datetime.fromtimestamp(change.time, UTC).isoformat(timespec="seconds"),
        "by": change.by,
        "note": change.note,
        "state": change.state,
        "files": list(change.files),
        "effects": [json_view.effect(e) for e in change.effects],
        "actions": [json_view.action(a) for a in change.actions],
        "trial": change.trial,
        "undoes": list(change.undoes),
        "said": change.outcome,
        "remaining": list(change.remaining),
    }


def lines(change: Change) -> Iterator[str]:
    """Yield a change for a person."""
    time = datetime.fromtimestamp(change.time).astimezone()
    state = f"{change.state}"
    if change.trial is not None and change.state is not State.TRIAL:
        state += f", tried for {change.trial} s"
    yield plain(f"{change.id}  {time:%Y-%m-%d %H:%M:%S}  {state}, by {change.by}", 1000)
    if change.note:
        yield plain(f"    {change.note}", 1000)
    for e in change.effects:
        yield plain(f"    {e.unit}: {e.key} {e.from_} -> {e.to}")
    for action in change.actions:
        yield plain(f"    then: {action.described}", 200)
    for left in change.remaining:
        yield plain(f"    left: {left}", 2000)
    if said := change.outcome or UNENDED.get(change.state, ""):
        yield plain(f"    {said}", 2000)
