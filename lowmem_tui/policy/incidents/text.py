"""Incidents in words, for the command and the screen. What others wrote is made harmless here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size, format_time_span
from lowmem_tui.model.incident import Cause, Clock, Ending, Lack, Shortage
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from lowmem_tui.model.incident import Incident, Killing, OomReport, Victim

LEFT = 10
"""Swap of which more than one part in so many is free is not used up."""

NO_UNIT = "(unit not known)"
MACHINE = "(machine)"


def whom(incident: Incident) -> str:
    """Return the unit."""
    nowhere = MACHINE if incident.shortage is not None else NO_UNIT
    return plain(incident.unit) or nowhere


def short(incident: Incident) -> str:
    """Return what happened, for one line: ``gunicorn 332M, limit 600M, back after 5s``."""
    if incident.shortage is not None:
        return _short_shortage(incident.shortage)
    return f"{_short_why(incident)}, {outcome(incident)}"


def _short_shortage(shortage: Shortage) -> str:
    times = _times(shortage)
    if shortage.lack is Lack.ALLOCATION:
        path = shortage.path or "kernel"
        return f"{path} allocation failed {times}, {_request(shortage)}"
    if shortage.lack is Lack.PANIC:
        return "kernel panic: out of memory"
    size = f"limit {format_size(shortage.limit)}" if shortage.limit is not None else "limit"
    return f"{size if shortage.cgroup else 'no RAM'}, nothing to kill, {times}"


def _request(shortage: Shortage) -> str:
    atomic = " GFP_ATOMIC" if "GFP_ATOMIC" in shortage.mode else ""
    if shortage.order is None:
        return f"{shortage.detail or 'pages'}{atomic}"
    return f"order {shortage.order}{atomic}"


def _times(shortage: Shortage) -> str:
    if shortage.count == 1:
        return "once"
    long = shortage.time - shortage.began
    return f"{shortage.count} times in {span(long)}" if long >= 1 else f"{shortage.count} times"


def _short_why(incident: Incident) -> str:
    report, killing = incident.report, incident.killing
    if killing is not None and report is None:
        size = f" {format_size(killing.rss)}" if killing.rss is not None else ""
        who = plain(killing.name) or plain(killing.cgroup.rpartition("/")[2])
        return f"{who}{size}, {_SAID[incident.cause]}" if who else _SAID[incident.cause]
    if report is None or report.victim is None:
        return _SAID[incident.cause]
    size = f" {format_size(report.victim.rss)}" if report.victim.rss is not None else ""
    more = f" and {len(report.also)} more" if report.also else ""
    who = f"{plain(report.victim.name)}{size}{more}"
    if incident.cause is Cause.LIMIT:
        limit = f" {format_size(report.limit)}" if report.limit is not None else ""
        above = report.limit_unit and report.limit_unit != incident.unit
        return f"{who}, {f'{plain(report.limit_unit)} ' if above else ''}limit{limit}"
    if incident.cause is Cause.RAM:
        return f"{who}, no RAM"
    return f"{who}, {'by hand (SysRq)' if report.by_hand else 'OOM'}"


_SAID = {
    Cause.LIMIT: "killed at its limit",
    Cause.RAM: "killed, no RAM",
    Cause.OTHER: "killed by the kernel",
    Cause.OOM: "killed by the OOM killer",
    Cause.OOMD: "killed by systemd-oomd",
    Cause.EARLYOOM: "killed by earlyoom",
    Cause.NOHANG: "killed by nohang",
    Cause.ALLOCATION: "kernel allocation failed",
    Cause.WATCHDOG: "watchdog",
    Cause.START_LIMIT: "failed at every start",
}


def outcome(incident: Incident) -> str:
    """Return what came of it, in a few words."""
    if incident.ending is Ending.BACK and incident.back_after is not None:
        return f"back after {span(incident.back_after)}"
    if incident.until:
        return f"dead until {plain(incident.until)}"
    return _ENDINGS[incident.ending]


_ENDINGS = {
    Ending.BACK: "back",
    Ending.LIVED: "the unit went on",
    Ending.RUNS: "runs again",
    Ending.WAITING: "a restart is scheduled",
    Ending.GAVE_UP: "gave up: start limit",
    Ending.DEAD: "still dead",
    Ending.REBOOT: "dead until the reboot",
    Ending.NOTHING: "nothing was killed",
    Ending.UNKNOWN: "outcome not known",
}


def why(incident: Incident) -> str:
    """Return the cause, whole, as a sentence."""
    report = incident.report
    if incident.shortage is not None:
        return _why_short(incident.shortage)
    if report is None and incident.killing is not None:
        return _why_killed(incident.killing)
    if report is None or report.victim is None:
        return _CAUSES[incident.cause]
    victim = report.victim
    who = f"The kernel killed {plain(victim.name)} (pid {victim.pid}"
    if victim.rss is not None:
        who += f", {format_size(victim.rss)} in RAM"
    if victim.adj:
        who += f", oom_score_adj {victim.adj}"
    who += ")"
    if report.also:
        many = len(report.also)
        whose = plain(report.together) if report.together != incident.unit else ""
        group = whose or "its group"
        who += f" and the other {many} of {group}" if many > 1 else f" and the other one of {group}"
    return f"{who}: {_reason(incident, report, victim)}."


def _reason(incident: Incident, report: OomReport, victim: Victim) -> str:
    asked = ""
    if report.asked_by:
        itself = report.asked_pid == victim.pid
        asked = f", when {'it' if itself else asker(report)} asked for more"
    if incident.cause is Cause.LIMIT:
        where = plain(report.limit_unit or report.limit_cgroup) or "its group"
        own = bool(report.limit_unit) and report.limit_unit == incident.unit
        whose = "the unit's own limit" if own else f"the limit of {where}"
        swap = f", with {format_size(report.swap_used)} in swap" if report.swap_used else ""
        if was_lowered(report):
            return f"{_lowered(whose, report.limit, asker(report))}{swap}"
        size = f" of {format_size(report.limit)}" if report.limit is not None else ""
        return f"{whose}{size} was reached{swap}{asked}"
    if report.by_hand:
        return "somebody asked for a kill (SysRq f), no memory was short"
    if incident.cause is Cause.RAM:
        return f"the machine's {_used_up(report)}{asked}"
    if not report.constraint:
        return "the report is cut, so that the reason cannot be determined"
    return f"its memory nodes had none left ({plain(report.constraint)}){asked}"


def was_lowered(report: OomReport | Shortage) -> bool:
    """Return whether a limit was set below what was in use: its writer asked for no memory.

    PID 1 charges no memory to other groups than its own, so that it can only have written it.
    """
    if isinstance(report, Shortage):
        group, name, pid = report.cgroup, report.process, report.pid
    else:
        group, name, pid = report.limit_cgroup, report.asked_by, report.asked_pid
    by_pid1 = pid == 1 and name == "systemd" and group not in {"", "/", "/init.scope"}
    return report.lowered or by_pid1


def _lowered(whose: str, limit: int | None, by: str) -> str:
    size = f" to {format_size(limit)}" if limit is not None else ""
    who = f" by {by}" if by else ""
    return f"{whose} was set{size}{who}, below what was in use"


def _why_short(shortage: Shortage) -> str:
    """Return what a shortage that killed nothing was."""
    who = _who(shortage.process, shortage.pid)
    if shortage.lack is Lack.ALLOCATION:
        return _why_failed(shortage, who)
    if shortage.lack is Lack.PANIC:
        return (
            "The kernel stopped the machine (kernel panic): memory was used up, and "
            "vm.panic_on_oom is set or there was no process left to kill."
        )
    whose = f"the limit of {plain(shortage.unit or shortage.cgroup)}"
    size = f" of {format_size(shortage.limit)}" if shortage.limit is not None else ""
    if not shortage.cgroup:
        what = f"The machine's RAM was used up{f' when {who} asked for more' if who else ''}"
    elif was_lowered(shortage):
        what = _capital(_lowered(whose, shortage.limit, who))
    else:
        what = f"{_capital(whose)}{size} was reached{f' when {who} asked for more' if who else ''}"
    return (
        f"{what}, and the kernel found no process that may be killed: {_times(shortage)}. "
        "What asks for memory there waits until some is freed."
    )


def _why_failed(shortage: Shortage, who: str) -> str:
    pages = ""
    if shortage.order is not None:
        many = 1 << min(shortage.order, 20)
        pages = " of one page" if many == 1 else f" of {many} pages in one piece"
        pages += f" (order {shortage.order})"
    mode = plain(shortage.mode, 120)
    how = f", mode {mode}" if mode else ""
    path = _PATHS.get(shortage.path, "")
    detail = f" ({plain(shortage.detail)})" if shortage.detail else ""
    last = ", the last time" if shortage.count > 1 else ""
    by = f"{last} in {who}" if who else ""
    wait = " The request could not wait for memory to be freed." if shortage.atomic else ""
    return (
        f"The kernel could not get memory for itself: a request{pages}{detail}{how} failed "
        f"{_times(shortage)}{by}.{path}{wait} Nothing was killed."
    )


_PATHS = {
    "network": " It was for the network: packets were lost, connections may have ended.",
    "disk": " It was for a disk or a file system.",
}


def _why_killed(killing: Killing) -> str:
    """Return what a program that kills says of it."""
    by = {"oomd": "systemd-oomd"}.get(killing.by, killing.by)
    what = f"{plain(killing.name) or 'a process'} (pid {killing.pid}" if killing.pid else ""
    if what and killing.rss is not None:
        what += f", {format_size(killing.rss)} in RAM"
    what += ")" if what else plain(killing.cgroup) or "processes"
    sent = f" with {plain(killing.signal)}" if killing.signal else ""
    group = f" in {plain(killing.cgroup)}" if killing.pid and killing.cgroup else ""
    why = f" {plain(killing.why)}" if killing.why else ""
    return f"{by} killed {what}{group}{sent}{why}."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _who(name: str, pid: int | None) -> str:
    if not name:
        return ""
    return f"{plain(name)} (pid {pid})" if pid is not None else plain(name)


def _used_up(report: OomReport) -> str:
    """Return what was: a page that may not be swapped, or none that can be, leaves swap free."""
    free, total = report.swap_free, report.swap_total
    if total == 0:
        return "RAM was used up, and there is no swap"
    if free is not None and total is not None and free * LEFT > total:
        return f"RAM was used up, with {format_size(free)} of swap free"
    if free is None or total is None:
        return "RAM was used up"  # of swap the report says nothing, or not enough
    return "RAM and swap were used up"


def asker(report: OomReport) -> str:
    """Return the process whose request could not be met; "" if that is not known."""
    return _who(report.asked_by, report.asked_pid)


_CAUSES = {
    Cause.LIMIT: "It was killed at its limit.",
    Cause.RAM: "It was killed because the machine's memory was used up.",
    Cause.OTHER: "It was killed by the kernel's OOM killer.",
    Cause.OOM: "systemd says that the OOM killer hit it; the kernel's report was not found.",
    Cause.OOMD: "systemd-oomd killed it.",
    Cause.EARLYOOM: "earlyoom killed it.",
    Cause.NOHANG: "nohang killed it.",
    Cause.ALLOCATION: "The kernel could not get memory for itself.",
    Cause.WATCHDOG: "It did not answer its watchdog in time, and systemd killed it.",
    Cause.START_LIMIT: "It failed more often than its start limit allows.",
}


def what_next(incident: Incident) -> str:
    """Return what came of it, as a sentence, with what to do where there is something."""
    unit = whom(incident)
    if incident.shortage is not None:
        return _advice(incident.shortage)
    words = f"Outcome: {outcome(incident)}"
    if incident.result:
        words += f" (systemd's result: {plain(incident.result)})"
    if incident.restarts is not None and incident.ending is Ending.BACK:
        words += f", its automatic restart number {incident.restarts}"
    words += "."
    if not incident.this_boot:
        return words
    if incident.ending is Ending.GAVE_UP:
        words += f" `systemctl reset-failed {unit}`, then `systemctl start {unit}`."
    elif incident.ending is Ending.DEAD and unit.endswith(".service"):
        words += f" `systemctl start {unit}` brings it back."
    return words


def _advice(shortage: Shortage) -> str:
    """Return what to do about a shortage that killed nothing."""
    if shortage.lack is Lack.ALLOCATION:
        if shortage.order and shortage.order > 3:
            return "Outcome: nothing was killed. Memory was in pieces: a large request may fail so."
        return "Outcome: nothing was killed. `lowmem-tui check` looks at vm.min_free_kbytes."
    if shortage.lack is Lack.PANIC:
        return "Outcome: the machine stopped."
    unit = plain(shortage.unit)
    if not unit:
        return "Outcome: nothing was killed."
    return (
        f"Outcome: nothing was killed. Raise MemoryMax of {unit}, or let its processes be killed: "
        "OOMScoreAdjust above -1000."
    )


def undated(incident: Incident) -> str:
    """Return the time of an incident in a log without dates, as wide as a date and a time."""
    if incident.clock is Clock.NONE:
        return f"{'time unknown':<19}"
    return f"{f'boot +{incident.time:.3f}s':<19}"


def none(since: str = "") -> str:
    """Return a sentence for when there is none; ``since`` is when the looking began."""
    reach = f" since {since}" if since else ", as far as the logs go back"
    return f"Nothing was killed for memory{reach}."


def untold(unit: str, kills: int) -> str:
    """Return a sentence on kills that only a counter tells of."""
    times = "once" if kills == 1 else f"{kills} times"
    return f"{plain(unit)}: the kernel killed in it {times} more since it started; no report found."


def span(seconds: float) -> str:
    """Return seconds as a person says them: ``0.4s``, ``5s``, ``1min 30s``."""
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    return format_time_span(round(seconds) * 1_000_000)
