"""What stands in journald's files and is ignored, as ``policy.checks.ignored`` has it for units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unitfile import assignments, stray
from lowmem_tui.policy.checks.ignored import Setting, is_packages, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lowmem_tui.model.snapshot import UnitFile
    from lowmem_tui.model.unitfile import Assignment


def findings(
    files: Iterable[UnitFile],
    section: str,
    checks: Mapping[str, Callable[[str], object]],
    unit: str,
) -> Iterator[Finding]:
    """Yield a finding for each setting of an administrator's file that does not count.

    ``checks`` has what takes the value of each setting, InvalidValueError for one that is none.
    """
    settings = {key: Setting(frozenset({section}), check) for key, check in checks.items()}
    names = {key.lower(): key for key in settings}
    for file in files:
        if is_packages(file.path):
            continue
        for each in (*stray(file.text or ""), *assignments(file.text or "")):
            name = names.get(each.key.lower())
            wrong = name and _wrong(name, each, section, settings[name])
            if wrong:
                shown = plain(f"{each.key}={each.value}", 60)
                yield Finding(
                    "journal-ignored",
                    Severity.WARNING,
                    unit,
                    f"{shown} in {plain(file.path)}, line {each.line} is ignored by systemd: "
                    f"{wrong[0]}.",
                    f"sudoedit {plain(file.path)}    # line {each.line}: {wrong[1]}\n"
                    f"sudo systemctl restart {unit}",
                )


def _wrong(name: str, each: Assignment, section: str, known: Setting) -> tuple[str, str] | None:
    """Return why a setting does not count, and what to do; None where it does."""
    if each.key != name:
        return f"systemd knows no {plain(each.key, 40)}=, only {name}=", f"write {name}="
    if each.section != section:
        where = f"in [{plain(each.section, 40)}]" if each.section else "ahead of any section"
        return f"{name}= does not count {where}, only in [{section}]", f"put it below [{section}]"
    found = refused(name, known, each.value)
    return (found.why, found.instead) if found else None
