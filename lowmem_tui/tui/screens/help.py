"""F1: every key, every column, every mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lowmem_tui import __version__
from lowmem_tui.model.cells import fit, wrap
from lowmem_tui.model.language import say
from lowmem_tui.model.message import N_, Message
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
    (
        N_("Arrows  j k"),
        N_("move; PgUp, PgDn, Ctrl-B, Ctrl-F: one page; Home, g: first; End, G: last"),
    ),
    (
        "Enter",
        N_("open the unit: its memory, its settings, and the form to edit them; fold a group"),
    ),
    (N_("Space"), N_("tag or untag the unit; Enter then opens one form for all tagged units")),
    ("U", N_("untag all")),
    (
        "F2",
        N_(
            "guided set-up: what a small server needs, step by step; each change is shown before "
            "it is applied"
        ),
    ),
    (
        "F3  /",
        N_("find: moves to the next unit that contains the text as you type; F3 again: the next"),
    ),
    ("F4  \\", N_("filter: shows only units that contain the text; Esc shows all again")),
    ("F5  t", N_("show or hide the processes below their units")),
    ("F6", N_("choose the column to sort by")),
    ("<  >", N_("sort by the column to the left or to the right; , and . do the same")),
    ("I", N_("reverse sort")),
    ("M  O  N", N_("sort by memory, by OOM score, by name")),
    ("+  -", N_("unfold or fold the group; Right or l, and Left do the same")),
    ("a", N_("show only running units, or all")),
    (
        "F7",
        N_(
            "OOM kill order: which processes the kernel kills first, what that frees, and what "
            "restarts; also limits and reserve"
        ),
    ),
    (
        "F8",
        N_(
            "review the staged edits as a diff; a applies them as a trial, A permanently; during a "
            "trial: keep or undo it"
        ),
    ),
    ("H", N_("history: what was changed, when, by whom; u there undoes a change")),
    (
        "K",
        N_(
            "incidents: what was killed, when, why, and whether it restarted; Enter there shows "
            "the processes at that time"
        ),
    ),
    ("F9", N_("kills in htop; not available here: this program sets limits")),
    ("F10  q  Ctrl-C", N_("quit; asks first if there are staged edits")),
    ("Ctrl-L  Ctrl-Z", N_("redraw the screen; suspend to the shell, fg returns")),
    ("F1  ?  h", N_("this page; F1 works on every page")),
    (
        # WIDTH: 16
        N_("Mouse"),
        N_("click a row, a heading to sort by it, a group to fold it, a key; the wheel scrolls"),
    ),
)
"""Every key of the main screen; a test compares this with what is bound."""

FORM = (
    (
        N_("Tab  Down"),
        N_("next field; Shift-Tab and Up: previous field; the field that you leave is staged"),
    ),
    (N_("Left  Right"), N_("choose a value of Restart or OOMPolicy")),
    ("Enter  Ctrl-U", N_("stage the field; discard what was typed and staged in it")),
    ("PgUp  PgDn", N_("scroll to the unit's memory, its settings with their files, its processes")),
    ("F8  Esc", N_("review; back. Both stage the form; nothing is written yet")),
)
"""The keys of the form."""

REVIEW = (
    ("a", N_("apply as a trial, which reverts automatically; y keeps it, u undoes it now")),
    ("A", N_("apply permanently, after a question")),
    ("n  Esc", N_("back, the edits stay staged; d discards all of them")),
)
"""The keys of the review."""

KILL_ORDER = (
    ("SCORE", N_("the kernel's oom_score: the highest is killed first")),
    (N_("FREES  SWAP"), N_("the RAM and the swap that the kill frees, at most")),
    ("AFTER", N_("memory in use after this kill and all kills above it")),
    (
        # WIDTH: 16
        N_("ITS UNIT"),
        N_("what happens to the unit: it keeps running, restarts, stays down; or a slice ends"),
    ),
)
"""The columns of the OOM kill order."""

SETUP = (
    (
        "Enter",
        N_("open the step; in the step: show what would be changed, then a applies it"),
    ),
    (N_("Space"), N_("select or deselect a proposal")),
    ("+  -", N_("choose another value, Right and Left do the same; 0, 1 and 2 set a tier")),
    ("s", N_("skip the step in this session, or stop skipping it; n goes to the next step")),
    ("r", N_("refresh")),
    ("Esc  Ctrl-C", N_("while a change is applied: stop it and roll everything back")),
    ("u", N_("after it is applied: undo it")),
    (
        "R",
        N_("report: what was changed, memory and OOM kill order before and now, what is not done"),
    ),
)
"""The keys of the guided set-up."""

MARKS = (
    ("*", N_("an edit is staged for this unit: F8 shows it; nothing is written before you apply")),
    ("!", N_("its files, systemd and the kernel have different values: open the unit for details")),
    ("■", N_("tagged with Space: Enter edits all tagged units together")),
    (
        # WIDTH: 16
        N_("killed 1x"),
        N_("the kernel killed a process of it since you last opened its page; K shows details"),
    ),
    (
        # WIDTH: 16
        N_("failed"),
        N_("systemd reports it as failed (also: starting, stopping, masked)"),
    ),
    ("—", N_("no value: it does not run; under MAX: no limit")),
)

TOP = (
    ("Mem", N_("RAM in use that cannot be reclaimed without swapping (MemTotal - MemAvailable)")),
    ("PSI", N_("share of the last 10 s in which some tasks, or all (full), waited for memory")),
    (
        # WIDTH: 16
        N_("Next OOM victim"),
        N_("the process that the kernel would kill now if RAM and swap were used up"),
    ),
    (
        # WIDTH: 16
        N_("Limits+reserve"),
        N_(
            "MemoryMax of all running units + RAM reserved for the system: fits in RAM (ok), is "
            "overcommitted (RAM and swap), or does not fit"
        ),
    ),
)

SECTIONS = (
    (N_("Keys"), KEYS),
    (N_("Form of a unit, or of the tagged units"), FORM),
    (N_("Review (F8)"), REVIEW),
    (N_("OOM kill order (F7)"), KILL_ORDER),
    (N_("Guided set-up (F2)"), SETUP),
    (N_("Marks"), MARKS),
    (
        N_("Columns (the last ones only on a wide screen)"),
        tuple((column.title, column.help) for column in COLUMNS),
    ),
    (N_("Top of the screen"), TOP),
)


class HelpScreen(FullScreen):
    """One long page."""

    AUTO_FOCUS = "Page"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,enter", "dismiss", N_("Back"), key_display="Esc"),
    ]

    def __init__(self, session: Session, section: str = "") -> None:
        """``section`` is the title, in English, of the one to be shown first."""
        super().__init__(session)
        self._section = section

    def compose(self) -> ComposeResult:
        """Lay it out."""
        palette = self.session.palette
        yield Page(
            lambda width: list(self._write(width)),
            start=f" {say(Message(self._section))}" if self._section else "",
        )
        self._keys = StageKeys(palette, [*keys_of(self.BINDINGS), MORE])
        yield self._keys

    def on_page_moved(self, event: Page.Moved) -> None:
        """Offer more as long as there is more."""
        keys = keys_of(self.BINDINGS)
        self._keys.offer(keys if event.end else [*keys, MORE])

    def _write(self, width: int) -> Iterator[str | Line]:
        palette = self.session.palette
        yield line((f" lowmem-tui {__version__}", palette.strong))
        for title, entries in SECTIONS:
            yield ""
            yield line((f" {say(Message(title))}", palette.strong))
            for name, text in entries:
                room = max(20, width - LEFT - 1)
                for index, part in enumerate(wrap(say(Message(text)), room, whole=False)):
                    left = fit("" if index else say(Message(name)), LEFT - 1)
                    yield line((f" {left}", palette.key), part)
