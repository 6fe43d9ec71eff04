"""The jobs of the dialogue: each declared once, with its word, its sentence and its function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli.dialogue import edit, incidents, look, past, review, setup, unit
from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.cli.dialogue.state import Dialogue


class Job(NamedTuple):
    """One thing that can be done."""

    word: str
    """What is typed; its number does the same."""
    sentence: str
    """What ``?`` says of it: one template, with ``{number}`` and ``{word}``."""
    function: Callable[[Dialogue, str], None]
    """Does it; it is handed what was typed behind the word."""


JOBS = (
    Job(
        "triage",
        "{number}. {word}: how the server is, and the units that use most memory.",
        look.triage,
    ),
    Job(
        "list",
        "{number}. {word}: the units by tier, numbered; list all, list ssh, list by score.",
        look.units,
    ),
    Job("unit", "{number}. {word}: one unit whole; unit 3, unit redis-server.", unit.page),
    Job(
        "edit",
        "{number}. {word}: stage settings of a unit, or of several; edit 3, edit redis-server.",
        edit.edit,
    ),
    Job("staged", "{number}. {word}: the staged edits, and forgetting one.", edit.staged),
    Job("discard", "{number}. {word}: forget all staged edits.", edit.discard),
    Job("review", "{number}. {word}: what the staged edits would do.", review.review),
    Job(
        "apply",
        "{number}. {word}: apply the staged edits, as a trial or for good.",
        review.apply,
    ),
    Job("trial", "{number}. {word}: the trial that runs, and how long it has.", past.show_trial),
    Job("confirm", "{number}. {word}: keep the change that is on trial.", past.confirm),
    Job(
        "undo",
        "{number}. {word}: undo the trial that runs, or a change of the history; undo 2.",
        past.undo,
    ),
    Job("history", "{number}. {word}: what was changed, when, by whom; history 2.", past.history),
    Job(
        "whatif",
        "{number}. {word}: the OOM kill order, now and with the staged edits.",
        look.kill_order,
    ),
    Job(
        "incidents",
        "{number}. {word}: what was killed, when and why; incidents 2, incidents since yesterday.",
        incidents.incidents,
    ),
    Job(
        "check",
        "{number}. {word}: what is wrong with this server for its memory, with the remedies.",
        look.findings,
    ),
    Job("setup", "{number}. {word}: the guided set-up, step by step; setup swap.", setup.setup),
)


def find(word: str) -> Job | None:
    """Return the job of this word or number; None if there is none."""
    number = natural(word, 3) or 0
    if 1 <= number <= len(JOBS):
        return JOBS[number - 1]
    return next((job for job in JOBS if job.word == word.lower()), None)


def explain(d: Dialogue) -> None:
    """Say what can be typed."""
    d.console.say("Type the number or the word of a job:")
    for number, job in enumerate(JOBS, 1):
        d.console.say(job.sentence, number=number, word=job.word)
    d.console.say(
        "Enter alone says what has changed, ? prints this, q quits. In a question, 0 goes back."
    )
