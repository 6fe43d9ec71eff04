"""The one parser of whole numbers that others wrote: ASCII digits, of bounded length.

``int()`` takes ``１２``, ``1_000`` and blanks, raises for ``²`` although ``str.isdigit`` says yes,
refuses more than 4,300 digits and is quadratic below that. Nothing that comes from outside is
handed to it but by these functions; tests/unit/test_house.py finds who does.
"""

from __future__ import annotations

DIGITS = 20
"""As many as an unsigned number of 64 bits has."""


def natural(text: str | bytes, digits: int = DIGITS) -> int | None:
    """Return a whole number without a sign, of at most `digits` digits; None for all else."""
    if text.isdigit() and text.isascii() and len(text) <= digits:
        return int(text)
    return None


def signed(text: str | bytes, digits: int = DIGITS) -> int | None:
    """Return a whole number that may have a minus; None for all else."""
    if text[:1] in {"-", b"-"}:
        value = natural(text[1:], digits)
        return None if value is None else -value
    return natural(text, digits)
