"""Trials and the history: confirming, undoing, and what was changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lowmem_tui.cli.dialogue import news
from lowmem_tui.cli.dialogue.review import cannot_change, carry_out, file_change, report
from lowmem_tui.model.errors import LowmemError, RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import N_, of_list
from lowmem_tui.policy import trial_text
from lowmem_tui.policy.change_text import STATES, noted, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Effect, Outcome

FEW = 3
"""Effects of a change that are listed before it is asked for whole."""

NO_TRIAL = N_("No trial runs.")
MOST = 20
"""Changes of the history that are listed."""

QUESTION = N_("Which change do you want to undo? Type its number, or 0 to go back.")
HELP = N_("history lists the changes with their numbers.")


# --- the trial ----------------------------------------------------------------------------------


def show_trial(d: Dialogue, _: str) -> None:
    """Say what is on trial, and for how long yet."""
    news.since(d)
    trial = d.trial.running
    if trial is None:
        d.console.say(NO_TRIAL)
        return
    d.console.say("Change {id} was started by {by}.", id=trial.id, by=trial.by.message)
    if trial.note:
        d.console.say("Note: {note}", note=noted(trial.note))
    for effect in d.trial.effects:
        _changed(d, effect)
    if not d.trial.effects:
        d.console.say("It changes {units}.", units=of_list(trial.units))
    for sentence in (*d.trial.harm, *_danger(d)):
        d.console.message(sentence)
    _waiting(d)
    news.began(d, trial)


def confirm(d: Dialogue, _: str) -> None:
    """Keep the change that is on trial."""
    news.since(d)  # what it killed while the prompt was there is a reason to ask
    trial = d.trial.running
    if trial is None:
        d.console.say(NO_TRIAL)
        return
    if cannot_change(d, "To keep it: {program} confirm", program=d.program):
        return
    doubts = _doubts(d)
    question = N_("Make the change that is on trial permanent? Type the word yes.")
    if doubts and not d.agreed(question):
        d.console.say("It was not confirmed: the trial goes on.")
        return
    outcome = _end(d, trial, d.backend.confirm)
    if outcome is not None:
        news.kept(d, trial.id)
        report(d, outcome)
        d.console.say("Change {id} is confirmed: it is permanent.", id=trial.id)


def _doubts(d: Dialogue) -> bool:
    """Say what speaks against keeping it; return whether anything does."""
    if d.trial.forced:
        d.console.say("A check refused this change.")
    for sentence in d.trial.harm:
        d.console.message(sentence)
    return _waiting(d) or d.trial.forced or bool(d.trial.harm)


def _waiting(d: Dialogue) -> bool:
    """Say which staged edits are not on trial; return whether there are any."""
    waiting = d.untried.edits if d.staged else ()
    for each in waiting:
        d.console.say(
            "The staged edit of {unit} {key} is not on trial.", unit=each.unit, key=each.key
        )
    return bool(waiting)


def _danger(d: Dialogue) -> Sequence[Message | str]:
    return tuple(trial_text.danger(d.look(), d.trial.effects))


def _end(d: Dialogue, trial: Trial, do: Callable[[], Outcome]) -> Outcome | None:
    """End a trial; where that failed, say whether it still runs."""
    outcome = carry_out(d, do)
    d.trial.running = d.backend.trial()
    if outcome is not None:
        d.trial.reported = trial.id
    elif d.trial.running is not None:
        d.console.say("The trial goes on.")
    return outcome


# --- undo ---------------------------------------------------------------------------------------


def undo(d: Dialogue, typed: str) -> None:
    """Undo the trial that runs, else the change that is named."""
    trial = d.backend.trial()
    if trial is not None and typed in {"", trial.id}:
        _undo_trial(d, trial)
        return
    changes = d.backend.history()
    change = _which(d, typed, changes)
    if change is None:
        return
    if why := why_not(change, changes):
        d.console.message(why)
        return
    if _cannot(d, change.id):
        return
    _effects_of_undo(d, change)
    if not d.agreed("Undo change {id}? Type the word yes.", id=change.id):
        d.console.say("Nothing was undone.")
        return
    _undo(d, change.id, {})


def _cannot(d: Dialogue, number: str) -> bool:
    return cannot_change(d, "To undo it: {program} undo {id}", program=d.program, id=number)


def _undo_trial(d: Dialogue, trial: Trial) -> None:
    if _cannot(d, trial.id):
        return
    danger = _danger(d)
    for sentence in danger:
        d.console.message(sentence)
    question = N_("Undo change {id}, which is on trial, now? Type the word yes.")
    if danger and not d.agreed(question, id=trial.id):
        d.console.say("Nothing was undone: the trial goes on.")
        return
    outcome = _end(d, trial, lambda: d.backend.undo(trial.id))
    if outcome is not None:
        report(d, outcome)
        d.console.say("Change {id} is undone: everything has its previous value.", id=trial.id)
        if len(d.staged):
            d.console.say("Your edits are still staged.")


def _which(d: Dialogue, typed: str, changes: Sequence[Change]) -> Change | None:
    """Return the change that is meant; None to go back."""
    if not changes:
        d.console.say("Nothing has been changed yet.")
        return None
    if not typed:
        listing(d, changes)
    answer: str | None = typed
    while answer is not None:
        found = next((change for change in changes if change.id == answer), None)
        if found is not None:
            return found
        if answer:
            d.console.say("There is no change {id}.", id=answer)
        answer = d.ask(QUESTION, HELP)
    return None


def _effects_of_undo(d: Dialogue, change: Change) -> None:
    for e in change.effects:
        d.console.say(
            "{unit}: {key} goes back from {after} to {before}.",
            unit=e.unit,
            key=e.key,
            before=e.from_,
            after=e.to,
        )
    for action in change.actions:
        d.console.say("Undone: {action}", action=action.described)


def _undo(d: Dialogue, number: str, overruled: dict[str, bool]) -> None:
    try:
        outcome = carry_out(d, lambda: d.backend.undo(number, **overruled), overrides=True)
    except RefusedError as error:
        d.console.say("It is refused: {why}", why=error.message)
        more = {**overruled, error.way: True}
        if more == overruled or not d.agreed("Override that and undo it? Type the word yes."):
            d.console.say("Nothing was undone.")
            return
        _undo(d, number, more)
        return
    if outcome is not None:
        report(d, outcome)
        files = d.backend.files_of(number)
        d.rules = d.rules.following((file.path, file.before) for file in files)
        d.console.say("Change {id} is undone: everything has its previous value.", id=number)


# --- the history --------------------------------------------------------------------------------


def history(d: Dialogue, typed: str) -> None:
    """List what was changed; with a number, one change whole."""
    if not d.backend.cannot_change:
        for sentence in d.backend.settle():
            d.console.message(sentence)
    changes = d.backend.history()
    if typed:
        _one(d, typed, changes)
        return
    listing(d, changes)
    for notice in d.backend.notices():
        d.console.message(notice)
    if changes:
        d.console.say("history and a number shows one change in full; undo and a number undoes it.")


def listing(d: Dialogue, changes: Sequence[Change], effects: int = FEW) -> None:
    """Say what each change was, the newest first, with so many of its effects."""
    if not changes:
        d.console.say("Nothing has been changed yet.")
    for change in changes[:MOST]:
        d.console.say(
            "Change {id}, {time}, by {by}: {state}.",
            id=change.id,
            time=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.time)),
            by=change.by.message,
            state=STATES[change.state],
        )
        if change.why and not change.undoes:
            d.console.say("Note: {note}", note=noted(change.why))
        _effects(d, change, effects)
    if len(changes) > MOST:
        d.console.say("{count} older changes are not listed.", count=len(changes) - MOST)


def _effects(d: Dialogue, change: Change, most: int) -> None:
    if change.undoes:
        d.console.say("It undoes change {ids}.", ids=of_list(change.undoes))
    for effect in change.effects[:most]:
        _changed(d, effect)
    rest = max(0, most - len(change.effects))
    for action in change.actions[:rest]:
        d.console.say("Done: {action}", action=action.described)
    more = len(change.effects) + len(change.actions) - most
    if more > 0:
        d.console.say_count(
            "1 more effect: history {id} lists it.",
            "{n} more effects: history {id} lists them.",
            more,
            id=change.id,
        )


def _changed(d: Dialogue, effect: Effect) -> None:
    d.console.say(
        "{unit}: {key} changed from {before} to {after}.",
        unit=effect.unit,
        key=effect.key,
        before=effect.from_,
        after=effect.to,
    )


def _one(d: Dialogue, typed: str, changes: Sequence[Change]) -> None:
    change = next((each for each in changes if each.id == typed), None)
    if change is None:
        hint = N_("There is no change {id}: history lists them.")
        if natural(typed) is None:
            hint = N_("{id} is not the number of a change: history lists them.")
        d.console.say(hint, id=typed)
        return
    listing(d, [change], len(change.effects) + len(change.actions))
    if change.trial is not None:
        d.console.say("It was applied as a trial of {seconds} seconds.", seconds=change.trial)
    if change.outcome:
        d.console.message(change.outcome)
    for left in change.remaining:
        d.console.say("Remaining: {left}", left=left)
    try:
        files = d.backend.files_of(change.id)
    except LowmemError as error:
        d.console.message(error.message)
        return
    for file in files:
        file_change(d, file)
