"""What the command line's arguments may be, and one sentence where they are not.

Loaded only where there are arguments: the library is 0.3 MB, and the screen stays.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NoReturn

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.trial import LONGEST, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERVAL = 1.0
"""Seconds between two looks, if nothing else is said."""

_WITH_VALUE = frozenset({"--set", "--since", "--note", "--trial"})
"""Options whose values may begin with a dash, as `-.slice` does."""


class OneSentence(argparse.ArgumentParser):
    """A parser that raises what is wrong, and its commands' parsers, too."""

    def error(self, message: str) -> NoReturn:
        """Raise InvalidValueError."""
        raise InvalidValueError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")


def joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with each value that begins with a dash joined to its option."""
    made: list[str] = []
    for argument in arguments:
        dashed = re.match(r"-[^-]", argument) and argument != "-h"
        if dashed and made and made[-1] in _WITH_VALUE:
            made[-1] += f"={argument}"
        else:
            made.append(argument)
    return made


def interval(text: str) -> float:
    """Return the seconds between two looks. Raises ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.2 <= seconds <= 60:
        raise argparse.ArgumentTypeError("write a number of seconds from 0.2 to 60")
    return seconds


def trial(text: str) -> int:
    """Return the seconds of a trial. Raises ArgumentTypeError."""
    seconds = natural(text, 9) or 0
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"write {SHORTEST} to {LONGEST} seconds")
    return seconds


def file(text: str) -> str:
    """Return the name of a file. Raises ArgumentTypeError."""
    if not text:
        raise argparse.ArgumentTypeError("name a file")
    return text
