"""The review: what the staged edits would do, before anything is done; and what they did."""

from __future__ import annotations

import shlex
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import HalfDoneError, LowmemError
from lowmem_tui.model.staged import Staged
from lowmem_tui.model.text import plain
from lowmem_tui.tui.screens.sheet import MORE, Sheet
from lowmem_tui.tui.session import trial_watch
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import forecast, plan_report
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from lowmem_tui.model.plan import Outcome, Plan
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.tui.screens.trial import TrialScreen
    from lowmem_tui.tui.session.session import Session

TRIAL = 120
"""Seconds that a change is tried before it is taken back, unless it is kept."""


class Stage(Enum):
    """Where the review is."""

    PLANNING = "planning"
    SHOWN = "shown"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


BACK = Key("n", "n", "Back, keep the edits")
DISCARD = Key("d", "d", "Discard all")
KEYS = {
    Stage.PLANNING: (BACK,),
    Stage.SHOWN: (
        Key("a", "a", f"Try {TRIAL} s"),
        Key("A", "A", "For good"),
        BACK,
        DISCARD,
        MORE,
    ),
    Stage.WORKING: (),
    Stage.DONE: (Key("enter", "Enter", "Back"), MORE),
    Stage.FAILED: (Key("r", "r", "Plan again"), BACK, DISCARD, MORE),
}

FOR_GOOD = "Apply for good at once, with no trial that takes itself back?"


class ReviewScreen(Sheet):
    """All staged edits, as one plan."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply(True)", "Apply as a trial"),
        Binding("A", "apply(False)", "Apply for good"),
        Binding("n,escape", "back", "Back"),
        Binding("enter", "leave", "Back", show=False),
        Binding("d", "discard", "Discard all"),
        Binding("r", "again", "Plan again"),
    ]
    ALLOWED: ClassVar[dict[str, set[Stage]]] = {
        "apply": {Stage.SHOWN},
        "back": {Stage.PLANNING, Stage.SHOWN, Stage.DONE, Stage.FAILED},
        "leave": {Stage.DONE},
        "discard": {Stage.SHOWN, Stage.FAILED},
        "again": {Stage.SHOWN, Stage.FAILED},
    }

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.stage = Stage.PLANNING
        self.plan: Plan | None = None
        self._situation: Situation | None = None
        self.outcome: Outcome | None = None
        self.trouble = ""
        """One sentence on what failed."""
        self._next: TrialScreen | None = None

    def on_mount(self) -> None:
        """Make the plan."""
        self.action_again()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Let each key work only where it is meant to."""
        return self.stage in self.ALLOWED.get(action, set(Stage))

    def _enter(self, stage: Stage, said: str = "") -> None:
        self.stage, self.said = stage, said
        self.repaint()

    def on_staged_changed(self) -> None:
        """Plan again: what is shown must be what would be done."""
        if self.stage in {Stage.PLANNING, Stage.SHOWN}:
            self.action_again()

    def on_screen_resume(self) -> None:
        """Go on to the trial that began while a question was in front."""
        self._go_on()

    # Planning

    def action_again(self) -> None:
        """Make the plan, from what the server is now."""
        self._enter(Stage.PLANNING)
        self.run_worker(self._make_plan(), exclusive=True)

    async def _make_plan(self) -> None:
        from lowmem_tui.policy.plan import plan

        session = self.session
        staged = session.staged

        def make() -> tuple[Situation, Plan]:
            situation = session.backend.situation(staged.units)
            return situation, plan(staged.edits, situation, session.rules.tiers(situation))

        self.plan, self.trouble = None, ""
        if not staged:
            self._enter(Stage.SHOWN)
            return
        try:
            self._situation, self.plan = await session.run_blocking(make)
        except LowmemError as error:
            self.trouble = str(error)
            self._enter(Stage.FAILED)
        else:
            self._enter(Stage.SHOWN)

    # Applying

    def action_apply(self, trial: bool) -> None:
        """Apply the plan, as a trial or for good; or say why not."""
        plan = self.plan
        if plan is None or plan.empty:
            self.say("There is nothing to apply.")
        elif why := self.session.cannot_change:
            # What was staged on the demo server is not for this machine.
            demo = self.session.backend.demo
            self.say(why if demo else f"{why} To apply just this: {self._command(trial)}")
        elif any(not r.forceable for r in plan.refusals):
            self.say("Refused, see above: take those edits back, then apply. Nothing was written.")
        elif self.app.screen is not self:
            pass  # the question is there already
        elif plan.refusals:
            self._confirm_force(plan, trial)
        elif not trial:
            self._confirm_for_good(plan)
        else:
            self._work(plan, trial=True, force=False)

    def _command(self, trial: bool) -> str:
        sets = (f"{e.unit}:{e.key}={e.value or ''}" for e in self.session.staged.edits)
        options = [f"--trial {TRIAL}"] if trial else []
        options += [f"--set {shlex.quote(s)}" for s in sets]
        return " ".join((self.session.sudo, "apply", *options))

    def _confirm_force(self, plan: Plan, trial: bool) -> None:
        from lowmem_tui.tui.screens.confirm import ConfirmScreen

        def answered(force: bool | None) -> None:
            if force:
                self._work(plan, trial=trial, force=True)
            else:
                self.say("Nothing was written.")

        title = "A check refuses this change:" if len(plan.refusals) == 1 else "Checks refuse this:"
        reasons = [r.told for r in plan.refusals]
        if not trial:
            reasons.append("And it is for good, not a trial.")
        self.app.push_screen(ConfirmScreen(self.session, title, reasons), answered)

    def _confirm_for_good(self, plan: Plan) -> None:
        from lowmem_tui.tui.screens.ask import AskScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._work(plan, trial=False, force=False)
            else:
                self.say("Nothing was written: a applies it as a trial.")

        self.app.push_screen(AskScreen(self.session, FOR_GOOD), answered)

    def _work(self, plan: Plan, *, trial: bool, force: bool) -> None:
        if self.stage is not Stage.SHOWN:
            return
        self._enter(Stage.WORKING)
        # Not exclusive, never cancelled by a key: the thread carries the change to its end anyway.
        self.run_worker(self._apply(plan, trial=trial, force=force))

    async def _apply(self, plan: Plan, *, trial: bool, force: bool) -> None:
        session = self.session
        edits = session.staged.edits

        def work() -> Outcome:
            return session.backend.apply(plan, force=force, trial=TRIAL if trial else None)

        try:
            self.outcome = await session.change(work, edits)
        except LowmemError as error:
            self.trouble = str(error)
            self._enter(
                Stage.FAILED, "" if isinstance(error, HalfDoneError) else plan_report.UNCHANGED
            )
            return
        running = await trial_watch.ask(session) if trial else None
        if running is not None:
            from lowmem_tui.tui.screens.trial import TrialScreen

            trial_watch.began(session, running, edits, plan.effects)
            self._next = TrialScreen(self.session, running, self.outcome, forced=force)
            self._go_on()
            return
        if not trial:
            session.stage(session.staged.less(edits))
        self._enter(Stage.DONE)

    def _go_on(self) -> None:
        if self._next is not None and self.app.screen is self:
            following, self._next = self._next, None
            self.app.switch_screen(following)

    # The other keys

    def action_back(self) -> None:
        """Go back; what is staged stays staged."""
        self.dismiss()

    def action_leave(self) -> None:
        """Go back from the result."""
        self.dismiss()

    def action_trial(self) -> None:
        """Show the trial that runs; else F8 goes back from the result."""
        super().action_trial()
        if self.session.trials.running is None and self.stage is Stage.DONE:
            self.dismiss()

    def action_discard(self) -> None:
        """Forget all staged edits, after a question."""
        from lowmem_tui.tui.screens.ask import AskScreen

        count = len(self.session.staged)
        if not count:
            self.say("Nothing is staged.")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.session.stage(Staged())
                self.dismiss()

        edits = "the staged edit" if count == 1 else f"all {count} staged edits"
        self.app.push_screen(AskScreen(self.session, f"Discard {edits}?"), answered)

    # What is shown

    def heading(self) -> str:
        """Return the title."""
        count = len(self.session.staged)
        edits = "1 staged edit" if count == 1 else f"{count} staged edits"
        if self.stage is Stage.DONE and self.outcome and self.outcome.mismatches:
            return "Done, but not all is as asked"
        return {
            Stage.PLANNING: f"Review of {edits}: asking systemd…",
            Stage.SHOWN: f"Review of {edits}: nothing is written yet",
            Stage.WORKING: "Working… systemd is reloading. This may take some seconds.",
            Stage.DONE: "Done",
            Stage.FAILED: "This did not work",
        }[self.stage]

    def lines(self, width: int) -> list[Text]:
        """Return the plan, or what it did."""
        if self.stage is Stage.DONE and self.outcome is not None:
            return plan_report.of_outcome(self.outcome)
        lines: list[Text] = []
        if self.trouble:
            lines.append(Text(f" {plain(self.trouble)}", style=BAD))
        if self.plan is not None:
            fates: tuple[list[Text], list[Text]] = [], []
            if self._situation is not None and self.plan.effects:
                fates = forecast.compared(self._situation, self.plan, width)
            lines += plan_report.of_plan(self.plan, width, self.session.palette, *fates)
        elif self.stage is Stage.SHOWN:
            lines.append(Text(" Nothing is staged. Enter on a unit opens its form."))
        return lines

    def waiting(self) -> str:
        """Say that no key is needed."""
        if self.stage is not Stage.WORKING:
            return ""
        return "No key is needed: it ends by itself, or everything is put back."

    def offers(self) -> list[Key]:
        """Return the keys of this stage."""
        keys = list(KEYS[self.stage])
        if self.stage is Stage.SHOWN and self.session.cannot_change:
            keys[:2] = [Key("a", "a", "What to run")]
        return keys
