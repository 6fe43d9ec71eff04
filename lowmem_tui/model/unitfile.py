"""systemd's unit file syntax, and which assignment of several files wins.

As ``config_parse`` of systemd (src/shared/conf-parser.c, systemd.syntax(7)) reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.snapshot import Source, Standing
from lowmem_tui.model.unit import MEMORY_KEYS, Key, UnitType, unit_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.snapshot import UnitFile

MEMORY_LIMIT = "MemoryLimit"
"""The deprecated name of MemoryMax: it counts where no newer memory setting stands."""

SECTIONS = {
    UnitType.SERVICE: "Service",
    UnitType.SCOPE: "Scope",
    UnitType.SLICE: "Slice",
    UnitType.SOCKET: "Socket",
    UnitType.MOUNT: "Mount",
    UnitType.SWAP: "Swap",
}

_SPACE = " \t\n\r"
_BOM = "\ufeff"
# read_line() of systemd ends a line at any of LF, CR and NUL, taking a pair such as CR LF as one.
_LINE = re.compile(r"([^\n\r\0]*)(?:(?:\n\r?|\r\n?)?\0|\n\r?|\r\n?|\Z)")
_LONGEST = 1 << 20
"""LONG_LINE_MAX: at a longer line systemd stops reading the file."""

_UNSAFE_HEADER = re.compile(r"[\x00-\x1f\x7f\"'\\]")


class Assignment(NamedTuple):
    """One ``key = value`` of a unit file."""

    section: str
    key: str
    value: str
    """Spaces around it taken away, continuation lines joined; not unquoted."""
    line: int
    """Of its last line, counted from 1, as systemd's own messages count."""


class Winner(NamedTuple):
    """The assignment that counts, and the file that has it."""

    path: str
    assignment: Assignment

    @property
    def value(self) -> str:
        """The text as it stands there; "" where the file resets the setting to its default."""
        return self.assignment.value


def section_of(unit: str) -> str | None:
    """Return the section that holds resource settings for a unit of this name.

    None for a type that has none (a timer, a target…).
    """
    return SECTIONS.get(unit_type(unit))


def assignments(text: str) -> list[Assignment]:
    """Return every assignment in a section, in order; never raises.

    As systemd does, it stops at a broken section header and at a line that is not UTF-8 (a lone
    surrogate in ``text``): what stands before them counts, what follows does not.
    """
    return [each for each in _read(text)[0] if each.section]


def stray(text: str) -> list[Assignment]:
    """Return the assignments ahead of any section header: systemd ignores them."""
    return [each for each in _read(text)[0] if not each.section]


def end(text: str) -> int | None:
    """Return the line at which systemd stops to read a file, counted from 1; None if at its end."""
    return _read(text)[1]


def _read(text: str) -> tuple[list[Assignment], int | None]:
    found: list[Assignment] = []
    section = ""
    for line, number in _logical_lines(text):
        if any("\ud800" <= char <= "\udfff" for char in line):
            return found, number
        if line[0] == "[":
            if line[-1] != "]" or _UNSAFE_HEADER.search(line):
                return found, number
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if equals and key:
            found.append(Assignment(section, key.strip(_SPACE), value.strip(_SPACE), number))
    return found, None


def _logical_lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield non-empty lines with continuations joined, comments and the byte order mark gone."""
    parts: list[str] = []
    number = length = 0
    bom = True
    for match in _LINE.finditer(text):
        if not match[0]:
            break
        number += 1
        line = match[1]
        if line.lstrip(_SPACE)[:1] in {"#", ";"}:
            continue
        if bom and line.startswith(_BOM):
            line, bom = line[1:], False
        length += len(line)
        if length > _LONGEST:
            return
        if _escaped(line):
            parts += (line[:-1], " ")
            continue
        if stripped := "".join([*parts, line]).strip(_SPACE):
            yield stripped, number
        parts.clear()
        length = 0
    if stripped := "".join(parts).strip(_SPACE):
        yield stripped, number + 1


def _escaped(line: str) -> bool:
    """Tell whether the line ends in an odd number of backslashes."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def accepted(key: str, value: str) -> bool:
    """Tell whether systemd takes this value, or ignores it with a warning."""
    try:
        parse_value(Key.MEMORY_MAX if key == MEMORY_LIMIT else Key(key), value, 1 << 30)
    except InvalidValueError:
        return False
    except ValueError:
        return True
    return True


def winning(files: Sequence[UnitFile], section: str, key: Key) -> Winner | None:
    """Return the assignment that decides a setting, None if no file sets it.

    ``files`` are in systemd's order: ``FragmentPath``, then ``DropInPaths``. A value that systemd
    refuses does not win. An empty value that resets wins, with the text "". For MemoryMax a
    ``MemoryLimit=`` wins where no newer memory setting stands (until systemd 257).
    """
    return _last(_assigned(files, section, key), key)


def sources(
    files: Sequence[UnitFile], section: str, key: Key, hidden: Sequence[UnitFile] = ()
) -> tuple[Source, ...]:
    """Return every place that sets a setting, in systemd's order, and the result of each.

    ``files`` are in systemd's order, as for ``winning``; ``hidden`` are those that systemd does not
    read, because another file has their name. They come first. At most one place decides.
    """
    shown = _names(key)
    found = _assigned(files, section, key)
    winner = _last(found, key)
    standing = Standing.DECIDES
    if winner is not None and _unread_after(files, winner.path):
        standing = Standing.UNKNOWN
    rows = [(each, Standing.NOT_READ) for each in _assigned(hidden, section, key)]
    for each in found:
        if each is winner:
            rows.append((each, standing))
        elif accepted(each.assignment.key, each.value):
            rows.append((each, Standing.OVERRIDDEN))
        else:
            rows.append((each, Standing.IGNORED))
    return tuple(
        Source(each.path, each.assignment.line, each.assignment.key, each.value, how)
        for each, how in rows
        if each.assignment.key in shown
    )


def decisive(sources: Sequence[Source]) -> Source | None:
    """Return the place that decides, as far as it is known; None if there is none."""
    return next((source for source in sources if source.decides), None)


def _names(key: Key) -> frozenset[str]:
    """Return the names of a setting in unit files."""
    return frozenset({key, MEMORY_LIMIT} if key is Key.MEMORY_MAX else {key})


def _unread_after(files: Sequence[UnitFile], path: str) -> bool:
    """Tell whether a file after this one cannot be read."""
    after = False
    for file in files:
        if after and file.text is None:
            return True
        after = after or file.path == path
    return False


def _assigned(files: Sequence[UnitFile], section: str, key: Key) -> list[Winner]:
    """Return the assignments on which a setting depends, in order."""
    names = {*_names(key), *MEMORY_KEYS} if key is Key.MEMORY_MAX else {key}
    return [
        Winner(file.path, assignment)
        for file in files
        for assignment in assignments(file.text or "")
        if assignment.section == section and assignment.key in names
    ]


def _last(found: Sequence[Winner], key: Key) -> Winner | None:
    """Return which of the assignments decides."""
    last = {
        each.assignment.key: each for each in found if accepted(each.assignment.key, each.value)
    }
    if key is Key.MEMORY_MAX and not any(_counts(each, last.get(each)) for each in MEMORY_KEYS):
        return last.get(MEMORY_LIMIT) or last.get(key)
    return last.get(key)


def _counts(key: Key, winner: Winner | None) -> bool:
    """Tell whether a setting has another value than its default."""
    return winner is not None and parse_value(key, winner.value, 1 << 30) != key.facts.default
