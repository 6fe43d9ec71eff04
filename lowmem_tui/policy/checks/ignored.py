"""Settings of unit files that systemd ignores, and those that another file overrides.

What it takes where, and since which version: load-fragment-gperf.gperf.in and load-fragment.c of
systemd 252 to 258. It ignores what it does not take, with a line in the journal that nobody reads.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_list, of_setting, of_text
from lowmem_tui.model.quantity import parse_limit, parse_time_span
from lowmem_tui.model.settings import Key, parse_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import unit_type
from lowmem_tui.model.unitfile import SECTIONS, assignments, end, section_of, stray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import UnitFile
    from lowmem_tui.model.unitfile import Assignment

RAM = 1 << 30
"""For shares: whether systemd takes one does not hang on how much there is."""

EVERY = frozenset({"Service", "Slice", "Scope", "Socket", "Mount", "Swap"})
EXECUTED = frozenset({"Service", "Socket", "Mount", "Swap"})
SERVICE = frozenset({"Service"})

_BOOLEANS = frozenset(("1", "yes", "y", "true", "t", "on", "0", "no", "n", "false", "f", "off"))
_NUMBER = re.compile(
    r"-0{1,20}|\+?(?:0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,64}|0[oO]?[0-7]{1,21}|[0-9]{1,20})"
)
_COMMENT = re.compile(r"\s[#;]")
_NEAR = re.compile(r"(?i)(mem|oom|managedoom|restart|startlimit)")


class Setting(NamedTuple):
    """What systemd takes."""

    sections: frozenset[str]
    check: Callable[[str], object]
    """Returns the value as it is compared; InvalidValueError for what is not taken."""
    since: int = 0
    """The first version of systemd that has it; 0 for all that count here."""
    until: int = 1 << 30
    """The last."""


class Ignored(NamedTuple):
    """A setting that systemd ignores."""

    path: str
    line: int
    text: str
    """``MemoryMax=512MB``."""
    why: Message
    """A sentence, with the option's name."""
    instead: Message
    """What to write, or to do: a phrase."""
    old: bool = False
    """Whether it is an old name that this systemd still takes."""


class Overridden(NamedTuple):
    """A setting that another one overrides."""

    key: str
    path: str
    line: int
    value: str
    winner: str
    """The file that overrides it."""
    winner_line: int
    winner_value: str


def _not_taken(instead: Message) -> InvalidValueError:
    return InvalidValueError(msg("systemd ignores this value: {instead}.", instead=instead))


def _limit(*, zero: bool) -> Callable[[str], object]:
    def check(value: str) -> object:
        limit = parse_limit(value, RAM) if value else parse_limit("infinity", RAM)
        if limit == 0 and not zero:
            raise _not_taken(msg("write at least 1M"))
        return limit

    return check


def _words(words: Iterable[str], *, empty: bool = False) -> Callable[[str], object]:
    known = tuple(words)

    def check(value: str) -> object:
        if value not in known and not (empty and not value):
            raise _not_taken(msg("write one of {words}", words=of_list(known)))
        return value

    return check


def _boolean(value: str) -> object:
    if value.lower() not in _BOOLEANS:
        raise _not_taken(msg("write yes or no"))
    return value.lower() in {"1", "yes", "y", "true", "t", "on"}


def _unsigned(value: str) -> object:
    if not _NUMBER.fullmatch(value):
        raise _not_taken(msg("write a whole number"))
    number = natural(value)
    if number is not None and number >= 1 << 32:
        raise _not_taken(msg("write a smaller number"))
    return value if number is None else number


def _share(value: str) -> object:
    if value and not value.endswith(("%", "‰", "‱")):
        raise _not_taken(msg("write a share, like 60%"))
    return parse_limit(value or "0%", 10000)


_LIMIT, _PROTECTION = _limit(zero=False), _limit(zero=True)
_MODE = _words(("auto", "kill"), empty=True)


def _declared(key: Key) -> Setting:
    sections = frozenset(section for kind in key.facts.types if (section := SECTIONS.get(kind)))
    return Setting(sections, lambda value: parse_value(key, value, RAM), since=key.facts.since)


SETTINGS: dict[str, Setting] = {
    **{str(key): _declared(key) for key in Key},
    "MemoryMin": Setting(EVERY, _PROTECTION),
    "MemoryLow": Setting(EVERY, _PROTECTION),
    "DefaultMemoryMin": Setting(EVERY, _PROTECTION),
    "DefaultMemoryLow": Setting(EVERY, _PROTECTION),
    "MemoryZSwapMax": Setting(EVERY, _PROTECTION, since=253),
    "StartupMemoryLow": Setting(EVERY, _PROTECTION, since=253),
    "StartupMemoryHigh": Setting(EVERY, _LIMIT, since=253),
    "StartupMemoryMax": Setting(EVERY, _LIMIT, since=253),
    "StartupMemorySwapMax": Setting(EVERY, _PROTECTION, since=253),
    "MemoryLimit": Setting(EVERY, _LIMIT, until=257),
    "MemoryAccounting": Setting(EVERY, _boolean),
    "ManagedOOMSwap": Setting(EVERY, _MODE),
    "ManagedOOMMemoryPressure": Setting(EVERY, _MODE),
    "ManagedOOMMemoryPressureLimit": Setting(EVERY, _share),
    "ManagedOOMPreference": Setting(EVERY, _words(("none", "avoid", "omit"))),
    "RestartSteps": Setting(SERVICE, _unsigned, since=254),
    "RestartMaxDelaySec": Setting(SERVICE, parse_time_span, since=254),
    "RestartMode": Setting(SERVICE, _words(("normal", "direct", "debug")), since=254),
    "StartLimitBurst": Setting(SERVICE | {"Unit"}, _unsigned),
    "StartLimitInterval": Setting(SERVICE | {"Unit"}, parse_time_span),
    "StartLimitIntervalSec": Setting(frozenset({"Unit"}), parse_time_span),
}
"""Of memory, OOM kills and restarts."""

OTHERS = frozenset(
    {
        *("MemoryDenyWriteExecute", "MemoryKSM", "MemoryPressureWatch", "MemoryZSwapWriteback"),
        *("MemoryPressureThresholdSec", "ManagedOOMMemoryPressureDurationSec"),
        *("DefaultStartupMemoryLow", "StartupMemoryZSwapMax", "StartupMemoryMin"),
        *("RestartForceExitStatus", "RestartPreventExitStatus", "RestartKillSignal"),
        *("StartLimitAction", "OOMRules", "MemoryTHP", "RestrictNamespaces", "RestrictRealtime"),
    }
)
"""Names like those that systemd knows, too."""

SYNONYMS = {"oomscore": "OOMScoreAdjust", "oomadjust": "OOMScoreAdjust", "mem": "MemoryMax"}


class Wrong(NamedTuple):
    """What is wrong with a setting."""

    why: Message
    """A sentence."""
    instead: Message
    """What to write, or to do: a phrase."""
    old: bool = False
    """Whether it is an old name that this systemd still takes."""
    vendors: bool = True
    """Whether it is a mistake in a package's file, too: those are for several versions."""


def ignored(files: Sequence[UnitFile], unit: str, systemd: int | None) -> Iterator[Ignored]:
    """Yield what systemd ignores in the files of a unit; ``systemd`` is its version.

    Only settings of memory, OOM kills and restarts are checked.
    """
    section = section_of(unit)
    for file in files:
        text = file.text or ""
        for each in stray(text):
            if name := _meant(each.key):
                home = of_setting(_home(name, section))
                why = msg(
                    "{name} counts only in [{section}], and this line is ahead of any section.",
                    name=of_setting(f"{name}="),
                    section=home,
                )
                move = msg("move it below [{section}]", section=home)
                yield Ignored(file.path, each.line, _shown(each), why, move)
        for each in assignments(text):
            found = _wrong(each, unit, section, systemd)
            if found and (found.vendors or not is_packages(file.path)):
                shown = _shown(each)
                yield Ignored(file.path, each.line, shown, found.why, found.instead, found.old)
        yield from _behind(file, text)


def _behind(file: UnitFile, text: str) -> Iterator[Ignored]:
    """Yield a line at which systemd stops reading, if settings follow it."""
    stop = end(text)
    if stop is None:
        return
    lines = text.splitlines()
    names = [name for line in lines[stop:] if (name := line.partition("=")[0].strip()) in SETTINGS]
    if names:
        shown = plain(lines[stop - 1], 60)
        why = msg(
            "systemd stops reading the file at this line, and ignores what is below it: "
            "{settings}.",
            settings=of_list(of_setting(f"{name}=") for name in dict.fromkeys(names)),
        )
        yield Ignored(file.path, stop, shown, why, msg("correct this line"))


def _wrong(each: Assignment, unit: str, section: str | None, systemd: int | None) -> Wrong | None:
    """Return what is wrong with an assignment, if it is one of these settings."""
    name = _meant(each.key)
    if not name or each.section.startswith("X-"):
        return None
    known, home, shown = SETTINGS[name], _home(name, section), of_setting(f"{name}=")
    if each.key != name:
        return unknown(each.key, name)
    if home not in known.sections:
        why = msg(
            "Units of type {type} have no {setting}.", type=of_text(unit_type(unit)), setting=shown
        )
        return Wrong(why, msg("remove it"))
    if each.section not in known.sections & {section, "Unit"}:
        return misplaced(name, each.section, home)
    if systemd is not None and systemd < known.since:
        why = msg(
            "{setting} needs systemd {since}, and this is {version}.",
            setting=shown,
            since=known.since,
            version=systemd,
        )
        return Wrong(why, msg("remove it"), vendors=False)
    if name == "MemoryLimit":
        return _old(each.value, systemd if systemd and systemd > known.until else None)
    return refused(name, known, each.value)


def unknown(key: str, name: str) -> Wrong:
    """Return what is wrong with a name that systemd does not know, but ``name``."""
    known = of_setting(f"{name}=")
    why = msg(
        "systemd knows {name}, not {wrong}.", name=known, wrong=of_setting(f"{plain(key, 40)}=")
    )
    return Wrong(why, msg("write {setting}", setting=known))


def misplaced(name: str, section: str, home: str) -> Wrong:
    """Return what is wrong with a setting in another section than its own."""
    why = msg(
        "{name} does not count in [{wrong}], only in [{section}].",
        name=of_setting(f"{name}="),
        wrong=of_setting(plain(section, 40)),
        section=of_setting(home),
    )
    return Wrong(why, msg("move it below [{section}]", section=of_setting(home)))


def _old(value: str, systemd: int | None) -> Wrong:
    """Return what is wrong with MemoryLimit=; ``systemd`` is a version without it, or None."""
    write = msg("write {setting}", setting=of_setting("MemoryMax", plain(value, 40)))
    if systemd is None:
        why = msg(
            "MemoryLimit= is the old name of MemoryMax=, and counts only where no other limit is "
            "set."
        )
        return Wrong(why, write, old=True, vendors=False)
    why = msg(
        "MemoryLimit= is the old name of MemoryMax=, and systemd {version} does not know it.",
        version=systemd,
    )
    return Wrong(why, write, vendors=False)


def refused(name: str, known: Setting, value: str) -> Wrong | None:
    """Return why systemd refuses the value of a setting, and what to write; None if it takes it."""
    try:
        known.check(value)
    except InvalidValueError as error:
        return _refused(name, known, value, error)
    return None


def _refused(name: str, known: Setting, value: str, error: InvalidValueError) -> Wrong:
    option, shown = of_setting(f"{name}="), of_setting(name, plain(value, 60))
    head = _COMMENT.split(value, maxsplit=1)[0].strip()
    if head != value and _takes(known, head):
        return Wrong(
            msg("systemd takes the comment for a part of the value {setting}.", setting=shown),
            msg(
                "write {setting}, and the comment on a line of its own",
                setting=of_setting(name, plain(head, 40)),
            ),
        )
    bare = value.strip("\"'")
    if bare != value and _takes(known, bare):
        return Wrong(
            msg("{setting} takes no quotes.", setting=option),
            msg("write {setting}", setting=of_setting(name, plain(bare, 40))),
        )
    why = msg("{setting} may not be empty.", setting=option)
    if value:
        why = msg("{setting} is not a value that systemd takes.", setting=shown)
    if error.meant:
        return Wrong(why, msg("write {setting}", setting=of_setting(name, error.meant)))
    return Wrong(why, error.instead or msg("correct the value"))


def _takes(known: Setting, value: str) -> bool:
    return bool(value) and _value(known, value) is not None


def _meant(key: str) -> str:
    """Return the setting that a name is, or is meant to be; "" for another."""
    if key in SETTINGS:
        return key
    if key in OTHERS or not _NEAR.match(key) or len(key) > 60:
        return ""
    bare = re.sub(r"[-_ ]", "", key).lower()
    names = {name.lower(): name for name in SETTINGS}
    others = {name.lower() for name in OTHERS}
    if bare in SYNONYMS:
        return SYNONYMS[bare]
    near = get_close_matches(bare, [*names, *others], 1, 0.8)
    return names.get(near[0], "") if near else ""


def _home(name: str, section: str | None) -> str:
    sections = SETTINGS[name].sections
    if "Unit" in sections:
        return "Unit"
    return section or ""


def _shown(each: Assignment) -> str:
    return plain(f"{each.key}={each.value}", 60)


def is_packages(path: str) -> bool:
    """Tell whether a file is no administrator's: a package's, or made by a generator."""
    return not path.startswith(("/etc/", "/run/systemd/system/", "/usr/local/"))


# What another file overrides


def overridden(files: Sequence[UnitFile], unit: str) -> Iterator[Overridden]:
    """Yield what an administrator's file says and a later one takes away.

    A package's own value, one for all units or for a template, is there to be overridden; and so
    is what we were asked to override.
    """
    section = section_of(unit)
    found: dict[str, list[tuple[str, Assignment, object]]] = {}
    for file in files:
        for each in assignments(file.text or ""):
            known = SETTINGS.get(each.key)
            if known is None or each.section not in known.sections & {section, "Unit"}:
                continue
            if (value := _value(known, each.value)) is not None:
                found.setdefault(each.key, []).append((file.path, each, value))
    for name, these in found.items():
        path, last, value = these[-1]
        for other, each, theirs in these[:-1]:
            if theirs != value and _counts(other, path):
                yield Overridden(name, other, each.line, each.value, path, last.line, last.value)


def _value(known: Setting, text: str) -> object:
    try:
        return known.check(text)
    except InvalidValueError:
        return None


def _counts(path: str, winner: str) -> bool:
    if is_packages(path) or is_ours(winner):
        return False
    folder, _, name = path.rpartition("/")
    target = folder.rpartition("/")[2].removesuffix(".d") if folder.endswith(".d") else name
    stem = target.rpartition(".")[0]
    return bool(stem) and not stem.endswith(("-", "@"))


def is_ours(path: str) -> bool:
    """Tell whether a drop-in has a name of ours."""
    return path.rpartition("/")[2].startswith(("zz-lowmem-tui", "zzz-lowmem-tui"))
