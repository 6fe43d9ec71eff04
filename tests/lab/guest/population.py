"""Random populations of units and processes, made from a seed; pure.

Sizes are shares until ``scaled``: how much there is to fill is known on the machine alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

M = 1 << 20
MAIN = 6 * M
"""Bytes that the main process of a unit, a small Python, is charged with; and each fork…"""
FORK = 5 * M // 2

BOX = ""


@dataclass(frozen=True)
class Member:
    """A process beside a unit's main one."""

    size: int
    """Bytes, once scaled."""
    adj: int | None
    """None: what it inherits, the unit's OOMScoreAdjust=."""
    kind: str = "private"
    """``private``, ``shared`` (counts as shmem) or ``huge`` (transparent huge pages)."""
    group: str = ""
    """The group below the unit's own."""


@dataclass(frozen=True)
class Nest:
    """A unit."""

    name: str
    adj: int
    oom_policy: str
    restart: str
    members: tuple[Member, ...]
    limit: int | None = None
    swap_max: int | None = None
    in_slice: bool = True
    groups: dict[str, int | None] = field(default_factory=dict)
    """Groups below it, with their limits."""
    reclaim: int = 0
    """Bytes that are pushed to swap before it begins."""

    def text(self, slice_: str) -> str:
        """Return its unit file."""
        lines = [
            "[Service]",
            f"ExecStart=/usr/bin/python3 -I -S /root/guest/nest.py /run/oracle/{self.name}",
            f"OOMScoreAdjust={self.adj}",
            f"OOMPolicy={self.oom_policy}",
            f"Restart={self.restart}",
            "RestartSec=1s",
            "TimeoutStopSec=20s",
        ]
        lines += [f"Slice={slice_}"] if self.in_slice else []
        lines += ["Delegate=memory"] if self.groups else []
        lines += _limits(self.limit, self.swap_max)
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Population:
    """What is on the machine when a shortage comes."""

    label: str
    target: str
    """The unit or slice whose limit is to be reached; BOX for the machine."""
    shape: str
    """What is random in it, in a word."""
    slice: str
    slice_limit: int | None
    slice_swap_max: int | None
    nests: tuple[Nest, ...]
    kills: int
    """So many, one after the other, if there are victims left."""
    draw: int
    """A seed for what is drawn while it runs: who grows."""

    def slice_text(self) -> str:
        """Return the slice's unit file."""
        return "\n".join(["[Slice]", *_limits(self.slice_limit, self.slice_swap_max)]) + "\n"


def _limits(limit: int | None, swap_max: int | None) -> list[str]:
    found = [] if limit is None else [f"MemoryMax={limit}"]
    return found if swap_max is None else [*found, f"MemorySwapMax={swap_max}"]


def population(seed: int, kind: str, number: int) -> Population:
    """Return the population of that number; ``kind`` is ``global`` or ``group``."""
    rng = random.Random(f"{seed} {kind} {number}")
    label = f"{'m' if kind == 'global' else 'c'}{number:02}"
    return _of_the_box(rng, label) if kind == "global" else _of_a_group(rng, label)


def _adjustments(rng: random.Random, shape: str, count: int) -> list[int | None]:
    if shape == "sizes":
        return [None] * count
    if shape == "close":
        return [rng.randrange(-120, 121) for _ in range(count)]
    if shape == "near":
        return [rng.choice([None, *range(-60, 61, 5)]) for _ in range(count)]
    return [rng.choice([None, rng.randrange(-900, 901)]) for _ in range(count)]


def _members(rng: random.Random, shape: str, count: int, groups: list[str]) -> list[Member]:
    """Return processes whose sizes are shares of 1,000 × count."""
    twins = shape == "twins"
    sizes = [1000] * count if twins else [rng.randrange(150, 1850) for _ in range(count)]
    found = []
    for size, adj in zip(sizes, _adjustments(rng, shape, count), strict=True):
        kind = "private" if twins else rng.choice(["private", "private", "huge", "shared"])
        found.append(Member(size, None if twins else adj, kind, rng.choice(["", *groups])))
    # Without groups all are in the unit's own; with groups none may be.
    return [replace(m, group=m.group or rng.choice(groups)) for m in found] if groups else found


SHAPES = ("sizes", "sizes", "near", "near", "wide", "wide", "wide", "close", "twins")
"""Without adjustments; with small ones; with any; with ones that even out the sizes, so that all
score about the same; and processes alike."""

EVEN = {"close", "twins"}
"""All grow alike, and only a small one brings the end."""


def _nest(rng: random.Random, label: str, letter: str, shape: str, *, divided: bool) -> Nest:
    groups = {"a": None, "b": None} if divided else {}
    base = {"sizes": 0, "twins": 0, "close": 0, "near": rng.randrange(-50, 51)}
    return Nest(
        f"oracle-{label}{letter}.service",
        base.get(shape, rng.randrange(-900, 901)),
        rng.choice(["continue", "stop", "kill"]),
        rng.choice(["no", "no", "on-failure", "always"]),
        tuple(_members(rng, shape, rng.randrange(1, 5), list(groups))),
        groups=dict(groups),
    )


def _of_the_box(rng: random.Random, label: str) -> Population:
    shape = rng.choice(SHAPES)
    nests = [
        replace(
            _nest(rng, label, letter, shape, divided=rng.random() < 0.25),
            in_slice=rng.random() < 0.5,
            reclaim=rng.choice([0, 0, 10, 25]) * M,
        )
        for letter in "abcd"[: rng.randrange(2, 5)]
    ]
    return Population(
        label, BOX, shape, f"oracle-{label}.slice", None, None, tuple(nests), 4, rng.getrandbits(32)
    )


def _of_a_group(rng: random.Random, label: str) -> Population:
    shape = rng.choice(SHAPES)
    limit = rng.randrange(40, 91) * M
    swap = rng.choice([0, 0, 4 * M, 12 * M, None])
    nests = [
        _nest(rng, label, letter, shape, divided=rng.random() < 0.3)
        for letter in "abc"[: rng.randrange(1, 4)]
    ]
    slice_ = f"oracle-{label}.slice"
    if len(nests) == 1 or rng.random() < 0.35:
        # The service's own limit; the slice above has one that is not reached.
        above = rng.choice([None, limit * 4])
        nests[0] = replace(nests[0], limit=limit, swap_max=swap)
        nests[1:] = [replace(n, members=n.members[:2]) for n in nests[1:]]
        return Population(
            label, nests[0].name, shape, slice_, above, None, tuple(nests), 4, rng.getrandbits(32)
        )
    # The slice's limit; one of its units has one of its own that is not reached.
    nests[-1] = replace(nests[-1], limit=limit * 2)
    if rng.random() < 0.5:
        nests[0] = replace(nests[0], swap_max=rng.choice([0, 2 * M]))
    return Population(
        label, slice_, shape, slice_, limit, swap, tuple(nests), 4, rng.getrandbits(32)
    )


def scaled(one: Population, room: int, total: int) -> Population:
    """Return it with sizes in bytes, such that its processes nearly fill ``room`` bytes.

    ``total`` is what the kernel measures an adjustment by, bytes.
    """
    target = [n for n in one.nests if one.target in {BOX, one.slice, n.name}]
    members = [m for n in target for m in n.members]
    room -= sum(MAIN + FORK * len(n.members) for n in target)
    each = max(4096.0, room / max(1, sum(m.size for m in members)))
    middle = room / max(1, len(members))

    def size(member: Member) -> int:
        if one.shape == "close":
            return max(1 << 16, int(middle - (member.adj or 0) * total / 1000))
        return int(member.size * each)

    nests = tuple(
        replace(n, members=tuple(replace(m, size=size(m)) for m in n.members)) for n in one.nests
    )
    return replace(one, nests=nests)
