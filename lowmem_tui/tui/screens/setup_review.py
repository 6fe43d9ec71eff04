"""What a step of the set-up would change; applying it, stopping it, and the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError, StoppedError, message_of
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message, msg, of_command
from lowmem_tui.model.text import plain
from lowmem_tui.policy.plan import is_triable
from lowmem_tui.tui.screens.plan_sheet import FOR_GOOD, PlanSheet, Stage, trial_keys
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

AT_ONCE = msg("Apply this now? (u undoes it afterwards)")
LOSES = msg("Apply this now? Undoing it does not restore what the warnings above describe as lost.")

AT_WORK = frozenset({Stage.WORKING, Stage.STOPPING})
BACK = Key("escape", "Esc", N_("Back, change nothing"))
KEYS: dict[Stage, tuple[Key, ...]] = {
    Stage.PLANNING: (BACK,),
    Stage.SHOWN: (Key("a", "a", N_("Apply")), BACK, MORE),
    Stage.WORKING: (Key("escape", "Esc", N_("Stop and roll back")),),
    Stage.STOPPING: (),
    Stage.DONE: (Key("enter", "Enter", N_("Next step")), Key("u", "u", N_("Undo")), BACK, MORE),
    Stage.STOPPED: (Key("r", "r", N_("Plan again")), BACK, MORE),
    Stage.FAILED: (Key("r", "r", N_("Plan again")), BACK, MORE),
}


class SetupReviewScreen(PlanSheet):
    """One step's change, from the plan to the proof that it is in force."""

    UNCHANGED = msg("Nothing is changed.")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply(True)", "Apply"),
        Binding("A", "apply(False)", "Apply permanently"),
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
        """Whether the step, read after the change, has nothing to change any more."""
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
        """Refresh: it may have been undone meanwhile."""
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
        """Apply the plan, as a trial where that can be; or show why not."""
        plan = self.plan
        if plan is None or plan.empty:
            self.say(tr("There is nothing to apply: Esc goes back."))
        elif why := self.session.cannot_change:
            step = plain(self.part.step.name, 40)
            command = of_command(f"{self.session.sudo} setup --step {step}")
            self.say(tr("{why} To apply this: {command}", why=why, command=command))
        elif any(not r.forceable for r in plan.refusals):
            self.say(tr("Refused, see above: go back and deselect those. Nothing was written."))
        elif self.app.screen is not self:
            pass  # the question is there already
        elif self.session.trials.running is not None:
            self.say(tr("A trial is running: keep it or undo it first (F8), then a applies this."))
        elif plan.refusals:
            self._overrule(plan, trial=trial and self._triable)
        elif trial and self._triable:
            self._work(plan, trial=True, force=False)
        else:
            self._ask(plan, self._question(plan))

    def _question(self, plan: Plan) -> Message:
        if any(warning.lost for warning in plan.warnings):
            return LOSES
        return FOR_GOOD if self._triable else AT_ONCE

    def note(self, plan: Plan) -> str:
        """Return what the history calls the change."""
        return self.part.note_of(plan, self._wishes)

    def _follow(self) -> None:
        """Show the progress; a request to stop is repeated, for it may have come too early."""
        backend = self.session.backend
        self._progress = backend.progress()
        if self.stage is Stage.STOPPING:
            backend.cancel()
        self._answer.repaint()

    def _stop(self) -> None:
        """Have everything rolled back; a second request to quit is granted after that."""
        if self.stage is Stage.WORKING:
            self._enter(Stage.STOPPING)
            self.session.backend.cancel()
        elif self.stage is Stage.STOPPING:
            self.session.interrupt = None
            self.app.exit(0)

    def failed(self, error: LowmemError) -> None:
        """Show why it could not be applied, or that it was stopped."""
        if isinstance(error, StoppedError):
            self._enter(Stage.STOPPED, say(self.UNCHANGED))
        else:
            super().failed(error)

    async def applied(self, plan: Plan, edits: tuple[Edit, ...], *, trial: bool) -> None:  # noqa: ARG002
        """Read whether the step finds it done."""
        self.session.follow_files((file.path, file.after) for file in plan.files)
        too_late = self.stage is Stage.STOPPING
        await self._read_again()
        done = tr("The change was applied before it could be stopped: u undoes it.")
        answer = done if too_late else self.answer
        self._enter(Stage.DONE, answer)

    async def _read_step(self) -> None:
        """Read whether the step finds it done."""
        session, part = self.session, self.part
        await session.setup.look(part)
        try:
            left = await session.run_blocking(part.step.plan, self._wishes)
        except (LowmemError, OSError) as error:
            self.trouble, self._is_so = message_of(error), False
            return
        self.trouble, self._is_so = "", left.empty

    async def _read_again(self) -> None:
        """Find out what the history says of it, and what the step finds now."""
        session = self.session
        try:
            self._changes = await session.run_blocking(session.backend.history)
        except LowmemError as error:
            self.say(say(error.message))
            return
        await self._read_step()
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
            return tr("{title}: undone", title=title)
        if self.stage is Stage.DONE and self.outcome and self.outcome.mismatches:
            return tr("{title}: applied, but verification failed", title=title)
        stages = {
            Stage.PLANNING: msg("{title}: planning…", title=title),
            Stage.SHOWN: msg("{title}: nothing is written yet", title=title),
            Stage.WORKING: msg("{title}: applying…", title=title),
            Stage.STOPPING: msg("{title}: stopping and rolling back…", title=title),
            Stage.DONE: msg("{title}: applied", title=title),
            Stage.STOPPED: msg("{title}: stopped and rolled back", title=title),
            Stage.FAILED: msg("{title}: the change failed", title=title),
        }
        return say(stages[self.stage])

    @property
    def _undone(self) -> bool:
        return bool(self._changes) and bool(self._changes[0].undoes)

    def result(self, outcome: Outcome, width: int) -> list[Text]:
        """Return what it did, and what the step finds now."""
        if self._undone:
            undone = tr("The change is undone. H on the main screen shows both changes.")
            return [Text(f" {undone}")]
        palette = self.session.palette
        lines = plan_report.of_outcome(outcome)
        lines.append(heading(tr("THE STEP AFTER THE CHANGE"), width, palette))
        if self._is_so:
            found = tr("Every selected value is set.")
            lines.append(Text(f" {found}", style="bold"))
        for item in self.part.items:
            if item.key not in self._wishes:
                continue
            so = self._is_so or self.part.is_so(item)
            title, now = say(item.title), say(item.now)
            words = tr("{title}: {now}", title=title, now=now)
            if not so:
                wanted = self._wishes[item.key]
                words = tr("{title}: {now}, not {wanted}", title=title, now=now, wanted=wanted)
            lines.append(Text(f" {'=' if so else '!'} {words}"))
        return lines

    def waiting(self) -> str:
        """Return the progress, or that no key is needed."""
        if self.stage is Stage.STOPPING:
            return tr("Please wait: the change is being rolled back.")
        if self.stage is not Stage.WORKING:
            return ""
        progress = self._progress
        if progress is None or not progress.total:
            return working()
        glyphs = self.session.glyphs
        share = min(1.0, progress.done / progress.total)
        room = max(10, min(40, self.size.width - 40))
        bar = f"{glyphs.left}{glyphs.bar(share, room)}{glyphs.right}"
        return f"{bar} {share:4.0%} {plain(say(progress.words), 100)}"

    def offers(self) -> Sequence[Key]:
        """Return the keys of this stage."""
        keys = list(KEYS[self.stage])
        if self.stage is Stage.SHOWN:
            if self.plan is None or self.plan.empty:
                return keys[1:]
            if self.session.cannot_change:
                keys[0] = Key("a", "a", N_("Command to run"))
            elif self._triable:
                keys[:1] = trial_keys()
        if self.stage is Stage.DONE:
            keys[2] = Key("escape", "Esc", N_("Step"))
            if self._undone:
                del keys[1]
        return keys
