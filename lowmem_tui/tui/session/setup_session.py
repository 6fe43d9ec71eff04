"""The guided set-up of one session: what each step has found, and what the operator wants of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError, message_of
from lowmem_tui.policy.setup_part import Part, Stand, next_after
from lowmem_tui.tui.session.messages import StepLooked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.change import Change, State
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Backend
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.tui.session.ports import Run, Screens
    from lowmem_tui.tui.session.trials import Trials


def _states(changes: Sequence[Change]) -> list[tuple[str, State]]:
    return [(change.id, change.state) for change in changes]


class SetupSession:
    """All steps; they are looked at one after the other, in the backend's thread."""

    def __init__(self, backend: Backend, run: Run, trials: Trials, screens: Screens) -> None:
        self._backend, self._run = backend, run
        self._trials, self._screens = trials, screens
        self.parts: list[Part] = []
        self.trouble: Message | str = ""
        """Why there are no steps."""
        self.begun = False
        self.before: Snapshot | None = None
        """The server as it was when the set-up was opened first."""
        self.go_on = False
        """Whether the operator wants the step that comes after the present one."""
        self.last: Part | None = None
        """The step that was opened last, until the list has gone there."""
        self._earlier: frozenset[str] = frozenset()
        """The changes that were there before."""
        self._known: list[tuple[str, State]] = []
        """The history that the looks are of."""
        self._queue: list[Part] = []
        self._working = False

    async def begin(self, snapshot: Snapshot | None) -> None:
        """Get the steps, and look at each; ``snapshot`` is the newest, if there is one."""
        run, backend = self._run, self._backend
        try:
            self.before = snapshot or await run(backend.look)
            self.parts = [Part(step) for step in await run(backend.steps)]
        except (LowmemError, OSError) as error:
            self.trouble = message_of(error)
        # Where the history cannot be read, nothing can be added to it either.
        with contextlib.suppress(LowmemError):
            changes = await run(backend.history)
            self._earlier = frozenset(change.id for change in changes)
            self._known = _states(changes)
        self.begun = True
        self._tell()
        self.want(*self.parts)

    def follow_trial(self) -> bool:
        """Take note of which steps the trial that runs is of; tell whether that is news."""
        trials = self._trials
        running = trials.running
        before = [part.on_trial for part in self.parts]
        for part in self.parts:
            part.on_trial = running is not None and part.tried_by(running, trials.effects)
        return before != [part.on_trial for part in self.parts]

    # Looking

    async def follow(self) -> None:
        """Look at every step again if anything was changed or undone, here or elsewhere."""
        if not self.begun:
            return
        try:
            known = _states(await self._run(self._backend.history))
        except LowmemError:
            return
        if known != self._known:
            self._known = known
            self.want(*self.parts)

    def want(self, *parts: Part, first: bool = False) -> None:
        """Have these looked at, again if they were; ``first`` before all that wait."""
        waiting = [part for part in self._queue if part not in parts]
        self._queue = [*parts, *waiting] if first else [*waiting, *parts]
        if self._queue and not self._working:
            self._working = True
            self._screens.start(self._work(), name="setup")

    async def _work(self) -> None:
        try:
            while self._queue:
                await self.look(self._queue.pop(0))
        finally:
            self._working = False

    async def look(self, part: Part) -> None:
        """Look at a step now."""
        part.looking = True
        self._tell()
        part.saw(await self._run(part.read))
        part.looking = False
        self.follow_trial()
        self._tell()

    def _tell(self) -> None:
        self._screens.announce(StepLooked())

    # Going through them

    def here(self) -> Part | None:
        """Return the step to go on with: the last one that was opened, or the next to decide."""
        last = self.last
        if last is not None and not last.waits:
            last = next_after(self.parts, last)
        return last or next((p for p in self.parts if p.waits), None)

    def counts(self) -> dict[Stand, int]:
        """Return how many steps stand how."""
        found: dict[Stand, int] = {}
        for part in self.parts:
            found[part.stand] = found.get(part.stand, 0) + 1
        return found

    def ours(self, changes: Sequence[Change]) -> list[Change]:
        """Return the changes that were made since the set-up was opened, the oldest first."""
        return [change for change in reversed(changes) if change.id not in self._earlier]
