"""What the files of a unit say besides the settings that lowmem-tui edits itself."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECTION = "Service"


def drop_in(unit: str, name: str) -> str:
    """Return the path of one of our drop-ins (a name of ``dropin.OTHERS``) for a unit."""
    return f"{dropin.path(unit).rpartition('/')[0]}/{name}"


def values(files: Iterable[UnitFile], key: str) -> list[str]:
    """Return the values of a setting that adds up (``ExecStart``): an empty one begins anew."""
    found: list[str] = []
    for file in files:
        for each in assignments(file.text or ""):
            if each.section == SECTION and each.key == key:
                if each.value:
                    found.append(each.value)
                else:
                    found.clear()
    return found


def last(files: Iterable[UnitFile], key: str) -> str:
    """Return the value of a setting of which the last counts (``User``); "" for none."""
    found = ""
    for file in files:
        for each in assignments(file.text or ""):
            if each.section == SECTION and each.key == key:
                found = each.value
    return found


def words(value: str) -> list[str] | None:
    """Return the words of a value with their quotes taken away; None if that cannot be told."""
    try:
        return shlex.split(value)
    except ValueError:
        return None


def environment(files: Iterable[UnitFile]) -> dict[str, str]:
    """Return what ``Environment=`` sets; what cannot be understood is left out."""
    found: dict[str, str] = {}
    for value in values(files, "Environment"):
        for word in words(value) or ():
            name, equals, text = word.partition("=")
            if equals:
                found[name] = text.replace("%%", "%")
    return found


def quoted(text: str) -> str:
    """Return a text as one word of a unit file, in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def specified(text: str, unit: str) -> str | None:
    """Fill in the specifiers that a path commonly has; None if it has another.

    See systemd.unit(5).
    """
    stem = unit.rpartition(".")[0]
    prefix, _, instance = stem.partition("@")
    known = {"%": "%", "i": instance, "n": unit, "N": stem, "p": prefix}
    out, rest = "", iter(text)
    for char in rest:
        if char != "%":
            out += char
        elif (after := next(rest, "")) in known:
            out += known[after]
        else:
            return None
    return out


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
