"""What a step of the set-up would change, exactly; doing it, stopping it, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError, RolledBackError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.text import plain
from lowmem_tui.policy.plan import is_triable
from lowmem_tui.tui.screens.plan_sheet import FOR_GOOD, TRIAL, PlanSheet, Stage
from lowmem_tui.tui.screens.sheet import MORE, working
from lowmem_tui.tui.text import plan_report
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from enum import Enum

    from textual.timer import Timer

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.plan import Edit, Outcome, Plan
    from lowmem_tui.model.setup import Look, Progress, Wishes
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.policy.setup_part import Part
    from lowmem_tui.tui.session.session import Session

POLL = 0.2
"""Seconds between two looks at how far it is."""

AT_ONCE = "Apply this at once? (u undoes it afterwards)"
LOSES = "Apply this at once? Undoing it does not bring back what the warnings above say is lost."

BY_YOU = "interrupted (by you)"
"""What ``Backend.cancel`` makes a change end with."""

AT_WORK = frozenset({Stage.WORKING, Stage.STOPPING})
BACK = Key("escape", "Esc", "Back, change nothing")
KEYS: dict[Stage, tuple[Key, ...]] = {
    Stage.PLANNING: (BACK,),
    Stage.SHOWN: (Key("a", "a", "Apply"), BACK, MORE),
    Stage.WORKING: (Key("escape", "Esc", "Stop, and put everything back"),),
    Stage.STOPPING: (),
    Stage.DONE: (Key("enter", "Enter", "Next step"), Key("u", "u", "Undo"), BACK, MORE),
    Stage.STOPPED: (Key("r", "r", "Plan again"), BACK, MORE),
    Stage.FAILED: (Key("r", "r", "Plan again"), BACK, MORE),
}
TRY = (Key("a", "a", f"Try {TRIAL} s"), Key("A", "A", "For good"))


class SetupReviewScreen(PlanSheet):
    """One step's change, from the plan to the proof that it is in force."""

    UNCHANGED = "Nothing is changed: everything is as it was."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply(True)", "Apply"),
        Binding("A", "apply(False)", "Apply for good"),
        Binding("escape,n,q", "back", "Back"),
        Binding("enter", "next", "Next step"),
        Binding("u", "undo", "Undo"),
        Binding("r", "again", "Plan again"),
    ]
    ALLOWED: ClassVar[Mapping[str, Collection[Enum]]] = {
        "apply": {Stage.SHOWN},
        "back": set(Stage) - {Stage.STOPPING},
        "next": {Stage.DONE},
        "undo": {Stage.DONE},
        "again": {Stage.SHOWN, Stage.STOPPED, Stage.FAILED},
        "trial": set(Stage) - AT_WORK,
    }

    def __init__(self, session: Session, part: Part) -> None:
        super().__init__(session)
        self.part = part
        self._wishes: Wishes = {}
        self._progress: Progress | None = None
        self._poll: Timer | None = None
        self._changes: Sequence[Change] = ()
        """The history, with what was done here as its newest."""
        self._is_so = False
        """Whether the step, looked at again, has nothing to change any more."""
        self._look: Look | None = None

    def _enter(self, stage: Enum, answer: str = "") -> None:
        self.session.interrupt = self._stop if stage in AT_WORK else None
        if stage is Stage.WORKING:
            self._progress = None
            self._poll = self.set_interval(POLL, self._follow)
        elif self._poll is not None and stage not in AT_WORK:
            self._poll.stop()
            self._poll = None
        super()._enter(stage, answer)

    def on_screen_resume(self) -> None:
        """Look again: it may have been undone meanwhile."""
        if self.stage is Stage.DONE:
            self.work(self._read_again)

    def on_unmount(self) -> None:
        """Do not let whoever ends the program wait for the end of something long."""
        if self.stage in AT_WORK:
            self.session.backend.cancel()

    # Planning

    def planner(self) -> Callable[[], tuple[Plan, Situation | None]]:
        """Return what makes the plan of the step."""
        backend, step = self.session.backend, self.part.step
        wishes = self._wishes = self.part.wishes()

        def make() -> tuple[Plan, Situation | None]:
            plan = step.plan(wishes)
            units = dict.fromkeys(effect.unit for effect in plan.effects)
            return plan, backend.situation(units) if units else None

        return make

    @property
    def _triable(self) -> bool:
        return self.plan is not None and not self.plan.empty and is_triable(self.plan)

    # Applying

    def action_apply(self, trial: bool) -> None:
        """Apply the plan, as a trial where that can be; or say why not."""
        plan = self.plan
        if plan is None or plan.empty:
            self.say("There is nothing to apply: Esc goes back.")
        elif why := self.session.cannot_change:
            step = plain(self.part.step.name, 40)
            self.say(f"{why} To apply this: {self.session.sudo} setup --step {step}")
        elif any(not r.forceable for r in plan.refusals):
            self.say("Refused, see above: go back and leave those out. Nothing was written.")
        elif self.app.screen is not self:
            pass  # the question is there already
        elif self.session.trials.running is not None:
            self.say("A trial runs: keep it or undo it first (F8), then a applies this.")
        elif plan.refusals:
            self._overrule(plan, trial=trial and self._triable)
        elif trial and self._triable:
            self._work(plan, trial=True, force=False)
        else:
            self._ask(plan, self._question(plan))

    def _question(self, plan: Plan) -> str:
        if any(warning.lost for warning in plan.warnings):
            return LOSES
        return FOR_GOOD if self._triable else AT_ONCE

    def note(self, plan: Plan) -> str:
        """Return what the history calls the change."""
        return self.part.note_of(plan, self._wishes)

    def _follow(self) -> None:
        """Show how far it is; a wish to stop is told again, for it may have come too early."""
        backend = self.session.backend
        self._progress = backend.progress()
        if self.stage is Stage.STOPPING:
            backend.cancel()
        self._answer.repaint()

    def _stop(self) -> None:
        """Have everything put back; a second wish to leave is granted when that is done."""
        if self.stage is Stage.WORKING:
            self._enter(Stage.STOPPING)
            self.session.backend.cancel()
        elif self.stage is Stage.STOPPING:
            self.session.interrupt = None
            self.app.exit(0)

    def failed(self, error: LowmemError) -> None:
        """Show why it could not be applied, or that it was stopped."""
        if BY_YOU in str(error) and isinstance(error, RolledBackError):
            self._enter(Stage.STOPPED, self.UNCHANGED)
        else:
            super().failed(error)

    async def applied(self, plan: Plan, edits: tuple[Edit, ...], *, trial: bool) -> None:  # noqa: ARG002
        """Look whether the step finds it done."""
        self.session.follow_files((file.path, file.after) for file in plan.files)
        too_late = self.stage is Stage.STOPPING
        await self._read_again()
        answer = "It was done before it could be stopped: u undoes it." if too_late else self.answer
        self._enter(Stage.DONE, answer)

    async def _look_again(self) -> None:
        """Look whether the step finds it done."""
        session, part = self.session, self.part
        await session.setup.look(part)
        try:
            left = await session.run_blocking(part.step.plan, self._wishes)
        except (LowmemError, OSError) as error:
            self.trouble, self._is_so = str(error), False
            return
        self.trouble, self._is_so = "", left.empty

    async def _read_again(self) -> None:
        """Find out what the history says of it, and what the step finds now."""
        session = self.session
        try:
            self._changes = await session.run_blocking(session.backend.history)
        except LowmemError as error:
            self.say(str(error))
            return
        await self._look_again()
        self.repaint()

    # The other keys

    def action_back(self) -> None:
        """Stop what is under way; else go back."""
        if self.stage is Stage.WORKING:
            self._stop()
        else:
            self.dismiss()

    def action_next(self) -> None:
        """Go on to the next step."""
        self.session.setup.go_on = True
        self.dismiss()

    def action_undo(self) -> None:
        """Show what undoing it would do, and ask."""
        from lowmem_tui.tui.screens.change import ChangeScreen

        if self._changes and self.app.screen is self:
            self.app.push_screen(
                ChangeScreen(self.session, self._changes[0], self._changes, undo=True)
            )

    # What is shown

    def heading(self) -> str:
        """Return the title."""
        title = tr(self.part.step.title)
        if self.stage is Stage.DONE and self._undone:
            return f"{title}: undone"
        if self.stage is Stage.DONE and self.outcome and self.outcome.mismatches:
            return f"{title}: done, but not all is as asked"
        return {
            Stage.PLANNING: f"{title}: working out what would be changed…",
            Stage.SHOWN: f"{title}: nothing is written yet",
            Stage.WORKING: f"{title}: working…",
            Stage.STOPPING: f"{title}: stopping, and putting everything back…",
            Stage.DONE: f"{title}: done",
            Stage.STOPPED: f"{title}: stopped, as you wished",
            Stage.FAILED: f"{title}: this did not work",
        }[self.stage]

    @property
    def _undone(self) -> bool:
        return bool(self._changes) and bool(self._changes[0].undoes)

    def result(self, outcome: Outcome, width: int) -> list[Text]:
        """Return what it did, and what the step finds now."""
        if self._undone:
            return [Text(" It is taken back: everything is as it was before. H tells of both.")]
        palette = self.session.palette
        lines = plan_report.of_outcome(outcome)
        lines.append(heading("LOOKED AT AGAIN", width, palette))
        if self._is_so:
            lines.append(Text(" The step finds everything as it was wished for.", style="bold"))
        for item in self.part.items:
            if item.key not in self._wishes:
                continue
            so = self._is_so or self.part.is_so(item)
            words = f" {'=' if so else '!'} {plain(say(item.title))}: {plain(say(item.now))}"
            lines.append(Text(words if so else f"{words}, not {plain(self._wishes[item.key])}"))
        return lines

    def waiting(self) -> str:
        """Say how far it is, and that no key is needed."""
        if self.stage is Stage.STOPPING:
            return "One moment: what was begun is put back."
        if self.stage is not Stage.WORKING:
            return ""
        progress = self._progress
        if progress is None or not progress.total:
            return working()
        glyphs = self.session.glyphs
        share = min(1.0, progress.done / progress.total)
        room = max(10, min(40, self.size.width - 40))
        bar = f"{glyphs.left}{glyphs.bar(share, room)}{glyphs.right}"
        return f"{bar} {share:4.0%} {plain(progress.words, 100)}"

    def offers(self) -> Sequence[Key]:
        """Return the keys of this stage."""
        keys = list(KEYS[self.stage])
        if self.stage is Stage.SHOWN:
            if self.plan is None or self.plan.empty:
                return keys[1:]
            if self.session.cannot_change:
                keys[0] = Key("a", "a", "What to run")
            elif self._triable:
                keys[:1] = TRY
        if self.stage is Stage.DONE:
            keys[2] = Key("escape", "Esc", "The step")
            if self._undone:
                del keys[1]
        return keys
