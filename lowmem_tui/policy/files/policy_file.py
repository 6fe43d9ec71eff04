"""A policy file: settings of many units in one TOML document, as edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, UnitType, is_template, is_unit_name, unit_type
from lowmem_tui.policy import toml
from lowmem_tui.policy.classify import matches, parse_tiers
from lowmem_tui.policy.plan import parse_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.setup import Wishes
    from lowmem_tui.policy.classify import Config

SCHEMA = 1

_ANY_RAM = 1 << 30


class PolicyFile(NamedTuple):
    """What a policy file asks for."""

    edits: tuple[Edit, ...]
    tiers: Config
    wishes: Mapping[str, Wishes] = {}
    """What the other sections ask of the steps of the set-up, by section."""


def parse_policy(
    text: str, names: Mapping[str, str], sections: frozenset[str] = frozenset()
) -> PolicyFile:
    """Return a policy file's edits, in the order of the file; patterns stand for ``names``.

    ``names`` are the units that exist, aliases included, each with its primary name; one without
    suffix in the file is a service. ``sections`` are those of the set-up's steps. Raises
    InvalidValueError, naming the line.
    """
    document = toml.parse(text)
    if document.get("schema") != SCHEMA or isinstance(document["schema"], bool):
        raise toml.wrong(text, ("schema",), f"begin the file with 'schema = {SCHEMA}'.")
    for section in document:
        if section in {"schema", "units", "tiers"} | sections:
            continue
        known = ", ".join(f"[{name}]" for name in sorted({"tiers"} | sections))
        sentence = f"section '{plain(section, 40)}' is unknown: [units.\"NAME\"] and {known} are."
        raise toml.wrong(text, (section,), sentence)
    edits = _edits(text, document.get("units", {}), names)
    given = document.get("tiers", {})
    tiers = parse_tiers(text, given)
    for unit in given if isinstance(given, dict) else ():
        if not _units(unit, names):
            raise _no_unit(text, ("tiers", unit))
    wishes = {name: _wishes(text, name, document[name]) for name in document if name in sections}
    return PolicyFile(edits, tiers, wishes)


def _wishes(text: str, section: str, given: object) -> Wishes:
    if not isinstance(given, dict):
        raise toml.wrong(text, (section,), f"write [{section}] with lines such as key = 1.")
    found: Wishes = {}
    for key, value in given.items():
        shown = plain(key, 60)
        if isinstance(value, dict):
            sentence = f'put the name in quotes, like "{shown}.{plain(next(iter(value), ""), 40)}".'
            raise toml.wrong(text, (section, key), sentence)
        if isinstance(value, bool) or not isinstance(value, int | str):
            sentence = f'write the value of {shown} as a number or a "text".'
            raise toml.wrong(text, (section, key), sentence)
        found[key] = str(value)
    return found


def _edits(text: str, units: object, names: Mapping[str, str]) -> tuple[Edit, ...]:
    if not isinstance(units, dict):
        raise toml.wrong(text, ("units",), 'write a section [units."NAME.service"] for each unit.')
    asked_for: list[_Asked] = []
    for unit, settings in units.items():
        path = ("units", unit)
        if not isinstance(settings, dict):
            sentence = f'write [units."{plain(unit, 60)}"] with its settings below.'
            raise toml.wrong(text, path, sentence)
        if any(isinstance(value, dict) for value in settings.values()):
            sentence = f'put the name in quotes, like [units."{plain(unit, 60)}.service"].'
            raise toml.wrong(text, path, sentence)
        found = _units(unit, names)
        if not found:
            raise _no_unit(text, path)
        for key, value in settings.items():
            try:
                setting, asked = _setting(key, value)
            except InvalidValueError as error:
                raise toml.wrong(text, (*path, key), str(error)) from error
            asked_for += [_Asked(Edit(name, setting, asked), (*path, key)) for name in found]
    return _one_value_each(text, asked_for, names)


class _Asked(NamedTuple):
    """An edit, and its line in the file."""

    edit: Edit
    path: tuple[str, ...]

    @property
    def pattern(self) -> bool:
        return "*" in self.path[1]


def _one_value_each(
    text: str, asked_for: Sequence[_Asked], names: Mapping[str, str]
) -> tuple[Edit, ...]:
    """Return the edits: a name counts before a pattern, and what contradicts itself is an error."""
    found: dict[tuple[str, Key], list[_Asked]] = {}
    for asked in asked_for:
        unit = names.get(asked.edit.unit, asked.edit.unit)
        found.setdefault((unit, asked.edit.key), []).append(asked)
    counting: set[int] = set()
    for (unit, key), several in found.items():
        first, *others = [a for a in several if not a.pattern] or several
        for other in others:
            if other.edit.value != first.edit.value:
                place = f'in [units."{plain(first.path[1], 60)}"]'
                if line := toml.line_of(text, first.path):
                    place += f", line {line}"
                sentence = (
                    f"{key} of {plain(unit, 60)} is {_shown(other.edit)} here and "
                    f"{_shown(first.edit)} {place}: keep one of them."
                )
                raise toml.wrong(text, other.path, sentence)
        counting |= {id(asked) for asked in (first, *others)}
    return tuple(asked.edit for asked in asked_for if id(asked) in counting)


def _shown(edit: Edit) -> str:
    return plain(edit.value, 40) if edit.value else "dropped"


def _units(unit: str, names: Mapping[str, str]) -> list[str]:
    """Return the units of a name or a pattern."""
    full = unit if unit_type(unit) is not UnitType.CGROUP else f"{unit}.service"
    if "*" in full:
        return sorted({p for n, p in names.items() if matches(full, n) and not is_template(n)})
    if not is_unit_name(full):
        return []
    prefix, at, instance = full.partition("@")
    # systemd makes any instance of a template that there is.
    template = f"{prefix}@.{instance.rpartition('.')[2]}" if at else ""
    return [full] if full in names or template in names else []


def _no_unit(text: str, path: tuple[str, ...]) -> InvalidValueError:
    shown = plain(path[-1], 60)
    return toml.wrong(
        text, path, f"there is no unit {shown}: look up its name with 'lowmem-tui list'."
    )


def _setting(key: str, value: object) -> tuple[Key, str | None]:
    setting = parse_key(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidValueError(f'write the value of {setting} as a number or a "text".')
    if value == "":
        return setting, None
    parse_value(setting, str(value), _ANY_RAM)
    return setting, str(value)
