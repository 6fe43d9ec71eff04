"""Settings in journald's files that are ignored, as ``policy.checks.ignored`` has it for units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_command, of_path, of_setting, sentences
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unitfile import assignments, stray
from lowmem_tui.policy.checks.ignored import Setting, is_packages, misplaced, refused, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lowmem_tui.model.snapshot import UnitFile
    from lowmem_tui.model.unitfile import Assignment
    from lowmem_tui.policy.checks.ignored import Wrong


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
                yield Finding(
                    "journal-ignored",
                    Severity.WARNING,
                    unit,
                    sentences(
                        msg(
                            "{text} in {path}, line {line} is ignored by systemd.",
                            text=of_setting(plain(f"{each.key}={each.value}", 60)),
                            path=of_path(file.path),
                            line=each.line,
                        ),
                        wrong.why,
                    ),
                    (
                        msg(
                            "{command}    # line {line}: {what}",
                            command=of_command(f"sudoedit {plain(file.path)}"),
                            line=each.line,
                            what=wrong.instead,
                        ),
                        f"sudo systemctl restart {unit}",
                    ),
                )


def _wrong(name: str, each: Assignment, section: str, known: Setting) -> Wrong | None:
    """Return why a setting does not count, and what to do; None where it does."""
    if each.key != name:
        return unknown(each.key, name)
    if each.section != section:
        return misplaced(name, each.section, section)
    return refused(name, known, each.value)
