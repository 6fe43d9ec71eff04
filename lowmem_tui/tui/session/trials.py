"""The trial that runs, and how it ended, as all screens see it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.tui.session.messages import TrialChanged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.change import Change, State, Trial
    from lowmem_tui.model.plan import Edit, Effect
    from lowmem_tui.model.staged import Staged
    from lowmem_tui.tui.app import LowmemApp

READABLE = 2.0
"""Seconds for which no key takes away how a trial ended: it may have been meant for the form."""

NOT_YET = "nothing is written yet"


class Trials:
    """What is known of trials: whoever began them, on this screen or elsewhere."""

    def __init__(self) -> None:
        self.running: Trial | None = None
        """The one that runs, when it was last asked."""
        self.told = ""
        """The id of the last one whose end the operator has been shown."""
        self.end = ""
        """How the last one ended, until that was read."""
        self.effects: tuple[Effect, ...] = ()
        """What the one that runs, or ran last, changes; empty if that is not known."""
        self.before: dict[str, tuple[int, int]] = {}
        """Kills and restarts of each unit, as they were when a trial last began or ended."""
        self._ended_at = 0.0
        self._asking = False
        self._ours: tuple[str, tuple[Edit, ...]] = "", ()

    def see(self, app: LowmemApp, trial: Trial | None, effects: tuple[Effect, ...] = ()) -> None:
        """Take note of the trial that runs now, and have it shown; or how the one before ended.

        The app still knows the last look alone.
        """
        before, self.running = self.running, trial
        number = trial.id if trial else ""
        if number != (before.id if before else ""):
            self.before = dict(_counts(app))
            if number:
                self.end, self.effects = "", effects
                if not effects:
                    app.run_worker(_learn(app, number))
            elif before is not None and before.id != self.told:
                self._ended("The trial is over.")
                app.run_worker(self._tell(app, before.id))
        if trial is not None and app.interval > 1 and not self._asking:
            self._asking = True
            app.run_worker(self._keep_asking(app))
        if trial is not None or before is not None:
            _show(app)

    def began(
        self, app: LowmemApp, trial: Trial, edits: tuple[Edit, ...], effects: tuple[Effect, ...]
    ) -> None:
        """Remember that these staged edits are being tried: they stay staged until it is kept."""
        self._ours = trial.id, edits
        self.see(app, trial, effects)
        self.effects = effects

    @property
    def in_sight(self) -> bool:
        """Whether there is something to say: one runs, or how the last one ended is not read."""
        return self.running is not None or bool(self.end)

    @property
    def ours(self) -> bool:
        """Whether the one that runs was begun here."""
        return self.running is not None and self.running.id == self._ours[0]

    @property
    def tried(self) -> tuple[Edit, ...]:
        """Those of the staged edits that the trial which runs is of."""
        return self._ours[1] if self.ours else ()

    def waiting(self, staged: Staged) -> tuple[Edit, ...]:
        """Return the staged edits that the trial does not try."""
        return staged.less(self.tried).edits

    def fate(self, edits: Iterable[Edit]) -> str:
        """Return what is to be said of staged edits: whether they are on trial, what F8 does."""
        if self.running is None:
            return f"Staged, {NOT_YET}: F8 reviews."
        wanted = set(edits)
        untried = wanted - set(self.tried)
        if not untried:
            return "On trial now: F8 keeps it or undoes it."
        begin = f"Staged, {NOT_YET}" if untried == wanted else "On trial in part, the rest staged"
        return f"{begin}: F8 reviews it when the trial is over."

    def kept(self, app: LowmemApp, number: str) -> None:
        """Forget the staged edits that are in force now."""
        ours, edits = self._ours
        if number == ours:
            self._ours = "", ()
            app.stage(app.staged.less(edits))

    def read(self, app: LowmemApp) -> None:
        """Take away how the last one ended, unless that came only now: a key was pressed."""
        if self.end and asyncio.get_running_loop().time() - self._ended_at >= READABLE:
            self.end = ""
            _show(app)

    async def _keep_asking(self, app: LowmemApp) -> None:
        """Ask each second where a look is rarer: what is left is asked, not counted."""
        try:
            while self.running is not None:
                await asyncio.sleep(1)
                with contextlib.suppress(LowmemError, OSError):
                    await ask(app)
        finally:
            self._asking = False

    def _ended(self, words: str) -> None:
        self.end, self._ended_at = words, asyncio.get_running_loop().time()

    async def _tell(self, app: LowmemApp, number: str) -> None:
        end = await ended(app, number)
        # The trial's own page may have told it meanwhile.
        if number != self.told and self.running is None:
            self.told = number
            self._ended(end.sentence)
            _show(app, over=True)


class End(NamedTuple):
    """What has become of a trial that runs no more."""

    state: State | None
    sentence: str
    more: tuple[str, ...] = ()
    """Sentences on what else was done, or went wrong."""


def _show(app: LowmemApp, *, over: bool = False) -> None:
    """Tell the screen in front, and the one that is seen below a question."""
    for screen in reversed(app.screen_stack):
        screen.post_message(TrialChanged(over=over))
        if not screen.is_modal:
            return


async def ask(app: LowmemApp) -> Trial | None:
    """Ask anew which trial runs."""
    app.trials.see(app, await app.run_blocking(app.backend.trial))
    return app.trials.running


async def _learn(app: LowmemApp, number: str) -> None:
    """Find out what a trial changes; where that cannot be read, its units are all that is said."""
    with contextlib.suppress(LowmemError):
        for change in await app.run_blocking(app.backend.history):
            if change.id == number:
                app.trials.effects = change.effects


def in_one_line(app: LowmemApp, trial: Trial) -> str:
    """Return how long a trial has yet, and what is worst; else how it is ended."""
    left = f"Trial: {trial.left:.0f} s left"
    for worst in (*danger(app), *harm(app, trial)):
        return f"{left}, F8. {worst}"
    return f"{left}. F8: y keep, u undo. By {trial.by}"


def harm(app: LowmemApp, trial: Trial) -> Iterator[str]:
    """Yield what it may have killed since a trial began, or ended; which of its units are down."""
    if app.snapshot is None:
        return
    from lowmem_tui.policy import trial_text

    over, known = app.trials.running is None, app.trials
    counts = dict(_counts(app))
    yield from trial_text.harm(app.snapshot, trial, known.effects, known.before, counts, over=over)


def _counts(app: LowmemApp) -> Iterator[tuple[str, tuple[int, int]]]:
    if app.snapshot is not None:
        from lowmem_tui.policy.trial_text import counts

        yield from counts(app.snapshot, app.kills.totals)


def danger(app: LowmemApp) -> Iterator[str]:
    """Yield whom it kills, or may, if the trial that runs is taken back now."""
    if app.snapshot is not None and app.trials.running is not None:
        from lowmem_tui.policy.trial_text import danger

        yield from danger(app.snapshot, app.trials.effects)


async def ended(app: LowmemApp, number: str) -> End:
    """Find out how a trial ended."""
    from lowmem_tui.model.change import State

    backend = app.backend

    def find() -> tuple[tuple[str, ...], Change | None]:
        # Where systemd has not come to it, this takes it back.
        said = () if app.read_only else tuple(backend.settle())
        return said, next((c for c in backend.history() if c.id == number), None)

    more: tuple[str, ...]
    try:
        more, change = await app.run_blocking(find)
    except LowmemError as error:
        more, change = (str(error),), None
    state = change.state if change else None
    if change is not None and change.said and change.said not in more:
        more = (*more, change.said)
    if state in {State.CONFIRMED, State.APPLIED}:
        app.trials.kept(app, number)
        return End(state, "The trial was kept from elsewhere: the change is in force.", more)
    staged = " Your edits are still staged." if len(app.staged) else ""
    if state is State.EXPIRED:
        return End(state, f"The time is up: the change was taken back.{staged}", more)
    if state is State.UNDONE:
        return End(state, f"The trial was undone from elsewhere.{staged}", more)
    return End(state, f"The trial is over: `lowmem-tui history` tells how it ended.{staged}", more)
