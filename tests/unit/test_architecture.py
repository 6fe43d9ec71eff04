"""docs/architecture.md: its picture is drawn from the imports, and it names each of its packages.

`python -m tests.unit.test_architecture --write` draws the picture again.
"""

from __future__ import annotations

import re
import sys
import textwrap
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.test_house import PACKAGE, modules_looked_into, room_of, sub_package_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Graph = Mapping[str, set[str]]

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "architecture.md"
WIDTH = 118
GAP = "  "

_PICTURE = re.compile(r"(<!-- imports: .*? -->\n```\n)(.*?)(```\n<!-- end)", re.DOTALL)


@cache
def imported() -> dict[str, set[str]]:
    """Return what each module imports; read once."""
    return modules_looked_into()


def rooms() -> dict[str, set[str]]:
    """Return which rooms each room imports."""
    found: dict[str, set[str]] = {}
    for name, others in imported().items():
        if room := room_of(name):
            there = {room_of(other) or other for other in others} - {room, "__init__"}
            found.setdefault(room, set()).update(there & set(all_rooms()))
    return found


def all_rooms() -> list[str]:
    return sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py"))


def siblings(room: str) -> dict[str, set[str]]:
    """Return the sub-packages of a room, each with those of the same room that it imports."""
    found: dict[str, set[str]] = {}
    for name, others in imported().items():
        if room_of(name) == room and (here := sub_package_of(name)):
            there = {sub_package_of(other) for other in others if room_of(other) == room}
            found.setdefault(here, set()).update(there - {here, ""})
    return {
        here.partition("/")[2]: {other.partition("/")[2] for other in found[here]}
        for here in sorted(found)
    }


def reached(graph: Graph, start: str) -> set[str]:
    """Return what can be reached from a node, itself aside unless there is a circle."""
    seen, todo = set[str](), list(graph.get(start, ()))
    while todo:
        if (node := todo.pop()) not in seen:
            seen.add(node)
            todo += graph.get(node, ())
    return seen


def direct(graph: Graph, start: str) -> list[str]:
    """Return what a node leads to, without what is reached through another one."""
    others = graph[start]
    return sorted(n for n in others if not any(n in reached(graph, o) for o in others - {n}))


def floors(graph: Graph) -> list[list[str]]:
    """Return the rooms by floor, the highest first: each is above all that it imports."""

    def height(room: str) -> int:
        return 1 + max(map(height, graph[room]), default=-1)

    heights = {room: height(room) for room in graph}
    return [
        sorted(room for room in graph if heights[room] == floor)
        for floor in range(max(heights.values()), -1, -1)
    ]


def box(room: str, below: list[str], parts: Graph, width: int) -> list[str]:
    """Return a room as a box, without its bottom."""
    inside = width - 4
    lines = [f"▼ {', '.join(below)}"] if below else []
    for part, others in parts.items():
        text = f"{part} → {', '.join(sorted(others))}" if others else part
        lines += textwrap.wrap(text, inside, subsequent_indent="    ")
    top = f"┌─ {room} ".ljust(width - 1, "─") + "┐"
    return [top, *(f"│ {line.ljust(inside)} │" for line in lines)]


def picture() -> str:
    """Return the picture: the rooms floor by floor, each with its sub-packages."""
    graph = rooms()
    return "".join(f"{line}\n" for floor in floors(graph) for line in row(floor, graph))


def row(floor: list[str], graph: Graph) -> Iterator[str]:
    """Yield the lines of a floor: its boxes side by side."""
    width = (WIDTH - len(GAP) * (len(floor) - 1)) // len(floor)
    boxes = [box(room, direct(graph, room), siblings(room), width) for room in floor]
    empty = "│" + " " * (width - 2) + "│"
    for lines in zip_longest(*boxes, fillvalue=empty):
        yield GAP.join(lines)
    yield GAP.join(["└" + "─" * (width - 2) + "┘"] * len(floor))


def test_the_picture_shows_the_imports() -> None:
    shown = _PICTURE.search(PAGE.read_text("utf-8"))
    assert shown is not None
    assert shown[2] == picture(), "python -m tests.unit.test_architecture --write"


def test_each_room_and_sub_package_is_described() -> None:
    text = PAGE.read_text("utf-8")
    described = text[text.index("## The rooms") :]
    missing = [
        name
        for room in all_rooms()
        for name in [room, *(f"{room}/{part}" for part in siblings(room))]
        if f"`{name}`" not in described
    ]
    assert missing == []


def test_what_is_reached_through_another_is_not_drawn() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert direct(graph, "a") == ["b"]
    assert floors(graph) == [["a"], ["b"], ["c"]]


def main() -> None:
    """Draw the picture again."""
    text = PAGE.read_text("utf-8")
    PAGE.write_text(_PICTURE.sub(lambda m: m[1] + picture() + m[3], text), "utf-8")


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    main()
