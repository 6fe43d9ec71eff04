"""From a snapshot to the rows of the table: groups, what is folded, sorted, filtered, the tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import Message, msg, sentences
from lowmem_tui.model.text import plain
from lowmem_tui.policy.classify import Group
from lowmem_tui.tui.table.columns import BY_KEY, RSS
from lowmem_tui.tui.table.unit_values import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.usage import Process
    from lowmem_tui.policy.classify import Verdict


class Heading(NamedTuple):
    """A heading of the table."""

    key: Group
    title: Message
    folded: bool = True
    """At the start."""
    summed: bool = True
    """Whether its total means anything: slices hold what the others count already."""


HEADINGS = {
    heading.key: heading
    for heading in (
        Heading(Group.GATEKEEPERS, msg("Tier 0 gatekeepers"), folded=False),
        Heading(Group.BUSINESS, msg("Tier 1 business"), folded=False),
        Heading(Group.SHORT_LIVED, msg("Tier 2 short-lived")),
        Heading(Group.SESSIONS, msg("Sessions")),
        Heading(Group.SLICES, msg("Slices"), summed=False),
        Heading(Group.OTHER, msg("Other")),
    )
}
RESTING = {key: f"{key}/resting" for key in (Group.GATEKEEPERS, Group.BUSINESS)}
"""Groups in which what does not run, and is not meant to, has a heading of its own; its key."""
NO_TOTALS = Totals(None, None)
FOLDED = frozenset(str(heading.key) for heading in HEADINGS.values() if heading.folded) | frozenset(
    RESTING.values()
)
_NOT_MEANT = frozenset({"static", "indirect", "disabled", "masked", "masked-runtime"})


@dataclass(frozen=True, slots=True)
class View:
    """How the operator wants to see it."""

    sort: str = RSS.key
    inverted: bool = False
    folded: frozenset[str] = FOLDED
    tree: bool = False
    running_only: bool = False
    filter: str = ""

    @property
    def descending(self) -> bool:
        """The direction of the sort."""
        return BY_KEY[self.sort].descending is not self.inverted

    @property
    def empty(self) -> str:
        """Why it shows no unit, and how to see all; "" where it hides none."""
        if not self.filter and not self.running_only:
            return ""
        why = _none_with(self.filter, self) if self.filter else msg("No unit runs.")
        return say(sentences(why, msg("Esc shows all units again.")))

    def sorted_by(self, key: str) -> View:
        """Return it sorted by a column; by the same one again turns the direction."""
        return replace(self, sort=key, inverted=key == self.sort and not self.inverted)

    def fold(self, group: str, folded: bool | None = None) -> View:
        """Return it with a group folded or not; None turns it over."""
        if folded is None:
            folded = group not in self.folded
        return replace(self, folded=self.folded | {group} if folded else self.folded - {group})


def nothing_with(text: str, view: View) -> str:
    """Return a sentence on a text that none of the units in view has."""
    return say(_none_with(text, view))


def _none_with(text: str, view: View) -> Message:
    none = msg("No unit, description or process has '{text}' in it.", text=text)
    return sentences(none, _searched(text, view))


def _searched(text: str, view: View) -> Message | None:
    """Return which units are searched, where these are not all."""
    if view.filter in {"", text}:
        return msg("Only units that run are searched.") if view.running_only else None
    if view.running_only:
        return msg("Only units with '{filter}' that run are searched.", filter=view.filter)
    return msg("Only units with '{filter}' are searched.", filter=view.filter)


class Kind(Enum):
    """What a row is about."""

    GROUP = "group"
    UNIT = "unit"
    PROCESS = "process"


class Row(NamedTuple):
    """One row; ``key`` names it for as long as there is such a thing."""

    key: str
    kind: Kind
    of: Totals | Unit | Process
    unit: str = ""
    """The unit's name, for a unit and its processes."""
    title: str = ""
    """Of a heading."""
    folded: bool = False
    depth: int = 0
    """Of a process in its unit's tree, of a heading below another."""

    @property
    def name(self) -> str:
        """The text of the first column, harmless to show."""
        if self.kind is Kind.UNIT:
            return plain(self.unit)
        if self.kind is Kind.GROUP:
            return self.title
        process = cast("Process", self.of)
        return f"{'':{min(self.depth, 8) * 2}}{plain(process.name)} {process.pid}"


class Members(NamedTuple):
    """The units of a group."""

    running: list[Unit]
    idle: list[Unit]
    resting: list[Unit]
    """What does not run and is not meant to, where that has a heading of its own."""

    def __iter__(self) -> Iterator[Unit]:  # type: ignore[override]
        for units in self._parts():
            yield from units

    def _parts(self) -> tuple[list[Unit], list[Unit], list[Unit]]:
        return self.running, self.idle, self.resting

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(map(len, self._parts()))

    def sort(self, view: View) -> None:
        """Sort each part."""
        for units in self._parts():
            _sort(units, view)


def members(
    snapshot: Snapshot, verdict: Callable[[str], Verdict], view: View, *, all_sorted: bool = False
) -> dict[Group, Members]:
    """Return the units of each group; those of unfolded groups (or all) are sorted."""
    found = {key: Members([], [], []) for key in HEADINGS}
    wanted = view.filter.casefold()
    for name, unit in snapshot.units.items():
        runs = unit.usage is not None
        if not runs:
            if view.running_only or not listed(unit):
                continue
            runs = unit.properties is not None and unit.properties.active_state == "active"
        if wanted and not matches(unit, wanted):
            continue
        key = verdict(name).group
        group = found[key]
        if runs:
            group.running.append(unit)
        else:
            (group.resting if key in RESTING and rests(unit) else group.idle).append(unit)
    if Group.SLICES not in view.folded:
        found[Group.SLICES].running[:] = _with_sums(found[Group.SLICES].running, snapshot)
    for key, group in found.items():
        if all_sorted or view.filter or key not in view.folded:
            group.sort(view)
    return {key: group for key, group in found.items() if group.total}


def rests(unit: Unit) -> bool:
    """Whether a unit does not run and is not meant to: nothing starts it at boot, it is no failure.

    What is not known of it is no reason to put it out of sight.
    """
    known = unit.properties
    return (
        unit.usage is None
        and known is not None
        and known.active_state == "inactive"
        and known.unit_file_state in _NOT_MEANT
    )


def heading_of(unit: Unit, group: Group) -> str:
    """Return the key of the heading that a unit of a group is below."""
    return RESTING[group] if group in RESTING and rests(unit) else group


def listed(unit: Unit) -> bool:
    """Whether a unit has a row at all: it runs, or is a service that could."""
    if unit.usage is not None:
        return True
    return unit.name.endswith(".service") and (unit.properties is None or unit.properties.exists)


def matches(unit: Unit, wanted: str) -> bool:
    """Whether a name of the unit or of its processes, or its description, has this in it.

    ``wanted`` is casefolded.
    """
    if wanted in unit.name.casefold():
        return True
    known = unit.properties
    if known is not None and any(
        wanted in text.casefold() for text in (known.description, *known.names)
    ):
        return True
    usage = unit.usage
    return usage is not None and any(wanted in p.name.casefold() for p in usage.processes)


def _sort(units: list[Unit], view: View) -> None:
    column = BY_KEY[view.sort]
    source = column.sort or column.unit
    # Sorting is stable: equals stay in the order of their names. What has no value comes last.
    units.sort(key=attrgetter("name"))
    known: list[tuple[Any, Unit]] = []
    unknown: list[Unit] = []
    for unit in units:
        if (value := source(unit)) is None:
            unknown.append(unit)
        else:
            known.append((value, unit))
    known.sort(key=itemgetter(0), reverse=view.descending)
    units[:] = [unit for _, unit in known] + unknown


def _with_sums(slices: Iterable[Unit], snapshot: Snapshot) -> list[Unit]:
    """Return slices with the RSS of what is below them, which their own group does not have."""
    rss = [
        (unit.usage.cgroup + "/", unit.usage.rss)
        for unit in snapshot.units.values()
        if unit.usage is not None and unit.usage.rss and not unit.name.endswith(".slice")
    ]
    summed = []
    for unit in slices:
        if unit.usage is not None:
            below = unit.usage.cgroup.rstrip("/") + "/"
            total = sum(size for path, size in rss if path.startswith(below))
            unit = replace(unit, usage=unit.usage._replace(rss=total))
        summed.append(unit)
    return summed


def build(groups: dict[Group, Members], view: View) -> list[Row]:
    """Return the rows."""
    rows: list[Row] = []
    for key, group in groups.items():
        heading = HEADINGS[key]
        folded = key in view.folded and not view.filter
        title = _title(heading.title, group.total, folded=folded)
        totals = _totals(group.running) if heading.summed else NO_TOTALS
        rows.append(Row(key, Kind.GROUP, totals, title=title, folded=folded))
        if folded:
            continue
        rows.extend(_units(group.running, view))
        rows.extend(_units(group.idle, view))
        if group.resting:
            rest = RESTING[key]
            folded = rest in view.folded and not view.filter
            title = _title(msg("Not running"), len(group.resting), folded=folded)
            rows.append(Row(rest, Kind.GROUP, NO_TOTALS, title=title, folded=folded, depth=1))
            if not folded:
                rows.extend(_units(group.resting, view))
    return rows


def _title(title: Message, count: int, *, folded: bool) -> str:
    return tr("{title} ({count})", title=title, count=count) if folded else say(title)


def _units(units: Iterable[Unit], view: View) -> Iterator[Row]:
    for unit in units:
        yield Row(unit.name, Kind.UNIT, unit, unit.name)
        if view.tree and unit.usage:
            yield from _tree(unit.name, unit.usage.processes)


def _totals(units: Sequence[Unit]) -> Totals:
    rss = swap = 0
    for unit in units:
        if (usage := unit.usage) is not None:
            rss += usage.rss or 0
            swap += usage.swap or 0
    return Totals(rss, swap)


def _tree(unit: str, processes: Sequence[Process]) -> Iterator[Row]:
    """Yield the processes of a unit, children below their parents, the largest first."""
    pids = {p.pid for p in processes}
    children: dict[int, list[Process]] = {}
    for process in sorted(processes, key=lambda p: (-p.rss, p.pid)):
        parent = process.ppid if process.ppid in pids and process.ppid != process.pid else 0
        children.setdefault(parent, []).append(process)
    # A stack, not recursion: how deep a tree of processes may be is not ours to say.
    waiting = [(p, 0) for p in reversed(children.pop(0, []))]
    while waiting:
        process, depth = waiting.pop()
        key = f"{process.pid}@{process.start}"
        yield Row(key, Kind.PROCESS, process, unit, depth=depth)
        waiting.extend((p, depth + 1) for p in reversed(children.pop(process.pid, [])))
