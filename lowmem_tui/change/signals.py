"""Being interrupted in the middle of a change: noted first, acted on between two steps."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from lowmem_tui.model.message import Message

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption(Exception):  # noqa: N818 - it is none of our faults
    """A signal has come; ``number`` is 0 where the operator has stopped the change."""

    def __init__(self, how: Message | str, number: int = 0) -> None:
        super().__init__(str(how))
        self.how, self.number = how, number


class Interruptions:
    """Notes signals that would end the program, while it is entered.

    Ctrl-Z, which would stop it with the lock held, does nothing, nor to what we run.

    Only the main thread can do that (signal(3) of Python); anywhere else it does nothing, and
    whoever runs the main thread waits for the change before it ends.
    """

    def __init__(self, cancelled: threading.Event | None = None) -> None:
        """Take another thread's way to say so, too."""
        self._cancelled = cancelled
        self._came: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def check(self) -> None:
        """Raise Interruption if a signal has come; its text is the signal's name."""
        came, self._came = self._came, None
        if came is not None:
            raise Interruption(came.name, came)
        if self._cancelled is not None and self._cancelled.is_set():
            raise Interruption(msg("by you"))

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _CAUGHT:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
            self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # type: ignore[arg-type]
        # One that came too late to be acted on does what it would have done.
        if self._came is not None and error is None:
            signal.raise_signal(self._came)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._came = signal.Signals(number)
