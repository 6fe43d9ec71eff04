"""What one dialogue knows from one job to the next, and how it asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lowmem_tui.model.message import N_
from lowmem_tui.model.staged import Staged
from lowmem_tui.policy.unseen_kills import UnseenKills

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.cli.dialogue.console import Console
    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.incident import Incidents
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Edit, Effect
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.policy.setup_part import Part

BACK = frozenset({"0", "back"})
BACK_FROM_VALUE = frozenset({"back"})
"""Where a value is asked for, 0 is one."""
HELP = frozenset({"?", "help"})
QUIT = frozenset({"q", "quit"})
YES, NO = frozenset({"yes"}), frozenset({"no", "n"})


class Quit(Exception):  # noqa: N818 - it is no fault
    """The operator wants to leave; staged edits are asked about first."""


@dataclass
class Known:
    """What the dialogue has reported of trials so far."""

    running: Trial | None = None
    """The one that ran when it was last asked."""
    reported: str = ""
    """The id of the last one whose end was reported."""
    effects: tuple[Effect, ...] = ()
    """What the one that runs changes; empty if that is not known."""
    before: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Kills and restarts of each unit when it began."""
    harm: tuple[Message | str, ...] = ()
    """What was reported of its harm."""
    number: str = ""
    """The id of the last trial that was begun here, and"""
    edits: tuple[Edit, ...] = ()
    """the staged edits that it is of: they stay staged until it is kept."""
    forced: bool = False
    """Whether a check had refused it."""


@dataclass
class Dialogue:
    """One operator, one server."""

    console: Console
    backend: ServerBackend
    rules: Rules
    program: str
    """What is to be typed to run this program as root, or for the demo server."""
    news: Callable[[Dialogue], None]
    """Says how things stand, where Enter alone is typed."""
    staged: Staged = field(default_factory=Staged)
    trial: Known = field(default_factory=Known)
    kills: UnseenKills = field(default_factory=UnseenKills)
    listed: tuple[str, ...] = ()
    """The units by the numbers of the last list."""
    incidents: Incidents | None = None
    """As they were last listed."""
    parts: Sequence[Part] = ()
    """The steps of the set-up, once they were looked at."""
    earlier: frozenset[str] | None = None
    """The changes that were there before the set-up was opened."""
    before: Snapshot | None = None
    """The server as it was then."""

    def look(self) -> Snapshot:
        """Look at the server now, and count kills. Raises LowmemError, OSError."""
        snapshot = self.backend.look()
        self.kills.update(snapshot)
        return snapshot

    @property
    def untried(self) -> Staged:
        """The staged edits that the trial which runs is not of."""
        running = self.trial.running
        tried = self.trial.edits if running and running.id == self.trial.number else ()
        return self.staged.less(tried)

    # Asking

    def ask(
        self,
        question: str,
        help_: str,
        again: Callable[[], None] | None = None,
        back: frozenset[str] = BACK,
        /,
        **values: object,
    ) -> str | None:
        """Ask until there is an answer; None is a request to go back.

        ``help_`` is what ``?`` prints, after what ``again`` prints; ``back`` are the words that go
        back. Raises Quit, EndOfInput.
        """
        self.console.say(question, **values)
        while True:
            answer = self.console.read()
            word = answer.lower()
            if not answer:
                self.news(self)
                self.console.say(question, **values)
            elif word in HELP:
                if again is not None:
                    again()
                self.console.say(help_, **values)
                hint = N_("0 goes back, Enter shows what is new, q quits.")
                if back is BACK_FROM_VALUE:
                    hint = N_("back goes back, Enter shows what is new, q quits.")
                self.console.say(hint)
            elif word in QUIT:
                raise Quit
            else:
                return None if word in back else answer

    def agreed(self, question: str, /, **values: object) -> bool:
        """Return whether the answer is the word yes; anything but yes or no is asked again.

        Raises Quit, EndOfInput.
        """
        self.console.forget_typed()
        while True:
            answer = self.ask(question, YES_OR_NO, **values)
            if answer is None or answer.lower() in NO:
                return False
            if answer.lower() in YES:
                return True
            self.misunderstood(answer, YES_OR_NO)

    def misunderstood(self, answer: str, hint: str, /, **values: object) -> None:
        """Say that an answer is none, and what may be typed; nothing is lost."""
        self.console.say("{answer} is not an answer here.", answer=answer)
        self.console.say(hint, **values)


YES_OR_NO = N_("Type the whole word yes to do it, or no.")
