"""The styles: the terminal's own eight colours, and none of them says what words do not.

A colour stands only as a background, or on one of its own: no colour of text can be read on black
and on white, and what the terminal's background is nobody tells us. Nothing is dim, for the same
reason.
"""

# No annotations from __future__: see model/usage.

from typing import NamedTuple

from rich.style import Style

BAD = Style(color="bright_white", bgcolor="red", bold=True)
"""What is refused, has failed or is in danger."""

ADDED = Style(color="black", bgcolor="green")
REMOVED = Style(color="bright_white", bgcolor="red")
"""Lines of a file, which have a mark before them, too."""


class Palette(NamedTuple):
    """Styles by what they are for."""

    plain: Style
    strong: Style
    header: Style
    cursor: Style
    group: Style
    key: Style
    label: Style
    badge: Style
    good: Style
    warn: Style
    bad: Style
    mark: Style

    def level(self, fraction: float | None) -> Style:
        """Return the style of a share of something scarce."""
        if fraction is None or fraction < 0.7:
            return self.good
        return self.warn if fraction < 0.9 else self.bad


COLOUR = Palette(
    plain=Style.null(),
    strong=Style(bold=True),
    header=Style(color="black", bgcolor="green"),
    cursor=Style(color="black", bgcolor="cyan"),
    group=Style(bold=True),
    key=Style(bold=True),
    label=Style(color="black", bgcolor="cyan"),
    badge=Style(bold=True, reverse=True),
    good=Style.null(),
    warn=Style(bold=True),
    bad=BAD,
    mark=Style(bold=True),
)

PLAIN = Palette(
    plain=Style.null(),
    strong=Style(bold=True),
    header=Style(bold=True, underline=True),
    cursor=Style(reverse=True),
    group=Style(bold=True),
    key=Style(bold=True),
    label=Style.null(),
    badge=Style(bold=True, reverse=True),
    good=Style.null(),
    warn=Style(bold=True),
    bad=Style(bold=True),
    mark=Style(bold=True),
)
"""For NO_COLOR."""
