"""What there is to say, as data: an English template and named values, put into words at the edge.

A message is written where it is decided (policy, change, setup, host), with `msg` or `plural`::

    msg("{unit} holds {held}, more than {limit}.", unit=of_unit(name), held=of_bytes(held), ...)

and rendered by cli and tui alone, in the operator's language (`model.language`). Its English is
``str(message)``. docs/translation.md tells how a template is extracted and translated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from lowmem_tui.model.amount import (
    Unlimited,
    format_seconds,
    format_size,
    format_time_span,
    render_limit,
)
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit_name import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.amount import Limit


class Kind(StrEnum):
    """What a value is, and with that how it is shown."""

    TEXT = "text"
    """Words of others: a process' name, a line of a file."""
    UNIT = "unit"
    """The name of a unit."""
    PATH = "path"
    SETTING = "setting"
    """An option's own name, with its value or without: ``MemoryMax=100M``."""
    COMMAND = "command"
    """What an administrator can type."""
    NUMBER = "number"
    """A whole number: a pid, a score, a count."""
    BYTES = "bytes"
    """A size, rounded when it is shown: ``8.1M``."""
    LIMIT = "limit"
    """Bytes of a limit or ``infinity``, exact: ``100M``."""
    SECONDS = "seconds"
    """A duration as a person says it: ``0.4s``."""
    SPAN = "span"
    """Microseconds or ``infinity``, exact: ``1min 30s``."""
    MESSAGE = "message"
    LIST = "list"
    """Values, shown with commas between them."""
    SENTENCES = "sentences"
    """Messages, each a sentence, shown one behind the other."""


class Value(NamedTuple):
    """A value of a message."""

    kind: Kind
    value: int | float | str | Message | tuple[Value, ...]


Given: TypeAlias = "Value | Message | str | int"
"""What a message takes: a str is TEXT, an int is NUMBER."""


class Catalog(Protocol):
    """Translations, as the standard library's gettext has them."""

    def gettext(self, message: str) -> str:
        """Return the translation of a template; the template itself where there is none."""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the translation of the template that fits a number."""


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence or more, or a phrase that stands on its own."""

    template: str
    """English, with ``{name}`` for each value; it is also the key of the translations."""
    values: tuple[tuple[str, Value], ...] = ()
    many: str = ""
    """The template for every number but one, by the value ``n``; "" where nothing is counted."""

    def __str__(self) -> str:
        return self.render()

    def render(self, catalog: Catalog | None = None) -> str:
        """Return it in the language of a catalog, None for English; safe to show as it is."""
        values = dict(self.values)
        shown = _Shown((name, _shown(value, catalog)) for name, value in self.values)
        template = self._template(values.get("n"), catalog)
        if catalog:
            template = _closed_up(template, shown)
        try:
            return template.format_map(shown)
        except (ValueError, LookupError, AttributeError, TypeError):
            # A template that is none (a test finds it) must not hide the rest.
            return plain(" ".join((self.template, *shown.values())))

    def _template(self, count: Value | None, catalog: Catalog | None) -> str:
        if not self.many:
            # gettext has the catalog's own heading for "".
            return catalog.gettext(self.template) if catalog and self.template else self.template
        n = count.value if count and isinstance(count.value, int) else 0
        if catalog:
            return catalog.ngettext(self.template, self.many, n)
        return self.template if n == 1 else self.many


FULL_WIDTH = frozenset("，。、：；？！（）")
"""Marks with a blank of their own, beside which no other is written."""


def _closed_up(template: str, shown: dict[str, str]) -> str:
    """Return a template without the blanks beside a value that Chinese does not write.

    A translator cannot know them: "{where} has no limit" has a blank for the English value.
    """
    for name, text in shown.items():
        before, found, after = template.partition(f"{{{name}}}")
        if before.endswith(" ") and _closes(before[-2:-1], text[:1]):
            before = before[:-1]
        if after.startswith(" ") and _closes(after[1:2], text[-1:]):
            after = after[1:]
        template = before + found + after
    return template


def _closes(beside: str, edge: str) -> bool:
    """Return whether no blank stands between a template's character and a value's."""
    return edge in FULL_WIDTH or all("\u4e00" <= c <= "\u9fff" for c in (beside, edge))


class _Shown(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def msg(template: str, /, **values: Given) -> Message:
    """Return a message; the template is a literal, marked for translation by being the argument."""
    return Message(template, _named(values))


def plural(one: str, many: str, /, n: int, **values: Given) -> Message:
    """Return a message that counts: ``{n}`` may be in both templates."""
    return Message(one, _named({"n": n, **values}), many)


def N_(text: str, /) -> str:  # noqa: N802 - the name that gettext's tools and translators know
    """Mark a text for translation that is rendered later; return it as it is."""
    return text


def verbatim(text: str) -> Message:
    """Return a message that is the words of others, or not yet one that can be translated."""
    return Message("{text}", (("text", Value(Kind.TEXT, text)),))


def as_message(words: Message | str) -> Message:
    """Return what may still be plain words as a message."""
    return words if isinstance(words, Message) else verbatim(words)


def _named(values: dict[str, Given]) -> tuple[tuple[str, Value], ...]:
    return tuple((name, as_value(given)) for name, given in values.items())


def as_value(given: Given) -> Value:
    """Return what is given to a message as a value."""
    if isinstance(given, Value):
        return given
    if isinstance(given, Message):
        return Value(Kind.MESSAGE, given)
    if isinstance(given, str):
        return Value(Kind.TEXT, given)
    return Value(Kind.NUMBER, given)


# --- values -------------------------------------------------------------------------------------


def of_text(text: str, width: int | None = None) -> Value:
    """Return words of others, cut to so many terminal cells."""
    return Value(Kind.TEXT, text if width is None else plain(text, width))


def of_unit(name: str, width: int | None = None) -> Value:
    """Return the name of a unit, cut to so many terminal cells."""
    return Value(Kind.UNIT, name if width is None else plain(name, width))


def of_path(path: str) -> Value:
    """Return a path."""
    return Value(Kind.PATH, path)


def of_setting(name: str, value: object = None) -> Value:
    """Return an option, or an assignment to it: ``MemoryMax``, ``MemoryMax=100M``."""
    return Value(Kind.SETTING, name if value is None else f"{name}={value}")


def of_command(words: str) -> Value:
    """Return a command to type."""
    return Value(Kind.COMMAND, words)


def of_bytes(size: int) -> Value:
    """Return a size, to be shown rounded."""
    return Value(Kind.BYTES, size)


def of_limit(limit: Limit) -> Value:
    """Return a limit, to be shown exact."""
    return Value(Kind.LIMIT, "infinity" if isinstance(limit, Unlimited) else limit)


def of_seconds(seconds: float) -> Value:
    """Return a duration."""
    return Value(Kind.SECONDS, seconds)


def of_span(usec: int | Unlimited) -> Value:
    """Return a time span in microseconds."""
    return Value(Kind.SPAN, "infinity" if isinstance(usec, Unlimited) else usec)


def of_list(values: Iterable[Given]) -> Value:
    """Return values that are shown with commas between them."""
    return Value(Kind.LIST, tuple(as_value(each) for each in values))


def listed(*items: Given) -> Message:
    """Return values as one message, with commas between them."""
    return Message("{items}", (("items", of_list(items)),))


def sentences(*messages: Message | None) -> Message:
    """Return several whole sentences as one message; None is left out."""
    found = tuple(part for each in messages if each is not None for part in _parts(each))
    if len(found) == 1 and isinstance(found[0].value, Message):
        return found[0].value
    return Message(_SENTENCES, (("sentences", Value(Kind.SENTENCES, found)),))


_SENTENCES = "{sentences}"


def _parts(message: Message) -> tuple[Value, ...]:
    """Return the sentences of a message: what is nested would be too deep for a record soon."""
    if message.template == _SENTENCES and message.values:
        parts = message.values[0][1].value
        if isinstance(parts, tuple):
            return parts
    return (Value(Kind.MESSAGE, message),)


# --- showing them -------------------------------------------------------------------------------

COMMA = N_("{first}, {second}")
"""How two items of a list are joined; the rest of the list is the second."""

PHRASES = N_("{first}, {rest}")
"""The same for a list of phrases: other languages have another mark for it than for names."""

SPACE = N_("{first} {second}")
"""How two sentences are joined."""


def _shown(value: Value, catalog: Catalog | None) -> str:
    """Return a value as text, with nothing in it that a terminal would obey."""
    what = value.value
    if isinstance(what, Message):
        return what.render(catalog)
    if isinstance(what, tuple):
        joint = SPACE
        if value.kind is Kind.LIST:
            phrases = any(isinstance(each.value, Message) for each in what)
            joint = PHRASES if phrases else COMMA
        return _joined([_shown(each, catalog) for each in what], joint, catalog)
    if isinstance(what, str):
        return plain(what, MAX_NAME if value.kind is Kind.UNIT else None)
    return _number(value.kind, what)


def _number(kind: Kind, number: float) -> str:
    if kind is Kind.SECONDS:
        return format_seconds(number)
    whole = round(number)
    if kind is Kind.BYTES:
        return format_size(whole)
    if kind is Kind.LIMIT:
        return render_limit(whole)
    return format_time_span(whole) if kind is Kind.SPAN else str(whole)


def _joined(texts: list[str], joint: str, catalog: Catalog | None) -> str:
    how = catalog.gettext(joint) if catalog else joint
    if not texts:
        return ""
    *others, found = texts
    for text in reversed(others):
        found = how.format_map(_Shown(first=text, second=found, rest=found))
    return found
