"""What was killed, and what came of it: the reports as they were read, and the incidents they make.

Plain data. Times are seconds since 1970, sizes are bytes, ``None`` is "not known". Names and
messages are as their writers wrote them: not safe to print as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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
        """What it held in RAM."""
        parts = [size for size in (self.anon, self.file, self.shmem) if size is not None]
        return sum(parts) if parts else None


@dataclass(frozen=True, slots=True)
class OomReport:
    """One report of the kernel's OOM killer (mm/oom_kill.c, mm/memcontrol.c)."""

    time: float
    boot: str
    victim: Victim
    unit: str = ""
    """The unit that the victim was in; "" where the report does not tell its group."""
    cgroup: str = ""
    """The group that the victim was in (``task_memcg``)."""
    constraint: str = ""
    """``CONSTRAINT_NONE``, ``CONSTRAINT_MEMCG``, ``CONSTRAINT_CPUSET``…; "" if it is not told."""
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
    asked_by: str = ""
    """The process whose request for memory could not be met."""
    asked_pid: int | None = None
    also: tuple[Victim, ...] = ()
    """Who was killed with it, the group being killed as one (memory.oom.group)."""
    together: str = ""
    """The unit, a slice perhaps, that was killed as one."""
    reference: str = ""
    """Where the report's last line stands, for whoever keeps it."""


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
    """What systemd said of a unit."""

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
    notes: tuple[str, ...] = ()
    """Sentences on what could not be read."""


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
    WATCHDOG = "watchdog"
    START_LIMIT = "start-limit"
    """It failed too often within its start limit, and is not started any more."""


class Ending(StrEnum):
    """What came of it."""

    BACK = "back"
    """The unit ended, and was started again."""
    LIVED = "lived"
    """The unit went on without that process."""
    RUNS = "runs"
    """It runs now; when it came back was not read."""
    WAITING = "waiting"
    """A restart is scheduled."""
    GAVE_UP = "gave-up"
    """It was restarted too often and needs ``systemctl reset-failed`` and a start."""
    DEAD = "dead"
    """Still dead."""
    REBOOT = "reboot"
    """It was not back when the machine went down."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Incident:
    """One line: when, whom, why, what came of it."""

    time: float
    this_boot: bool
    unit: str
    """"" where nobody told."""
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


@dataclass(frozen=True, slots=True)
class Incidents:
    """Everything that is known, the newest first."""

    incidents: tuple[Incident, ...]
    untold: dict[str, int]
    """Kills since this boot that the kernel counted for a unit and of which no report was found;
    empty where reports were not looked for since this boot."""
    notes: tuple[str, ...] = ()
    since: float | None = None
    """Nothing older was read; None if all there is was."""
