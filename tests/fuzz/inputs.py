"""What a target may do with an input, and how inputs are made without a fuzzer."""

from __future__ import annotations

import contextlib
import random
import re
import time
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.targets import Target

LONGEST = 8192
"""Bytes of an input: all parsers are linear, and what is not takes seconds for so many."""

MOST = 0.1
"""Seconds of process time that one input may take."""

PIECES = (
    b"\0", b"\n", b"\r\n", b"\\\n", b"\\", b'"', b"'", b"${", b"}", b"{", b"[", b"]", b"(", b"#",
    b";", b"=", b":", b",", b"%", b"-", b"--", b".", b"..", b"/", b"*", b"\t", b" ", b"9" * 25,
    b"\xff", "\u0301".encode(), "\u202e".encode(), "²".encode(), "１".encode(), "日本".encode(),
)  # fmt: skip
"""What the grammars here give a meaning to, and what text hides."""


class TooSlowError(Exception):
    """An input took more than ``MOST``."""


def check(target: Target, data: bytes, most: float = MOST) -> None:
    """Give a target one input; whatever is wrong is raised.

    A second and a third look at the clock exclude what else the machine was doing.
    """
    taken = 0.0
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(LowmemError):
            target.run(data)
        taken = time.process_time() - began
        if taken <= most:
            return
    raise TooSlowError(f"{taken:.2f} s for {len(data)} bytes beginning with {data[:60]!r}")


def inputs(target: Target, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield inputs: the seeds, then changed seeds and pieces in any order, some very often.

    Always the same for the same arguments.
    """
    yield from target.seeds
    yield b""
    chance = random.Random(seed)
    found = {piece for each in target.seeds for piece in re.split(rb"(\W)", each) if piece}
    pieces = sorted(found | set(PIECES))
    for _ in range(count - len(target.seeds) - 1):
        data = chance.choice(target.seeds) if chance.random() < 0.6 else b""
        for _ in range(chance.randint(1, 8)):
            data = _changed(data, chance, pieces)
        yield data[:LONGEST]


def _changed(data: bytes, chance: random.Random, pieces: list[bytes]) -> bytes:
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice((0, 0, 1, 2, 8, len(data))))
    kind = chance.random()
    if kind < 0.5:
        new = chance.choice(pieces)
    elif kind < 0.6:
        new = bytes([chance.randrange(256)])
    elif kind < 0.62:
        new = (data[start:end] or chance.choice(pieces)) * chance.randint(2, LONGEST)
    elif kind < 0.8:
        new = data[start:end] * 2
    else:
        new = b""
    return data[:start] + new[:LONGEST] + data[end:]
