"""The terminal as long as Textual is being loaded: one picture, and the keys that are typed.

A thread of its own reads them, so that q and Ctrl-C work whatever the other one is doing. It ends
when Textual takes the terminal, and passes on what was typed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
from typing import TYPE_CHECKING, Any

from lowmem_tui.tui.terminal.first_keys import quits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.tui.terminal.canvas import Canvas

    Lines = Sequence[Sequence[tuple[str, str]]]

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[H\x1b[2J"
"""The other screen, no cursor, no wrapping, pastes with marks around them; as Textual has it."""

LEAVE = "\x1b[?2004l\x1b[?7h\x1b[?1049l\x1b[?25h"

HUNG_UP = 129
"""The exit status after a signal, as cli/exit.py has it: the terminal is gone."""

INPUT = 0

_STOP, _PAINT = 0, 255
"""What is written to the thread, beside the numbers of signals."""

_IFLAG, _LFLAG, _CC = 0, 3, 6
"""The places in what tcgetattr(3) returns (termios of Python)."""


class Terminal:
    """Standard input and the terminal that Textual writes to; the lines are (text, SGR) pairs."""

    def __init__(
        self,
        output: int,
        canvas: Canvas,
        draw: Callable[[tuple[int, int]], Lines],
        leave: Callable[[int], object],
    ) -> None:
        """Take the terminal.

        ``draw`` returns the lines for a size, and ``leave`` ends the program with a status: it is
        called in the thread, with the terminal as it was before. Raises OSError where there is
        none, and nothing has been done then.
        """
        self.canvas = canvas
        self._output, self._draw, self._leave = output, draw, leave
        try:
            self.attributes: list[Any] = termios.tcgetattr(INPUT)
            """The terminal's own, before."""
        except termios.error as error:
            raise OSError(*error.args) from error
        os.get_terminal_size(output)
        self._lock = threading.RLock()
        self._ours, self._reading = True, True
        self._entered = False
        self._typed = b""
        self._stopped = False
        self._quit: Callable[[int], object] | None = None
        self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._read, name="first-keys", daemon=True)
        try:
            termios.tcsetattr(INPUT, termios.TCSANOW, _raw(self.attributes))
            self._follow_signals()
            self._thread.start()
        except BaseException:  # a signal that ends the program
            self._restore()
            raise

    def _follow_signals(self) -> None:
        """Notify the thread when the size changes, and put off a stop until later."""
        self._handlers = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGWINCH, _nothing),
                (signal.SIGTSTP, self._stop),
            )
        }
        self._wakeup = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)

    def _stop(self, *_: object) -> None:
        self._stopped = True

    def paint(self) -> None:
        """Paint the picture, if the terminal is still ours; the first time on the other screen."""
        with self._lock:
            if not self._ours:
                return
            columns, lines = os.get_terminal_size(self._output)
            if self.canvas.size != (columns, lines):
                self.canvas.forget()
            made = self._draw((columns, lines))[:lines]
            rows = {y: self.canvas.row(parts) for y, parts in enumerate(made)}
            before = "" if self._entered else ENTER
            self._entered = True
            self._write(before + "".join(self.canvas.send(rows)))
            self.canvas.size = columns, lines

    def ask_to_paint(self) -> None:
        """Have the thread paint: there are figures now. Any thread may call it."""
        with contextlib.suppress(OSError):
            os.write(self._wake[1], bytes((_PAINT,)))

    def hand_over(self, quit_: Callable[[int], object]) -> None:
        """Paint no more: Textual does, from now on. The keys are still read.

        ``quit_`` is called in the thread where they mean to quit, with the exit status. In the
        main thread alone.
        """
        with self._lock:
            self._ours, self._quit = False, quit_
        signal.set_wakeup_fd(self._wakeup)

    def end(self) -> bytes:
        """Read no more; return what was typed. The terminal, if it is still ours, is as it was."""
        with self._lock:
            reading, self._reading = self._reading, False
        if not reading:
            return b""
        self._restore()
        os.write(self._wake[1], bytes((_STOP,)))
        if self._thread is not threading.current_thread():
            self._thread.join()
        for end in self._wake:
            os.close(end)
        if self._stopped:
            os.kill(os.getpid(), signal.SIGTSTP)
        return self._typed

    def release(self) -> None:
        """End it, if that is still to be done; in the main thread alone."""
        if self._ours:
            signal.set_wakeup_fd(self._wakeup)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        self.end()

    def _restore(self) -> None:
        with self._lock:
            if not self._ours:
                return
            self._ours = False
            with contextlib.suppress(OSError, termios.error):
                if self._entered:
                    self._write(LEAVE)
                termios.tcsetattr(INPUT, termios.TCSANOW, self.attributes)

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._output, data) :]

    # In the thread

    def _read(self) -> None:
        waiting = select.poll()
        waiting.register(INPUT, select.POLLIN)
        waiting.register(self._wake[0], select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiting.poll()}
            if self._wake[0] in ready:
                woken = os.read(self._wake[0], 4096)
                if _STOP in woken:
                    return
                if _PAINT in woken or signal.SIGWINCH in woken:
                    # What cannot be painted now is painted by Textual.
                    with contextlib.suppress(Exception):
                        self.paint()
            if INPUT in ready and not self._take():
                return

    def _take(self) -> bool:
        """Take what was typed; return whether to go on."""
        try:
            data = os.read(INPUT, 4096)
        except OSError:
            data = b""
        self._typed += data
        if data and not quits(self._typed):
            return True
        status = 0 if data else HUNG_UP
        with self._lock:
            quit_ = self._quit
            if quit_ is None:
                # Nobody else writes to the terminal before this has ended.
                self._restore()
                self._leave(status)
        if quit_ is not None:
            quit_(status)
        return False


def _nothing(*_: object) -> None:
    """Do nothing: that the signal has come is written to the pipe."""


def _raw(before: list[Any]) -> list[Any]:
    """Return the attributes with which Textual reads keys (linux_driver, 8.2)."""
    after = [*before]
    after[_LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    after[_IFLAG] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    after[_CC] = [*before[_CC]]
    after[_CC][termios.VMIN] = b"\x01"
    return after
