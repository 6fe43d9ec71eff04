"""The first line of every screen as long as a trial runs, and on how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.cells import fit
from lowmem_tui.model.text import plain
from lowmem_tui.tui.text.trial import in_one_line
from lowmem_tui.tui.widgets.prose import Prose, hang

if TYPE_CHECKING:
    from lowmem_tui.tui.session.session import Session


class TrialLine(Prose):
    """Takes no room when there is nothing to say."""

    DEFAULT_CSS = "TrialLine { dock: top; }"

    def __init__(self, session: Session) -> None:
        super().__init__(session.glyphs, self._write)
        self._session = session

    def follow(self) -> None:
        """Show how long the trial has yet; or how the last one ended, until it is read."""
        self.display = self._session.trials.visible
        self.repaint()

    def _write(self, width: int) -> list[Text]:
        session = self._session
        if (running := session.trials.running) is not None:
            lines = [plain(f" {in_one_line(session, running)}", width)]
        else:
            end = Text(f" {plain(session.trials.end)}")
            lines = [line.plain for line in hang(end, width)]
        return [Text(fit(line, width), session.palette.badge, no_wrap=True) for line in lines]
