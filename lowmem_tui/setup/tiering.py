"""The services of a server and their tiers, as they are by now: what several steps go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.unit import UnitType, is_template, unit_type
from lowmem_tui.policy.classify import parse_config
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.policy.classify import Rules, Verdict
    from lowmem_tui.setup.ground import Ground

CONFIG: Final = "/etc/lowmem-tui/config.toml"

ENABLED: Final = frozenset({"enabled", "enabled-runtime"})


class Service(NamedTuple):
    """A service that runs, or is started at boot or by a timer."""

    name: str
    verdict: Verdict
    enabled: bool
    """Started at boot by itself, by a file of its own: not by a timer, a socket, another."""


class Services(NamedTuple):
    """All of them, by tier and name, and what is known of them."""

    services: tuple[Service, ...]
    situation: Situation
    rules: Rules


def rules_now(ground: Ground) -> Rules:
    """Return the rules with the administrator's file as it is now.

    Raises InvalidValueError for one that cannot be understood.
    """
    text, trouble = common.read(ground.files, CONFIG)
    if trouble:
        return ground.rules
    try:
        return ground.rules.with_config(parse_config(text or ""))
    except InvalidValueError as error:
        raise InvalidValueError(f"{CONFIG}: {error}") from error


def _by_timer(properties: UnitProperties) -> bool:
    return any(unit_type(trigger) is UnitType.TIMER for trigger in properties.triggered_by)


def services(ground: Ground) -> Services:
    """Return the services that run, are enabled, or belong to a timer. Raises LowmemError."""
    snapshot = ground.snapshot()
    states = ground.unit_files()
    running = {n for n, u in snapshot.units.items() if u.usage is not None and u.usage.processes}
    at_boot = {name for name, state in states.items() if state in ENABLED}
    timed = {n for n, u in snapshot.units.items() if u.properties and _by_timer(u.properties)}
    names = sorted(
        name
        for name in running | at_boot | timed
        if unit_type(name) is UnitType.SERVICE and not is_template(name)
    )
    rules = rules_now(ground)
    situation = ground.situation(names)
    ram = snapshot.host.mem_total
    found: dict[str, Service] = {}
    for name in names:
        unit = situation.units[name].unit
        properties = unit.properties
        if properties is None or properties.load_state != "loaded" or properties.transient:
            continue
        verdict = rules.classify(unit, ram)
        if verdict.tier is not None:
            at_start = properties.unit_file_state in ENABLED or bool(at_boot & {unit.name})
            found.setdefault(unit.name, Service(unit.name, verdict, at_start))
    ordered = sorted(found.values(), key=lambda s: (s.verdict.tier or 0, s.name))
    return Services(tuple(ordered), situation, rules)
