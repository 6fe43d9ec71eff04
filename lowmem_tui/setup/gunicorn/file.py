"""What a gunicorn configuration file sets. It is a program: it is read, not run."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

from lowmem_tui.setup.gunicorn import python_text
from lowmem_tui.setup.gunicorn.options import NUMBERS, OPTIONS, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DYNAMIC = frozenset(
    {
        *("globals", "locals", "vars", "exec", "eval", "compile", "setattr", "delattr", "dir"),
        *("__import__", "__builtins__", "__dict__", "__config__", "__main__", "builtins"),
        *("modules", "__setattr__", "__setitem__", "__globals__", "f_globals", "f_locals"),
        *("_getframe", "currentframe", "import_module", "run_path", "run_module", "exec_module"),
        *("execfile", "breakpoint", "ctypes", "gc"),
    }
)
"""Whoever names one of these may set any name of the module."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def of_file(text: str) -> tuple[dict[str, str], set[str]]:
    """Return the options that a configuration file sets, and the names of those that it computes.

    A file that is no Python, that is too long or too deep to be read, or that may set what cannot
    be seen (``from x import *``, ``globals()``) computes all. Never raises.
    """
    tree = _parsed(text)
    if tree is None or any(map(_is_dynamic, ast.walk(tree))):
        return {}, set(OPTIONS)
    found: dict[str, str] = {}
    computed: set[str] = set()
    for statement in tree.body:
        for name, value in _sets(statement):
            found.pop(name, None)
            computed.discard(name)
            if value is None:
                computed.add(name)
            elif value:
                found[name] = value
    nodes = [*ast.walk(tree)]
    hooked = any(isinstance(node, ast.Attribute) and node.attr == "cfg" for node in nodes)
    later = {name for node in nodes for name in _sets_later(node, hooked)}
    return {name: value for name, value in found.items() if name not in later}, computed | later


def _parsed(text: str) -> ast.Module | None:
    if not python_text.is_small(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of their escapes and literals
            return ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_dynamic(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _DYNAMIC
        case ast.alias(name=name):
            return name == "*" or not _DYNAMIC.isdisjoint(name.split("."))
        case ast.Constant(value="__config__" | "__dict__" | "__builtins__"):
            return True
        case _:
            return False


def _sets(statement: ast.stmt) -> Iterator[tuple[str, str | None]]:
    """Yield the options that a statement binds: to what, None if that is computed, "" for unset."""
    match statement:
        case ast.Assign(targets=targets, value=value) if all(
            isinstance(target, ast.Name) for target in targets
        ):
            names: Iterable[str] = [t.id for t in targets if isinstance(t, ast.Name)]
            for name in _options(names):
                yield name, _literal(name, value)
            names = _bound(value)
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            if value is not None:
                for option in _options([name]):
                    yield option, _literal(option, value)
            names = _bound(value) if value else ()
        case ast.Delete(targets=targets):
            names = ()
            for name in _options(t.id for t in targets if isinstance(t, ast.Name)):
                yield name, ""
        case _:
            names = _bound(statement)
    for name in _options(names):
        yield name, None


def _options(names: Iterable[str]) -> Iterator[str]:
    """Yield the options that are called so in a file."""
    for name in names:
        option = name.replace("_", "-")
        if option in OPTIONS and "-" not in name:
            yield option


def _literal(option: str, node: ast.expr) -> str | None:
    if not isinstance(node, ast.Constant):
        return None
    value = node.value
    if type(value) is int and option in NUMBERS and 0 <= value < 10**9:
        return str(value)
    return (value_of(option, value) or None) if isinstance(value, str) else None


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement may bind in the scope that it is in."""
    nodes = [node]
    while nodes:
        each = nodes.pop()
        match each:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                yield name
            case _:
                pass
        nodes += _in_scope(each)


def _in_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children of a node that bind in its own scope, or in the one around it."""
    if isinstance(node, ast.comprehension):
        yield from (node.iter, *node.ifs)
    elif isinstance(node, _SCOPES):
        for name, value in ast.iter_fields(node):
            if name == "args":
                yield from (d for d in (*value.defaults, *value.kw_defaults) if d is not None)
            elif name in {"decorator_list", "bases", "keywords"}:
                yield from value
    else:
        yield from ast.iter_child_nodes(node)


def _sets_later(node: ast.AST, hooked: bool) -> Iterator[str]:
    """Yield the options that a function sets when it is called, or a hook in gunicorn itself.

    ``hooked`` says whether the file names gunicorn's own ``cfg`` at all.
    """
    match node:
        case ast.Global(names=names):
            yield from _options(names)
        case ast.Attribute(attr="num_workers", ctx=ast.Store()):
            yield "workers"
        case ast.Attribute(attr="settings", value=ast.Attribute(attr="cfg") | ast.Name(id="cfg")):
            yield from OPTIONS
        case ast.Call(func=ast.Attribute(attr="set"), args=[ast.Constant(value=str(name)), _]):
            yield from _options([name.lower()])
        case ast.Call(func=ast.Attribute(attr="set")) if hooked:
            yield from OPTIONS
        case _:
            pass
