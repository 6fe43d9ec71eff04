"""What is typed before there is anybody to take it: kept, unless it means to quit."""

from __future__ import annotations

import re

_HARMLESS = rb"(?:[jkgGIMONatU+=\-<>,. ]|\x1b(?:\[|O)[ABCDFH]|\x1b\[[56]~)*"
"""Keys that move, sort and fold: behind them a q is not meant for a prompt, a page or a form."""

_QUITS = re.compile(_HARMLESS + rb"(?:q|\x1b\[21~)")
"""q or F10, as the first key that does more than that."""

_ALWAYS = re.compile(rb"[\x03\x11]")
"""Ctrl-C and Ctrl-Q leave everything."""

_PASTED = re.compile(rb"\x1b\[200~.*?(?:\x1b\[201~|\Z)", re.DOTALL)
"""A bracketed paste, or the beginning of one (DEC mode 2004): no key is meant by it."""


def quits(typed: bytes) -> bool:
    """Return whether all that was typed so far means to quit at once."""
    keys = _PASTED.sub(b"\x1b", typed)
    return bool(_ALWAYS.search(keys) or _QUITS.match(keys))
