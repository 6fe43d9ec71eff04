"""The history: what was changed, when, by whom, and the state of each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, plural
from lowmem_tui.model.text import plain
from lowmem_tui.policy.change_text import why_not
from lowmem_tui.tui.screens.change import ChangeScreen
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.widgets.change_list import ChangeList
from lowmem_tui.tui.widgets.keybar import HELP, KeyBar, keys_of
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.message import Message
    from lowmem_tui.tui.session.session import Session


class HistoryScreen(FullScreen):
    """The newest first."""

    AUTO_FOCUS = "ChangeList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", N_("Details"), key_display="Enter"),
        Binding("u", "undo", N_("Undo"), key_display="u"),
        Binding("r", "read", N_("Refresh"), key_display="r"),
        Binding("escape,q,H", "dismiss", N_("Back"), key_display="Esc"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._changes: Sequence[Change] | None = None
        self._settled: Sequence[Message | str] = ()
        self._words = ""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        self._head = Prose(self.session.glyphs, self._paint_head)
        self._list = ChangeList(self.session)
        self._answer = Prose(self.session.glyphs, self._paint_answer)
        yield self._head
        yield self._list
        yield self._answer
        yield KeyBar(self.session.palette, [*keys_of(self.BINDINGS), HELP], drop=("r", "f1"))

    def on_screen_resume(self) -> None:
        """Read it: at first, and after each time that a change was shown."""
        self.action_read()

    def trial_over(self) -> None:
        """Refresh it: it still shows the trial as running."""
        self.action_read()

    def action_read(self) -> None:
        """Read the history."""
        self.work(self._read, exclusive=True)

    async def _read(self) -> None:
        session = self.session

        def find() -> tuple[Sequence[Message | str], Sequence[Change]]:
            # What was interrupted is finished or rolled back first, as the commands do.
            return (
                () if session.read_only else session.backend.settle()
            ), session.backend.history()

        try:
            settled, changes = await session.run_blocking(find)
        except LowmemError as error:
            self._say(say(error.message))
            return
        if settled:
            self._say(" ".join(map(say, settled)))
        self._changes = changes
        self._list.update(changes)
        self._head.repaint()
        self._answer.repaint()

    # Keys

    def on_key(self) -> None:
        """Hide the last answer."""
        if self._words:
            self._say("")

    def action_open(self) -> None:
        """Show what a change did to each file."""
        if (change := self._list.chosen) is not None:
            self._show(change, undo=False)

    def action_undo(self) -> None:
        """Ask whether to undo it, with what that would do; or show why not."""
        change = self._list.chosen
        if change is None:
            return
        if why := why_not(change, self._changes or ()):
            self._say(say(why))
        else:
            self._show(change, undo=True)

    def _show(self, change: Change, *, undo: bool) -> None:
        if self.app.screen is self:
            self.app.push_screen(ChangeScreen(self.session, change, self._changes or (), undo=undo))

    def _say(self, words: str) -> None:
        self._words = words
        self._answer.repaint()

    # What is shown

    def _paint_head(self, width: int) -> list[Text]:
        if self._changes is None:
            title = tr("History: reading…")
        else:
            title = say(plural("History: 1 change", "History: {n} changes", len(self._changes)))
        return [self.title_bar(title, width)]

    def _paint_answer(self, _: int) -> list[Text]:
        if self._words:
            return [Text(f" {plain(self._words, 2000)}", style="bold")]
        if self._changes is not None and not self._changes:
            return [Text(" " + tr("Nothing has been changed yet."))]
        return []
