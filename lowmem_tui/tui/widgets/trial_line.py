"""The first line of every screen as long as a trial runs, and on how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text

from lowmem_tui.model.text import plain
from lowmem_tui.tui.session.trials import in_one_line
from lowmem_tui.tui.widgets.lines import fit
from lowmem_tui.tui.widgets.prose import Prose, hang

if TYPE_CHECKING:
    from lowmem_tui.tui.app import LowmemApp


class TrialLine(Prose):
    """Takes no room when there is nothing to say."""

    DEFAULT_CSS = "TrialLine { dock: top; }"

    def __init__(self) -> None:
        super().__init__(self._write)

    def follow(self) -> None:
        """Show how long the trial has yet; or how the last one ended, until it is read."""
        self.display = cast("LowmemApp", self.app).trials.in_sight
        self.repaint()

    def _write(self, width: int) -> list[Text]:
        app = cast("LowmemApp", self.app)
        if (running := app.trials.running) is not None:
            lines = [plain(f" {in_one_line(app, running)}", width)]
        else:
            end = Text(f" {plain(app.trials.end)}")
            lines = [line.plain for line in hang(end, width, app.console)]
        return [Text(fit(line, width), app.palette.badge, no_wrap=True) for line in lines]
