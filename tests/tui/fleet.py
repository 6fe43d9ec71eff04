"""A server of as many units as a test wants, each as the test wants it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.model.usage import HostUsage, Pressure, Process, Stall, UnitUsage
from tests.built import memory_of, properties_of, with_properties

M = 1 << 20
STALL = Stall(0.4, 0.3, 0.1, 1)
HOST = HostUsage(
    hostname="web-1",
    page_size=4096,
    uptime=1.1e6,
    mem_total=967 * M,
    mem_free=100 * M,
    mem_available=240 * M,
    swap_total=2048 * M,
    swap_free=1800 * M,
    zram=None,
    pressure=Pressure(STALL, STALL),
    oom_kills=0,
)


def unit(name: str, rss: int = 10 * M, **memory: Any) -> Unit:  # noqa: ANN401
    pid = 100 + sum(map(ord, name)) % 30000
    process = Process(pid, pid, 1, "worker", 0, rss, 0, 4096, 600, 0, "/usr/bin/worker --now")
    usual = {"current": rss, "anon": rss, "max": INFINITY, "oom_kills": 0}
    known = memory_of(**(usual | memory))
    usage = UnitUsage(name, f"/system.slice/{name}", known, (process,), rss, 0)
    properties = properties_of(
        name, active_state="active", restart="always", memory_max=known.max, main_pid=pid
    )
    return Unit(name, usage, properties)


def loaded(known: Unit, **properties: Any) -> Unit:  # noqa: ANN401
    assert known.properties is not None
    return replace(known, properties=with_properties(known.properties, **properties))


def stopped(known: Unit) -> Unit:
    return replace(loaded(known, active_state="inactive"), usage=None)


class Fleet:
    """A Backend that only looks."""

    demo = False
    cannot_change = ""

    def __init__(self, *units: Unit) -> None:
        self.units = {u.name: u for u in units}
        self.host = HOST
        self.notice = ""
        self.error: Exception | None = None
        self.looks = 0

    def put(self, *units: Unit) -> None:
        self.units.update({u.name: u for u in units})

    def look(self) -> Snapshot:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return Snapshot(self.looks, self.looks, self.host, dict(self.units), notice=self.notice)

    def trial(self) -> None:
        return None

    def settle(self) -> tuple[str, ...]:
        return ()

    def watch(self, unit: str | None) -> None:
        pass

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        raise NotImplementedError(name)
