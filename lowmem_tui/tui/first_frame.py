"""The first frame: the main screen's figures before Textual is loaded, painted by ourselves.

What was seen for it, and how the terminal was left, Textual's screen takes over.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lowmem_tui.tui import picture
from lowmem_tui.tui.terminal import glyphs, looks
from lowmem_tui.tui.terminal.canvas import Canvas
from lowmem_tui.tui.terminal.first_terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.policy.classify import Verdict
    from lowmem_tui.tui.session.first_look import Early
    from lowmem_tui.tui.session.verdicts import Verdicts

UNKNOWN = frozenset({"", "dumb", "unknown"})
"""Types of terminals of which nothing is known."""


def possible() -> bool:
    """Return whether there is a terminal to paint it on, and Textual will have the same one."""
    output = sys.__stderr__
    return (
        os.environ.get("TERM", "") not in UNKNOWN
        and "TEXTUAL_DRIVER" not in os.environ
        and output is not None
        and output.isatty()
    )


class FirstFrame:
    """The terminal, and what is on it."""

    def __init__(
        self,
        verdicts: Verdicts,
        *,
        badges: tuple[str, ...],
        ascii_only: bool,
        leave: Callable[[int], object],
    ) -> None:
        """Take the terminal. ``leave`` ends the program, with a status, where the operator quits.

        Raises OSError where that is not possible; nothing is done then.
        """
        palette = looks.PLAIN if "NO_COLOR" in os.environ else looks.COLOUR
        chosen = glyphs.choose(ascii_only=ascii_only, term=os.environ.get("TERM", ""))
        sgr = looks.Palette(*(look.sgr for look in palette))
        self.verdicts = verdicts
        self._early: Early | None = None
        self._look = picture.Look(chosen, sgr, badges)
        canvas = Canvas(glyphs.translation(chosen))
        self.terminal = Terminal(sys.__stderr__.fileno(), canvas, self._draw, leave)  # type: ignore[union-attr]

    def show(self, early: Early) -> bool:
        """Paint what was seen; if nothing was yet, paint again as soon as there are figures.

        False: it cannot be painted, the terminal is as it was, and Textual has to.
        """
        self._early = early
        if early.seen is None:
            early.then(self.terminal.ask_to_paint)
        try:
            self.terminal.paint()
        except Exception:  # noqa: BLE001 - nothing is lost: Textual shows the same, or the error
            self.terminal.release()
            return False
        return True

    def _draw(self, size: tuple[int, int]) -> picture.Lines[str]:
        if size[0] < picture.NARROWEST or size[1] < picture.LOWEST:
            return []
        if self._early is None or (looked := self._early.seen) is None:
            return picture.picture(size, None, self._look)
        snapshot, trial = looked

        def verdict(unit: Unit) -> Verdict:
            return self.verdicts.of(unit, snapshot.host.mem_total)

        return picture.picture(size, picture.Seen(snapshot, trial, verdict), self._look)
