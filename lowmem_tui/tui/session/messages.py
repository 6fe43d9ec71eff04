"""What the app tells the screen in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot


class SnapshotArrived(Message, bubble=False):
    """The server has been looked at; only the newest snapshot matters."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class NoticeChanged(Message, bubble=False):
    """``app.notice`` or ``app.news`` is another than before."""


class TrialChanged(Message, bubble=False):
    """A second of the trial has passed, it began or ended; or its end has been read."""

    def __init__(self, *, over: bool) -> None:
        super().__init__()
        self.over = over
        """Whether it has ended and ``app.trials.end`` is news."""


class StepLooked(Message, bubble=False):
    """A step of the guided set-up has been looked at, or is going to be."""


class StagedChanged(Message, bubble=False):
    """``app.staged`` is another value than before."""
