"""How each thing looks, declared once: for Textual (`palette`), for the first frame, for a page.

The terminal's own eight colours, and none of them says what words do not. A colour stands only as a
background, or on one of its own: no colour of text can be read on black and on white, and what the
terminal's background is nobody tells us. Nothing is dim, for the same reason.
"""

# No annotations from __future__: see model/usage.

from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S")
"""What stands for a style: a ``Look`` here, Rich's Style for Textual, a number in the first frame.
"""

NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
BRIGHT = "bright_"


class Look(NamedTuple):
    """One style. A colour is a name of ``NAMES``, also with ``BRIGHT`` before it; "" for none."""

    color: str = ""
    background: str = ""
    bold: bool = False
    underline: bool = False
    reverse: bool = False

    @property
    def sgr(self) -> str:
        """The parameters of Select Graphic Rendition (ECMA-48, 8.3.117), in Rich's order."""
        set_ = [(self.bold, "1"), (self.underline, "4"), (self.reverse, "7")]
        numbers = [number for there, number in set_ if there]
        if self.color:
            numbers.append(str(30 + _number(self.color)))
        if self.background:
            numbers.append(str(40 + _number(self.background)))
        return ";".join(numbers)


def _number(color: str) -> int:
    name = color.removeprefix(BRIGHT)
    return NAMES.index(name) + (60 if name != color else 0)


class Palette(NamedTuple, Generic[S]):
    """Styles by what they are for."""

    plain: S
    strong: S
    header: S
    cursor: S
    group: S
    key: S
    label: S
    badge: S
    good: S
    warn: S
    bad: S
    mark: S

    def level(self, fraction: float | None) -> S:
        """Return the style of a share of something scarce."""
        if fraction is None or fraction < 0.7:
            return self.good
        return self.warn if fraction < 0.9 else self.bad


BAD = Look("bright_white", "red", bold=True)
"""What is refused, has failed or is in danger."""

COLOUR = Palette(
    plain=Look(),
    strong=Look(bold=True),
    header=Look("black", "green"),
    cursor=Look("black", "cyan"),
    group=Look(bold=True),
    key=Look(bold=True),
    label=Look("black", "cyan"),
    badge=Look(bold=True, reverse=True),
    good=Look(),
    warn=Look(bold=True),
    bad=BAD,
    mark=Look(bold=True),
)

PLAIN = Palette(
    plain=Look(),
    strong=Look(bold=True),
    header=Look(bold=True, underline=True),
    cursor=Look(reverse=True),
    group=Look(bold=True),
    key=Look(bold=True),
    label=Look(),
    badge=Look(bold=True, reverse=True),
    good=Look(),
    warn=Look(bold=True),
    bad=Look(bold=True),
    mark=Look(bold=True),
)
"""For NO_COLOR."""
