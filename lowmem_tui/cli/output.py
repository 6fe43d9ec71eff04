"""Standard output and error as they are found: of any encoding, full, closed, or read by nobody."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say
from lowmem_tui.model.message import N_, msg
from lowmem_tui.model.text import ascii_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.message import Message

DEMO = N_(
    "This was the demo server: nothing of this machine was read or changed, and the demo server's "
    "changes are gone."
)

_PLAINER = "lowmem-tui.plainer"


def prepare(*, ascii_only: bool) -> None:
    """Let every character be printed, by a plainer one where the encoding has it not.

    Raises LowmemError where standard output is closed.
    """
    if sys.stdout is None:
        raise LowmemError(msg("Standard output is closed: redirect it, for example to /dev/null."))
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


def discard(stream: TextIO | None = None) -> None:
    """Discard what is not printed yet: no complaint at the end from the interpreter.

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
        discard()


def talk(words: Message | str) -> None:
    """Print a sentence on standard error, in the operator's language."""
    print(shown(say(words), sys.stderr), file=sys.stderr)


def shown(text: str, stream: TextIO) -> str:
    """Return a sentence for a person: wrapped on a terminal, one line for whatever reads a pipe."""
    if not stream.isatty():
        return text
    import shutil

    from lowmem_tui.model.cells import wrap

    return "\n".join(wrap(text, max(40, shutil.get_terminal_size().columns), then="  "))
