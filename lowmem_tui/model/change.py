"""Changes that were made, and the trial that runs: plain data for screens and commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.plan import Action, Effect


class State(StrEnum):
    """What has become of a change."""

    APPLYING = "applying"
    """Begun; if nobody is at it any more, the next start puts it back."""
    CONFIRMING = "confirming"
    """A trial that is being kept; if nobody is at it any more, the next start finishes it."""
    APPLIED = "applied"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    """A trial that nobody confirmed: taken back by the clock or by a reboot."""
    UNDONE = "undone"
    FAILED = "failed"
    """Rolled back; ``outcome`` says why."""
    INCOMPLETE = "incomplete"
    """It failed, or was interrupted, and rolling it back as well: ``remaining`` tells what is left.
    ``undo`` tries that again; nothing else waits for it."""


UNENDED = {
    State.APPLYING: "being made, or interrupted: then the next start as root puts it back",
    State.CONFIRMING: "being kept, or interrupted: then the next start as root finishes it",
    State.INCOMPLETE: "incomplete: `lowmem-tui history` tells what is left of it to be rolled "
    "back, and `lowmem-tui undo` with its number tries that again",
}
"""The states of a change that is not at its end, in words."""


def way_out(number: object) -> str:
    """Return the sentence on what can be done about a change that is incomplete."""
    return (
        f"`lowmem-tui undo {number}` tries that again, and `lowmem-tui undo {number} --force` "
        "leaves it as it is."
    )


KEPT = frozenset({State.APPLIED, State.CONFIRMED})
"""The states of a change that is in force, and can be undone."""

SET_UP = "set-up: "
"""How the note of a change begins that a step of the set-up has made; its title follows, and
behind a semicolon, where no effect tells it, what was wished for."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the history; no contents of files."""

    id: str
    """A number, counted from 1."""
    time: float
    """Seconds since 1970."""
    by: str
    """Who, in words: ``alice with sudo, from 192.0.2.7``."""
    note: str
    """Why, as it was given; or ""."""
    state: State
    files: tuple[str, ...]
    effects: tuple[Effect, ...]
    trial: int | None = None
    """Seconds, if it was to be tried first."""
    undoes: tuple[str, ...] = ()
    """The changes that this one takes back."""
    outcome: str = ""
    """What else there is to say: why it failed, what was left."""
    actions: tuple[Action, ...] = ()
    """What it changed besides files, in the order in which that was done."""
    remaining: tuple[str, ...] = ()
    """What rolling back could not do, each as what to do by hand; only where it is incomplete."""

    @property
    def why(self) -> str:
        """The note, without what was wished for in the set-up."""
        return self.note.removesuffix(f"; {self.wishes}")

    @property
    def wishes(self) -> str:
        """What was wished for in a step of the set-up, if the note tells it; else ""."""
        return self.note.partition("; ")[2] if self.note.startswith(SET_UP) else ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial that runs now."""

    id: str
    by: str
    note: str
    units: tuple[str, ...]
    deadline: float
    """Seconds since 1970, by the wall's clock, for showing."""
    left: float
    """Seconds until it is taken back, at the moment of asking; never below 0."""
