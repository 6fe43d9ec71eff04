"""The kernel's OOM reports and failed allocations: from the lines of its log to records.

Pure; it never raises. The kernel holds ``oom_lock`` while it writes a report, but any other line
may stand between its lines, any line may be missing or cut, and a log that was put together from
several may have two reports in each other. A report takes over nothing that may be another's:
a limit belongs to the group that is named with it, a killed process to the summary that names it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.host.logs import oom_text, shortages
from lowmem_tui.host.logs.oom_draft import MEMCG, Draft, unit_of
from lowmem_tui.host.logs.oom_draft import Line as Line
from lowmem_tui.host.logs.oom_text import BEGINS as BEGINS
from lowmem_tui.host.logs.oom_text import killed
from lowmem_tui.host.logs.shortages import Failures, Folder
from lowmem_tui.model.incident import Lack, OomReport, Shortage, Victim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LINES = f"{oom_text.LINES}|{shortages.LINES}"
"""A regular expression (PCRE2, and ours) that matches every line that ``parse`` makes use of."""

LONGEST = 2048
"""Characters of a line that are looked at: the kernel writes no longer ones."""

MAX_ALSO = 200
"""Members of a group killed as one that are kept of one report."""

MOST_DRAFTS = 4
"""Reports that are read at a time."""

GONE = 60.0
"""Seconds after which a line no longer belongs to what came before it."""

AT_ONCE = 1.0
"""Seconds within which two reports that have begun may be in each other."""

_ALL = re.compile(LINES)
_ENDS = re.compile("[Kk]ill|not syncing: |^Memory cgroup charge|^OOM request ignored")


def wanted(text: str) -> bool:
    """Tell whether ``parse`` makes use of a line."""
    return _ALL.search(text) is not None


def parse(lines: Iterable[Line]) -> Iterator[OomReport]:
    """Yield the reports in lines of the kernel's log, which come in their order.

    Shortages that killed nothing are folded, however many there are, and are in the last report
    (``OomReport.shortages``); where nothing was killed at all, in one without a victim for each.
    """
    reader = Reader()
    for line in lines:
        reader.take(line)
        yield from reader.ready()
    reader.finish()
    yield from reader.ready()


class Reader:
    """Takes line after line. Holds no more than a few reports at a time."""

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self._last: OomReport | None = None
        """The report whose group may still be losing its other members."""
        self._group = False
        """The kernel has logged that it kills the group of the last report as one."""
        self._held: OomReport | None = None
        """The last one that is whole: it takes the shortages along."""
        self._ready: list[OomReport] = []
        self._failures = Failures()
        self._stuck: tuple[str, float] = "", 0.0
        """The boot and the time of the last report in which nothing could be killed."""
        self.folder = Folder()

    def ready(self) -> list[OomReport]:
        """Return the reports that are whole; the last one comes with ``finish``."""
        ready, self._ready = self._ready, []
        return ready

    def take(self, line: Line) -> None:
        """Read what the kernel wrote at once: a line, seldom several."""
        if "\n" not in line.text:
            self._take(line._replace(text=line.text[:LONGEST]))
            return
        for text in line.text.split("\n"):
            self._take(line._replace(text=text[:LONGEST]))

    def _take(self, line: Line) -> None:
        while self._drafts and _apart(self._drafts[0].last, line):
            self._drop(self._drafts[0])
        if self._last is not None and _apart(self._last, line):
            self._close()
        text = line.text
        for failure in self._failures.take(
            line.time, line.boot, text, line.reference, line.context
        ):
            self.folder.add(failure)
        if BEGINS in text and (asked := oom_text.asked(text)) is not None:
            draft = self._begin(line)
            draft.asked_by, draft.by_hand = asked
        elif _ENDS.search(text) is not None and self._ended(line):
            return
        elif text.startswith("oom-kill:"):
            self._summary(line)
        else:
            self._body(line)

    def _body(self, line: Line) -> None:
        """Read a line of the body of a report."""
        draft = next((d for d in reversed(self._drafts) if d.may_write(line)), None)
        if draft is None:
            return
        clear = draft.body(line)
        if not clear or (draft.figures(line.text) and self._beside(draft)):
            # Figures while two reports are open: whose they are is unknown.
            self._drafts = [d for d in self._drafts if d.named is not None]

    def _beside(self, draft: Draft) -> list[Draft]:
        """Return the other reports that began at the same time, if writers are not marked."""
        if draft.last.context:
            return []
        return [
            other
            for other in self._drafts
            if other is not draft
            and other.named is None
            and abs(other.last.time - draft.last.time) <= AT_ONCE
        ]

    def _ended(self, line: Line) -> bool:
        """Read a line that ends a report, or says who goes with its victim."""
        text = line.text
        if (victim := killed(text)) is not None:
            self._kill(line, victim)
        elif (named := oom_text.chosen(text)) is not None:
            self._choose(line, named)
        elif (places := oom_text.task_in(text)) is not None:
            draft = self._drafts[-1] if self._drafts else self._begin(line)
            draft.cgroup, draft.limit_cgroup = places
            draft.constraint = MEMCG
        elif group := oom_text.together(text):
            self._as_one(group)
        else:
            return self._without(line)
        return True

    def _without(self, line: Line) -> bool:
        """Read that there was nothing to kill."""
        lack = oom_text.nothing_to_kill(line.text)
        if lack is None and not oom_text.not_eligible(line.text):
            return False
        boot, time = self._stuck
        again = boot == line.boot and line.time - time <= 1
        if not self._drafts and again and lack is Lack.NO_VICTIM:
            return True  # the same request, logged once more
        draft = self._drafts.pop() if self._drafts else Draft(line)
        if draft.named is not None:
            # It has a victim: this is another one, whose beginning is lost.
            self._drafts.append(draft)
            draft = Draft(line)
        if lack is None or draft.by_hand:
            return True  # somebody asked for a kill: no memory was short
        draft.last = line
        self._stuck = line.boot, line.time
        self.folder.add(draft.shortage(lack))
        return True

    def _begin(self, line: Line) -> Draft:
        draft = Draft(line)
        self._drafts.append(draft)
        if len(self._drafts) > MOST_DRAFTS:
            self._drop(self._drafts[0])
        return draft

    def _choose(self, line: Line, named: Victim) -> None:
        # After a summary, kernel 5.0 says this, too.
        draft = self._drafts[-1] if self._drafts else None
        if draft is None or (draft.named is not None and draft.named.pid != named.pid):
            draft = self._begin(line)
        draft.last, draft.old = line, True
        draft.named = draft.named or named
        draft.constraint = draft.constraint or oom_text.constraint(line.text)

    def _summary(self, line: Line) -> None:
        found = oom_text.summary(line.text)
        fitting = [draft for draft in reversed(self._drafts) if draft.fits(found)]
        exact = [d for d in fitting if d.group and d.group == found.limit_cgroup]
        draft = next(iter(exact or fitting), None) or self._begin(line)
        self._forget_askers(draft)
        draft.last, draft.complete = line, True
        draft.constraint, draft.named = found.constraint, found.victim
        draft.limit_cgroup, draft.cgroup = found.limit_cgroup, found.cgroup

    def _forget_askers(self, draft: Draft) -> None:
        """Where another report began at the same time, who asked for which is open."""
        if others := self._beside(draft):
            for one in (draft, *others):
                one.asked_by, one.asked_pid = "", None
                one.lowered = one.by_hand = False

    def _kill(self, line: Line, victim: Victim) -> None:
        draft = self._of(victim, oom_text.constraint(line.text))
        if draft is None and self._last is not None and self._group:
            if len(self._last.also) < MAX_ALSO and not self._again(victim.pid):
                self._last = replace(self._last, also=(*self._last.also, victim))
            return
        self._close()
        if draft is None:
            # Of many kills in a few seconds the kernel prints this line alone.
            draft = Draft(line)
        else:
            self._drafts.remove(draft)
        draft.last = line
        draft.constraint = draft.constraint or oom_text.constraint(line.text)
        self._last = draft.report(victim)

    def _again(self, pid: int) -> bool:
        """Tell whether this is the victim of the last report once more."""
        return bool(self._last and self._last.victim and self._last.victim.pid == pid)

    def _of(self, victim: Victim, constraint: str) -> Draft | None:
        """Return the report that names this victim."""
        for draft in reversed(self._drafts):
            if (
                constraint
                and draft.constraint
                and (constraint == MEMCG) != (draft.constraint == MEMCG)
            ):
                continue
            if draft.old or _same(victim, draft.named):
                return draft
            if draft.named is None and draft.constraint:
                return draft  # its summary is cut
        return None

    def _as_one(self, group: str) -> None:
        if self._last is None:
            return
        self._group = True
        self._last = replace(self._last, together=unit_of(group))
        if not self._last.cgroup:
            self._last = replace(self._last, cgroup=group, unit=unit_of(group))

    def finish(self) -> None:
        """Go by what there is: nothing will follow."""
        self._close()
        while self._drafts:
            self._drop(self._drafts[0])
        for failure in self._failures.over():
            self.folder.add(failure)
        found, self.folder = self.folder.all(), Folder()
        if self._held is not None:
            self._ready.append(replace(self._held, shortages=found))
            self._held = None
        else:
            self._ready += [alone(shortage) for shortage in found]

    def _close(self) -> None:
        if self._last is not None:
            self._emit(self._last)
        self._last, self._group = None, False

    def _emit(self, report: OomReport) -> None:
        if self._held is not None:
            self._ready.append(self._held)
        self._held = report

    def _drop(self, draft: Draft) -> None:
        """Let a report go whose last line is missing; it counts if it says whom it is about."""
        self._drafts.remove(draft)
        if draft.named is not None:
            self._emit(draft.report(draft.named))


def alone(shortage: Shortage) -> OomReport:
    """Return a report without a victim: of this shortage alone."""
    return OomReport(
        shortage.time,
        shortage.boot,
        None,
        unit=shortage.unit,
        cgroup=shortage.cgroup,
        constraint=MEMCG if shortage.cgroup else "",
        limit_cgroup=shortage.cgroup,
        limit_unit=shortage.unit,
        limit=shortage.limit,
        asked_by=shortage.process,
        asked_pid=shortage.pid,
        reference=shortage.reference,
        shortages=(shortage,),
    )


def last_report(newest_first: Sequence[Line]) -> tuple[str, ...]:
    """Return the texts of the report that ends with the first of these lines, in their order."""
    texts: list[str] = []
    for at, line in enumerate(newest_first):
        first = newest_first[0]
        if line.boot != first.boot or abs(first.time - line.time) > GONE:
            break
        if at and (killed(line.text) is not None or oom_text.nothing_to_kill(line.text)):
            break  # an earlier one: this one has no report but its last line
        texts += line.text.split("\n")[::-1]
        if BEGINS in line.text or "page allocation failure: " in line.text:
            break
    return tuple(texts[::-1])


def _same(victim: Victim, named: Victim | None) -> bool:
    """Tell whether a killed process is the one that a summary names.

    Where the leader of a process has ended, another thread of it is killed: its number differs.
    """
    if named is None:
        return False
    if victim.pid == named.pid:
        return True
    return victim.name == named.name and victim.uid == named.uid and victim.uid is not None


def _apart(before: Line | OomReport, line: Line) -> bool:
    return before.boot != line.boot or abs(line.time - before.time) > GONE
