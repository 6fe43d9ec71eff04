"""Calls that may take seconds, beside the looks at the server and without holding up the end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


def run_aside(fn: Callable[[], R]) -> asyncio.Future[R]:
    """Run a call in a thread of its own: leaving the program does not wait for it."""
    done: Future[R] = Future()

    def work() -> None:
        try:
            result = fn()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            done.set_exception(error)
        else:
            done.set_result(result)

    done.set_running_or_notify_cancel()
    threading.Thread(target=work, name="aside", daemon=True).start()
    return asyncio.wrap_future(done)
