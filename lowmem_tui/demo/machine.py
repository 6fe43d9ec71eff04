"""The machine that the demo server is: its disk, systemd, kernel and clock; seen through views."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from lowmem_tui.demo.disk import Disk
from lowmem_tui.demo.init import Init
from lowmem_tui.demo.memory import STEP
from lowmem_tui.demo.swap import DemoSwap
from lowmem_tui.demo.workload import live
from lowmem_tui.model.ports import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONGEST_GAP = 1200.0
"""Seconds that are caught up with at most: a demo that was stopped for a day goes on from there."""


class Machine:
    """One machine. Its state is a function of the seed, of its clock, and of the edits made."""

    def __init__(self, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds, from any beginning; it must not go back."""
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)
        """Notified when systemd has something to announce."""
        self.disk = Disk()
        self.execute: Callable[[Sequence[str]], None] = lambda _: None
        """What runs the command of a revert timer: here is no /bin/sh to give it to."""
        self.init = Init(self.disk, lambda command: self.execute(command))
        self.swap = DemoSwap(self.init.memory)
        self.subscribers: list[Callable[[Changes], None]] = []
        self._advancing = False
        self._seed = seed
        self._clock = clock
        self._began = clock()

    @contextmanager
    def held(self) -> Iterator[Self]:
        """Lock the machine, bring it up to its clock, and announce afterwards what has changed."""
        with self.lock:
            self.advance()
            try:
                yield self
            finally:
                self.announce()

    def advance(self) -> float:
        """Bring the machine up to its clock, in whole steps; return the seconds it has run.

        The caller holds the lock.
        """
        elapsed = self._clock() - self._began
        gap = elapsed - self.init.elapsed
        if gap > LONGEST_GAP:
            self._began += gap - LONGEST_GAP
            elapsed = self.init.elapsed + LONGEST_GAP
        if self._advancing:
            return elapsed  # somebody within the step that is under way
        self._advancing = True
        try:
            while self.init.elapsed + STEP <= elapsed:
                self.init.step += 1
                self.init.tick()
                live(self.init, self._seed)
                self.init.memory.settle()
                self.init.memory.measure()
        finally:
            self._advancing = False
        self.announce()
        return elapsed

    def announce(self) -> None:
        """Hand systemd's signals to whoever has asked for them; the caller holds the lock."""
        init = self.init
        if init.changed or init.reloaded:
            changes = Changes(frozenset(init.changed), init.reloaded)
            init.changed.clear()
            init.reloaded = False
            for take in self.subscribers:
                take(changes)
            self.news.notify_all()
