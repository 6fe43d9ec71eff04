"""One line below the header as long as a trial runs, and on how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.segment import Segment

from lowmem_tui.model.text import plain
from lowmem_tui.tui import trials
from lowmem_tui.tui.widgets.lines import Lines, fit

if TYPE_CHECKING:
    from lowmem_tui.tui.app import LowmemApp


class TrialLine(Lines):
    """Takes no room when there is nothing to say."""

    DEFAULT_CSS = "TrialLine { height: 1; }"

    def __init__(self) -> None:
        super().__init__(("",))
        self._id = ""
        """The trial that ran when last looked."""
        self._text = ""

    @property
    def _lowmem(self) -> LowmemApp:
        return cast("LowmemApp", self.app)

    def on_resize(self) -> None:
        """Fit the new width."""
        self._paint()

    def follow(self) -> None:
        """Show how long the trial has yet; or how it ended, if the operator has not seen that."""
        known = self._lowmem.trials
        if (running := known.running) is not None:
            self._id = running.id
            self._say(trials.in_one_line(self._lowmem, running))
        elif self._id:
            number, self._id = self._id, ""
            if known.told == number:
                self.clear()
            else:
                self.run_worker(self._tell(number))

    def clear(self) -> None:
        """Go, unless a trial runs: the operator has read it."""
        if not self._id:
            self.display = False

    async def _tell(self, number: str) -> None:
        end = await trials.ended(self._lowmem, number)
        self._lowmem.trials.told = number
        if not self._id:
            self._say(end.sentence)

    def _say(self, text: str) -> None:
        self._text = text
        self.display = True
        self._paint()

    def _paint(self) -> None:
        width = self.app.size.width
        text = fit(plain(f" {self._text}", width), width)
        self.show([(Segment(text, self._lowmem.palette.badge),)])
