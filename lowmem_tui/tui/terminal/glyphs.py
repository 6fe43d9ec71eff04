"""The characters that are not letters: for a good terminal, for the kernel's console, for ASCII."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.text import ascii_for

if TYPE_CHECKING:
    from collections.abc import Callable


class Glyphs(NamedTuple):
    """One set; every member but ``partial`` is one cell wide."""

    open: str
    closed: str
    full: str
    empty: str
    partial: str
    """Bars' last cell, from one eighth to seven; empty where the font has no such blocks."""
    left: str
    right: str
    """The ends of a bar."""
    none: str
    """No limit, no value."""
    more: str
    """Something was cut off here."""
    dot: str
    """Between facts on one line."""
    down: str
    up: str
    """The direction of the sort."""
    times: str
    tag: str

    def bar(self, fraction: float, width: int) -> str:
        """Return a bar of that width; anything above nothing shows, and only the whole is full."""
        if self.partial:
            eighths = max(0, min(width * 8, round(fraction * width * 8)))
            if fraction > 0:
                eighths = max(1, eighths)
            if fraction < 1:
                eighths = min(width * 8 - 1, eighths)
            whole, rest = divmod(eighths, 8)
            text = self.full * whole + (self.partial[rest - 1] if rest else "")
        else:
            cells = max(0, min(width, round(fraction * width)))
            text = self.full * cells
        return text + self.empty * (width - len(text))


UNICODE = Glyphs(
    open="▾",
    closed="▸",
    full="█",
    empty="░",
    partial="▏▎▍▌▋▊▉",
    left="▕",
    right="▏",
    none="—",
    more="…",
    dot="·",
    down="▼",
    up="▲",
    times="×",
    tag="■",
)

CONSOLE = UNICODE._replace(
    open="▼", closed="►", partial="", left="[", right="]", none="-", more="~", times="x"
)
"""For TERM=linux: its fonts hold the characters of code page 437 and little more."""

ASCII = Glyphs(
    open="-",
    closed="+",
    full="#",
    empty=".",
    partial="",
    left="[",
    right="]",
    none="-",
    more="~",
    dot="|",
    down="v",
    up="^",
    times="x",
    tag="#",
)


def _console(character: str) -> str:
    if character in "▼▲►◄":
        return character
    try:
        character.encode("cp437")
    except UnicodeEncodeError:
        return ascii_for(character)
    return character


def choose(*, ascii_only: bool, term: str) -> Glyphs:
    """Return the set for a terminal."""
    if ascii_only:
        return ASCII
    return CONSOLE if term == "linux" else UNICODE


def translation(glyphs: Glyphs) -> Callable[[str], str] | None:
    """Return what makes each character of any text one that the terminal can show."""
    if glyphs is ASCII:
        return ascii_for
    return _console if glyphs is CONSOLE else None
