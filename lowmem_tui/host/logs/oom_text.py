"""Single lines of the kernel's OOM reports. Pure; nothing here can take long, or raise.

Sources: mm/oom_kill.c (``dump_header``, ``dump_oom_summary``, ``__oom_kill_process``) and
mm/memcontrol.c (``mem_cgroup_print_oom_meminfo``) of kernels 4.14 to 6.17. Names are as their
owners wrote them: a process may be called ``a, pid=1`` or ``) total-vm:``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lowmem_tui.model.incident import Lack, Victim
from lowmem_tui.model.integer import natural, signed

KIB = 1024

BEGINS = " invoked oom-killer: "
"""Is in the first line of a report."""

LINES = (
    "invoked oom-killer: |^ ?CPU: .* Comm: |^memory: usage |^swap: usage |^memory.swap: usage "
    "|^Memory cgroup stats for /|^oom-kill:constraint=|^Free swap  = [0-9]|^Total swap = [0-9]"
    "|Killed process [0-9]|Kill process [0-9].* score [0-9]|^Tasks in /.* memory\\.oom\\.group set"
    "|^Task in /.* killed as a result of limit of /|no killable processes|No task eligible"
    "|^Memory cgroup charge failed|Kernel panic - not syncing: .*memory"
    "|(memory_max_write|mem_cgroup_resize_\\w+|mem_cgroup_write)(\\.\\w+)*\\+0x"
)
"""A regular expression (PCRE2, and ours) of the lines that matter here."""

# One attempt at each place that a match can begin: none of these can take long on any text.
_INVOKED = re.compile(r"(.{0,64}?) invoked oom-killer: ", re.DOTALL)
_BY_HAND = ", order=-1,"
"""``is_sysrq_oom``."""

_SWAP = re.compile(r"(Free|Total) swap +?= ([0-9]{1,20})kB")
_CPU = re.compile(r" ?CPU: [0-9]{1,5} .{0,40}?\bPID: ([0-9]{1,10}) Comm: ")
_USAGE = re.compile(r"(memory|swap): usage ([0-9]{1,20})kB, limit ([0-9]{1,20})kB")
_STATS = "Memory cgroup stats for "
_OLD_STATS = re.compile(r": ?(?:cache|anon|rss)[: ]")
_CONSTRAINT = re.compile(r"oom-kill:constraint=([A-Z_]{1,40})")
_PLACES = re.compile(r",oom_memcg=(.*?),task_memcg=(.*),task=")
_GLOBAL = re.compile(r",global_oom,task_memcg=(.*),task=")
_TASK = re.compile(r",task=([^\n]{0,64}),pid=([0-9]{1,10}),uid=([0-9]{1,10})\Z")
_KILLED = re.compile(
    r"Killed process ([0-9]{1,10})(?:, UID [0-9]{1,10},)? \((.{0,64})\)(?: total-vm:|,|\Z)",
    re.DOTALL,
)
_KILL = re.compile(
    r"Kill process ([0-9]{1,10}) \((.{0,64})\) score [0-9]{1,10}(?: or sacrifice|\Z)", re.DOTALL
)
_TASK_IN = re.compile(r"Task in (/.*) killed as a result of limit of (/.*)")
_GROUP = re.compile(r"Tasks in (/.*) are going to be killed due to memory\.oom\.group set")
_FIELD = re.compile(r"(anon-rss|file-rss|shmem-rss|UID|oom_score_adj):(-?[0-9]{1,20})")
_OLD_UID = re.compile(r", UID ([0-9]{1,10}),")
_LOWERED = re.compile(
    r"(?<!\? )\b(?:memory_max_write|mem_cgroup_resize_\w{1,20}|mem_cgroup_write)[\w.]{0,40}\+0x"
)
"""The functions that write a limit (mm/memcontrol.c, memcontrol-v1.c); ``?`` is no sure caller."""


class Asked(NamedTuple):
    """The first line of a report."""

    name: str
    by_hand: bool


class Summary(NamedTuple):
    """``oom-kill:constraint=…``; a long one is cut by the kernel itself."""

    constraint: str
    limit_cgroup: str
    """The group whose limit was reached; "" for the machine."""
    cgroup: str
    victim: Victim | None


def asked(text: str) -> Asked | None:
    """Return who asked for memory, of ``… invoked oom-killer: …``."""
    match = _INVOKED.match(text)
    return Asked(match[1], _BY_HAND in text[match.end() :]) if match else None


def asked_pid(text: str, name: str) -> int | None:
    """Return the pid of ``CPU: 1 PID: 77 Comm: NAME``, if it is of this name."""
    match = _CPU.match(text)
    if match is None or not text.startswith(name, match.end()):
        return None
    return natural(match[1])


def usage(text: str) -> tuple[str, int, int] | None:
    """Return ``memory`` or ``swap``, what a group uses of it and its limit, in bytes."""
    match = _USAGE.match(text)
    if match is None:
        return None
    used, limit = natural(match[2]), natural(match[3])
    return None if used is None or limit is None else (match[1], used * KIB, limit * KIB)


def swap(text: str) -> tuple[str, int] | None:
    """Return ``Free`` or ``Total`` swap of the machine, in bytes."""
    match = _SWAP.match(text)
    size = natural(match[2]) if match else None
    return (match[1], size * KIB) if match and size is not None else None


def stats_of(text: str) -> str:
    """Return the group of ``Memory cgroup stats for /GROUP``; its limit was reached. Or ""."""
    if not text.startswith(_STATS):
        return ""
    group = text[len(_STATS) :]
    old = _OLD_STATS.search(group)
    return (group[: old.start()] if old else group).rstrip().removesuffix(":")


def summary(text: str) -> Summary:
    """Return what the summary line says; what of it is missing is "" and None."""
    match = _CONSTRAINT.match(text)
    constraint, limit_cgroup, cgroup = match[1] if match else "", "", ""
    if (match := _PLACES.search(text)) is not None:
        limit_cgroup, cgroup = match[1], match[2]
        # Kernels before 5.2 say NONE here, too.
        constraint = "CONSTRAINT_MEMCG"
    elif (match := _GLOBAL.search(text)) is not None:
        cgroup = match[1]
    victim = None
    if (match := _TASK.search(text)) is not None and (pid := natural(match[2])) is not None:
        victim = Victim(pid, match[1], uid=natural(match[3]))
    return Summary(constraint, limit_cgroup, cgroup, victim)


def killed(text: str) -> Victim | None:
    """Return the victim that a line ``…: Killed process 612 (name) total-vm:…`` tells of."""
    if "Killed process " not in text:
        return None
    match = _KILLED.search(text)
    if match is None or (pid := natural(match[1])) is None:
        return None
    # What stands behind the name is the kernel's.
    values = {key: signed(value) for key, value in _FIELD.findall(text, match.end(2))}
    old = _OLD_UID.search(text, match.end(1))

    def size(key: str) -> int | None:
        value = values.get(key)
        return None if value is None or value < 0 else value * KIB

    return Victim(
        pid,
        match[2],
        uid=natural(old[1]) if old else values.get("UID"),
        anon=size("anon-rss"),
        file=size("file-rss"),
        shmem=size("shmem-rss"),
        adj=values.get("oom_score_adj"),
    )


def chosen(text: str) -> Victim | None:
    """Return whom ``Kill process 612 (name) score 9 or sacrifice child`` names (before 5.1).

    The line ``Killed process`` that follows may name its child.
    """
    match = _KILL.search(text) if "Kill process " in text else None
    pid = natural(match[1]) if match else None
    return Victim(pid, match[2]) if match and pid is not None else None


def task_in(text: str) -> tuple[str, str] | None:
    """Return the victim's group and the one whose limit was reached (kernels before 5.0)."""
    match = _TASK_IN.match(text) if text.startswith("Task in /") else None
    return (match[1], match[2]) if match else None


def together(text: str) -> str:
    """Return the group that is killed as one; or ""."""
    match = _GROUP.match(text) if text.startswith("Tasks in /") else None
    return match[1] if match else ""


def lowered(text: str) -> bool:
    """Return whether a line of the call trace is of somebody who writes a limit."""
    return "+0x" in text and _LOWERED.search(text) is not None


def constraint(text: str) -> str:
    """Return the constraint that a line ``Memory cgroup out of memory: …`` names."""
    if text.startswith("Memory cgroup out of memory"):
        return "CONSTRAINT_MEMCG"
    return "CONSTRAINT_NONE" if text.startswith("Out of memory") else ""


def nothing_to_kill(text: str) -> Lack | None:
    """Return what a line says that ends a report without a victim."""
    if "not syncing: " in text:
        words = text.partition("not syncing: ")[2]
        short = words.startswith(("Out of memory", "System is deadlocked on memory"))
        return Lack.PANIC if short else None
    if text.startswith(("Out of memory and no killable processes", _FAILED)):
        return Lack.NO_VICTIM
    if text.startswith("Memory cgroup out of memory") and "no killable" in text:
        return Lack.NO_VICTIM
    return None


_FAILED = "Memory cgroup charge failed because of no reclaimable memory"
"""What kernels before 4.19 say of a group in which nothing can be killed."""


def not_eligible(text: str) -> bool:
    """Return whether somebody asked for a kill (SysRq f) and there was nothing to kill."""
    return text.startswith("OOM request ignored")
