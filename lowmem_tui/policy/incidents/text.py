"""Incidents as messages, for the commands and the screen."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lowmem_tui.model.incident import Cause, Clock, Ending, Lack, Shortage
from lowmem_tui.model.message import (
    listed,
    msg,
    of_bytes,
    of_seconds,
    of_text,
    of_unit,
    plural,
    sentences,
    verbatim,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.incident import Incident, Killing, OomReport, Victim
    from lowmem_tui.model.message import Message

LEFT = 10
"""Swap of which more than one part in so many is free is not used up."""

NO_UNIT = msg("(unit unknown)")
MACHINE = msg("(machine)")


def whom(incident: Incident) -> Message:
    """Return the unit."""
    if incident.unit:
        return verbatim(incident.unit)
    return MACHINE if incident.shortage is not None else NO_UNIT


# --- one line -------------------------------------------------------------------------------------


def short(incident: Incident) -> Message:
    """Return what happened, for one line: ``gunicorn 332M, limit 600M, restarted after 5s``."""
    if incident.shortage is not None:
        return _short_shortage(incident.shortage)
    return listed(*_short_why(incident), outcome(incident))


def _short_shortage(shortage: Shortage) -> Message:
    if shortage.lack is Lack.PANIC:
        return msg("kernel panic: out of memory")
    if shortage.lack is Lack.ALLOCATION:
        return listed(_SHORT_FAILED[shortage.path], _times(shortage), *_request(shortage))
    where = msg("no RAM")
    if shortage.cgroup:
        where = _limit(shortage.limit)
    return listed(where, msg("nothing to kill"), _times(shortage))


_SHORT_FAILED = defaultdict(
    lambda: msg("kernel allocation failed"),
    network=msg("network allocation failed"),
    disk=msg("disk allocation failed"),
)


def _limit(limit: int | None) -> Message:
    return msg("limit") if limit is None else msg("limit {limit}", limit=of_bytes(limit))


def _request(shortage: Shortage) -> Iterator[Message]:
    if shortage.order is not None:
        yield msg("order {order}", order=shortage.order)
    elif shortage.detail:
        yield verbatim(shortage.detail)
    if "GFP_ATOMIC" in shortage.mode:
        yield verbatim("GFP_ATOMIC")


def _times(shortage: Shortage) -> Message:
    if shortage.count == 1:
        return msg("once")
    long = shortage.time - shortage.began
    if long < 1:
        return msg("{count} times", count=shortage.count)
    return msg("{count} times in {span}", count=shortage.count, span=of_seconds(long))


def _short_why(incident: Incident) -> Iterator[Message]:
    report, killing = incident.report, incident.killing
    if killing is not None and report is None:
        if name := killing.name or killing.cgroup.rpartition("/")[2]:
            yield _sized(name, killing.rss)
        yield _KILLED_BY[incident.cause]
    elif report is None or report.victim is None:
        yield _KILLED_BY[incident.cause]
    else:
        who = _sized(report.victim.name, report.victim.rss)
        if report.also:
            who = msg("{process} and {count} more", process=who, count=len(report.also))
        yield who
        yield _short_reason(incident, report)


def _sized(name: str, size: int | None) -> Message:
    if size is None:
        return verbatim(name)
    return msg("{process} {size}", process=name, size=of_bytes(size))


def _short_reason(incident: Incident, report: OomReport) -> Message:
    if incident.cause is Cause.LIMIT:
        if report.limit_unit and report.limit_unit != incident.unit:
            above = of_unit(report.limit_unit)
            return msg("{unit}: {text}", unit=above, text=_limit(report.limit))
        return _limit(report.limit)
    if incident.cause is Cause.RAM:
        return msg("no RAM")
    return msg("by hand (SysRq)") if report.by_hand else verbatim("OOM")


_KILLED_BY = {
    Cause.LIMIT: msg("killed at its limit"),
    Cause.RAM: msg("killed, no RAM"),
    Cause.OTHER: msg("killed by the kernel"),
    Cause.OOM: msg("killed by the OOM killer"),
    Cause.OOMD: msg("killed by systemd-oomd"),
    Cause.EARLYOOM: msg("killed by earlyoom"),
    Cause.NOHANG: msg("killed by nohang"),
    Cause.ALLOCATION: msg("kernel allocation failed"),
    Cause.WATCHDOG: msg("watchdog"),
    Cause.START_LIMIT: msg("failed at every start"),
}


def outcome(incident: Incident) -> Message:
    """Return what happened to the unit afterwards, in a few words."""
    if incident.ending is Ending.BACK and incident.back_after is not None:
        return msg("restarted after {span}", span=of_seconds(incident.back_after))
    if incident.until:
        return msg("down until {until}", until=incident.until)
    return _ENDINGS[incident.ending]


_ENDINGS = {
    Ending.BACK: msg("restarted"),
    Ending.LIVED: msg("the unit went on"),
    Ending.RUNS: msg("runs again"),
    Ending.WAITING: msg("a restart is scheduled"),
    Ending.START_LIMIT: msg("hit the start limit"),
    Ending.DEAD: msg("still down"),
    Ending.REBOOT: msg("down until the reboot"),
    Ending.NOTHING: msg("nothing was killed"),
    Ending.UNKNOWN: msg("outcome unknown"),
}


# --- the cause ------------------------------------------------------------------------------------


def why(incident: Incident) -> Message:
    """Return the cause, whole, as a sentence."""
    report = incident.report
    if incident.shortage is not None:
        return _why_short(incident.shortage)
    if report is None and incident.killing is not None:
        return _why_killed(incident.killing)
    if report is None or report.victim is None:
        return _CAUSES[incident.cause]
    victim, reason = report.victim, _reason(incident, report, report.victim)
    details = listed(*_details(victim.pid, victim.rss, victim.adj))
    if not report.also:
        return msg(
            "The kernel killed {process} ({details}): {reason}.",
            process=victim.name,
            details=details,
            reason=reason,
        )
    group = msg("its group")
    if report.together and report.together != incident.unit:
        group = verbatim(report.together)
    return plural(
        "The kernel killed {process} ({details}) and {n} other process of {group}: {reason}.",
        "The kernel killed {process} ({details}) and {n} other processes of {group}: {reason}.",
        len(report.also),
        process=victim.name,
        details=details,
        group=group,
        reason=reason,
    )


def _details(pid: int, rss: int | None, adj: int | None = None) -> Iterator[Message]:
    yield msg("pid {pid}", pid=pid)
    if rss is not None:
        yield msg("{size} in RAM", size=of_bytes(rss))
    if adj:
        yield msg("oom_score_adj {score}", score=adj)


def _reason(incident: Incident, report: OomReport, victim: Victim) -> Message:
    if incident.cause is Cause.LIMIT:
        return _limit_reached(incident, report, victim)
    if report.by_hand:
        return msg("a kill was requested by hand (SysRq f), memory was not short")
    if incident.cause is Cause.RAM:
        return _asked_for_more(_used_up(report), report, victim)
    if not report.constraint:
        return msg("the report is incomplete, so the reason cannot be determined")
    nodes = msg("its memory nodes were used up ({constraint})", constraint=report.constraint)
    return _asked_for_more(nodes, report, victim)


def _limit_reached(incident: Incident, report: OomReport, victim: Victim) -> Message:
    own = bool(report.limit_unit) and report.limit_unit == incident.unit
    group = report.limit_unit or report.limit_cgroup
    whose = msg("the unit's own limit")
    if not own:
        whose = msg("the limit of {group}", group=group) if group else msg("the limit of its group")
    lowered = was_lowered(report)
    if lowered:
        found = _lowered(whose, report.limit, asker(report))
    elif report.limit is None:
        found = msg("{whose} was reached", whose=whose)
    else:
        found = msg("{whose} of {limit} was reached", whose=whose, limit=of_bytes(report.limit))
    if report.swap_used:
        found = msg("{reason}, with {swap} in swap", reason=found, swap=of_bytes(report.swap_used))
    return found if lowered else _asked_for_more(found, report, victim)


def _asked_for_more(reason: Message, report: OomReport, victim: Victim) -> Message:
    if not report.asked_by:
        return reason
    if report.asked_pid == victim.pid:
        return msg("{reason}, when it asked for more", reason=reason)
    return msg(
        "{reason}, when {process} asked for more", reason=reason, process=asker(report) or ""
    )


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


def _lowered(whose: Message, limit: int | None, by: Message | None) -> Message:
    if limit is None:
        found = msg("{whose} was set below what was in use", whose=whose)
    else:
        found = msg(
            "{whose} was set to {limit}, below what was in use", whose=whose, limit=of_bytes(limit)
        )
    return msg("{reason}, by {process}", reason=found, process=by) if by else found


def _why_short(shortage: Shortage) -> Message:
    """Return what a shortage that killed nothing was."""
    if shortage.lack is Lack.ALLOCATION:
        return _why_failed(shortage)
    if shortage.lack is Lack.PANIC:
        return msg(
            "The kernel stopped the machine (kernel panic): memory was used up, and "
            "vm.panic_on_oom is set or there was no process left to kill."
        )
    return sentences(
        msg(
            "The kernel found no process that may be killed: {reason}, {times}.",
            reason=_no_victim(shortage),
            times=_times(shortage),
        ),
        msg("A process that requests memory there waits until some is freed."),
    )


def _no_victim(shortage: Shortage) -> Message:
    who = _who(shortage.process, shortage.pid)
    whose = msg("the limit of {group}", group=shortage.unit or shortage.cgroup)
    if not shortage.cgroup:
        found = msg("the machine's RAM was used up")
    elif was_lowered(shortage):
        return _lowered(whose, shortage.limit, who)
    elif shortage.limit is None:
        found = msg("{whose} was reached", whose=whose)
    else:
        found = msg("{whose} of {limit} was reached", whose=whose, limit=of_bytes(shortage.limit))
    if who is None:
        return found
    return msg("{reason}, when {process} asked for more", reason=found, process=who)


def _why_failed(shortage: Shortage) -> Message:
    details = list(_request_details(shortage))
    text = msg("The kernel could not get memory for itself, {times}.", times=_times(shortage))
    if details:
        text = msg(
            "The kernel could not get memory for itself ({details}), {times}.",
            details=listed(*details),
            times=_times(shortage),
        )
    last = None
    if who := _who(shortage.process, shortage.pid):
        last = msg("It was requested by {process}.", process=who)
        if shortage.count > 1:
            last = msg("The last time it was requested by {process}.", process=who)
    wait = msg("The request could not wait for memory to be freed.") if shortage.atomic else None
    nothing = msg("Nothing was killed.")
    return sentences(text, last, _PATHS.get(shortage.path), wait, nothing)


def _request_details(shortage: Shortage) -> Iterator[Message]:
    if shortage.order is not None:
        pages = 1 << min(shortage.order, 20)
        yield plural("{n} page", "{n} pages in one piece", pages)
        yield msg("order {order}", order=shortage.order)
    if shortage.detail:
        yield verbatim(shortage.detail)
    if shortage.mode:
        yield msg("mode {mode}", mode=of_text(shortage.mode, 120))


_PATHS = {
    "network": msg("It was for the network: packets were lost, connections may have ended."),
    "disk": msg("It was for a disk or a file system."),
}


def _why_killed(killing: Killing) -> Message:
    """Return what a program that kills reports of it."""
    by = {"oomd": "systemd-oomd"}.get(killing.by, killing.by)
    if killing.pid:
        details = listed(*_details(killing.pid, killing.rss))
        name = verbatim(killing.name) if killing.name else msg("a process")
        found = msg("{by} killed {process} ({details})", by=by, process=name, details=details)
        if killing.cgroup:
            found = msg("{killed} in {group}", killed=found, group=killing.cgroup)
    elif killing.cgroup:
        found = msg("{by} killed {group}", by=by, group=killing.cgroup)
    else:
        found = msg("{by} killed processes", by=by)
    if killing.signal:
        found = msg("{killed} with {signal}", killed=found, signal=killing.signal)
    if killing.why:
        return msg("{killed}; its reason: {reason}.", killed=found, reason=killing.why)
    return msg("{killed}.", killed=found)


def _who(name: str, pid: int | None) -> Message | None:
    """Return a process; None if that is not known."""
    if not name:
        return None
    return verbatim(name) if pid is None else msg("{process} (pid {pid})", process=name, pid=pid)


def _used_up(report: OomReport) -> Message:
    """Return what was: a page that may not be swapped, or none that can be, leaves swap free."""
    free, total = report.swap_free, report.swap_total
    if total == 0:
        return msg("the machine's RAM was used up, and there is no swap")
    if free is not None and total is not None and free * LEFT > total:
        return msg("the machine's RAM was used up, with {free} of swap free", free=of_bytes(free))
    if free is None or total is None:
        # Of swap the report says nothing, or not enough.
        return msg("the machine's RAM was used up")
    return msg("the machine's RAM and swap were used up")


def asker(report: OomReport) -> Message | None:
    """Return the process whose request could not be met; None if that is not known."""
    return _who(report.asked_by, report.asked_pid)


_CAUSES = {
    Cause.LIMIT: msg("It was killed at its limit."),
    Cause.RAM: msg("It was killed because the machine's memory was used up."),
    Cause.OTHER: msg("It was killed by the kernel's OOM killer."),
    Cause.OOM: msg(
        "systemd reports that the OOM killer killed it; the kernel's report was not found."
    ),
    Cause.OOMD: msg("systemd-oomd killed it."),
    Cause.EARLYOOM: msg("earlyoom killed it."),
    Cause.NOHANG: msg("nohang killed it."),
    Cause.ALLOCATION: msg("The kernel could not get memory for itself."),
    Cause.WATCHDOG: msg("It did not answer its watchdog in time, and systemd killed it."),
    Cause.START_LIMIT: msg("It failed more often than its start limit allows."),
}


# --- what next ------------------------------------------------------------------------------------


def what_next(incident: Incident) -> Message:
    """Return what happened to the unit, as sentences, with what to do where there is something."""
    if incident.shortage is not None:
        return _advice(incident.shortage)
    return sentences(
        msg("Outcome: {outcome}.", outcome=listed(*_outcome_details(incident))), _remedy(incident)
    )


def _outcome_details(incident: Incident) -> Iterator[Message]:
    yield outcome(incident)
    if incident.result:
        yield msg("systemd's result {result}", result=incident.result)
    if incident.restarts is not None and incident.ending is Ending.BACK:
        yield msg("its automatic restart number {number}", number=incident.restarts)


def _remedy(incident: Incident) -> Message | None:
    unit = incident.unit
    if not incident.this_boot or not unit:
        return None
    if incident.ending is Ending.START_LIMIT:
        return msg(
            "To start it: `systemctl reset-failed {unit}`, then `systemctl start {unit}`.",
            unit=of_unit(unit),
        )
    if incident.ending is Ending.DEAD and unit.endswith(".service"):
        return msg("To start it: `systemctl start {unit}`.", unit=of_unit(unit))
    return None


def _advice(shortage: Shortage) -> Message:
    """Return what to do about a shortage that killed nothing."""
    if shortage.lack is Lack.PANIC:
        return msg("Outcome: the machine stopped.")
    nothing = msg("Outcome: nothing was killed.")
    if shortage.lack is Lack.ALLOCATION:
        if shortage.order and shortage.order > 3:
            more = msg("Memory was fragmented: a large request can then fail.")
            return sentences(nothing, more)
        return sentences(nothing, msg("`lowmem-tui check` examines vm.min_free_kbytes."))
    if not shortage.unit:
        return nothing
    return sentences(
        nothing,
        msg(
            "Raise MemoryMax of {unit}, or let its processes be killed: OOMScoreAdjust above "
            "-1000.",
            unit=of_unit(shortage.unit),
        ),
    )


def undated(incident: Incident) -> Message:
    """Return the time of an incident in a log without dates, at most 19 cells wide."""
    if incident.clock is Clock.NONE:
        return msg("time unknown")
    seconds = f"{incident.time:.3f}"
    return msg("boot +{seconds}s", seconds=seconds)


def none(since: str = "") -> Message:
    """Return a sentence for when there is none; ``since`` is when the looking began."""
    if since:
        return msg("Nothing was killed for memory since {time}.", time=since)
    return msg("Nothing was killed for memory, as far as the logs go back.")


def unreported(unit: str, kills: int) -> Message:
    """Return a sentence on kills that only a counter reports."""
    return plural(
        "{unit}: the kernel killed {n} more process in it since it started; no report was found.",
        "{unit}: the kernel killed {n} more processes in it since it started; no report was found.",
        kills,
        unit=of_unit(unit),
    )
