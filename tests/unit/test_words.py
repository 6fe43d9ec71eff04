"""The words of docs/glossary.md: its forbidden phrases are searched for wherever they count.

`python -m tests.unit.test_words FILE…` lists those of files (without FILE: of all), with what to
write instead.
"""

from __future__ import annotations

import ast
import html
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GLOSSARY = "docs/glossary.md"

FILES = (
    *("lowmem_tui/**/*.py", "lowmem_tui/**/*.toml", "tests/**/*.py", "css/*.tcss"),
    "docs/**/*.svg",
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md"),
)

_LOUD = re.compile(r"\b[A-Z]{2,}\b")

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|_")
_JOINT = re.compile(r""" *["']\n *[rbf]*["']|\n *(?:#:? ?)?""")
"""Where strings, comments and documents go on in the next line."""
_QUOTED = re.compile(r"^```.*?^```|^    .*?$|`[^`]*`", re.DOTALL | re.MULTILINE)
_SVG_TEXT = re.compile(r"<text[^>]*>(.*?)</text>")


class Phrase(NamedTuple):
    """What is not to be written."""

    pattern: re.Pattern[str]
    write: str
    counts: frozenset[str]
    """``package``, ``docs``, ``screens``: see the glossary."""


class Line(NamedTuple):
    """A text without what only lays it out; line breaks stay, so that lines can be counted."""

    as_written: str
    lower: str


def laid_out(text: str) -> Line:
    """Return a text in which words have one space, or one line break, between them."""
    flat = _CAMEL.sub(" ", _JOINT.sub("\n", re.sub(r" +\n", "\n", text)))
    return Line(flat, flat.lower())


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern for texts that are laid out; words in upper case are meant so."""
    return re.compile("(?:" + pattern.replace(" ", r"[ \n]") + ")(?![a-z])")


def matches(pattern: re.Pattern[str], line: Line) -> Iterator[re.Match[str]]:
    """Yield where a pattern's words are."""
    text = line.as_written if _LOUD.search(pattern.pattern) else line.lower
    for match in pattern.finditer(text):
        # Asked here: a pattern that begins with its words is found ten times faster.
        if not text[max(0, match.start() - 1) : match.start()].isalpha():
            yield match


@cache
def phrases() -> tuple[Phrase, ...]:
    """Return the forbidden phrases of the glossary."""
    page = (ROOT / GLOSSARY).read_text("utf-8")
    block = re.search(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert block is not None
    return tuple(
        Phrase(compiled(each["pattern"]), each["write"], frozenset(each["counts"]))
        for each in tomllib.loads(block[1])["forbidden"]
    )


def files() -> list[str]:
    """Return every file in which words count, by its path from the root."""
    found = {p.relative_to(ROOT).as_posix() for pattern in FILES for p in ROOT.glob(pattern)}
    return sorted(found - {GLOSSARY})


def texts(name: str) -> dict[str, str]:
    """Return what counts of a file by scope; lines keep their numbers where there are any."""
    text = (ROOT / name).read_text("utf-8")
    if name.startswith("tests/"):
        return {"package": "; ".join([Path(name).stem, *names(text)])}
    if name.endswith(".py"):
        return {"package": text, "screens": strings(text)}
    if name.endswith((".tcss", ".toml")):
        return {"package": text, "screens": text}
    if name.endswith(".svg"):
        lines = "\n".join(_SVG_TEXT.findall(text))
        return {"screens": html.unescape(lines).replace("\xa0", " ")}
    return {"docs": _QUOTED.sub(lambda quoted: "\n" * quoted[0].count("\n") or "…", text)}


def names(text: str) -> Iterator[str]:
    """Yield the names of a module's functions and classes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def strings(text: str) -> str:
    """Return the strings of a module that are no docstrings, as they are written."""
    tree = ast.parse(text)
    aside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr | ast.JoinedStr)
        for inner in ast.iter_child_nodes(node)
    }
    lines = text.encode().split(b"\n")
    found = [
        source(lines, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        or (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in aside
        )
    ]
    return "\n.\n".join(found)


def source(lines: list[bytes], node: ast.expr) -> str:
    """Return a node as it is written: ``ast.get_source_segment`` splits the text each time."""
    end = (node.end_lineno or node.lineno) - 1
    found = [*lines[node.lineno - 1 : end], lines[end][: node.end_col_offset]]
    found[0] = found[0][node.col_offset :]
    return b"\n".join(found).decode()


def occurrences(name: str) -> list[tuple[str, str]]:
    """Return the forbidden phrases of a file: where and as it is written, and what to write."""
    found = []
    found_in = texts(name)
    for scope, text in found_in.items():
        line = laid_out(text)
        for phrase in phrases():
            # What counts in all of a file counts in its strings anyway.
            twice = scope == "screens" and "package" in found_in and "package" in phrase.counts
            if scope not in phrase.counts or twice:
                continue
            for match in matches(phrase.pattern, line):
                number = match.string.count("\n", 0, match.start()) + 1
                found.append((f"{number}: {' '.join(match[0].split())}", phrase.write))
    return found


@pytest.mark.parametrize("name", files())
def test_a_file_has_no_forbidden_phrase(name: str) -> None:
    assert occurrences(name) == [], "see docs/glossary.md"


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("put back", "what was put back", True),
        ("put back", "class PutBackError", True),
        ("put back", "_PUT_BACK = 6", True),
        ("put back", '"it was put "\n    f"back again"', True),
        ("put back", "# it was put\n    # back", True),
        ("put back", "input back", False),
        ("put back", "put backwards", False),
        ("HELD", "held", False),
        ("HELD", "WITHHELD", False),
        ("HELD", "RSS  HELD", True),
    ],
)
def test_a_phrase_is_found_however_it_is_written(pattern: str, text: str, found: bool) -> None:
    assert bool(list(matches(compiled(pattern), laid_out(text)))) is found


def test_what_a_document_quotes_does_not_count() -> None:
    assert _QUOTED.sub("", "a `put back` b\n```\nput back\n```\n    put back\nc") == "a  b\n\n\nc"


def test_strings_are_distinguished_from_docstrings_and_comments() -> None:
    source = '"""a"""\nx = "b"  # c\ny = f"d {x}"\n'
    assert strings(source).split() == ['"b"', ".", 'f"d', '{x}"']


def main(arguments: list[str]) -> int:
    """List what is found; ``--write`` is accepted, and there is nothing to write."""
    if arguments != ["--write"]:
        for name in arguments or files():
            for where, write in occurrences(name):
                print(f"{name}:{where}  ->  {write}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
