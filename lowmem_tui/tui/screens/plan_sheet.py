"""The base of sheets about a plan: it is made, shown, confirmed, applied, and its result shown."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text

from lowmem_tui.model.errors import HalfDoneError, LowmemError, message_of
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message, msg
from lowmem_tui.model.text import plain
from lowmem_tui.model.trial import USUAL
from lowmem_tui.tui.screens.sheet import Sheet
from lowmem_tui.tui.session import trial_watch
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import forecast, plan_report
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.model.plan import Edit, Outcome, Plan
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.tui.screens.trial import TrialScreen
    from lowmem_tui.tui.session.session import Session

FOR_GOOD = msg("Apply permanently, without a trial that reverts automatically?")

NOT_WRITTEN = msg("Nothing was written.")


def trial_keys() -> tuple[Key, Key]:
    """Return the keys that apply a plan as a trial, and permanently."""
    return (
        Key("a", "a", msg("Trial {seconds} s", seconds=USUAL)),
        Key("A", "A", N_("Permanently")),
    )


class Stage(Enum):
    """Where it is."""

    PLANNING = "planning"
    SHOWN = "shown"
    WORKING = "working"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class PlanSheet(Sheet):
    """One plan, from its making to the proof that it is in force."""

    UNCHANGED: ClassVar[Message]
    """The answer where nothing was changed."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.stage: Stage = Stage.PLANNING
        self.plan: Plan | None = None
        self.outcome: Outcome | None = None
        self.trouble: Message | str = ""
        """One sentence on what failed."""
        self._situation: Situation | None = None
        self._next: TrialScreen | None = None

    # What each sheet shows

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The staged edits that the plan is of."""
        return ()

    def planner(self) -> Callable[[], tuple[Plan, Situation | None]] | None:
        """Return what makes the plan, in the backend's thread; None: there is nothing to plan."""
        raise NotImplementedError

    def note(self, plan: Plan) -> str:  # noqa: ARG002 - of each sheet
        """Return what the history calls the change."""
        return ""

    def result(self, outcome: Outcome, width: int) -> list[Text]:
        """Return the result of applying it, as lines."""
        raise NotImplementedError

    async def applied(self, plan: Plan, edits: tuple[Edit, ...], *, trial: bool) -> None:
        """Follow a change that is made; ``trial``: one that was applied on trial, and is over."""
        raise NotImplementedError

    def failed(self, error: LowmemError) -> None:
        """Show why it could not be applied."""
        self.trouble = error.message
        self._enter(Stage.FAILED, "" if isinstance(error, HalfDoneError) else say(self.UNCHANGED))

    # Planning

    def on_mount(self) -> None:
        """Make the plan."""
        self.action_again()

    def action_again(self) -> None:
        """Make the plan, from what the server is now."""
        self.plan, self.trouble = None, ""
        self._enter(Stage.PLANNING)
        self.work(self._make_plan, exclusive=True)

    async def _make_plan(self) -> None:
        make = self.planner()
        if make is not None:
            try:
                self.plan, self._situation = await self.session.run_blocking(make)
            except (LowmemError, OSError) as error:
                self.trouble = message_of(error)
                self._enter(Stage.FAILED, say(self.UNCHANGED))
                return
        self._enter(Stage.SHOWN)

    # Asking

    def _overrule(self, plan: Plan, *, trial: bool, and_: str = "") -> None:
        """Ask for the word that overrides the checks; ``and_`` is one more thing to consider."""
        from lowmem_tui.tui.screens.confirm import ConfirmScreen

        def answered(force: bool | None) -> None:
            if force:
                self._work(plan, trial=trial, force=True)
            else:
                self.say(say(NOT_WRITTEN))

        title = (
            tr("A check refuses this change:")
            if len(plan.refusals) == 1
            else tr("Checks refuse this change:")
        )
        reasons = [*(say(r.named) for r in plan.refusals), *filter(None, (and_,))]
        self.app.push_screen(ConfirmScreen(self.session, title, reasons), answered)

    def _ask(self, plan: Plan, question: Message, no: Message = NOT_WRITTEN) -> None:
        """Ask whether to apply it permanently; ``no`` is the answer to no."""
        from lowmem_tui.tui.screens.ask import AskScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._work(plan, trial=False, force=False)
            else:
                self.say(say(no))

        self.app.push_screen(AskScreen(self.session, say(question)), answered)

    # Applying

    def _work(self, plan: Plan, *, trial: bool, force: bool) -> None:
        if self.stage is Stage.SHOWN:
            self._enter(Stage.WORKING)
            # Not exclusive, never cancelled by a key: the thread carries the change to its end.
            self.work(partial(self._apply, plan, trial=trial, force=force))

    async def _apply(self, plan: Plan, *, trial: bool, force: bool) -> None:
        session, edits = self.session, self.edits
        seconds, note = USUAL if trial else None, self.note(plan)
        apply = partial(session.backend.apply, plan, force=force, trial=seconds, note=note)
        try:
            self.outcome = await session.change(apply, edits)
        except LowmemError as error:
            self.failed(error)
            return
        running = await trial_watch.ask(session) if trial else None
        if running is None:
            await self.applied(plan, edits, trial=trial)
            return
        from lowmem_tui.tui.screens.trial import TrialScreen

        self._next = TrialScreen(session, running, self.outcome, forced=force)
        trial_watch.began(session, running, edits, plan.effects)
        self._enter(Stage.DONE)
        self._go_on()

    def on_screen_resume(self) -> None:
        """Go on to the trial that began while a question was in front."""
        self._go_on()

    def _go_on(self) -> None:
        if self._next is not None and self.app.screen is self:
            following, self._next = self._next, None
            self.app.switch_screen(following)

    # What is shown

    def lines(self, width: int) -> list[Text]:
        """Return the plan, or what it did."""
        lines: list[Text] = []
        if self.trouble:
            lines.append(Text(f" {plain(say(self.trouble), 2000)}", style=BAD))
        if self.stage is Stage.DONE and self.outcome is not None:
            return [*lines, *self.result(self.outcome, width)]
        if self.plan is not None:
            fates: tuple[list[Text], list[Text]] = [], []
            if self._situation is not None and self.plan.effects:
                fates = forecast.compared(self._situation, self.plan, width)
            lines += plan_report.of_plan(self.plan, width, self.session.palette, *fates)
        return lines
