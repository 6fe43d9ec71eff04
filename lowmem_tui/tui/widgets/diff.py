"""What a change does to a file, as lines."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.plan import FileChange

_STYLES = {"+": "green", "-": "red"}


def difference(change: FileChange) -> Iterator[Text]:
    """Yield the path with what becomes of the file, and its lines: ``+`` comes, ``-`` goes."""
    what = "new" if change.before is None else "removed" if change.after is None else "changed"
    yield Text.assemble((f" {what} ", "bold"), (plain(change.path), "bold"))
    before = (change.before or "").splitlines()
    after = (change.after or "").splitlines()
    for line in difflib.ndiff(before, after):
        # ndiff's "?" lines point at columns: noise here.
        if line[0] != "?":
            yield Text(f"   {line[0]} {plain(line[2:])}", style=_STYLES.get(line[0], "dim"))
