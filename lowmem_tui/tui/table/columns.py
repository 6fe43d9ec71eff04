"""The table's columns, declared: where each figure comes from and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lowmem_tui.model.amount import format_limit, format_size
from lowmem_tui.model.text import plain
from lowmem_tui.tui.table.unit_values import adjust, description, limit, sort_limit, used

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.model.usage import Process
    from lowmem_tui.tui.table.unit_values import Totals
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette


class Column(NamedTuple):
    """One column. A source that is None leaves the cell of that kind of row empty."""

    key: str
    title: str
    width: int
    """Cells, with the blank before it."""
    help: str
    unit: Callable[[Unit], Any]
    process: Callable[[Process], Any] | None = None
    group: Callable[[Totals], Any] | None = None
    text: Callable[[Any, Glyphs, int], str] = lambda value, _glyphs, _width: str(value)
    style: Callable[[Any, Palette], Style | None] | None = None
    sort: Callable[[Unit], Any] | None = None
    """What to sort units by, where that is not the value itself; None sorts last."""
    descending: bool = True
    left: bool = False
    extra: bool = False
    """Only where there is room to spare for the names."""


def _size(value: Any, glyphs: Glyphs, _width: int) -> str:  # noqa: ANN401 - as declared
    return glyphs.none if value is None else format_size(value)


def _number(value: Any, glyphs: Glyphs, _width: int) -> str:  # noqa: ANN401
    return glyphs.none if value is None else str(value)


def _limit(value: Any, glyphs: Glyphs, _width: int) -> str:  # noqa: ANN401
    text = format_limit(value)
    return glyphs.none if text == "—" else text


def _text(value: Any, _glyphs: Glyphs, width: int) -> str:  # noqa: ANN401
    return plain(str(value or ""), width)


def _share(value: Any, glyphs: Glyphs, width: int) -> str:  # noqa: ANN401
    """Return a bar and a percentage."""
    if value is None:
        return ""
    return f"{glyphs.bar(value, width - 5)} {min(value, 9.99):4.0%}"


NAME = Column(
    "name",
    "UNIT",
    19,
    "the unit, with its marks before it",
    unit=lambda u: u.name,
    sort=lambda u: u.name,
    descending=False,
    left=True,
)

RSS = Column(
    "rss",
    "RSS",
    6,
    "memory of its processes in RAM (pages they share count in each)",
    unit=lambda u: u.usage.rss if u.usage else None,
    process=lambda p: p.rss,
    group=lambda t: t.rss,
    text=_size,
)

COLUMNS: tuple[Column, ...] = (
    NAME,
    RSS,
    Column(
        "swap",
        "SWAP",
        6,
        "memory of it in swap",
        unit=lambda u: u.usage.swap if u.usage else None,
        process=lambda p: p.swap,
        group=lambda t: t.swap,
        text=_size,
    ),
    Column(
        "score",
        "SCORE",
        7,
        "the kernel's oom_score, highest of its processes: the highest dies first",
        unit=lambda u: u.usage.oom_score if u.usage else None,
        process=lambda p: p.oom_score,
        text=_number,
    ),
    Column(
        "adj",
        "ADJ",
        6,
        "oom_score_adj: -1000 is never killed, 1000 always first",
        unit=adjust,
        process=lambda p: p.oom_score_adj,
        text=_number,
        descending=False,
    ),
    Column(
        "max",
        "MAX",
        6,
        "memory.max: the limit at which the kernel kills within the unit",
        unit=limit,
        sort=sort_limit,
        text=_limit,
    ),
    Column(
        "used",
        "USED",
        11,
        "how much of MAX is held by what only swap can take (anon and shmem)",
        unit=used,
        text=_share,
        style=lambda value, palette: palette.level(value),
        left=True,
    ),
    Column(
        "restart",
        "RESTART",
        11,
        "Restart= of the unit; or what has happened to it: killed, failed",
        unit=lambda u: u.properties.restart if u.properties else None,
        text=_text,
        left=True,
        descending=False,
    ),
    Column(
        "procs",
        "PROCS",
        7,
        "its processes",
        unit=lambda u: len(u.usage.processes) if u.usage else None,
        text=_number,
        extra=True,
    ),
    Column(
        "anon",
        "ANON",
        6,
        "anonymous memory: what only swap can take",
        unit=lambda u: u.usage.memory.anon if u.usage else None,
        text=_size,
        extra=True,
    ),
    Column(
        "file",
        "FILE",
        6,
        "page cache, which the kernel can drop",
        unit=lambda u: u.usage.memory.file if u.usage else None,
        text=_size,
        extra=True,
    ),
    Column(
        "peak",
        "PEAK",
        6,
        "the most it ever held, page cache included",
        unit=lambda u: u.usage.memory.peak if u.usage else None,
        text=_size,
        extra=True,
    ),
    Column(
        "kills",
        "KILLS",
        7,
        "processes killed for memory since its group was made",
        unit=lambda u: u.usage.memory.oom_kills if u.usage else None,
        text=_number,
        extra=True,
    ),
    Column(
        "what",
        "DESCRIPTION",
        24,
        "the unit's description; a process's command line",
        unit=description,
        process=lambda p: p.command or f"[{p.name}]",
        text=_text,
        left=True,
        descending=False,
        extra=True,
    ),
)

BY_KEY = {column.key: column for column in COLUMNS}

KEEP = ("rss", "swap", "max", "score", "used", "adj", "restart")
"""In the order in which they are worth their room; the extra ones follow in the table's order."""

ROOM = 31
"""Cells for the names before any extra column is shown."""

WIDEST = 44


class Place(NamedTuple):
    """Where a column is."""

    column: Column
    x: int
    width: int


def lay_out(width: int) -> tuple[Place, ...]:
    """Return the columns for a width: what does not fit is left out, the least useful first."""
    chosen, taken = {NAME.key}, 0
    ranked = [BY_KEY[key] for key in KEEP] + [c for c in COLUMNS if c.extra]
    for column in ranked:
        names = ROOM if column.extra else NAME.width
        if taken + column.width + names <= width:
            chosen.add(column.key)
            taken += column.width
        elif not column.extra:
            break
    last = COLUMNS[-1]
    spare = width - taken
    names = min(spare, WIDEST) if last.key in chosen else spare
    places: list[Place] = []
    x = 0
    for column in COLUMNS:
        if column.key not in chosen:
            continue
        cells = names if column is NAME else column.width
        if column is last:
            cells = width - x
        places.append(Place(column, x, cells))
        x += cells
    return tuple(places)
