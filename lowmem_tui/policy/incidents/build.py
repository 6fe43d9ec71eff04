"""From what was found to incidents: one for each kill, with its cause and its outcome. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.incident import (
    Cause,
    Clock,
    Ending,
    EventKind,
    Incident,
    Incidents,
    Killing,
    UnitEvent,
)
from lowmem_tui.policy.incidents.follower import NEAR, SUDDEN, Draft, Follower
from lowmem_tui.policy.incidents.shortages import of_shortages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.model.incident import Evidence, OomReport

EARLY = 1.0
"""Seconds after boot in which nothing is killed yet; two readings of its time differ by less."""

AGAIN = 60.0
"""Seconds within which a program that kills sends a second signal to what did not go."""


def join(evidence: Evidence) -> Incidents:
    """Return the incidents, the newest first."""
    reports = _named([r for r in evidence.reports if r.victim is not None], evidence.events)
    found: list[Incident] = []
    shared = list(_shared(evidence, reports))
    killings = list(_once(evidence.killings))
    events = _inner(evidence.events, killings)
    for (boot, unit), moments in _lines([*reports, *shared, *killings], events).items():
        drafts = Follower(unit).follow(moments)
        found += [_finish(draft, boot, evidence) for draft in drafts]
    found += of_shortages(evidence)
    # Where a log has no dates, its boots come in their order.
    rank = {boot: at for at, boot in enumerate(evidence.clocks)}
    found.sort(key=lambda incident: (rank.get(incident.boot, -1), incident.time), reverse=True)
    unreported = _unreported(evidence, reports, shared) if _whole_boot(evidence) else {}
    return Incidents(tuple(found), unreported, evidence.notes, evidence.since)


def _once(killings: Sequence[Killing]) -> Iterator[Killing]:
    """Yield each kill once: SIGKILL follows SIGTERM where a process did not go."""
    last: dict[tuple[str, str, int], float] = {}
    for killing in killings:
        if killing.pid is not None:
            key = killing.boot, killing.by, killing.pid
            before, last[key] = last.get(key), killing.time
            if before is not None and 0 <= killing.time - before <= AGAIN:
                continue
        yield killing


def _inner(events: Sequence[UnitEvent], killings: Sequence[Killing]) -> list[UnitEvent]:
    """Attribute what a user's manager reports of its unit to the unit of this manager."""
    groups = {k.cgroup.rpartition("/")[2]: k for k in killings if k.by == Cause.OOMD and k.cgroup}
    return [
        replace(e, unit=groups[e.unit].unit)
        if e.kind is EventKind.OOMD and e.unit in groups and _near(e, groups[e.unit])
        else e
        for e in events
    ]


class _UnitKills:
    """systemd's messages about kills in units, to be matched with the kernel's reports."""

    def __init__(self, events: Iterable[UnitEvent]) -> None:
        self._events = sorted(
            (e for e in events if e.kind is EventKind.OOM), key=lambda event: event.time
        )
        self._times = [event.time for event in self._events]
        self._used: set[int] = set()

    def take(self, report: OomReport, unit: str = "") -> UnitEvent | None:
        """Return the nearest one to a report, of this unit if one is named, and only once.

        A slice counts what is killed in the units below it: it names no report.
        """
        best: tuple[float, int] | None = None
        for at in range(bisect_left(self._times, report.time - NEAR), len(self._events)):
            event = self._events[at]
            if event.time > report.time + NEAR:
                break
            fits = event.unit == unit if unit else not event.unit.endswith(".slice")
            if at in self._used or not _near(event, report) or not fits:
                continue
            distance = abs(event.time - report.time)
            if best is None or distance < best[0]:
                best = distance, at
        if best is None:
            return None
        self._used.add(best[1])
        return self._events[best[1]]


def _named(reports: Sequence[OomReport], events: Iterable[UnitEvent]) -> list[OomReport]:
    """Give each report without a unit the one that systemd reports a kill in at that time.

    Of many kills in a few seconds the kernel reports only the first ones whole.
    """
    kills = _UnitKills(events)
    for report in reports:
        if report.unit:
            kills.take(report, report.unit)
    named: list[OomReport] = []
    for report in reports:
        if not report.unit and (closest := kills.take(report)) is not None:
            report = replace(report, unit=closest.unit)
        named.append(report)
    return named


def _shared(evidence: Evidence, reports: Sequence[OomReport]) -> Iterator[OomReport]:
    """Yield a slice's report, killed as one, for each other unit with a kill then."""
    for report in reports:
        if not report.also or not report.together.endswith(".slice"):
            continue
        hit = {
            event.unit
            for event in evidence.events
            if event.kind is EventKind.OOM
            and event.unit != report.unit
            and not event.unit.endswith(".slice")
            and _near(event, report)
            and not any(r.unit == event.unit and _near(event, r) for r in reports)
        }
        if len(hit) <= len(report.also):
            yield from (replace(report, unit=unit) for unit in sorted(hit))


def _near(event: UnitEvent, report: OomReport | Killing) -> bool:
    return event.boot == report.boot and abs(event.time - report.time) <= NEAR


def _lines(
    reports: Iterable[OomReport | Killing], events: Iterable[UnitEvent]
) -> dict[tuple[str, str], list[OomReport | Killing | UnitEvent]]:
    """Return what happened to each unit in each boot, in the order of time."""
    lines: dict[tuple[str, str], list[OomReport | Killing | UnitEvent]] = {}
    # A slice counts what is killed in the units below it, and those have messages of their own.
    own = (e for e in events if not (e.kind is EventKind.OOM and e.unit.endswith(".slice")))
    things: list[OomReport | Killing | UnitEvent] = [*reports, *own]
    for thing in things:
        lines.setdefault((thing.boot, thing.unit), []).append(thing)
    for moments in lines.values():
        moments.sort(key=lambda thing: thing.time)
    return lines


def _finish(draft: Draft, boot: str, evidence: Evidence) -> Incident:
    this_boot = boot == evidence.boot
    ending = _ending(draft, boot, evidence)
    return Incident(
        draft.time,
        this_boot,
        draft.unit,
        draft.cause,
        draft.report,
        draft.result,
        ending,
        max(0.0, draft.back - draft.time) if draft.back is not None else None,
        draft.restarts if draft.back is not None or draft.waiting else None,
        evidence.starters.get(draft.unit, "") if ending is Ending.DEAD else "",
        killing=draft.killing,
        clock=evidence.clocks.get(boot, Clock.WALL),
        boot=boot,
    )


def _ending(draft: Draft, boot: str, evidence: Evidence) -> Ending:
    this_boot = boot == evidence.boot
    runs = this_boot and draft.unit in evidence.running
    if draft.back is not None:
        return Ending.BACK
    if draft.lived:
        return Ending.LIVED
    if not draft.unit:
        return Ending.UNKNOWN
    if not _covered(draft, evidence):
        return _present_state(runs=runs, this_boot=this_boot)
    if draft.open:
        return _open_ending(draft, evidence, runs=runs, this_boot=this_boot)
    if runs:
        return Ending.RUNS
    if draft.start_limit:
        return Ending.START_LIMIT
    if not this_boot and boot != evidence.last_boot:
        return Ending.REBOOT
    if draft.waiting:
        return Ending.WAITING
    # Where the log itself ends, nobody knows what came then.
    return Ending.DEAD if this_boot else Ending.UNKNOWN


def _covered(draft: Draft, evidence: Evidence) -> bool:
    """Return whether systemd's messages were read as far back as this."""
    unread = evidence.events_since is not None and draft.time < evidence.events_since
    return evidence.outcomes and not unread


def _present_state(*, runs: bool, this_boot: bool) -> Ending:
    """Return what is known without systemd's messages: whether the unit runs now."""
    if not this_boot:
        return Ending.UNKNOWN
    return Ending.RUNS if runs else Ending.DEAD


def _open_ending(draft: Draft, evidence: Evidence, *, runs: bool, this_boot: bool) -> Ending:
    """Return the ending where none was reported.

    The unit went on, or it ended without a message, as a scope does.
    """
    if runs and evidence.now is not None and evidence.now - draft.time < SUDDEN:
        return Ending.UNKNOWN
    if this_boot:
        return Ending.LIVED if runs else Ending.DEAD
    return Ending.LIVED if draft.seen and not _whole(draft) else Ending.UNKNOWN


def _whole(draft: Draft) -> bool:
    """Tell whether all of a unit was killed: systemd-oomd takes a whole control group."""
    killing = draft.killing
    return draft.cause is Cause.OOMD and (
        killing is None or killing.cgroup.rpartition("/")[2] == draft.unit
    )


def _whole_boot(evidence: Evidence) -> bool:
    """Tell whether reports were looked for since the boot: the counters may go back as far."""
    if evidence.since is None:
        return True
    return evidence.booted is not None and evidence.since <= evidence.booted + EARLY


def _unreported(
    evidence: Evidence, reports: Sequence[OomReport], shared: Sequence[OomReport]
) -> dict[str, int]:
    """Return the kills that a unit's counter has and no report contains.

    The counter starts again with the group, so that it never has too many. The report of a slice
    that was killed as one does not name the units of its victims: all may have been in each.
    """
    reported: Counter[str] = Counter()
    for report in reports:
        if report.boot == evidence.boot:
            # The kernel counts the first victim of a group twice.
            reported[report.unit] += 1 + len(report.also) + bool(report.also)
    for report in shared:
        if report.boot == evidence.boot:
            reported[report.unit] += len(report.also)
    missing = {unit: kills - reported[unit] for unit, kills in evidence.counters.items()}
    return {unit: count for unit, count in sorted(missing.items()) if count > 0}
