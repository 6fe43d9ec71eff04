"""Settings in journald's files that are ignored, as ``policy.checks.ignored`` has it for units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import as_message, msg, of_command, of_path, of_setting
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unitfile import assignments, stray
from lowmem_tui.policy.checks.ignored import Setting, is_packages, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lowmem_tui.model.message import Message
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
                yield Finding(
                    "journal-ignored",
                    Severity.WARNING,
                    unit,
                    msg(
                        "{text} in {path}, line {line} is ignored by systemd: {why}.",
                        text=of_setting(plain(f"{each.key}={each.value}", 60)),
                        path=of_path(file.path),
                        line=each.line,
                        why=wrong[0],
                    ),
                    (
                        msg(
                            "{command}    # line {line}: {what}",
                            command=of_command(f"sudoedit {plain(file.path)}"),
                            line=each.line,
                            what=wrong[1],
                        ),
                        f"sudo systemctl restart {unit}",
                    ),
                )


def _wrong(
    name: str, each: Assignment, section: str, known: Setting
) -> tuple[Message, Message] | None:
    """Return why a setting does not count, and what to do; None where it does."""
    if each.key != name:
        why = msg(
            "systemd knows {name}, not {wrong}",
            name=of_setting(f"{name}="),
            wrong=of_setting(f"{plain(each.key, 40)}="),
        )
        return why, msg("write {setting}", setting=of_setting(f"{name}="))
    if each.section != section:
        why = msg(
            "{name} counts only in [{section}]",
            name=of_setting(f"{name}="),
            section=of_setting(section),
        )
        return why, msg("move it below [{section}]", section=of_setting(section))
    found = refused(name, known, each.value)
    return (as_message(found.why), as_message(found.instead)) if found else None
