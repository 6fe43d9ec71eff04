"""`lowmem-tui list`: every unit by tier, what it uses, and its settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lowmem_tui.cli import json_view
from lowmem_tui.cli.apply import trial_line
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import talk
from lowmem_tui.cli.rules import rules_for
from lowmem_tui.model import language
from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells, wrap
from lowmem_tui.model.errors import ManagerError, NotPermittedError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, as_message, msg, of_list, of_unit, sentences
from lowmem_tui.model.snapshot import Situation
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import TIERS, Tier, UnitType, unit_type
from lowmem_tui.tui.table.columns import NAME, placed
from lowmem_tui.tui.table.drawing import GUTTER, Drawing
from lowmem_tui.tui.table.marks import NO_MARKS, Marks
from lowmem_tui.tui.table.rows import Kind, Row
from lowmem_tui.tui.terminal import looks
from lowmem_tui.tui.terminal.glyphs import UNICODE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.policy.classify import Verdict

_COLUMNS = frozenset({NAME.key, "rss", "swap", "score", "adj", "max", "restart"})
_NAMES = 40
"""Cells of the names at least."""

_GROUPS_ONLY = frozenset({UnitType.MOUNT, UnitType.AUTOMOUNT, UnitType.SOCKET, UnitType.SWAP})
_NOTHING = 1 << 20
"""Bytes: an empty group is charged for less than that."""

_TITLES = {
    Tier.GATEKEEPER: N_("Tier 0 gatekeepers"),
    Tier.BUSINESS: N_("Tier 1 business"),
    Tier.SHORT_LIVED: N_("Tier 2 short-lived"),
    None: N_("No tier (sessions, slices and the rest)"),
}


def run(options: argparse.Namespace) -> Exit:
    """Print the list."""
    backend = open_backend(options, read_only=True)
    try:
        rules = rules_for(demo=backend.demo)
        backend.wait_ready()
        snapshot = backend.look()
        # What exists in systemd alone (devices, targets) uses no memory.
        names = [u.name for u in snapshot.units.values() if _shown(u)]
        notice: Message | str = snapshot.notice
        try:
            situation = backend.situation(names)
        except (ManagerError, NotPermittedError) as error:
            situation = Situation(snapshot, {}, swap=snapshot.host.swap_total > 0)
            notice = sentences(error.message, msg("Until then settings are unknown."))
        trial, unended = backend.trial(), backend.settle()
    finally:
        backend.close()
    if notice:
        talk(as_message(notice))
    for sentence in unended:
        talk(plain(language.say(sentence), 2000))
    verdicts = {
        name: rules.classify(snapshot.units[name], snapshot.host.mem_total) for name in names
    }
    if options.json:
        json_view.write(as_json(snapshot, situation, verdicts))
    else:
        if trial is not None:
            print(trial_line(trial))
        for line in table(snapshot, situation, verdicts):
            print(line)
    return Exit.DONE


def _shown(unit: Unit) -> bool:
    return unit.usage is not None or unit.name.endswith(".service")


def as_json(
    snapshot: Snapshot, situation: Situation, verdicts: Mapping[str, Verdict]
) -> dict[str, object]:
    """Return the list as cli.md's contract has it."""
    host = snapshot.host
    return {
        "time": datetime.fromtimestamp(snapshot.time, UTC).isoformat(timespec="seconds"),
        "host": {
            "mem_total": host.mem_total,
            "mem_available": host.mem_available,
            "swap_total": host.swap_total,
            "swap_used": host.swap_used,
            "pressure": json_view.pressure(host.pressure),
        },
        "units": [
            json_view.unit(snapshot.units[name], verdict, situation)
            for name, verdict in verdicts.items()
        ],
    }


def table(
    snapshot: Snapshot, situation: Situation, verdicts: Mapping[str, Verdict]
) -> Iterator[str]:
    """Yield the list for a person: tiers, and in them the largest first."""
    yield from _summary(snapshot.host)
    drawing = _drawing(map(plain, verdicts))
    for tier in TIERS:
        rows = [snapshot.units[name] for name, v in verdicts.items() if v.tier is tier]
        empty = [unit for unit in rows if _is_empty(unit)]
        running = [unit for unit in rows if unit.usage and unit not in empty]
        running.sort(key=lambda u: (-_size(u), u.name))
        yield ""
        yield _text(drawing.titles({NAME.key: tr(_TITLES[tier])}))
        for unit in running:
            row = Row(unit.name, Kind.UNIT, unit, unit.name)
            restart = unit.properties.restart if unit.properties else ""
            marks = NO_MARKS if restart else Marks(note=UNICODE.none)
            yield _text(drawing.row(row, marks, cursor=False))
            yield from _differing(unit, situation)
        if names := _names(empty):
            yield from _folded(
                msg(
                    "no processes, no memory ({count}): {units}",
                    count=len(names),
                    units=_listed(names),
                )
            )
        if names := _names(unit for unit in rows if not unit.usage):
            yield from _folded(
                msg("not running ({count}): {units}", count=len(names), units=_listed(names))
            )


def _is_empty(unit: Unit) -> bool:
    """Tell whether a mount, a socket or the like has a group, and nothing in it worth a line."""
    usage = unit.usage
    if usage is None or usage.processes or usage.rss != 0 or usage.swap:
        return False
    bounded = isinstance(usage.memory.max, int)
    small = (usage.memory.current or 0) < _NOTHING
    return unit_type(unit.name) in _GROUPS_ONLY and small and not bounded


def _names(units: Iterable[Unit]) -> list[str]:
    return sorted(unit.name for unit in units)


def _listed(names: Iterable[str]) -> Value:
    return of_list(map(of_unit, names))


def _folded(words: Message) -> list[str]:
    return wrap(say(words), 80, first="  ", then="    ")


def _summary(host: HostUsage) -> Iterator[str]:
    yield tr(
        "{host}: {used} of {ram} RAM used, {swapped} of {swap} swap",
        host=host.hostname,
        used=format_size(host.mem_total - host.mem_available),
        ram=format_size(host.mem_total),
        swapped=format_size(host.swap_used),
        swap=format_size(host.swap_total),
    )
    if host.pressure is None:
        return
    some, full = f"{host.pressure.some.avg10}%", host.pressure.full
    if full is None:
        yield tr("memory pressure of the last 10 s: some {some}", some=some)
    else:
        yield tr(
            "memory pressure of the last 10 s: some {some}, full {full}",
            some=some,
            full=f"{full.avg10}%",
        )


def _size(unit: Unit) -> int:
    return ((unit.usage.rss or 0) + (unit.usage.swap or 0)) if unit.usage else 0


def _drawing(names: Iterable[str]) -> Drawing[str]:
    """Return what draws the rows: no name is cut, for it may be what somebody looks for."""
    widest = max(map(cells, names), default=0) + GUTTER
    nothing = looks.Palette(*("" for _ in looks.Palette._fields))
    return Drawing(placed(_COLUMNS, max(widest, _NAMES)), UNICODE, nothing)


def _text(parts: Iterable[tuple[str, str]]) -> str:
    return "".join(text for text, _ in parts).rstrip()


def _differing(unit: Unit, situation: Situation) -> Iterator[str]:
    known = situation.units.get(unit.name)
    for setting in known.settings.values() if known else ():
        if setting.differs:
            yield f"      ! {setting.key}: {plain(say(setting.differs))}"
