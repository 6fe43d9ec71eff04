"""The form: what this unit's settings are to be, checked as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text
from textual.message import Message
from textual.widget import Widget

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.quantity import format_size, parse_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import MEMORY_KEYS, Key
from lowmem_tui.tui.advice import ABOUT, WORDS
from lowmem_tui.tui.widgets.field import NAME_WIDTH, NOW_WIDTH, Field
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from textual.app import ComposeResult

    from lowmem_tui.tui.palette import Palette

ROOM_FOR_ADVICE = 65
"""The style sheet shows none on a narrower screen."""

NOT_YET = "nothing is written yet"


class Wish(NamedTuple):
    """What a field asks for."""

    edit: Edit | None = None
    """None where it asks for nothing: it is as our file has it."""
    error: str = ""


class Beside(NamedTuple):
    """What is shown beside a field."""

    now: str = ""
    advice: str = ""


class Form(Widget):
    """Fields for the settings that a unit of this type has."""

    class Changed(Message):
        """What the form asks for may be something else now."""

    def __init__(
        self,
        unit: str,
        keys: tuple[Key, ...],
        staged: Mapping[Key, str | None],
        ram: int,
        palette: Palette,
        decided: Callable[[Key, Edit | None], None],
    ) -> None:
        """``decided`` stages a setting, or takes it back where there is no edit."""
        super().__init__()
        self._decided = decided
        self._palette = palette
        self._unit = unit
        self._staged = dict(staged)
        self._ours: dict[Key, str] = {}
        self._beside: dict[Key, Beside] = {}
        self._ram = ram
        self._here: Key | None = None
        self._fields = {key: Field(key, staged.get(key) or "") for key in keys}
        self._hint = Prose(self._paint_hint, classes="hint")

    def compose(self) -> ComposeResult:
        """Lay the form out."""
        if not self._fields:
            return
        yield Prose(self._paint_title)
        yield from self._fields.values()
        yield self._hint

    # What others tell it

    def learn(self, ours: Mapping[Key, str]) -> None:
        """Take in what our file sets; a field that nobody has touched shows it."""
        for key, field in self._fields.items():
            before, now = self._ours.get(key, ""), ours.get(key, "")
            if key not in self._staged and field.text == before:
                field.put(now)
        self._ours = dict(ours)
        self._show()

    def describe(self, beside: Mapping[Key, Beside], ram: int) -> None:
        """Show these beside the fields; the text being typed stays as it is."""
        self._ram = ram
        self._beside = dict(beside)
        self._show()

    def sync(self, staged: Mapping[Key, str | None]) -> None:
        """Follow what was staged or taken back elsewhere."""
        for key, field in self._fields.items():
            known = key in staged, staged.get(key)
            if known != (key in self._staged, self._staged.get(key)):
                text = (staged[key] or "") if key in staged else self._ours.get(key, "")
                if field.text != text:
                    field.put(text)
        self._staged = dict(staged)
        self._show()

    # What it tells others

    def wish(self, key: Key) -> Wish:
        """Return what a field asks for."""
        text = self._fields[key].text
        if text == self._ours.get(key, ""):
            return Wish()
        if not text:
            return Wish(Edit(self._unit, key, None))
        try:
            parse_value(key, text, self._ram)
        except InvalidValueError as error:
            return Wish(error=str(error))
        return Wish(Edit(self._unit, key, text))

    def wishes(self) -> Iterator[tuple[Key, Wish]]:
        """Return what all fields ask for, staged or not."""
        return ((key, self.wish(key)) for key in self._fields)

    @property
    def errors(self) -> dict[Key, str]:
        """What is wrong in the fields that cannot be staged."""
        return {key: wish.error for key, wish in self.wishes() if wish.error}

    def settle(self) -> None:
        """Decide every field, as if the cursor had left it."""
        for key in self._fields:
            self._decide(key)

    @property
    def first(self) -> Widget | None:
        """What is typed into first."""
        return next((field.entry for field in self._fields.values()), None)

    def _decide(self, key: Key) -> None:
        wish = self.wish(key)
        asked = (wish.edit is not None, wish.edit and wish.edit.value)
        if not wish.error and asked != (key in self._staged, self._staged.get(key)):
            if wish.edit is None:
                self._staged.pop(key, None)
            else:
                self._staged[key] = wish.edit.value
            self._decided(key, wish.edit)
        self._show()

    def on_field_typed(self, event: Field.Typed) -> None:
        """Check what is typed."""
        event.stop()
        event.field.entry.scroll_visible(animate=False)
        self._show()
        self.post_message(self.Changed())

    def on_field_entered(self, event: Field.Entered) -> None:
        """Say what this field is."""
        event.stop()
        self._here = event.field.key
        self._show()

    def on_field_left(self, event: Field.Left) -> None:
        """Stage what stands there, if it can be."""
        event.stop()
        self._decide(event.field.key)

    def on_field_reverted(self, event: Field.Reverted) -> None:
        """Take back what was asked for here."""
        event.stop()
        key = event.field.key
        event.field.put(self._ours.get(key, ""))
        self._decide(key)
        self.post_message(self.Changed())

    # What it shows

    def _show(self) -> None:
        errors = self.errors
        for key, field in self._fields.items():
            mark = "!" if key in errors else "*" if key in self._staged else " "
            now, advice = self._beside.get(key, Beside())
            field.describe(now=now, mark=mark, advice=advice)
        self._hint.repaint()

    def _paint_title(self, width: int) -> list[Text]:
        title = f" {'SETTING':<{NAME_WIDTH}}{'NOW':>{NOW_WIDTH}}  {'SET TO':<16}"
        if width >= ROOM_FOR_ADVICE:
            title += "ADVICE"
        elif width < len(title):
            title = f" {'SETTING':<{NAME_WIDTH}}SET TO"
        return [Text(f"{title:<{width}}", style=self._palette.header, no_wrap=True)]

    def _paint_hint(self, _: int) -> list[Text]:
        errors = self.errors
        lines = []
        here = self._here
        if here is not None and here not in errors:
            lines.append(Text(f" {here}: {self._say(here)}"))
        lines.extend(
            Text(f" ! {key} is not staged: {errors[key]}", style="bold red")
            for key in sorted(errors, key=lambda k: k is not here)
        )
        return lines

    def _say(self, key: Key) -> str:
        wish = self.wish(key)
        text = self._fields[key].text
        staged = key in self._staged
        if wish.edit is None:
            if staged:
                return "as our file has it. Enter takes the staged edit back."
            return f"{ABOUT[key]}."
        done = staged and self._staged[key] == wish.edit.value
        then = f"Staged, {NOT_YET}: F8 reviews." if done else f"Enter stages it; {NOT_YET}."
        if wish.edit.value is None:
            return f"empty: ours ({plain(self._ours[key])}) is dropped, other files count. {then}"
        return f"{self._meaning(key, text)}. {then}"

    def _meaning(self, key: Key, text: str) -> str:
        value = parse_value(key, text, self._ram)
        if key in MEMORY_KEYS and isinstance(value, int):
            share = f", {100 * value // self._ram}% of RAM" if self._ram else ""
            small = " (K, M or G after it?)" if text.isdecimal() and 0 < value < 1 << 20 else ""
            size = format_size(value)
            return f"{text if text == size else f'{text} is {size}'}{share}{small}"
        return f"{text}, {WORDS[text]}" if text in WORDS else text
