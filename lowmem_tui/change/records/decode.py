"""Reading plain data back out of JSON: every value is of the type and in the range that we write.

A reader takes what JSON gave and returns it, or raises ValueError with a clause on what it is not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

T = TypeVar("T")
D = TypeVar("D")


def parse(text: str) -> object:
    """Return what JSON says; ValueError: NaN is no number, no key comes twice."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key comes twice")
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


class Fields:
    """The fields of a JSON object; one that is not asked for is an error of ``done``."""

    def __init__(self, made: object) -> None:
        if not isinstance(made, dict):
            raise ValueError("not an object")
        self._made = dict(made)

    def __call__(self, name: str, reader: Callable[[object], T]) -> T:
        """Return a field as the reader reads it."""
        if name not in self._made:
            raise ValueError(f"{name} is missing")
        try:
            return reader(self._made.pop(name))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def optional(self, name: str, reader: Callable[[object], T], default: D) -> T | D:
        """Return a field as the reader reads it, or the default where there is none."""
        return self(name, reader) if name in self._made else default

    def done(self) -> None:
        """Raise ValueError if anything is left."""
        for name in self._made:
            raise ValueError(f"{name[:40]!r} is unknown")


def of_fields(make: Callable[[Fields], T]) -> Callable[[object], T]:
    """Return the reader of a JSON object of which ``make`` takes every field."""

    def read(found: object) -> T:
        fields = Fields(found)
        made = make(fields)
        fields.done()
        return made

    return read


def text(made: object) -> str:
    """Read a text; what cannot be written into a file again is none."""
    if not isinstance(made, str):
        raise ValueError("not a text")
    made.encode("utf-8", "surrogateescape")
    return made


def flat(made: object) -> str:
    """Read a text without NUL: a name, a path, a word of a command."""
    if "\0" in (found := text(made)):
        raise ValueError("not a name")
    return found


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return the reader of a whole number."""

    def read(made: object) -> int:
        if type(made) is not int or not least <= made <= most:
            raise ValueError(f"not a whole number from {least} to {most}")
        return made

    return read


def flag(made: object) -> bool:
    """Read true or false."""
    if not isinstance(made, bool):
        raise ValueError("neither true nor false")
    return made


def number(least: float, most: float) -> Callable[[object], float]:
    """Return the reader of a number."""

    def read(made: object) -> float:
        # Neither NaN nor a number too long for a float is between two.
        if type(made) not in {int, float} or not least <= made <= most:  # type: ignore[operator]
            raise ValueError("not a time")
        return made  # type: ignore[return-value]

    return read


def listed(reader: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Return the reader of a list."""

    def read(made: object) -> tuple[T, ...]:
        if not isinstance(made, list):
            raise ValueError("not a list")
        return tuple(reader(each) for each in made)

    return read


def maybe(reader: Callable[[object], T]) -> Callable[[object], T | None]:
    """Return the reader of what may be null."""
    return lambda made: None if made is None else reader(made)


def that(
    reader: Callable[[object], T], holds: Callable[[T], bool], otherwise: str
) -> Callable[[object], T]:
    """Return a reader that takes only what something holds for."""

    def read(made: object) -> T:
        found = reader(made)
        if not holds(found):
            raise ValueError(otherwise)
        return found

    return read


def once(values: Iterable[object]) -> bool:
    """Tell whether no value comes twice."""
    listed_ = list(values)
    return len(set(listed_)) == len(listed_)
