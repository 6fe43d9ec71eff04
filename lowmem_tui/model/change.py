"""Changes that were made, and the trial that runs: plain data for screens and commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Action, Effect
    from lowmem_tui.model.who import By


class State(StrEnum):
    """The state of a change."""

    APPLYING = "applying"
    """Begun; if nobody is at it any more, the next start rolls it back."""
    CONFIRMING = "confirming"
    """A trial that is being kept; if nobody is at it any more, the next start finishes it."""
    APPLIED = "applied"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    """A trial that nobody confirmed: reverted by the clock or by a reboot."""
    UNDONE = "undone"
    FAILED = "failed"
    """Rolled back; ``outcome`` says why."""
    INCOMPLETE = "incomplete"
    """It failed, or was interrupted, and rolling it back as well: ``remaining`` lists what is left.
    ``undo`` attempts that again; nothing else waits for it."""


UNENDED = {
    State.APPLYING: msg(
        "It is being applied, or it was interrupted: then the next start as root rolls it back."
    ),
    State.CONFIRMING: msg(
        "It is being confirmed, or that was interrupted: then the next start as root finishes it."
    ),
    State.INCOMPLETE: msg(
        "It is incomplete: `lowmem-tui history` lists what remains to be rolled back, and "
        "`lowmem-tui undo` with its number attempts that again."
    ),
}
"""The states of a change that is not at its end, as sentences."""


def way_out(number: int) -> Message:
    """Return the sentences on what can be done about a change that is incomplete."""
    return msg(
        "`lowmem-tui undo {id}` attempts that again. `lowmem-tui undo {id} --force` ends the "
        "change as it is.",
        id=number,
    )


KEPT = frozenset({State.APPLIED, State.CONFIRMED})
"""The states of a change that is in force, and can be undone."""

SET_UP = "set-up: "
"""How the note of a change begins that a step of the set-up has made; its name follows, and
behind a semicolon, where no effect shows it, what was requested."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the history; no contents of files."""

    id: str
    """A number, counted from 1."""
    time: float
    """Seconds since 1970."""
    by: By
    note: str
    """Why, as it was given; or ""."""
    state: State
    files: tuple[str, ...]
    effects: tuple[Effect, ...]
    trial: int | None = None
    """Seconds, if it began as a trial."""
    undoes: tuple[str, ...] = ()
    """The changes that this one undoes."""
    outcome: Message | str = ""
    """What else there is to say: why it failed, what remained."""
    actions: tuple[Action, ...] = ()
    """What it changed besides files, in the order in which that was done."""
    remaining: tuple[Message | str, ...] = ()
    """What rolling back could not do, each as what to do by hand; only where it is incomplete."""

    @property
    def why(self) -> str:
        """The note, without what was requested in the set-up."""
        return self.note.removesuffix(f"; {self.wishes}")

    @property
    def wishes(self) -> str:
        """What was requested in a step of the set-up, if the note has it; else ""."""
        return self.note.partition("; ")[2] if self.note.startswith(SET_UP) else ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial that runs now."""

    id: str
    by: By
    note: str
    units: tuple[str, ...]
    deadline: float
    """Seconds since 1970, by the wall's clock, for showing."""
    left: float
    """Seconds until it reverts, at the moment of asking; never below 0."""
