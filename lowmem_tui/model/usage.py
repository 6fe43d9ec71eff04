"""What units and processes use, as the kernel tells it. ``None`` is "not known", never zero.

Named tuples, because hundreds are made each second. Sizes are bytes unless a field says otherwise.
"""

# No annotations from __future__: of a named tuple each is compiled then, and kept (1 kB).

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import Limit
from lowmem_tui.model.settings import Key

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message


class Stall(NamedTuple):
    """One line of a PSI file (Documentation/accounting/psi.rst)."""

    avg10: float
    """Per cent of the last 10 seconds."""
    avg60: float
    avg300: float
    total_usec: int
    """Microseconds since boot."""


class Pressure(NamedTuple):
    """A PSI file: ``some`` (at least one task stalled) and ``full`` (all tasks stalled)."""

    some: Stall
    full: Stall | None


class Process(NamedTuple):
    """One process, from /proc/PID (proc(5))."""

    pid: int
    start: int
    """``starttime`` of stat, clock ticks after boot: with the pid it names one process for good."""
    ppid: int
    name: str
    """``comm``, at most 15 bytes, as the process wrote it: not safe to print as it is."""
    uid: int | None
    """Effective uid (``Uid`` of status)."""
    rss: int
    """``resident`` of statm × page size."""
    swap: int | None
    """``VmSwap`` of status."""
    page_tables: int | None
    """``VmPTE`` of status."""
    oom_score: int | None
    oom_score_adj: int | None
    command: str | None
    """cmdline with spaces for its NULs; empty for a kernel thread. Not safe to print as it is."""
    cgroup: str = ""
    """The control group below the unit's own, ``""`` for the unit's own (a container, a worker)."""
    drift: int = 0
    """How much more than ``rss`` the OOM killer counts, less than 0 for less: ``rss`` of stat."""

    @property
    def counted(self) -> int:
        """The resident bytes that the OOM killer goes by."""
        return max(0, self.rss + self.drift)


class Memory(NamedTuple):
    """The memory controller's files of a control group (cgroup-v2.rst)."""

    current: int | None = None
    """memory.current: page cache included."""
    anon: int | None = None
    """``anon`` of memory.stat."""
    file: int | None = None
    """``file`` of memory.stat; it includes ``shmem``."""
    shmem: int | None = None
    kernel: int | None = None
    swap: int | None = None
    """memory.swap.current."""
    peak: int | None = None
    """memory.peak (kernel 5.19 and later)."""
    settings: Mapping[Key, Limit] = {}
    """What the kernel has of each setting with a file here (``CGROUP_FILES``); what is not in it is
    not known."""
    oom_kills: int | None = None
    """``oom_kill`` of memory.events, since the group was made, its children included."""
    oom_group: bool | None = None
    """memory.oom.group: the kernel kills the whole group (``OOMPolicy=kill``)."""
    pressure: Pressure | None = None

    @property
    def max(self) -> Limit | None:
        """memory.max."""
        return self.settings.get(Key.MEMORY_MAX)

    @property
    def high(self) -> Limit | None:
        """memory.high."""
        return self.settings.get(Key.MEMORY_HIGH)

    @property
    def swap_max(self) -> Limit | None:
        """memory.swap.max."""
        return self.settings.get(Key.MEMORY_SWAP_MAX)


MEMORY_STAT: Mapping[str, bytes] = {
    "anon": b"anon ",
    "file": b"file ",
    "shmem": b"shmem ",
    "kernel": b"kernel ",
}
"""The fields of ``Memory`` that memory.stat has, and their keys there; ``kernel`` since 5.18."""


class UnitUsage(NamedTuple):
    """What the control group of a unit uses."""

    name: str
    """The unit's name, its control group's escaping taken away; a path for a group without unit."""
    cgroup: str
    """Path below the cgroup mount, with a leading slash."""
    memory: Memory
    processes: tuple[Process, ...]
    """Of the group and all groups below it; empty for a slice, whose units hold them."""
    rss: int | None
    """Sum over the processes; None if none could be read and there are some."""
    swap: int | None
    """memory.swap.current, or else the sum over the processes."""

    @property
    def unreclaimable(self) -> int | None:
        """Bytes that only swap can reclaim: anonymous memory and shmem, else the RSS."""
        anon = self.memory.anon
        return self.rss if anon is None else anon + (self.memory.shmem or 0)

    @property
    def oom_score(self) -> int | None:
        """The highest oom_score of the unit's processes."""
        return max((p.oom_score for p in self.processes if p.oom_score is not None), default=None)


class Zram(NamedTuple):
    """Sum over /sys/block/zram*/mm_stat (Documentation/admin-guide/blockdev/zram.rst)."""

    stored: int
    """``orig_data_size``: what is held, uncompressed."""
    used: int
    """``mem_used_total``: the RAM that takes."""


class Knobs(NamedTuple):
    """Values of /proc/sys/vm, and of zswap, that decide what a shortage of memory does."""

    swappiness: int | None = None
    """At 0 no control group swaps at its limit."""
    panic_on_oom: int | None = None
    """1: the machine stops when it is out of memory; 2: when a control group is, too."""
    kill_asker: int | None = None
    """``oom_kill_allocating_task``: not 0, whoever asks for memory then is killed."""
    zswap: bool | None = None
    """Whether what is swapped out stays in RAM compressed, charged to its group."""


class HostUsage(NamedTuple):
    """The machine, from /proc/meminfo, /proc/uptime and /proc/pressure/memory."""

    hostname: str
    page_size: int
    uptime: float | None
    """Seconds."""
    mem_total: int
    mem_free: int
    mem_available: int
    swap_total: int
    swap_free: int
    zram: Zram | None
    pressure: Pressure | None
    oom_kills: int | None
    """``oom_kill`` of /proc/vmstat, since boot."""
    knobs: Knobs = Knobs()

    @property
    def swap_used(self) -> int:
        """SwapTotal − SwapFree."""
        return self.swap_total - self.swap_free


class Sample(NamedTuple):
    """One look at the kernel's files, the systemd side left out."""

    time: float
    """Seconds since 1970."""
    monotonic: float
    """Seconds of the monotonic clock, for differences."""
    host: HostUsage
    units: dict[str, UnitUsage]
    """By name; never changed once handed out."""
    notice: "Message | str" = ""
    """One sentence on what could not be read, or empty."""
