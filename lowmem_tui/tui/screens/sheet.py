"""The base of screens that are a title, a page that scrolls, an answer, and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Container

from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_
from lowmem_tui.model.text import plain
from lowmem_tui.tui import css_path
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.widgets.keybar import HELP, Key, KeyBar
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from enum import Enum

    from textual.app import ComposeResult

    from lowmem_tui.tui.session.session import Session


MORE = Key("pagedown", "PgDn", N_("More"))


def working() -> str:
    """Return what is shown while a change is being made."""
    return tr("Please wait. If an action fails, everything is rolled back.")


class StageKeys(KeyBar):
    """The keys of one stage."""

    def offer(self, keys: Sequence[Key]) -> None:
        """Show these keys."""
        self._keys = list(keys)
        self.paint()


class Sheet(FullScreen):
    """A page about one thing, that goes through stages."""

    CSS_PATH: ClassVar[Any] = css_path("review.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown,space", "scroll(10)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    ALLOWED: ClassVar[Mapping[str, Collection[Enum]]] = {}
    """The stages in which an action is obeyed; one that is not here is obeyed in all."""

    stage: Enum
    """Where it is, where there are stages."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.answer = ""
        """The answer to the last key."""

    # What each sheet shows

    def heading(self) -> str:
        """Return the title."""
        raise NotImplementedError

    def lines(self, width: int) -> list[Text]:
        """Return the page."""
        raise NotImplementedError

    def waiting(self) -> str:
        """Return what is shown while it works; or ""."""
        return ""

    def offers(self) -> Sequence[Key]:
        """Return the keys of this stage."""
        raise NotImplementedError

    # Its stages

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Let each key work only where it is meant to."""
        return action not in self.ALLOWED or self.stage in self.ALLOWED[action]

    def _enter(self, stage: Enum, answer: str = "") -> None:
        self.stage, self.answer = stage, answer
        self.repaint()

    # Showing it

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        self._head = Prose(self.session.glyphs, self._paint_head)
        self._page = Prose(self.session.glyphs, self.lines)
        self._answer = Prose(self.session.glyphs, self._paint_answer, classes="message")
        self._keys = StageKeys(self.session.palette, (), drop=("f1", "pagedown", "d", "A"))
        yield self._head
        with Container(id="page"):
            yield self._page
        yield self._answer
        yield self._keys

    def repaint(self) -> None:
        """Show what has changed."""
        for prose in (self._head, self._page, self._answer):
            prose.repaint()
        self._keys.offer((*self.offers(), HELP))
        self.refresh_bindings()

    def say(self, words: str) -> None:
        """Answer a key."""
        self.answer = words
        self._answer.repaint()

    def _paint_head(self, width: int) -> list[Text]:
        return [self.title_bar(self.heading(), width)]

    def _paint_answer(self, _: int) -> list[Text]:
        if words := self.waiting():
            return [Text(f" {words}")]
        return [Text(f" {plain(self.answer)}", style="bold")] if self.answer else []

    # Moving in it

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        page = self.query_one("#page", Container)
        step = lines if abs(lines) == 1 else (page.size.height - 1) * (1 if lines > 0 else -1)
        page.scroll_relative(y=step, animate=False, immediate=True, force=True)

    def action_edge(self, end: int) -> None:
        """Go to the first or the last line."""
        page = self.query_one("#page", Container)
        page.scroll_to(
            y=0 if end < 0 else page.max_scroll_y, animate=False, immediate=True, force=True
        )
