"""What stands in unit files and does not count: ignored by systemd, or overridden by another file.

See ``policy.checks.ignored``.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy.checks.ignored import ignored, is_ours, is_packages, overridden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.snapshot import Situation, Snapshot, UnitSituation
    from lowmem_tui.policy.checks.ignored import Ignored, Overridden
    from lowmem_tui.setup.context import Ground

MOST = 100
"""Units besides the services that are looked at, and findings: more than that nobody reads."""


def findings(ground: Ground, known: Situation) -> Iterator[Finding]:
    """Yield a finding for each setting that does not count; ``known`` are the services.

    Slices, sockets and the like are looked at where an administrator has written a file for them.
    Raises LowmemError.
    """
    services = {each.unit.name: each for each in known.units.values()}
    others = ground.situation(_others(known.snapshot, services))
    units = {**services, **{each.unit.name: each for each in others.units.values()}}
    systemd = ground.inspector.facts().systemd
    found = [made for name in sorted(units) for made in _of_unit(name, units[name], systemd)]
    # A file of several units is told once.
    yield from list({(each.code, each.text): each for each in found}.values())[:MOST]


def _others(snapshot: Snapshot, services: dict[str, UnitSituation]) -> list[str]:
    names = [
        name
        for name, unit in sorted(snapshot.units.items())
        if name not in services
        and is_unit_name(name)
        and unit.properties is not None
        and not unit.properties.transient
        and any(
            path and not is_packages(path)
            for path in (unit.properties.fragment_path, *unit.properties.drop_in_paths)
        )
    ]
    return names[:MOST]


def _of_unit(name: str, unit: UnitSituation, systemd: int | None) -> Iterator[Finding]:
    if unit.unit.properties is None or unit.unit.properties.transient:
        return
    for each in ignored(unit.files, name, systemd):
        yield _ignored(name, each)
    for other in overridden(unit.files, name):
        yield _overridden(name, other)


def _ignored(name: str, each: Ignored) -> Finding:
    how = "is an old setting" if each.old else "is ignored by systemd"
    return Finding(
        "setting-deprecated" if each.old else "setting-ignored",
        Severity.ADVICE if each.old else Severity.WARNING,
        name,
        f"{each.text} in {plain(each.path)}, line {each.line} {how}: {each.why}.",
        _edit(name, each.path, each.line, each.instead),
    )


def _overridden(name: str, each: Overridden) -> Finding:
    winner = "the same file" if each.winner == each.path else plain(each.winner)
    return Finding(
        "setting-overridden",
        Severity.WARNING if is_ours(each.path) else Severity.ADVICE,
        name,
        f"{each.key}={plain(each.value, 40)} in {plain(each.path)}, line {each.line} does not "
        f"count: {each.key}={plain(each.winner_value, 40)} in {winner}, line {each.winner_line} "
        "overrides it.",
        _edit(name, each.winner, each.winner_line, f"take {each.key}= out of one of the two"),
    )


def _edit(name: str, path: str, line: int, what: str) -> str:
    """Return the command that mends a line: a package's file is not edited."""
    command = f"sudoedit {shlex.quote(plain(path))}"
    if is_packages(path):
        command = f"sudo systemctl edit {shlex.quote(name)}"
    return f"{command}    # line {line}: {what}\nsudo systemctl daemon-reload"
