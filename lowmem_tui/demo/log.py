"""What the demo server's kernel and systemd write down of kills.

The kernel's reports are text, in the words of kernel 6.12, and read by the same parsers as a real
machine's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lowmem_tui.demo import roster
from lowmem_tui.demo.memory import PAGE
from lowmem_tui.demo.roster import KIB, MIB
from lowmem_tui.host.logs.kernel_log import Line
from lowmem_tui.model.incident import EventKind, UnitEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.demo.memory import Decision, Memory, Task
    from lowmem_tui.model.unit import Limit

BOOT = "d" * 32
BOOT_BEFORE = "c" * 32

MOST = 6000
"""Lines, and events, that are remembered."""


class Log:
    """The journal."""

    def __init__(self) -> None:
        self.lines: deque[Line] = deque(maxlen=MOST)
        self.events: deque[UnitEvent] = deque(maxlen=MOST)
        self._number = 0
        self._before()

    def event(self, time: float, unit: str, kind: EventKind, detail: str = "") -> None:
        """Write down what systemd says; ``time`` in seconds since 1970."""
        self.events.append(UnitEvent(time, BOOT, unit, kind, detail))

    def kernel(self, time: float, texts: Sequence[str], boot: str = BOOT) -> None:
        """Write down what the kernel says."""
        for text in texts:
            self._number += 1
            self.lines.append(Line(time, boot, text, str(self._number)))

    def _before(self) -> None:
        """Remember a night before the reboot: the machine itself had run out of memory."""
        at = roster.BOOTED - 5 * 3600 - 1234.5
        self.kernel(at, _NIGHT.strip().splitlines(), BOOT_BEFORE)
        for after, kind, detail in (
            (0.1, EventKind.OOM, ""),
            (1.3, EventKind.RESULT, "oom-kill"),
            (4.4, EventKind.RESTART, "1"),
            (6.2, EventKind.STARTED, ""),
        ):
            self.events.append(UnitEvent(at + after, BOOT_BEFORE, roster.CLOUDCHAT, kind, detail))


def report_of(memory: Memory, what: Decision) -> list[str]:
    """Return the kernel's report of a kill."""
    victim, limited, home = what.victim, what.limited, what.group
    place = f"{home.path}{f'/{victim.below}' if victim.below else ''}"
    lines = _HEAD.format(name=victim.name, adj=victim.adj, uid=victim.uid, pid=victim.pid)
    if limited is None:
        head, where = "Out of memory", f"NONE,{_NODES},global_oom,task_memcg={place}"
        lines += f"Free swap  = {memory.free_swap() // KIB}kB\n"
        lines += f"Total swap = {memory.swap_total // KIB}kB\n"
    else:
        head = "Memory cgroup out of memory"
        where = f"MEMCG,{_NODES},oom_memcg={limited.path},task_memcg={place}"
        lines += _USAGE.format(
            used=memory.current(limited.path) // KIB,
            limit=_kib(limited.limits["memory.max"]),
            swap=sum(group.sizes().swap for group in what.groups) // KIB,
            swap_limit=_kib(limited.limits["memory.swap.max"]),
            path=limited.path,
        )
    texts = [*lines.splitlines(), *_TABLE.splitlines()]
    tasks = (task for group in what.groups for task in group.tasks)
    texts += [_row(task) for task in sorted(tasks, key=lambda task: task.pid)]
    where = f"{where},task={victim.name},pid={victim.pid},uid={victim.uid}"
    texts += [f"oom-kill:constraint=CONSTRAINT_{where}", _last(head, victim)]
    if home.oom_group:
        texts.append(f"Tasks in {home.path} are going to be killed due to memory.oom.group set")
        texts += [_last(head, task) for task in what.victims if task is not victim]
    return texts


_NODES = "nodemask=(null),cpuset=/,mems_allowed=0"

_HEAD = """\
{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj={adj}
CPU: 0 UID: {uid} PID: {pid} Comm: {name} Not tainted 6.12.57+deb13-amd64 #1  Debian 6.12.57-1
"""

_USAGE = """\
memory: usage {used}kB, limit {limit}kB, failcnt 1000
swap: usage {swap}kB, limit {swap_limit}kB, failcnt 0
Memory cgroup stats for {path}:
"""

_TABLE = """\
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents \
oom_score_adj name
"""


def _row(task: Task) -> str:
    anon, file = task.anon // PAGE, task.file // PAGE
    return (
        f"[{task.pid:7d}] {task.uid:5d} {task.pid:5d} {_virtual(task) // PAGE:8d} "
        f"{anon + file:8d} {anon:8d} {file:8d} {0:9d} {task.page_tables:14d} "
        f"{task.swap // PAGE:8d} {task.adj:13d} {task.name}"
    )


def _last(head: str, task: Task) -> str:
    return (
        f"{head}: Killed process {task.pid} ({task.name}) total-vm:{_virtual(task) // KIB}kB, "
        f"anon-rss:{task.anon // PAGE * 4}kB, file-rss:{task.file // PAGE * 4}kB, "
        f"shmem-rss:0kB, UID:{task.uid} pgtables:{task.page_tables // KIB}kB "
        f"oom_score_adj:{task.adj}"
    )


def _virtual(task: Task) -> int:
    return task.anon + task.swap + task.file + 60 * MIB


def _kib(limit: Limit) -> int:
    return limit // KIB if isinstance(limit, int) else 9007199254740988


_NIGHT = """
zstd invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
CPU: 0 UID: 998 PID: 30977 Comm: zstd Not tainted 6.12.48+deb13-amd64 #1  Debian 6.12.48-1
Free swap  = 92kB
Total swap = 2097148kB
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name
[    640]     0   640     2914     1702      312     1390         0          57344       70         -1000 sshd
[    845]   106   845    24410    13870    12944      926         0         208896    12011          -100 redis-server
[    908]   998   908    31422     6701     5010     1691         0         180224     3120             0 gunicorn
[    912]   998   912   281903   118214   116901     1313         0        2027520   222847             0 gunicorn
[    913]   998   913   201744    62110    60801     1309         0        1409024   160233             0 gunicorn
[  30977]   998 30977    24801     7103     6688      415         0         163840      902             0 zstd
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/system.slice/cloudchat.service,task=gunicorn,pid=912,uid=998
Out of memory: Killed process 912 (gunicorn) total-vm:1127612kB, anon-rss:467604kB, file-rss:5252kB, shmem-rss:0kB, UID:998 pgtables:1980kB oom_score_adj:0
"""  # noqa: E501
