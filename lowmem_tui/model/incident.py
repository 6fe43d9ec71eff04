"""What was killed, and the outcome: the reports as they were read, and the incidents they make.

Plain data. Times are seconds since 1970, sizes are bytes, ``None`` is "not known". Names and
messages are as their writers wrote them: not safe to print as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that the kernel killed, from its line ``Killed process`` (mm/oom_kill.c)."""

    pid: int
    name: str
    """``comm``, at most 15 bytes."""
    uid: int | None = None
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None
    adj: int | None = None
    """Its oom_score_adj."""

    @property
    def rss(self) -> int | None:
        """What it used of RAM."""
        parts = [size for size in (self.anon, self.file, self.shmem) if size is not None]
        return sum(parts) if parts else None


class Lack(StrEnum):
    """What a shortage that killed nothing was."""

    NO_VICTIM = "no_victim"
    """The OOM killer found no process that it may kill."""
    ALLOCATION = "allocation_failure"
    """The kernel itself could not get memory, and went without (``warn_alloc``)."""
    PANIC = "panic"
    """The kernel stopped the machine for want of memory (vm.panic_on_oom, or no process left)."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """Memory that could not be had, where nothing was killed; many of a kind are one."""

    time: float
    """The last one."""
    boot: str
    lack: Lack
    began: float
    """The first one."""
    count: int = 1
    unit: str = ""
    """The unit whose limit was reached; "" for the whole machine, or where that is not known."""
    cgroup: str = ""
    """The group whose limit was reached."""
    limit: int | None = None
    """Its memory.max."""
    lowered: bool = False
    """Whether the limit was set below what was in use."""
    process: str = ""
    """Who asked, the last time."""
    pid: int | None = None
    order: int | None = None
    """ALLOCATION: 2 to the power of it are the pages asked for in one piece."""
    mode: str = ""
    """ALLOCATION: the kernel's words for how it asked (``GFP_ATOMIC``…)."""
    path: str = ""
    """ALLOCATION: ``network`` or ``disk``, as the call trace has it; "" if it does not tell."""
    detail: str = ""
    """ALLOCATION: what the kernel calls it, where that is not pages."""
    reference: str = ""

    @property
    def atomic(self) -> bool:
        """Whether it could not wait for memory: an interrupt, or code that holds a lock."""
        return "GFP_ATOMIC" in self.mode or "GFP_NOWAIT" in self.mode


@dataclass(frozen=True, slots=True)
class Killing:
    """A kill by a program: earlyoom, nohang, systemd-oomd."""

    time: float
    boot: str
    by: str
    """The program's name, as in ``Cause``."""
    unit: str = ""
    cgroup: str = ""
    """The group that was killed, or that the process was in."""
    pid: int | None = None
    name: str = ""
    uid: int | None = None
    rss: int | None = None
    signal: str = ""
    why: str = ""
    """What the program says for a reason."""


@dataclass(frozen=True, slots=True)
class OomReport:
    """One report of the kernel's OOM killer (mm/oom_kill.c, mm/memcontrol.c)."""

    time: float
    boot: str
    victim: Victim | None
    """None where nothing could be killed: ``shortages`` has it."""
    unit: str = ""
    """The unit that the victim was in; "" where the report does not tell its group."""
    cgroup: str = ""
    """The group that the victim was in (``task_memcg``)."""
    constraint: str = ""
    """``CONSTRAINT_NONE``, ``CONSTRAINT_MEMCG``, ``CONSTRAINT_CPUSET``…; "" if it is unknown."""
    limit_cgroup: str = ""
    """The group whose limit was reached (``oom_memcg``); "" for the whole machine."""
    limit_unit: str = ""
    """The unit that this group is."""
    limit: int | None = None
    """Its memory.max."""
    swap_used: int | None = None
    """What the group had in swap."""
    swap_free: int | None = None
    """What was free of the machine's swap, where the machine was out of memory."""
    swap_total: int | None = None
    by_hand: bool = False
    """Whether somebody asked for the kill (SysRq f), and no memory was short."""
    lowered: bool = False
    """Whether the limit was set below what was in use: no process requested memory."""
    asked_by: str = ""
    """The process whose request for memory could not be met."""
    asked_pid: int | None = None
    also: tuple[Victim, ...] = ()
    """Who was killed with it, the group being killed as one (memory.oom.group)."""
    together: str = ""
    """The unit, a slice perhaps, that was killed as one."""
    reference: str = ""
    """Where the report's last line is, for whoever stores it."""
    shortages: tuple[Shortage, ...] = ()
    """What killed nothing and was read before this report; it need not be of the same unit."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A process in the table of a report, as it was before the kill (``dump_tasks``)."""

    pid: int
    name: str
    uid: int
    rss: int
    swap: int
    page_tables: int
    adj: int


@dataclass(frozen=True, slots=True)
class ReportText:
    """A kernel's report, whole."""

    lines: tuple[str, ...]
    """As the kernel wrote them; the newest of them, if there were too many."""
    tasks: tuple[TaskRow, ...]
    """Its table of processes."""


class EventKind(StrEnum):
    """What systemd reported of a unit."""

    OOM = "oom"
    """A process of it was killed by the OOM killer."""
    OOMD = "oomd"
    """systemd-oomd killed processes of it."""
    RESULT = "result"
    """It failed; the detail is systemd's word for it (``oom-kill``, ``signal``, ``watchdog``…)."""
    ENDED = "ended"
    """It has ended, and not failed."""
    TOO_OFTEN = "too-often"
    """It was started too often, and is not started any more."""
    RESTART = "restart"
    """A restart is scheduled; the detail counts them."""
    STARTED = "started"


@dataclass(frozen=True, slots=True)
class UnitEvent:
    """One message of systemd about a unit."""

    time: float
    boot: str
    unit: str
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found, the oldest first."""

    boot: str
    """The present boot."""
    reports: tuple[OomReport, ...] = ()
    events: tuple[UnitEvent, ...] = ()
    """Of the units that the reports name, and of those that systemd says were killed."""
    killings: tuple[Killing, ...] = ()
    clocks: dict[str, Clock] = field(default_factory=dict)
    """What the times of a boot count from, where it is not 1970; in the order of the boots."""
    last_boot: str = ""
    """The boot in which the log ends, where that is not the present one: a log from elsewhere."""
    since: float | None = None
    """Nothing older was read; None if all there is was."""
    events_since: float | None = None
    """No starts and ends older than this were read; None if all were."""
    outcomes: bool = True
    """Whether systemd's messages could be read at all."""
    now: float | None = None
    """When the units that run were looked at; seconds since 1970."""
    booted: float | None = None
    """When the present boot began."""
    running: frozenset[str] = frozenset()
    """The units that run now."""
    starters: dict[str, str] = field(default_factory=dict)
    """The timer, socket or path that starts a unit by itself, as far as systemd was asked."""
    counters: dict[str, int] = field(default_factory=dict)
    """``oom_kill`` of memory.events of each unit that runs, where it is not 0."""
    kills: int | None = None
    """``oom_kill`` of /proc/vmstat: kills since boot."""
    notes: tuple[Message | str, ...] = ()
    """Sentences on what could not be read."""


class Clock(StrEnum):
    """What times count from."""

    WALL = "wall"
    """Seconds since 1970."""
    BOOT = "boot"
    """Seconds since the machine was booted; when that was is not known."""
    NONE = "none"
    """The log has no times: they tell the order alone."""


class Kind(StrEnum):
    """What an incident is, for whoever reads the JSON."""

    OOM_KILL = "oom_kill"
    NO_VICTIM = "no_victim"
    ALLOCATION = "allocation_failure"
    PANIC = "panic"
    OOMD = "oomd"
    EARLYOOM = "earlyoom"
    NOHANG = "nohang"
    WATCHDOG = "watchdog"
    START_LIMIT = "start_limit"


class Cause(StrEnum):
    """Why it was killed."""

    LIMIT = "limit"
    """A memory limit was reached: the unit's own or a parent's."""
    RAM = "ram"
    """The machine's RAM and swap were used up."""
    OTHER = "other"
    """The kernel's OOM killer, for another reason (a cpuset, a memory policy, SysRq)."""
    OOM = "oom-kill"
    """systemd says so; there is no report of the kernel."""
    OOMD = "oomd"
    """systemd-oomd killed it."""
    EARLYOOM = "earlyoom"
    NOHANG = "nohang"
    ALLOCATION = "allocation-failure"
    """The kernel could not get memory for itself."""
    WATCHDOG = "watchdog"
    START_LIMIT = "start-limit"
    """It failed too often within its start limit, and is not started any more."""


class Ending(StrEnum):
    """The outcome."""

    BACK = "back"
    """The unit ended, and was started again."""
    LIVED = "lived"
    """The unit went on without that process."""
    RUNS = "runs"
    """It runs now; when it came back was not read."""
    WAITING = "waiting"
    """A restart is scheduled."""
    START_LIMIT = "gave-up"
    """It was restarted too often and needs ``systemctl reset-failed`` and a start."""
    DEAD = "dead"
    """It stays down."""
    REBOOT = "reboot"
    """It was not back when the machine went down."""
    NOTHING = "nothing-killed"
    """Nothing was killed, and nothing ended with it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Incident:
    """One line: when, which unit, why, and the outcome."""

    time: float
    this_boot: bool
    unit: str
    """"" where nothing reports it."""
    cause: Cause
    report: OomReport | None = None
    result: str = ""
    """systemd's word for how the unit ended; "" if it did not end or that is not known."""
    ending: Ending = Ending.UNKNOWN
    back_after: float | None = None
    """Seconds from the kill until systemd called the unit started."""
    restarts: int | None = None
    """systemd's count of restarts, as of the one that followed."""
    until: str = ""
    """DEAD: the timer, socket or path that starts it again; "" if there is none, or not known."""
    shortage: Shortage | None = None
    """What it is, where nothing was killed."""
    killing: Killing | None = None
    """What a program that killed says."""
    clock: Clock = Clock.WALL
    boot: str = ""

    @property
    def kind(self) -> Kind:
        """Return what it is."""
        if self.shortage is not None:
            return Kind(self.shortage.lack)
        return _KINDS.get(self.cause, Kind.OOM_KILL)

    @property
    def count(self) -> int:
        """Return how many it stands for."""
        return self.shortage.count if self.shortage else 1


_KINDS = {
    Cause.OOMD: Kind.OOMD,
    Cause.EARLYOOM: Kind.EARLYOOM,
    Cause.NOHANG: Kind.NOHANG,
    Cause.ALLOCATION: Kind.ALLOCATION,
    Cause.WATCHDOG: Kind.WATCHDOG,
    Cause.START_LIMIT: Kind.START_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Incidents:
    """Everything that is known, the newest first."""

    incidents: tuple[Incident, ...]
    unreported: dict[str, int]
    """Kills since this boot that the kernel counted for a unit and of which no report was found;
    empty where reports were not looked for since this boot."""
    notes: tuple[Message | str, ...] = ()
    since: float | None = None
    """Nothing older was read; None if all there is was."""
