"""The last line: the function keys, and what each does here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from lowmem_tui.model.cells import cells
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lowmem_tui.tui.terminal.looks import Palette

S = TypeVar("S")


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


def fitting(
    keys: Iterable[Key], width: int, drop: Iterable[str], short: Mapping[str, str]
) -> list[Key]:
    """Return the keys that there is room for.

    Where it is too little, those named in ``drop`` go, in this order; one with a ``short`` label
    gets that instead when it is named the first time.
    """
    found, shorter = list(keys), dict(short)
    for name in drop:
        if sum(key.cells for key in found) <= width:
            break
        if (label := shorter.pop(name, None)) is None:
            found = [key for key in found if key.name != name]
        else:
            found = [k._replace(label=label) if k.name == name else k for k in found]
    return found


def bar(keys: Sequence[Key], width: int, palette: Palette[S]) -> list[tuple[str, S]]:
    """Return the line."""
    parts: list[tuple[str, S]] = []
    for key in keys:
        parts += [
            (f" {key.keycap}", palette.key),
            (" ", palette.plain),
            (key.words, palette.label),
        ]
    room = width - sum(key.cells for key in keys)
    return [*parts, (" " * max(0, room), palette.plain)]
