"""Being ended by a signal: in order, with the status that names it."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType
    from typing import NoReturn

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal that ends the program, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


def number_of(error: KeyboardInterrupt) -> signal.Signals:
    """Return the signal that has raised this."""
    return error.number if isinstance(error, Ended) else signal.SIGINT


@contextlib.contextmanager
def caught() -> Generator[None, None, None]:
    """Raise ``Ended`` for what would end the program; what is ignored (nohup) stays so.

    In the main thread alone: Python allows handlers nowhere else.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> NoReturn:
    # One is enough: what is let go of on the way out is not interrupted again.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Ended(number)
