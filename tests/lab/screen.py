"""A terminal inside the guest, with a program running in it, read and typed into by a test."""

from __future__ import annotations

import itertools
import re
import shlex
import time
from typing import TYPE_CHECKING, Self

from .image import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .machine import Machine

_numbers = itertools.count(1)


class Screen:
    """A program in a tmux of its own; the program gets the whole of `width` × `height`."""

    def __init__(
        self,
        machine: Machine,
        command: str = "lowmem-tui",
        *,
        width: int = 100,
        height: int = 30,
        term: str = "tmux-256color",
        user: str = "root",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`, a line for the shell, under this TERM."""
        self.machine = machine
        self.user = user
        self._server = f"screen{next(_numbers)}"
        variables = " ".join(
            shlex.quote(f"{name}={value}")
            for name, value in {"TERM": term, **(environment or {})}.items()
        )
        self._tmux(
            *("start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";"),
            *("set-option", "-g", "status", "off", ";"),
            *("set-option", "-g", "default-terminal", term, ";"),
            *("new-session", "-d", "-x", str(width), "-y", str(height)),
            # Its own word on how it ended: tmux 3.3 at times never learns it on a busy machine.
            f"rm -f /tmp/{self._server}.status; "
            f"env {variables} sh -c {shlex.quote(command)}; s=$?; "
            f"echo $s >/tmp/{self._server}.status; exit $s",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *keys: str) -> None:
        """Press keys, by tmux's names for them: ``q``, ``Enter``, ``Escape``, ``C-c``, ``F1``."""
        self._tmux("send-keys", "--", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-l", "--", text)

    def text(self) -> str:
        """What the screen shows, without colours, one line per row."""
        return self._tmux("capture-pane", "-p")

    def ansi(self) -> str:
        """What the screen shows, with the escape sequences of its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait_for_text(self, pattern: str, timeout: float = 400.0) -> str:
        """Wait until the screen matches a regular expression; returns the screen."""
        return self.wait_until(
            lambda text: re.search(pattern, text, re.MULTILINE) is not None,
            timeout,
            what=f"the text {pattern!r}",
        )

    def wait_until(
        self,
        condition: Callable[[str], bool],
        timeout: float = 400.0,
        *,
        what: str = "what was expected",
    ) -> str:
        """Wait until a function of the screen's text is true; returns the screen."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.exit_status()
            text = self.text()
            if condition(text):
                return text
            if ended is not None:
                raise LabError(f"The program ended with {ended} before {what} was seen:\n{text}")
            if time.monotonic() > deadline:
                raise LabError(f"After {timeout:.0f} s without {what} the screen is:\n{text}")
            time.sleep(0.2)

    def exit_status(self) -> int | None:
        """The program's exit status (128 and more after a signal), None while it runs."""
        dead, status, sign = (
            self._tmux(
                "display-message", "-p", "#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}"
            )
            .strip()
            .split("|")
        )
        # tmux sees the terminal closed before it has been told how the program ended.
        if dead != "1" or not (status or sign):
            own = self.machine.run(
                f"cat /tmp/{self._server}.status 2>/dev/null", user=self.user, check=False
            ).stdout.strip()
            return int(own) if own else None
        return int(status) if status else 128 + int(sign or 0)

    def wait_for_exit(self, timeout: float = 400.0) -> int:
        """Wait for the program's end; returns its exit status."""
        deadline = time.monotonic() + timeout
        while (status := self.exit_status()) is None:
            if time.monotonic() > deadline:
                raise LabError(f"The program still runs; its screen:\n{self.text()}")
            time.sleep(0.2)
        return status

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size, as dragging a window's corner does."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))
        # tmux answers first and tells the terminal a little later.
        terminal = self._tmux("display-message", "-p", "#{pane_tty}").strip()
        self.machine.wait_for(
            f'[ "$(stty -F {terminal} size)" = "{height} {width}" ]', user=self.user
        )

    def close(self) -> None:
        """End the program, if it still runs, and its terminal."""
        self.machine.run(["tmux", "-L", self._server, "kill-server"], user=self.user, check=False)

    def _tmux(self, *words: str) -> str:
        return self.machine.run(
            ["tmux", "-u", "-f", "/dev/null", "-L", self._server, *words], user=self.user
        ).stdout
