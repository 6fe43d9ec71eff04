"""The house's rules: which room may look into which, and who may import what."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "lowmem_tui"
MODULES = sorted(p for p in PACKAGE.rglob("*.py"))

MAY_LOOK_INTO = {
    "model": set[str](),
    "policy": {"model"},
    "host": {"model"},
    "stream": {"model"},
    "recording": {"model", "stream"},
    "demo": {"model", "host"},
    "change": {"model", "policy", "host"},
    "setup": {"model", "policy", "host", "change"},
    "tui": {"model", "policy"},
    "cli": {"model", "policy", "host", "stream", "recording", "change", "setup", "tui", "demo"},
    "": {"cli"},
}

STANDARD_LIBRARY_ALONE = {"model", "policy", "stream", "recording", "demo", "change"}

# (library, the only places below lowmem_tui/ that may import it)
LIBRARIES = [
    ("textual", ("tui/", "cli/screen.py")),
    ("rich", ("tui/",)),
    ("jeepney", ("host/dbus/jeepney_client.py", "host/dbus/jeepney_link.py")),
    ("pydbus", ("host/dbus/pydbus_client.py",)),
    ("gi", ("host/dbus/pydbus_client.py",)),
    ("subprocess", ("host/programs.py",)),
    ("psutil", ("host/facts.py",)),
    ("crossplane", ("setup/nginx/config.py",)),
]


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def room_of(name: str) -> str:
    return name.split("/")[0] if "/" in name else ""


def imports(module: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            assert node.module is not None
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_looks_only_into_the_rooms_it_may(module: Path) -> None:
    room = room_of(name_of(module))
    wrong = [
        f"line {line}: {imported}"
        for imported, line in imports(module)
        if imported.startswith("lowmem_tui.")
        and (PACKAGE / (target := imported.split(".")[1])).is_dir()
        and target not in MAY_LOOK_INTO[room] | {room}
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
@pytest.mark.parametrize(("library", "places"), LIBRARIES, ids=[name for name, _ in LIBRARIES])
def test_a_library_stays_in_its_place(module: Path, library: str, places: tuple[str, ...]) -> None:
    if name_of(module).startswith(places):
        return
    assert [i for i, _ in imports(module) if i.split(".")[0] == library] == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_some_rooms_need_the_standard_library_alone(module: Path) -> None:
    if room_of(name_of(module)) in STANDARD_LIBRARY_ALONE:
        roots = {imported.split(".")[0] for imported, _ in imports(module)}
        assert roots - sys.stdlib_module_names == {"lowmem_tui"} & roots


def modules_looked_into() -> dict[str, set[str]]:
    """Return what each module imports of this package, for types alone or not."""
    dotted = {name_of(m).removesuffix(".py").removesuffix("/__init__"): m for m in MODULES}

    def found(name: str) -> str:
        path = name.removeprefix("lowmem_tui.").replace(".", "/")
        return path if path in dotted else path.rpartition("/")[0]

    return {
        name: {
            found(i) for i, _ in imports(m) if i.startswith("lowmem_tui.") and found(i) in dotted
        }
        - {name}
        for name, m in dotted.items()
    }


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of nodes of which each can be reached from each other."""

    def reached(start: str) -> set[str]:
        seen, todo = set[str](), [start]
        while todo:
            todo += (new := graph.get(todo.pop(), set()) - seen)
            seen |= new
        return seen

    from_each = {node: reached(node) for node in graph}
    found = [
        {other for other in from_each[node] if node in from_each[other]}
        for node in graph
        if node in from_each[node]
    ]
    return [c for i, c in enumerate(found) if c not in found[:i]]


def test_screens_and_widgets_are_handed_a_session_and_know_no_app() -> None:
    who = [name_of(m) for m in MODULES if "lowmem_tui.tui.app" in {i for i, _ in imports(m)}]
    assert who == ["cli/screen.py"]


def sub_package_of(name: str) -> str:
    return (
        "/".join(name.split("/")[:2]) if (PACKAGE / "/".join(name.split("/")[:2])).is_dir() else ""
    )


def test_no_module_is_imported_in_a_circle() -> None:
    assert circles(modules_looked_into()) == []


def test_no_sub_package_looks_into_another_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, others in modules_looked_into().items():
        if here := sub_package_of(name):
            there = {sub_package_of(other) for other in others} - {here, ""}
            graph.setdefault(here, set()).update(there)
    assert circles(graph) == []


LONGEST = 60
"""Lines of a function. Files are split by what they mean, not at a number of lines."""


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(module: Path) -> None:
    long = [
        f"{node.name}: {length} lines"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST
    ]
    assert long == []


NUMBERS = {
    "model/integer.py": "the one parser",
    "model/quantity.py": "single digits of a fraction; octal and hexadecimal notation",
    "policy/classify.py": "a tier of our own table, by a pattern of one digit",
    "host/reading.py": "a decimal fraction of the kernel's",
    "host/dbus/systemd.py": "characters of an object path",
}
"""Where a text is made a number, or asked whether it is one, by other means."""


def makes_a_number(node: ast.AST) -> bool:
    """Tell whether this is ``int(name)`` or asks for digits; arithmetic makes no number of text."""
    if isinstance(node, ast.Attribute):
        return node.attr in {"isdigit", "isdecimal", "isnumeric"}
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "int"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Name | ast.Attribute | ast.Subscript)
        and ast.unparse(node.args[0]) not in NUMBERS_ALREADY
    )


NUMBERS_ALREADY = {"tier", "seconds", "since", "until", "size", "needed"}
"""Floats and enumerations by name: int() rounds them, or gives their value."""


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_text_becomes_a_number_in_one_place(module: Path) -> None:
    """int() takes more than digits, raises, and is quadratic: model.integer instead."""
    if name_of(module) in NUMBERS or "demo/" in name_of(module):
        return
    found = [f"line {n.lineno}" for n in ast.walk(ast.parse(module.read_text()))
             if isinstance(n, ast.Attribute | ast.Call) and makes_a_number(n)]  # fmt: skip
    assert found == []


PRODUCTS = ("nginx", "redis", "valkey", "keydb", "gunicorn", "php", "celery", "uwsgi", "flask",
            "swapfile.swap", "/swapfile", "zram0", "sysctl.d", "journald.conf", "tmpfiles.d",
            "tmpfiles", "config.toml", "mysql", "postgres")  # fmt: skip
"""What belongs to a step: ``change/`` is told it by what the step registers (setup.steps)."""

NAMED_BY = {
    "host/logs/kill_evidence.py": {"journald.conf"},  # where an empty journal is mended
}


@pytest.mark.parametrize(
    "module", [m for m in MODULES if room_of(name_of(m)) in {"change", "host"}], ids=name_of
)
def test_change_and_host_name_no_product(module: Path) -> None:
    """Not in code, not in words, not in the name of a file."""
    name = name_of(module)
    text = f"{name}\n{module.read_text()}".lower()
    assert {each for each in PRODUCTS if each in text} <= NAMED_BY.get(name, set())


def test_every_rule_names_a_room_that_exists() -> None:
    assert {room for room in MAY_LOOK_INTO if room} == {
        p.parent.name for p in PACKAGE.glob("*/__init__.py")
    }
