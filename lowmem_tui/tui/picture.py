"""The main screen as lines, as Textual shows it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar, cast

from lowmem_tui.model.cells import fit
from lowmem_tui.model.language import say
from lowmem_tui.model.text import plain
from lowmem_tui.tui.table import rows
from lowmem_tui.tui.table.columns import lay_out
from lowmem_tui.tui.table.drawing import Drawing, Extent
from lowmem_tui.tui.table.marks import NO_MARKS, marks_of
from lowmem_tui.tui.table.rows import Kind, View
from lowmem_tui.tui.text.header import Header
from lowmem_tui.tui.text.keybar import bar, fitting
from lowmem_tui.tui.text.main_keys import DROP, KEYS, SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.policy.classify import Verdict
    from lowmem_tui.tui.table.rows import Row
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.looks import Palette

S = TypeVar("S")
Line: TypeAlias = list[tuple[str, S]]
Lines: TypeAlias = list[Line[S]]

NARROWEST, LOWEST = 20, 6
"""The columns and lines below which there is nothing to lay out."""


class Look(NamedTuple, Generic[S]):
    """With what the lines are made."""

    glyphs: Glyphs
    palette: Palette[S]
    badges: tuple[str, ...]


class Seen(NamedTuple):
    """What was seen of the server so far."""

    snapshot: Snapshot
    trial: Trial | None
    verdict: Callable[[Unit], Verdict]


def picture(size: tuple[int, int], seen: Seen | None, look: Look[S]) -> Lines[S]:
    """Return the lines for so many columns and lines; before anything is seen, without figures."""
    width, height = size
    top: Lines[S] = []
    snapshot = seen.snapshot if seen else None
    if seen is not None and seen.trial is not None:
        top.append(_trial(seen.snapshot, seen.trial, width, look.palette))
    header = Header(width, look.glyphs, look.palette, look.badges)
    top += header.lines(snapshot, say(snapshot.notice) if snapshot else "")
    keys = bar(fitting(KEYS, width, DROP, SHORT), width, look.palette)
    return [*top, *_table(width, height - len(top) - 1, seen, look), keys]


def _trial(snapshot: Snapshot, trial: Trial, width: int, palette: Palette[S]) -> Line[S]:
    from lowmem_tui.policy.trial_text import counts
    from lowmem_tui.tui.text.trial import line_of

    words = line_of(snapshot, trial, (), {}, dict(counts(snapshot, {})))
    return [(fit(plain(f" {words}", width), width), palette.badge)]


def _table(width: int, height: int, seen: Seen | None, look: Look[S]) -> Lines[S]:
    drawing = Drawing(lay_out(width), look.glyphs, look.palette)
    view, page = View(), height - 1
    built = _rows(seen, view) if seen else []
    lines = [drawing.heading(view, Extent(0, len(built) - page))]
    for index, row in enumerate(built[:page]):
        marks = NO_MARKS
        if seen is not None and row.kind is Kind.UNIT:
            page_size = seen.snapshot.host.page_size
            marks = marks_of(cast("Unit", row.of), page_size, look.glyphs.times)
        lines.append(drawing.row(row, marks, cursor=not index))
    return lines + drawing.rest(page - len(built), "")


def _rows(seen: Seen, view: View) -> Sequence[Row]:
    units, verdict = seen.snapshot.units, seen.verdict
    return rows.build(rows.members(seen.snapshot, lambda name: verdict(units[name]), view), view)
