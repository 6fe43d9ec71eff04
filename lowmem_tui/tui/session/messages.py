"""The messages of the session to its screens."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot


class Reach(Enum):
    """Whom a message is for."""

    FRONT = "the screen in front"
    VISIBLE = "the screen in front, and the one that is seen below a question"
    ALL = "all screens"


class Announcement(Message, bubble=False):
    """A message of the session to its screens."""

    REACH: ClassVar[Reach] = Reach.FRONT


class SnapshotArrived(Announcement, bubble=False):
    """The server has been looked at; only the newest snapshot matters."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class NoticeChanged(Announcement, bubble=False):
    """``session.notice`` or ``session.news`` is another than before."""


class TrialChanged(Announcement, bubble=False):
    """A second of the trial has passed, it began or ended; or its end has been read."""

    REACH = Reach.VISIBLE

    def __init__(self, *, over: bool) -> None:
        super().__init__()
        self.over = over
        """Whether it has ended and ``session.trials.end`` is news."""


class StepLooked(Announcement, bubble=False):
    """A step of the guided set-up has been looked at, or is going to be."""


class StagedChanged(Announcement, bubble=False):
    """``session.staged`` is another value than before."""

    REACH = Reach.ALL
