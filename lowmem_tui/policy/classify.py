"""Which tier a unit belongs to, and why, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lowmem_tui.model.quantity import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Tier, UnitType, is_unit_name, unit_type
from lowmem_tui.policy import toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.snapshot import Situation, Unit
    from lowmem_tui.model.unit import UnitProperties


class Group(StrEnum):
    """The groups of the screen: the three tiers, and what has no tier."""

    GATEKEEPERS = "gatekeepers"
    BUSINESS = "business"
    SHORT_LIVED = "short-lived"
    SESSIONS = "sessions"
    SLICES = "slices"
    OTHER = "other"


GROUP_OF = {
    Tier.GATEKEEPER: Group.GATEKEEPERS,
    Tier.BUSINESS: Group.BUSINESS,
    Tier.SHORT_LIVED: Group.SHORT_LIVED,
}


class Kind(StrEnum):
    """What a business unit (tier 1) is to the server."""

    STORE = "store"
    """A database, a cache, a queue: it grows by its nature, and its death is felt by others."""
    APPLICATION = "application"
    """What the server is there for; a unit of unknown name is one."""
    HELPER = "helper"
    """Everything else: small, and beside the point."""


class Verdict(NamedTuple):
    """What ``Rules.classify`` says."""

    tier: Tier | None
    group: Group
    reason: str
    """In words, without a full stop: ``started by certbot.timer``."""


Config: TypeAlias = tuple[tuple[str, Tier], ...]
"""The administrator's tiers: (name or pattern, tier), in the order of the file."""

LARGE = 0.10
"""A unit of unknown name that holds this share of RAM is said to be large."""

_OTHERS = {
    UnitType.SOCKET: "a socket",
    UnitType.MOUNT: "a mount",
    UnitType.AUTOMOUNT: "a mount",
    UnitType.SWAP: "swap space",
    UnitType.TIMER: "a timer",
    UnitType.TARGET: "a target",
    UnitType.PATH: "a watched path",
    UnitType.DEVICE: "a device",
    UnitType.CGROUP: "a control group without a unit",
}

_CONTAINERS = ("docker-*.scope", "libpod-*.scope", "crio-*.scope", "cri-containerd-*.scope")

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "busybox"})
_WRAPPERS = _SHELLS | {
    *("env", "exec", "nice", "ionice", "chrt", "taskset", "sudo", "su", "runuser", "setpriv"),
    *("chpst", "gosu", "su-exec", "tini", "dumb-init", "timeout", "nohup", "setsid", "flock"),
}
_WORDS_READ = 12


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern in which ``*`` stands for any characters."""
    return _pattern(pattern).fits(name) if "*" in pattern else name == pattern


class _Pattern(NamedTuple):
    """A pattern with at least one ``*``, taken apart once: it is held against every name."""

    first: str
    middles: tuple[str, ...]
    last: str

    def fits(self, name: str) -> bool:
        if not name.startswith(self.first) or not name.endswith(self.last):
            return False
        at, end = len(self.first), len(name) - len(self.last)
        for middle in self.middles:
            found = name.find(middle, at, end)
            if found < 0:
                return False
            at = found + len(middle)
        return at <= end


def _pattern(text: str) -> _Pattern:
    first, *middles, last = text.split("*")
    return _Pattern(first, tuple(middles), last)


class _Rule(NamedTuple):
    tier: Tier
    reason: str
    kind: Kind = Kind.HELPER


class _Programs(NamedTuple):
    """Programs by their names; the rank tells which of two counts: the lower."""

    names: dict[str, int]
    patterns: tuple[tuple[_Pattern, int], ...]
    tiers: tuple[Tier, ...]
    """By rank."""

    def rank(self, program: str) -> int | None:
        """Return the rank of a program; None of one that is not known."""
        named = self.names.get(program)
        for pattern, rank in self.patterns:
            if named is not None and named < rank:
                break
            if pattern.fits(program):
                return rank
        return named


@dataclass(frozen=True, slots=True)
class Rules:
    """The table, and the administrator's overrides."""

    units: dict[str, _Rule]
    patterns: dict[str, tuple[tuple[_Pattern, _Rule], ...]]
    """By their first character, those that begin with ``*`` under each: a unit that is in no rule
    would else be held against hundreds."""
    programs: _Programs
    config: Config = ()

    def with_config(self, config: Config) -> Rules:
        """Return the rules with overrides that go before everything else."""
        return replace(self, config=config)

    def classify(self, unit: Unit, ram: int) -> Verdict:
        """Return the tier of a unit; ``ram`` is the machine's memory in bytes.

        Pure, and cheap enough for each unit once per change of its properties.
        """
        names = (unit.name, *(unit.properties.names if unit.properties else ()))
        for pattern, tier in self.config:
            if any(matches(pattern, name) for name in names):
                return _tier(tier, f"the configuration says so ({plain(pattern)})")
        kind = unit_type(unit.name)
        if kind is UnitType.SERVICE:
            if matches("user@*.service", unit.name):
                return Verdict(None, Group.SESSIONS, "the services of a logged-in user")
            return self._service(unit, names, ram)
        return _no_service(unit.name, kind)

    def kind(self, unit: Unit) -> Kind:
        """Return what a unit is to the server; it means something for tier 1 alone."""
        names = (unit.name, *(unit.properties.names if unit.properties else ()))
        if rule := self._by_name(names):
            return rule.kind
        return Kind.APPLICATION

    def tiers(self, situation: Situation) -> dict[str, Tier | None]:
        """Return the tier of each unit of a situation, by primary name, as a plan wants them."""
        ram = situation.snapshot.host.mem_total
        units = [known.unit for known in situation.units.values()]
        return {unit.name: self.classify(unit, ram).tier for unit in units}

    def _service(self, unit: Unit, names: tuple[str, ...], ram: int) -> Verdict:
        properties = unit.properties
        if properties and properties.type == "oneshot":
            rule = self._by_name(names)
            if rule and rule.tier is Tier.GATEKEEPER and _stays(unit, properties):
                return _tier(rule.tier, f"in the table: {rule.reason}")
            return _tier(Tier.SHORT_LIVED, "Type=oneshot")
        if properties:
            for trigger in properties.triggered_by:
                if unit_type(trigger) is UnitType.TIMER:
                    return _tier(Tier.SHORT_LIVED, f"started by {plain(trigger)}")
        if rule := self._by_name(names):
            return _tier(rule.tier, f"in the table: {rule.reason}")
        for words in _command_lines(unit):
            if found := self._program(words):
                program, tier = found
                return _tier(tier, f"its command line runs {plain(program, 30)}")
        usage = unit.usage
        held = (usage.rss or 0) + (usage.swap or 0) if usage else 0
        if ram and held >= LARGE * ram:
            share = f"holds {format_size(held)}, {held * 100 // ram} % of RAM"
            return _tier(Tier.BUSINESS, share)
        return _tier(Tier.BUSINESS, "not in the table: killable, as any application")

    def _by_name(self, names: Iterable[str]) -> _Rule | None:
        for name in names:
            if rule := self.units.get(name):
                return rule
        for name in names:
            for pattern, rule in self.patterns.get(name[:1]) or self.patterns.get("*", ()):
                if pattern.fits(name):
                    return rule
        return None

    def _program(self, words: Iterator[str]) -> tuple[str, Tier] | None:
        """Find the best known program, past interpreters and wrappers."""
        best: tuple[int, str] | None = None
        shell = False
        for _, word in zip(range(_WORDS_READ), words, strict=False):
            if word.startswith("-") or "=" in word:
                continue
            program = word.rpartition("/")[2].rstrip(":")
            rank = self.programs.rank(program)
            if rank is not None and (best is None or rank < best[0]):
                best = rank, program
            shell = shell or program in _SHELLS
            if rank is None and not shell and program not in _WRAPPERS:
                break
        return (best[1], self.programs.tiers[best[0]]) if best else None


def _stays(unit: Unit, properties: UnitProperties) -> bool:
    """Tell whether a oneshot has left processes that run for good, as ifupdown does dhclient."""
    # Only one with RemainAfterExit= is ever active.
    return properties.active_state == "active" and bool(unit.usage and unit.usage.processes)


def _command_lines(unit: Unit) -> Iterator[Iterator[str]]:
    """Yield the words of ExecStart=, then those of the main (or largest) process."""
    if unit.properties and unit.properties.exec_start:
        yield (word for argument in unit.properties.exec_start for word in argument.split())
    if unit.usage and unit.usage.processes:
        main_pid = unit.properties.main_pid if unit.properties else 0
        process = max(unit.usage.processes, key=lambda p: (p.pid == main_pid, p.rss))
        yield iter((process.command or process.name).split())


def _no_service(name: str, kind: UnitType) -> Verdict:
    if kind is UnitType.SLICE:
        return Verdict(None, Group.SLICES, "a slice: it holds other units")
    if kind is not UnitType.SCOPE:
        return Verdict(None, Group.OTHER, _OTHERS.get(kind, "not a service"))
    if matches("session-*.scope", name):
        return Verdict(None, Group.SESSIONS, "a login session")
    if name == "init.scope":
        return Verdict(None, Group.OTHER, "systemd itself, which the kernel never kills")
    if any(matches(pattern, name) for pattern in _CONTAINERS):
        return _tier(Tier.BUSINESS, "a container")
    return Verdict(None, Group.OTHER, "processes that another program handed to systemd")


def _tier(tier: Tier, reason: str) -> Verdict:
    return Verdict(tier, GROUP_OF[tier], reason)


# --- reading the rules ------------------------------------------------------------------------

# The plain form of tiers.toml. The standard library's parser costs ten times as much, and its
# import as much again, at every start.
_BLOCK = re.compile(
    r'\s*\[\[(units|programs)\]\]\ntier = ([012])\n(?:kind = "([a-z]+)"\n)?'
    r'(?:reason = "([^"\\\n]*)"\n)?'
    r'names = \[\s*((?:"[^"\\\n]*",\s*)*)\]\n?\s*'
)
_COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
_NAME = re.compile(r'"([^"]*)"')
_KINDS = frozenset(Kind)


def parse_rules(text: str) -> Rules:
    """Return the rules of a table in the form of tiers.toml.

    Raises InvalidValueError, naming the line.
    """
    blocks = _plain_blocks(text)
    units: dict[str, _Rule] = {}
    patterns: list[tuple[_Pattern, _Rule]] = []
    programs: list[tuple[str, Tier]] = []
    for section, tier, kind, reason, names in _toml_blocks(text) if blocks is None else blocks:
        rule = _Rule(tier, reason, kind)
        for name in names:
            if section == "programs":
                programs.append((name, tier))
                continue
            full = _service(name)
            if "*" in full:
                patterns.append((_pattern(full), rule))
            else:
                units.setdefault(full, rule)
    heads: dict[str, list[tuple[_Pattern, _Rule]]] = {p.first[:1]: [] for p, _ in patterns}
    for pattern, rule in patterns:
        for head in [pattern.first[0]] if pattern.first else heads:
            heads[head].append((pattern, rule))
    by_head = {head or "*": tuple(found) for head, found in heads.items()}
    return Rules(units, by_head, _programs(programs))


def _programs(found: list[tuple[str, Tier]]) -> _Programs:
    names: dict[str, int] = {}
    patterns = []
    for rank, (name, _) in enumerate(found):
        if "*" in name:
            patterns.append((_pattern(name), rank))
        else:
            names.setdefault(name, rank)
    return _Programs(names, tuple(patterns), tuple(tier for _, tier in found))


def _service(name: str) -> str:
    """Return a name or pattern with its suffix: one without is a service's."""
    return name if unit_type(name) is not UnitType.CGROUP else f"{name}.service"


_Block: TypeAlias = tuple[str, Tier, Kind, str, list[str]]


def _plain_blocks(text: str) -> list[_Block] | None:
    """Read the plain form; None if the text is in any other."""
    body = _COMMENT.sub("", text)
    found: list[_Block] = []
    at = 0
    while at < len(body):
        block = _BLOCK.match(body, at)
        if not block or (block[3] or Kind.HELPER) not in _KINDS:
            return None
        tier, kind = Tier(int(block[2])), Kind(block[3] or Kind.HELPER)
        found.append((block[1], tier, kind, block[4] or "", _NAME.findall(block[5])))
        at = block.end()
    return found


def _toml_blocks(text: str) -> Iterator[_Block]:
    document = toml.parse(text)
    for section, blocks in document.items():
        if section not in {"units", "programs"} or not isinstance(blocks, list):
            sentence = f"'{plain(section, 40)}' is unknown: write [[units]] or [[programs]]."
            raise toml.wrong(text, (section,), sentence)
        for block in blocks:
            known = isinstance(block, dict) and set(block) <= {"tier", "kind", "reason", "names"}
            names = block.get("names") if known else None
            reason = block.get("reason", "") if known else None
            kind = block.get("kind", Kind.HELPER) if known else None
            if (
                not isinstance(names, list)
                or not isinstance(reason, str)
                or kind not in _KINDS
                or not all(isinstance(name, str) for name in names)
            ):
                raise toml.wrong(text, (section,), "write tier, kind, reason and a list of names.")
            tier = tier_of(text, (section,), block.get("tier"))
            yield section, tier, Kind(kind), reason, names


def tier_of(text: str, path: tuple[str, ...], value: object) -> Tier:
    """Return a tier read from TOML; InvalidValueError, naming the line, if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in (0, 1, 2):
        raise toml.wrong(text, path, f"a tier is 0, 1 or 2, not {plain(repr(value), 40)}.")
    return Tier(value)


def parse_config(text: str) -> Config:
    """Return the overrides of /etc/lowmem-tui/config.toml.

    Its one section is ``[tiers]``: a unit's name, or a pattern with ``*``, = 0, 1 or 2; the first
    that fits counts. Raises InvalidValueError, naming the line.
    """
    document = toml.parse(text)
    for section in document:
        if section != "tiers":
            sentence = f"section '{plain(section, 40)}' is unknown: only [tiers] may stand here."
            raise toml.wrong(text, (section,), sentence)
    return parse_tiers(text, document.get("tiers", {}))


def parse_tiers(text: str, tiers: object) -> Config:
    """Return a ``[tiers]`` section; ``text`` is the whole document, for the line of an error.

    Raises InvalidValueError.
    """
    if not isinstance(tiers, dict):
        raise toml.wrong(text, ("tiers",), 'write [tiers] with lines such as "app.service" = 1.')
    found: list[tuple[str, Tier]] = []
    for name, value in tiers.items():
        path = ("tiers", name)
        full = _service(name)
        # A name with a dot and without quotes is two keys of TOML.
        if not name or isinstance(value, dict) or not is_unit_name(full.replace("*", "x")):
            shown = plain(name, 40)
            hint = 'write it in quotes, like "app.service".'
            raise toml.wrong(text, path, f"'{shown}' is not a unit's name: {hint}")
        found.append((full, tier_of(text, path, value)))
    return tuple(found)
