"""Chance that is the same each time: a hash of the seed, a stream and a step."""

from __future__ import annotations

_MASK = 0xFFFFFFFF


def noise(seed: int, stream: int, step: int) -> float:
    """Return a number from −1 to 1 that only its arguments decide.

    The 32 bit mixer of Murmur 3, so that neighbours have nothing to do with each other.
    """
    x = (seed * 0x9E3779B1 + stream * 0x85EBCA77 + step * 0xC2B2AE3D + 0x27D4EB2F) & _MASK
    x ^= x >> 16
    x = x * 0x85EBCA6B & _MASK
    x ^= x >> 13
    x = x * 0xC2B2AE35 & _MASK
    x ^= x >> 16
    return x / 0x7FFFFFFF - 1.0
