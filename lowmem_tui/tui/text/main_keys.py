"""The keys of the main screen that its last line shows, for Textual and for the first frame."""

from __future__ import annotations

from typing import NamedTuple

from lowmem_tui.model.message import N_
from lowmem_tui.tui.text.keybar import Key


class Bound(NamedTuple):
    """What keys do, and how the last line names the first of them."""

    keys: str
    """As Textual calls them, the first one first: ``f3,slash``."""
    action: str
    label: str
    """English, and marked."""
    shown: str
    """English, and marked where it is a word."""
    first: bool = False
    """Whether they go before those of all widgets: what is typed right behind them, on a slow
    line, is for the prompt that they open."""

    @property
    def key(self) -> Key:
        """The key of the last line."""
        return Key(self.keys.partition(",")[0], self.shown, self.label)


QUIT = Bound("f10,q", "quit", N_("Quit"), "F10")
"""Of every page."""

BOUND = (
    Bound("f1,question_mark,h", "app.help", N_("Help"), "F1"),
    Bound("f2", "setup", N_("Setup"), "F2"),
    Bound("f3,slash", "find", N_("Find"), "F3", first=True),
    Bound("f4,backslash", "filter", N_("Filter"), "F4", first=True),
    Bound("f5,t", "tree", N_("Processes"), "F5"),
    Bound("f6", "sort_menu", N_("Sort"), "F6"),
    Bound("space", "tag", N_("Tag"), N_("Space")),
    Bound("f7", "forecast", N_("OOM order"), "F7"),
    Bound("f8", "review", N_("Review"), "F8"),
    Bound("H", "history", N_("History"), "H"),
    Bound("K", "incidents", N_("Incidents"), "K"),
)

KEYS = tuple(bound.key for bound in (*BOUND, QUIT))

DROP = ("space", "K", "H", "f5", "f7", "f5", "f6", "f3", "f4", "f7", "f8")
"""What goes where there is too little room, in this order; at first to a shorter label."""

SHORT = {"f5": N_("Tree"), "f7": N_("OOM")}
"""Labels of keys where there is less room."""
