"""Names of units and programs, and the rule that each has in the table of tiers; pure."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.unit import Tier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message

SERVICE = ".service"


class Kind(StrEnum):
    """What a business unit (tier 1) is to the server."""

    STORE = "store"
    """A database, a cache, a queue: it grows by its nature, and its death is felt by others."""
    APPLICATION = "application"
    """What the server is there for; a unit of unknown name is one."""
    HELPER = "helper"
    """Everything else: small, and beside the point."""


class Rule(NamedTuple):
    """What a group of the table says of each of its names."""

    tier: Tier
    reason: Message | None
    """A sentence that is true of each."""
    kind: Kind = Kind.HELPER


class Pattern(NamedTuple):
    """A pattern with at least one ``*``, taken apart once: it is held against every name."""

    first: str
    middles: tuple[str, ...]
    last: str

    def fits(self, name: str) -> bool:
        """Tell whether a name fits."""
        if not name.startswith(self.first) or not name.endswith(self.last):
            return False
        at, end = len(self.first), len(name) - len(self.last)
        for middle in self.middles:
            found = name.find(middle, at, end)
            if found < 0:
                return False
            at = found + len(middle)
        return at <= end

    def is_itself(self, name: str) -> bool:
        """Tell whether ``*`` stands for an instance, a version or nothing in a name that fits."""
        rest = name[len(self.first) : len(name) - len(self.last)]
        return self.first.endswith("@") or rest.startswith("@") or not _LETTER.search(rest)


def pattern(written: str) -> Pattern:
    """Return a name with ``*`` as a pattern."""
    first, *middles, last = written.split("*")
    return Pattern(first, tuple(middles), last)


def matches(written: str, name: str) -> bool:
    """Tell whether a name fits a pattern in which ``*`` stands for any characters."""
    return pattern(written).fits(name) if "*" in written else name == written


class Found(NamedTuple):
    """The rule of a name."""

    rule: Rule
    itself: bool
    """It is the rule's own name, an instance or a version of it; not one that begins alike."""


class Names(NamedTuple):
    """The units of the table."""

    units: dict[str, Rule]
    patterns: dict[str, tuple[tuple[Pattern, Rule], ...]]
    """By their first character, those that begin with ``*`` under each: a unit that is in no rule
    would else be held against hundreds."""

    def find(self, names: Sequence[str]) -> Found | None:
        """Return the rule of a unit, by its names; the first counts, as it is before a pattern."""
        for name in names:
            if rule := self.units.get(name):
                return Found(rule, itself=True)
        for name in names:
            if found := (self._others(name) if name.startswith("snap.") else None) or self._fit(
                name
            ):
                return found
        return next((found for name in names if (found := self._others(name))), None)

    def one(self, name: str) -> Found | None:
        """Return the rule of exactly this name."""
        rule = self.units.get(name)
        return Found(rule, itself=True) if rule else self._fit(name)

    def _fit(self, name: str) -> Found | None:
        for each, rule in self.patterns.get(name[:1]) or self.patterns.get("*", ()):
            if name.startswith(each.first) and each.fits(name):  # most do not even begin so
                itself = each.is_itself(name)
                if itself or rule.tier is not Tier.SHORT_LIVED or not _SERVES.search(name):
                    return Found(rule, itself)
        return None

    def _others(self, name: str) -> Found | None:
        return next((found for n in others(name) if (found := self.one(n))), None)


def others(name: str) -> Iterator[str]:
    """Yield what a service may be known as: its template, a snap's parts, without a version."""
    stem = name.removesuffix(SERVICE)
    if stem.startswith("snap."):
        _, snap, *app = stem.split(".", 2)
        yield from (f"{part}{SERVICE}" for part in (*app, snap))
        return
    base = stem.partition("@")[0]
    if base != stem:
        yield f"{base}{SERVICE}"
    yield from (f"{plainer}{SERVICE}" for plainer in bare(base))


_SERVES = re.compile(
    r"[-_.](?:server|serve|daemon|web|webui|ui|gui|api|exporter|mount|worker|dashboard)"
    r"(?:@.*)?\.service\Z"
)
"""How the names of what serves for good end: backup-server is no backup."""

LONGEST = 80
"""Characters of a name beyond which nobody has given it: no time is spent on it."""

_LETTER = re.compile(r"[^\W\d_]")
_SIGN = re.compile(r"[\d.]|[-_](?:linux|amd64|arm|aarch)")
_SUFFIX = re.compile(
    r"\.(?:sh|bash|pyc?|pyz|[mc]?js|ts|rb|pl|php|phar|jar|war|dll|bin|run|exe|AppImage)\Z"
)
_PLATFORM = re.compile(
    r"[-_.](?:linux|amd64|x86[-_]64|x64|arm64|aarch64|armv?\d\w{0,4}|musl|static)(?=[-_.]|\Z).*"
)
_VERSION = re.compile(r"[-_.]?v?\d+(?:[._]\d+)*(?=[-_.]|\Z)")


def bare(name: str) -> Iterator[str]:
    """Yield a name without a script's suffix, a platform, a version (``redis6-server``)."""
    if len(name) > LONGEST or not _SIGN.search(name):
        return
    for sign in (_SUFFIX, _PLATFORM, _VERSION):
        shorter = sign.sub("", name)
        if shorter and shorter != name:
            name = shorter
            yield name


# --- agents ---------------------------------------------------------------------------------------

_PARTS = re.compile(r"[-_.\s]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BEHIND_AGENT = frozenset(
    {
        *("updater", "update", "upgrade", "upgrader", "watchdog", "monitor", "core", "plugin"),
        *("daemon", "service", "svc", "supervisor", "manager", "launcher", "helper", "guard"),
    }
)
_NO_AGENTS = frozenset(
    {
        *("ai", "llm", "gpt", "chat", "chatbot", "claude", "openai", "gemini", "llama", "rag"),
        *("langchain", "langgraph", "crewai", "autogen", "voice", "bot", "trade", "trading"),
        *("sales", "estate", "travel", "user", "ssh", "gpg", "reagent"),
    }
)
"""Words beside "agent" that make it something else: an application of artificial intelligence, a
person's trade, a browser's name, a keeper of keys."""


def is_agent(name: str) -> bool:
    """Tell whether a name is that of an agent: what reports to a console elsewhere, or obeys it."""
    if "agent" not in name and "Agent" not in name:
        return False
    words = [word.lower() for word in _PARTS.split(name.partition("@")[0][:LONGEST]) if word]
    while words and (words[-1] in _BEHIND_AGENT or not _LETTER.search(words[-1])):
        words.pop()
    return (
        bool(words)
        and words[-1].endswith(("agent", "agentd", "agent2"))
        and not _NO_AGENTS.intersection(words)
    )
