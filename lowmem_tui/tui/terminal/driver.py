"""Reads the keys, and sleeps while there are none."""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
from codecs import getincrementaldecoder
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, TextIO, cast

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from lowmem_tui.tui.terminal.first_terminal import HUNG_UP
from lowmem_tui.tui.terminal.pastes import ShortPastes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.tui.terminal.first_terminal import Terminal

SHORT = 0.1
"""Seconds: what Textual waits for input before it looks whether a key is complete."""

ROUNDS = 5
"""Short waits after the last input, which distinguish a lone Escape from an arrow key."""

OTHER_SCREEN = "\x1b[?1049h"
"""What Textual begins with."""

PIECE = 200
"""Characters, of two bytes at the most. What is longer is not in Python's own memory but in
malloc's, which keeps some of each length that one thread makes and another lets go."""


class _Pieces:
    """The terminal, as Textual's writing thread knows it: a frame comes as its pieces.

    One that is gone takes nothing any more. Who leaves must not wait for a thread that died of it.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self.fileno = terminal.fileno

    def write(self, pieces: Sequence[str]) -> None:
        """Write the pieces of a frame."""
        with contextlib.suppress(OSError):
            self._terminal.writelines(pieces)

    def flush(self) -> None:
        """Write what is held back."""
        with contextlib.suppress(OSError):
            self._terminal.flush()


class PatientDriver(LinuxDriver):
    """Textual's driver wakes ten times a second, all day; that is what its hello world costs."""

    first: ClassVar[Terminal | None] = None
    """Who has the terminal before, and reads the keys until the screen is ready for them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*arguments, **options)
        self._first, self._typed = self.first, self.first
        self._ready = Event()

    def take_keys(self) -> None:
        """Take the keys from now on: the screen is there, those typed before come first."""
        self._ready.set()

    def _typed_before(self) -> bytes:
        """Wait until the screen is there; return what was typed."""
        if (first := self._typed) is None:
            return b""
        self._typed = None
        self._ready.wait()
        return first.end()

    def _quit(self, status: int) -> None:
        self._loop.call_soon_threadsafe(self._app.exit, status)

    def start_application_mode(self) -> None:
        """Take the terminal, unless we have it: a SIGCONT comes also to whom nobody stopped."""
        if self._reading():
            return
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._file = _Pieces(cast("TextIO", sys.__stderr__))  # type: ignore[assignment]
        if self._first is not None:
            self._first.hand_over(self._quit)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._first is not None:
            self.attrs_before = self._first.attributes
            self._first = None  # the next time we come back from the shell

    def _sigtstp_application(self, *_: object) -> None:
        # From the loop: the signal may come while this thread holds the lock that writing takes.
        suspend = super()._sigtstp_application
        self._loop.call_soon_threadsafe(suspend)

    def write(self, data: str) -> None:
        """Hand a frame to the thread that writes it."""
        if data == OTHER_SCREEN and self._first is not None:
            return  # It is there already, and many terminals would clear it.
        pieces: Sequence[str] = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        super().write(cast("str", pieces))

    def _get_terminal_size(self) -> tuple[int, int]:
        # The terminal's own word: COLUMNS and LINES, where a shell exports them, do not follow it.
        try:
            return os.get_terminal_size(self.fileno)
        except OSError:
            return super()._get_terminal_size()

    def _reading(self) -> bool:
        return self._key_thread is not None and self._key_thread.is_alive()

    def disable_input(self) -> None:
        """Stop reading."""
        reading = self._reading()
        self._ready.set()
        if reading:
            os.write(self._wake[1], b"\0")
        super().disable_input()
        if reading:
            for end in self._wake:
                os.close(end)

    def run_input_thread(self) -> None:
        """Wait for input and hand on what it means, until ``disable_input``."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        shorten = ShortPastes().feed
        typed = shorten(decode(self._typed_before()))
        for event in parser.feed(typed) if typed else ():
            self.process_message(event)
        rounds = ROUNDS if typed else 0
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._wake[0], selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(SHORT if rounds else None)}
                if self._wake[0] in ready:
                    return
                rounds = ROUNDS if ready else rounds - 1
                if self.fileno in ready:
                    data = os.read(self.fileno, 4096)
                    if not data:
                        # The terminal is gone, and whoever started us did not want SIGHUP to
                        # end us (nohup): not to stay indefinitely with nobody there.
                        selector.unregister(self.fileno)
                        self._loop.call_soon_threadsafe(self._app.exit, HUNG_UP)
                    text = shorten(decode(data))
                    # To the parser nothing is the end, and half a character, or the middle of a
                    # long paste, is nothing yet.
                    for event in parser.feed(text) if text else ():
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
