"""A bar with a label and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells
from lowmem_tui.model.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.looks import Palette

S = TypeVar("S")

LEAST = 3
"""Cells below which a bar shows nothing."""


class Meter(NamedTuple):
    """How much of something is used, both in bytes."""

    label: str
    used: int
    total: int
    share: int
    """Its share of the room that all meters have."""

    @property
    def fraction(self) -> float | None:
        """The share that is used; None of nothing."""
        return self.used / self.total if self.total else None

    @property
    def figures(self) -> str:
        """The figures, as wide whatever they are, so that nothing after them moves."""
        if self.fraction is None:
            return " " + tr("none")
        return f" {format_size(self.used):>5} {self.fraction:4.0%}"


def draw(
    meters: Sequence[Meter], width: int, glyphs: Glyphs, palette: Palette[S]
) -> list[tuple[str, S]]:
    """Return meters side by side; their bars share the room, or go where there is too little."""
    fixed = sum(cells(m.label) + 3 + cells(m.figures) for m in meters)
    barred = [m for m in meters if m.fraction is not None]
    shares = sum(m.share for m in barred)
    room = width - fixed - 2 * len(barred)
    wide = {m.label: room * m.share // shares for m in barred} if shares else {}
    if wide and min(wide.values()) < LEAST:
        wide = {}
    parts: list[tuple[str, S]] = []
    for meter in meters:
        parts.append((f" {meter.label}", palette.strong))
        length = wide.get(meter.label, 0)
        if length and meter.fraction is not None:
            bar = glyphs.bar(meter.fraction, length)
            parts += [
                (f" {glyphs.left}", palette.plain),
                (bar, palette.level(meter.fraction)),
                (glyphs.right, palette.plain),
            ]
        parts.append((f"{meter.figures} ", palette.plain))
    return parts
