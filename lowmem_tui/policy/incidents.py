"""From what was found to incidents: one for each kill, with its cause and what came of it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.model.incident import (
    Cause,
    Ending,
    EventKind,
    Incident,
    Incidents,
    UnitEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.model.incident import Evidence, OomReport

NEAR = 5.0
"""Seconds within which the kernel's and systemd's words on one kill are written down: journald
takes them from two places, in any order."""

SLOW = 120.0
"""Seconds that a unit may take to end after a kill: more than the usual TimeoutStopSec=."""

SUDDEN = 10.0
"""Seconds within which an end that was no failure counts as due to the kill."""

BURST = 1.0
"""Seconds within which kills are for one and the same shortage."""

EARLY = 1.0
"""Seconds after boot in which nothing is killed yet; two readings of its time differ by less."""

CAUSES = {"oom-kill": Cause.OOM, "watchdog": Cause.WATCHDOG, "start-limit-hit": Cause.START_LIMIT}


class _Draft:
    """An incident whose end is still looked for."""

    __slots__ = (
        "back", "cause", "ended", "gave_up", "lived", "report", "restarts", "result", "time",
        "told", "unit", "waiting",
    )  # fmt: skip

    def __init__(self, time: float, unit: str, cause: Cause) -> None:
        self.time, self.unit, self.cause = time, unit, cause
        self.report: OomReport | None = None
        self.result = ""
        self.ended = self.gave_up = self.lived = self.waiting = False
        self.told = False
        """systemd has seen the kill: it would have said more if the unit had ended with it."""
        self.back: float | None = None
        self.restarts: int | None = None

    @property
    def open(self) -> bool:
        """Whether nothing is known of what came of it."""
        return not (self.ended or self.lived)

    @property
    def down(self) -> bool:
        """Whether the unit has ended with it and was not started since."""
        return self.ended and self.back is None


def join(evidence: Evidence) -> Incidents:
    """Return the incidents, the newest first."""
    reports = _named(evidence)
    found: list[Incident] = []
    shared = list(_shared(evidence, reports))
    for (boot, unit), moments in _lines([*reports, *shared], evidence.events).items():
        drafts = _Follower(unit).follow(moments)
        found += [_finish(draft, boot, evidence) for draft in drafts]
    found.sort(key=lambda incident: incident.time, reverse=True)
    untold = _untold(evidence, reports, shared) if _whole_boot(evidence) else {}
    return Incidents(tuple(found), untold, evidence.notes, evidence.since)


def _named(evidence: Evidence) -> list[OomReport]:
    """Give each report without a unit the one that systemd says was hit at that time.

    Of many kills in a few seconds the kernel reports only the first ones whole.
    """
    told = [e for e in evidence.events if e.kind is EventKind.OOM]
    for report in evidence.reports:
        if report.unit:
            near = [e for e in told if e.unit == report.unit and _near(e, report)]
            if near:
                told.remove(min(near, key=lambda e: abs(e.time - report.time)))
    named: list[OomReport] = []
    for report in evidence.reports:
        if not report.unit and (near := [e for e in told if _near(e, report)]):
            closest = min(near, key=lambda e: abs(e.time - report.time))
            told.remove(closest)
            report = replace(report, unit=closest.unit)
        named.append(report)
    return named


def _shared(evidence: Evidence, reports: Sequence[OomReport]) -> Iterator[OomReport]:
    """Yield a slice's report, killed as one, for each other unit that systemd says was hit then."""
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


def _near(event: UnitEvent, report: OomReport) -> bool:
    return event.boot == report.boot and abs(event.time - report.time) <= NEAR


def _lines(
    reports: Iterable[OomReport], events: Iterable[UnitEvent]
) -> dict[tuple[str, str], list[OomReport | UnitEvent]]:
    """Return what happened to each unit in each boot, in the order of time."""
    lines: dict[tuple[str, str], list[OomReport | UnitEvent]] = {}
    # A slice counts what is killed in the units below it, and those are told of themselves.
    told = (e for e in events if not (e.kind is EventKind.OOM and e.unit.endswith(".slice")))
    things: list[OomReport | UnitEvent] = [*reports, *told]
    for thing in things:
        lines.setdefault((thing.boot, thing.unit), []).append(thing)
    for moments in lines.values():
        moments.sort(key=lambda thing: thing.time)
    return lines


class _Follower:
    """Follows one unit through one boot."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._drafts: list[_Draft] = []
        self._refused = -SLOW
        """When systemd last refused to start it once more: a failure comes with that."""

    def follow(self, moments: Iterable[OomReport | UnitEvent]) -> list[_Draft]:
        """Return what the kernel's reports and systemd's messages come to."""
        for thing in moments:
            if isinstance(thing, UnitEvent):
                self._event(thing)
            else:
                self._report(thing)
        return self._drafts

    def _new(self, time: float, cause: Cause) -> _Draft:
        draft = _Draft(time, self._unit, cause)
        self._drafts.append(draft)
        return draft

    def _report(self, report: OomReport) -> None:
        # systemd's word may have been written down before the kernel's.
        for draft in reversed(self._drafts[-3:]):
            early = draft.cause is Cause.OOM and draft.report is None
            if early and report.time - draft.time <= NEAR:
                break
        else:
            draft = self._new(report.time, Cause.OTHER)
        draft.report, draft.cause = report, _cause(report)

    def _event(self, event: UnitEvent) -> None:
        kind = event.kind
        waiting = [draft for draft in self._drafts if draft.open]
        if kind is EventKind.OOM:
            near = [d for d in self._drafts if d.cause in _OOMS and event.time - d.time <= NEAR]
            for draft in near or [self._new(event.time, Cause.OOM)]:
                draft.told = True
        elif kind is EventKind.OOMD:
            self._new(event.time, Cause.OOMD)
        elif kind is EventKind.RESULT:
            self._failed(event, waiting)
        elif kind is EventKind.ENDED:
            for draft in waiting:
                draft.ended = event.time - draft.time <= SUDDEN
                draft.lived = not draft.ended
        elif kind is EventKind.TOO_OFTEN:
            self._refused = event.time
            down = [draft for draft in self._drafts if draft.down]
            if not down:
                down = [self._new(event.time, Cause.START_LIMIT)]
            for draft in down:
                draft.ended = draft.gave_up = True
        elif kind is EventKind.RESTART:
            for draft in self._drafts:
                if draft.down:
                    draft.waiting = True
                    draft.restarts = int(event.detail) if _count(event.detail) else None
        elif kind is EventKind.STARTED:
            for draft in self._drafts:
                if draft.down:
                    draft.back = event.time
                draft.lived = draft.lived or draft.open

    def _failed(self, event: UnitEvent, waiting: Sequence[_Draft]) -> None:
        if 0 <= event.time - self._refused <= NEAR:
            return
        if event.detail == "oom-kill":
            mine = waiting
        else:
            # By the last kill: with OOMPolicy=continue it went on after those before.
            last = max((d.time for d in waiting), default=event.time)
            soon = event.time - last <= SLOW
            mine = [d for d in waiting if soon and last - d.time <= BURST]
        for draft in waiting:
            draft.ended = draft in mine
            draft.lived = not draft.ended
        if not mine and (cause := CAUSES.get(event.detail)) is not None:
            mine = [self._new(event.time, cause)]
        for draft in mine:
            draft.ended, draft.result = True, event.detail
            draft.gave_up = draft.cause is Cause.START_LIMIT


_OOMS = frozenset({Cause.LIMIT, Cause.RAM, Cause.OTHER, Cause.OOM})


def _count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _cause(report: OomReport) -> Cause:
    if report.by_hand:
        return Cause.OTHER
    if report.constraint == "CONSTRAINT_MEMCG":
        return Cause.LIMIT
    return Cause.RAM if report.constraint == "CONSTRAINT_NONE" else Cause.OTHER


def _finish(draft: _Draft, boot: str, evidence: Evidence) -> Incident:
    this_boot = boot == evidence.boot
    ending = _ending(draft, evidence, this_boot=this_boot)
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
    )


def _ending(draft: _Draft, evidence: Evidence, *, this_boot: bool) -> Ending:
    runs = this_boot and draft.unit in evidence.running
    unread = evidence.events_since is not None and draft.time < evidence.events_since
    if draft.back is not None:
        return Ending.BACK
    if draft.lived:
        return Ending.LIVED
    if not draft.unit or not evidence.outcomes or unread:
        if not this_boot or not draft.unit:
            return Ending.UNKNOWN
        return Ending.RUNS if runs else Ending.DEAD
    if draft.open:
        # Nothing was said of an end: it went on, or it went as silently as a scope does.
        if runs and evidence.now is not None and evidence.now - draft.time < SUDDEN:
            return Ending.UNKNOWN
        if this_boot:
            return Ending.LIVED if runs else Ending.DEAD
        return Ending.LIVED if draft.told else Ending.UNKNOWN
    if runs:
        return Ending.RUNS
    if draft.gave_up:
        return Ending.GAVE_UP
    if not this_boot:
        return Ending.REBOOT
    return Ending.WAITING if draft.waiting else Ending.DEAD


def _whole_boot(evidence: Evidence) -> bool:
    """Tell whether reports were looked for since the boot: the counters may go back as far."""
    if evidence.since is None:
        return True
    return evidence.booted is not None and evidence.since <= evidence.booted + EARLY


def _untold(
    evidence: Evidence, reports: Sequence[OomReport], shared: Sequence[OomReport]
) -> dict[str, int]:
    """Return the kills that a unit's counter has and no report tells of.

    The counter begins anew with the group, so that it never has too many. Of a slice that was
    killed as one it is not told who was in which unit: all may have been in each.
    """
    told: Counter[str] = Counter()
    for report in reports:
        if report.boot == evidence.boot:
            # The kernel counts the first victim of a group twice.
            told[report.unit] += 1 + len(report.also) + bool(report.also)
    for report in shared:
        if report.boot == evidence.boot:
            told[report.unit] += len(report.also)
    missing = {unit: kills - told[unit] for unit, kills in evidence.counters.items()}
    return {unit: count for unit, count in sorted(missing.items()) if count > 0}
