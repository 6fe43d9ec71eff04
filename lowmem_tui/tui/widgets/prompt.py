"""One line in which a text is typed, in the place of the function keys."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from lowmem_tui.model.cells import cells, fit
from lowmem_tui.model.language import spaced, tr
from lowmem_tui.model.message import N_
from lowmem_tui.tui.terminal.pastes import first_line
from lowmem_tui.tui.widgets.lines import Lines, line

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events

    from lowmem_tui.tui.terminal.palette import Palette

LONGEST = 80


class Purpose(Enum):
    """What a text is asked for; the value is the label."""

    FIND = N_("Find")
    FILTER = N_("Filter")


class Prompt(Lines):
    """Hidden until it is opened; tells of each change at once."""

    DEFAULT_CSS = "Prompt { height: 1; display: none; }"
    can_focus = True

    class Changed(Message):
        """The text is another one; ``again``: the same, look for the next."""

        def __init__(self, purpose: Purpose, text: str, *, again: bool = False) -> None:
            super().__init__()
            self.purpose, self.text, self.again = purpose, text, again

    class Closed(Message):
        """The operator is done with it."""

        def __init__(self, purpose: Purpose, text: str, *, kept: bool) -> None:
            super().__init__()
            self.purpose, self.text, self.kept = purpose, text, kept

    def __init__(self, palette: Palette) -> None:
        super().__init__(("",), id="prompt")
        self._palette = palette
        self._purpose = Purpose.FIND
        self._hint = self._text = ""
        self._cut = ""
        """Why not all of what was typed or pasted last was taken; or ""."""

    def open(self, purpose: Purpose, hint: str, text: str = "") -> None:
        """Ask for a text."""
        self._purpose, self._hint, self._text, self._cut = purpose, hint, text, ""
        self.display = True
        # At once: `focus` comes after the keys that are on their way.
        self.screen.set_focus(self)
        self._paint()

    def on_resize(self) -> None:
        """Fit the new width."""
        self._paint()

    def _paint(self) -> None:
        label = " " + spaced(tr("{label}:", label=tr(self._purpose.value)))
        room = max(1, self.size.width - cells(label) - 1)
        # The end of the text, where the cursor is; and why it was cut must be visible.
        most = max(room // 4, room - cells(f"  {self._cut}")) if self._cut else room
        text = _end(self._text, most)
        hint = fit(f"  {self._cut or self._hint}", room - cells(text))
        self.show(
            [
                line(
                    (label, self._palette.strong),
                    (text, self._palette.plain),
                    (" ", self._palette.badge),
                    (hint, self._palette.strong if self._cut else self._palette.plain),
                )
            ]
        )

    def _change(self, text: str, cut: str = "") -> None:
        if text == self._text and cut == self._cut:
            return
        before, self._text, self._cut = self._text, text, cut
        self._paint()
        if text != before:
            self.post_message(self.Changed(self._purpose, self._text))

    def _add(self, text: str) -> None:
        more, cut = first_line(text, LONGEST - len(self._text), LONGEST)
        self._change(self._text + more, cut)

    def on_key(self, event: events.Key) -> None:
        """Take what can be printed, and what edits it.

        Not by bindings: those are obeyed only after a way through the application, and of keys
        that arrive together, Backspace would delete what was typed after it.
        """
        if not self.display:
            return
        act = self.KEYS.get(event.key)
        if act is not None:
            act(self)
        elif event.is_printable and event.character:
            self._add(event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Take the first line."""
        event.stop()
        self._add(event.text)

    def _again(self) -> None:
        self.post_message(self.Changed(self._purpose, self._text, again=True))

    def _close(self, *, kept: bool) -> None:
        self.display = False
        self.post_message(self.Closed(self._purpose, self._text, kept=kept))

    KEYS: ClassVar[dict[str, Callable[[Prompt], None]]] = {
        "enter": lambda self: self._close(kept=True),
        "escape": lambda self: self._close(kept=False),
        "f3": _again,
        "backspace": lambda self: self._change(self._text[:-1]),
        "ctrl+h": lambda self: self._change(self._text[:-1]),
        "ctrl+u": lambda self: self._change(""),
    }


def _end(text: str, width: int) -> str:
    """Return as much of the end of a text as so many cells hold."""
    while cells(text) > width:
        text = text[1:]
    return text
