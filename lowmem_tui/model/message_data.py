"""Messages as plain JSON data and back: they travel in records, recordings and between servers.

What comes back may be anybody's: whatever is not exactly what we write is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import Kind, Message, Value, msg
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_TEMPLATE = 2000
LONGEST_TEXT = 8192
MOST_VALUES = 32
MOST_ITEMS = 256
LONGEST_RENDERED = 1 << 18
"""Characters that a whole message may render to."""
DEEPEST = 6
"""Messages in messages."""

_NUMBERS = frozenset({Kind.NUMBER, Kind.BYTES, Kind.LIMIT, Kind.SPAN})
_ENDLESS = frozenset({Kind.LIMIT, Kind.SPAN})
_LARGEST = 1 << 64


def as_data(message: Message) -> dict[str, object]:
    """Return a message as values that JSON has."""
    made: dict[str, object] = {"template": message.template}
    if message.many:
        made["many"] = message.many
    if message.values:
        made["values"] = {name: _data(value) for name, value in message.values}
    return made


def _data(value: Value) -> dict[str, object]:
    what: object = value.value
    if isinstance(value.value, Message):
        what = as_data(value.value)
    elif isinstance(value.value, tuple):
        what = [_data(each) for each in value.value[:MOST_ITEMS]]
    elif isinstance(value.value, str):
        what = value.value[:LONGEST_TEXT]
    return {"kind": str(value.kind), "value": what}


def bare_values(message: Message) -> dict[str, object]:
    """Return the values alone, for a program that reads ``--json``: numbers as numbers."""
    return {name: _bare(value) for name, value in message.values}


def _bare(value: Value) -> object:
    if isinstance(value.value, Message):
        return str(value.value)
    if isinstance(value.value, tuple):
        return [_bare(each) for each in value.value]
    return value.value


def from_data(made: object) -> Message:
    """Return the message that ``as_data`` has written. Raises InvalidValueError for all else."""
    message = _message(made, DEEPEST)
    if _length(message) > LONGEST_RENDERED:
        _refuse()
    return message


def _length(message: Message) -> int:
    """Return about how many characters a message renders to: a name may be there many times."""
    longer = max((message.template, message.many), key=len)
    named = Counter((*fields(message.template), *fields(message.many)))
    return len(longer) + sum(named[name] * _length_of(value) for name, value in message.values)


def _length_of(value: Value) -> int:
    if isinstance(value.value, Message):
        return _length(value.value)
    if isinstance(value.value, tuple):
        return sum(map(_length_of, value.value))
    return len(value.value) if isinstance(value.value, str) else len(str(_LARGEST))


def fields(template: str) -> Iterator[str]:
    """Yield the names in a template. Raises InvalidValueError for what is more than ``{name}``."""
    rest = template.replace("{{", "").replace("}}", "")
    while rest:
        before, brace, rest = rest.partition("{")
        if "}" in before:
            _refuse()
        if not brace:
            return
        name, brace, rest = rest.partition("}")
        if not (brace and name.isascii() and name.isidentifier()):
            _refuse()
        yield name


def _message(made: object, depth: int) -> Message:
    if not isinstance(made, dict) or depth == 0 or made.keys() - {"template", "many", "values"}:
        _refuse()
    given = made.get("values", {})
    if not isinstance(given, dict) or len(given) > MOST_VALUES:
        _refuse()
    template, many = _template(made.get("template")), ""
    if "many" in made:
        many = _template(made["many"])
    values = tuple((_name(name), _value(each, depth)) for name, each in given.items())
    counted = dict(values).get("n")
    if many and not (counted and counted.kind is Kind.NUMBER):
        _refuse()
    named = {*fields(template), *fields(many)}
    if named - given.keys() or given.keys() - named - {"n"}:
        _refuse()
    return Message(template, values, many)


def _template(made: object) -> str:
    if not isinstance(made, str) or not 0 < len(made) <= LONGEST_TEMPLATE or plain(made) != made:
        _refuse()
    return made


def _name(made: object) -> str:
    if not isinstance(made, str) or not (made.isascii() and made.isidentifier()):
        _refuse()
    return made


def _value(made: object, depth: int) -> Value:
    if not isinstance(made, dict) or made.keys() != {"kind", "value"}:
        _refuse()
    kind, what = made["kind"], made["value"]
    if not isinstance(kind, str) or kind not in Kind.__members__.values():
        _refuse()
    kind = Kind(kind)
    if kind is Kind.MESSAGE:
        return Value(kind, _message(what, depth - 1))
    if kind in {Kind.LIST, Kind.SENTENCES}:
        return Value(kind, _items(kind, what, depth))
    if kind in _NUMBERS or kind is Kind.SECONDS:
        return Value(kind, _number(kind, what))
    if not isinstance(what, str) or len(what) > LONGEST_TEXT:
        _refuse()
    return Value(kind, what)


def _items(kind: Kind, made: object, depth: int) -> tuple[Value, ...]:
    if not isinstance(made, list) or len(made) > MOST_ITEMS or depth == 1:
        _refuse()
    items = tuple(_value(each, depth - 1) for each in made)
    if any(each.kind in {Kind.LIST, Kind.SENTENCES} for each in items):
        _refuse()
    if kind is Kind.SENTENCES and any(each.kind is not Kind.MESSAGE for each in items):
        _refuse()
    return items


def _number(kind: Kind, made: object) -> float | str:
    if made == "infinity" and kind in _ENDLESS:
        return "infinity"
    if (
        isinstance(made, bool)
        or not isinstance(made, int | float)
        or not -_LARGEST < made < _LARGEST
    ):
        _refuse()
    if kind is Kind.SECONDS:
        if made < 0 or not math.isfinite(made):
            _refuse()
        return made
    if not isinstance(made, int) or (made < 0 and kind is not Kind.NUMBER):
        _refuse()
    return made


def _refuse() -> NoReturn:
    raise InvalidValueError(
        msg("This message cannot be read: it was damaged, or another version wrote it.")
    )
