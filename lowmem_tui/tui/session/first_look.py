"""The first look at the server: it is taken before Textual is loaded.

Side by side they hinder each other. Python gives way to another thread only every 5 ms, the first
look has thousands of system calls, and after each of them it would wait for its turn so long.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.ports import Backend
    from lowmem_tui.model.snapshot import Snapshot

    Seen: TypeAlias = tuple[Snapshot, Trial | None]

HEAD_START = 0.5
"""Seconds, at most, that the rest waits for the first look: a server that does not answer must not
keep the screen away."""


def see(backend: Backend) -> tuple[Snapshot, Trial | None]:
    """Look at the server once."""
    return backend.look(), backend.trial()


class Early:
    """The first look, in a thread; and the thread that talks to the backend afterwards."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen: Seen | None = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._then: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._see, name="first-look")
        self._thread.start()

    def _see(self) -> None:
        try:
            self._seen = see(self._backend)
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for it
            self._error = error
        self._done.set()
        if self._then is not None:
            self._then()

    def wait(self, seconds: float = HEAD_START) -> bool:
        """Let the look have the processor to itself; return whether it is done."""
        return self._done.wait(seconds)

    def then(self, do: Callable[[], None]) -> None:
        """Do this when the look is done, in whatever thread; perhaps twice."""
        self._then = do
        if self._done.is_set():
            do()

    @property
    def seen(self) -> Seen | None:
        """What was seen; None before that, and where it failed."""
        return self._seen

    def _result(self) -> Seen:
        self._thread.join()
        if self._seen is None:
            raise self._error or RuntimeError("there is no first look")
        return self._seen

    @cached_property
    def executor(self) -> ThreadPoolExecutor:
        """The thread that talks to the backend, one call at a time: behind the first look."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(1, "backend")

    @cached_property
    def look(self) -> Future[Seen]:
        """The first look, for those who wait; nothing is to be asked of the executor before."""
        if not self._done.is_set():
            return self.executor.submit(self._result)
        from concurrent.futures import Future

        future: Future[Seen] = Future()
        if self._seen is None:
            future.set_exception(self._error)
        else:
            future.set_result(self._seen)
        return future

    def end(self) -> None:
        """Wait for the call that is under way; there is no other afterwards."""
        if "executor" in vars(self):
            self.executor.shutdown(wait=True, cancel_futures=True)
        self._thread.join()
