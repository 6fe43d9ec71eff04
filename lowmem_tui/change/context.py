"""All that a recorded change is made with, and how one begins."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lowmem_tui.change.reason import nothing_changed
from lowmem_tui.change.records.records import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.change.steps import Ports
    from lowmem_tui.model.ports import Store
    from lowmem_tui.model.who import By


@dataclass(frozen=True, slots=True)
class Site:
    """One server, to be changed."""

    ports: Ports
    store: Store
    paths: Paths
    """What a change may write; a record that names another path is none."""
    lock: Callable[[], AbstractContextManager[None]]
    """Keeps everybody else of us away. Raises RefusedError, NotPermittedError, OSError."""
    wall: Callable[[], float]
    """Seconds since 1970."""
    monotonic: Callable[[], float]
    """CLOCK_MONOTONIC: systemd's timers run on it."""
    boot_id: str
    by: Callable[[], By]
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set from any thread: the change that is under way is rolled back."""

    @property
    def journal(self) -> Journal:
        """The records."""
        return Journal(self.store, self.paths)

    @contextlib.contextmanager
    def exclusive(self) -> Generator[None, None, None]:
        """Hold the lock. Raises RefusedError, NotPermittedError, RolledBackError."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self.lock())
            except OSError as error:
                raise nothing_changed(error) from error
            yield
