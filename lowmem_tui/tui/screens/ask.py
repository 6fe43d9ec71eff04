"""A question to be answered with y or n."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from lowmem_tui.model.cells import fit
from lowmem_tui.model.language import tr
from lowmem_tui.tui.widgets.prose import Prose, hang

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from lowmem_tui.tui.session.session import Session


class AskScreen(ModalScreen[bool]):
    """A line at the foot of the screen, or as many as a narrow one needs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "answer(True)", "Yes"),
        Binding("n,N,escape,enter,q", "answer(False)", "No"),
    ]

    def __init__(self, session: Session, question: str) -> None:
        super().__init__()
        self.session = session
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Prose(self.session.glyphs, self._paint)

    def _paint(self, width: int) -> list[Text]:
        question = tr("{question} y/n", question=self._question)
        lines = hang(Text(f" {question}"), width)
        return [Text(fit(line.plain, width), "bold reverse", no_wrap=True) for line in lines]

    def action_answer(self, answer: bool) -> None:
        """Take the answer."""
        self.dismiss(answer)
