"""The table of services that a small server seldom needs (idle.toml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lowmem_tui.model.message import Message
from lowmem_tui.policy.classify import matches

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS = ("reason", "lost", "keep")
"""Keys of sentences: each is a template of the catalogs (tests/catalogs.py extracts them)."""

TABLE = Path(__file__).with_name("idle.toml")


@dataclass(frozen=True, slots=True)
class Idle:
    """A service that may be unneeded."""

    unit: str
    reason: Message
    lost: Message
    also: tuple[str, ...] = ()
    guard: str = ""
    mask: bool = False
    keep: Message | None = None

    def members(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of these names that go with it, itself first."""
        others = sorted(n for n in names if any(matches(pattern, n) for pattern in self.also))
        return tuple(dict.fromkeys((self.unit, *others)))


@cache
def table() -> tuple[Idle, ...]:
    """Return the table."""
    import tomllib

    found = []
    for block in tomllib.loads(TABLE.read_text("utf-8"))["services"]:
        also = tuple(block.pop("also", ()))
        block |= {key: Message(block[key]) for key in WORDS if key in block}
        found.append(Idle(**block, also=also))
    return tuple(found)
