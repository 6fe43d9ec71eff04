"""The base of every screen but the questions: a running trial is shown on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.screen import Screen

from lowmem_tui.model.cells import fit
from lowmem_tui.model.language import tr
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lowmem_tui.tui.session.messages import TrialChanged
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.widgets.trial_line import TrialLine


class FullScreen(Screen[None]):
    """Its first line is the trial's, as long as there is something to show of one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f8", "trial", "The trial", show=False)]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._trial: TrialLine | None = None

    def title_bar(self, words: str, width: int) -> Text:
        """Return the title of the screen as a line."""
        demo = tr("DEMO") + " " if self.session.backend.demo else ""
        text = fit(plain(f" {demo}{words}", width), width)
        return Text(text, style="bold reverse", no_wrap=True)

    def on_screen_resume(self) -> None:
        """Show how the trial went on while another screen was in front."""
        self.follow_trial()

    def on_trial_changed(self, message: TrialChanged) -> None:
        """Show the time left, or how it ended."""
        self.follow_trial()
        if message.over:
            self.trial_over()

    def follow_trial(self) -> None:
        """Show the trial's line, or hide it."""
        if self._trial is None:
            if not self.session.trials.visible:
                return
            from lowmem_tui.tui.widgets.trial_line import TrialLine

            self._trial = TrialLine(self.session)
            self.mount(self._trial)
        self._trial.follow()

    def work(
        self, do: Callable[[], Coroutine[object, object, None]], *, exclusive: bool = False
    ) -> None:
        """Do this in a worker; ``exclusive`` ends those that the screen has.

        A function, which may be cancelled before it has begun: a coroutine that nobody awaits
        makes Python write a warning over the screen.
        """
        self.run_worker(do, exclusive=exclusive)

    def trial_over(self) -> None:
        """Update what depends on a trial that has just ended."""

    def action_trial(self) -> None:
        """Show the running trial, where it is kept or undone."""
        if self.session.trials.running is not None and self.app.screen is self:
            self.session.screens.open_review()
