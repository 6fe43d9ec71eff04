"""The change that is being made when the operator leaves, or a signal comes (a lost connection)."""

from __future__ import annotations

import contextlib
import signal
import sys
from concurrent.futures import wait
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import RolledBackError
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future
    from types import FrameType

    from lowmem_tui.model.plan import Edit, Outcome
    from lowmem_tui.model.ports import Backend

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

POLL = 0.2
"""Seconds between two looks whether a signal has come: a request may have come too early."""


class UnderWay:
    """One change, and how the program waits for its end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._change: Future[Outcome] | None = None
        self.edits: tuple[Edit, ...] = ()
        """Those of the staged edits that are being applied."""
        self.came: signal.Signals | None = None
        """The signal that is to end the program: what is under way is rolled back."""

    @property
    def status(self) -> int:
        """The exit status for the signal that came, as shells count; 0 if none did."""
        return 0 if self.came is None else 128 + self.came

    @property
    def busy(self) -> bool:
        """Whether a change is being made."""
        return self._change is not None and not self._change.done()

    @property
    def unsettled(self) -> bool:
        """Whether a change is being made, or has ended and the screen has yet to say how."""
        return self._change is not None

    def begin(self, change: Future[Outcome], edits: tuple[Edit, ...] = ()) -> None:
        """Remember what is being made, until the screen has shown the result."""
        self._change, self.edits = change, edits

    def settled(self) -> None:
        """Forget it: the screen has shown the result."""
        self._change, self.edits = None, ()

    def outcome(self) -> Outcome | None:
        """Return the result of a change that the screen could not show; None: there is none.

        Raises what it failed with, RolledBackError if it had not begun.
        """
        if self._change is None:
            return None
        if self._change.cancelled():
            raise RolledBackError(msg("The change had not begun yet, so nothing was touched."))
        return self._change.result()

    @contextlib.contextmanager
    def signals(self, leave: Callable[[], None]) -> Generator[None, None, None]:
        """Note what would end the program, until a change is at its end; ``leave`` is called.

        In the main thread alone. One that whoever started us had ignored stays so (nohup).
        """

        def note(number: int, _: FrameType | None) -> None:
            self.came = signal.Signals(number)
            leave()

        before = {
            number: signal.signal(number, note)
            for number in _CAUGHT
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _why_wait(self) -> str:
        if self.came is None:
            return tr("The change in progress is finished first; Ctrl-C rolls it back.")
        return tr("The change in progress is rolled back first.")

    def wait(self) -> None:
        """Wait for the change, the screen having gone; a signal rolls it back."""
        change = self._change
        if change is None or not self.busy:
            return
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{self._why_wait()}\n")
            sys.stderr.flush()
        # A change that is stopped would hold the lock; and there is no screen to come back to.
        before = [
            (number, signal.signal(number, how))
            for number, how in (
                (signal.SIGTSTP, signal.SIG_IGN),
                (signal.SIGCONT, signal.SIG_DFL),
            )
        ]
        while not wait((change,), timeout=POLL).done:
            if self.came is not None:
                self._backend.cancel()
        for number, handler in before:
            signal.signal(number, handler)
