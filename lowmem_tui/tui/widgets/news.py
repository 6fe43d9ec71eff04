"""What the operator must know of what was found at the start: it stays until it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.text import plain
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from lowmem_tui.tui.session.session import Session


class News(Prose):
    """``session.news`` below the header; it takes no room when there is none."""

    DEFAULT_CSS = "News { height: auto; max-height: 40%; }"

    def __init__(self, session: Session) -> None:
        super().__init__(session.glyphs, self._write)
        self._session = session

    def follow(self) -> None:
        """Show what is there now."""
        self.display = bool(self._session.news)
        self.repaint()

    def _write(self, _: int) -> list[Text]:
        palette, news = self._session.palette, self._session.news
        sentences = (
            Text(f" ! {plain(say(sentence), 2000)}", style=palette.strong) for sentence in news
        )
        title = tr("Found at the start. Esc hides this; H shows the history.")
        return [Text(f" {title}", style=palette.badge), *sentences]
