"""The review: what the staged edits would do, before anything is done; and what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, msg, of_command, plural
from lowmem_tui.model.staged import Staged
from lowmem_tui.tui.screens.plan_sheet import FOR_GOOD, PlanSheet, Stage, trial_keys
from lowmem_tui.tui.screens.sheet import MORE, working
from lowmem_tui.tui.text import plan_report
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from enum import Enum

    from lowmem_tui.model.plan import Edit, Outcome, Plan
    from lowmem_tui.model.snapshot import Situation

BACK = Key("n", "n", N_("Back, keep edits"))
DISCARD = Key("d", "d", N_("Discard all"))
KEYS = {
    Stage.PLANNING: (BACK,),
    Stage.SHOWN: (BACK, DISCARD, MORE),
    Stage.WORKING: (),
    Stage.DONE: (Key("enter", "Enter", N_("Back")), MORE),
    Stage.FAILED: (Key("r", "r", N_("Plan again")), BACK, DISCARD, MORE),
}


class ReviewScreen(PlanSheet):
    """All staged edits, as one plan."""

    UNCHANGED = msg("Nothing is changed, and your edits are still staged.")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply(True)", N_("Apply as a trial")),
        Binding("A", "apply(False)", N_("Apply permanently")),
        Binding("n,escape", "back", N_("Back")),
        Binding("enter", "leave", N_("Back"), show=False),
        Binding("d", "discard", N_("Discard all")),
        Binding("r", "again", N_("Plan again")),
    ]
    ALLOWED: ClassVar[Mapping[str, Collection[Enum]]] = {
        "apply": {Stage.SHOWN},
        "back": {Stage.PLANNING, Stage.SHOWN, Stage.DONE, Stage.FAILED},
        "leave": {Stage.DONE},
        "discard": {Stage.SHOWN, Stage.FAILED},
        "again": {Stage.SHOWN, Stage.FAILED},
    }

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All of them."""
        return self.session.staged.edits

    def on_staged_changed(self) -> None:
        """Plan again: what is shown must be what would be done."""
        if self.stage in {Stage.PLANNING, Stage.SHOWN}:
            self.action_again()

    def planner(self) -> Callable[[], tuple[Plan, Situation | None]] | None:
        """Return what makes the plan; None if nothing is staged."""
        from lowmem_tui.policy.plan import plan

        session, staged = self.session, self.session.staged

        def make() -> tuple[Plan, Situation | None]:
            situation = session.backend.situation(staged.units)
            return plan(staged.edits, situation, session.rules.tiers(situation)), situation

        return make if staged else None

    # Applying

    def action_apply(self, trial: bool) -> None:
        """Apply the plan, as a trial or permanently; or show why not."""
        plan = self.plan
        if plan is None or plan.empty:
            self.say(tr("There is nothing to apply."))
        elif why := self.session.cannot_change:
            from lowmem_tui.policy.outcome_text import command as command_of

            # What was staged on the demo server is not for this machine.
            command = of_command(
                command_of(self.session.sudo, self.session.staged.edits, trial=trial)
            )
            full = tr("{why} To apply just this: {command}", why=why, command=command)
            self.say(say(why) if self.session.backend.demo else full)
        elif any(not r.forceable for r in plan.refusals):
            self.say(tr("Refused, see above: change or discard those edits. Nothing was written."))
        elif self.app.screen is not self:
            pass  # the question is there already
        elif plan.refusals:
            more = "" if trial else tr("It would be applied permanently, without a trial.")
            self._overrule(plan, trial=trial, and_=more)
        elif not trial:
            self._ask(plan, FOR_GOOD, no=msg("Nothing was written. a applies it as a trial."))
        else:
            self._work(plan, trial=True, force=False)

    async def applied(self, plan: Plan, edits: tuple[Edit, ...], *, trial: bool) -> None:  # noqa: ARG002
        """Forget the edits that are in force."""
        if not trial:
            self.session.stage(self.session.staged.less(edits))
        self._enter(Stage.DONE)

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
            self.say(tr("Nothing is staged."))
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.session.stage(Staged())
                self.dismiss()

        question = plural("Discard the staged edit?", "Discard all {n} staged edits?", count)
        self.app.push_screen(AskScreen(self.session, say(question)), answered)

    # What is shown

    def heading(self) -> str:
        """Return the title."""
        count = len(self.session.staged)
        if self.stage is Stage.DONE and self.outcome and self.outcome.mismatches:
            return tr("Applied, but verification failed")
        return say(
            {
                Stage.PLANNING: plural(
                    "Review of 1 staged edit: asking systemd…",
                    "Review of {n} staged edits: asking systemd…",
                    count,
                ),
                Stage.SHOWN: plural(
                    "Review of 1 staged edit: nothing is written yet",
                    "Review of {n} staged edits: nothing is written yet",
                    count,
                ),
                Stage.WORKING: msg("Working… systemd is reloading. This may take some seconds."),
                Stage.DONE: msg("Applied"),
                Stage.FAILED: msg("The change failed"),
            }[self.stage]
        )

    def result(self, outcome: Outcome, width: int) -> list[Text]:  # noqa: ARG002
        """Return what it did."""
        return plan_report.of_outcome(outcome)

    def lines(self, width: int) -> list[Text]:
        """Return the plan, or what it did."""
        lines = super().lines(width)
        if self.plan is None and self.stage is Stage.SHOWN:
            lines.append(Text(" " + tr("Nothing is staged: Enter on a unit opens its form.")))
        return lines

    def waiting(self) -> str:
        """Return what is shown while it works."""
        if self.stage is not Stage.WORKING:
            return ""
        return working()

    def offers(self) -> list[Key]:
        """Return the keys of this stage."""
        keys = list(KEYS[self.stage])
        if self.stage is Stage.SHOWN:
            if self.session.cannot_change:
                return [Key("a", "a", N_("Command to run")), *keys]
            return [*trial_keys(), *keys]
        return keys
