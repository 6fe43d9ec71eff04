"""The three lines at the top: the server, its memory, the next OOM victim (or what is wrong)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.tui.text import header
from lowmem_tui.tui.widgets.lines import Lines, line

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette


class Header(Lines):
    """What is always visible."""

    DEFAULT_CSS = "Header { height: 3; }"

    def __init__(self, glyphs: Glyphs, palette: Palette, badges: tuple[str, ...]) -> None:
        super().__init__(("", "", ""), id="header")
        self._glyphs, self._palette, self._badges = glyphs, palette, badges
        self._snapshot: Snapshot | None = None
        self._notice = ""

    def update(self, snapshot: Snapshot | None, notice: str) -> None:
        """Show the figures of a snapshot; the notice, if any, in place of the last line."""
        self._snapshot, self._notice = snapshot, notice
        self.paint()

    def on_resize(self) -> None:
        """Fit the new width."""
        self.paint()

    def paint(self) -> None:
        """Make the lines; before there is a width there is nothing to make."""
        if width := self.size.width:
            made = header.Header(width, self._glyphs, self._palette, self._badges)
            self.show(line(*parts) for parts in made.lines(self._snapshot, self._notice))
