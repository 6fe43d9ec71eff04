"""`lowmem-tui history`: what was changed, when, why and by whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lowmem_tui.cli import json_view
from lowmem_tui.cli.apply import say_settled
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.model import language
from lowmem_tui.model.change import UNENDED, State
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import as_message
from lowmem_tui.model.text import plain
from lowmem_tui.policy.change_text import STATES, noted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lowmem_tui.model.change import Change


def run(options: argparse.Namespace) -> Exit:
    """Print the history, the newest first. As root, what was interrupted is settled before."""
    backend = open_backend(options)
    try:
        if not backend.cannot_change:  # else the list itself shows what is incomplete
            say_settled(backend)
        changes, notices = backend.history(), backend.notices()
    finally:
        backend.close()
    if options.json:
        json_view.write(
            {"changes": [as_json(change) for change in changes], "notices": list(map(str, notices))}
        )
        return Exit.DONE
    if not changes:
        print(tr("Nothing has been changed yet."))
    for change in changes:
        for line in lines(change):
            print(line)
    for notice in notices:
        print(plain(language.say(notice), 2000))
    return Exit.DONE


def as_json(change: Change) -> dict[str, object]:
    """Return a change as cli.md's contract has it."""
    return {
        "id": change.id,
        "time": datetime.fromtimestamp(change.time, UTC).isoformat(timespec="seconds"),
        "by": str(change.by.message),
        "note": change.note,
        "state": change.state,
        "files": list(change.files),
        "effects": [json_view.effect(e) for e in change.effects],
        "actions": [json_view.action(a) for a in change.actions],
        "trial": change.trial,
        "undoes": list(change.undoes),
        "said": str(change.outcome),
        "remaining": list(map(str, change.remaining)),
    }


def lines(change: Change) -> Iterator[str]:
    """Yield a change for a person."""
    time = datetime.fromtimestamp(change.time).astimezone()
    state, when = STATES[change.state], f"{time:%Y-%m-%d %H:%M:%S}"
    if change.trial is not None and change.state is not State.TRIAL:
        line = tr(
            "{state} after a trial of {seconds} s, by {by}",
            state=state,
            seconds=change.trial,
            by=change.by.message,
        )
    else:
        line = tr("{state}, by {by}", state=state, by=change.by.message)
    yield plain(f"{change.id}  {when}  {line}", 1000)
    if change.note:
        yield plain(f"    {language.say(noted(change.note))}", 1000)
    for e in change.effects:
        yield plain(f"    {e.unit}: {e.key} {e.from_} -> {e.to}")
    for action in change.actions:
        yield "    " + plain(tr("Then: {action}", action=action.described), 200)
    for left in change.remaining:
        yield "    " + plain(tr("Remaining: {left}", left=as_message(left)), 2000)
    if outcome := change.outcome or UNENDED.get(change.state, ""):
        yield plain(f"    {language.say(outcome)}", 2000)
