"""Whether a Python text is small and flat enough to be parsed: before the parser sees it.

ast.parse() recurses in C for each level of an expression; a hostile text of a few kilobytes costs
it seconds, all memory or the process. What is refused here is a file that nobody wrote by hand.
"""

from __future__ import annotations

import re

LONGEST = 1 << 16
"""Characters."""
TOKENS = 8_000
"""Of the whole text, blanks and comments among them."""
DEPTH = 400
"""Of one statement: what one expression may be made of, an operator or a name being one."""
BRACKETS = 16
NAME = 200
"""Characters of a name."""
BRANCHES = 60
"""``elif`` and ``else``: each is one level below the one before."""

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\f]+|\#[^\n]*|\\\r?\n)|(?P<line>\r?\n|;)
    |(?P<prefix>[A-Za-z]{0,2})(?P<quote>'''|\"\"\"|'|\")
    |(?P<name>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)|.""",
    re.VERBOSE | re.DOTALL,
)
_ENDS = {
    "'": re.compile(r"(?:[^'\\\n]|\\.)*'", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*"', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]|\\.|'(?!''))*'''", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"""', re.DOTALL),
}


class _Levels:
    """How deep the expression at hand may be: a count for each open bracket, and their sum."""

    def __init__(self) -> None:
        self._counts = [0]
        self.depth = 0

    def add(self, number: int = 1) -> None:
        self._counts[-1] += number
        self.depth += number

    def clear(self) -> None:
        """Start again at a comma or the end of a statement: what follows is not deeper."""
        self.depth -= self._counts[-1]
        self._counts[-1] = 0

    def open(self) -> None:
        self.add()
        self._counts.append(0)

    def close(self) -> None:
        if self.brackets:
            self.clear()
            self._counts.pop()

    @property
    def brackets(self) -> int:
        return len(self._counts) - 1


def is_small(text: str) -> bool:
    """Return whether a text is within all bounds; it need not be Python. Linear time."""
    if len(text) > LONGEST or "\0" in text:
        return False
    levels = _Levels()
    at = tokens = branches = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return False
        tokens += 1
        at = match.end()
        kind = match.lastgroup
        if kind == "quote":
            end = _ENDS[match["quote"]].match(text, at)
            if end is None:
                return False
            # What is in an f-string is parsed, too: each of its characters may be a level.
            levels.add(len(end[0]) if "f" in match["prefix"].lower() else 1)
            at = end.end()
        elif kind == "line":
            if not levels.brackets:
                levels.clear()
        elif kind == "open":
            levels.open()
        elif kind == "close":
            levels.close()
        elif kind == "comma":
            levels.clear()
        elif kind == "name" and len(match[0]) > NAME:
            return False
        elif kind != "blank":
            branches += match[0] in {"elif", "else"}
            levels.add()
        if not (
            levels.depth <= DEPTH
            and levels.brackets <= BRACKETS
            and tokens <= TOKENS
            and branches <= BRANCHES
        ):
            return False
    return True
