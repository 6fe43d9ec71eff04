"""Predictions and the budget as plain lines, for a command and for a screen alike; pure.

Names that others chose are made harmless here.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import UnitType, unit_type
from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast import growth
from lowmem_tui.policy.forecast.kills import Goes
from lowmem_tui.policy.forecast.restart import Fate
from lowmem_tui.policy.forecast.restart_text import outlook, span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.budget import Advice, Budget
    from lowmem_tui.policy.forecast.growth import Reach
    from lowmem_tui.policy.forecast.kills import Kill, Prediction
    from lowmem_tui.policy.forecast.userspace_killers import Other

LEAST_WIDTH = 36
COMPACT = 60
"""Cells below which only the figures that matter most are told, and"""

NARROW = 76
"""below which it is not told what goes with a victim, and whether it comes back."""

_FIGURES, _FEWER_FIGURES = 29, 22
"""Cells of a kill's rank and figures, and of the blanks between."""

_TAIL = 17
_PROCESS, _MOST_PROCESS = 14, 24
_MOST_UNIT = 40
_DISTANT = 26
"""Cells of a unit's name where it is told how far its limit is."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def title(found: Prediction) -> str:
    """Return whose kills these are, and with what in use: as it is now, as all figures below it."""
    limit, unit = format_size(found.limit), plain(found.domain, 60)
    if found.never:
        return f"{unit} never fills its limit of {limit}: {found.never}."
    swap = f" + {format_size(found.swap)} swap" if found.swap else ""
    who, what = (f"{unit}: ", limit) if unit else ("", f"{limit} RAM")
    return f"{who}OOM kill order with {format_size(found.held)} of {what}{swap} in use:"


def kills(found: Prediction, snapshot: Snapshot, width: int) -> Iterator[str]:
    """Yield a table of kills, in their order; nothing for a limit that is never reached."""
    if found.never:
        return
    if found.instead:
        yield f"    {found.instead}"
        return
    width = max(width, LEAST_WIDTH)
    narrow, tail = width < COMPACT, _TAIL if width >= NARROW else 0
    room = width - (_FEWER_FIGURES if narrow else _FIGURES + tail)
    unit = room if narrow else min(_MOST_UNIT, room - _PROCESS)
    process = 0 if narrow else min(_MOST_PROCESS, room - unit)
    title = f" {'#':>2} {'UNIT':<{unit}}"
    title += " SCORE FREES AFTER" if narrow else f" {'PROCESS':<{process}} SCORE FREES  SWAP AFTER"
    yield f"{title} WITH IT" if tail else title
    if not found.kills:
        yield "    nobody can be killed"
        return
    # What is in use after each kill is counted down from here: the premise of the title.
    now = "    in use now"
    yield f"{now}{format_size(found.held):>{len(title) - len(now)}}"
    for rank, kill in enumerate(found.kills, 1):
        victim = kill.victim
        row = f" {rank:>2} {_fit(victim.unit, unit)}"
        back, swap, left = map(format_size, (kill.ram, kill.swap, kill.left))
        if narrow:
            yield f"{row} {victim.score:>5} {back:>5} {left:>5}"
            continue
        name = f"{plain(victim.name, max(1, process - len(str(victim.pid)) - 1))} {victim.pid}"
        row += f" {name:<{process}} {victim.score:>5} {back:>5} {swap:>5} {left:>5}"
        yield plain(f"{row} {_with(kill, snapshot)}" if tail else row, width)


def _fit(name: str, width: int) -> str:
    text = plain(name, width)
    return text + " " * (width - len(text))


def _with(kill: Kill, snapshot: Snapshot) -> str:
    """Return what goes with a victim, and whether it comes back."""
    if kill.goes is Goes.UNKNOWN:
        return "?"
    if kill.goes is Goes.ALONE:
        return "it alone"
    what = "all" if kill.goes is Goes.GROUP else "unit"
    if unit_type(kill.group) is UnitType.SLICE:
        return "the whole slice"
    properties = snapshot.units[kill.group].properties
    found = outlook(properties) if properties else None
    if found is None or found.unloadable:
        return "the whole unit"
    if found.now.fate is Fate.COMES_BACK:
        return f"{what}, back {span(found.now.delay)}"
    if found.triggers:
        return f"{what}, by {found.triggers[0].rpartition('.')[2]}"
    return f"{what}, stays dead"


def side_by_side(
    now: Prediction,
    then: Prediction,
    changed: Collection[str],
    width: int,
    most: int,
    heads: tuple[str, str] = ("NOW", "THEN"),
) -> Iterator[str]:
    """Yield two kill orders beside each other; ``*`` marks the units that are changed."""
    half = (max(width, COMPACT) - 3) // 2
    left = [_half(k, n, half, changed) for n, k in enumerate(now.kills[:most], 1)]
    right = [_half(k, n, half, changed) for n, k in enumerate(then.kills[:most], 1)]
    yield f"{_head(heads[0], half)} │ {_head(heads[1], half)}".rstrip()
    for one, other in zip_longest(left, right, fillvalue=" " * half):
        yield f"{one} │ {other}".rstrip()


def _head(name: str, half: int) -> str:
    return f"    {name:<{half - 16}} SCORE FREES"


def _half(kill: Kill, rank: int, half: int, changed: Collection[str]) -> str:
    unit, mark = half - 16, "*" if kill.victim.unit in changed else " "
    return (
        f" {rank:>2}{mark}{_fit(kill.victim.unit, unit)} {kill.victim.score:>5}"
        f" {format_size(kill.ram):>5}"
    )


def other_killers(found: Iterable[Other]) -> Iterator[str]:
    """Yield sentences on the killers that run beside the kernel."""
    for other in found:
        yield f"{other.name} runs too: {other.rule}. Its choice now: {other.choice}."


def distances(reaches: Sequence[Reach]) -> Iterator[str]:
    """Yield how far each unit is from its limit, and which comes first."""
    first = growth.first(reaches)
    for reach in reaches:
        share = 100 * reach.held // reach.limit if reach.limit else 100
        words = growth.in_words(reach)
        mark = ": the first" if first is not None and reach == first else ""
        name = _fit(reach.unit or "RAM and swap", _DISTANT)
        yield f"{name} {share:>3}% of {format_size(reach.limit):>5}  {words}{mark}"


# --- the budget ---------------------------------------------------------------------------------


def bar(found: Budget, width: int) -> str:
    """Return the budget as one bar: ``=`` the reserve, ``A`` used, ``a`` allowed, ``|`` RAM's end.

    Each unit has its letter, in the order of ``legend``.
    """
    cells = max(20, width) - 2
    whole = max(found.ram, found.promised, 1)
    row: list[str] = []
    spent = found.reserve
    row += "=" * (spent * cells // whole)
    for letter, part in zip(_LETTERS, found.parts, strict=False):
        used = spent + min(part.used, part.allowed)
        spent += part.allowed
        row += letter * (used * cells // whole - len(row))
        row += letter.lower() * (spent * cells // whole - len(row))
    rest = spent + sum(p.allowed for p in found.parts[len(_LETTERS) :])
    row += "+" * (rest * cells // whole - len(row))
    row += "." * (cells - len(row))
    if found.promised > found.ram:
        row[found.ram * cells // whole] = "|"
    return f"[{''.join(row)}]"


def legend(found: Budget) -> Iterator[str]:
    """Yield what stands in the bar."""
    yield f"= {format_size(found.reserve):>5} kept for the system"
    for letter, part in zip(_LETTERS, found.parts, strict=False):
        yield (
            f"{letter} {format_size(part.allowed):>5} allowed, {format_size(part.used)} used: "
            f"{plain(part.unit, 60)}"
        )
    if len(found.parts) > len(_LETTERS):
        yield f"+ {len(found.parts) - len(_LETTERS)} more"
    if found.promised > found.ram:
        yield f"|       here RAM ends ({format_size(found.ram)})"
    else:
        yield f". {format_size(found.free):>5} not promised to anyone"


def budget_lines(found: Budget, advice: Sequence[Advice], width: int) -> Iterator[str]:
    """Yield the bar, what stands in it, what it comes to, and which limits to set."""
    yield bar(found, width)
    yield from legend(found)
    yield budget.in_words(found)
    if advice:
        yield "Advice for MemoryMax:"
        for one in advice:
            yield f"- {one.sentence}"
