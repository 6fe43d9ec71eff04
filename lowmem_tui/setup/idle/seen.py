"""What is found of an unneeded service: whether it runs, what starts it, and what needs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.kept import is_foreign
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.unit import UnitType, unit_type
from lowmem_tui.policy.dropin import FOLDER
from lowmem_tui.setup import common
from lowmem_tui.setup.idle.guards import in_use
from lowmem_tui.setup.idle.table import Idle, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Situation, Snapshot
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.setup.context import Ground

RUNNING = frozenset({"active", "activating", "reloading", "refreshing"})
"""Active states; what is being stopped is on its way out."""

_ENABLING = (".wants", ".requires", ".upholds")
MASK = "/dev/null"

_ON_DEMAND = frozenset({"static", "indirect", "generated", "disabled", ""})
"""States of a unit file that no link of /etc enables: what runs of these was started otherwise."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A service of the table that is on: it runs, or is started at boot."""

    idle: Idle
    running: tuple[str, ...]
    """Of it and what goes with it: the service first."""
    links: tuple[tuple[str, str], ...]
    """(path, target) of the symbolic links of /etc that enable it."""
    mask: tuple[str, ...]
    """Units that must be masked, because something other than these links starts them."""
    ram: int
    """Bytes that are in use now."""
    swap: int
    used: Message | None
    """Why it is in use here; None if it is not."""
    needed: str
    """The unit that runs and requires it; or ""."""
    obstacle: Message | None
    """Why the program cannot disable it; None if it can."""


def see(ground: Ground) -> list[Seen]:
    """Return the services of the table that are on. Raises LowmemError."""
    states = ground.unit_files()
    snapshot = ground.snapshot()
    names = set(states) | set(snapshot.units)
    there = {idle: idle.members(names) for idle in table() if idle.unit in names}
    situation = ground.situation(dict.fromkeys(n for each in there.values() for n in each))
    links = _links(ground)
    found = [_see(ground, idle, members, situation, links) for idle, members in there.items()]
    on = [each for each in found if each is not None]
    return [_with_needed(each, there[each.idle], situation, snapshot) for each in on]


def _see(
    ground: Ground,
    idle: Idle,
    members: Sequence[str],
    situation: Situation,
    links: Mapping[str, Sequence[tuple[str, str]]],
) -> Seen | None:
    loaded = {name: p for name in members if (p := _properties(situation, name))}
    running = tuple(
        name
        for name, p in loaded.items()
        if p.active_state in RUNNING
        and p.type != "oneshot"
        and p.load_state != "not-found"
        and unit_type(name) is not UnitType.TARGET  # it uses no memory, and others depend on it
    )
    enabling = tuple(dict.fromkeys(link for name in loaded for link in links.get(name, ())))
    unmasked = {name for name, p in loaded.items() if p.load_state == "loaded"}
    if idle.unit not in unmasked and idle.unit not in running:
        return None
    if not running and (not enabling or loaded[idle.unit].unmet):
        return None  # what its own conditions keep from starting uses nothing
    mask = _to_mask(idle, loaded, running, enabling)
    usage = situation.units[idle.unit].unit.usage
    return Seen(
        idle,
        running,
        enabling,
        mask,
        ram=(usage.rss or 0) if usage else 0,
        swap=(usage.swap or 0) if usage else 0,
        used=in_use(ground, idle.guard),
        needed="",
        obstacle=_obstacle(ground, mask),
    )


def _properties(situation: Situation, name: str) -> UnitProperties | None:
    known = situation.units.get(name)
    properties = known.unit.properties if known else None
    # An alias is its primary unit, which is looked at by its own name.
    return properties if properties and properties.name == name else None


def _to_mask(
    idle: Idle,
    loaded: Mapping[str, UnitProperties],
    running: Sequence[str],
    enabling: Sequence[tuple[str, str]],
) -> tuple[str, ...]:
    """Return what would be started again without a mask."""
    enabled = {path.rpartition("/")[2] for path, _ in enabling}
    return tuple(
        name
        for name, p in loaded.items()
        if p.load_state == "loaded"
        and (
            (name == idle.unit and idle.mask)
            or (
                name not in enabled
                and p.unit_file_state in _ON_DEMAND
                and (name in running or any(unit_type(r) is UnitType.TARGET for r in p.required_by))
                and name == idle.unit
            )
        )
    )


def _obstacle(ground: Ground, mask: Iterable[str]) -> Message | None:
    for name in mask:
        path = f"{FOLDER}/{name}"
        text, trouble = common.read(ground.files, path)
        if trouble:
            return msg("{why}.", why=trouble)
        if text is not None or ground.system.get(ActionKind.LINK, path):
            return msg(
                "{path} is in the way of a mask: remove it, or what it starts, by hand.",
                path=of_path(path),
            )
    return None


def _links(ground: Ground) -> dict[str, list[tuple[str, str]]]:
    """Return the links of /etc/systemd/system that enable units, by the unit's name."""
    found: dict[str, list[tuple[str, str]]] = {}

    def add(path: str, name: str, *, alias: bool) -> None:
        try:
            target = ground.system.get(ActionKind.LINK, path)
        except (OSError, LowmemError):
            return
        unit = target.rpartition("/")[2]
        if not target or target == MASK or is_foreign(target):
            return
        if alias and unit != name:
            found.setdefault(unit, []).append((path, target))
        elif not alias:
            found.setdefault(name, []).append((path, target))

    for name in ground.inspector.names(FOLDER):
        path = f"{FOLDER}/{name}"
        if name.endswith(_ENABLING):
            for each in ground.inspector.names(path):
                add(f"{path}/{each}", each, alias=False)
        elif unit_type(name) is not UnitType.CGROUP:
            add(path, name, alias=True)
    return found


def _with_needed(
    seen: Seen, members: Sequence[str], situation: Situation, snapshot: Snapshot
) -> Seen:
    """Say which unit that runs requires it, targets and what goes with it apart.

    A link of /etc that makes another want it (``WantedBy=``) is no need: it goes with the rest.
    """
    wanted = {path.removeprefix(f"{FOLDER}/") for path, _ in seen.links}
    for name in members:
        properties = _properties(situation, name)
        for other in properties.required_by if properties else ():
            if other in members or unit_type(other) is UnitType.TARGET:
                continue
            if f"{other}.wants/{name}" in wanted:
                continue
            unit = snapshot.units.get(other)
            state = unit.properties.active_state if unit and unit.properties else "inactive"
            if state in RUNNING or (unit is not None and unit.usage and unit.usage.processes):
                return replace(seen, needed=other)
    return seen
