"""A server as files in a folder: /proc and the cgroup tree, with a way to make it live.

The tests lay out small ones by hand (``Box``); the bench makes a big one (``make_tree``) and
changes a tenth of it at each step (``Mutator``). As on a real server, a file is changed in place,
so that whoever keeps it open sees the change.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import INFINITY
from lowmem_tui.model.settings import CGROUP_FILES

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
MIB = 1 << 20
GIB = 1 << 30

MEMINFO = """\
MemTotal:         989456 kB
MemFree:           81232 kB
MemAvailable:     412304 kB
Buffers:           12004 kB
SwapTotal:       2097148 kB
SwapFree:        1846272 kB
"""
STALL = "avg10={0:.2f} avg60={0:.2f} avg300=0.00 total={1}"


class Box:
    """A server in a folder: ``proc``, ``cgroup`` and ``block`` below it."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.cgroup = root / "cgroup"
        self.block = root / "block"
        for folder in (self.proc / "sys/kernel", self.proc / "pressure", self.cgroup, self.block):
            folder.mkdir(parents=True)
        (self.proc / "meminfo").write_text(MEMINFO)
        (self.proc / "uptime").write_text("1036800.25 900000.00\n")
        (self.proc / "sys/kernel/hostname").write_text("web-1\n")
        self.set_kills(0)
        (self.proc / "pressure/memory").write_text(pressure(0.4, 1234))
        (self.cgroup / "cgroup.controllers").write_text("cpu io memory pids\n")
        (self.cgroup / "cgroup.procs").write_text("2\n")

    def set_kills(self, count: int) -> None:
        """Set ``oom_kill`` of /proc/vmstat."""
        lines = "".join(f"nr_filler_{i} {i}\n" for i in range(300))
        (self.proc / "vmstat").write_text(f"{lines}oom_kill {count}\nzswpin 0\n")

    def add_zram(self, name: str = "zram0", stored: int = 300 * MIB, used: int = 90 * MIB) -> None:
        """Add a zram device."""
        folder = self.block / name
        folder.mkdir()
        (folder / "disksize").write_text(f"{GIB}\n")
        (folder / "mm_stat").write_text(f"{stored} {used - 100} {used} 0 {used} 7 0 0 0\n")

    def add_group(self, path: str, current: int = 20 * MIB, swap: int = 0, **files: str) -> Path:
        """Add a control group with the memory controller's files.

        Further files by name, an underscore for each point: ``memory_max="max"``.
        """
        folder = self.cgroup / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "cgroup.procs": "",
            "cgroup.events": "populated 0\nfrozen 0\n",
            "memory.current": f"{current}\n",
            "memory.swap.current": f"{swap}\n",
            "memory.peak": f"{current + MIB}\n",
            **{
                file: "max\n" if key.facts.default is INFINITY else f"{key.facts.default}\n"
                for key, file in CGROUP_FILES.items()
            },
            "memory.events": events(0),
            "memory.oom.group": "0\n",
            "memory.stat": memory_stat(current),
            "memory.pressure": pressure(0.0, 0),
        }
        texts |= {name.replace("_", "."): text + "\n" for name, text in files.items()}
        for name, text in texts.items():
            (folder / name).write_text(text)
        return folder

    def add_process(
        self,
        pid: int,
        cgroup: str,
        *,
        name: str = "worker",
        rss: int = 8 * MIB,
        swap: int = 0,
        page_tables: int = 64 * 1024,
        score: int = 667,
        adjust: int = 0,
        uid: int = 1000,
        ppid: int = 1,
        start: int | None = None,
        command: bytes = b"/usr/bin/worker\0--loop\0",
        flags: int = 0x400100,
    ) -> Path:
        """Add a process to a control group."""
        folder = self.proc / str(pid)
        folder.mkdir()
        started = pid * 10 if start is None else start
        zeros = " ".join("0" for _ in range(30))
        (folder / "stat").write_text(
            f"{pid} ({name}) S {ppid} {pid} {pid} 0 -1 {flags} 1 0 0 0 5 5 0 0 20 0 1 0 {started} "
            f"100000 {rss // PAGE} {zeros}\n"
        )
        (folder / "cmdline").write_bytes(command)
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
        (folder / "oom_score_adj").write_text(f"{adjust}\n")
        self.set_process(pid, rss=rss, score=score)
        self.set_status(pid, name=name, swap=swap, page_tables=page_tables, uid=uid, ppid=ppid)
        group = self.cgroup / cgroup.strip("/")
        if group.is_dir():
            with (group / "cgroup.procs").open("a") as members:
                members.write(f"{pid}\n")
            (group / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        return folder

    def set_process(self, pid: int, *, rss: int, score: int) -> None:
        """Set what changes all the time."""
        folder = self.proc / str(pid)
        (folder / "statm").write_text(f"{rss // PAGE + 999} {rss // PAGE} 300 100 0 500 0\n")
        head, closing, tail = (folder / "stat").read_text().rpartition(")")
        fields = tail.split()
        fields[21] = str(rss // PAGE)
        (folder / "stat").write_text(f"{head}{closing} {' '.join(fields)}\n")
        (folder / "oom_score").write_text(f"{score}\n")

    def set_status(
        self,
        pid: int,
        *,
        name: str = "worker",
        swap: int = 0,
        page_tables: int = 64 * 1024,
        uid: int = 1000,
        ppid: int = 1,
    ) -> None:
        """Set /proc/PID/status."""
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
        (self.proc / str(pid) / "status").write_text(
            f"Name:\t{escaped}\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t{pid}\nNgid:\t0\n"
            f"Pid:\t{pid}\nPPid:\t{ppid}\nTracerPid:\t0\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
            f"Gid:\t{uid}\t{uid}\t{uid}\t{uid}\nFDSize:\t64\nGroups:\t \nNStgid:\t{pid}\n"
            "VmPeak:\t  200000 kB\nVmSize:\t  190000 kB\nVmLck:\t       0 kB\nVmPin:\t       0 kB\n"
            "VmHWM:\t   30000 kB\nVmRSS:\t   20000 kB\nRssAnon:\t   10000 kB\n"
            "RssFile:\t   10000 kB\nRssShmem:\t       0 kB\nVmData:\t   50000 kB\n"
            "VmStk:\t     132 kB\n"
            f"VmExe:\t    1000 kB\nVmLib:\t    9000 kB\nVmPTE:\t{page_tables // 1024:8d} kB\n"
            f"VmSwap:\t{swap // 1024:8d} kB\nHugetlbPages:\t       0 kB\nThreads:\t1\n"
        )

    def end_process(self, pid: int) -> None:
        """Let a process end."""
        folder = self.proc / str(pid)
        cgroup = (folder / "cgroup").read_text()[3:].strip()
        shutil.rmtree(folder)
        members = self.cgroup / cgroup.strip("/") / "cgroup.procs"
        if members.exists():
            left = [p for p in members.read_text().split() if p != str(pid)]
            members.write_text("".join(f"{p}\n" for p in left))
            events = members.parent / "cgroup.events"
            events.write_text(f"populated {int(bool(left))}\nfrozen 0\n")

    def remove_group(self, path: str) -> None:
        """Remove a group and all below it."""
        shutil.rmtree(self.cgroup / path.strip("/"))


def events(kills: int) -> str:
    """Return a memory.events."""
    return f"low 0\nhigh 0\nmax 0\noom {kills}\noom_kill {kills}\noom_group_kill 0\n"


def pressure(avg: float, total: int) -> str:
    """Return a PSI file."""
    return f"some {STALL.format(avg, total)}\nfull {STALL.format(avg / 2, total // 2)}\n"


STAT_KEYS = (
    *("anon", "file", "kernel", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "sock"),
    *("vmalloc", "shmem", "zswap", "zswapped", "file_mapped", "file_dirty", "file_writeback"),
    *("swapcached", "anon_thp", "file_thp", "shmem_thp", "inactive_anon", "active_anon"),
    *("inactive_file", "active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable"),
    *("slab", "workingset_refault_anon", "workingset_refault_file", "workingset_activate_anon"),
    *("workingset_activate_file", "workingset_restore_anon", "workingset_restore_file"),
    *("workingset_nodereclaim", "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged"),
    *("pgscan", "pgsteal", "pgscan_kswapd", "pgscan_direct", "pgscan_khugepaged"),
    *("pgsteal_kswapd", "pgsteal_direct", "pgsteal_khugepaged", "pgfault", "pgmajfault"),
    *("pgrefill", "pgactivate", "pgdeactivate", "pglazyfree", "pglazyfreed", "swpin_zero"),
    *("swpout_zero", "zswpin", "zswpout", "zswpwb", "thp_fault_alloc", "thp_collapse_alloc"),
    *("thp_swpout", "thp_swpout_fallback", "numa_pages_migrated", "numa_pte_updates"),
    *("numa_hint_faults",),
)
"""The keys of memory.stat (cgroup-v2.rst)."""


def memory_stat(current: int) -> str:
    """Return a memory.stat as long as the kernel's."""
    anon, file, shmem, kernel = current // 2, current // 3, current // 50, current // 9
    found = {"anon": anon, "file": file, "kernel": kernel, "shmem": shmem}
    return "".join(f"{key} {found.get(key, 1000)}\n" for key in STAT_KEYS)


def make_tree(root: Path, units: int = 200, processes: int = 300, seed: int = 0) -> Box:
    """Make a server of that many units (slices not counted) and processes; ``root`` is empty.

    Four in five units are services, the others sessions, sockets and mounts without a process;
    the first services have most of the processes. There are 40 kernel threads besides.
    """
    chance = random.Random(seed)
    box = Box(root)
    slices = ("/system.slice", "/user.slice", "/user.slice/user-1000.slice")
    for path in slices:
        box.add_group(path, current=400 * MIB)
    services: list[str] = []
    for number in range(units):
        if number % 5 < 4:
            path = f"/system.slice/service-{number:03}.service"
            services.append(path)
        elif number % 10 < 6:
            path = f"/user.slice/user-1000.slice/session-{number}.scope"
            services.append(path)
        else:
            path = f"/system.slice/dev-{number:03}.mount"
        box.add_group(path, current=chance.randrange(1, 40) * MIB, swap=chance.randrange(3) * MIB)
    for pid in range(2, 42):
        box.add_process(pid, "/", name=f"kworker/{pid}", command=b"", ppid=2, rss=0, flags=0x208040)
    for number in range(processes):
        index = number if number < len(services) else int(chance.random() ** 2 * len(services))
        box.add_process(
            1000 + number,
            services[index % len(services)],
            name=f"worker-{number}",
            rss=chance.randrange(1, 5000) * PAGE,
            swap=chance.randrange(200) * 4096,
            score=chance.randrange(600, 900),
            command=f"/usr/bin/worker-{number}\0--listen\0:{number}\0".encode(),
        )
    return box


class Mutator:
    """Makes a tree live: each step changes a share of the units and of the processes.

    Figures wander by a few per cent, as on a server, so that rows seldom change places; or they
    ``leap`` to any other, so that the whole table changes places all the time.
    """

    def __init__(self, box: Box, seed: int = 0, share: float = 0.1, *, leap: bool = False) -> None:
        self._box, self._leap = box, leap
        self._chance = random.Random(seed)
        self._share = share
        self._groups = sorted(
            p.parent for p in box.cgroup.rglob("memory.current") if p.parent.suffix != ".slice"
        )
        self._pids = sorted(int(p.parent.name) for p in box.proc.glob("[0-9]*/statm"))
        self._pids = [p for p in self._pids if p >= 1000]

    def step(self) -> None:
        """Change that share of all."""
        chance = self._chance
        for folder in chance.sample(self._groups, round(len(self._groups) * self._share)):
            current = self._wander(int((folder / "memory.current").read_text()))
            (folder / "memory.current").write_text(f"{current}\n")
            (folder / "memory.stat").write_text(memory_stat(current))
            if chance.random() < 0.2:
                (folder / "memory.swap.current").write_text(f"{chance.randrange(2000) * PAGE}\n")
        for pid in chance.sample(self._pids, round(len(self._pids) * self._share)):
            folder = self._box.proc / str(pid)
            rss = int((folder / "statm").read_text().split()[1]) * PAGE
            score = int((folder / "oom_score").read_text()) + chance.randrange(-2, 3)
            self._box.set_process(pid, rss=self._wander(rss), score=max(600, score))
            self._box.set_status(pid, swap=chance.randrange(200) * PAGE)

    def _wander(self, size: int) -> int:
        """Return another size: some pages larger or smaller, or any up to 20 MiB."""
        if self._leap:
            return self._chance.randrange(1, 5000) * PAGE
        most = max(2, size // PAGE // 30)
        return (
            max(1, size // PAGE + self._chance.choice((-1, 1)) * self._chance.randint(1, most))
            * PAGE
        )
