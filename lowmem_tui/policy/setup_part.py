"""One step of the guided set-up: how it stands, and what the operator wants of it.

Pure, but for ``Part.read``, which asks the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.change import KEPT, SET_UP
from lowmem_tui.model.errors import LowmemError, message_of
from lowmem_tui.model.message import msg
from lowmem_tui.model.setup import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Effect, Plan
    from lowmem_tui.model.ports import Step
    from lowmem_tui.model.setup import Finding, Item, Look, Wishes, Words


class Stand(Enum):
    """How a step stands."""

    WAITING = "waiting"
    LOOKING = "looking"
    TROUBLE = "unknown"
    ABSENT = "absent"
    TRIAL = "on trial"
    """A trial runs that is of it, or of some of its settings: F8 decides, and nothing else can be
    applied before."""
    SKIPPED = "skipped"
    TODO = "to do"
    BY_HAND = "by hand"
    """The program itself has nothing to do, but there is something that it cannot do."""
    LEFT = "not selected"
    """The operator did not select what is proposed."""
    DONE = "done"


OVER = frozenset({Stand.ABSENT, Stand.TRIAL, Stand.SKIPPED, Stand.LEFT, Stand.DONE})
"""Nothing has to be decided any more."""

ON_TRIAL = msg("It is on trial until it is kept or undone: F8 does that.")

_WORDS = {
    # WIDTH: 13
    Stand.WAITING: msg("waiting"),
    # WIDTH: 13
    Stand.LOOKING: msg("reading…"),
    # WIDTH: 13
    Stand.TROUBLE: msg("unknown"),
    # WIDTH: 13
    Stand.ABSENT: msg("nothing here"),
    # WIDTH: 13
    Stand.TRIAL: msg("on trial"),
    # WIDTH: 13
    Stand.SKIPPED: msg("skipped"),
    # WIDTH: 13
    Stand.BY_HAND: msg("by hand"),
    # WIDTH: 13
    Stand.LEFT: msg("not selected"),
    # WIDTH: 13
    Stand.DONE: msg("done"),
}
"""How a step stands; what is to do is counted."""

WORTH_A_WORD = frozenset({Severity.ADVICE, Severity.WARNING, Severity.PROBLEM})


class Reading(NamedTuple):
    """What a step finds on the server."""

    look: Look | None
    trouble: Words
    """Why it could not be looked at."""
    kept: Wishes
    """The operator's own values that are in force."""


@dataclass
class Part:
    """One step, and what is to become of it."""

    step: Step
    look: Look | None = None
    trouble: Words = ""
    """Why it could not be looked at."""
    looking: bool = False
    on_trial: bool = False
    """Whether the trial that runs is of it, or of some of its settings."""
    skipped: bool = False
    seen: bool = False
    """Whether its page was opened in this session."""
    values: dict[str, str] = field(default_factory=dict)
    """What the operator has chosen in place of what is proposed, by the item's key."""
    takes: dict[str, bool] = field(default_factory=dict)
    """Which items the operator has selected, or not."""
    kept: Wishes = field(default_factory=dict)
    """The operator's own values that are in force: a look knows only of what it proposes."""

    @property
    def note(self) -> str:
        """What the history calls a change of this step: by the name that no translation changes."""
        return f"{SET_UP}{self.step.name}"

    def note_of(self, plan: Plan, wishes: Wishes) -> str:
        """Return the note of a change: with what was requested, where no effect shows it."""
        if plan.effects:
            return self.note
        return f"{self.note}; {', '.join(f'{key} {value}' for key, value in wishes.items())}"

    def read(self) -> Reading:
        """Have the step look at the server; what fails is in the reading.

        Nothing here changes, so that it may be called in another thread: ``saw`` takes it.
        """
        try:
            look = self.step.look()
        except (LowmemError, OSError) as error:
            return Reading(None, message_of(error), {})
        own = {i.key: v for i in look.items if self.taken(i) and (v := self.value(i)) != i.value}
        return Reading(look, "", own if own and self._in_force(own) else {})

    def _in_force(self, values: Wishes) -> bool:
        try:
            return self.step.plan(values).empty
        except (LowmemError, OSError):
            return False

    def saw(self, found: Reading) -> None:
        """Take what the step has found."""
        self.look, self.trouble, self.kept = found

    def tried_by(self, trial: Trial, effects: Sequence[Effect]) -> bool:
        """Tell whether a trial with these effects is of this step, or of some of its settings."""
        settings = {f"{effect.unit}:{effect.key}" for effect in effects}
        return _why(trial.note) == self.note or any(item.key in settings for item in self.items)

    def newest(self, changes: Sequence[Change]) -> Change | None:
        """Return the newest change of this step that is in force; given the newest first."""
        return next((change for change in changes if _of(change, self.note)), None)

    @property
    def items(self) -> Sequence[Item]:
        """What is proposed."""
        return self.look.items if self.look is not None else ()

    def value(self, item: Item) -> str:
        """Return what the item is to be."""
        return self.values.get(item.key, item.value)

    def is_so(self, item: Item) -> bool:
        """Tell whether it is that already."""
        value = self.value(item)
        if value == item.value:
            return item.done
        return value == str(item.now) or self.kept.get(item.key) == value

    def taken(self, item: Item) -> bool:
        """Tell whether it is selected."""
        return self.takes.get(item.key, item.taken) and self.value(item) != ""

    def to_do(self) -> list[Item]:
        """Return the items that would be changed."""
        return [item for item in self.items if self.taken(item) and not self.is_so(item)]

    def left(self) -> list[Item]:
        """Return the items that are not selected, though something is proposed."""
        return [i for i in self.items if not self.taken(i) and not self.is_so(i)]

    def wishes(self) -> Wishes:
        """Return what is requested: all that is selected and not set yet."""
        return {item.key: self.value(item) for item in self.to_do()}

    def take(self, item: Item, taken: bool) -> None:
        """Select an item, or not."""
        self.takes[item.key] = taken

    def choose(self, item: Item, value: str) -> None:
        """Request this value; that selects the item."""
        self.values[item.key] = value
        self.takes[item.key] = True

    def next_value(self, item: Item, by: int) -> str:
        """Return the choice so many places on."""
        choices, value = item.choices, self.value(item)
        at = choices.index(value) if value in choices else 0
        return choices[(at + by) % len(choices)]

    @property
    def stand(self) -> Stand:
        """How it stands; what is done is found by looking."""
        if self.looking and self.look is None:
            return Stand.LOOKING
        if self.trouble:
            return Stand.TROUBLE
        if self.look is None:
            return Stand.WAITING
        if self.look.absent:
            return Stand.ABSENT
        if self.on_trial:
            return Stand.TRIAL
        if self.skipped:
            return Stand.SKIPPED
        if self.to_do():
            return Stand.TODO
        if self.look.by_hand:
            return Stand.BY_HAND
        # What only says that a value is not the proposed one is settled by the operator's own.
        settled = {item.key for item in self.items if self.is_so(item)}
        wrong = any(f.severity in WORTH_A_WORD and f.subject not in settled for f in self._found())
        left = self.left()
        if any(item.taken for item in left) or (left and wrong):
            return Stand.LEFT
        return Stand.BY_HAND if wrong else Stand.DONE

    def _found(self) -> Sequence[Finding]:
        return self.look.findings if self.look else ()

    @property
    def words(self) -> Message:
        """How it stands, in a word or two."""
        stand = self.stand
        if stand is Stand.TODO:
            # WIDTH: 13
            return msg("{n} to do", n=len(self.to_do()))
        if stand is Stand.DONE and not self.items:
            # WIDTH: 13
            return msg("nothing to do")
        return _WORDS[stand]

    @property
    def found(self) -> Words:
        """What was found, in a sentence; not safe to print as it is."""
        if self.trouble:
            return self.trouble
        if self.on_trial:
            return ON_TRIAL
        if self.look is None:
            return ""
        if self.look.absent:
            return self.look.absent
        worst = self.worst()
        if worst is not None and (self.stand is not Stand.DONE or not self.look.facts):
            return worst.named
        return self.look.facts[0] if self.look.facts else ""

    @property
    def waits(self) -> bool:
        """Whether the operator has something to decide here, or to read."""
        state = self.stand
        unread = state in {Stand.LEFT, Stand.DONE} and not self.seen
        return state not in OVER or unread

    def worst(self) -> Finding | None:
        """Return the finding that matters most."""
        found = [f for f in self._found() if f.severity in WORTH_A_WORD]
        rank = list(Severity).index
        return max(found, key=lambda finding: rank(finding.severity), default=None)


def next_after(parts: Sequence[Part], part: Part) -> Part | None:
    """Return the next step that has something to decide, or that was not read yet."""
    return next((each for each in parts[parts.index(part) + 1 :] if each.waits), None)


def _why(note: str) -> str:
    """Return the note of a change, without what was requested."""
    return note.partition("; ")[0]


def _of(change: Change, note: str) -> bool:
    return change.why == note and change.state in KEPT and not change.undoes
