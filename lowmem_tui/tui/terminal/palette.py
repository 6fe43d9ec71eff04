"""The looks as Rich's styles, for Textual."""

from __future__ import annotations

from typing import TypeAlias

from rich.style import Style

from lowmem_tui.tui.terminal import looks

Palette: TypeAlias = looks.Palette[Style]


def style(look: looks.Look) -> Style:
    """Return a look as Rich has it; what is not set is inherited, not off."""
    if look == looks.Look():
        return Style.null()
    return Style(
        color=look.color or None,
        bgcolor=look.background or None,
        bold=look.bold or None,
        underline=look.underline or None,
        reverse=look.reverse or None,
    )


COLOUR: Palette = looks.Palette(*map(style, looks.COLOUR))
PLAIN: Palette = looks.Palette(*map(style, looks.PLAIN))
"""For NO_COLOR."""

BAD = COLOUR.bad

ADDED = style(looks.Look("black", "green"))
REMOVED = style(looks.Look("bright_white", "red"))
"""Lines of a file, which have a mark before them, too."""
