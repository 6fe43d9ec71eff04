"""The styles: to be read on a black and on a white background, whatever the terminal's colours."""

from __future__ import annotations

import pytest
from rich.color import Color, ColorType
from rich.style import Style

from lowmem_tui.tui.terminal import palette

VGA = (
    "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa "
    "555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff"
)
XTERM = (
    "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 "
    "7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff"
)
"""The sixteen colours of the kernel's console, and of xterm."""

ENOUGH = 4.5
"""Contrast of text (WCAG 2.1, 1.4.3)."""

STYLES = {
    **{f"colour {name}": style for name, style in palette.COLOUR._asdict().items()},
    **{f"plain {name}": style for name, style in palette.PLAIN._asdict().items()},
    "BAD": palette.BAD,
    "ADDED": palette.ADDED,
    "REMOVED": palette.REMOVED,
}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def number(colour: Color | None) -> int | None:
    """The number of a colour among the sixteen; None for the terminal's own."""
    if colour is None or colour.type is ColorType.DEFAULT:
        return None
    assert colour.number is not None and colour.number < 16, f"{colour} is not one of the sixteen"
    return colour.number


def readable(style: Style) -> bool:
    """Whether text in it is, on any background that a terminal may have."""
    text, behind = number(style.color), number(style.bgcolor)
    if style.dim:
        return False
    if text is None or behind is None:
        # The terminal's own two, as they are or turned round; half of each is a matter of luck.
        return text is None and behind is None
    return all(
        contrast(colours.split()[text], colours.split()[behind]) >= ENOUGH
        for colours in (VGA, XTERM)
    )


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_it_can_be_read_on_black_and_on_white(style: Style) -> None:
    assert readable(style)


@pytest.mark.parametrize(
    "style", ["green", "yellow", "bright_yellow", "white", "red bold", "dim", "on red", "blue"]
)
def test_what_vanishes_on_one_of_them_is_found(style: str) -> None:
    assert not readable(Style.parse(style))


def test_without_colours_there_are_none() -> None:
    for style in palette.PLAIN:
        assert style.color is None and style.bgcolor is None
