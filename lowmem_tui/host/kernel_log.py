"""The kernel's OOM reports: from the lines of its log to records. Pure; it never raises.

Source: mm/oom_kill.c (``dump_header``, ``dump_oom_summary``, ``__oom_kill_process``) and
mm/memcontrol.c (``mem_cgroup_print_oom_meminfo``) of kernels 6.1 and 6.12. Reports do not mix with
each other (the kernel holds ``oom_lock``), but any other line may stand between theirs, and any
line may be missing or cut.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.cgroupfs import owner
from lowmem_tui.model.incident import OomReport, Victim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LINES = (
    "invoked oom-killer: |^CPU: .* Comm: |^memory: usage |^swap: usage |^oom-kill:constraint="
    "|^Free swap  = [0-9]|^Total swap = [0-9]"
    "|Killed process [0-9]|^Tasks in /.* memory\\.oom\\.group set"
)
"""A regular expression (PCRE2, and ours) that matches every line that ``parse`` makes use of."""

BEGINS = " invoked oom-killer: "
"""Stands in the first line of a report."""

LONGEST = 2048
"""Characters of a line that are looked at: the kernel writes no longer ones."""

MAX_ALSO = 200
"""Members of a group killed as one that are kept of one report."""

GONE = 60.0
"""Seconds after which a line no longer belongs to what came before it."""

KIB = 1024

# One attempt at each place that a match can begin: none of these can take long on any text.
_INVOKED = re.compile(r"(.{0,64}?) invoked oom-killer: ", re.DOTALL)
_BY_HAND = ", order=-1,"
"""``is_sysrq_oom``."""

_SWAP = re.compile(r"(Free|Total) swap +?= (\d{1,20})kB")
_CPU = re.compile(r"CPU: \d{1,5} .{0,40}?\bPID: (\d{1,10}) Comm: ")
_USAGE = re.compile(r"(memory|swap): usage (\d{1,20})kB, limit (\d{1,20})kB")
_CONSTRAINT = re.compile(r"oom-kill:constraint=([A-Z_]{1,40})")
_PLACES = re.compile(r",oom_memcg=(.*?),task_memcg=(.*),task=")
_GLOBAL = re.compile(r",global_oom,task_memcg=(.*),task=")
_TASK = re.compile(r",task=([^\n]{0,64}),pid=(\d{1,10}),uid=(\d{1,10})\Z")
_KILLED = re.compile(r"Killed process (\d{1,10}) \((.{0,64}?)\)(?: total-vm:|,|\Z)", re.DOTALL)
_GROUP = re.compile(r"Tasks in (/.*) are going to be killed due to memory\.oom\.group set")
_FIELD = re.compile(r"(anon-rss|file-rss|shmem-rss|UID|oom_score_adj):(-?\d{1,20})")


class Line(NamedTuple):
    """One line of the kernel's log."""

    time: float
    boot: str
    text: str
    reference: str = ""


class _Draft:
    """What is known of the report that is being read."""

    __slots__ = (
        "asked_by", "asked_pid", "by_hand", "cgroup", "constraint", "last", "limit", "limit_cgroup",
        "named", "reference", "swap_free", "swap_total", "swap_used",
    )  # fmt: skip

    def __init__(self, line: Line) -> None:
        self.last = line
        self.asked_by, self.constraint, self.cgroup, self.limit_cgroup = "", "", "", ""
        self.asked_pid: int | None = None
        self.limit: int | None = None
        self.swap_used: int | None = None
        self.swap_free: int | None = None
        self.swap_total: int | None = None
        self.by_hand = False
        self.named: Victim | None = None
        """As the summary line has the victim."""

    def report(self, victim: Victim) -> OomReport:
        """Return the report, the victim being known."""
        here = self.constraint == "CONSTRAINT_MEMCG"
        return OomReport(
            self.last.time,
            self.last.boot,
            victim,
            unit=owner(self.cgroup)[1] if self.cgroup else "",
            cgroup=self.cgroup,
            constraint=self.constraint,
            limit_cgroup=self.limit_cgroup,
            limit_unit=owner(self.limit_cgroup)[1] if self.limit_cgroup else "",
            limit=self.limit if here else None,
            swap_used=self.swap_used if here else None,
            swap_free=self.swap_free,
            swap_total=self.swap_total,
            by_hand=self.by_hand,
            asked_by=self.asked_by,
            asked_pid=self.asked_pid,
            reference=self.last.reference,
        )


def parse(lines: Iterable[Line]) -> Iterator[OomReport]:
    """Yield the reports in lines of the kernel's log, which come in their order."""
    reader = _Reader()
    for line in lines:
        for text in line.text.split("\n"):
            reader.take(line._replace(text=text[:LONGEST]))
            yield from reader.ready()
    reader.finish()
    yield from reader.ready()


class _Reader:
    """Takes line after line."""

    def __init__(self) -> None:
        self._draft: _Draft | None = None
        self._last: OomReport | None = None
        """The report whose group may still be losing its other members."""
        self._group = False
        """The kernel has said that it kills the group of the last report as one."""
        self._ready: list[OomReport] = []

    def ready(self) -> list[OomReport]:
        """Return the reports that are whole."""
        ready, self._ready = self._ready, []
        return ready

    def take(self, line: Line) -> None:
        """Read a line."""
        if self._draft is not None and _apart(self._draft.last, line):
            self._drop()
        if self._last is not None and _apart(self._last, line):
            self._close()
        text = line.text
        if (asked := _INVOKED.match(text)) is not None:
            self.finish()
            self._draft = _Draft(line)
            self._draft.asked_by = asked[1]
            self._draft.by_hand = _BY_HAND in text[asked.end() :]
        elif "Killed process " in text and (victim := killed(text)) is not None:
            self._kill(line, victim)
        elif text.startswith("oom-kill:"):
            if self._draft is None or self._draft.named is not None:
                self.finish()
                self._draft = _Draft(line)
            self._draft.last = line
            _summary(self._draft, text)
        elif (members := _GROUP.match(text)) is not None and self._last is not None:
            self._group = True
            unit = owner(members[1])[1]
            self._last = replace(self._last, together=unit)
            if not self._last.cgroup:
                self._last = replace(self._last, cgroup=members[1], unit=unit)
        elif self._draft is not None:
            _context(self._draft, text)

    def finish(self) -> None:
        """Go by what there is: nothing that belongs to it will follow."""
        self._close()
        self._drop()

    def _kill(self, line: Line, victim: Victim) -> None:
        if self._draft is None and self._last is not None and self._group:
            if len(self._last.also) < MAX_ALSO and victim.pid != self._last.victim.pid:
                self._last = replace(self._last, also=(*self._last.also, victim))
            return
        self._close()
        # Of many kills in a few seconds the kernel prints this line alone.
        draft = self._draft or _Draft(line)
        draft.last = line
        draft.constraint = draft.constraint or _constraint(line.text)
        self._last, self._draft = draft.report(victim), None

    def _close(self) -> None:
        if self._last is not None:
            self._ready.append(self._last)
        self._last, self._group = None, False

    def _drop(self) -> None:
        """Let a report go whose last line is missing; it counts if it says whom it is about."""
        if self._draft is not None and self._draft.named is not None:
            self._ready.append(self._draft.report(self._draft.named))
        self._draft = None


def last_report(newest_first: Sequence[Line]) -> tuple[str, ...]:
    """Return the texts of the report that ends with the first of these lines, in their order."""
    texts: list[str] = []
    for at, line in enumerate(newest_first):
        first = newest_first[0]
        if line.boot != first.boot or abs(first.time - line.time) > GONE:
            break
        if at and killed(line.text) is not None:
            break  # an earlier kill: this one has no report but its last line
        texts += line.text.split("\n")[::-1]
        if BEGINS in line.text:
            break
    return tuple(texts[::-1])


def killed(text: str) -> Victim | None:
    """Return the victim that a line ``…: Killed process 612 (name) total-vm:…`` tells of."""
    match = _KILLED.search(text)
    if match is None:
        return None
    # What stands behind the name is the kernel's.
    values = {key: int(value) for key, value in _FIELD.findall(text, match.end(2))}

    def size(key: str) -> int | None:
        return values[key] * KIB if key in values else None

    return Victim(
        int(match[1]),
        match[2],
        uid=values.get("UID"),
        anon=size("anon-rss"),
        file=size("file-rss"),
        shmem=size("shmem-rss"),
        adj=values.get("oom_score_adj"),
    )


def _apart(before: Line | OomReport, line: Line) -> bool:
    return before.boot != line.boot or abs(line.time - before.time) > GONE


def _constraint(text: str) -> str:
    if text.startswith("Memory cgroup out of memory"):
        return "CONSTRAINT_MEMCG"
    return "CONSTRAINT_NONE" if text.startswith("Out of memory") else ""


def _summary(draft: _Draft, text: str) -> None:
    """Take over ``oom-kill:constraint=…``; a long one is cut by the kernel itself."""
    if (match := _CONSTRAINT.match(text)) is not None:
        draft.constraint = match[1]
    if (match := _PLACES.search(text)) is not None:
        draft.limit_cgroup, draft.cgroup = match[1], match[2]
    elif (match := _GLOBAL.search(text)) is not None:
        draft.cgroup = match[1]
    if (match := _TASK.search(text)) is not None:
        draft.named = Victim(int(match[2]), match[1], uid=int(match[3]))


def _context(draft: _Draft, text: str) -> None:
    """Take over a line of the report's body."""
    if (match := _USAGE.match(text)) is not None:
        if match[1] == "memory":
            draft.limit = int(match[3]) * KIB
        else:
            draft.swap_used = int(match[2]) * KIB
    elif (match := _SWAP.match(text)) is not None:
        if match[1] == "Free":
            draft.swap_free = int(match[2]) * KIB
        else:
            draft.swap_total = int(match[2]) * KIB
    elif draft.asked_pid is None and (match := _CPU.match(text)) is not None:
        draft.asked_pid = int(match[1])
