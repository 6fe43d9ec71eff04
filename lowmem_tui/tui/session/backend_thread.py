"""The thread that calls the backend: one call at a time, and never on the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

P = ParamSpec("P")
R = TypeVar("R")


class BackendThread:
    """A queue of calls."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        """``executor`` has one thread."""
        self._executor = executor

    def submit(self, fn: Callable[[], R]) -> Future[R]:
        """Put a call into the queue."""
        return self._executor.submit(fn)

    def run(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Put a call into the queue, to be awaited."""
        return asyncio.wrap_future(self._executor.submit(fn, *args, **kwargs))

    def close(self, *, wait: bool) -> None:
        """Let the thread end with its present call; the other calls are cancelled."""
        self._executor.shutdown(wait=wait, cancel_futures=True)
