"""Incidents in words, for the command and the screen. What others wrote is made harmless here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.incident import Cause, Ending
from lowmem_tui.model.quantity import format_size, format_time_span
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from lowmem_tui.model.incident import Incident, OomReport

LEFT = 10
"""Swap of which more than one part in so many is free is not used up."""

NO_UNIT = "(unit not known)"


def whom(incident: Incident) -> str:
    """Return the unit."""
    return plain(incident.unit) or NO_UNIT


def short(incident: Incident) -> str:
    """Return what happened, for one line: ``gunicorn 332M, limit 600M, back after 5s``."""
    return f"{_short_why(incident)}, {outcome(incident)}"


def _short_why(incident: Incident) -> str:
    report = incident.report
    if report is None:
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
    Ending.UNKNOWN: "outcome not known",
}


def why(incident: Incident) -> str:
    """Return the cause, whole, as a sentence."""
    report = incident.report
    if report is None:
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
    return f"{who}: {_reason(incident, report)}."


def _reason(incident: Incident, report: OomReport) -> str:
    asked = ""
    if report.asked_by:
        itself = report.asked_pid == report.victim.pid
        asked = f", when {'it' if itself else asker(report)} asked for more"
    if incident.cause is Cause.LIMIT:
        where = plain(report.limit_unit or report.limit_cgroup) or "its group"
        own = bool(report.limit_unit) and report.limit_unit == incident.unit
        size = f" of {format_size(report.limit)}" if report.limit is not None else ""
        whose = "the unit's own limit" if own else f"the limit of {where}"
        swap = f", with {format_size(report.swap_used)} in swap" if report.swap_used else ""
        return f"{whose}{size} was reached{swap}{asked}"
    if report.by_hand:
        return "somebody asked for a kill (SysRq f), no memory was short"
    if incident.cause is Cause.RAM:
        return f"the machine's {_used_up(report)}{asked}"
    return f"by {plain(report.constraint) or 'a report that is cut'}{asked}"


def _used_up(report: OomReport) -> str:
    """Return what was: a page that may not be swapped, or none that can be, leaves swap free."""
    free, total = report.swap_free, report.swap_total
    if total == 0:
        return "RAM was used up, and there is no swap"
    if free is not None and total is not None and free * LEFT > total:
        return f"RAM was used up, with {format_size(free)} of swap free"
    return "RAM and swap were used up"


def asker(report: OomReport) -> str:
    """Return the process whose request could not be met; "" if that is not known."""
    pid = f" (pid {report.asked_pid})" if report.asked_pid is not None else ""
    return f"{plain(report.asked_by)}{pid}" if report.asked_by else ""


_CAUSES = {
    Cause.LIMIT: "It was killed at its limit.",
    Cause.RAM: "It was killed because the machine's memory was used up.",
    Cause.OTHER: "It was killed by the kernel's OOM killer.",
    Cause.OOM: "systemd says that the OOM killer hit it; the kernel's report was not found.",
    Cause.OOMD: "systemd-oomd killed it.",
    Cause.WATCHDOG: "It did not answer its watchdog in time, and systemd killed it.",
    Cause.START_LIMIT: "It failed more often than its start limit allows.",
}


def what_next(incident: Incident) -> str:
    """Return what came of it, as a sentence, with what to do where there is something."""
    unit = whom(incident)
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
