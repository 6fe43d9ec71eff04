"""Finding the unit that a word means, as systemctl does."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.message import msg, of_text, of_unit
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.snapshot import Snapshot

PATTERN = frozenset("*?[")
"""What makes a word a pattern (glob(7))."""

NEAR = 0.5
"""How much of two names must be the same for one to be proposed for the other, of 1."""


def by_name(snapshot: Snapshot, word: str) -> str | None:
    """Return the unit of this name or alias, with or without .service; None if none is seen."""
    if word in snapshot.units:
        return word
    names = {word, f"{word}.service"}
    for unit in snapshot.units.values():
        if unit.name in names or (unit.properties and names & set(unit.properties.names)):
            return unit.name
    return None


def named(snapshot: Snapshot, words: Iterable[str]) -> list[str]:
    """Return the full names of the units that are asked for; a pattern is for loaded units.

    A name that is not seen is returned too: systemd may not have loaded its unit. Raises
    InvalidValueError for what cannot be a unit's name, and for a pattern that fits none.
    """
    found: list[str] = []
    for word in words:
        if PATTERN & set(word):
            found += _matching(snapshot, word)
        else:
            found.append(by_name(snapshot, word) or dropin.full_name(word))
    return list(dict.fromkeys(found))


def _matching(snapshot: Snapshot, pattern: str) -> list[str]:
    from fnmatch import fnmatchcase

    found = sorted(name for name in snapshot.units if fnmatchcase(name, pattern))
    if not found:
        raise InvalidValueError(
            msg(
                "No loaded unit fits the pattern '{pattern}': see `lowmem-tui list`.",
                pattern=of_text(pattern, 60),
            )
        )
    return found


def unknown(name: str, backend: ServerBackend, snapshot: Snapshot) -> InvalidValueError:
    """Return the error for a unit that does not exist; it names the nearest one."""
    near = nearest(name, _known(backend, snapshot))
    if near is None:
        return InvalidValueError(
            msg("There is no unit {unit}: see `lowmem-tui list`.", unit=of_unit(name, 60))
        )
    return InvalidValueError(
        msg(
            "There is no unit {unit}; the nearest name is {near}: use that, or see `lowmem-tui "
            "list`.",
            unit=of_unit(name, 60),
            near=of_unit(near, 60),
        )
    )


def _known(backend: ServerBackend, snapshot: Snapshot) -> list[str]:
    """Return the names of all units: those that are seen, their aliases, and unit files."""
    names = dict.fromkeys(snapshot.units)
    for unit in snapshot.units.values():
        names |= dict.fromkeys(unit.properties.names if unit.properties else ())
    with suppress(LowmemError):  # those that are seen are enough
        names |= dict.fromkeys(backend.unit_files())
    return list(names)


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the unit of the same type whose name is most like this one; None if none is."""
    from difflib import get_close_matches

    stem, _, suffix = name.rpartition(".")
    stems = [each.rpartition(".")[0] for each in known if each.endswith(f".{suffix}")]
    found = get_close_matches(stem, stems, 1, NEAR)
    return f"{found[0]}.{suffix}" if found else None
