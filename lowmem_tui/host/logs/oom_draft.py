"""A report of the kernel's OOM killer while it is read: what is known of it so far. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.cgroupfs import owner
from lowmem_tui.host.logs import oom_text
from lowmem_tui.model.incident import OomReport, Shortage

if TYPE_CHECKING:
    from lowmem_tui.model.incident import Lack, Victim

MEMCG, NONE = "CONSTRAINT_MEMCG", "CONSTRAINT_NONE"


class Line(NamedTuple):
    """One line of the kernel's log."""

    time: float
    boot: str
    text: str
    reference: str = ""
    context: str = ""
    """Who wrote it (``T123``, ``C0``), where the kernel marks its lines so."""


class Draft:
    """What is known of the report that is being read."""

    __slots__ = (
        "asked_by", "asked_pid", "by_hand", "cgroup", "complete", "constraint", "group",
        "last", "limit", "limit_cgroup", "lowered", "named", "old", "sizes", "swap_free",
        "swap_total", "swap_used",
    )  # fmt: skip

    def __init__(self, line: Line) -> None:
        self.last = line
        self.asked_by, self.constraint, self.cgroup, self.limit_cgroup = "", "", "", ""
        self.asked_pid: int | None = None
        self.limit: int | None = None
        self.swap_used: int | None = None
        self.swap_free: int | None = None
        self.swap_total: int | None = None
        self.by_hand = self.lowered = False
        self.group = ""
        """The group that the kernel's figures are of."""
        self.sizes = 0
        """1 with a group's figures, else 0."""
        self.named: Victim | None = None
        """As the summary line has the victim."""
        self.complete = False
        """Its summary was read: the body is over."""
        self.old = False
        """It is a kernel before 5.1: the killed process may be a child of the named one."""

    def fits(self, found: oom_text.Summary) -> bool:
        """Tell whether a summary may be this report's."""
        if self.named is not None or self.constraint:
            return False
        if found.constraint == MEMCG:
            return self.group in {"", found.limit_cgroup} or not found.limit_cgroup
        return found.constraint != NONE or not self.sizes

    def report(self, victim: Victim | None) -> OomReport:
        """Return the report, the victim being known."""
        here = self.constraint == MEMCG
        return OomReport(
            self.last.time,
            self.last.boot,
            victim,
            unit=unit_of(self.cgroup),
            cgroup=self.cgroup,
            constraint=self.constraint,
            limit_cgroup=self.limit_cgroup,
            limit_unit=unit_of(self.limit_cgroup),
            limit=self.limit if here else None,
            swap_used=self.swap_used if here else None,
            swap_free=self.swap_free,
            swap_total=self.swap_total,
            by_hand=self.by_hand,
            lowered=self.lowered and self.constraint == MEMCG,
            asked_by=self.asked_by,
            asked_pid=self.asked_pid,
            reference=self.last.reference,
        )

    def shortage(self, lack: Lack) -> Shortage:
        """Return what it is where nothing could be killed."""
        group = self.limit_cgroup or self.group
        return Shortage(
            self.last.time,
            self.last.boot,
            lack,
            self.last.time,
            unit=unit_of(group),
            cgroup=group,
            limit=self.limit,
            lowered=self.lowered,
            process=self.asked_by,
            pid=self.asked_pid,
            reference=self.last.reference,
        )

    def may_write(self, line: Line) -> bool:
        """Tell whether a line may be of this report's body."""
        if self.complete:
            return False
        mine = self.last.context
        return not line.context or not mine or line.context == mine

    @staticmethod
    def figures(text: str) -> bool:
        """Tell whether a line has figures of a group, or its name."""
        return text.startswith(("memory: usage ", "swap: usage ", "Memory cgroup stats for "))

    def body(self, line: Line) -> bool:
        """Take over a line of the report's body; False if it is the body of two."""
        text = line.text
        if (size := oom_text.usage(text)) is not None:
            if size[0] == "swap":
                self.swap_used = size[1]
            elif self.sizes:
                return False
            else:
                self.limit, self.sizes = size[2], 1
        elif group := oom_text.stats_of(text):
            self.group = self.group or group
        elif (swap := oom_text.swap(text)) is not None:
            if swap[0] == "Free":
                self.swap_free = swap[1]
            else:
                self.swap_total = swap[1]
        elif oom_text.lowered(text):
            self.lowered = True
        elif self.asked_pid is None and self.asked_by:
            self.asked_pid = oom_text.asked_pid(text, self.asked_by)
        self.last = line
        return True


def unit_of(group: str) -> str:
    """Return the unit that a group is, or belongs to; "" for none."""
    return owner(group)[1] if group else ""
