"""The styles: the terminal's own eight colours, and none of them says what words do not."""

# No annotations from __future__: see model/usage.

from typing import NamedTuple

from rich.style import Style


class Palette(NamedTuple):
    """Styles by what they are for."""

    plain: Style
    strong: Style
    faint: Style
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
    faint=Style(dim=True),
    header=Style(color="black", bgcolor="green"),
    cursor=Style(color="black", bgcolor="cyan"),
    group=Style(bold=True),
    key=Style(bold=True),
    label=Style(color="black", bgcolor="cyan"),
    badge=Style(bold=True, reverse=True),
    good=Style(color="green"),
    warn=Style(color="yellow"),
    bad=Style(color="red", bold=True),
    mark=Style(color="yellow", bold=True),
)

PLAIN = Palette(
    plain=Style.null(),
    strong=Style(bold=True),
    faint=Style(dim=True),
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
