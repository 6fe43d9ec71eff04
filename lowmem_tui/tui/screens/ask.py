"""A question to be answered with y or n."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from lowmem_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual.app import ComposeResult


class AskScreen(ModalScreen[bool]):
    """One line at the foot of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "answer(True)", "Yes"),
        Binding("n,N,escape,enter,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Lines([f" {self._question} y/n "], style="bold reverse")

    def action_answer(self, answer: bool) -> None:
        """Take the answer."""
        self.dismiss(answer)
