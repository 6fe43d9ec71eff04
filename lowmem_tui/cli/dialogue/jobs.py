"""The jobs of the dialogue: each declared once, with its word, its sentence and its function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli.dialogue import edit, incidents, look, past, review, setup, unit
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import N_

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
        N_("{number}. {word}: the state of the server, and the units that use most memory."),
        look.triage,
    ),
    Job(
        "list",
        N_("{number}. {word}: the units by tier, numbered; list all, list ssh, list by score."),
        look.units,
    ),
    Job("unit", N_("{number}. {word}: one unit in full; unit 3, unit redis-server."), unit.page),
    Job(
        "edit",
        N_("{number}. {word}: stage settings of a unit, or of several; edit 3, edit redis-server."),
        edit.edit,
    ),
    Job("staged", N_("{number}. {word}: show the staged edits, or discard one."), edit.staged),
    Job("discard", N_("{number}. {word}: discard all staged edits."), edit.discard),
    Job("review", N_("{number}. {word}: what the staged edits would do."), review.review),
    Job(
        "apply",
        N_("{number}. {word}: apply the staged edits, as a trial or without one."),
        review.apply,
    ),
    Job(
        "trial",
        N_("{number}. {word}: the trial that runs, and how much time remains."),
        past.show_trial,
    ),
    Job("confirm", N_("{number}. {word}: keep the change that is on trial."), past.confirm),
    Job(
        "undo",
        N_("{number}. {word}: undo the trial that runs, or a change of the history; undo 2."),
        past.undo,
    ),
    Job(
        "history", N_("{number}. {word}: what was changed, when, by whom; history 2."), past.history
    ),
    Job(
        "whatif",
        N_("{number}. {word}: the OOM kill order, now and with the staged edits."),
        look.kill_order,
    ),
    Job(
        "incidents",
        N_("{number}. {word}: what was killed and why; incidents 2, incidents since yesterday."),
        incidents.incidents,
    ),
    Job(
        "check",
        N_("{number}. {word}: what is wrong with this server for its memory, with the remedies."),
        look.findings,
    ),
    Job("setup", N_("{number}. {word}: the guided set-up, step by step; setup swap."), setup.setup),
)


def find(word: str) -> Job | None:
    """Return the job of this word or number; None if there is none."""
    number = natural(word, 3) or 0
    if 1 <= number <= len(JOBS):
        return JOBS[number - 1]
    return next((job for job in JOBS if job.word == word.lower()), None)


def explain(d: Dialogue) -> None:
    """Say what can be typed."""
    d.console.say("Type the number or the name of a command:")
    for number, job in enumerate(JOBS, 1):
        d.console.say(job.sentence, number=number, word=job.word)
    d.console.say(
        "Enter alone shows what has changed, ? prints this list, q quits. In a question, 0 goes "
        "back."
    )
