"""The changes that were made, two lines for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.cells import cells, fit
from lowmem_tui.model.change import KEPT, Change
from lowmem_tui.model.language import say
from lowmem_tui.model.text import plain
from lowmem_tui.policy.change_text import STATES, did, noted
from lowmem_tui.tui.widgets.cursor_list import CursorList, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.style import Style


class ChangeList(CursorList[Change]):
    """When, by whom, what has become of it; and what it did."""

    EACH = 2

    def key(self, item: Change) -> str:
        """Return its number."""
        return item.id

    def draw(self, seen: Sequence[Change], width: int) -> Iterator[Sequence[tuple[str, Style]]]:
        """Yield the lines of each."""
        palette = self.session.palette
        widest = max((cells(say(STATES[change.state])) for change in seen), default=0)
        for change in seen:
            state, who = fit(say(STATES[change.state]), widest), say(change.by.message)
            head = f" {change.id:>3} {when(change.time, width)} {state} {who}"
            note = f" · {say(noted(change.why))}" if change.why and not change.undoes else ""
            # In force: bold. That the others are not, their state says, too.
            style = palette.strong if change.state in KEPT else palette.plain
            yield (
                (fit(plain(head + note, width), width), style),
                (fit(plain(f"     {say(did(change))}", width), width), palette.plain),
            )
