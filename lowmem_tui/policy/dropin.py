"""Our drop-in: where it lies, what it says, and what can be read back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_text
from lowmem_tui.model.unit import Key, UnitType, is_unit_name, unit_type
from lowmem_tui.model.unitfile import accepted, assignments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.snapshot import UnitFile

OUR_NAME = "zz-lowmem-tui.conf"
"""Drop-ins are read in the order of their file names: this one comes late."""

FOLDER = "/etc/systemd/system"

_MARK = "# Written by lowmem-tui."


def full_name(unit: str) -> str:
    """Return a unit's name with its suffix: one without is a service's, as systemctl has it.

    Raises InvalidValueError for what is no unit name even then.
    """
    full = unit if unit_type(unit) is not UnitType.CGROUP else f"{unit}.service"
    if not unit or not is_unit_name(full):
        raise InvalidValueError(
            msg(
                "'{unit}' is not a unit's name: write something like ssh.service.",
                unit=of_text(unit, 60),
            )
        )
    return full


def path(unit: str) -> str:
    """Return the path of our drop-in for a unit.

    Raises InvalidValueError for what is no unit name: no other path can be made.
    """
    if not is_unit_name(unit):
        raise InvalidValueError(
            msg(
                "'{unit}' is not a unit's name: write it with its suffix, like ssh.service.",
                unit=of_text(unit, 60),
            )
        )
    return f"{FOLDER}/{unit}.d/{OUR_NAME}"


def render(unit: str, settings: Mapping[Key, str], section: str) -> str:
    """Return the file's text; ``settings`` are values as they go into a unit file.

    Raises InvalidValueError for a value that would not stay on its line, and for no unit name.
    """
    path(unit)
    lines = [
        f"{_MARK} Change it with 'lowmem-tui apply --set UNIT:KEY=VALUE'.",
        "# To remove a setting, leave its value empty:",
    ]
    # A backslash of the name is the shell's own sign too, and at a line's end it would go on.
    lines += [f"#   lowmem-tui apply --set '{unit}:{key}='" for key in Key if key in settings]
    lines += ["", f"[{section}]"]
    for key in Key:
        if key in settings:
            value = settings[key]
            if not value.isprintable() or value.endswith("\\") or value != value.strip():
                raise InvalidValueError(
                    msg("A unit file cannot hold the value '{value}'.", value=of_text(value, 40))
                )
            lines.append(f"{key}={value}")
    return "\n".join(lines) + "\n"


def ours(text: str) -> dict[Key, str]:
    """Return the settings that a drop-in of ours holds; of repeated ones the last.

    What systemd ignores is left out.
    """
    known = {str(key): key for key in Key}
    return {
        known[a.key]: one_line(a.value)
        for a in assignments(text)
        if a.key in known and accepted(a.key, a.value)
    }


def one_line(value: str) -> str:
    """Return a value with each run of white space as one space."""
    return " ".join(value.split())


def marked(text: str) -> bool:
    """Tell whether we wrote this file, whatever has been put into it since."""
    return text.startswith(_MARK)


def is_ours(text: str) -> bool:
    """Tell whether we wrote this file, and everything in it."""
    known = {str(key) for key in Key}
    return marked(text) and all(
        line.startswith(("#", "[")) or not line.strip() or line.partition("=")[0] in known
        for line in text.splitlines()
    )


def with_file(files: Sequence[UnitFile], ours: UnitFile) -> list[UnitFile]:
    """Return the files as systemd will read them once ours is as given (None: gone).

    Drop-ins are read in the order of their file names, wherever they lie; the first of ``files``
    may be the unit's own file, which comes before them all.
    """
    others = [file for file in files if file.path != ours.path]
    if ours.text is None:
        return others
    at = next(
        (index for index, file in enumerate(others) if is_later(file.path)),
        len(others),
    )
    return [*others[:at], ours, *others[at:]]


def is_later(path: str) -> bool:
    """Tell whether systemd reads this file of a unit after ours."""
    folder, _, name = path.rpartition("/")
    return folder.endswith(".d") and name > OUR_NAME
