"""The table's columns, declared: where each figure comes from and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lowmem_tui.model.amount import format_limit, format_size
from lowmem_tui.model.message import N_
from lowmem_tui.model.text import plain
from lowmem_tui.tui.table.unit_values import adjust, description, limit, processes, sort_limit, used

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.model.usage import Process
    from lowmem_tui.tui.table.unit_values import Totals
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.looks import Palette


class Column(NamedTuple):
    """One column. A source that is None leaves the cell of that kind of row empty."""

    key: str
    title: str
    """English, and marked: shown in the operator's language, as ``help`` is."""
    width: int
    """Cells, with the blank before it."""
    help: str
    unit: Callable[[Unit], Any]
    process: Callable[[Process], Any] | None = None
    group: Callable[[Totals], Any] | None = None
    text: Callable[[Any, Glyphs, int], str] = lambda value, _glyphs, _width: str(value)
    style: Callable[[Any, Palette[Any]], Any] | None = None
    sort: Callable[[Unit], Any] | None = None
    """What to sort units by, where that is not the value itself; None sorts last."""
    descending: bool = True
    left: bool = False
    extra: bool = False
    """Only where there is room to spare for the names."""
    json: str = ""
    """Its key in ``list --json``; "" where it has none."""
    in_json: Callable[[Unit], Any] | None = None
    """What it has there, where that is not the value itself."""


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
    # WIDTH: 16
    N_("UNIT"),
    19,
    N_("the unit, with its marks before it"),
    unit=lambda u: u.name,
    sort=lambda u: u.name,
    descending=False,
    left=True,
)

RSS = Column(
    "rss",
    # WIDTH: 4
    N_("RSS"),
    6,
    N_("resident memory of its processes (shared pages count in each)"),
    unit=lambda u: u.usage.rss if u.usage else None,
    process=lambda p: p.rss,
    group=lambda t: t.rss,
    text=_size,
    json="rss",
)

COLUMNS: tuple[Column, ...] = (
    NAME,
    RSS,
    Column(
        "swap",
        # WIDTH: 4
        N_("SWAP"),
        6,
        N_("its memory in swap"),
        unit=lambda u: u.usage.swap if u.usage else None,
        process=lambda p: p.swap,
        group=lambda t: t.swap,
        text=_size,
        json="swap",
    ),
    Column(
        "score",
        # WIDTH: 5
        N_("SCORE"),
        7,
        N_("the kernel's oom_score, highest of its processes: the highest is killed first"),
        unit=lambda u: u.usage.oom_score if u.usage else None,
        process=lambda p: p.oom_score,
        text=_number,
        json="oom_score",
    ),
    Column(
        "adj",
        # WIDTH: 4
        N_("ADJ"),
        6,
        N_("oom_score_adj: -1000 is never killed, 1000 always first"),
        unit=adjust,
        process=lambda p: p.oom_score_adj,
        text=_number,
        descending=False,
        json="oom_score_adj",
        in_json=lambda u: u.main_process.oom_score_adj if u.main_process else None,
    ),
    Column(
        "max",
        # WIDTH: 4
        N_("MAX"),
        6,
        N_("memory.max (MemoryMax): at this limit the kernel kills within the unit"),
        unit=limit,
        sort=sort_limit,
        text=_limit,
    ),
    Column(
        "used",
        # WIDTH: 9
        N_("USED"),
        11,
        N_("anonymous memory and shmem, which only swap can reclaim, as a share of MAX"),
        unit=used,
        text=_share,
        style=lambda value, palette: palette.level(value),
        left=True,
    ),
    Column(
        "restart",
        # WIDTH: 9
        N_("RESTART"),
        11,
        N_("Restart= of the unit; or its state: killed, failed"),
        unit=lambda u: u.properties.restart if u.properties else None,
        text=_text,
        left=True,
        descending=False,
    ),
    Column(
        "procs",
        # WIDTH: 5
        N_("PROCS"),
        7,
        N_("the number of its processes"),
        unit=lambda u: len(u.usage.processes) if u.usage else None,
        text=_number,
        extra=True,
        json="processes",
        in_json=processes,
    ),
    Column(
        "anon",
        # WIDTH: 4
        N_("ANON"),
        6,
        N_("anonymous memory: only swap can reclaim it"),
        unit=lambda u: u.usage.memory.anon if u.usage else None,
        text=_size,
        extra=True,
        json="anon",
    ),
    Column(
        "file",
        # WIDTH: 4
        N_("FILE"),
        6,
        N_("page cache: the kernel can drop it"),
        unit=lambda u: u.usage.memory.file if u.usage else None,
        text=_size,
        extra=True,
        json="file",
    ),
    Column(
        "peak",
        # WIDTH: 4
        N_("PEAK"),
        6,
        N_("memory.peak: the most it has used, page cache included"),
        unit=lambda u: u.usage.memory.peak if u.usage else None,
        text=_size,
        extra=True,
        json="peak",
    ),
    Column(
        "kills",
        # WIDTH: 5
        N_("KILLS"),
        7,
        N_("OOM kills in its control group since that was created"),
        unit=lambda u: u.usage.memory.oom_kills if u.usage else None,
        text=_number,
        extra=True,
        json="oom_kills",
    ),
    Column(
        "what",
        # WIDTH: 22
        N_("DESCRIPTION"),
        24,
        N_("the description of the unit; the command line of a process"),
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
    if last.key not in chosen:
        return placed(chosen, spare)
    *places, (_, x, _) = placed(chosen, min(spare, WIDEST))
    return (*places, Place(last, x, width - x))


def placed(chosen: Container[str], names: int) -> tuple[Place, ...]:
    """Return these columns, by their keys, behind names of so many cells."""
    places: list[Place] = []
    x = 0
    for column in COLUMNS:
        if column.key in chosen:
            cells = names if column is NAME else column.width
            places.append(Place(column, x, cells))
            x += cells
    return tuple(places)
