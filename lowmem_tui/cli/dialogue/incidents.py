"""What was killed, when and why, and the outcome."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.incident import Clock
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import say
from lowmem_tui.policy.forecast.restart_text import activators
from lowmem_tui.policy.incidents import text as incident_text
from lowmem_tui.policy.incidents.build import join

if TYPE_CHECKING:
    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.incident import Incident, Incidents

MOST = 20
"""Incidents that are listed, and processes of a kernel's report."""

SINCE = "since "


def incidents(d: Dialogue, typed: str) -> None:
    """List what was killed, the newest first; with a number of that list, one incident whole."""
    number = natural(typed, 6)
    if number is None:
        _list(d, typed)
        return
    found = d.incidents.incidents if d.incidents else ()
    if 1 <= number <= len(found):
        _one(d, found[number - 1])
    else:
        d.console.say(
            "No incident has number {number}: type incidents to get the numbers.", number=number
        )


def _list(d: Dialogue, typed: str) -> None:
    since = None
    if typed.startswith(SINCE):
        from lowmem_tui.model.when import parse_when

        since = parse_when(typed.removeprefix(SINCE), d.look().time)
    elif typed:
        d.console.say(
            "incidents takes no argument, a number, or since and a time, for example: "
            "since yesterday."
        )
        return
    d.console.say("The logs are read. This may take some seconds.")
    d.console.flush()
    d.incidents = found = _found(d, since)
    if not found.incidents and not found.unreported:
        d.console.message(incident_text.none(_time(found.since) if found.since else ""))
    for number, incident in enumerate(found.incidents[:MOST], 1):
        d.console.say(
            "{number}. {time}: {unit}, {what}.",
            number=number,
            time=_when(incident),
            unit=incident_text.whom(incident),
            what=incident_text.short(incident),
        )
    if (more := len(found.incidents) - MOST) > 0:
        d.console.say("{count} older incidents are not listed.", count=more)
    for unit, kills in found.unreported.items():
        d.console.message(incident_text.unreported(unit, kills))
    for note in found.notes:
        d.console.message(note)
    if found.incidents:
        d.console.say("Type incidents and a number to see one in full.")


def _found(d: Dialogue, since: float | None) -> Incidents:
    starters = {
        name: by[0]
        for name, unit in d.look().units.items()
        if unit.properties and (by := activators(unit.properties))
    }
    found = join(replace(d.backend.witness.evidence(since), starters=starters))
    if since is None:
        return found
    kept = (i for i in found.incidents if i.clock is not Clock.WALL or i.time >= since)
    return replace(found, incidents=tuple(kept))


def _one(d: Dialogue, incident: Incident) -> None:
    d.console.say("{time}: {unit}.", time=_when(incident), unit=incident_text.whom(incident))
    d.console.message(incident_text.why(incident))
    d.console.message(incident_text.what_next(incident))
    source = incident.report or incident.shortage
    if source is None or not source.reference:
        return
    try:
        report = d.backend.witness.report(source.reference)
    except LowmemError as error:
        d.console.message(error.message)
        return
    if report.tasks:
        d.console.say_count(
            "1 process ran before the kill:",
            "{n} processes ran before the kill, the largest first:",
            len(report.tasks),
        )
    for task in sorted(report.tasks, key=lambda t: t.rss + t.swap, reverse=True)[:MOST]:
        d.console.say(
            "Process {pid} ({name}): {rss} RSS, {swap} swap, oom_score_adj {adj}.",
            pid=task.pid,
            name=task.name,
            rss=format_size(task.rss),
            swap=format_size(task.swap),
            adj=task.adj,
        )
    if d.agreed("Print the kernel's own text, {count} lines?", count=len(report.lines)):
        for line in report.lines:
            d.console.show(line)


def _when(incident: Incident) -> str:
    """Return the time of an incident: since its boot where the log has no dates."""
    if incident.clock is Clock.WALL:
        return _time(incident.time)
    return say(incident_text.undated(incident))


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
