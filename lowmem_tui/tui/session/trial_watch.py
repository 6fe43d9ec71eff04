"""How trials go on is watched here: with each look, or each second where looks are rarer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import msg, sentences
from lowmem_tui.tui.session.messages import TrialChanged

if TYPE_CHECKING:
    from lowmem_tui.model.change import Change, State, Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Edit, Effect
    from lowmem_tui.tui.session.session import Session


def see(session: Session, trial: Trial | None, effects: tuple[Effect, ...] = ()) -> None:
    """Take note of the trial that runs now, and have it shown; or how the one before ended.

    The session still knows the last look alone.
    """
    trials = session.trials
    before, trials.running = trials.running, trial
    number = trial.id if trial else ""
    if number != (before.id if before else ""):
        trials.before = session.counts()
        if number:
            trials.end, trials.effects = "", effects
            if not effects:
                session.screens.start(_learn(session, number))
        elif before is not None and before.id != trials.reported:
            trials.ended(tr("The trial is over."), _now())
            session.screens.start(_tell(session, before.id))
    if trial is not None and session.interval > 1 and not trials.asked_each_second:
        trials.asked_each_second = True
        session.screens.start(_keep_asking(session))
    if trial is not None or before is not None:
        session.screens.announce(TrialChanged(over=False))


def began(
    session: Session, trial: Trial, edits: tuple[Edit, ...], effects: tuple[Effect, ...]
) -> None:
    """Remember that these staged edits are on trial: they stay staged until it is kept."""
    session.trials.claim(trial.id, edits)
    see(session, trial, effects)
    session.trials.effects = effects


def kept(session: Session, number: str) -> None:
    """Forget the staged edits that are in force now."""
    if edits := session.trials.disclaim(number):
        session.stage(session.staged.less(edits))


def read(session: Session) -> None:
    """Take away how the last one ended, unless that came only now: a key was pressed."""
    if session.trials.end and session.trials.read(_now()):
        session.screens.announce(TrialChanged(over=False))


async def ask(session: Session) -> Trial | None:
    """Ask again which trial runs."""
    see(session, await session.run_blocking(session.backend.trial))
    return session.trials.running


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _keep_asking(session: Session) -> None:
    """Ask each second where a look is rarer: what is left is asked, not counted."""
    trials = session.trials
    try:
        while trials.running is not None:
            await asyncio.sleep(1)
            with contextlib.suppress(LowmemError, OSError):
                await ask(session)
    finally:
        trials.asked_each_second = False


async def _learn(session: Session, number: str) -> None:
    """Find out what a trial changes; where that cannot be read, its units are all that is shown."""
    with contextlib.suppress(LowmemError):
        for change in await session.run_blocking(session.backend.history):
            if change.id == number:
                session.trials.effects = change.effects


async def _tell(session: Session, number: str) -> None:
    end, trials = await ended(session, number), session.trials
    # The trial's own page may have shown it meanwhile.
    if number != trials.reported and trials.running is None:
        trials.reported = number
        trials.ended(end.sentence, _now())
        session.screens.announce(TrialChanged(over=True))


class End(NamedTuple):
    """What has become of a trial that runs no more."""

    state: State | None
    sentence: str
    more: tuple[str, ...] = ()
    """Sentences on what else was done, or went wrong."""


async def ended(session: Session, number: str) -> End:
    """Find out how a trial ended."""
    from lowmem_tui.model.change import State

    backend = session.backend

    def find() -> tuple[tuple[Message | str, ...], Change | None]:
        # Where systemd has not come to it, this reverts it.
        news = () if session.read_only else tuple(backend.settle())
        return news, next((c for c in backend.history() if c.id == number), None)

    news: tuple[Message | str, ...]
    try:
        news, change = await session.run_blocking(find)
    except LowmemError as error:
        news, change = (error.message,), None
    state = change.state if change else None
    if change is not None and change.outcome and change.outcome not in news:
        # What remains has just been reported where this has found it incomplete.
        incomplete = state is State.INCOMPLETE
        news = news if news and incomplete else (*news, change.outcome, *change.remaining)
    more = tuple(map(say, news))
    if state in {State.CONFIRMED, State.APPLIED}:
        kept(session, number)
        return End(state, tr("The trial was confirmed elsewhere: the change is in force."), more)
    how = msg("The trial is over: `lowmem-tui history` shows how it ended.")
    if state is State.EXPIRED:
        how = msg("The time is up: the change was rolled back.")
    elif state is State.UNDONE:
        how = msg("The trial was undone elsewhere.")
    staged = msg("Your edits are still staged.") if len(session.staged) else None
    return End(state, say(sentences(how, staged)), more)
