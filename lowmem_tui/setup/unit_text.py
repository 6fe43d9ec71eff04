"""What the files of a unit say besides the settings that lowmem-tui edits itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.policy import dropin
from lowmem_tui.setup import unit_words
from lowmem_tui.setup.unit_words import specified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["specified"]

SECTION = "Service"


def drop_in(unit: str, name: str) -> str:
    """Return the path of one of our drop-ins (setup.steps names them) for a unit."""
    return f"{dropin.path(unit).rpartition('/')[0]}/{name}"


def assigned(file: UnitFile, key: str) -> list[str]:
    """Return the values that a file assigns to a setting of [Service], empty ones too."""
    return [
        each.value
        for each in assignments(file.text or "")
        if each.section == SECTION and each.key == key
    ]


def values(files: Iterable[UnitFile], key: str) -> list[str]:
    """Return the values of a setting that adds up (``ExecStart``): an empty one starts again."""
    found: list[str] = []
    for file in files:
        for value in assigned(file, key):
            if value:
                found.append(value)
            else:
                found.clear()
    return found


def last(files: Iterable[UnitFile], key: str) -> str:
    """Return the value of a setting of which the last counts (``User``); "" for none."""
    return next((v for file in reversed([*files]) for v in reversed(assigned(file, key))), "")


def words(value: str) -> list[str] | None:
    """Return the words of a command line as systemd splits it; None if unknown."""
    try:
        return unit_words.split(value)
    except ValueError:
        return None


def environment(files: Iterable[UnitFile]) -> dict[str, str]:
    """Return what ``Environment=`` alone sets (unit_command.variables knows the rest, too)."""
    found: dict[str, str] = {}
    for value in values(files, "Environment"):
        for word in unit_words.until_broken(value):
            name, equals, text = word.partition("=")
            if equals:
                found[name] = text.replace("%%", "%")
    return found


def quoted(text: str) -> str:
    """Return a text as one word of a unit file, in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def without(files: Sequence[UnitFile], path: str) -> list[UnitFile]:
    """Return the files but one."""
    return [file for file in files if file.path != path]


def with_file(files: Sequence[UnitFile], path: str, text: str | None) -> list[UnitFile]:
    """Return the files as systemd will read them once this drop-in has this text (None: gone).

    Drop-ins are read in the order of their file names; what is no drop-in comes before them.
    """
    found = without(files, path)
    if text is None:
        return found
    name = path.rpartition("/")[2]
    at = next(
        (
            index
            for index, file in enumerate(found)
            if file.path.rpartition("/")[0].endswith(".d") and file.path.rpartition("/")[2] > name
        ),
        len(found),
    )
    return [*found[:at], UnitFile(path, text), *found[at:]]
