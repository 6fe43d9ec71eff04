"""Predictions and the budget as plain lines, for a command and for a screen alike; pure.

Lines are aligned by terminal cells, so words are needed to make them: ``render`` makes them of a
message, in the language of whoever shows the lines (`model.language.say`); str, in English.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells, left, right
from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_limit,
    of_unit,
    plural,
    verbatim,
)
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import UnitType, unit_type
from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast import growth
from lowmem_tui.policy.forecast.kills import Goes
from lowmem_tui.policy.forecast.restart import Reaction
from lowmem_tui.policy.forecast.restart_text import killed_now, outlook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.budget import Advice, Budget
    from lowmem_tui.policy.forecast.growth import Reach
    from lowmem_tui.policy.forecast.kills import Kill, Prediction
    from lowmem_tui.policy.forecast.userspace_killers import Other

Render: TypeAlias = "Callable[[Message], str]"
"""How a message becomes words."""

LEAST_WIDTH = 36
COMPACT = 60
"""Cells below which only the most important figures are shown, and"""

NARROW = 76
"""below which it is not shown what happens to a victim's unit."""

_FIGURES, _FEWER_FIGURES = 29, 22
"""Cells of a kill's rank and figures, and of the blanks between."""

_TAIL = 17
_PROCESS, _MOST_PROCESS = 14, 24
_MOST_UNIT = 40
_DISTANT = 26
"""Cells of a unit's name beside the distance to its limit."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _left(text: str, width: int) -> str:
    """Return a text at the left of so many cells."""
    return left(plain(text, width), width)


def _right(text: str, width: int) -> str:
    """Return a text at the right of so many cells."""
    return right(plain(text, width), width)


def title(found: Prediction) -> Message:
    """Return whose kills these are, and what is in use now: the premise of all figures below."""
    unit, limit = of_unit(found.domain, 60), of_limit(found.limit)
    held, swap = of_bytes(found.held), of_bytes(found.swap)
    if found.never:
        return msg(
            "{unit} never reaches its limit of {limit}: {why}.",
            unit=unit,
            limit=limit,
            why=found.never,
        )
    if found.domain and found.swap:
        return msg(
            "{unit}: OOM kill order with {held} of {limit} + {swap} swap in use:",
            unit=unit,
            held=held,
            limit=limit,
            swap=swap,
        )
    if found.domain:
        return msg(
            "{unit}: OOM kill order with {held} of {limit} in use:",
            unit=unit,
            held=held,
            limit=limit,
        )
    ram = of_bytes(found.limit)
    if found.swap:
        return msg(
            "OOM kill order with {held} of {ram} RAM + {swap} swap in use:",
            held=held,
            ram=ram,
            swap=swap,
        )
    return msg("OOM kill order with {held} of {ram} RAM in use:", held=held, ram=ram)


def kills(found: Prediction, snapshot: Snapshot, width: int, render: Render = str) -> Iterator[str]:
    """Yield a table of kills, in their order; nothing for a limit that is never reached."""
    if found.never:
        return
    if found.instead:
        words = msg("When memory is used up, {what}.", what=found.instead)
        yield f"    {render(words)}"
        return
    width = max(width, LEAST_WIDTH)
    narrow, tail = width < COMPACT, _TAIL if width >= NARROW else 0
    room = width - (_FEWER_FIGURES if narrow else _FIGURES + tail)
    unit = room if narrow else min(_MOST_UNIT, room - _PROCESS)
    process = 0 if narrow else min(_MOST_PROCESS, room - unit)
    top = f" {'#':>2} {_left(render(_UNIT), unit)}"
    if not narrow:
        top += f" {_left(render(_PROCESS_HEAD), process)}"
    figures = (_SCORE, _FREES, _AFTER) if narrow else (_SCORE, _FREES, _SWAP, _AFTER)
    top += "".join(f" {_right(render(each), 5)}" for each in figures)
    yield f"{top} {render(_ITS_UNIT)}" if tail else top
    if not found.kills:
        nobody = msg("no process can be killed")
        yield f"    {render(nobody)}"
        return
    # What is in use after each kill is counted down from here: the premise of the title.
    now = "    " + render(msg("in use now"))
    yield f"{now}{format_size(found.held):>{cells(top) - cells(now)}}"
    for rank, kill in enumerate(found.kills, 1):
        row = _row(rank, kill, unit, process)
        yield plain(f"{row} {render(_its_unit(kill, snapshot))}" if tail else row, width)


# WIDTH: 5
_SCORE = msg("SCORE")
# WIDTH: 5
_FREES = msg("FREES")
# WIDTH: 5
_SWAP = msg("SWAP")
# WIDTH: 5
_AFTER = msg("AFTER")
# WIDTH: 8
_UNIT = msg("UNIT")
# WIDTH: 14
_PROCESS_HEAD = msg("PROCESS")
# WIDTH: 16
_ITS_UNIT = msg("ITS UNIT")


def _row(rank: int, kill: Kill, unit: int, process: int) -> str:
    """Return the figures of a kill; ``process`` is 0 where only the most important are shown."""
    victim = kill.victim
    row = f" {rank:>2} {_left(victim.unit, unit)}"
    frees, swap, after = map(format_size, (kill.ram, kill.swap, kill.left))
    if not process:
        return f"{row} {victim.score:>5} {frees:>5} {after:>5}"
    name = f"{plain(victim.name, max(1, process - len(str(victim.pid)) - 1))} {victim.pid}"
    return f"{row} {_left(name, process)} {victim.score:>5} {frees:>5} {swap:>5} {after:>5}"


def _its_unit(kill: Kill, snapshot: Snapshot) -> Message:
    """Return what happens to a victim's unit, in at most 16 cells where that is possible."""
    if kill.goes is Goes.UNKNOWN:
        return verbatim("?")
    if kill.goes is Goes.ALONE:
        # WIDTH: 16
        return msg("keeps running")
    if unit_type(kill.group) is UnitType.SLICE:
        # WIDTH: 16
        return msg("whole slice ends")
    properties = snapshot.units[kill.group].properties
    found = outlook(properties) if properties else None
    if found is None or found.unloadable:
        # WIDTH: 16
        return msg("ends")
    if found.now.reaction is Reaction.RESTARTS:
        return killed_now(found)
    if found.triggers:
        return msg("waits for {type}", type=found.triggers[0].rpartition(".")[2])
    # WIDTH: 16
    return msg("stays down")


def side_by_side(
    now: Prediction,
    then: Prediction,
    changed: Collection[str],
    width: int,
    most: int,
    heads: tuple[str, str] | None = None,
    render: Render = str,
) -> Iterator[str]:
    """Yield two kill orders beside each other; ``*`` marks the units that are changed."""
    half = (max(width, COMPACT) - 3) // 2
    first, second = heads or (render(msg("NOW")), render(msg("AFTER THE CHANGE")))
    left = [_half(k, n, half, changed) for n, k in enumerate(now.kills[:most], 1)]
    right = [_half(k, n, half, changed) for n, k in enumerate(then.kills[:most], 1)]
    yield f"{_head(first, half, render)} │ {_head(second, half, render)}".rstrip()
    for one, other in zip_longest(left, right, fillvalue=" " * half):
        yield f"{one} │ {other}".rstrip()


def _head(name: str, half: int, render: Render) -> str:
    score, frees = _right(render(_SCORE), 5), _right(render(_FREES), 5)
    return f"    {_left(name, half - 16)} {score} {frees}"


def _half(kill: Kill, rank: int, half: int, changed: Collection[str]) -> str:
    unit, mark = half - 16, "*" if kill.victim.unit in changed else " "
    return (
        f" {rank:>2}{mark}{_left(kill.victim.unit, unit)} {kill.victim.score:>5}"
        f" {format_size(kill.ram):>5}"
    )


def other_killers(found: Iterable[Other]) -> Iterator[Message]:
    """Yield what the user-space killers do that run beside the kernel's."""
    for other in found:
        yield msg(
            "{name} runs too: {rule}. Its choice now: {choice}.",
            name=of_unit(other.name),
            rule=other.rule,
            choice=other.choice,
        )


def distances(reaches: Sequence[Reach], render: Render = str) -> Iterator[str]:
    """Yield how far each unit is from its limit, and which one reaches it first."""
    first = growth.first(reaches)
    for reach in reaches:
        share = 100 * reach.held // reach.limit if reach.limit else 100
        words = growth.in_words(reach)
        if first is not None and reach == first:
            words = msg("{when} (first)", when=words)
        name = _left(reach.unit or render(msg("RAM and swap")), _DISTANT)
        size = format_size(reach.limit)
        far = msg("{share}% of {limit}", share=f"{share:>3}", limit=f"{size:>5}")
        yield f"{name} {render(far)}  {render(words)}"


# --- the budget ---------------------------------------------------------------------------------


def bar(found: Budget, width: int) -> str:
    """Return the budget as one bar: ``=`` the reserve, ``A`` used, ``a`` allowed, ``|`` RAM's end.

    Each unit has its letter, in the order of ``legend``.
    """
    length = max(20, width) - 2
    whole = max(found.ram, found.promised, 1)
    row: list[str] = []
    spent = found.reserve
    row += "=" * (spent * length // whole)
    for letter, part in zip(_LETTERS, found.parts, strict=False):
        used = spent + min(part.used, part.allowed)
        spent += part.allowed
        row += letter * (used * length // whole - len(row))
        row += letter.lower() * (spent * length // whole - len(row))
    rest = spent + sum(p.allowed for p in found.parts[len(_LETTERS) :])
    row += "+" * (rest * length // whole - len(row))
    row += "." * (length - len(row))
    if found.promised > found.ram:
        row[found.ram * length // whole] = "|"
    return f"[{''.join(row)}]"


def legend(found: Budget, render: Render = str) -> Iterator[str]:
    """Yield what the parts of the bar are."""
    yield f"= {format_size(found.reserve):>5} " + render(msg("reserve"))
    for letter, part in zip(_LETTERS, found.parts, strict=False):
        words = msg(
            "MemoryMax of {unit}, {used} of RAM in use",
            unit=of_unit(part.unit, 60),
            used=of_bytes(part.used),
        )
        yield f"{letter} {format_size(part.allowed):>5} {render(words)}"
    if (more := len(found.parts) - len(_LETTERS)) > 0:
        yield "+ " + render(plural("{n} more unit", "{n} more units", more))
    if found.promised > found.ram:
        yield "|       " + render(msg("RAM ends here ({ram})", ram=of_bytes(found.ram)))
    else:
        yield f". {format_size(found.free):>5} " + render(msg("not assigned"))


def budget_lines(
    found: Budget, advice: Sequence[Advice], width: int, render: Render = str
) -> Iterator[str]:
    """Yield the bar, what its parts are, the sum, and which limits to set."""
    yield bar(found, width)
    yield from legend(found, render)
    yield render(budget.in_words(found))
    if advice:
        yield render(msg("Advice for MemoryMax:"))
        for one in advice:
            yield f"- {render(one.words)}"
