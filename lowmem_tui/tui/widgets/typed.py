"""A line of text to be typed, by an operator who is faster than the line or the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

if TYPE_CHECKING:
    from textual import events


class Typed(Input):
    """Textual's Input, with its keys obeyed in the order in which they were pressed.

    There, characters are taken at once, but Backspace, Enter and the arrows only after a way
    through the application: of keys that arrive together, Backspace would delete what was typed
    after it.
    """

    def __init__(self, text: str = "", *, max_length: int) -> None:
        super().__init__(text, compact=True, max_length=max_length)
        # Each blink is bytes on a slow line.
        self.cursor_blink = False

    async def _on_key(self, event: events.Key) -> None:
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                # Else Input's own handler, which Textual calls too, would go on.
                event.prevent_default()
                return
