"""The form: what the settings of a unit, or of several, are to be, checked as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text
from textual.message import Message as Event
from textual.widget import Widget

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells, fit, fit_right
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import msg, of_bytes, of_setting, sentences
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.unit import MEMORY_KEYS, Key
from lowmem_tui.policy.setting_advice import ABOUT, CHOICES, WORDS
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.widgets.field import NAME_WIDTH, NOW_WIDTH, Field
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from textual.app import ComposeResult

    from lowmem_tui.model.message import Message
    from lowmem_tui.tui.session.session import Session

ROOM_FOR_ADVICE = 65
"""The style sheet shows none on a narrower screen."""

DIFFER = "(differ)"
"""The text of a field in which the units do not agree, in every language; each keeps its own."""


class Wish(NamedTuple):
    """What a field asks for."""

    edits: tuple[Edit, ...] = ()
    """None where it asks for nothing: it is as our files have it."""
    error: str = ""
    differs: bool = False
    """Whether what is staged for each unit, or not, is to stay so."""

    @property
    def decides(self) -> bool:
        """Whether the edits are what is to be staged."""
        return not (self.error or self.differs)


class Beside(NamedTuple):
    """What is shown beside a field."""

    now: str = ""
    advice: str = ""


def one_of(values: Iterable[str]) -> str:
    """Return what all these values are, or that they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else DIFFER


class Form(Widget):
    """Fields for the settings that the units have in common."""

    class Changed(Event):
        """What the form asks for may be something else now."""

    def __init__(
        self,
        session: Session,
        units: tuple[str, ...],
        keys: tuple[Key, ...],
        staged: Mapping[str, Mapping[Key, str | None]],
        ram: int,
        decided: Callable[[Key, tuple[Edit, ...]], None],
    ) -> None:
        """``decided`` stages a setting, and discards the edit of units that are not named."""
        super().__init__()
        self._decided = decided
        self._session = session
        self._units = units
        self._staged = {unit: dict(staged[unit]) for unit in units}
        self._ours: dict[str, Mapping[Key, str]] = {}
        self._beside: dict[Key, Beside] = {}
        self._ram = ram
        self._here: Key | None = None
        self._fields = {key: Field(session.glyphs, key, self._stands(key)) for key in keys}
        self._hint = Prose(session.glyphs, self._paint_hint, classes="hint")

    def compose(self) -> ComposeResult:
        """Lay the form out."""
        if not self._fields:
            return
        yield Prose(self._session.glyphs, self._paint_title)
        yield from self._fields.values()
        yield self._hint

    # What others tell it

    def learn(self, ours: Mapping[str, Mapping[Key, str]]) -> None:
        """Take in what our files set; a field that nobody has touched shows it."""
        before = {key: self._stands(key) for key in self._fields}
        self._ours = dict(ours)
        for key, field in self._fields.items():
            if field.text == before[key]:
                field.put(self._stands(key))
        self._show()

    def describe(self, beside: Mapping[Key, Beside], ram: int) -> None:
        """Show these beside the fields; the text being typed stays as it is."""
        self._ram = ram
        self._beside = dict(beside)
        self._show()

    def repaint(self) -> None:
        """Explain the field with the cursor again."""
        self._hint.repaint()

    def sync(self, staged: Mapping[str, Mapping[Key, str | None]]) -> None:
        """Follow what was staged or discarded elsewhere."""
        before = {key: self._asked(key) for key in self._fields}
        self._staged = {unit: dict(staged[unit]) for unit in self._units}
        for key, field in self._fields.items():
            if self._asked(key) != before[key] and field.text != self._stands(key):
                field.put(self._stands(key))
        self._show()

    # What it tells others

    def wish(self, key: Key) -> Wish:
        """Return what a field asks for."""
        text = self._fields[key].text
        if text == DIFFER and len(self._units) > 1:
            return Wish(differs=True)
        others = [unit for unit in self._units if self._our(unit, key) != text]
        if others and text:
            try:
                parse_value(key, text, self._ram)
            except InvalidValueError as error:
                return Wish(error=say(error.message))
        return Wish(tuple(Edit(unit, key, text or None) for unit in others))

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
        if wish.decides:
            self._ask(key, wish.edits)
        self._show()

    def _ask(self, key: Key, edits: tuple[Edit, ...]) -> None:
        asked = {edit.unit: edit.value for edit in edits}
        if asked == self._asked(key):
            return
        for unit, staged in self._staged.items():
            staged.pop(key, None)
            if unit in asked:
                staged[key] = asked[unit]
        self._decided(key, edits)

    # What is known of a setting

    def _asked(self, key: Key) -> dict[str, str | None]:
        """Return what is staged, by unit."""
        return {unit: staged[key] for unit, staged in self._staged.items() if key in staged}

    def _our(self, unit: str, key: Key) -> str:
        """Return what our file sets."""
        return self._ours.get(unit, {}).get(key, "")

    def _stands(self, key: Key) -> str:
        """Return what is asked for as it is now: staged, or in our files."""
        asked = self._asked(key)
        return one_of(
            (asked[unit] or "") if unit in asked else self._our(unit, key) for unit in self._units
        )

    # What the fields tell

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
        """Discard the edit of this setting."""
        event.stop()
        key = event.field.key
        event.field.put(one_of(self._our(unit, key) for unit in self._units))
        self._ask(key, ())
        self._show()
        self.post_message(self.Changed())

    # What it shows

    def _show(self) -> None:
        errors = self.errors
        for key, field in self._fields.items():
            mark = "!" if key in errors else "*" if self._asked(key) else self._kept_mark(key)
            now, advice = self._beside.get(key, Beside())
            field.describe(now=now, mark=mark, advice=advice)
        self._hint.repaint()

    def _kept_mark(self, key: Key) -> str:
        """Return the mark of a field that asks for nothing: whether our files set what it shows."""
        return " " if self._stands(key) in {"", DIFFER} else "="

    def _paint_title(self, width: int) -> list[Text]:
        setting = fit(tr("SETTING"), NAME_WIDTH)
        now, to = fit_right(tr("NOW"), NOW_WIDTH), tr("SET TO")
        title = f" {setting}{now}  {fit(to, 16)}"
        if width >= ROOM_FOR_ADVICE:
            title += tr("ADVICE")
        elif width < cells(title):
            title = f" {setting}{to}"
        return [Text(fit(title, width), style=self._session.palette.header, no_wrap=True)]

    def _paint_hint(self, _: int) -> list[Text]:
        errors = self.errors
        lines = []
        here = self._here
        if here is not None and (cut := self._fields[here].entry.cut):
            lines.append(Text(f" ! {cut}", style="bold"))
        if here is not None and here not in errors:
            lines.append(
                Text(" " + tr("{subject}: {text}", subject=here, text=self._explained(here)))
            )
        lines.extend(
            Text(f" ! {self._not_staged(key, errors[key])}", style=BAD)
            for key in sorted(errors, key=lambda k: k is not here)
        )
        return lines

    def _not_staged(self, key: Key, error: str) -> str:
        """Return why a field is not staged, and what stays staged in its place."""
        why = msg("{setting} is not staged: {error}", setting=of_setting(key), error=error)
        if not self._asked(key):
            return say(why)
        stands = self._stands(key)
        if stands == DIFFER:
            return say(sentences(why, msg("Earlier staged edits stay staged.")))
        if stands:
            return say(sentences(why, msg("{value} stays staged.", value=stands)))
        return say(sentences(why, msg("Removing the setting stays staged.")))

    def _explained(self, key: Key) -> Message:
        wish, asked = self.wish(key), self._asked(key)
        text = self._fields[key].text
        if wish.differs:
            return msg(
                "each unit keeps its own. A value typed here is for all {n}.", n=len(self._units)
            )
        if not wish.edits:
            return self._unchanged(key, text, staged=bool(asked))
        whose = None
        if len(self._units) > 1:
            whose = msg("For {n} of {all} units.", n=len(wish.edits), all=len(self._units))
        then = msg("Enter stages it; nothing is written yet.")
        if asked == {edit.unit: edit.value for edit in wish.edits}:
            then = self._session.trials.fate(wish.edits)
        if text:
            return sentences(self._meaning(key, text), whose, then)
        ours = one_of(self._our(edit.unit, key) for edit in wish.edits)
        dropped = msg("empty: removed from the drop-in of lowmem-tui, other files count.")
        if ours != DIFFER:
            dropped = msg(
                "empty: {value} is removed from the drop-in of lowmem-tui, other files count.",
                value=ours,
            )
        return sentences(dropped, whose, then)

    def _unchanged(self, key: Key, text: str, *, staged: bool) -> Message:
        """Explain a field that asks for nothing; ``staged``: as yet something else is."""
        if staged:
            return msg("same as in our file. Enter discards the staged edit.")
        if text:
            return msg("our file sets {value}. Empty the field to drop that.", value=text)
        if key in CHOICES:
            return msg("{about}. Left and Right choose, or type a word.", about=ABOUT[key])
        return msg("{about}.", about=ABOUT[key])

    def _meaning(self, key: Key, text: str) -> Message:
        value = parse_value(key, text, self._ram)
        if key in MEMORY_KEYS and isinstance(value, int):
            size = msg("{value} is {size}", value=text, size=of_bytes(value))
            if text == format_size(value):
                size = msg("{value}", value=text)
            if self._ram:
                percent = 100 * value // self._ram
                size = msg("{size}, {percent}% of RAM", size=size, percent=percent)
            if natural(text) is not None and 0 < value < 1 << 20:
                return msg("{size} (K, M or G after it?).", size=size)
            return msg("{size}.", size=size)
        if text in WORDS:
            return msg("{value}, {meaning}.", value=text, meaning=WORDS[text])
        return msg("{value}.", value=text)
