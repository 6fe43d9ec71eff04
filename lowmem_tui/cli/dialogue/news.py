"""What has changed since the last prompt, as sentences: trials, and what was killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lowmem_tui.model.change import State
from lowmem_tui.model.errors import LowmemError, message_of
from lowmem_tui.policy import trial_text

if TYPE_CHECKING:
    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.snapshot import Snapshot


def since(d: Dialogue) -> bool:
    """Say what has changed since this was last asked; return whether there was anything."""
    try:
        snapshot = d.look()
    except (LowmemError, OSError) as error:
        d.console.say("There are no new figures. {why}", why=message_of(error))
        return True
    spoke = _kills(d, snapshot)
    running = d.backend.trial()
    before, d.trial.running = d.trial.running, running
    if before is not None and (running is None or running.id != before.id):
        spoke |= _ended(d, before)
    if running is not None and (before is None or running.id != before.id):
        _begun(d, running, snapshot)
        spoke = True
    return _harmed(d, snapshot) or spoke


def now(d: Dialogue) -> None:
    """Say what has changed, and how long the trial that runs has yet: Enter alone asks for it."""
    spoke = since(d)
    if (trial := d.trial.running) is not None:
        d.console.say(
            "Change {id} is on trial for {seconds} more seconds: confirm keeps it, undo rolls "
            "it back.",
            id=trial.id,
            seconds=round(trial.left),
        )
    elif not spoke:
        d.console.say("Nothing has changed.")
    if (count := len(d.untried)) > 0:
        d.console.say_count(
            "1 staged edit is not applied.", "{n} staged edits are not applied.", count
        )


def began(d: Dialogue, trial: Trial) -> None:
    """Say until when a trial runs, and what ends it."""
    d.console.say(
        "Change {id} is on trial. It reverts automatically at {time}, in {seconds} seconds, "
        "unless it is confirmed: also if this program ends or the connection is lost.",
        id=trial.id,
        time=time.strftime("%H:%M:%S", time.localtime(trial.deadline)),
        seconds=round(trial.left),
    )
    d.console.say("confirm keeps it, undo rolls it back now, Enter shows how much time remains.")


def _begun(d: Dialogue, trial: Trial, snapshot: Snapshot) -> None:
    d.trial.before = dict(trial_text.counts(snapshot, d.kills.totals))
    d.trial.harm = ()
    if trial.id != d.trial.number:
        d.trial.effects, d.trial.forced = (), False
        found = _change(d, trial.id)
        d.trial.effects = found.effects if found else ()
        d.console.say("A trial was started by {by}.", by=trial.by.message)
    began(d, trial)


def _change(d: Dialogue, number: str) -> Change | None:
    """Return a change of the history; None if it is not there or cannot be read."""
    try:
        return next((change for change in d.backend.history() if change.id == number), None)
    except LowmemError:
        return None


def _ended(d: Dialogue, trial: Trial) -> bool:
    """Say how a trial ended that is not running any more, unless that was done already."""
    if d.trial.reported == trial.id:
        return False
    d.trial.reported = trial.id
    if not d.backend.cannot_change:
        try:
            # Where systemd has not come to it, this rolls it back.
            for sentence in d.backend.settle():
                d.console.message(sentence)
        except LowmemError as error:
            d.console.message(error.message)
    change = _change(d, trial.id)
    state = change.state if change else None
    if state in {State.CONFIRMED, State.APPLIED}:
        d.console.say("Change {id} was confirmed elsewhere and stays in force.", id=trial.id)
        kept(d, trial.id)
        return True
    if state is State.EXPIRED:
        d.console.say(
            "The trial of change {id} is over: it was reverted automatically.", id=trial.id
        )
    elif state is State.UNDONE:
        d.console.say("Change {id} was undone elsewhere.", id=trial.id)
    else:
        d.console.say("The trial of change {id} is over: history shows how it ended.", id=trial.id)
    if len(d.staged):
        d.console.say("Your edits are still staged.")
    return True


def kept(d: Dialogue, number: str) -> None:
    """Forget the staged edits that are in force now."""
    if number == d.trial.number:
        d.staged = d.staged.less(d.trial.edits)
        d.trial.number, d.trial.edits = "", ()


def _kills(d: Dialogue, snapshot: Snapshot) -> bool:
    spoke = False
    for name in snapshot.units:
        if name.endswith(".slice") or not (count := d.kills.unseen(name)):
            continue
        d.kills.looked_at(name)
        d.console.say_count(
            "{unit} lost a process to the OOM killer.",
            "{unit} lost processes to the OOM killer {n} times.",
            count,
            unit=name,
        )
        spoke = True
    return spoke


def _harmed(d: Dialogue, snapshot: Snapshot) -> bool:
    """Say what a trial that runs has killed or left down, once."""
    if d.trial.running is None:
        return False
    counts = dict(trial_text.counts(snapshot, d.kills.totals))
    found = tuple(
        trial_text.harm(
            snapshot, d.trial.running, d.trial.effects, d.trial.before, counts, over=False
        )
    )
    fresh = [sentence for sentence in found if sentence not in d.trial.harm]
    d.trial.harm = found
    for sentence in fresh:
        d.console.message(sentence)
    return bool(fresh)
