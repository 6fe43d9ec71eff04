"""Finding a few entries of a D-Bus dictionary without decoding the others.

A unit has up to 450 properties of which we read 37; to decode them all in Python costs a slow
server seconds. Source: D-Bus specification, "Marshaling (Wire Format)".
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_FIXED = {"y": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "h": 4, "x": 8, "t": 8, "d": 8}
_ALIGNMENT = {**_FIXED, "s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8}
_PLAIN = {kind.encode(): size for kind, size in _FIXED.items()}


def entries(raw: bytes, at: int, order: str, wanted: Container[bytes]) -> Iterator[tuple[str, int]]:
    """Yield the key and the place of the variant for each wanted entry of an ``a{sv}``.

    ``raw`` is the whole message, ``at`` where the dictionary begins, ``order`` the struct
    module's sign of its byte order. Raises ValueError, IndexError and struct.error for a
    message that is none.
    """
    uint32 = Struct(f"{order}I").unpack_from
    at = (at + 3) & ~3
    (length,) = uint32(raw, at)
    at = (at + 11) & ~7
    end = at + length
    if end > len(raw):
        raise ValueError("the dictionary is longer than its message")
    while at < end:
        at = (at + 7) & ~7
        (length,) = uint32(raw, at)
        at += 4
        key = raw[at : at + length]
        at += length + 1
        if key in wanted:
            yield key.decode(), at
        length = raw[at]
        # Most are of a plain type: done here, and not in a call, they take half the time.
        size = _PLAIN.get(raw[at + 1 : at + 1 + length])
        if not size:
            at = _after_variant(raw, at, order)
            continue
        at = ((at + 2 + size) & -size) + size


def _after_variant(raw: bytes, at: int, order: str) -> int:
    end = at + 1 + raw[at]
    return _after(raw, raw[at + 1 : end].decode("ascii"), end + 1, order)


def _after(raw: bytes, signature: str, at: int, order: str) -> int:
    """Return where a value of one complete type ends."""
    kind = signature[0]
    size = _FIXED.get(kind)
    if size:
        return ((at + size - 1) & -size) + size
    if kind in "so":
        at = (at + 3) & ~3
        length: int = unpack_from(f"{order}I", raw, at)[0]
        return at + 4 + length + 1
    if kind == "g":
        return at + 1 + raw[at] + 1
    if kind == "v":
        return _after_variant(raw, at, order)
    if kind == "a":
        at = (at + 3) & ~3
        length = unpack_from(f"{order}I", raw, at)[0]
        alignment = _ALIGNMENT[signature[1]]
        return ((at + 4 + alignment - 1) & -alignment) + length
    if kind not in "({":
        raise ValueError(f"no D-Bus type: {signature}")
    at = (at + 7) & ~7
    for member in _members(signature[1:-1]):
        at = _after(raw, member, at, order)
    return at


@lru_cache(maxsize=64)
def _members(signature: str) -> tuple[str, ...]:
    """Split a signature into its complete types."""
    members = []
    start = 0
    while start < len(signature):
        end = start
        while signature[end] == "a":
            end += 1
        depth = 0
        while True:
            depth += (signature[end] in "({") - (signature[end] in ")}")
            end += 1
            if not depth:
                break
        members.append(signature[start:end])
        start = end
    return tuple(members)
