"""The trial that runs, as all screens see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lowmem_tui.model.change import Change, State, Trial
    from lowmem_tui.model.plan import Edit
    from lowmem_tui.tui.app import LowmemApp


class Trials:
    """What is known of trials: whoever began them, on this screen or elsewhere."""

    def __init__(self) -> None:
        self.running: Trial | None = None
        """The one that runs, when it was last asked."""
        self.told = ""
        """The id of the last one whose end the operator has been shown."""
        self._ours: tuple[str, tuple[Edit, ...]] = "", ()

    def began(self, trial: Trial, edits: tuple[Edit, ...]) -> None:
        """Remember that these staged edits are being tried: they stay staged until it is kept."""
        self.running, self._ours = trial, (trial.id, edits)

    @property
    def tried(self) -> tuple[Edit, ...]:
        """Those of the staged edits that the trial which runs is of."""
        number, edits = self._ours
        return edits if self.running is not None and self.running.id == number else ()

    def kept(self, app: LowmemApp, number: str) -> None:
        """Forget the staged edits that are in force now."""
        ours, edits = self._ours
        if number == ours:
            from lowmem_tui.tui.staged import Staged

            self._ours = "", ()
            app.stage(Staged(tuple(e for e in app.staged.edits if e not in edits)))


class End(NamedTuple):
    """What has become of a trial that runs no more."""

    state: State | None
    sentence: str
    more: tuple[str, ...] = ()
    """Sentences on what else was done, or went wrong."""


async def ask(app: LowmemApp) -> Trial | None:
    """Ask anew which trial runs."""
    app.trials.running = await app.run_blocking(app.backend.trial)
    return app.trials.running


async def ended(app: LowmemApp, number: str) -> End:
    """Find out how a trial ended."""
    from lowmem_tui.model.change import State
    from lowmem_tui.model.errors import LowmemError

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
