"""The page of `triage`, of a server that is not this one: of files that it would have had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli import triage
from lowmem_tui.cli.output import DEMO, talk
from lowmem_tui.cli.triage import Folder, page
from lowmem_tui.model.language import tr
from lowmem_tui.model.unit import Unlimited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lowmem_tui.model.unit import Limit
    from lowmem_tui.model.usage import HostUsage, Process, Stall, UnitUsage

NOWHERE = ""
"""The path of what this server has not got: no zram, no trial, no history."""


class Made(Folder):
    """Files that are not on any disk, by their names below the folder."""

    __slots__ = ("files",)

    def __init__(self, path: str, files: Mapping[str, str]) -> None:
        super().__init__(path)
        self.files = {name: text.encode() for name, text in files.items()}

    def read(self, name: str, size: int = 0) -> bytes | None:  # noqa: ARG002 - as the real ones
        """Return a file; None if there is none."""
        return self.files.get(name.lstrip("/"))

    def whole(self, name: str) -> bytes | None:
        """Return a file; None if there is none."""
        return self.read(name)

    def has(self, name: str) -> bool:
        """Tell whether there is such a file or folder."""
        return any(path == name or path.startswith(f"{name}/") for path in self.files)

    def names(self) -> list[str]:
        """Return what is in the folder."""
        return list(dict.fromkeys(path.partition("/")[0] for path in self.files))


def run(argv: list[str]) -> int:
    """Print the page of a demo server that has just been switched on; return the exit status."""
    return triage.run(argv, make=_page_of_demo)


def _page_of_demo() -> str:
    from lowmem_tui.demo.server import DemoServer

    sample = DemoServer().sampler.sample()
    talk(tr(DEMO))
    return page_of(sample.host, sample.units.values())


def page_of(host: HostUsage, units: Iterable[UnitUsage]) -> str:
    """Return the page of a server with these units."""
    proc, cgroup = _machine(host), {"cgroup.controllers": "memory\n"}
    for usage in units:
        cgroup |= _group(usage)
        for process in usage.processes:
            path = f"{usage.cgroup}/{process.cgroup}".rstrip("/")
            proc |= _process(process, path, host.page_size)
    return page(Made("/proc", proc), Made("/sys/fs/cgroup", cgroup), NOWHERE, NOWHERE, NOWHERE)


def _machine(host: HostUsage) -> dict[str, str]:
    sizes = {
        "MemTotal": host.mem_total,
        "MemFree": host.mem_free,
        "MemAvailable": host.mem_available,
        "SwapTotal": host.swap_total,
        "SwapFree": host.swap_free,
    }
    pressure = host.pressure
    return {
        "meminfo": "".join(f"{name}: {size >> 10} kB\n" for name, size in sizes.items()),
        "sys/kernel/hostname": f"{host.hostname}\n",
        "uptime": f"{host.uptime or 0:.2f} 0.00\n",
        "vmstat": f"oom_kill {host.oom_kills or 0}\n",
        "pressure/memory": f"{_stall('some', pressure.some)}{_stall('full', pressure.full)}"
        if pressure
        else "",
        "sys/vm/panic_on_oom": f"{host.knobs.panic_on_oom or 0}\n",
        "sys/vm/oom_kill_allocating_task": f"{host.knobs.kill_asker or 0}\n",
    }


def _stall(kind: str, stall: Stall | None) -> str:
    if stall is None:
        return ""
    averages = f"avg10={stall.avg10:.2f} avg60={stall.avg60:.2f} avg300={stall.avg300:.2f}"
    return f"{kind} {averages} total={stall.total_usec}\n"


def _process(p: Process, cgroup: str, page_size: int) -> dict[str, str]:
    pages = p.rss // page_size
    zeros = " 0" * 12
    return {
        f"{p.pid}/cgroup": f"0::{cgroup}\n",
        f"{p.pid}/statm": f"{pages} {pages} 0 0 0 0 0\n",
        f"{p.pid}/oom_score": f"{p.oom_score or 0}\n",
        f"{p.pid}/oom_score_adj": f"{p.oom_score_adj or 0}\n",
        f"{p.pid}/stat": f"{p.pid} ({p.name}) S {p.ppid} 0 0 0 0 0{zeros} {p.start} 0 {pages} 0\n",
        f"{p.pid}/status": f"Name:\t{p.name}\nUid:\t0\t{p.uid or 0}\t0\t0\n"
        f"VmSwap:\t{(p.swap or 0) >> 10} kB\nVmPTE:\t{(p.page_tables or 0) >> 10} kB\n",
    }


def _group(usage: UnitUsage) -> dict[str, str]:
    memory, folder = usage.memory, usage.cgroup.strip("/")
    return {
        f"{folder}/memory.swap.current": f"{memory.swap or 0}\n",
        f"{folder}/memory.max": f"{_limit(memory.max)}\n",
        f"{folder}/memory.oom.group": f"{int(bool(memory.oom_group))}\n",
        f"{folder}/memory.events": f"oom_kill {memory.oom_kills or 0}\n",
    }


def _limit(limit: Limit | None) -> str:
    return "max" if limit is None or isinstance(limit, Unlimited) else str(limit)
