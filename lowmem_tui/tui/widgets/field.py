"""One setting of the form: its name, its value now, the text to be, the tier's advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from lowmem_tui.model.cells import cells, fit_right
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_
from lowmem_tui.policy.setting_advice import CHOICES
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.widgets.prose import Prose
from lowmem_tui.tui.widgets.typed import Typed as Line

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events
    from textual.app import ComposeResult
    from textual.widgets import Input

    from lowmem_tui.model.unit import Key
    from lowmem_tui.tui.terminal.glyphs import Glyphs

NAME_WIDTH = 15
NOW_WIDTH = 10
NO_COLUMN = 50
"""Below this width of the screen the style sheet leaves no room for what a setting is now."""

_MARKS: dict[str, str | Style] = {"*": "bold", "!": BAD}


class Entry(Line):
    """The text; Left and Right choose among words where there are only some."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+u", "revert", N_("Discard the edit")),
    ]

    def __init__(self, key: Key, text: str) -> None:
        super().__init__(text, max_length=200)
        self._key = key

    def action_revert(self) -> None:
        """Discard what was typed and what was staged."""
        self.post_message(Field.Reverted(self.field))

    def action_cursor_left(self, select: bool = False) -> None:
        """Choose the word before, or move the cursor."""
        if select or not self._choose(-1):
            super().action_cursor_left(select)

    def action_cursor_right(self, select: bool = False) -> None:
        """Choose the next word, or move the cursor."""
        if select or not self._choose(1):
            super().action_cursor_right(select)

    def _choose(self, step: int) -> bool:
        words = CHOICES.get(self._key)
        if words is None:
            return False
        # Nothing of ours is one of the choices.
        ring = ("", *words)
        text = self.value.strip()
        if text in ring:
            self.value = ring[(ring.index(text) + step) % len(ring)]
        else:
            near = [w for w in words if text and w.startswith(text)] or list(words)
            self.value = near[0]
        self.select_all()
        return True

    @property
    def field(self) -> Field:
        """The field that it is in."""
        return cast("Field", self.parent)


class Field(Widget):
    """A row of the form."""

    class Typed(Message):
        """The text is another than before."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    class Entered(Typed):
        """The cursor has come into the field."""

    class Left(Typed):
        """Enter was pressed, or the cursor has left the field."""

        def __init__(self, field: Field, *, enter: bool) -> None:
            super().__init__(field)
            self.enter = enter

    class Reverted(Typed):
        """The edit of this setting is to be discarded."""

    def __init__(self, glyphs: Glyphs, key: Key, text: str) -> None:
        super().__init__()
        self.key = key
        self.now = ""
        self.mark = " "
        """``*`` staged, ``!`` not understood, ``=`` as our file has it."""
        self.advice = ""
        self.entry = Entry(key, text)
        self._known_text = text
        self._label = Prose(glyphs, self._paint_label, classes="label")
        self._advice = Prose(glyphs, self._paint_advice, classes="advice")

    def compose(self) -> ComposeResult:
        """Lay the row out."""
        yield self._label
        yield self.entry
        yield self._advice

    @property
    def text(self) -> str:
        """The text in it, without the spaces around it."""
        return self.entry.value.strip()

    def put(self, text: str) -> None:
        """Put a text into it that nobody has typed."""
        self._known_text = text
        if self.entry.value != text:
            self.entry.value = text
            if self.entry.has_focus:
                self.entry.select_all()
            else:
                self.entry.cursor_position = len(text)

    def describe(self, *, now: str, mark: str, advice: str) -> None:
        """Show these beside it."""
        self.now, self.mark, self.advice = now, mark, advice
        self._hold()
        self._label.repaint()
        self._advice.repaint()

    def on_resize(self) -> None:
        """Fit the new width."""
        self._hold()

    def _hold(self) -> None:
        """Have what it is now in the field, until something is typed, if it has no column."""
        now = self.now if self.app.size.width < NO_COLUMN else ""
        self.entry.placeholder = now and tr("now {value}", value=now)

    def _paint_label(self, width: int) -> list[Text]:
        now = self.now if width > NAME_WIDTH + 6 else ""
        text = Text(f" {self.key:<{NAME_WIDTH}}{fit_right(now, NOW_WIDTH)} [", no_wrap=True)
        if width < cells(text.plain):
            text = Text(f" {self.key:<{NAME_WIDTH - 1}}[", no_wrap=True)
        return [text]

    def _paint_advice(self, width: int) -> list[Text]:
        text = Text("]", no_wrap=True).append(self.mark, _MARKS.get(self.mark, ""))
        return [text.append(f" {self.advice}" if width > 2 else "")]

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell of a text that was typed."""
        event.stop()
        if event.value != self._known_text:
            self._known_text = event.value
            self.post_message(self.Typed(self))

    def on_typed_cut(self, event: Line.Cut) -> None:
        """Tell that not all of it was taken."""
        event.stop()
        self.post_message(self.Typed(self))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Tell of Enter."""
        event.stop()
        self.post_message(self.Left(self, enter=True))

    def on_input_blurred(self, event: Input.Blurred) -> None:
        """Tell that the cursor has gone."""
        event.stop()
        self.post_message(self.Left(self, enter=False))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Tell that the cursor has come."""
        event.stop()
        self.post_message(self.Entered(self))
