"""gunicorn's options: on a command line, in GUNICORN_CMD_ARGS, in its configuration file.

In gunicorn the command line wins over the environment, and that over the file.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "GUNICORN_CMD_ARGS"

OPTIONS: dict[str, str] = {
    "worker-class": "-k",
    "workers": "-w",
    "worker-connections": "",
    "max-requests": "",
    "max-requests-jitter": "",
    "threads": "",
    "config": "-c",
    "chdir": "",
}
"""The long names of those that are looked at, with their short ones."""

DEFAULTS: Mapping[str, str] = {
    "worker-class": "sync",
    "workers": "1",
    "worker-connections": "1000",
    "max-requests": "0",
    "max-requests-jitter": "0",
    "threads": "1",
    "config": "",
    "chdir": "",
}

CONFIG_NAME = "gunicorn.conf.py"
"""Read from the working directory if no file is named."""


def parse(words: Sequence[str]) -> dict[str, str]:
    """Return the options among the words of a command line; of repeated ones the last.

    Long names may be cut short, as argparse takes them, if they stay unmistakable.
    """
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if word.startswith("--"):
            flag, equals, value = word[2:].partition("=")
            name = _full(flag)
            if name:
                found[name] = value if equals else next(rest, "")
        elif word[:1] == "-":
            for name, short in OPTIONS.items():
                if short and word.startswith(short):
                    found[name] = word[2:].removeprefix("=") or next(rest, "")
    return found


def _full(flag: str) -> str:
    if flag in OPTIONS:
        return flag
    fits = [name for name in OPTIONS if flag and name.startswith(flag)]
    # Options that are not looked at begin with such letters, too; four are enough to be sure.
    return fits[0] if len(fits) == 1 and len(flag) > 3 else ""


def of_file(text: str) -> tuple[dict[str, str], set[str]]:
    """Return the options that a configuration file sets, and the names of those that it computes.

    The file is a program: it is read, not run. Never raises.
    """
    found: dict[str, str] = {}
    computed: set[str] = set()
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}, set(OPTIONS)
    for statement in body:
        names = [
            node.id.replace("_", "-")
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        for name in names:
            if name not in OPTIONS:
                continue
            value = _literal(statement)
            found.pop(name, None)
            computed.discard(name)
            if value is None:
                computed.add(name)
            else:
                found[name] = value
    return found, computed


def _literal(statement: ast.stmt) -> str | None:
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return None
    if isinstance(statement, ast.Assign) and len(statement.targets) != 1:
        return None
    node = statement.value
    if isinstance(node, ast.Constant) and type(node.value) in {int, str}:
        return str(node.value)
    return None


def joined(theirs: str, options: Mapping[str, str]) -> str:
    """Return the variable's value: what is there of somebody else, then our options."""
    ours = (f"--{name} {options[name]}" for name in OPTIONS if name in options)
    return " ".join([*([theirs] if theirs else []), *ours])


def ours_of(value: str, theirs: str) -> tuple[dict[str, str], bool]:
    """Return our options in the variable's value, and whether what is before them has changed."""
    words = value.removeprefix(theirs).split()
    options: dict[str, str] = {}
    while len(words) > 1 and words[-2].startswith("--") and words[-2][2:] in OPTIONS:
        options.setdefault(words[-2][2:], words[-1])
        del words[-2:]
    return options, joined(theirs, options) != value
