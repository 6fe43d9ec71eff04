"""The trial that runs: how long yet, what it did, and the keys that keep it or take it back."""

from __future__ import annotations

import math
import time
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.text import plain
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
        Key("y", "y", "Keep"),
        Key("u", "u", "Undo now"),
        Key("n", "n", "Back, it goes on"),
        MORE,
    ),
    Stage.WORKING: (),
    Stage.ENDED: (Key("enter", "Enter", "Back"), MORE),
}
OVER = "The trial is over"
"""The title where it was neither kept nor undone here."""
AGAIN = Key("r", "r", "Review again")

MOST_NAMED = 2
"""Staged edits that are named where they wait."""

HASTE = 0.5
"""Seconds: a key that comes sooner after the page is shown was meant for what was there before."""

TOO_SOON = "That key came before this page could be read: press it again if it is meant."


class TrialScreen(Sheet):
    """One trial, from its beginning or from when the operator came, to its end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "keep", "Keep"),
        Binding("u", "undo", "Undo now"),
        Binding("n,escape,f8", "back", "Back"),
        Binding("enter", "leave", "Back", show=False),
        Binding("r", "again", "Review again"),
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
        """``outcome`` is what applying it came to, where this screen did that.

        ``forced`` says that a check had refused the change.
        """
        super().__init__(session)
        self.stage: Stage = Stage.RUNNING
        self.trial = trial
        self.outcome = outcome
        self._forced = forced
        self._shown = math.inf
        """When this page was there to be read, on the clock of keys."""
        self._title = ""
        """How it ended."""
        self._end: list[str] = []

    def on_mount(self) -> None:
        """Follow it."""
        self.repaint()
        self.call_after_refresh(self._is_shown)

    def _is_shown(self) -> None:
        self._shown = time.monotonic()

    def on_snapshot_arrived(self) -> None:
        """Show what has become of the units since it ended."""
        if self.stage is Stage.ENDED:
            self._page.repaint()

    def follow_trial(self) -> None:
        """Show how long yet, or how it ended: here it is the title that tells."""
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
        self._over(OVER, [end.sentence, *end.more], answer)

    def _over(self, title: str, end: list[str], answer: str = "") -> None:
        self._title, self._end = title, end
        known = self.session.trials
        known.reported, known.end = self.trial.id, ""
        self._enter(Stage.ENDED, answer)

    # Keys

    def action_keep(self) -> None:
        """Keep the change, or say why not."""
        if why := self.session.cannot_change:
            self.say(f"{why} To keep it: {self.session.sudo} confirm")
            return
        doubts = list(harm(self.session, self.trial))
        if self._forced:
            doubts.append("A check refused this change.")
        if waiting := self._waiting():
            doubts.append(waiting)
        self._ask_if(
            doubts,
            "Keep the trial's change for good?",
            lambda: self._work(self.session.backend.confirm, self._kept),
        )

    def _ask_if(self, doubts: list[str], question: str, do: Callable[[], None]) -> None:
        """Do it; ask first where there are doubts, and do nothing that was typed unseen."""
        from lowmem_tui.tui.screens.ask import AskScreen

        def answered(yes: bool | None) -> None:
            if yes and self.stage is Stage.RUNNING:
                do()

        if time.monotonic() - self._shown < HASTE:
            self.say(TOO_SOON)
        elif not doubts:
            do()
        elif self.app.screen is self:
            self.app.push_screen(AskScreen(self.session, " ".join([*doubts, question])), answered)

    def _waiting(self) -> str:
        """Return which staged edits are not tried here, in one sentence; or ""."""
        edits = self.session.trials.waiting(self.session.staged)
        if not edits:
            return ""
        named = ", ".join(f"{plain(e.unit, 60)} {e.key}" for e in edits[:MOST_NAMED])
        more = f" and {len(edits) - MOST_NAMED} more" if len(edits) > MOST_NAMED else ""
        one = "1 staged edit is" if len(edits) == 1 else f"{len(edits)} staged edits are"
        return f"{one} not in this trial ({named}{more})."

    def _kept(self) -> None:
        trial_watch.kept(self.session, self.trial.id)
        title, end = "Kept", "The change is in force for good"
        if self.outcome is not None and not self.outcome.well:
            title, end = "Kept, but not all is as asked", "The change is written for good"
        self._over(title, [f"{end}; H on the main screen shows it, and can undo it."])

    def action_undo(self) -> None:
        """Take the change back now, or say why not."""
        if why := self.session.cannot_change:
            self.say(f"{why} To undo it: {self.session.sudo} undo {plain(self.trial.id, 20)}")
            return
        number = self.trial.id
        self._ask_if(
            list(danger(self.session)),
            "Undo it now?",
            lambda: self._work(lambda: self.session.backend.undo(number), self._undone),
        )

    def _undone(self) -> None:
        staged = ["Your edits are still staged."] if len(self.session.staged) else []
        title, end = "Undone", "The change is taken back: all is as it was before."
        if self.outcome is not None and not self.outcome.well:
            title = "Undone, but not all is as it was before"
            end = "The change is taken back, but not all is as it was before."
        self._over(title, [end, *staged])

    def _work(self, do: Callable[[], Outcome], then: Callable[[], None]) -> None:
        self._enter(Stage.WORKING)
        # Never cancelled by a key: the thread carries it to its end anyway.
        self.run_worker(self._carry_out(do, then))

    async def _carry_out(self, do: Callable[[], Outcome], then: Callable[[], None]) -> None:
        session = self.session
        try:
            self.outcome = await session.change(do)
        except LowmemError as error:
            running = await trial_watch.ask(session)
            if running is not None and running.id == self.trial.id:
                self.trial = running
                self._enter(Stage.RUNNING, str(error))
            else:
                await self._find_end(str(error))
            return
        session.trials.reported = self.trial.id
        await trial_watch.ask(session)
        then()

    def action_back(self) -> None:
        """Leave; a trial that runs goes on."""
        self.dismiss()

    def action_leave(self) -> None:
        """Leave the result."""
        self.dismiss()

    def action_again(self) -> None:
        """Review what is still staged."""
        if not len(self.session.staged):
            self.say("Nothing is staged.")
            return
        self.session.screens.open_review(instead=True)

    # What is shown

    def heading(self) -> str:
        """Return the title, the seconds first: they are what counts."""
        if self.stage is Stage.RUNNING:
            return f"Trial: {self.trial.left:.0f} s left. y keeps it, u undoes it now"
        return self._title if self.stage is Stage.ENDED else "Working… this may take some seconds."

    def lines(self, width: int) -> list[Text]:
        """Return who tries what, and what it came to."""
        palette, effects = self.session.palette, self.session.trials.effects
        done = self.outcome if self._title not in {"", OVER} else None
        dangers = [
            Text(f" ! {words}", style=BAD)
            for words in (*harm(self.session, self.trial), *danger(self.session))
            if done is None or words not in done.down
        ]
        if self.stage is Stage.ENDED:
            lines = [Text(f" {plain(sentence)}") for sentence in self._end]
            lines += dangers
            if done is not None:
                lines += plan_report.of_outcome(done, touched="Touched")
            return lines
        lines, trial = [], self.trial
        until = time.strftime("%H:%M:%S", time.localtime(trial.deadline))
        if waiting := self._waiting():
            said = f" {waiting} F8 reviews what is staged once the trial is kept or undone."
            lines.append(Text(said, style="bold"))
        lines += [
            *dangers,
            Text(
                f" Until {until}, then systemd takes it back by itself: even if this program ends, "
                "the line is cut or the power fails."
            ),
            Text(f" Change {plain(trial.id)}, held by {plain(trial.by)}"),
        ]
        if trial.note:
            lines.append(Text(f" Note: {plain(trial.note)}"))
        if effects:
            lines.append(heading("WHAT IS TRIED", width, palette))
            lines += plan_report.effects(effects, width)
        else:
            lines.append(Text(f" Units: {plain(' '.join(trial.units))}"))
        if self.outcome is not None:
            lines.append(heading("WHAT IT CAME TO", width, palette))
            lines += plan_report.of_outcome(self.outcome)
        return lines

    def waiting(self) -> str:
        """Say that no key is needed."""
        return "No key is needed." if self.stage is Stage.WORKING else ""

    def offers(self) -> list[Key]:
        """Return the keys of this stage."""
        keys = list(KEYS[self.stage])
        if self.stage is Stage.ENDED and len(self.session.staged):
            keys.insert(1, AGAIN)
        return keys
