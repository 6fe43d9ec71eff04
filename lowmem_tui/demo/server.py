"""The demo server: a whole machine in memory, behind the Protocols of model/ports.py."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lowmem_tui.demo.kill_evidence import DemoWitness
from lowmem_tui.demo.machine import Machine
from lowmem_tui.demo.ports import DemoFiles, DemoKernel, DemoManager, DemoSampler, DemoStore
from lowmem_tui.demo.system import DemoInspector, DemoSystem

if TYPE_CHECKING:
    from collections.abc import Callable


class DemoServer(Machine):
    """The machine, with one view of it for each Protocol."""

    def __init__(self, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds, from any beginning; it must not go back."""
        super().__init__(seed, clock)
        self.sampler = DemoSampler(self)
        self.files = DemoFiles(self)
        self.kernel = DemoKernel(self)
        self.store = DemoStore(self)
        self.witness = DemoWitness(self)
        self.system = DemoSystem(self)
        self.inspector = DemoInspector(self)

    def connect(self) -> DemoManager:
        """Open a connection to its systemd."""
        return DemoManager(self)
