"""`--policy FILE`: read, and matched against the units that there are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.text import plain
from lowmem_tui.policy.policy_file import parse_policy

if TYPE_CHECKING:
    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.policy.policy_file import PolicyFile

STANDARD_INPUT = "-"
LONGEST = 1 << 20
"""Bytes; a policy file is a page or two."""


def read_policy(backend: ServerBackend, path: str) -> PolicyFile:
    """Return what a policy file asks for.

    Raises InvalidValueError, naming the file and the line; ManagerError, UnsupportedError.
    """
    shown = "standard input" if path == STANDARD_INPUT else plain(path)
    try:
        policy = parse_policy(_text(path), unit_names(backend))
    except InvalidValueError as error:
        raise InvalidValueError(f"{shown}: {error}") from error
    if policy.tiers:
        print(
            f"[tiers] of {shown} counts for the advice of this plan; it is not kept.",
            file=sys.stderr,
        )
    return policy


def _text(path: str) -> str:
    try:
        if path == STANDARD_INPUT:
            raw = sys.stdin.buffer.read(LONGEST + 1)
        else:
            with open(path, "rb") as file:
                raw = file.read(LONGEST + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidValueError(f"it cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InvalidValueError("it is not UTF-8 text: write it anew with an editor.") from error
    if len(raw) > LONGEST:
        raise InvalidValueError("it is larger than 1M, and so no policy file.")
    return text.replace("\r\n", "\n")


def unit_names(backend: ServerBackend) -> dict[str, str]:
    """Return every unit that there is, loaded or not, each name with the primary one."""
    names = {name: name for name in backend.unit_files()}
    backend.wait_ready()
    for unit in backend.look().units.values():
        names |= dict.fromkeys(unit.properties.names if unit.properties else (), unit.name)
        names[unit.name] = unit.name
    return names
