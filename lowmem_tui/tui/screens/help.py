"""F1: every key, every column, every mark."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lowmem_tui import __version__
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.screens.sheet import MORE, StageKeys
from lowmem_tui.tui.table.columns import COLUMNS
from lowmem_tui.tui.widgets.keybar import keys_of
from lowmem_tui.tui.widgets.lines import line
from lowmem_tui.tui.widgets.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.widgets.lines import Line

LEFT = 18

KEYS = (
    ("Arrows  j k", "move; PgUp PgDn Ctrl-B Ctrl-F a page, Home g first, End G last"),
    (
        "Enter",
        "open the unit: what it holds, its settings, and the form to edit them; fold a group",
    ),
    ("Space", "tag the unit, or untag it; Enter then opens one form for all that are tagged"),
    ("U", "untag all"),
    (
        "F2",
        "the guided set-up: what a small server needs, step by step; shows each change first",
    ),
    ("F3  /", "find: goes to the next unit with the text as you type, F3 again to the one after"),
    ("F4  \\", "filter: shows only units with the text; Esc shows all again"),
    ("F5  t", "show the processes below their units, or hide them"),
    ("F6", "choose the column to sort by"),
    ("<  >", "sort by the column to the left, to the right; , and . do the same"),
    ("I", "turn the sort round"),
    ("M  O  N", "sort by memory, by OOM score, by name"),
    ("+  -", "unfold, fold the group; Right or l, and Left do the same"),
    ("a", "show only what runs, or all"),
    (
        "F7",
        "who dies next, in which order, what goes with it and comes back; each limit; the budget",
    ),
    (
        "F8",
        "review the staged edits as a diff; a tries them, A applies for good; keep or undo a trial",
    ),
    ("H", "history: what was changed, when, by whom; u there undoes it"),
    ("K", "what was killed, when and why, and what came of it; Enter there shows who ran then"),
    ("F9", "kills in htop; not here, this program sets limits"),
    ("F10  q  Ctrl-C", "quit; asks first if there are staged edits"),
    ("Ctrl-L  Ctrl-Z", "paint the screen anew; to the shell, and back with fg"),
    ("F1  ?  h", "this page; F1 also from every other page"),
    ("Mouse", "click a row, a heading to sort by it, a group to fold it, a key; the wheel scrolls"),
)
"""Every key of the main screen; a test compares this with what is bound."""

FORM = (
    (
        "Tab  Down",
        "to the next field, Shift-Tab and Up to the one before; what stands there is staged",
    ),
    ("Left  Right", "choose among the words of Restart and OOMPolicy"),
    ("Enter  Ctrl-U", "stage what stands in the field; take back what was typed and staged there"),
    ("PgUp  PgDn", "what the unit holds, its settings with their files, its processes"),
    ("F8  Esc", "review; back. Both stage what stands in the form, nothing is written yet"),
)
"""The keys of the form."""

REVIEW = (
    ("a", "apply as a trial, which is taken back by itself; y keeps it, u undoes it at once"),
    ("A", "apply for good, after a question"),
    ("n  Esc", "back, the edits stay staged; d discards them all"),
)
"""The keys of the review."""

DIES = (
    ("SCORE", "the kernel's oom_score: the highest dies first"),
    ("FREES  SWAP", "the RAM and the swap that the kill frees, at most"),
    ("AFTER", "what is in use after it and all before it, counted down from what is in use now"),
    ("WITH IT", "what goes with the process: it alone, its unit, all; and whether that comes back"),
)
"""The columns of who dies next."""

SETUP = (
    ("Enter", "open the step; in it, show exactly what would be changed, and then a applies it"),
    ("Space", "take what is proposed, or leave it as it is"),
    ("+  -", "go through what it may be, Right and Left do the same; 0, 1 and 2 set a tier"),
    ("s", "skip the step in this session, or take it up again; n goes to the next step"),
    ("r", "look again"),
    ("Esc  Ctrl-C", "while something long is done: stop it, and put everything back"),
    ("u", "when it is done: undo it"),
    ("R", "what was changed, how much that gained, who dies first now; what is left"),
)
"""The keys of the guided set-up."""

MARKS = (
    ("*", "an edit is staged for this unit: F8 shows it; nothing is written before you apply"),
    ("!", "its files, systemd and the kernel do not agree: open the unit to see where"),
    ("■", "tagged with Space: Enter edits all that are tagged, together"),
    ("killed 1x", "the kernel killed a process of it since you last opened its page; K tells more"),
    ("failed", "systemd calls it failed (also: starting, stopping, masked)"),
    ("—", "no figure: it does not run; under MAX: no limit"),
)

TOP = (
    ("Mem", "RAM that cannot be had without pushing something out (MemTotal - MemAvailable)"),
    ("PSI", "the share of the last 10 s in which some tasks, or all, waited for memory"),
    ("Next to die", "whom the kernel would choose now, if RAM and swap were used up"),
    (
        "Limits  kept",
        "MemoryMax of all that runs; kept: for the system. Both fit RAM (ok), swap or are too much",
    ),
)


class HelpScreen(FullScreen):
    """One long page."""

    AUTO_FOCUS = "Page"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,enter", "dismiss", "Back", key_display="Esc"),
    ]

    def __init__(self, session: Session, section: str = "") -> None:
        """``section`` is the title of the one to be shown first."""
        super().__init__(session)
        self._section = section

    def compose(self) -> ComposeResult:
        """Lay it out."""
        palette = self.session.palette
        yield Page(lambda width: list(self._write(width)), start=f" {self._section}")
        self._keys = StageKeys(palette, [*keys_of(self.BINDINGS), MORE])
        yield self._keys

    def on_page_moved(self, event: Page.Moved) -> None:
        """Offer more as long as there is more."""
        keys = keys_of(self.BINDINGS)
        self._keys.offer(keys if event.end else [*keys, MORE])

    def _write(self, width: int) -> Iterator[str | Line]:
        palette = self.session.palette
        yield line((f" lowmem-tui {__version__}", palette.strong))
        columns = tuple((column.title, column.help) for column in COLUMNS)
        for title, entries in (
            ("Keys", KEYS),
            ("In the form of a unit, or of the tagged ones", FORM),
            ("In the review (F8)", REVIEW),
            ("In who dies next (F7)", DIES),
            ("In the set-up (F2)", SETUP),
            ("Marks", MARKS),
            ("Columns (the last ones where there is room)", columns),
            ("At the top", TOP),
        ):
            yield ""
            yield line((f" {title}", palette.strong))
            for name, text in entries:
                room = max(20, width - LEFT - 1)
                for index, part in enumerate(textwrap.wrap(text, room)):
                    left = "" if index else name
                    yield line((f" {left:<{LEFT - 1}}", palette.key), part)
