"""The kinds of values in a frame: how a new value is written next to the old one, and read back.

Each kind writes the difference from the value that the frame before had (`old`), so that what
hardly changes takes a byte or two. A kind's `code` is in the key frame, and never changes its
meaning. `None` ("not known") is a value of every optional kind.
"""

# ruff: noqa: ANN401 - a kind is handed the values of its own kind, by the schema

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from lowmem_tui.model.amount import INFINITY
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import Message
from lowmem_tui.model.message_data import as_data, from_data
from lowmem_tui.model.settings import Key
from lowmem_tui.stream.wire import Reader, put_double, put_number, put_string, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST = 1 << 64
"""What every whole number of a snapshot is below, on either side of 0."""
MOST_UNITS = 16_384
MOST_PROCESSES = 65_536
MOST_STRINGS = 256
LONGEST_MESSAGE = 65_536
"""Bytes of a message as JSON."""

_PAGE_BITS = 12
_PAGE_REST = (1 << _PAGE_BITS) - 1


def difference(new: int, old: int) -> int:
    """Return a whole number, 0 or more, for a difference; small for one of few whole pages."""
    change = new - old
    if change & _PAGE_REST:
        return _zigzag(change) << 1 | 1
    return _zigzag(change >> _PAGE_BITS) << 1


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def sum_of(old: int, written: int) -> int:
    """Return the number whose `difference` is `written`. Raises StreamError: it is too large."""
    zigzag = written >> 1
    change = -((zigzag + 1) >> 1) if zigzag & 1 else zigzag >> 1
    new = old + (change if written & 1 else change << _PAGE_BITS)
    if not -LARGEST < new < LARGEST:
        refuse()
    return new


class Kind:
    """A kind of value."""

    code: ClassVar[int]
    """Its number in a key frame."""
    blank: Any = None
    """What a value is compared with where there was none."""
    annotation: str = ""
    """The type of such a field in the model, as it is written there."""

    def write(self, out: bytearray, new: Any, old: Any) -> None:
        """Append what makes `new` of `old`."""
        raise NotImplementedError

    def read(self, reader: Reader, old: Any) -> Any:
        """Return the value that was written next to `old`. Raises StreamError."""
        raise NotImplementedError


class _Natural(Kind):
    code, blank, annotation = 1, 0, "int"

    def write(self, out: bytearray, new: int, old: int) -> None:
        put_number(out, difference(new, old))

    def read(self, reader: Reader, old: int) -> int:
        new = sum_of(old, reader.number())
        if new < 0:
            refuse()
        return new


class _Whole(Kind):
    code, blank, annotation = 2, 0, "int"

    def write(self, out: bytearray, new: int, old: int) -> None:
        put_number(out, difference(new, old))

    def read(self, reader: Reader, old: int) -> int:
        return sum_of(old, reader.number())


class _MaybeWhole(Kind):
    code, annotation = 3, "int | None"

    def write(self, out: bytearray, new: int | None, old: int | None) -> None:
        put_number(out, 0 if new is None else difference(new, old or 0) + 1)

    def read(self, reader: Reader, old: int | None) -> int | None:
        written = reader.number()
        return sum_of(old or 0, written - 1) if written else None


class _MaybeSpan(Kind):
    """A number, infinity, or not known."""

    code, annotation = 4, "int | Unlimited | None"

    def write(self, out: bytearray, new: Any, old: Any) -> None:
        if new is None or new is INFINITY:
            out.append(0 if new is None else 1)
        else:
            put_number(out, difference(new, old if isinstance(old, int) else 0) + 2)

    def read(self, reader: Reader, old: Any) -> Any:
        written = reader.number()
        if written < 2:
            return INFINITY if written else None
        return sum_of(old if isinstance(old, int) else 0, written - 2)


class _Flag(Kind):
    code, blank, annotation = 5, False, "bool"

    def write(self, out: bytearray, new: bool, old: bool) -> None:  # noqa: ARG002
        out.append(new)

    def read(self, reader: Reader, old: bool) -> bool:  # noqa: ARG002
        written = reader.number()
        if written > 1:
            refuse()
        return bool(written)


class _MaybeFlag(Kind):
    code, annotation = 6, "bool | None"

    def write(self, out: bytearray, new: bool | None, old: bool | None) -> None:  # noqa: ARG002
        out.append(0 if new is None else 1 + new)

    def read(self, reader: Reader, old: bool | None) -> bool | None:  # noqa: ARG002
        written = reader.number()
        if written > 2:
            refuse()
        return bool(written - 1) if written else None


def _hundredths(number: float | None) -> int | None:
    """Return a number in hundredths, if it is a whole number of them: the kernel's are."""
    if number is None or not -1e12 < number < 1e12:
        return None
    whole = round(number * 100)
    return whole if whole / 100 == number else None


class _MaybeFloat(Kind):
    code, annotation = 7, "float | None"

    def write(self, out: bytearray, new: float | None, old: float | None) -> None:
        whole = _hundredths(new)
        if new is None:
            out.append(0)
        elif whole is None:
            out.append(1)
            put_double(out, new)
        else:
            put_number(out, difference(whole, _hundredths(old) or 0) + 2)

    def read(self, reader: Reader, old: float | None) -> float | None:
        written = reader.number()
        if written < 2:
            return reader.double() if written else None
        return sum_of(_hundredths(old) or 0, written - 2) / 100


class _Float(_MaybeFloat):
    code, blank, annotation = 8, 0.0, "float"

    def read(self, reader: Reader, old: float | None) -> float:
        number = super().read(reader, old)
        return refuse() if number is None else number


class _String(Kind):
    code, blank, annotation = 9, "", "str"

    def write(self, out: bytearray, new: str, old: str) -> None:  # noqa: ARG002
        put_string(out, new)

    def read(self, reader: Reader, old: str) -> str:  # noqa: ARG002
        return reader.string()


class _MaybeString(Kind):
    code, annotation = 10, "str | None"

    def write(self, out: bytearray, new: str | None, old: str | None) -> None:  # noqa: ARG002
        out.append(new is not None)
        if new is not None:
            put_string(out, new)

    def read(self, reader: Reader, old: str | None) -> str | None:  # noqa: ARG002
        return reader.string() if FLAG.read(reader, old=False) else None


class _Strings(Kind):
    code, blank, annotation = 11, (), "tuple[str, ...]"

    def write(self, out: bytearray, new: tuple[str, ...], old: tuple[str, ...]) -> None:  # noqa: ARG002
        put_number(out, min(len(new), MOST_STRINGS))
        for each in new[:MOST_STRINGS]:
            put_string(out, each)

    def read(self, reader: Reader, old: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002
        return tuple([reader.string() for _ in range(reader.count(MOST_STRINGS))])


class _Words(Kind):
    """A sentence: text, or a message to be rendered in the reader's language."""

    code, blank, annotation = 12, "", "Message | str"

    def write(self, out: bytearray, new: Message | str, old: object) -> None:  # noqa: ARG002
        out.append(isinstance(new, Message))
        if isinstance(new, Message):
            data = json.dumps(as_data(new)).encode()
            put_number(out, len(data))
            out += data
        else:
            put_string(out, new)

    def read(self, reader: Reader, old: object) -> Message | str:  # noqa: ARG002
        if not FLAG.read(reader, old=False):
            return reader.string()
        try:
            return from_data(json.loads(reader.string(LONGEST_MESSAGE)))
        except (ValueError, RecursionError, InvalidValueError):
            refuse()


SETTINGS = tuple(Key)
"""In the order of their numbers in the frames that we write."""
_NUMBERS = {key: number for number, key in enumerate(SETTINGS)}


class _Settings(Kind):
    """Values by setting; the key frame names the settings in the order of their numbers."""

    code, blank, annotation = 13, {}, "Mapping[Key, Value]"

    def __init__(self, names: tuple[Key | None, ...] = SETTINGS) -> None:
        self.names = names
        """By their numbers; None is a setting that this version does not know."""

    def write(self, out: bytearray, new: Mapping[Key, Any], old: Mapping[Key, Any]) -> None:
        changed = [key for key in new if key not in old or new[key] != old[key]]
        gone = [key for key in old if key not in new]
        put_number(out, len(changed) + len(gone))
        for key in gone:
            put_number(out, _NUMBERS[key])
            out.append(0)
        for key in changed:
            put_number(out, _NUMBERS[key])
            self._write_one(out, new[key], old.get(key))

    def read(self, reader: Reader, old: Mapping[Key, Any]) -> Mapping[Key, Any]:
        new = dict(old)
        for _ in range(reader.count(len(self.names))):
            number = reader.number()
            key = self.names[number] if number < len(self.names) else refuse()
            value = self._read_one(reader, old.get(key) if key else None)
            if key and value is None:
                new.pop(key, None)
            elif key:
                new[key] = value
        return new

    def _write_one(self, out: bytearray, new: Any, old: Any) -> None:
        if isinstance(new, str):
            out.append(2)
            put_string(out, new)
        elif new is INFINITY:
            out.append(1)
        else:
            put_number(out, difference(new, old if isinstance(old, int) else 0) + 3)

    def _read_one(self, reader: Reader, old: Any) -> Any:
        """Return a value; None where the setting is not known any more."""
        written = reader.number()
        if written == 2:
            return reader.string()
        if written < 2:
            return INFINITY if written else None
        return sum_of(old if isinstance(old, int) else 0, written - 3)


class _Limits(_Settings):
    """Values in bytes by setting, as the kernel has them."""

    code, annotation = 14, "Mapping[Key, Limit]"

    def _read_one(self, reader: Reader, old: Any) -> Any:
        value = super()._read_one(reader, old)
        return refuse() if isinstance(value, str) else value


def with_settings(kind: Kind, names: tuple[Key | None, ...]) -> Kind:
    """Return a kind that reads the settings by the numbers that `names` gives them."""
    return type(kind)(names) if isinstance(kind, _Settings) else kind


NATURAL, WHOLE, MAYBE_WHOLE, MAYBE_SPAN = _Natural(), _Whole(), _MaybeWhole(), _MaybeSpan()
FLAG, MAYBE_FLAG, FLOAT, MAYBE_FLOAT = _Flag(), _MaybeFlag(), _Float(), _MaybeFloat()
STRING, MAYBE_STRING, STRINGS, WORDS = _String(), _MaybeString(), _Strings(), _Words()
LOADED, LIMITS = _Settings(), _Limits()
SIMPLE: Mapping[int, Kind] = {
    kind.code: kind
    for kind in (
        *(NATURAL, WHOLE, MAYBE_WHOLE, MAYBE_SPAN, FLAG, MAYBE_FLAG, FLOAT, MAYBE_FLOAT),
        *(STRING, MAYBE_STRING, STRINGS, WORDS, LOADED, LIMITS),
    )
}
"""Kinds without a record inside, by their code."""


class Record(Kind):
    """A value of several fields, of which the frame has those that changed; or None.

    It is written as one number: 0 for None, else 1 + a bit for each changed field, the first field
    being the lowest; then the fields.
    """

    code = 32

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Kind],
        values: Callable[[Any], tuple[Any, ...]],
        make: Callable[[tuple[Any, ...]], Any],
        *,
        optional: bool = False,
    ) -> None:
        self.name = name
        self.fields = dict(fields)
        self.values = values
        self.make = make
        self.optional = optional
        self.kinds = tuple(fields.values())
        self.blanks = tuple(kind.blank for kind in self.kinds)
        self._bits = tuple(1 << place for place in range(len(self.kinds)))
        self._required = tuple(
            place
            for place, kind in enumerate(self.kinds)
            if isinstance(kind, Record) and not kind.optional
        )

    def write(self, out: bytearray, new: Any, old: Any) -> None:
        """See ``Kind``."""
        if new is None:
            out.append(0)
            return
        after = self.values(new)
        before = self.blanks if old is None else self.values(old)
        places = [
            place
            for place, value in enumerate(after)
            if value is not before[place] and value != before[place]
        ]
        mask = 0
        for place in places:
            mask |= self._bits[place]
        put_number(out, mask + 1)
        for place in places:
            self.kinds[place].write(out, after[place], before[place])

    def read(self, reader: Reader, old: Any) -> Any:
        """See ``Kind``."""
        mask = reader.number() - 1
        if mask < 0:
            return None if self.optional else refuse()
        if mask >> len(self.kinds):
            refuse()
        if not mask and old is not None:
            return old
        values = list(self.blanks if old is None else self.values(old))
        while mask:
            lowest = mask & -mask
            place = lowest.bit_length() - 1
            values[place] = self.kinds[place].read(reader, values[place])
            mask ^= lowest
        for place in self._required:
            if values[place] is None:
                refuse()
        return self.make(tuple(values))


class Entries(Kind):
    """The processes of a unit, in their order; each is known by its pid and start.

    0, then how many changed, each as the distance from the one before and its record; or 1, then
    how many there are, each as its old place + 1 (0 for a new one) and its record.
    """

    code, blank, annotation = 33, (), "tuple[Process, ...]"

    def __init__(self, record: Record, identity: Callable[[Any], Any]) -> None:
        self.record = record
        self._identity = identity

    def write(self, out: bytearray, new: tuple[Any, ...], old: tuple[Any, ...]) -> None:
        """See ``Kind``."""
        identity = self._identity
        if len(new) == len(old) and all(map(_same, map(identity, new), map(identity, old))):
            out.append(0)
            changed = [place for place, one in enumerate(new) if one != old[place]]
            put_number(out, len(changed))
            before = -1
            for place in changed:
                put_number(out, place - before - 1)
                self.record.write(out, new[place], old[place])
                before = place
            return
        out.append(1)
        put_number(out, min(len(new), MOST_PROCESSES))
        places = {identity(one): place for place, one in enumerate(old)}
        for one in new[:MOST_PROCESSES]:
            known = places.get(identity(one))
            put_number(out, 0 if known is None else known + 1)
            self.record.write(out, one, None if known is None else old[known])

    def read(self, reader: Reader, old: tuple[Any, ...]) -> tuple[Any, ...]:
        """See ``Kind``."""
        if FLAG.read(reader, old=False):
            return tuple([self._one(reader, old) for _ in range(reader.count(MOST_PROCESSES))])
        new, place = list(old), -1
        for _ in range(reader.count(len(old))):
            place += reader.number() + 1
            if place >= len(new):
                refuse()
            new[place] = self.record.read(reader, old[place])
        return tuple(new)

    def _one(self, reader: Reader, old: tuple[Any, ...]) -> Any:
        place = reader.number()
        if place > len(old):
            refuse()
        return self.record.read(reader, old[place - 1] if place else None)


def _same(one: object, other: object) -> bool:
    return one == other


class Table(Kind):
    """Records by name: how many are gone, changed, new; each as the distance from the one before.

    What is gone and what changed is counted in the order of the table before; what is new follows
    at the end.
    """

    code, annotation = 34, "dict[str, Unit]"
    blank: Any = {}  # noqa: RUF012 - never changed

    def __init__(self, record: Record) -> None:
        self.record = record

    def write(self, out: bytearray, new: dict[str, Any], old: dict[str, Any]) -> None:
        """See ``Kind``. `old` must be in the order that the reader has."""
        names = list(old)
        gone = [place for place, name in enumerate(names) if name not in new]
        changed = [
            place
            for place, name in enumerate(names)
            if (one := new.get(name)) is not None and one is not old[name] and one != old[name]
        ]
        self._put_places(out, gone)
        put_number(out, len(changed))
        before = -1
        for place in changed:
            put_number(out, place - before - 1)
            self.record.write(out, new[names[place]], old[names[place]])
            before = place
        added = [name for name in new if name not in old]
        put_number(out, len(added))
        for name in added:
            put_string(out, name)
            self.record.write(out, new[name], None)

    @staticmethod
    def _put_places(out: bytearray, places: list[int]) -> None:
        put_number(out, len(places))
        before = -1
        for place in places:
            put_number(out, place - before - 1)
            before = place

    def read(self, reader: Reader, old: dict[str, Any]) -> dict[str, Any]:
        """See ``Kind``."""
        names = list(old)
        new = dict(old)
        place = -1
        for _ in range(reader.count(len(names))):
            place = self._next(reader, place, len(names))
            del new[names[place]]
        place = -1
        for _ in range(reader.count(len(names))):
            place = self._next(reader, place, len(names))
            name = names[place]
            if name not in new:
                refuse()
            new[name] = self.record.read(reader, old[name])
        for _ in range(reader.count(MOST_UNITS - len(new))):
            name = reader.string()
            if name in new:
                refuse()
            new[name] = self.record.read(reader, None)
        return new

    @staticmethod
    def _next(reader: Reader, before: int, end: int) -> int:
        place = before + 1 + reader.number()
        return place if place < end else refuse()
