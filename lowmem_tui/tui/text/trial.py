"""Sentences on a trial that runs, or ran last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.language import tr
from lowmem_tui.model.message import as_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.tui.session.session import Session


def in_one_line(session: Session, trial: Trial) -> str:
    """Return how long a trial has yet, and what is worst; else how it is ended."""
    left = round(trial.left)
    for worst in (*danger(session), *harm(session, trial)):
        return tr("Trial: {left} s left, F8. {what}", left=left, what=as_message(worst))
    return tr(
        "Trial: {left} s left. F8 keeps or undoes it. Started by {by}",
        left=left,
        by=trial.by.message,
    )


def harm(session: Session, trial: Trial) -> Iterator[Message | str]:
    """Yield what it may have killed since a trial began, or ended; which of its units are down."""
    if session.snapshot is None:
        return
    from lowmem_tui.policy import trial_text

    known, now = session.trials, session.counts()
    over = known.running is None
    yield from trial_text.harm(session.snapshot, trial, known.effects, known.before, now, over=over)


def danger(session: Session) -> Iterator[Message | str]:
    """Yield what is killed, or may be, if the trial that runs is undone now."""
    if session.snapshot is not None and session.trials.running is not None:
        from lowmem_tui.policy import trial_text

        yield from trial_text.danger(session.snapshot, session.trials.effects)
