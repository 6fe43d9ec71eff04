"""The review: what the staged edits would do, applying them, and what they did."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from lowmem_tui.cli.dialogue import news
from lowmem_tui.model.errors import HalfDoneError, LowmemError, RefusedError, RolledBackError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import N_
from lowmem_tui.model.plan import When
from lowmem_tui.model.trial import LONGEST, SHORTEST, USUAL
from lowmem_tui.policy import outcome_text, trial_text
from lowmem_tui.policy.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.plan import Edit, FileChange, Outcome, Plan

EFFECTS = {
    When.LIVE: N_("{unit}: {key} changes from {before} to {after}, live, at once."),
    When.RELOAD: N_("{unit}: {key} changes from {before} to {after} when systemd reloads."),
    When.RESTART: N_("{unit}: {key} changes from {before} to {after} at the unit's next start."),
}

PATIENCE = 5.0
"""Seconds between two sentences on how far a long action is."""

WORKING = N_(
    "Working: this may take some seconds. It ends by itself, or everything is rolled back; Ctrl-C "
    "rolls it back."
)
UNCHANGED = N_("Nothing is changed: everything has its previous value.")
NOTHING_WRITTEN = N_("Nothing was written.")


def review(d: Dialogue, _: str) -> None:
    """Say what the staged edits would do; nothing is written."""
    if (made := planned(d)) is not None:
        describe(d, made)
        if not made.empty:
            d.console.say("Nothing is written yet: apply does it.")


def apply(d: Dialogue, _: str) -> None:
    """Show what the staged edits would do, and apply them, as a trial or for good."""
    if d.backend.trial() is not None:
        d.console.say("A trial runs: confirm or undo it first, then apply.")
        return
    made = planned(d)
    if made is None:
        return
    describe(d, made)
    if not is_possible(d, made):
        return
    if cannot_change(
        d,
        "To apply just this: {command}",
        command=outcome_text.command(d.program, d.staged.edits, trial=True),
    ):
        return
    edits = d.staged.edits
    seconds = trial_or_not(d)
    if seconds is not None and agreed(d, made, seconds):
        outcome = carry_out(
            d,
            lambda: d.backend.apply(made, force=bool(made.refusals), trial=seconds or None),
        )
        if outcome is not None:
            _applied(d, made, outcome, edits, on_trial=bool(seconds))


def cannot_change(d: Dialogue, instead: str, /, **values: object) -> bool:
    """Say why nothing can be changed from here, if it cannot, and what to run in its place."""
    if not d.backend.cannot_change:
        return False
    d.console.message(d.backend.cannot_change)
    if not d.backend.demo:  # what was staged there is not for this machine
        d.console.say(instead, **values)
    return True


def planned(d: Dialogue) -> Plan | None:
    """Return the plan of the staged edits; None, and why, where there is none."""
    if not d.staged:
        d.console.say("Nothing is staged: edit stages settings of a unit.")
        return None
    situation = d.backend.situation(d.staged.units)
    return plan(d.staged.edits, situation, d.rules.tiers(situation))


def is_possible(d: Dialogue, made: Plan) -> bool:
    """Say why a plan cannot be applied, if it cannot."""
    if any(not notice.forceable for notice in made.refusals):
        d.console.say("It is refused: change or discard those edits, then apply.")
        d.console.say(NOTHING_WRITTEN)
        return False
    return not made.empty


def trial_or_not(d: Dialogue) -> int | None:
    """Return the seconds of the trial that is requested, 0 for none; None to go back."""
    d.console.say(
        "1. Apply as a trial of {seconds} seconds: it reverts automatically unless you confirm it.",
        seconds=USUAL,
    )
    d.console.say("2. Apply permanently, without a trial.")
    d.console.say("trial and a number of seconds applies it as a trial of that length.")
    question = N_("How do you want to apply it? Type 1 or 2, or 0 to go back.")
    help_ = N_("A trial is the safe way: if the change cuts your own connection, it reverts.")
    while (answer := d.ask(question, help_)) is not None:
        if answer == "1":
            return USUAL
        if answer == "2":
            return 0
        word, _, rest = answer.lower().partition(" ")
        seconds = natural(rest.strip(), 9) or 0
        if word == "trial" and SHORTEST <= seconds <= LONGEST:
            return seconds
        d.misunderstood(
            answer,
            "Type 1, 2, or trial and {shortest} to {longest} seconds.",
            shortest=SHORTEST,
            longest=LONGEST,
        )
    d.console.say(NOTHING_WRITTEN)
    return None


def agreed(d: Dialogue, made: Plan, seconds: int) -> bool:
    """Ask what must be asked before a plan is applied: about refusals, and about no trial."""
    for notice in made.refusals:
        d.console.say("A check refuses this: {text}", text=notice.named)
    question = ""
    if made.refusals:
        question = N_("Override the check and apply it as a trial? Type the word yes.")
        if not seconds:
            question = N_("Override the check and apply it without a trial? Type the word yes.")
    elif not seconds:
        question = N_("Apply it at once, without a trial that reverts it? Type the word yes.")
    if question and not d.agreed(question):
        d.console.say(NOTHING_WRITTEN)
        return False
    return True


def carry_out(d: Dialogue, do: Callable[[], Outcome], *, overrides: bool = False) -> Outcome | None:
    """Change the server, and return the outcome; None, and why, where it failed.

    Raises what a signal ended, with everything rolled back; with ``overrides`` a RefusedError that
    can be overridden.
    """
    d.console.say(WORKING)
    d.console.flush()
    try:
        with _progress(d):
            outcome = do()
        d.console.forget_typed()
    except LowmemError as error:
        number = getattr(error.__cause__, "number", 0)
        if number not in {0, 2} or (overrides and isinstance(error, RefusedError) and error.way):
            raise
        d.console.message(error.message)
        if not isinstance(error, HalfDoneError):
            d.console.say(UNCHANGED if isinstance(error, RolledBackError) else NOTHING_WRITTEN)
        if len(d.staged):
            d.console.say("Your edits are still staged.")
        return None
    return outcome


@contextlib.contextmanager
def _progress(d: Dialogue) -> Generator[None, None, None]:
    """Say now and then how far a long action is."""
    over = threading.Event()

    def follow() -> None:
        while not over.wait(PATIENCE):
            found = d.backend.progress()
            if found is not None and found.total:
                d.console.say(
                    "{percent} percent done: {words}.",
                    percent=100 * found.done // found.total,
                    words=found.words,
                )
                d.console.flush()

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _applied(
    d: Dialogue, made: Plan, outcome: Outcome, edits: tuple[Edit, ...], *, on_trial: bool
) -> None:
    report(d, outcome)
    running = d.backend.trial() if on_trial else None
    if running is not None:
        start_of_trial(d, running, made, edits)
    elif not on_trial:
        d.staged = d.staged.less(edits)
        d.console.say("The change is permanent: history shows it, and undo undoes it.")


def start_of_trial(d: Dialogue, running: Trial, made: Plan, edits: tuple[Edit, ...] = ()) -> None:
    """Remember the trial that was begun here, and say how it ends."""
    known = d.trial
    known.running, known.effects, known.harm = running, made.effects, ()
    known.number, known.edits, known.forced = running.id, edits, bool(made.refusals)
    known.before = dict(trial_text.counts(d.look(), d.kills.totals))
    news.began(d, running)


# --- in words -----------------------------------------------------------------------------------


def describe(d: Dialogue, made: Plan) -> None:
    """Say what a plan would do: refusals first, then warnings, effects, actions and files."""
    for notice in made.refusals:
        sentence = N_("Refused: {text}")
        if notice.forceable:
            sentence = N_("Refused, unless you override it: {text}")
        d.console.say(sentence, text=notice.named)
    for notice in made.warnings:
        d.console.say("Warning: {text}", text=notice.named)
    for e in made.effects:
        d.console.say(EFFECTS[e.when], unit=e.unit, key=e.key, before=e.from_, after=e.to)
    for action in made.actions:
        d.console.say("Then: {action}", action=action.described)
    if made.effects:
        _kill_order(d, made)
    for change in made.files:
        file_change(d, change)
    if made.empty and not made.refusals:
        d.console.say("Nothing to do: it is already set.")


def _kill_order(d: Dialogue, made: Plan) -> None:
    from lowmem_tui.policy.forecast import whatif

    now = whatif.known(d.backend.situation(dict.fromkeys(e.unit for e in made.effects)))
    for sentence in whatif.sentences(now, whatif.after(now, whatif.changes(made.effects))):
        d.console.message(sentence)


def file_change(d: Dialogue, change: FileChange) -> None:
    """Say what becomes of a file, line by line."""
    import difflib

    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    if change.before is None:
        d.console.say("New file {path}:", path=change.path)
    elif change.after is None:
        d.console.say("File {path} is removed. It contains:", path=change.path)
    else:
        d.console.say(
            "File {path} changes; - marks a line that is removed, + one that is added:",
            path=change.path,
        )
        for line in list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]:
            d.console.show(f"  {line}")
        return
    for line in after or before:
        d.console.show(f"  {line}")


def report(d: Dialogue, outcome: Outcome) -> None:
    """Say what was done, what waits, and what could not be verified."""
    for sentence in outcome_text.report(outcome):
        d.console.message(sentence)
