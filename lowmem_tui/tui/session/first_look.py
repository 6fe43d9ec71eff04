"""The first look at the server: it is taken before Textual is loaded.

Side by side they hinder each other. Python gives way to another thread only every 5 ms, the first
look has thousands of system calls, and after each of them it would wait for its turn so long.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.ports import Backend
    from lowmem_tui.model.snapshot import Snapshot

HEAD_START = 0.5
"""Seconds, at most, that the rest waits for the first look: a server that does not answer must not
keep the screen away."""


def see(backend: Backend) -> tuple[Snapshot, Trial | None]:
    """Look at the server once."""
    return backend.look(), backend.trial()


class Early:
    """The thread that talks to the backend, and the first look in it."""

    def __init__(self, backend: Backend) -> None:
        self.executor = ThreadPoolExecutor(1, "backend")
        self.look = self.executor.submit(see, backend)

    def wait(self, seconds: float = HEAD_START) -> None:
        """Let the look have the processor to itself."""
        wait((self.look,), timeout=seconds)

    def end(self) -> None:
        """Wait for the call that is under way; there is no other afterwards."""
        self.executor.shutdown(wait=True, cancel_futures=True)
