"""The user-space killers that run: systemd-oomd and earlyoom by their own rules; pure.

Sources: systemd-oomd.service(8), oomd.conf(5) and src/oom (by swap: oomd_select_by_swap_usage);
earlyoom(1). Of their configuration only the command line is read; what is not known is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_bytes, of_setting, of_text, of_unit
from lowmem_tui.policy.forecast.oom import OOM_SCORE_ADJ_MIN, killable, score_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message
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
    rule: Message
    """When it kills, a clause."""
    choice: Message
    """Whom it would choose now, a clause; or that this is unknown."""
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
    rule, choice = msg("by rules of its own, which are not read here"), msg("unknown")
    return [*found, *(Other(n, rule, choice) for n in STRANGERS if _processes(snapshot, n))]


def _processes(snapshot: Snapshot, name: str) -> Sequence[Process]:
    unit = snapshot.units.get(name)
    return unit.usage.processes if unit is not None and unit.usage is not None else ()


def _oomd(snapshot: Snapshot, _: Sequence[Process]) -> Other:
    rule = msg(
        "where ManagedOOMSwap=kill is set and both RAM and swap are more than 90% used, it kills "
        "the whole unit that uses most swap; where ManagedOOMMemoryPressure=kill is set and memory "
        "pressure is high, it kills the whole unit that reclaims most"
    )
    swap = snapshot.host.swap_total
    leaves = [u for u in snapshot.units.values() if u.usage and u.usage.processes]
    best = max(leaves, key=_swapped, default=None)
    if not swap:
        choice = msg("without swap it acts on memory pressure alone, and its choice is unknown")
        return Other(OOMD, rule, choice)
    if best is None or _swapped(best) * LEAST_SWAP <= swap:
        choice = msg(
            "for swap: none, because no unit uses more than 5% of swap; for memory "
            "pressure: unknown"
        )
        return Other(OOMD, rule, choice)
    choice = msg(
        "for swap: {unit} ({size}), if it is watched; for memory pressure: unknown",
        unit=of_unit(best.name, 60),
        size=of_bytes(_swapped(best)),
    )
    return Other(OOMD, rule, choice, best.name)


def _swapped(unit: Unit) -> int:
    return (unit.usage.swap or 0) if unit.usage else 0


def _earlyoom(snapshot: Snapshot, processes: Sequence[Process]) -> Other:
    words = (processes[0].command or "").split()
    by_rss = "--sort-by-rss" in words
    rule = _earlyoom_rule(words, swaps=snapshot.host.swap_total > 0, by_rss=by_rss)
    if "-M" in words or "-S" in words:
        rule = msg("{rule} (its -M or -S may set another threshold)", rule=rule)
    if "--dryrun" in words:
        return Other(EARLYOOM, rule, msg("none, because it runs with --dryrun"))
    if pattern := next((w for w in words if w.partition("=")[0] in _PATTERNS), ""):
        option = of_setting(pattern.partition("=")[0])
        choice = msg("unknown, because {option} influences it", option=option)
        return Other(EARLYOOM, rule, choice)
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
        return Other(EARLYOOM, rule, msg("no process can be killed"))
    _, name, process = best
    victim = msg(
        "{unit} ({process} {pid})",
        unit=of_unit(name, 60),
        process=of_text(process.name, 16),
        pid=process.pid,
    )
    if "-g" in words:
        victim = msg("{victim}, with its whole process group", victim=victim)
    return Other(EARLYOOM, rule, victim, name, process.pid)


def _earlyoom_rule(words: Sequence[str], *, swaps: bool, by_rss: bool) -> Message:
    memory, swap = _percent(words, "-m"), _percent(words, "-s")
    if swaps and by_rss:
        return msg(
            "when at most {memory}% of RAM is available and at most {swap}% of swap is free, it "
            "ends the process with the largest RSS",
            memory=memory,
            swap=swap,
        )
    if swaps:
        return msg(
            "when at most {memory}% of RAM is available and at most {swap}% of swap is free, it "
            "ends the process with the highest oom_score",
            memory=memory,
            swap=swap,
        )
    if by_rss:
        return msg(
            "when at most {memory}% of RAM is available, it ends the process with the largest RSS",
            memory=memory,
        )
    return msg(
        "when at most {memory}% of RAM is available, it ends the process with the highest "
        "oom_score",
        memory=memory,
    )


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
