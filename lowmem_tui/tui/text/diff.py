"""What a change does to a file, as lines."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.language import tr
from lowmem_tui.model.text import plain
from lowmem_tui.tui.terminal.palette import ADDED, REMOVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.plan import FileChange

_STYLES = {"+": ADDED, "-": REMOVED}

CONTEXT = 3
"""Unchanged lines that are shown around what changes."""

TAB = 4
"""Cells between tab stops."""


def difference(change: FileChange) -> Iterator[Text]:
    """Yield the path with what becomes of the file, and its lines: ``+`` comes, ``-`` goes."""
    what = tr("changed")
    if change.before is None:
        what = tr("new")
    elif change.after is None:
        what = tr("removed")
    yield Text.assemble((f" {what} ", "bold"), (plain(change.path), "bold"))
    before = (change.before or "").splitlines()
    after = (change.after or "").splitlines()
    seen = 0
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(
        CONTEXT
    ):
        if group[0][1] > seen:
            yield Text("     …")
        seen = group[-1][2]
        for kind, i, j, k, m in group:
            if kind == "equal":
                yield from (_line(" ", line) for line in before[i:j])
            else:
                yield from (_line("-", line) for line in before[i:j])
                yield from (_line("+", line) for line in after[k:m])
    if 0 < seen < len(before):
        yield Text("     …")


def _line(mark: str, text: str) -> Text:
    shown = plain(text.expandtabs(TAB))
    return Text(f"   {mark} {shown}", style=_STYLES.get(mark, ""))
