"""The services of a server and their present tiers, which several steps use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.unit import TIERS_FILE, UnitType, is_template, unit_type
from lowmem_tui.policy.checks import preflight
from lowmem_tui.policy.classify import parse_config
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.snapshot import Situation, Unit
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.policy.classify import Rules, Verdict
    from lowmem_tui.setup.context import Ground

ENABLED: Final = frozenset({"enabled", "enabled-runtime"})


class Service(NamedTuple):
    """A service that runs, or is started at boot, by a timer, or by whoever logs in."""

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
    text, trouble = common.read(ground.files, TIERS_FILE)
    if trouble:
        return ground.rules
    try:
        return ground.rules.with_config(parse_config(text or ""))
    except InvalidValueError as error:
        raise InvalidValueError(
            msg("{path}: {why}", path=of_path(TIERS_FILE), why=error.message)
        ) from error


def _by_timer(properties: UnitProperties) -> bool:
    return any(unit_type(trigger) is UnitType.TIMER for trigger in properties.triggered_by)


def _way_in(units: Mapping[str, Unit]) -> Iterator[str]:
    """Yield what takes logins and is started by whoever comes: its socket waits, it may not run.

    So ssh.service is on Ubuntu since 22.10, where ssh.socket is what is enabled.
    """
    for name, unit in units.items():
        for trigger in unit.properties.triggered_by if unit.properties else ():
            socket = units.get(trigger)
            state = socket.properties.active_state if socket and socket.properties else ""
            by_socket = unit_type(trigger) is UnitType.SOCKET and state == "active"
            if by_socket and preflight.stem(name) in preflight.LOGINS:
                yield name


def services(ground: Ground) -> Services:
    """Return the services that run, are enabled, belong to a timer, or are the way in on demand.

    Raises LowmemError.
    """
    snapshot = ground.snapshot()
    states = ground.unit_files()
    running = {n for n, u in snapshot.units.items() if u.usage is not None and u.usage.processes}
    at_boot = {name for name, state in states.items() if state in ENABLED}
    timed = {n for n, u in snapshot.units.items() if u.properties and _by_timer(u.properties)}
    names = sorted(
        name
        for name in running | at_boot | timed | set(_way_in(snapshot.units))
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
