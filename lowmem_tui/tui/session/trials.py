"""The trial that runs, and how it ended, as all screens see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Edit, Effect
    from lowmem_tui.model.staged import Staged

READABLE = 2.0
"""Seconds for which no key takes away how a trial ended: it may have been meant for the form."""


class Trials:
    """What is known of trials: whoever began them, on this screen or elsewhere."""

    def __init__(self) -> None:
        self.running: Trial | None = None
        """The one that runs, when it was last asked."""
        self.reported = ""
        """The id of the last one whose end the operator has been shown."""
        self.end = ""
        """How the last one ended, until that was read."""
        self.effects: tuple[Effect, ...] = ()
        """What the one that runs, or ran last, changes; empty if that is not known."""
        self.before: dict[str, tuple[int, int]] = {}
        """Kills and restarts of each unit, as they were when a trial last began or ended."""
        self.asked_each_second = False
        """Whether somebody asks for it more often than there are looks."""
        self._ended_at = 0.0
        self._ours: tuple[str, tuple[Edit, ...]] = "", ()

    def claim(self, number: str, edits: tuple[Edit, ...]) -> None:
        """Remember that this trial was begun here, and is of these staged edits."""
        self._ours = number, edits

    def disclaim(self, number: str) -> tuple[Edit, ...]:
        """Forget that this trial was begun here; return the staged edits that it is of."""
        ours, edits = self._ours
        if number != ours:
            return ()
        self._ours = "", ()
        return edits

    def ended(self, words: str, now: float) -> None:
        """Say how the last one ended, from now on (seconds of the event loop's clock)."""
        self.end, self._ended_at = words, now

    def read(self, now: float) -> bool:
        """Take away how the last one ended, unless that came only now; tell whether that is so."""
        if not self.end or now - self._ended_at < READABLE:
            return False
        self.end = ""
        return True

    @property
    def visible(self) -> bool:
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

    def fate(self, edits: Iterable[Edit]) -> Message:
        """Return a sentence on staged edits: whether they are on trial, what F8 does."""
        if self.running is None:
            return msg("Staged, nothing is written yet: F8 reviews.")
        wanted = set(edits)
        untried = wanted - set(self.tried)
        if not untried:
            return msg("On trial now: F8 keeps it or undoes it.")
        if untried == wanted:
            return msg("Staged, nothing is written yet: F8 reviews it when the trial is over.")
        return msg("On trial in part, the rest staged: F8 reviews it when the trial is over.")
