"""Sentences on a trial that runs, or ran last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.language import tr
from lowmem_tui.model.message import as_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Effect
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.tui.session.session import Session

    Counts: TypeAlias = Mapping[str, tuple[int, int]]


def in_one_line(session: Session, trial: Trial) -> str:
    """Return how long a trial has yet, and what is worst; else how it is ended."""
    known = session.trials
    if session.snapshot is None:
        return line_of(None, trial, known.effects, known.before, {})
    return line_of(session.snapshot, trial, known.effects, known.before, session.counts())


def line_of(
    snapshot: Snapshot | None,
    trial: Trial,
    effects: Sequence[Effect],
    before: Counts,
    now: Counts,
) -> str:
    """Return the same of what is known of a trial that runs: ``trial_text.harm``."""
    left = round(trial.left)
    for worst in _worst(snapshot, trial, effects, before, now):
        return tr("Trial: {left} s left, F8. {what}", left=left, what=as_message(worst))
    return tr(
        "Trial: {left} s left. F8 keeps or undoes it. Started by {by}",
        left=left,
        by=trial.by.message,
    )


def _worst(
    snapshot: Snapshot | None,
    trial: Trial,
    effects: Sequence[Effect],
    before: Counts,
    now: Counts,
) -> Iterator[Message | str]:
    if snapshot is None:
        return
    from lowmem_tui.policy import trial_text

    yield from trial_text.danger(snapshot, effects)
    yield from trial_text.harm(snapshot, trial, effects, before, now, over=False)


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
