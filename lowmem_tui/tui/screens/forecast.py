"""F7: the OOM kill order, in the whole machine and inside each limit, and the memory budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, plural
from lowmem_tui.model.staged import Staged
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import budget
from lowmem_tui.policy.forecast import prediction_text, whatif
from lowmem_tui.policy.forecast.kills import predictions
from lowmem_tui.policy.forecast.userspace_killers import others
from lowmem_tui.tui.screens.sheet import MORE, Sheet
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import forecast
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.plan import Notice, Plan
    from lowmem_tui.model.snapshot import Situation, Snapshot
    from lowmem_tui.model.unit import Key as Setting
    from lowmem_tui.model.unit import Value
    from lowmem_tui.policy.forecast.growth import Reach
    from lowmem_tui.tui.session.session import Session

MOST = 12
"""Kills that are shown of the whole machine, and"""

INSIDE = 5
"""of each limit."""


class ForecastScreen(Sheet):
    """The kill order; computed again with each snapshot, as long as it is in front."""

    HELP: ClassVar[str] = N_("OOM kill order (F7)")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f7", "dismiss", N_("Back")),
        Binding("f8", "review", N_("Review")),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._wanted: dict[str, dict[Setting, Value]] | None = None
        """The settings with the staged edits; None while systemd is asked."""
        self._refused: tuple[Notice, ...] = ()
        self._trouble = ""
        self._untried = Staged()
        """The staged edits that are not on trial."""
        self._reaches: list[Reach] = []
        self._span = -1

    def on_mount(self) -> None:
        """Ask what the staged edits would do."""
        self.on_staged_changed()

    def on_screen_resume(self) -> None:
        """Show what has come while another screen was in front."""
        self.repaint()

    def on_snapshot_arrived(self) -> None:
        """Show the newest figures."""
        self.repaint()

    def on_staged_changed(self) -> None:
        """Ask again."""
        self._wanted, self._refused, self._trouble = None, (), ""
        self._untried = self.session.staged.less(self.session.trials.tried)
        if self._untried:
            self.work(self._ask, exclusive=True)
        self.repaint()

    def follow_trial(self) -> None:
        """Ask again when other edits are on trial than before."""
        super().follow_trial()
        if self.session.staged.less(self.session.trials.tried) != self._untried:
            self.on_staged_changed()

    async def _ask(self) -> None:
        from lowmem_tui.policy.plan import plan

        session = self.session
        staged = self._untried

        def make() -> tuple[Situation, Plan]:
            situation = session.backend.situation(staged.units)
            return situation, plan(staged.edits, situation)

        try:
            _, made = await session.run_blocking(make)
        except LowmemError as error:
            self._trouble = say(error.message)
        else:
            self._wanted, self._refused = whatif.changes(made.effects), made.refusals
        self.repaint()

    def action_review(self) -> None:
        """Review what is staged."""
        if len(self.session.staged) or self.session.trials.running is not None:
            self.session.screens.open_review()
        else:
            self.say(tr("Nothing is staged: Enter on a unit opens its form."))

    # What is shown

    def heading(self) -> str:
        """Return the title."""
        return tr("OOM kill order, and memory in use after each kill")

    def offers(self) -> list[Key]:
        """Return the keys."""
        return [Key("escape", "Esc", N_("Back")), Key("f8", "F8", N_("Review")), MORE]

    def lines(self, width: int) -> list[Text]:
        """Return the page."""
        snapshot = self.session.snapshot
        if snapshot is None:
            return [Text(" " + tr("Reading the control groups…"))]
        return list(self._lines(snapshot, width))

    def _lines(self, snapshot: Snapshot, width: int) -> Iterator[Text]:
        palette = self.session.palette
        yield from self._staged(snapshot, width)
        for found in predictions(snapshot, MOST):
            shown = found._replace(kills=found.kills[: MOST if not found.domain else INSIDE])
            yield heading(say(prediction_text.title(shown)), width, palette)
            yield from map(forecast.row, prediction_text.kills(shown, snapshot, width, say))
        yield from (
            Text(f" {say(words)}") for words in prediction_text.other_killers(others(snapshot))
        )
        yield heading(
            tr("Memory in use and limits, by the growth of the last minutes:"), width, palette
        )
        yield from (
            Text(f" {line}") for line in prediction_text.distances(self._distances(snapshot), say)
        )
        yield heading(tr("All limits together, and the reserve:"), width, palette)
        advice = forecast.limits(self.session, snapshot)
        made = prediction_text.budget_lines(budget(snapshot), advice, width - 2, say)
        for n, line in enumerate(made):
            yield Text(f" {line}", no_wrap=not n)

    def _distances(self, snapshot: Snapshot) -> list[Reach]:
        """Return the distances; the growth is computed again only when a span of time has ended."""
        history = self.session.memory
        if history.span != self._span:
            self._span = history.span
            self._reaches = forecast.reaches(snapshot, history)
        return self._reaches

    def _staged(self, snapshot: Snapshot, width: int) -> Iterator[Text]:
        if self.session.trials.running is not None:
            words = tr("A trial is running: its settings are in force and included here.")
            yield Text(f" {words}", style="bold")
        count = len(self._untried)
        if not count:
            return
        title = plural("With the staged edit:", "With the {n} staged edits:", count)
        yield heading(say(title), width, self.session.palette)
        if self._trouble:
            yield Text(f" {plain(self._trouble)}", style=BAD)
        elif self._wanted is None:
            yield Text(" " + tr("Asking systemd…"))
        else:
            for notice in self._refused:
                words = tr("Refused: {why}", why=notice.message)
                yield Text(f" {words}", style=BAD)
            if self._refused and not self._wanted:
                return
            yield from forecast.changed(snapshot, self._wanted, width)
