"""A question that a single key must not answer: a word has to be typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen

from lowmem_tui.model.language import tr
from lowmem_tui.model.text import plain
from lowmem_tui.tui import css_path
from lowmem_tui.tui.widgets.prose import Prose
from lowmem_tui.tui.widgets.typed import Typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.widgets import Input

    from lowmem_tui.tui.session.session import Session

WORD = "yes"


class ConfirmScreen(ModalScreen[bool]):
    """Shows why a check refuses, and waits for the word."""

    CSS_PATH: ClassVar[Any] = css_path("review.tcss")
    AUTO_FOCUS = "Typed"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back")]

    def __init__(self, session: Session, title: str, reasons: Sequence[str]) -> None:
        super().__init__()
        self.session = session
        self._title_text = title
        self._reasons = reasons

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with Container(id="ask"):
            yield Prose(self.session.glyphs, self._paint, classes="reasons")
            self._typed = Typed(max_length=20)
            yield self._typed
            self._cut = Prose(self.session.glyphs, self._paint_cut)
            yield self._cut
            yield Prose(
                self.session.glyphs,
                lambda _: [Text(" " + tr("Esc goes back without changing anything."))],
            )

    def on_resize(self) -> None:
        """Keep the field visible."""
        if (typed := self.focused) is not None:
            self.call_after_refresh(typed.scroll_visible, animate=False)

    def _paint(self, _: int) -> list[Text]:
        lines = [Text(f" {self._title_text}", style="bold")]
        lines += [Text(f" ! {plain(reason)}") for reason in self._reasons]
        ask = tr("Type {word} and press Enter to override:", word=WORD)
        lines.append(Text(f" {ask}", style="bold"))
        return lines

    def _paint_cut(self, _: int) -> list[Text]:
        return [Text(f" ! {self._typed.cut}", style="bold")] if self._typed.cut else []

    def on_typed_cut(self) -> None:
        """Show that not all of it was accepted."""
        self._cut.repaint()

    def on_input_changed(self) -> None:
        """Hide that when it no longer applies."""
        self._cut.repaint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accept the word; anything else is no."""
        event.stop()
        self.dismiss(event.value.strip().lower() == WORD)

    def action_back(self) -> None:
        """Say no."""
        self.dismiss(False)
