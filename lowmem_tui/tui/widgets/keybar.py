"""The last line: the function keys, and what each does here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from textual.binding import Binding

from lowmem_tui.model.message import N_
from lowmem_tui.tui.text.keybar import Key as Key
from lowmem_tui.tui.text.keybar import bar, fitting
from lowmem_tui.tui.widgets.lines import Lines, line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from textual import events
    from textual.binding import BindingType

    from lowmem_tui.model.message import Message
    from lowmem_tui.tui.terminal.palette import Palette


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
        width = self.size.width or self.app.size.width
        keys = fitting(self._keys, width, self._drop, self._short)
        self._ends, x = [], 0
        for key in keys:
            x += key.cells
            self._ends.append((x, key.name))
        self.show([line(*bar(keys, width, self._palette))])

    def on_click(self, event: events.Click) -> None:
        """Do as if the key had been pressed."""
        event.stop()
        for end, name in self._ends:
            if event.x < end:
                self.app.simulate_key(name)
                return
