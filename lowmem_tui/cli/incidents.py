"""`lowmem-tui incidents`: what was killed, when and why, and the outcome.

Neither the screen's library nor a D-Bus client is loaded: it must run where memory is short.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lowmem_tui.cli import json_view
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.output import talk
from lowmem_tui.model.cells import left
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.incident import Clock
from lowmem_tui.model.language import say
from lowmem_tui.model.message import msg
from lowmem_tui.model.when import parse_when as parse_when
from lowmem_tui.policy.incidents import text as incident_words
from lowmem_tui.policy.incidents.build import join

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lowmem_tui.cli.recorded import Recorded
    from lowmem_tui.model.incident import Incident, Incidents, Killing, OomReport, Shortage, Victim
    from lowmem_tui.model.ports import Witness


def run(options: argparse.Namespace) -> Exit:
    """Print the incidents, the newest first."""
    witness, now, booted = _witness(options)
    since = _since(options.since, now, booted)
    found = join(witness.evidence(since))
    incidents = [
        i for i in found.incidents if since is None or i.clock is not Clock.WALL or i.time >= since
    ]
    if options.json:
        json_view.write(as_json(incidents, found))
    else:
        for line in lines(incidents, found):
            print(line)
    for note in found.notes:
        talk(note)
    return Exit.DONE


def _since(text: str | None, now: float, booted: float | None) -> float | None:
    if text is None:
        return None
    if text.strip() != "boot":
        return parse_when(text, now)
    if booted is None:
        raise InvalidValueError(msg("--since boot is of this machine: give a time with --file."))
    return booted


def _witness(options: argparse.Namespace) -> tuple[Witness, float, float | None]:
    """Return who knows, what time it is there, and when that machine was booted, if known.

    Raises UnsupportedError where there is no systemd with cgroup v2.
    """
    if options.file is not None:
        # The log of another machine: this one may be of any kind.
        from lowmem_tui.host.logs.file_evidence import FileWitness

        now = time.time()
        return FileWitness(options.file, now), now, None
    if options.recorded is not None:
        recorded: Recorded = options.recorded
        return recorded.witness(), recorded.now(), None
    if options.demo:
        from lowmem_tui.demo.roster import BOOTED
        from lowmem_tui.demo.server import DemoServer

        server = DemoServer()
        return server.witness, server.sampler.sample().time, BOOTED
    from lowmem_tui.cli.local import check_supported, local_witness

    check_supported()
    now = time.time()
    return local_witness(), now, now - time.clock_gettime(time.CLOCK_BOOTTIME)


def lines(incidents: list[Incident], found: Incidents) -> Iterator[str]:
    """Yield one line for each, and one for each unit whose counter tells of more."""
    if not incidents and not found.unreported:
        yield say(incident_words.none(_local(found.since) if found.since is not None else ""))
    names = [say(incident_words.whom(incident)) for incident in incidents]
    width = max(map(len, names), default=0)
    for incident, name in zip(incidents, names, strict=True):
        yield f"{_shown(incident)}  {left(name, width)}  {say(incident_words.short(incident))}"
    for unit, kills in found.unreported.items():
        yield say(incident_words.unreported(unit, kills))


def as_json(incidents: list[Incident], found: Incidents) -> dict[str, object]:
    """Return the incidents as data."""
    return {
        "incidents": [_incident(incident) for incident in incidents],
        "since": None if found.since is None else _time(found.since),
        "untold": found.unreported,
        "notes": list(map(str, found.notes)),
    }


def _incident(incident: Incident) -> dict[str, object]:
    report, shortage, killing = incident.report, incident.shortage, incident.killing
    return {
        "time": _when(incident.time, incident),
        "kind": incident.kind,
        "this_boot": incident.this_boot,
        "unit": incident.unit or None,
        "cause": incident.cause,
        "cgroup": _cgroup(incident),
        **_process(incident),
        "limit": report.limit if report else shortage.limit if shortage else None,
        "count": incident.count,
        "text": str(incident_words.short(incident)),
        "why": str(incident_words.why(incident)),
        "result": incident.result or None,
        "outcome": incident.ending,
        "back_after": None if incident.back_after is None else round(incident.back_after, 3),
        "restarts": incident.restarts,
        "since_boot": round(incident.time, 3) if incident.clock is Clock.BOOT else None,
        "report": None if report is None else _report(report),
        "shortage": None if shortage is None else _shortage(shortage, incident),
        "killing": None if killing is None else _killing(killing),
    }


def _cgroup(incident: Incident) -> str | None:
    for known in (incident.report, incident.killing, incident.shortage):
        if known is not None and known.cgroup:
            return known.cgroup
    return None


def _process(incident: Incident) -> dict[str, object]:
    """Return who was killed; where nothing was, who asked for memory."""
    if incident.report is not None and (victim := incident.report.victim) is not None:
        return {"pid": victim.pid, "process": victim.name, "rss": victim.rss}
    if (killing := incident.killing) is not None:
        return {"pid": killing.pid, "process": killing.name or None, "rss": killing.rss}
    if (shortage := incident.shortage) is not None:
        return {"pid": shortage.pid, "process": shortage.process or None, "rss": None}
    return {"pid": None, "process": None, "rss": None}


def _shortage(shortage: Shortage, incident: Incident) -> dict[str, object]:
    return {
        "began": _when(shortage.began, incident),
        "seconds": round(max(0.0, shortage.time - shortage.began), 3),
        "count": shortage.count,
        "limit": shortage.limit,
        "lowered": incident_words.was_lowered(shortage),
        "order": shortage.order,
        "mode": shortage.mode or None,
        "atomic": shortage.atomic,
        "path": shortage.path or None,
    }


def _killing(killing: Killing) -> dict[str, object]:
    return {"by": killing.by, "signal": killing.signal or None, "why": killing.why or None}


def _report(report: OomReport) -> dict[str, object]:
    return {
        "constraint": report.constraint or None,
        "cgroup": report.cgroup or None,
        "limit_cgroup": report.limit_cgroup or None,
        "limit_unit": report.limit_unit or None,
        "limit": report.limit,
        "swap_used": report.swap_used,
        "swap_free": report.swap_free,
        "by_hand": report.by_hand,
        "asked_by": {"name": report.asked_by, "pid": report.asked_pid} if report.asked_by else None,
        "lowered": incident_words.was_lowered(report),
        "victim": None if report.victim is None else _victim(report.victim),
        "also_killed": [_victim(victim) for victim in report.also],
    }


def _victim(victim: Victim) -> dict[str, object]:
    return {
        "pid": victim.pid,
        "name": victim.name,
        "uid": victim.uid,
        "rss": victim.rss,
        "oom_score_adj": victim.adj,
    }


def _shown(incident: Incident) -> str:
    """Return the time of an incident: since its boot where the log has no dates."""
    if incident.clock is Clock.WALL:
        return _local(incident.time)
    return left(say(incident_words.undated(incident)), 19)


def _local(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"


def _when(seconds: float, incident: Incident) -> str | None:
    return _time(seconds) if incident.clock is Clock.WALL else None


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
