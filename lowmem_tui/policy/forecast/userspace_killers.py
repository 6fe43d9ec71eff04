"""The other killers, where they run: systemd-oomd and earlyoom by their own rules; pure.

Sources: systemd-oomd.service(8), oomd.conf(5) and src/oom (by swap: oomd_select_by_swap_usage);
earlyoom(1). What their configuration says beyond a command line is not read: it is said so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.integer import natural
from lowmem_tui.model.text import plain
from lowmem_tui.policy.forecast.oom import OOM_SCORE_ADJ_MIN, killable, score_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.usage import Process

OOMD = "systemd-oomd.service"
EARLYOOM = "earlyoom.service"
STRANGERS = ("nohang.service", "nohang-desktop.service", "oomd.service")
"""Killers whose rules are not read here: Python's nohang, and Facebook's oomd."""

LEAST_SWAP = 20
"""oomd leaves alone what holds no more than one part in so many of all swap."""

_DEFAULT = 10
"""earlyoom's per cent of RAM and of swap below which it sends SIGTERM; SIGKILL at half of that."""

_PATTERNS = ("--prefer", "--avoid", "--ignore", "--ignore-root-user")


class Other(NamedTuple):
    """A killer beside the kernel."""

    name: str
    rule: str
    """When it kills, in one sentence."""
    choice: str
    """Whom it would choose now, in one sentence; or that this is not known."""
    unit: str = ""
    """The unit it would choose from, where that is known."""
    pid: int | None = None
    """The process, where it chooses one."""


def others(snapshot: Snapshot) -> list[Other]:
    """Return the killers that run beside the kernel."""
    found = []
    for name, say in ((OOMD, _oomd), (EARLYOOM, _earlyoom)):
        if processes := _processes(snapshot, name):
            found.append(say(snapshot, processes))
    rule = "by rules of its own, which are not read here"
    return [*found, *(Other(n, rule, "not known") for n in STRANGERS if _processes(snapshot, n))]


def _processes(snapshot: Snapshot, name: str) -> Sequence[Process]:
    unit = snapshot.units.get(name)
    return unit.usage.processes if unit is not None and unit.usage is not None else ()


def _oomd(snapshot: Snapshot, _: Sequence[Process]) -> Other:
    rule = (
        "where ManagedOOMSwap=kill is set and both RAM and swap are more than 90% used, it kills "
        "the unit below with most swap, whole; where ManagedOOMMemoryPressure=kill is set, by "
        "pressure, the one that reclaims most"
    )
    swap = snapshot.host.swap_total
    leaves = [u for u in snapshot.units.values() if u.usage and u.usage.processes]
    best = max(leaves, key=_swapped, default=None)
    if not swap:
        return Other(OOMD, rule, "without swap it acts by pressure alone, and whom is not known")
    if best is None or _swapped(best) * LEAST_SWAP <= swap:
        return Other(OOMD, rule, "by swap nobody now: no unit holds more than 5% of it")
    choice = (
        f"by swap {plain(best.name, 60)} ({format_size(_swapped(best))}), if it is watched; by "
        "pressure not known"
    )
    return Other(OOMD, rule, choice, best.name)


def _swapped(unit: Unit) -> int:
    return (unit.usage.swap or 0) if unit.usage else 0


def _earlyoom(snapshot: Snapshot, processes: Sequence[Process]) -> Other:
    words = (processes[0].command or "").split()
    memory, swap = _percent(words, "-m"), _percent(words, "-s")
    below = f"{memory}% of RAM is available"
    if snapshot.host.swap_total:
        below += f" and {swap}% of swap free"
    by_rss = "--sort-by-rss" in words
    most = "most resident memory" if by_rss else "the highest oom_score"
    rule = f"when no more than {below}, it ends the process with {most}"
    if "-M" in words or "-S" in words:
        rule += " (its -M or -S may set another bound)"
    if "--dryrun" in words:
        return Other(EARLYOOM, rule, "nobody: it runs with --dryrun")
    if pattern := next((w for w in words if w.partition("=")[0] in _PATTERNS), ""):
        option = plain(pattern.partition("=")[0])
        return Other(EARLYOOM, rule, f"not known: its {option} has a say in it")
    best: tuple[tuple[int, int], str, Process] | None = None
    for unit in snapshot.units.values():
        for process in unit.usage.processes if unit.usage else ():
            if process.oom_score_adj == OOM_SCORE_ADJ_MIN or not killable(process):
                continue
            score = process.oom_score
            if score is None:
                score = score_of(process, snapshot.host)
            key = (0, process.rss) if by_rss else (score, process.rss)
            if best is None or key > best[0]:
                best = key, unit.name, process
    if best is None:
        return Other(EARLYOOM, rule, "nobody can be killed")
    _, name, process = best
    with_ = ", and the whole process group with it" if "-g" in words else ""
    choice = f"{plain(name, 60)} ({plain(process.name, 16)} {process.pid}){with_}"
    return Other(EARLYOOM, rule, choice, name, process.pid)


def _percent(words: Sequence[str], option: str) -> int:
    """Return the per cent of ``-m 10`` or ``-m 10,5``; the default for what is not understood."""
    for at, word in enumerate(words):
        if word == option:
            text = " ".join(words[at + 1 : at + 2]).partition(",")[0]
        elif word.startswith(option):
            text = word[len(option) :].partition(",")[0]
        else:
            continue
        found = natural(text, 3)
        return _DEFAULT if found is None else found
    return _DEFAULT
