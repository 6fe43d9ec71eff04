"""`--demo`: the built-in server. Nothing of this machine is read or written."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from lowmem_tui.cli.backend import READ_ONLY, Machine, Records, ServerBackend
from lowmem_tui.demo.roster import UPTIME
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.host.watcher import Watcher
from lowmem_tui.model.errors import LowmemError, RefusedError
from lowmem_tui.model.message import msg
from lowmem_tui.model.trial import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from lowmem_tui.model.ports import Files, Kernel, System
    from lowmem_tui.model.who import By
    from lowmem_tui.policy.classify import Rules


def demo_backend(
    *, read_only: bool = False, seed: int = 0, clock: Callable[[], float] = time.monotonic
) -> ServerBackend:
    """Return a demo server that has just been switched on; each is a server of its own."""
    return serve(DemoServer(seed, clock), read_only=read_only)


def serve(server: DemoServer, *, read_only: bool = False) -> ServerBackend:
    """Return a demo server that is there already, behind a backend of its own."""
    busy = threading.Lock()

    @contextlib.contextmanager
    def lock() -> Generator[None, None, None]:
        if not busy.acquire(blocking=False):
            raise RefusedError(msg("Another change is being made: wait until it has ended."))
        try:
            yield
        finally:
            busy.release()

    def uptime() -> float:
        with server.lock:
            return UPTIME + server.advance()

    def tools() -> tuple[Files, Kernel]:
        from lowmem_tui.change.machine.guarded_files import GuardedFiles
        from lowmem_tui.setup.steps import allowed

        return GuardedFiles(server.files, allowed().paths), server.kernel

    def system() -> System:
        from lowmem_tui.change.machine.guarded_system import GuardedSystem
        from lowmem_tui.setup.steps import allowed

        return GuardedSystem(server.system, allowed(), server.inspector)

    records = Records(
        store=lambda: server.store,
        whole=lambda: True,
        notice=lambda: server.store.read(PATH),
        lock=lock,
        wall=lambda: server.sampler.sample().time,
        monotonic=uptime,
        boot_id=lambda: "demo",
        by=_by,
    )
    backend = ServerBackend(
        Watcher(server.sampler, server.connect),
        server.connect,
        tools,
        records,
        demo=True,
        cannot_change=READ_ONLY if read_only else "",
        witness=lambda: server.witness,
        machine=Machine(system, lambda: server.inspector, _rules),
    )

    def revert(command: Sequence[str]) -> None:
        # There is no shell there to run the script: Python does the same.
        try:
            backend.expire()
        except LowmemError:
            # Somebody is at work. The script would wait for the lock.
            server.init.arm(f"retry-{uptime()}", 1, command)

    server.execute = revert
    return backend


def _rules() -> Rules:
    from lowmem_tui.cli.rules import load_rules

    return load_rules(config=None)


def _by() -> By:
    from lowmem_tui.model.who import By

    return By(0, "root", "", "")
