"""A policy file: settings of many units in one TOML document, as edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_setting, of_text, of_unit
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.unit import Key, UnitType, is_template, is_unit_name, unit_type
from lowmem_tui.policy import toml
from lowmem_tui.policy.classify import matches, parse_tiers
from lowmem_tui.policy.plan import parse_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.message import Value as MessageValue
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
        raise toml.wrong(
            text, ("schema",), msg("begin the file with 'schema = {schema}'.", schema=SCHEMA)
        )
    for section in document:
        if section in {"schema", "units", "tiers"} | sections:
            continue
        known = of_list(f"[{name}]" for name in sorted({"tiers"} | sections))
        sentence = msg(
            "section '{section}' is unknown: write [units.\"NAME\"] or one of {sections}.",
            section=of_text(section, 40),
            sections=known,
        )
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
        raise toml.wrong(
            text,
            (section,),
            msg("write [{section}] with lines such as key = 1.", section=of_text(section)),
        )
    found: Wishes = {}
    for key, value in given.items():
        if isinstance(value, dict):
            whole = of_text(f"{key}.{next(iter(value), '')}", 100)
            sentence = msg('write the name in quotes, like "{name}".', name=whole)
            raise toml.wrong(text, (section, key), sentence)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise toml.wrong(text, (section, key), _no_value(key))
        found[key] = str(value)
    return found


def _edits(text: str, units: object, names: Mapping[str, str]) -> tuple[Edit, ...]:
    if not isinstance(units, dict):
        raise toml.wrong(
            text, ("units",), msg('write a section [units."NAME.service"] for each unit.')
        )
    asked_for: list[_Asked] = []
    for unit, settings in units.items():
        path = ("units", unit)
        if not isinstance(settings, dict):
            sentence = msg(
                'write [units."{unit}"] with its settings below.', unit=of_unit(unit, 60)
            )
            raise toml.wrong(text, path, sentence)
        if any(isinstance(value, dict) for value in settings.values()):
            sentence = msg(
                'write the name in quotes, like [units."{unit}.service"].', unit=of_unit(unit, 60)
            )
            raise toml.wrong(text, path, sentence)
        found = _units(unit, names)
        if not found:
            raise _no_unit(text, path)
        for key, value in settings.items():
            try:
                setting, asked = _setting(key, value)
            except InvalidValueError as error:
                raise toml.wrong(text, (*path, key), error.message) from error
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
    for (unit, _), several in found.items():
        first, *others = [a for a in several if not a.pattern] or several
        for other in others:
            if other.edit.value != first.edit.value:
                raise toml.wrong(text, other.path, _contradiction(text, unit, first, other))
        counting |= {id(asked) for asked in (first, *others)}
    return tuple(asked.edit for asked in asked_for if id(asked) in counting)


def _contradiction(text: str, unit: str, first: _Asked, other: _Asked) -> Message:
    name, here, there = of_unit(unit, 60), _shown(other.edit), _shown(first.edit)
    section = of_unit(first.path[1], 60)
    line = toml.line_of(text, first.path)
    if line is None:
        return msg(
            '{unit} has {here} here and {there} in [units."{section}"]: keep one of them.',
            unit=name,
            here=here,
            there=there,
            section=section,
        )
    return msg(
        '{unit} has {here} here and {there} in [units."{section}"], line {line}: keep one of them.',
        unit=name,
        here=here,
        there=there,
        section=section,
        line=line,
    )


def _shown(edit: Edit) -> MessageValue:
    return of_setting(edit.key, of_text(edit.value or "", 40).value)


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
    sentence = msg(
        "there is no unit {unit}: look up its name with 'lowmem-tui list'.",
        unit=of_unit(path[-1], 60),
    )
    return toml.wrong(text, path, sentence)


def _no_value(key: str) -> Message:
    return msg('write the value of {key} as a number or a "text".', key=of_text(key, 60))


def _setting(key: str, value: object) -> tuple[Key, str | None]:
    setting = parse_key(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidValueError(_no_value(setting))
    if value == "":
        return setting, None
    parse_value(setting, str(value), _ANY_RAM)
    return setting, str(value)
