"""Whom the kernel would kill: its own integer arithmetic."""

from __future__ import annotations

NEVER = -1000
"""The oom_score_adj of a process that is never chosen."""


def badness(pages: int, adj: int, total: int) -> int | None:
    """Return ``oom_badness`` of mm/oom_kill.c in pages; None if the process is never chosen.

    ``pages`` is VmRSS + VmSwap + VmPTE; ``total`` RAM + swap, or a group's limit + its swap.
    """
    return None if adj == NEVER else pages + adj * (total // 1000)


def oom_score(pages: int, adj: int, total: int) -> int:
    """Return /proc/PID/oom_score (``proc_oom_score`` of fs/proc/base.c)."""
    points = badness(pages, adj, total)
    if points is None:
        return 0
    # C divides towards zero; int() of a float would lose digits.
    share = points * 1000 // total if points >= 0 else -(-points * 1000 // total)
    return max(0, (1000 + share) * 2 // 3)
