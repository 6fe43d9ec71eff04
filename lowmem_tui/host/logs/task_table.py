"""The table of processes in the kernel's OOM report (``dump_tasks`` of mm/oom_kill.c). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.incident import TaskRow
from lowmem_tui.model.integer import natural, signed

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 2000
"""Rows that are kept."""

_ROW = re.compile(r"\[ {0,9}([0-9]{1,10})\]((?: +-?[0-9]{1,20}){5,12}) (.{0,64})\Z", re.DOTALL)
_HEADING = re.compile(r"\[ {1,2}pid {1,2}\]")
_COLUMNS = ("uid", "rss", "swapents", "oom_score_adj")
_TABLES = ("pgtables_bytes", "nr_ptes")
"""Of page tables: bytes, or pages before kernel 4.15."""


def parse_table(lines: Iterable[str], page_size: int) -> tuple[TaskRow, ...]:
    """Return the rows of the last table in these lines; rows that are cut are left out.

    The columns go by the heading, because kernels differ: 6.1 has ``rss``, 6.12 splits it up too.
    """
    rows: list[TaskRow] = []
    places: dict[str, int] = {}
    for line in lines:
        if (heading := _HEADING.match(line)) is not None:
            places = _places(line[heading.end() :])
            rows.clear()
        elif places and len(rows) < LONGEST and (row := _row(line, places, page_size)) is not None:
            rows.append(row)
    return tuple(rows)


def _places(heading: str) -> dict[str, int]:
    """Return where each column stands; {} for a table that is not understood."""
    names = heading.split()[:-1]
    columns = set(names)
    known = names[:1] == ["uid"] and set(_COLUMNS) <= columns and columns & set(_TABLES)
    # A line that others wrote may look like a heading.
    if not known or len(columns) != len(names):
        return {}
    return {name: at for at, name in enumerate(names)}


def _row(line: str, places: dict[str, int], page_size: int) -> TaskRow | None:
    match = _ROW.match(line)
    pid = natural(match[1]) if match else None
    values = [signed(value) for value in match[2].split()] if match else []
    if match is None or pid is None or len(values) != len(places) or None in values:
        return None
    of = {name: values[at] or 0 for name, at in places.items()}
    tables = of["pgtables_bytes"] if "pgtables_bytes" in of else of["nr_ptes"] * page_size
    swap = of["swapents"] * page_size
    return TaskRow(
        pid, match[3], of["uid"], of["rss"] * page_size, swap, tables, of["oom_score_adj"]
    )
