"""Sizes, limits, time spans and scores: systemd's syntax both ways, and short forms for columns.

The parsers take exactly what systemd takes (src/basic/parse-util.c, percent-util.c, time-util.c),
because they also decide which line of a unit file wins. Each raises InvalidValueError with one
sentence that says what to write instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import (
    INFINITY,
    SIZE_SUFFIXES,
    SPAN_UNITS,
    Unlimited,
    suffix_factor,
)
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_setting, of_text

if TYPE_CHECKING:
    from lowmem_tui.model.amount import Limit

UINT64_MAX = 2**64 - 1

SCORE_MIN, SCORE_MAX = -1000, 1000
"""OOM_SCORE_ADJ_MIN and _MAX of include/uapi/linux/oom.h."""

_SPACE = " \t\n\r"
_SIZE_PART = re.compile(r"[ \t\n\r]*\+?([0-9]+)(\.([0-9]*))?[ \t\n\r]*([EPTGMKB]?)")
_MEANT = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ \t]*([kmgtKMGT])i?[bB]?")
"""A size as people write it."""
_INTEGER = re.compile(
    r"(?P<bin>0[bB][01]+)|(?P<oct8>0[oO][0-7]+)"
    r"|(?P<sign>[+-]?)(?:(?P<hex>0[xX][0-9a-fA-F]+)|(?P<oct>0[0-7]+)|(?P<dec>0|[1-9][0-9]*))"
)

_SPAN_PART = re.compile(
    r"[ \t\n\r]*\+?(?P<whole>[0-9]*)(?P<dot>\.(?P<fraction>[0-9]*))?(?P<gap>[ \t\n\r]*)"
    rf"(?P<unit>(?:{'|'.join(sorted(SPAN_UNITS, key=len, reverse=True))})?)"
)


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``512M``, ``1.5G`` or ``1G 512M`` (base 1024).

    As ``parse_size`` of systemd, spaces around the text aside. Raises InvalidValueError.
    """
    total, least, at = 0, 0, 0
    body = text.strip(_SPACE)
    while at < len(body) or not body:
        part = _SIZE_PART.match(body, at)
        rank = len(SIZE_SUFFIXES)
        if part and part[4]:
            rank = SIZE_SUFFIXES.index(part[4])
        if not part or rank < least:
            raise _not_a_size(text)
        factor = suffix_factor(rank)
        whole, decimals = _unsigned(part[1]), _unsigned(part[3] or "0")
        # systemd calculates the fraction in doubles, and so must we, to agree to the byte.
        fraction = float(decimals)
        for _ in part[3] or "":
            fraction /= 10
        total += whole * factor + int(fraction * factor)
        if (
            max(total, decimals) > UINT64_MAX
            or whole + (1 if fraction > 0 else 0) > UINT64_MAX // factor
        ):
            raise _TooLargeError(
                msg(
                    "'{text}' is too large: {instead}.",
                    text=of_text(text, 40),
                    instead=msg("write a size below 16E"),
                )
            )
        least, at = rank + 1, part.end()
    return total


def parse_limit(text: str, ram: int, page_size: int = 4096) -> Limit:
    """Return the bytes of a size, or of a share of ``ram`` bytes (``25%``, ``25.5%``), or INFINITY.

    As ``config_parse_memory_limit`` of systemd, which takes every share of the *physical* memory,
    that of MemorySwapMax too, and rounds down to whole pages. Raises InvalidValueError.
    """
    body = text.strip(_SPACE)
    if body == "infinity":
        return INFINITY
    share = _permyriad(body)
    if share is None:
        try:
            size = parse_size(body)
        except _TooLargeError:
            raise
        except InvalidValueError as error:
            raise _not_a_limit(text, _as_systemd_writes_it(body)) from error
        if size >= UINT64_MAX:
            raise InvalidValueError(
                msg(
                    "'{text}' is too large: {instead}.",
                    text=of_text(text, 40),
                    instead=msg("write infinity for no limit"),
                )
            )
        return size
    if share == 10000:
        return ram
    return ram // page_size * share // 10000 * page_size


def _as_systemd_writes_it(text: str) -> str:
    """Return a size that people write otherwise; "" if it is none, or too large a one."""
    meant = _MEANT.fullmatch(text)
    written = f"{meant[1]}{meant[2].upper()}" if meant else ""
    try:
        parse_size(written)
    except InvalidValueError:
        return ""
    return written


def _permyriad(text: str) -> int | None:
    """``parse_permyriad``: hundredths of a per cent, None if it is none of 0 to 10000."""
    for sign, scale, places in (("‱", 1, 0), ("‰", 10, 1), ("%", 100, 2)):
        if text.endswith(sign):
            whole, dot, digits = text.removesuffix(sign).partition(".")
            decimals = natural(digits, places) if dot else 0
            number = _integer(whole)
            if decimals is None or number is None or number < 0:
                return None
            value = number * scale + decimals * 10 ** (places - len(digits) if dot else 0)
            return value if value <= 10000 else None
    return None


def parse_time_span(text: str) -> int | Unlimited:
    """Return microseconds: ``3s``, ``1min 30s``, ``100ms``, a bare number is seconds, ``infinity``.

    As ``parse_sec`` of systemd (systemd.time(7)). Raises InvalidValueError.
    """
    body = text.strip(_SPACE)
    if body == "infinity":
        return INFINITY
    total, at = 0, 0
    while at < len(body) or not body:
        part = _SPAN_PART.match(body, at)
        if not part or not (part["whole"] or part["dot"]) or part["fraction"] == "":
            raise _not_a_span(text)
        at = part.end()
        if not part["gap"] and not part["unit"] and at < len(body):
            raise _not_a_span(text)
        unit = SPAN_UNITS[part["unit"] or "s"]
        whole = _unsigned(part["whole"] or "0")
        total += whole * unit
        step = unit
        for digit in part["fraction"] or "":
            step //= 10
            total += int(digit) * step
        if total >= UINT64_MAX or whole >= 2**63:
            raise InvalidValueError(
                msg(
                    "'{text}' is too long: {instead}.",
                    text=of_text(text, 40),
                    instead=msg("write infinity to wait indefinitely"),
                )
            )
    return total


def parse_score(text: str) -> int:
    """Return an OOMScoreAdjust: a whole number from −1000 to 1000. Raises InvalidValueError."""
    number = _integer(text.strip(_SPACE))
    if number is None or not SCORE_MIN <= number <= SCORE_MAX:
        raise InvalidValueError(
            msg(
                "'{text}' is not an OOMScoreAdjust: {instead}.",
                text=of_text(text, 40),
                instead=msg("write a whole number from -1000 to 1000"),
            )
        )
    return number


def _integer(text: str) -> int | None:
    """``safe_atoi``: a 32 bit integer in C's notation, so that 010 is eight."""
    match = _INTEGER.fullmatch(text.lstrip(_SPACE))
    if not match:
        return None
    sign = -1 if match["sign"] == "-" else 1
    if match["dec"]:
        number = _unsigned(match["dec"])
    elif match["oct"]:
        number = int(match["oct"], 8)
    else:
        number = int(match["hex"] or match["bin"] or match["oct8"], 0)
    number *= sign
    return number if -(2**31) <= number < 2**31 else None


def _unsigned(digits: str) -> int:
    """``strtoull``: at most UINT64_MAX + 1, however many digits there are."""
    digits = digits.lstrip("0")
    return UINT64_MAX + 1 if len(digits) > 20 else min(natural(digits) or 0, UINT64_MAX + 1)


class _TooLargeError(InvalidValueError):
    """A size that systemd's numbers cannot hold."""


def _not_a_limit(text: str, meant: str) -> InvalidValueError:
    """Return the error; ``meant`` is how systemd writes what it may be, or ""."""
    if meant:
        return InvalidValueError(
            msg(
                "'{text}' is not a limit: systemd writes it {meant}.",
                text=of_text(text, 40),
                meant=of_setting(meant),
            )
        )
    return InvalidValueError(
        msg(
            "'{text}' is not a limit: {instead}.",
            text=of_text(text, 40),
            instead=msg("write a size like 256M, a share of RAM like 25%, or infinity"),
        )
    )


def _not_a_size(text: str) -> InvalidValueError:
    return InvalidValueError(
        msg(
            "'{text}' is not a size: {instead}.",
            text=of_text(text, 40),
            instead=msg("write a number with K, M or G, like 256M or 1.5G"),
        )
    )


def _not_a_span(text: str) -> InvalidValueError:
    return InvalidValueError(
        msg(
            "'{text}' is not a time span: {instead}.",
            text=of_text(text, 40),
            instead=msg("write something like 3s, 1min 30s or 100ms"),
        )
    )
