"""The running trial: the time left, what it did, and the keys that keep or undo it."""

from __future__ import annotations

import math
import time
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import (
    N_,
    Message,
    as_message,
    msg,
    of_command,
    of_list,
    of_setting,
    plural,
    sentences,
)
from lowmem_tui.model.text import plain
from lowmem_tui.policy.change_text import noted
from lowmem_tui.tui.screens.sheet import MORE, Sheet
from lowmem_tui.tui.session import trial_watch
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import plan_report
from lowmem_tui.tui.text.trial import danger, harm
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.plan import Outcome
    from lowmem_tui.tui.session.session import Session


class Stage(Enum):
    """Where the trial is."""

    RUNNING = "running"
    WORKING = "working"
    ENDED = "ended"


KEYS = {
    Stage.RUNNING: (
        Key("y", "y", N_("Keep")),
        Key("u", "u", N_("Undo now")),
        Key("n", "n", N_("Back, trial continues")),
        MORE,
    ),
    Stage.WORKING: (),
    Stage.ENDED: (Key("enter", "Enter", N_("Back")), MORE),
}
OVER = msg("The trial is over")
"""The title where it was neither kept nor undone here."""
AGAIN = Key("r", "r", N_("Review again"))

MOST_NAMED = 2
"""Staged edits that are named where they wait."""

HASTE = 0.5
"""Seconds: a key that is pressed earlier was meant for the page before."""

TOO_SOON = msg("This key was pressed before the page could be read: press it again if you mean it.")


class TrialScreen(Sheet):
    """One trial, from its beginning or from when the operator came, to its end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "keep", N_("Keep")),
        Binding("u", "undo", N_("Undo now")),
        Binding("n,escape,f8", "back", N_("Back")),
        Binding("enter", "leave", N_("Back"), show=False),
        Binding("r", "again", N_("Review again")),
    ]
    ALLOWED: ClassVar[Mapping[str, Collection[Enum]]] = {
        "keep": {Stage.RUNNING},
        "undo": {Stage.RUNNING},
        "back": {Stage.RUNNING, Stage.ENDED},
        "leave": {Stage.ENDED},
        "again": {Stage.ENDED},
    }

    def __init__(
        self,
        session: Session,
        trial: Trial,
        outcome: Outcome | None = None,
        *,
        forced: bool = False,
    ) -> None:
        """``outcome`` is the result of applying it, where this screen did that.

        ``forced`` says that a check had refused the change.
        """
        super().__init__(session)
        self.stage: Stage = Stage.RUNNING
        self.trial = trial
        self.outcome = outcome
        self._forced = forced
        self._shown = math.inf
        """When this page was there to be read, on the clock of keys."""
        self._title: Message | None = None
        """How it ended."""
        self._end: list[str] = []

    def on_mount(self) -> None:
        """Follow it."""
        self.repaint()
        self.call_after_refresh(self._is_shown)

    def _is_shown(self) -> None:
        self._shown = time.monotonic()

    def on_snapshot_arrived(self) -> None:
        """Show the state of its units since it ended."""
        if self.stage is Stage.ENDED:
            self._page.repaint()

    def follow_trial(self) -> None:
        """Show the time left, or how it ended: here the title does."""
        if self.stage is Stage.ENDED:
            super().follow_trial()
        if self.stage is not Stage.RUNNING:
            return
        running = self.session.trials.running
        if running is not None and running.id == self.trial.id:
            self.trial = running
            self._head.repaint()
            self._page.repaint()
        else:
            self._enter(Stage.WORKING)
            self.work(self._find_end)

    async def _find_end(self, answer: str = "") -> None:
        end = await trial_watch.ended(self.session, self.trial.id)
        self._over(OVER, [say(end.sentence), *map(say, end.more)], answer)

    def _over(self, title: Message, end: list[str], answer: str = "") -> None:
        self._title, self._end = title, end
        known = self.session.trials
        known.reported, known.end = self.trial.id, ""
        self._enter(Stage.ENDED, answer)

    # Keys

    def action_keep(self) -> None:
        """Keep the change, or show why not."""
        if why := self.session.cannot_change:
            command = of_command(f"{self.session.sudo} confirm")
            self.say(tr("{why} To keep it: {command}", why=why, command=command))
            return
        doubts = list(map(as_message, harm(self.session, self.trial)))
        if self._forced:
            doubts.append(msg("A check refused this change."))
        if (waiting := self._waiting()) is not None:
            doubts.append(waiting)
        self._ask_if(
            doubts,
            msg("Make the change permanent?"),
            lambda: self._work(self.session.backend.confirm, self._kept),
        )

    def _ask_if(self, doubts: list[Message], question: Message, do: Callable[[], None]) -> None:
        """Do it; ask first where there are doubts, and do nothing that was typed unseen."""
        from lowmem_tui.tui.screens.ask import AskScreen

        def answered(yes: bool | None) -> None:
            if yes and self.stage is Stage.RUNNING:
                do()

        if time.monotonic() - self._shown < HASTE:
            self.say(say(TOO_SOON))
        elif not doubts:
            do()
        elif self.app.screen is self:
            asked = say(sentences(*doubts, question))
            self.app.push_screen(AskScreen(self.session, asked), answered)

    def _waiting(self) -> Message | None:
        """Return which staged edits are not part of this trial."""
        edits = self.session.trials.waiting(self.session.staged)
        if not edits:
            return None
        named = of_list(of_setting(f"{plain(e.unit, 60)} {e.key}") for e in edits[:MOST_NAMED])
        if (more := len(edits) - MOST_NAMED) > 0:
            return msg(
                "{count} staged edits are not part of this trial: {edits} and {more} more.",
                count=len(edits),
                edits=named,
                more=more,
            )
        return plural(
            "1 staged edit is not part of this trial: {edits}.",
            "{n} staged edits are not part of this trial: {edits}.",
            len(edits),
            edits=named,
        )

    def _kept(self) -> None:
        trial_watch.kept(self.session, self.trial.id)
        title, end = msg("Kept"), msg("The change is permanent.")
        if self.outcome is not None and not self.outcome.well:
            title = msg("Kept, but verification failed")
            end = msg("The change is permanent, but not everything has the requested value.")
        where = msg("H on the main screen shows it, and can undo it.")
        self._over(title, [say(sentences(end, where))])

    def action_undo(self) -> None:
        """Undo the change now, or show why not."""
        if why := self.session.cannot_change:
            command = of_command(f"{self.session.sudo} undo {plain(self.trial.id, 20)}")
            self.say(tr("{why} To undo it: {command}", why=why, command=command))
            return
        number = self.trial.id
        self._ask_if(
            list(map(as_message, danger(self.session))),
            msg("Undo it now?"),
            lambda: self._work(lambda: self.session.backend.undo(number), self._undone),
        )

    def _undone(self) -> None:
        staged = [tr("Your edits are still staged.")] if len(self.session.staged) else []
        title = msg("Undone")
        end = tr("The change is undone: everything has its previous value.")
        if self.outcome is not None and not self.outcome.well:
            title = msg("Undone, but verification failed")
            end = tr("The change is undone, but not everything has its previous value.")
        self._over(title, [end, *staged])

    def _work(self, do: Callable[[], Outcome], then: Callable[[], None]) -> None:
        self._enter(Stage.WORKING)
        # Never cancelled by a key: the thread carries it to its end anyway.
        self.work(partial(self._carry_out, do, then))

    async def _carry_out(self, do: Callable[[], Outcome], then: Callable[[], None]) -> None:
        session = self.session
        try:
            self.outcome = await session.change(do)
        except LowmemError as error:
            running = await trial_watch.ask(session)
            if running is not None and running.id == self.trial.id:
                self.trial = running
                self._enter(Stage.RUNNING, say(error.message))
            else:
                await self._find_end(say(error.message))
            return
        session.trials.reported = self.trial.id
        await trial_watch.ask(session)
        then()

    def action_back(self) -> None:
        """Go back; a running trial continues."""
        self.dismiss()

    def action_leave(self) -> None:
        """Go back from the result."""
        self.dismiss()

    def action_again(self) -> None:
        """Review what is still staged."""
        if not len(self.session.staged):
            self.say(tr("Nothing is staged."))
            return
        self.session.screens.open_review(instead=True)

    # What is shown

    def heading(self) -> str:
        """Return the title, the seconds first: they are what counts."""
        if self.stage is Stage.RUNNING:
            left = round(self.trial.left)
            return tr("Trial: {seconds} s left. y keeps it, u undoes it now", seconds=left)
        if self.stage is Stage.ENDED and self._title is not None:
            return say(self._title)
        return tr("Working… this may take some seconds.")

    def lines(self, width: int) -> list[Text]:
        """Return who started it, what is on trial, and the result of applying it."""
        palette, effects = self.session.palette, self.session.trials.effects
        done = self.outcome if self._title not in {None, OVER} else None
        dangers = [
            Text(f" ! {say(words)}", style=BAD)
            for words in (*harm(self.session, self.trial), *danger(self.session))
            if done is None or words not in done.down
        ]
        if self.stage is Stage.ENDED:
            lines = [Text(f" {plain(sentence)}") for sentence in self._end]
            lines += dangers
            if done is not None:
                lines += plan_report.of_outcome(done)
            return lines
        lines, trial = [], self.trial
        until = time.strftime("%H:%M:%S", time.localtime(trial.deadline))
        if (waiting := self._waiting()) is not None:
            later = msg("F8 reviews them once the trial is kept or undone.")
            lines.append(Text(f" {say(sentences(waiting, later))}", style="bold"))
        end = tr(
            "Reverts automatically at {time} unless you keep it: also if this program ends, the "
            "connection is lost or the power fails.",
            time=until,
        )
        who = tr("Change {id}, started by {who}", id=trial.id, who=trial.by.message)
        lines += [
            *dangers,
            Text(f" {end}"),
            Text(f" {who}"),
        ]
        if trial.note:
            lines.append(Text(" " + tr("Note: {note}", note=noted(trial.note))))
        if effects:
            lines.append(heading(tr("ON TRIAL"), width, palette))
            lines += plan_report.effects(effects, width)
        else:
            lines.append(Text(" " + tr("Units: {units}", units=of_list(trial.units))))
        if self.outcome is not None:
            lines.append(heading(tr("RESULT"), width, palette))
            lines += plan_report.of_outcome(self.outcome)
        return lines

    def waiting(self) -> str:
        """Return what is shown while it works."""
        return tr("Please wait.") if self.stage is Stage.WORKING else ""

    def offers(self) -> list[Key]:
        """Return the keys of this stage."""
        keys = list(KEYS[self.stage])
        if self.stage is Stage.ENDED and len(self.session.staged):
            keys.insert(1, AGAIN)
        return keys
