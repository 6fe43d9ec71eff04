"""Small servers for the tests of the policy: everything that a test does not name is ordinary."""

# ruff: noqa: ANN401 - the builders pass fields on by name

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowmem_tui.model.snapshot import (
    Setting,
    Situation,
    Snapshot,
    Unit,
    UnitFile,
    UnitSituation,
)
from lowmem_tui.model.usage import HostUsage, Process, UnitUsage
from tests.built import memory_of, properties_of

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.unit import Key, UnitProperties

PAGE = 4096
M = 1 << 20


def host(**changes: Any) -> HostUsage:
    usual = HostUsage(
        hostname="box",
        page_size=PAGE,
        uptime=1000.0,
        mem_total=1024 * M,
        mem_free=100 * M,
        mem_available=300 * M,
        swap_total=1024 * M,
        swap_free=1024 * M,
        zram=None,
        pressure=None,
        oom_kills=0,
    )
    return usual._replace(**changes)


def process(pid: int = 100, rss: int = 10 * M, **changes: Any) -> Process:
    usual = Process(
        pid=pid,
        start=pid,
        ppid=1,
        name=f"p{pid}",
        uid=0,
        rss=rss,
        swap=0,
        page_tables=0,
        oom_score=None,
        oom_score_adj=0,
        command=f"/usr/bin/p{pid}",
    )
    return usual._replace(**changes)


def usage(name: str, *processes: Process, cgroup: str = "", **memory: Any) -> UnitUsage:
    return UnitUsage(
        name=name,
        cgroup=cgroup or f"/system.slice/{name}",
        memory=memory_of(**memory),
        processes=processes,
        rss=sum(p.rss for p in processes),
        swap=sum(p.swap or 0 for p in processes),
    )


def properties(name: str, **changes: Any) -> UnitProperties:
    usual: dict[str, Any] = {
        "active_state": "active",
        "sub_state": "running",
        "type": "simple",
        "fragment_path": f"/usr/lib/systemd/system/{name}",
        "restart": "no",
        "restart_usec": 100_000,
        "oom_score_adjust": 0,
        "oom_policy": "stop",
    }
    return properties_of(name, **(usual | changes))


def unit(name: str, *processes: Process, **changes: Any) -> Unit:
    """A running unit with these processes, or one of rss 10M."""
    return Unit(name, usage(name, *(processes or (process(),))), properties(name, **changes))


def service(
    name: str, *processes: Process, memory: dict[str, Any] | None = None, **changes: Any
) -> Unit:
    """A running service with exactly these processes; ``memory`` are fields of its group."""
    return Unit(name, usage(name, *processes, **(memory or {})), properties(name, **changes))


def snapshot(*units: Unit, **changes: Any) -> Snapshot:
    return Snapshot(0.0, 0.0, host(**changes), {u.name: u for u in units})


def known(
    one: Unit,
    *,
    asked: str = "",
    files: dict[str, str] | None = None,
    drop_in: UnitFile | None = None,
    obstacle: Message | None = None,
    settings: dict[Key, Setting] | None = None,
) -> UnitSituation:
    """What is known of a unit; ``files`` are path → text below its section's header."""
    found = tuple(UnitFile(p, f"[Service]\n{t}\n") for p, t in (files or {}).items())
    return UnitSituation(asked or one.name, one, found, settings or {}, drop_in, obstacle)


def situation(*units: UnitSituation, swap: bool = True, others: tuple[Unit, ...] = ()) -> Situation:
    return Situation(snapshot(*(u.unit for u in units), *others), {u.asked: u for u in units}, swap)
