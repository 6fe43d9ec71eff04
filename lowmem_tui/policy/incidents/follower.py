"""One unit through one boot: what the kernel and systemd report of it, made into kills. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.incident import Cause, EventKind, Killing, UnitEvent
from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.incident import OomReport

NEAR = 5.0
"""Seconds within which the kernel's and systemd's messages about one kill are logged: journald
takes them from two places, in any order."""

SLOW = 120.0
"""Seconds that a unit may take to end after a kill: more than the usual TimeoutStopSec=."""

SUDDEN = 10.0
"""Seconds within which an end that was no failure counts as due to the kill."""

BURST = 1.0
"""Seconds within which kills are for one and the same shortage."""

CAUSES = {"oom-kill": Cause.OOM, "watchdog": Cause.WATCHDOG, "start-limit-hit": Cause.START_LIMIT}


class Draft:
    """An incident whose outcome may still be found."""

    __slots__ = (
        "back", "cause", "ended", "killing", "lived", "report", "restarts", "result", "seen",
        "start_limit", "time", "unit", "waiting",
    )  # fmt: skip

    def __init__(self, time: float, unit: str, cause: Cause) -> None:
        self.time, self.unit, self.cause = time, unit, cause
        self.report: OomReport | None = None
        self.killing: Killing | None = None
        self.result = ""
        self.ended = self.start_limit = self.lived = self.waiting = False
        self.seen = False
        """systemd has seen the kill: it would have reported more if the unit had ended with it."""
        self.back: float | None = None
        self.restarts: int | None = None

    @property
    def open(self) -> bool:
        """Whether the outcome is still unknown."""
        return not (self.ended or self.lived)

    @property
    def down(self) -> bool:
        """Whether the unit has ended with it and was not started since."""
        return self.ended and self.back is None


class Follower:
    """Follows one unit through one boot."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._drafts: list[Draft] = []
        self._live: list[Draft] = []
        """Those of which more may be reported."""
        self._refused = -SLOW
        """When systemd last refused to start it once more: a failure comes with that."""
        self._handlers = {
            EventKind.OOM: self._oom,
            EventKind.OOMD: self._oomd,
            EventKind.RESULT: self._failed,
            EventKind.ENDED: self._ended,
            EventKind.TOO_OFTEN: self._too_often,
            EventKind.RESTART: self._restart,
            EventKind.STARTED: self._started,
        }

    def follow(self, moments: Iterable[OomReport | Killing | UnitEvent]) -> list[Draft]:
        """Return the kills in the kernel's reports and systemd's messages."""
        for thing in moments:
            if isinstance(thing, UnitEvent):
                self._event(thing)
            elif isinstance(thing, Killing):
                self._killing(thing)
            else:
                self._report(thing)
        return self._drafts

    def _new(self, time: float, cause: Cause) -> Draft:
        draft = Draft(time, self._unit, cause)
        self._drafts.append(draft)
        self._live.append(draft)
        return draft

    def _report(self, report: OomReport) -> None:
        # systemd's message may have been logged before the kernel's.
        for draft in reversed(self._drafts[-3:]):
            early = draft.cause is Cause.OOM and draft.report is None
            if early and report.time - draft.time <= NEAR:
                break
        else:
            draft = self._new(report.time, Cause.OTHER)
        draft.report, draft.cause = report, _cause(report)

    def _killing(self, killing: Killing) -> None:
        cause = Cause(killing.by)
        for draft in reversed(self._drafts[-3:]):
            early = draft.cause is cause and draft.killing is None
            if early and killing.time - draft.time <= NEAR:
                break
        else:
            draft = self._new(killing.time, cause)
        draft.killing = killing

    def _recent(self, time: float, causes: frozenset[Cause]) -> list[Draft]:
        """Return those of these causes that may still get messages about the same kill."""
        near = []
        for draft in reversed(self._drafts):
            if time - draft.time > NEAR:
                break
            if draft.cause in causes:
                near.append(draft)
        return near

    def _event(self, event: UnitEvent) -> None:
        self._handlers[event.kind](event)
        if event.kind not in {EventKind.OOM, EventKind.OOMD}:
            self._live = [draft for draft in self._live if draft.open or draft.down]

    def _oom(self, event: UnitEvent) -> None:
        for draft in self._recent(event.time, _OOMS) or [self._new(event.time, Cause.OOM)]:
            draft.seen = True

    def _oomd(self, event: UnitEvent) -> None:
        for draft in self._recent(event.time, _OOMD) or [self._new(event.time, Cause.OOMD)]:
            draft.seen = True

    def _ended(self, event: UnitEvent) -> None:
        for draft in self._waiting():
            draft.ended = event.time - draft.time <= SUDDEN
            draft.lived = not draft.ended

    def _too_often(self, event: UnitEvent) -> None:
        self._refused = event.time
        down = [draft for draft in self._live if draft.down]
        for draft in down or [self._new(event.time, Cause.START_LIMIT)]:
            draft.ended = draft.start_limit = True

    def _restart(self, event: UnitEvent) -> None:
        for draft in self._live:
            if draft.down:
                draft.waiting, draft.restarts = True, natural(event.detail, 9)

    def _started(self, event: UnitEvent) -> None:
        for draft in self._live:
            if draft.down:
                draft.back = event.time
            draft.lived = draft.lived or draft.open

    def _waiting(self) -> list[Draft]:
        return [draft for draft in self._live if draft.open]

    def _failed(self, event: UnitEvent) -> None:
        waiting = self._waiting()
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
            draft.start_limit = draft.cause is Cause.START_LIMIT


_OOMS = frozenset({Cause.LIMIT, Cause.RAM, Cause.OTHER, Cause.OOM})
_OOMD = frozenset({Cause.OOMD})


def _cause(report: OomReport) -> Cause:
    if report.by_hand:
        return Cause.OTHER
    if report.constraint == "CONSTRAINT_MEMCG" or report.limit_cgroup:
        return Cause.LIMIT
    return Cause.RAM if report.constraint == "CONSTRAINT_NONE" else Cause.OTHER
