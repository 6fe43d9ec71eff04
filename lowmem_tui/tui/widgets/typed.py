"""A line of text to be typed, by an operator who is faster than the line or the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input

from lowmem_tui.tui.terminal.pastes import first_line

if TYPE_CHECKING:
    from textual import events


class Typed(Input):
    """Textual's Input, with its keys obeyed in the order in which they were pressed.

    There, characters are taken at once, but Backspace, Enter and the arrows only after a way
    through the application: of keys that arrive together, Backspace would delete what was typed
    after it.
    """

    class Cut(Message):
        """Not all that was typed or pasted was taken: ``typed.cut`` says why."""

    def __init__(self, text: str = "", *, max_length: int) -> None:
        super().__init__(text, compact=True, max_length=max_length)
        self.cut = ""
        """What to say of what was typed or pasted last and not taken whole; or ""."""
        # Each blink is bytes on a slow line.
        self.cursor_blink = False

    def replace(self, text: str, start: int, end: int) -> None:
        """Put a text in the place of what is there, as much of it as there is room for."""
        first, last = sorted((max(0, start), min(len(self.value), end)))
        room = (self.max_length or 0) - len(self.value) + last - first
        taken, self.cut = first_line(text, room, self.max_length or 0)
        super().replace(taken, start, end)
        self.call_after_refresh(self._show_cursor)
        if self.cut:
            self.post_message(self.Cut())

    def on_resize(self) -> None:
        """Keep the cursor visible."""
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        # Input does so itself before it knows how long its new text is.
        self.scroll_to_region(Region(self._cursor_offset, 0, 1, 1), force=True, animate=False)

    def _on_paste(self, event: events.Paste) -> None:
        self.replace(event.text, *self.selection)
        event.stop()
        event.prevent_default()

    async def _on_key(self, event: events.Key) -> None:
        self.cut = ""
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                # Else Input's own handler, which Textual calls too, would go on.
                event.prevent_default()
                return
