"""The guided set-up: every step, how it stands, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, msg
from lowmem_tui.model.text import plain
from lowmem_tui.policy.setup_part import Stand
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import setup_rows
from lowmem_tui.tui.widgets.keybar import KeyBar, keys_of
from lowmem_tui.tui.widgets.picker import Picker
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult

    from lowmem_tui.policy.setup_part import Part
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.text.item_row import ItemRow

TALL = 18
"""Lines of the screen from which on it describes the step below the cursor."""

PROMISE = msg(
    "Each step first shows what it would change. Nothing changes before you apply it. Each "
    "change can be undone, and the step warns of what cannot. You can go back and continue "
    "later."
)


class SetupScreen(FullScreen):
    """The steps; the operator can go back and continue at any time."""

    AUTO_FOCUS = "Picker"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", N_("Open"), key_display="Enter"),
        Binding("s", "skip", N_("Skip"), key_display="s"),
        Binding("r", "look", N_("Refresh"), key_display="r"),
        Binding("R", "report", N_("Report"), key_display="R"),
        Binding("escape,q,f2", "dismiss", N_("Back"), key_display="Esc"),
        Binding("space", "open", show=False),
        Binding("f1,question_mark,h", "app.help", "Help", show=False),
    ]

    def __init__(self, session: Session, step: str = "") -> None:
        """``step`` is the name of the one to be opened at once."""
        super().__init__(session)
        self._words = ""
        self._step = step

    def compose(self) -> ComposeResult:
        """Lay it out."""
        self._setup = self.session.setup
        self._head = Prose(self.session.glyphs, self._paint_head)
        self._list = Picker(self.session, self._rows)
        self._about = Prose(self.session.glyphs, self._paint_about)
        yield self._head
        yield self._list
        yield self._about
        yield KeyBar(self.session.palette, keys_of(self.BINDINGS), drop=("r",))

    def on_mount(self) -> None:
        """Begin where the set-up was quit."""
        self._go_on()

    def on_screen_resume(self) -> None:
        """Show what has come while another screen was in front; go on behind the last step."""
        if self._setup.last is not None:
            self._go_on()
        self._repaint()
        self.work(self._setup.follow)

    def _go_on(self) -> None:
        part = self._setup.here()
        self._list.index = self._setup.parts.index(part) if part is not None else 0
        self._setup.last = None

    def follow_trial(self) -> None:
        """Show which steps are on trial."""
        super().follow_trial()
        if self._setup.follow_trial():
            self._repaint()

    def trial_over(self) -> None:
        """Refresh: what was reverted is to do again."""
        self.work(self._setup.follow)

    def on_step_looked(self) -> None:
        """Show what was found."""
        self._repaint()
        at = next((i for i, p in enumerate(self._setup.parts) if p.step.name == self._step), None)
        if at is not None:
            self._list.index, self._step = at, ""
            self.action_open()

    def on_picker_moved(self) -> None:
        """Describe this step."""
        self._about.repaint()

    def on_picker_chosen(self) -> None:
        """Open what was clicked twice."""
        self.action_open()

    def on_resize(self) -> None:
        """Fit the new height."""
        self.call_after_refresh(self._about.repaint)

    def on_key(self) -> None:
        """Hide the last answer."""
        if self._words:
            self._say("")

    def _repaint(self) -> None:
        for widget in (self._head, self._list, self._about):
            widget.repaint()

    def _say(self, words: str) -> None:
        self._words = words
        self._about.repaint()

    @property
    def chosen(self) -> Part | None:
        """The step below the cursor."""
        parts = self._setup.parts
        return parts[self._list.index] if self._list.index < len(parts) else None

    # Keys

    def action_open(self) -> None:
        """Show a step whole."""
        part = self.chosen
        if part is None or self.app.screen is not self:
            return
        from lowmem_tui.tui.screens.setup_step import StepScreen

        self.app.push_screen(StepScreen(self.session, part))

    def action_skip(self) -> None:
        """Skip a step in this session; or stop skipping it."""
        part = self.chosen
        if part is None:
            return
        part.skipped = not part.skipped
        self._repaint()
        self._say(tr("Skipped. s stops skipping it.") if part.skipped else "")

    def action_look(self) -> None:
        """Refresh every step."""
        self._setup.want(*self._setup.parts)
        self._say(tr("Reading again…"))

    def action_report(self) -> None:
        """Show what was changed, and the result."""
        from lowmem_tui.tui.screens.setup_report import SetupReportScreen

        self.app.push_screen(SetupReportScreen(self.session))

    # What is shown

    def _paint_head(self, width: int) -> list[Text]:
        return [self.title_bar(self._summary(), width)]

    def _summary(self) -> str:
        setup = self._setup
        if not setup.begun:
            return tr("Guided set-up: reading…")
        counts = setup.counts()
        tried = counts.get(Stand.TRIAL, 0)
        todo = sum(len(part.to_do()) for part in setup.parts if part.stand is Stand.TODO)
        coming = counts.get(Stand.WAITING, 0) + counts.get(Stand.LOOKING, 0)
        if coming:
            return tr(
                "Guided set-up: reading, {count} of {total} steps remain",
                count=coming,
                total=len(setup.parts),
            )
        if not setup.parts:
            return tr("Guided set-up: there are no steps")
        if todo:
            steps, total = counts[Stand.TODO], len(setup.parts)
            if tried:
                return tr(
                    "Guided set-up: {todo} to do in {steps} of {total} steps, {tried} on trial",
                    todo=todo,
                    steps=steps,
                    total=total,
                    tried=tried,
                )
            return tr(
                "Guided set-up: {todo} to do in {steps} of {total} steps",
                todo=todo,
                steps=steps,
                total=total,
            )
        if tried:
            return tr("Guided set-up: nothing to do, {tried} on trial", tried=tried)
        return tr("Guided set-up: nothing to do")

    def _rows(self, width: int) -> Iterable[ItemRow]:
        return setup_rows.steps(self._setup.parts, width, self.session.palette)

    def _paint_about(self, _: int) -> list[Text]:
        if self._setup.trouble:
            return [Text(f" {plain(say(self._setup.trouble), 2000)}", style=BAD)]
        lines: list[Text] = []
        tall = self.app.size.height >= TALL
        part = self.chosen
        if tall and part is not None:
            lines.append(Text(f" {plain(tr(part.step.about), 1000)}"))
            if part.found:
                lines.append(Text(f" - {plain(say(part.found), 1000)}"))
        if self._words:
            lines.append(Text(f" {plain(self._words)}", style="bold"))
        elif tall:
            lines.append(Text(f" {say(PROMISE)}"))
        return lines
