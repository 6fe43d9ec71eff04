"""Which tier a unit belongs to, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lowmem_tui.model.message import Message, msg, of_bytes, of_text, of_unit, sentences
from lowmem_tui.model.unit import TIERS_FILE, Tier, UnitType, is_unit_name, unit_type
from lowmem_tui.policy import toml
from lowmem_tui.policy.names import SERVICE, Names, Rule, is_agent, pattern
from lowmem_tui.policy.names import Kind as Kind
from lowmem_tui.policy.names import matches as matches
from lowmem_tui.policy.programs import AGENT, Programs, Sort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.model.snapshot import Situation, Unit
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.policy.names import Found, Pattern
    from lowmem_tui.policy.programs import Program


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


class Verdict(NamedTuple):
    """What ``Rules.classify`` says."""

    tier: Tier | None
    group: Group
    reason: Message
    """A sentence or two: ``certbot.timer starts it.``"""


Config: TypeAlias = tuple[tuple[str, Tier], ...]
"""The administrator's tiers: (name or pattern, tier), in the order of the file."""

_MOST_TEXT = 4096
"""Characters of a process' command line that are looked at."""

LARGE = 0.10
"""A unit of unknown name that holds this share of RAM counts as large."""

_OTHERS = {
    UnitType.SOCKET: msg("It is a socket."),
    UnitType.MOUNT: msg("It is a mount."),
    UnitType.AUTOMOUNT: msg("It is a mount."),
    UnitType.SWAP: msg("It is swap space."),
    UnitType.TIMER: msg("It is a timer."),
    UnitType.TARGET: msg("It is a target."),
    UnitType.PATH: msg("It is a watched path."),
    UnitType.DEVICE: msg("It is a device."),
    UnitType.CGROUP: msg("It is a control group without a unit."),
}

_CONTAINERS = ("docker-*.scope", "libpod-*.scope", "crio-*.scope", "cri-containerd-*.scope")


class _Judged(NamedTuple):
    tier: Tier
    kind: Kind
    reason: Message


@dataclass(frozen=True, slots=True)
class Rules:
    """The table, and the administrator's overrides."""

    names: Names
    programs: Programs
    config: Config = ()

    @property
    def units(self) -> dict[str, Rule]:
        """The units of the table that stand there by their whole names."""
        return self.names.units

    @property
    def patterns(self) -> dict[str, tuple[tuple[Pattern, Rule], ...]]:
        """Those that stand there as patterns, by their first characters."""
        return self.names.patterns

    def with_config(self, config: Config) -> Rules:
        """Return the rules with overrides that go before everything else."""
        return replace(self, config=config)

    def following(self, files: Iterable[tuple[str, str | None]]) -> Rules:
        """Return the rules after these files (path, text now) were written.

        They are others if the administrator's file is among them. Raises InvalidValueError.
        """
        rules = self
        for path, text in files:
            if path == TIERS_FILE:
                rules = rules.with_config(parse_config(text or ""))
        return rules

    def classify(self, unit: Unit, ram: int) -> Verdict:
        """Return the tier of a unit; ``ram`` is the machine's memory in bytes.

        Pure, and cheap enough for each unit once per change of its properties.
        """
        names = _names(unit)
        for own, tier in self.config:
            if any(matches(own, name) for name in names):
                return _tier(
                    tier, msg("The configuration sets this tier ({name}).", name=of_unit(own))
                )
        kind = unit_type(unit.name)
        if kind is UnitType.SERVICE:
            if unit.name.startswith("user@"):
                return Verdict(
                    None, Group.SESSIONS, msg("It runs the services of a logged-in user.")
                )
            return self._service(unit, names, ram)
        return _no_service(unit.name, kind)

    def kind(self, unit: Unit) -> Kind:
        """Return what a unit is to the server; it means something for tier 1 alone."""
        judged = self._judge(unit, _names(unit))
        return judged.kind if judged else Kind.APPLICATION

    def tiers(self, situation: Situation) -> dict[str, Tier | None]:
        """Return the tier of each unit of a situation, by primary name, as a plan wants them."""
        ram = situation.snapshot.host.mem_total
        units = [known.unit for known in situation.units.values()]
        return {unit.name: self.classify(unit, ram).tier for unit in units}

    def _service(self, unit: Unit, names: Sequence[str], ram: int) -> Verdict:
        if judged := self._judge(unit, names):
            return _tier(judged.tier, judged.reason)
        usage = unit.usage
        held = (usage.rss or 0) + (usage.swap or 0) if usage else 0
        if ram and held >= LARGE * ram:
            uses = msg(
                "It uses {size}, {share} % of RAM.", size=of_bytes(held), share=held * 100 // ram
            )
            return _tier(Tier.BUSINESS, uses)
        return _tier(
            Tier.BUSINESS,
            msg("It is not in the table of known services, and counts as an application."),
        )

    def _judge(self, unit: Unit, names: Sequence[str]) -> _Judged | None:
        """Return what a service is by its name, its type, its timer and its program."""
        properties, named = unit.properties, self.names.find(names)
        oneshot = properties is not None and properties.type == "oneshot"
        timer = _timer(properties)
        if named and not (oneshot or timer) and _is_certain(named):
            return _in_table(named.rule)
        program = self._program(unit)
        if oneshot:
            return self._oneshot(unit, named, program)
        if timer and (judged := _timed(timer, named, program)):
            return judged
        sort = program.sort if program is not None else None
        if named and sort is not Sort.DAEMON:
            return _in_table(named.rule)
        if sort not in {Sort.DAEMON, Sort.JOB} and is_agent(unit.name.removesuffix(SERVICE)):
            return _in_table(AGENT)
        return _runs(program) if program else None

    def _oneshot(self, unit: Unit, named: Found | None, program: Program | None) -> _Judged:
        """Return what a oneshot is: over, unless it has left a gatekeeper that runs for good."""
        if unit.properties and _stays(unit, unit.properties):
            if named and named.rule.tier is Tier.GATEKEEPER:
                return _in_table(named.rule)
            if program and program.rule.tier is Tier.GATEKEEPER:
                return _runs(program)
        return _Judged(
            Tier.SHORT_LIVED, Kind.HELPER, msg("It is Type=oneshot: it does its work and ends.")
        )

    def _program(self, unit: Unit) -> Program | None:
        """Return what a service runs, by ExecStart= and by its main (or largest) process."""
        found: Program | None = None
        for words in _command_lines(unit):
            known = self.programs.find(words)
            if known is not None and (found is None or known.sort < found.sort):
                found = known
            if found is not None and found.sort is Sort.DAEMON:
                break
        return found


def _names(unit: Unit) -> tuple[str, ...]:
    return (unit.name, *(unit.properties.names if unit.properties else ()))


def _timer(properties: UnitProperties | None) -> str:
    """Return the timer that starts a service to do something and end; "" for none.

    What is always started again is no job: its timer only starts it late.
    """
    if properties is None or properties.restart == "always":
        return ""
    timers = (t for t in properties.triggered_by if unit_type(t) is UnitType.TIMER)
    return next(timers, "")


def _timed(timer: str, named: Found | None, program: Program | None) -> _Judged | None:
    """Return what a service is that a timer starts; None where the timer tells nothing of it."""
    sort = program.sort if program is not None else None
    known = named and named.itself and named.rule.tier is not Tier.SHORT_LIVED
    if sort is not Sort.DAEMON and (sort is Sort.JOB or not known):
        started = msg("{timer} starts it.", timer=of_unit(timer))
        return _Judged(Tier.SHORT_LIVED, Kind.HELPER, started)
    return _in_table(named.rule) if named and known else None


def _is_certain(named: Found) -> bool:
    """Tell whether a name in the table decides, whatever the program is."""
    tier = named.rule.tier
    return tier is Tier.GATEKEEPER or (named.itself and tier is Tier.BUSINESS)


def _in_table(rule: Rule) -> _Judged:
    known = rule.reason or msg("It is in the table of known services.")
    return _Judged(rule.tier, rule.kind, known)


def _runs(program: Program) -> _Judged:
    rule = program.rule
    runs = msg("Its command line runs {program}.", program=of_text(program.name, 40))
    explained = rule.reason if rule.kind is not Kind.APPLICATION else None
    return _Judged(rule.tier, rule.kind, sentences(runs, explained))


def _stays(unit: Unit, properties: UnitProperties) -> bool:
    """Tell whether a oneshot has left processes that run for good, as ifupdown does dhclient."""
    # Only one with RemainAfterExit= is ever active.
    return properties.active_state == "active" and bool(unit.usage and unit.usage.processes)


def _command_lines(unit: Unit) -> Iterator[Sequence[str]]:
    """Yield the words of ExecStart=, then those of the main (or largest) process."""
    if unit.properties and unit.properties.exec_start:
        yield unit.properties.exec_start
    if unit.usage and unit.usage.processes:
        main_pid = unit.properties.main_pid if unit.properties else 0
        process = max(unit.usage.processes, key=lambda p: (p.pid == main_pid, p.rss))
        yield (process.command or process.name)[:_MOST_TEXT].split()


def _no_service(name: str, kind: UnitType) -> Verdict:
    if kind is UnitType.SLICE:
        return Verdict(None, Group.SLICES, msg("It is a slice: it contains other units."))
    if kind is not UnitType.SCOPE:
        return Verdict(None, Group.OTHER, _OTHERS.get(kind, msg("It is not a service.")))
    if matches("session-*.scope", name):
        return Verdict(None, Group.SESSIONS, msg("It is a login session."))
    if name == "init.scope":
        return Verdict(
            None, Group.OTHER, msg("It is systemd itself, which the kernel never kills.")
        )
    if any(matches(pattern, name) for pattern in _CONTAINERS):
        return _tier(Tier.BUSINESS, msg("It is a container."))
    return Verdict(
        None, Group.OTHER, msg("It contains processes that another program handed to systemd.")
    )


def _tier(tier: Tier, reason: Message) -> Verdict:
    return Verdict(tier, GROUP_OF[tier], reason)


# --- reading the rules ------------------------------------------------------------------------

# The plain form of tiers.toml. The standard library's parser costs ten times as much, and its
# import as much again, at every start.
_BLOCK = re.compile(
    r'\s*\[\[(units|programs|runners|verbs)\]\]\ntier = ([012])\n(?:kind = "([a-z]+)"\n)?'
    r'(?:reason = "([^"\\\n]*)"\n)?'
    r'names = \[\s*((?:"[^"\\\n]*",\s*)*)\]\n?\s*'
)
_COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
_NAME = re.compile(r'"([^"]*)"')
_KINDS = frozenset(Kind)
_SECTIONS = frozenset({"units", "programs", "runners", "verbs"})


def parse_rules(text: str) -> Rules:
    """Return the rules of a table in the form of tiers.toml.

    Raises InvalidValueError, naming the line.
    """
    blocks = _plain_blocks(text)
    units: dict[str, Rule] = {}
    patterns: list[tuple[Pattern, Rule]] = []
    programs: dict[str, tuple[Rule, Sort]] = {}
    alike: list[tuple[Pattern, Rule, Sort]] = []
    verbs: dict[str, Tier] = {}
    for section, tier, kind, reason, names in _toml_blocks(text) if blocks is None else blocks:
        rule = Rule(tier, Message(reason) if reason else None, kind)
        for name in names:
            if section == "verbs":
                verbs[name] = tier
            elif section != "units":
                sort = _sort(section, tier)
                if "*" in name:
                    alike.append((pattern(name), rule, sort))
                else:
                    programs.setdefault(name, (rule, sort))
            elif "*" in (full := _service(name)):
                patterns.append((pattern(full), rule))
            else:
                units.setdefault(full, rule)
    known = Names(units, _by_head(patterns))
    return Rules(known, Programs(programs, alike, known, verbs))


def _by_head(patterns: list[tuple[Pattern, Rule]]) -> dict[str, tuple[tuple[Pattern, Rule], ...]]:
    heads: dict[str, list[tuple[Pattern, Rule]]] = {p.first[:1]: [] for p, _ in patterns}
    for each, rule in patterns:
        for head in [each.first[0]] if each.first else heads:
            heads[head].append((each, rule))
    return {head or "*": tuple(found) for head, found in heads.items()}


def _sort(section: str, tier: Tier) -> Sort:
    if section == "runners":
        return Sort.RUNNER
    return Sort.JOB if tier is Tier.SHORT_LIVED else Sort.DAEMON


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
        if section not in _SECTIONS or not isinstance(blocks, list):
            raise toml.wrong(
                text,
                (section,),
                msg(
                    "'{section}' is unknown: write [[units]] or [[programs]].",
                    section=of_text(section, 40),
                ),
            )
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
                raise toml.wrong(
                    text, (section,), msg("write tier, kind, reason and a list of names.")
                )
            tier = tier_of(text, (section,), block.get("tier"))
            yield section, tier, Kind(kind), reason, names


def tier_of(text: str, path: tuple[str, ...], value: object) -> Tier:
    """Return a tier read from TOML; InvalidValueError, naming the line, if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in (0, 1, 2):
        raise toml.wrong(
            text, path, msg("a tier is 0, 1 or 2, not {value}.", value=of_text(repr(value), 40))
        )
    return Tier(value)


def parse_config(text: str) -> Config:
    """Return the overrides of /etc/lowmem-tui/config.toml.

    Its one section is ``[tiers]``: a unit's name, or a pattern with ``*``, = 0, 1 or 2; the first
    that fits counts. Raises InvalidValueError, naming the line.
    """
    document = toml.parse(text)
    for section in document:
        if section != "tiers":
            raise toml.wrong(
                text,
                (section,),
                msg(
                    "section '{section}' is unknown: only [tiers] is allowed here.",
                    section=of_text(section, 40),
                ),
            )
    return parse_tiers(text, document.get("tiers", {}))


def parse_tiers(text: str, tiers: object) -> Config:
    """Return a ``[tiers]`` section; ``text`` is the whole document, for the line of an error.

    Raises InvalidValueError.
    """
    if not isinstance(tiers, dict):
        raise toml.wrong(
            text, ("tiers",), msg('write [tiers] with lines such as "app.service" = 1.')
        )
    found: list[tuple[str, Tier]] = []
    for name, value in tiers.items():
        path = ("tiers", name)
        full = _service(name)
        # A name with a dot and without quotes is two keys of TOML.
        if not name or isinstance(value, dict) or not is_unit_name(full.replace("*", "x")):
            raise toml.wrong(
                text,
                path,
                msg(
                    "'{unit}' is not a unit's name: write it in quotes, like \"app.service\".",
                    unit=of_text(name, 40),
                ),
            )
        found.append((full, tier_of(text, path, value)))
    return tuple(found)
