"""The table of processes in the kernel's OOM report (``dump_tasks`` of mm/oom_kill.c). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.incident import TaskRow

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 2000
"""Rows that are kept."""

_ROW = re.compile(r"\[ {0,9}(\d{1,10})\]((?: +-?\d{1,20}){5,12}) (.{0,64})\Z", re.DOTALL)
_COLUMNS = ("uid", "rss", "pgtables_bytes", "swapents", "oom_score_adj")


def parse_table(lines: Iterable[str], page_size: int) -> tuple[TaskRow, ...]:
    """Return the rows of the last table in these lines; rows that are cut are left out.

    The columns go by the heading, because kernels differ: 6.1 has ``rss``, 6.12 splits it up too.
    """
    rows: list[TaskRow] = []
    places: dict[str, int] | None = None
    for line in lines:
        if line.startswith("[  pid  ]"):
            names = line[9:].split()[:-1]
            known = names[:1] == ["uid"] and set(_COLUMNS) <= set(names)
            places = {name: at for at, name in enumerate(names)} if known else None
            rows.clear()
        elif places is not None and (match := _ROW.match(line)) is not None:
            values = [int(value) for value in match[2].split()]
            if len(values) != len(places) or len(rows) == LONGEST:
                continue
            uid, rss, tables, swap, adj = (values[places[name]] for name in _COLUMNS)
            rows.append(
                TaskRow(
                    int(match[1]), match[3], uid, rss * page_size, swap * page_size, tables, adj
                )
            )
    return tuple(rows)
