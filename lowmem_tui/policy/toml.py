"""TOML files of the administrator: parsed, with the line for whatever is wrong in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_limit, of_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.message import Message

BOM = "\ufeff"
"""The mark that some editors put ahead of UTF-8."""


LONGEST = 1 << 18
"""Characters of a document: some thousands of units."""

MOST_DOTS = 32
"""Dots of a line, texts and comments left out: of a dotted key, ours have three at most."""

_TEXT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")


def parse(text: str) -> dict[str, object]:
    """Return the document. InvalidValueError, naming the line, if it is not TOML."""
    text = text.removeprefix(BOM)
    import tomllib

    if len(text) > LONGEST:
        raise InvalidValueError(
            msg("It is longer than {size}: split the file.", size=of_limit(LONGEST))
        )
    for number, line in enumerate(text.split("\n"), 1):
        # tomllib takes time and memory that grow with the square of a key's parts.
        if line.count(".") > MOST_DOTS and _TEXT.sub("", line).count(".") > MOST_DOTS:
            raise InvalidValueError(
                msg("Line {line}: a key has more than {most} dots.", line=number, most=MOST_DOTS)
            )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidValueError(
            msg("Correct the TOML syntax: {error}.", error=of_text(str(error), 200))
        ) from error
    except RecursionError as error:
        raise InvalidValueError(msg("Correct the TOML syntax: it is nested too deeply.")) from error


def wrong(text: str, path: tuple[str, ...], sentence: Message) -> InvalidValueError:
    """Return an error whose sentence begins with the line where ``path`` is set."""
    line = line_of(text, path)
    return InvalidValueError(
        msg("Line {line}: {why}", line=line, why=sentence) if line else sentence
    )


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line, counted from 1, where a key or table of a valid document begins."""
    table: tuple[str, ...] = ()
    best: tuple[int, int] | None = None
    for number, raw in enumerate(text.removeprefix(BOM).split("\n"), 1):
        line = raw.strip()
        if line.startswith("["):
            found = table = _path_of(line)
        else:
            found = table + _path_of(line.partition("=")[0] + "= 0") if "=" in line else ()
            if "=" in line and found == table:
                continue
        shared = _shared(found, path)
        # The whole path itself, a longer one through it, or the inline table that holds it.
        if shared == len(path):
            return number
        if shared == len(found) and shared and (best is None or shared > best[0]):
            best = shared, number
    return best[1] if best else None


def _shared(found: tuple[str, ...], path: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(found, path, strict=False):
        if one != other:
            break
        count += 1
    return count


def _path_of(line: str) -> tuple[str, ...]:
    """Return the keys that one line of TOML names, outermost first; () if it is none."""
    try:
        value: object = parse(line)
    except InvalidValueError:
        return ()
    path: list[str] = []
    while True:
        if isinstance(value, list) and value:
            value = value[0]
        if not (isinstance(value, dict) and value):
            return tuple(path)
        key, value = next(iter(_strings(value).items()))
        path.append(key)


def _strings(value: Mapping[str, object]) -> Mapping[str, object]:
    return value
