"""Standard output and error as they are found: of any encoding, full, closed, or read by nobody."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.text import ascii_for

if TYPE_CHECKING:
    from collections.abc import Iterable

DEMO = (
    "That was the demo server: nothing of this machine was read or changed, and nothing of it is "
    "remembered."
)

_PLAINER = "lowmem-tui.plainer"


def prepare(*, ascii_only: bool) -> None:
    """Let every character be printed, by a plainer one where the encoding has it not.

    Raises LowmemError where standard output is closed.
    """
    if sys.stdout is None:
        raise LowmemError("Standard output is closed: send it somewhere, to /dev/null if need be.")
    codecs.register_error(_PLAINER, _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAINER)
    if ascii_only and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="ascii", errors=_PLAINER)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(ascii_for, error.object[error.start : error.end])), error.end


def fails() -> bool:
    """Return whether what is printed cannot be written: an error does not tell whose it is."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def give_up(stream: TextIO | None = None) -> None:
    """Send what is left to be printed nowhere: no complaint at the end from the interpreter.

    Of standard output, unless another stream is given.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


def tell(lines: Iterable[str]) -> None:
    """Print what was done: that it cannot be printed does not make it undone."""
    try:
        for line in lines:
            print(shown(line, sys.stdout))
        sys.stdout.flush()
    except OSError:
        give_up()


def talk(text: str) -> None:
    """Say a sentence on standard error."""
    print(shown(text, sys.stderr), file=sys.stderr)


def shown(text: str, stream: TextIO) -> str:
    """Return a sentence for a person: wrapped on a terminal, one line for whatever reads a pipe."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(
        text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
