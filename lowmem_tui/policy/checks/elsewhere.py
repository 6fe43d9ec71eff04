"""Settings of a unit that do not reach what it starts, in another control group; pure.

Three things tell it: what the unit is (a daemon of containers), what its command lines run
(``docker compose up``), and what is seen: processes of other units whose parent is in this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import (
    as_value,
    msg,
    of_bytes,
    of_setting,
    of_text,
    of_unit,
    sentences,
)
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.settings import render_value
from lowmem_tui.model.unit import CGROUP_FILES, MEMORY_KEYS, Key, UnitType, unit_type
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.policy.checks.launchers import SNAP, Launch, Place, daemon, launch
from lowmem_tui.policy.checks.preflight import CONSOLES, LOGINS, stem
from lowmem_tui.policy.classify import matches
from lowmem_tui.policy.commands import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.message import Value as MessageValue
    from lowmem_tui.model.snapshot import Snapshot, Unit, UnitSituation
    from lowmem_tui.policy.checks.cases import After

_MOST_LINES = 24
"""Command lines of a unit that are looked at."""

_INIT = 1


class Elsewhere(NamedTuple):
    """Where the work of a unit is done."""

    place: Place | None
    """What is known of that; None where it is only seen."""
    command: str
    """What starts it there; "" for a daemon of containers."""
    seen: tuple[str, ...]
    """The units in which it is seen, the largest first."""


def elsewhere(known: UnitSituation, snapshot: Snapshot) -> Elsewhere | None:
    """Return where the work of a service is done if that is not in its own control group.

    None where it is, or where nothing tells. A login service is none: sessions are its nature.
    """
    unit = known.unit
    if unit_type(unit.name) is not UnitType.SERVICE or unit.name.startswith("user@"):
        return None
    if stem(unit.name) in {*LOGINS, *CONSOLES}:
        return None
    lines = list(_lines(known))
    children = _children(unit, snapshot)
    place = daemon(unit.name.rpartition(".")[0], lines)
    if place is not None:
        if _has_containers(unit):
            return None
        return Elsewhere(place, "", _seen(place, children, snapshot))
    found = _launch(unit, lines)
    if found is not None and not _is_inside(found, unit):
        target = _target(found, snapshot)
        return Elsewhere(
            found.place, found.command, target or _seen(found.place, children, snapshot)
        )
    # A service manager of its own, or what a daemon has handed to systemd.
    if children and _is_moved(unit, children):
        return Elsewhere(None, "", _by_size(children))
    return None


def _lines(known: UnitSituation) -> Iterator[Sequence[str]]:
    """Yield the words of each command that a unit runs: by systemd, by its files, by /proc."""
    unit = known.unit
    if unit.properties is not None and unit.properties.exec_start:
        yield unit.properties.exec_start
    texts: list[str] = []
    for file in known.files:
        for each in assignments(file.text or ""):
            if (each.section, each.key) == ("Service", "ExecStart"):
                texts = [*texts, each.value] if each.value else []
    yield from map(words_of, texts[:_MOST_LINES])
    processes = unit.usage.processes if unit.usage else ()
    main = unit.properties.main_pid if unit.properties else 0
    own = sorted((p for p in processes if not p.cgroup), key=lambda p: (p.pid != main, p.pid))
    yield from ((p.command or p.name).split() for p in own[:_MOST_LINES])


def _launch(unit: Unit, lines: Sequence[Sequence[str]]) -> Launch | None:
    found = [made for words in lines if (made := launch(words)) is not None]
    if unit.name.startswith("snap."):
        found = [each for each in found if each.place is not SNAP]
    # It may well start itself again.
    found = [each for each in found if _full(each.target) != unit.name]
    return min(found, key=lambda each: each.place.rank, default=None)


def _full(name: str) -> str:
    return name if not name or unit_type(name) is not UnitType.CGROUP else f"{name}.service"


def _target(found: Launch, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the unit that a command names."""
    names = (_full(found.target), f"{found.target}.scope")
    running = tuple(name for name in names if name in snapshot.units)
    return running[:1] or ((_full(found.target),) if found.target else ())


def _has_containers(unit: Unit) -> bool:
    """Tell whether containers are seen in the unit's own control group."""
    groups = {p.cgroup for p in (unit.usage.processes if unit.usage else ()) if p.cgroup}
    signs = ("docker", "libpod", "crio", "cri-", "kubepods", "lxc", "machine", "container", "nerd")
    return any(part.startswith(signs) for group in groups for part in group.strip("/").split("/"))


def _is_inside(found: Launch, unit: Unit) -> bool:
    """Tell whether what was started is seen in the unit itself, in spite of how it was started."""
    processes = unit.usage.processes if unit.usage else ()
    if _has_containers(unit):
        return True
    servers = {p.pid for p in processes if p.name.startswith(found.place.servers or ("\0",))}
    return any(p.ppid in servers and p.pid not in servers for p in processes)


def _children(unit: Unit, snapshot: Snapshot) -> dict[str, int]:
    """Return units with processes whose parent is in this one, and the bytes of these."""
    processes = unit.usage.processes if unit.usage else ()
    pids = {p.pid for p in processes if p.pid != _INIT}
    main = unit.properties.main_pid if unit.properties else 0
    moved = main if main not in pids and main > _INIT else 0
    found: dict[str, int] = {}
    if not pids and not moved:
        return found
    for name, other in snapshot.units.items():
        if other.name == unit.name or other.usage is None:
            continue
        held = [p.rss for p in other.usage.processes if p.ppid in pids or p.pid == moved]
        if held:
            found[name] = sum(held)
    return found


def _is_moved(unit: Unit, children: dict[str, int]) -> bool:
    """Tell whether more runs elsewhere than here."""
    own = sum(p.rss for p in (unit.usage.processes if unit.usage else ()))
    return sum(children.values()) > own


def _by_size(sizes: dict[str, int]) -> tuple[str, ...]:
    return tuple(sorted(sizes, key=lambda name: (-sizes[name], name)))


def _seen(place: Place, children: dict[str, int], snapshot: Snapshot) -> tuple[str, ...]:
    """Return the units that look like what was started."""
    if children:
        return _by_size(children)
    found: dict[str, int] = {}
    for name, unit in snapshot.units.items():
        usage = unit.usage
        if usage is None or not usage.processes:
            continue
        named = any(matches(each, name) or matches(each, usage.cgroup) for each in place.units)
        hosts = place.servers and any(p.name.startswith(place.servers) for p in usage.processes)
        if named if place.units else hosts:
            found[name] = usage.rss or 0
    return _by_size(found)


# --- in words -------------------------------------------------------------------------------------


def notice(after: After) -> Notice | None:
    """Warn of a limit or a score that does not reach what the unit starts."""
    key = next((key for key in (*CGROUP_FILES, Key.OOM_SCORE_ADJUST) if _counts(after, key)), None)
    if key is None:
        return None
    snapshot = after.case.situation.snapshot
    found = elsewhere(after.case.known, snapshot)
    if found is None:
        return None
    unit, setting = of_unit(after.name), _setting(after, key)
    if found.place is None:
        start = msg("What {unit} starts runs in other units.", unit=unit)
    elif found.command:
        start = msg(
            "{unit} starts its programs with `{command}`: they run {where}.",
            unit=unit,
            command=of_text(found.command, 40),
            where=found.place.where,
        )
    else:
        start = msg(
            "{unit} runs the daemon alone: the containers run {where}.",
            unit=unit,
            where=found.place.where,
        )
    if key in MEMORY_KEYS:
        reaches = msg("{setting} of {unit} does not limit them.", setting=setting, unit=unit)
    else:
        reaches = msg("{setting} of {unit} does not reach them.", setting=setting, unit=unit)
    only = None
    if key is Key.MEMORY_MAX and not found.command and found.place is not None:
        only = msg("At the limit the daemon is killed, whichever container has grown.")
    text = sentences(start, _here(found.seen, snapshot), reaches, only, _better(found, key))
    code = "payload-elsewhere" if found.command or found.place is None else "containers-elsewhere"
    return Notice(code, after.name, text)


def _setting(after: After, key: Key) -> MessageValue:
    value = after.will(key)
    return of_setting(key, render_value(key, value) if value is not None else "")


def delegated(after: After) -> Notice | None:
    """Warn of a limit that all control groups below a unit share."""
    limit = after.changed.get(Key.MEMORY_MAX)
    if not isinstance(limit, int) or not after.case.properties.delegate:
        return None
    if elsewhere(after.case.known, after.case.situation.snapshot) is not None:
        return None
    return Notice(
        "delegated",
        after.name,
        msg(
            "{unit} makes control groups of its own (Delegate=): everything in them shares this "
            "limit, and any of it may be killed for the memory of another. Limit what is in them "
            "instead.",
            unit=of_unit(after.name),
        ),
    )


def listener(after: After) -> Notice | None:
    """Warn of a limit or a score on a socket, as if it held what answers there."""
    key = next((key for key in (*CGROUP_FILES, Key.OOM_SCORE_ADJUST) if _counts(after, key)), None)
    if key is None or unit_type(after.name) is not UnitType.SOCKET:
        return None
    unit, setting = of_unit(after.name), _setting(after, key)
    text = msg(
        "{unit} only listens: the service that it starts runs in a control group of its own, which "
        "{setting} does not reach. Set it on that service.",
        unit=unit,
        setting=setting,
    )
    if triggers := after.case.properties.triggers:
        text = msg(
            "{unit} only listens: {service} runs in a control group of its own, which {setting} "
            "does not reach. Set it on {service}.",
            unit=unit,
            service=of_unit(triggers[0], 60),
            setting=setting,
        )
    return Notice("socket-only-listens", after.name, text)


CHECKS = (notice, delegated, listener)


def _counts(after: After, key: Key) -> bool:
    """Tell whether a setting changes to something that holds or marks what runs."""
    value = after.changed.get(key)
    return value is not None and value != key.facts.default


def _better(found: Elsewhere, key: Key) -> Message:
    if found.place is None:
        return msg("Set it on those.")
    return found.place.limit if key in MEMORY_KEYS else found.place.score


def _here(seen: Sequence[str], snapshot: Snapshot) -> Message | None:
    """Return in which units they run on this server, if that is seen."""
    if not seen:
        return None
    first, others = of_unit(seen[0], 60), len(seen) - 1
    usage = snapshot.units[seen[0]].usage if seen[0] in snapshot.units else None
    if usage and usage.rss:
        first = as_value(msg("{unit} ({held})", unit=first, held=of_bytes(usage.rss)))
    if others:
        return msg("On this server that is {unit} and {count} more.", unit=first, count=others)
    return msg("On this server that is {unit}.", unit=first)
