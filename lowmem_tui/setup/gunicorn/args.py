"""gunicorn's options: on a command line, in GUNICORN_CMD_ARGS, in its configuration file.

In gunicorn the command line overrides the environment, and that overrides the file.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lowmem_tui.setup.gunicorn.file import of_file
from lowmem_tui.setup.gunicorn.options import (
    DEFAULTS,
    FLAGS,
    OPTIONS,
    SHORT_FLAGS,
    SHORT_VALUED,
    VALUED,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["DEFAULTS", "OPTIONS", "of_file"]

VARIABLE = "GUNICORN_CMD_ARGS"

CONFIG_NAME = "gunicorn.conf.py"
"""Read from the working directory if no file is named."""

_LONG = FLAGS | VALUED
LONGEST = 4096
"""Characters of GUNICORN_CMD_ARGS: to split a text as a shell does costs time by its square."""
WORDS = 2000
"""No command line has more words."""


def parse(words: Sequence[str]) -> dict[str, str]:
    """Return the options among the words of a command line; of repeated ones the last.

    As argparse takes them: long names cut short where they stay unmistakable, flags and an option
    with its value in one word (``-Dw4``). A value that gunicorn would not take is "".
    """
    known = {name: value for name, value in _pairs(words) if name in OPTIONS}
    return {name: value_of(name, value) or "" for name, value in known.items()}


def uses_paste(words: Sequence[str]) -> bool:
    """Return whether a paste file is named, which set options until gunicorn 19."""
    return any(name in {"paste", "paster"} for name, _ in _pairs(words))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words[:WORDS])
    for word in rest:
        if word == "--":
            break
        if word.startswith("--"):
            flag, equals, value = word[2:].partition("=")
            name = _full(flag)
            if name in VALUED:
                yield name, value if equals else next(rest, "")
        elif word[:1] == "-" and word != "-":
            name, glued = _short(word[1:])
            if name:
                yield name, glued or next(rest, "")


def _short(letters: str) -> tuple[str, str]:
    """Return the option with a value of a word like ``Dw4``, and what is glued to it; or ""s."""
    for at, letter in enumerate(letters):
        if letter in SHORT_VALUED:
            return SHORT_VALUED[letter], letters[at + 1 :].removeprefix("=")
        if letter not in SHORT_FLAGS:
            break
    return "", ""


def _full(flag: str) -> str:
    if flag in _LONG:
        return flag
    fits = [name for name in _LONG if flag and name.startswith(flag)]
    return fits[0] if len(fits) == 1 else ""


def of_variable(value: str) -> dict[str, str] | None:
    """Return the options of GUNICORN_CMD_ARGS, which gunicorn splits as a shell does.

    None if it cannot, and gunicorn does not start then, or if it is too long to be read here.
    """
    if len(value) > LONGEST:
        return None
    try:
        return parse(shlex.split(value))
    except ValueError:
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
