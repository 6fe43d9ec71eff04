"""Insert one statement into a location of a file that is not ours; the rest is unchanged.

crossplane reports lines, not columns: the place is searched on its line, and the result is parsed
again. What is not exactly the earlier file and that one statement is not written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.setup.nginx.config import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.setup.nginx.config import Directive

# crossplane's text mode ends a line at each of these.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


PLACES = 20
"""So many places on one line are checked: each is parsed."""


class _Flat(NamedTuple):
    depth: int
    name: str
    args: tuple[str, ...]


def inserted(text: str, location: Directive, first: Directive, statement: str) -> str | None:
    """Return the text with a statement ahead of the ``first`` one of a location.

    None if the place cannot be determined.
    """
    lines = _LINE.findall(text)
    if not 0 < first.line <= len(lines):
        return None
    line = lines[first.line - 1]
    made = [
        "".join([*lines[: first.line - 1], _with(line, at, statement), *lines[first.line :]])
        for at in _places(line, first.name)
    ]
    good = [each for each in made if _only(text, each, location, statement)]
    # Two of the same on one line cannot be distinguished.
    return good[0] if len(good) == 1 else None


def _with(line: str, at: int, statement: str) -> str:
    """Return a line with a statement at a place: on a line of its own where nothing is before."""
    before, after = line[:at], line[at:]
    if before.strip():
        return f"{before}{statement} {after}"
    end = re.search(r"(?:\r\n|\r|\n)?\Z", line)
    return f"{before}{statement}{(end and end[0]) or chr(10)}{line}"


def replaced(text: str, old: Directive, statement: str) -> str | None:
    """Return the text with one statement replaced by another; None if it is not certain."""
    lines = _LINE.findall(text)
    if not 0 < old.line <= len(lines):
        return None
    pattern = rf"(?<![^\s{{}};]){re.escape(old.name)}\s[^;{{}}\"'#\\]*;"
    made, count = re.subn(pattern, lambda _: statement, lines[old.line - 1])
    if count != 1:
        return None
    lines[old.line - 1] = made
    result = "".join(lines)
    was, now = _flattened(text), _flattened(result)
    wanted = _flattened(statement)
    if was is None or now is None or wanted is None or len(was) != len(now):
        return None
    changed = [(a, b) for a, b in zip(was, now, strict=True) if a != b]
    if any(b[1:] != wanted[0][1:] or a.name != old.name or a.args != old.args for a, b in changed):
        return None
    return result if len(changed) <= 1 else None


def _places(line: str, name: str) -> list[int]:
    """Return where on a line a statement may begin; the first place, if nothing is before it."""
    found = [m.start() for m in re.finditer(rf"(?<![^\s{{}};]){re.escape(name)}(?=[\s;{{])", line)]
    return found[:1] if found and not line[: found[0]].strip() else found[:PLACES]


def _only(text: str, made: str, location: Directive, statement: str) -> bool:
    """Return whether exactly one statement is new: the first one of that location."""
    was, now, new = _flattened(text), _flattened(made), _flattened(statement)
    if was is None or now is None or new is None or len(now) != len(was) + 1:
        return False
    at = next((i for i, each in enumerate(now) if i >= len(was) or each != was[i]), len(was))
    # A run of the same statement may be longer by one at either end.
    while at > 0 and now[at - 1] == now[at]:
        at -= 1
    if now[at][1:] != new[0][1:] or at == 0 or now[at + 1 :] != was[at:]:
        return False
    above = now[at - 1]
    return (
        above.depth == now[at].depth - 1
        and (above.name, above.args) == (location.name, location.args)
        and _lines(text)[at - 1] == location.line
    )


def _flattened(text: str) -> list[_Flat] | None:
    found, wrong = statements(text)
    return None if wrong else [_Flat(depth, d.name, d.args) for depth, d in _walk(found, 0)]


def _lines(text: str) -> list[int]:
    return [d.line for _, d in _walk(statements(text)[0], 0)]


def _walk(block: Iterable[Directive], depth: int) -> Iterator[tuple[int, Directive]]:
    for each in block:
        yield depth, each
        yield from _walk(each.block or (), depth + 1)
