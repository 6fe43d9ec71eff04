"""No parser of foreign text is without a target."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.targets import NOT_PARSERS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "lowmem_tui"
ROOMS = ("model", "policy", "stream", "recording", "host", "change", "setup")
GIVEN = frozenset({"text", "raw", "line", "lines", "value", "word", "words"})
"""What a parser's first argument is called."""


def parsers() -> Iterator[str]:
    """Yield the public functions whose first argument is a text by name and by type."""
    for room in ROOMS:
        for path in (PACKAGE / room).rglob("*.py"):
            if "demo" in path.parts:
                continue
            module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    first = next(iter(node.args.args), None)
                    kind = ast.unparse(first.annotation) if first and first.annotation else ""
                    if first and first.arg in GIVEN and ("str" in kind or "bytes" in kind):
                        yield f"{module}.{node.name}"


def test_each_parser_has_a_target() -> None:
    covered = {name for target in TARGETS.values() for name in target.covers}
    assert set(parsers()) - covered - NOT_PARSERS.keys() == set()


def test_each_target_names_functions_that_exist() -> None:
    for name in {n for t in TARGETS.values() for n in t.covers} | NOT_PARSERS.keys():
        module, _, function = name.rpartition(".")
        path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
        assert f"def {function}(" in path.read_text(), name


def test_each_target_begins_with_something() -> None:
    assert [name for name, target in TARGETS.items() if not target.seeds] == []
