"""Settings in unit files that do not count: ignored by systemd, or overridden by another file.

See ``policy.checks.ignored``.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_command, of_path, of_setting, sentences
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy.checks.ignored import ignored, is_ours, is_packages, overridden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import Words
    from lowmem_tui.model.snapshot import Situation, Snapshot, UnitSituation
    from lowmem_tui.policy.checks.ignored import Ignored, Overridden
    from lowmem_tui.setup.context import Ground

MOST = 100
"""Units besides the services that are looked at, and findings: nobody reads more than that."""


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
    # A file of several units is reported once.
    yield from list({(each.code, str(each.text)): each for each in found}.values())[:MOST]


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
    words = msg(
        "{text} in {path}, line {line} is ignored by systemd.",
        text=of_setting(each.text),
        path=of_path(each.path),
        line=each.line,
    )
    if each.old:
        words = msg(
            "{text} in {path}, line {line} is an old setting.",
            text=of_setting(each.text),
            path=of_path(each.path),
            line=each.line,
        )
    return Finding(
        "setting-deprecated" if each.old else "setting-ignored",
        Severity.ADVICE if each.old else Severity.WARNING,
        name,
        sentences(words, each.why),
        _edit(name, each.path, each.line, each.instead),
    )


def _overridden(name: str, each: Overridden) -> Finding:
    return Finding(
        "setting-overridden",
        Severity.WARNING if is_ours(each.path) else Severity.ADVICE,
        name,
        msg(
            "{setting} in {path}, line {line} does not count: {other} in {winner}, line "
            "{winner_line} overrides it.",
            setting=of_setting(each.key, plain(each.value, 40)),
            path=of_path(each.path),
            line=each.line,
            other=of_setting(each.key, plain(each.winner_value, 40)),
            winner=of_path(each.winner),
            winner_line=each.winner_line,
        ),
        _edit(
            name,
            each.winner,
            each.winner_line,
            msg("remove {setting} from one of the two", setting=of_setting(f"{each.key}=")),
        ),
    )


def _edit(name: str, path: str, line: int, what: Message) -> tuple[Words, ...]:
    """Return the commands that correct a line: a package's file is not edited."""
    command = f"sudoedit {shlex.quote(plain(path))}"
    if is_packages(path):
        command = f"sudo systemctl edit {shlex.quote(name)}"
    return (
        msg(
            "{command}    # line {line}: {what}",
            command=of_command(command),
            line=line,
            what=what,
        ),
        "sudo systemctl daemon-reload",
    )
