"""What the command line's arguments may be, and one sentence where they are not.

Loaded only where there are arguments: the library is 0.3 MB, and the screen stays.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NoReturn

from lowmem_tui.model.amount import Unlimited
from lowmem_tui.model.cells import wrap
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import spaced, tr
from lowmem_tui.model.message import N_, msg
from lowmem_tui.model.quantity import parse_time_span
from lowmem_tui.model.trial import LONGEST, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERVAL = 1.0
"""Seconds between two samples, unless ``--interval`` is given."""

RECORD_EVERY = 5.0
"""Seconds between two samples of a recording, unless ``--every`` is given."""

_WITH_VALUE = frozenset({"--set", "--since", "--note", "--trial", "--at"})
"""Options whose values may begin with a dash, as `-.slice` does."""


OF_ARGPARSE = (
    N_("usage:"),
    N_("positional arguments"),
    N_("options"),
    N_("show this help message and exit"),
    N_("show program's version number and exit"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("unrecognized arguments: %s"),
    N_("expected one argument"),
    N_("the following arguments are required: %s"),
    N_("one of the arguments %s is required"),
    N_("not allowed with argument %s"),
    N_("ignored explicit argument %r"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
)
"""What Python's argparse prints, for translation."""


def _translated(text: str | None) -> str | None:
    if not text:
        return text
    bare = text.strip()
    return spaced(tr(bare)) if bare != text else tr(bare)


argparse._ = _translated  # type: ignore[attr-defined]


class OneSentence(argparse.ArgumentParser):
    """A parser that raises what is wrong, and its commands' parsers, too."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        return _Formatter(prog=self.prog)

    def error(self, message: str) -> NoReturn:
        """Raise InvalidValueError."""
        what = f"{message[:1].upper()}{message[1:]}"
        raise InvalidValueError(
            msg("{what}; see `{program} --help`.", what=what, program=self.prog)
        )


class _Formatter(argparse.HelpFormatter):
    """Help that is wrapped by terminal cells."""

    class _Section(argparse.HelpFormatter._Section):  # noqa: SLF001 - it is what is to be changed
        def format_help(self) -> str:
            """Return the section; argparse has no translation for the colon of its heading."""
            text = super().format_help()
            if not isinstance(self.heading, str):
                return text
            colon = tr("{label}:", label=self.heading)
            return text.replace(f"{self.heading}:\n", f"{colon}\n", 1)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrap(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(wrap(" ".join(text.split()), width, first=indent, then=indent))


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
    """Return the seconds between two samples. Raises ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.2 <= seconds <= 60:
        raise argparse.ArgumentTypeError(tr("write a number of seconds from 0.2 to 60"))
    return seconds


def span(text: str) -> float:
    """Return the seconds of a time span. Raises ArgumentTypeError."""
    try:
        usec = parse_time_span(text)
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if isinstance(usec, Unlimited) or usec <= 0:
        raise argparse.ArgumentTypeError(tr("write a time span such as 90s, 10min or 2h"))
    return usec / 1_000_000


def trial(text: str) -> int:
    """Return the seconds of a trial. Raises ArgumentTypeError."""
    seconds = natural(text, 9) or 0
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(
            tr("write {shortest} to {longest} seconds", shortest=SHORTEST, longest=LONGEST)
        )
    return seconds


def file(text: str) -> str:
    """Return the name of a file. Raises ArgumentTypeError."""
    if not text:
        raise argparse.ArgumentTypeError(tr("name a file"))
    return text
