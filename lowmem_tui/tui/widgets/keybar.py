"""The last line: the function keys, and what each does here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from textual.binding import Binding

from lowmem_tui.model.cells import cells
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message
from lowmem_tui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from textual import events
    from textual.binding import BindingType

    from lowmem_tui.tui.terminal.palette import Palette


class Key(NamedTuple):
    """One key of the bar."""

    name: str
    """As Textual calls it: ``f8``."""
    shown: str
    """English, and marked where it is a word."""
    label: Message | str
    """English, and marked; or a message."""

    @property
    def keycap(self) -> str:
        """What is on the key, in the operator's language."""
        return say(Message(self.shown))

    @property
    def words(self) -> str:
        """The label in the operator's language."""
        return say(self.label) if isinstance(self.label, Message) else tr(self.label)

    @property
    def cells(self) -> int:
        """The cells that it takes, with a blank before it and one within."""
        return cells(self.keycap) + cells(self.words) + 2


HELP = Key("f1", "F1", N_("Help"))
"""Bound by the app, for every page."""


def keys_of(bindings: Iterable[BindingType]) -> list[Key]:
    """Return the keys that bindings want to have shown."""
    found: list[Key] = []
    for binding in bindings:
        if isinstance(binding, Binding) and binding.show:
            name = binding.key.partition(",")[0]
            shown = binding.key_display or name.capitalize()
            found.append(Key(name, shown, binding.description))
    return found


class KeyBar(Lines):
    """Clickable; where there is too little room, the keys named in ``drop`` go, in this order.

    One with a ``short`` label gets that instead when it is named the first time.
    """

    DEFAULT_CSS = "KeyBar { height: 1; }"

    def __init__(
        self,
        palette: Palette,
        keys: Sequence[Key],
        drop: Sequence[str] = (),
        short: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(("",), id="keys")
        self._palette, self._keys, self._drop, self._short = palette, list(keys), drop, short
        self._ends: list[tuple[int, str]] = []

    def label(self, name: str, label: Message | str) -> None:
        """Change the label of a key."""
        self._keys = [key._replace(label=label) if key.name == name else key for key in self._keys]
        self.paint()

    def on_mount(self) -> None:
        """Be there in the very first frame, before there is a layout."""
        self.paint()

    def on_resize(self) -> None:
        """Fit the new width."""
        self.paint()

    def paint(self) -> None:
        """Choose what fits, and show it."""
        keys, width = self._keys, self.size.width or self.app.size.width
        short = dict(self._short)
        for name in self._drop:
            if sum(key.cells for key in keys) <= width:
                break
            if (label := short.pop(name, None)) is None:
                keys = [key for key in keys if key.name != name]
            else:
                keys = [k._replace(label=label) if k.name == name else k for k in keys]
        line: list[Segment] = []
        self._ends, x = [], 0
        for key in keys:
            line += [
                Segment(f" {key.keycap}", self._palette.key),
                Segment(" ", self._palette.plain),
                Segment(key.words, self._palette.label),
            ]
            x += key.cells
            self._ends.append((x, key.name))
        blank = Segment(" " * max(0, width - x), self._palette.plain)
        self.show([(*line, blank)])

    def on_click(self, event: events.Click) -> None:
        """Do as if the key had been pressed."""
        event.stop()
        for end, name in self._ends:
            if event.x < end:
                self.app.simulate_key(name)
                return
