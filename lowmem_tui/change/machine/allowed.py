"""What a change may do: all else is refused, whoever asks, a record of an earlier change included.

Units' settings are this package's own. Whatever else is changed is declared by the steps of the
set-up (setup.steps) and handed in by whoever wires them together, on a real machine and on the demo
server alike. A declaration is plain data; a tool is loaded when it is first needed.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_path, of_text
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lowmem_tui.model.plan import ActionKind

TRIAL_DROP_IN: Final = "zzz-lowmem-tui-trial.conf"
"""Our drop-in under /run, which a reboot forgets: it comes after the other."""

RUN_PLACE: Final = "/run/systemd/system"


class Tool(Protocol):
    """Reads and changes what one kind of action names; a step brings it along."""

    def check(self, what: str) -> None:
        """Raise InvalidValueError for what is nothing that it changes."""

    def get(self, what: str) -> str:
        """Return the value now; "" for none. OSError, LowmemError."""

    def put(self, what: str, value: str) -> None:
        """Make it so; done already is no error. OSError, LowmemError."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths that a change may write; without any declaration the drop-ins of units alone."""

    files: frozenset[str] = frozenset()
    """Files that are ours, beside drop-ins."""
    drop_ins: frozenset[str] = frozenset()
    """Names of drop-ins of ours in a ``UNIT.d``, beside the one with a unit's settings."""
    folders: frozenset[str] = frozenset()
    """Folders that are removed with the last file in them, as a ``UNIT.d`` is."""
    edited: tuple[str, ...] = ()
    """Folders (``/etc/x/``) below which files that belong to somebody else may be changed, but are
    neither made nor removed."""

    def parts(self, path: str) -> tuple[str, str, str]:
        """Return the place, the folder and the name of a path that may be written.

        PermissionError for any other, whoever asks.
        """
        above, _, name = path.rpartition("/")
        place, _, folder = above.rpartition("/")
        drop_in = self._is_drop_in(place, name) and (
            folder.endswith(".d") and is_unit_name(folder.removesuffix(".d"))
        )
        if drop_in or path in self.files or self._is_edited(path, (folder, name)):
            return place, folder, name
        raise PermissionError(errno.EPERM, "it is no file of lowmem-tui", path)

    def is_ours(self, path: str) -> bool:
        """Tell whether this is a path that may be written."""
        try:
            return bool(self.parts(path))
        except PermissionError:
            return False

    def is_others(self, path: str) -> bool:
        """Tell whether a path that may be written is that of somebody else's file."""
        return path.startswith(self.edited) and path not in self.files

    def goes_with_its_files(self, place: str, folder: str) -> bool:
        """Tell whether a folder is removed once it is empty."""
        return is_unit_place(place) or f"{place}/{folder}" in self.folders

    def _is_drop_in(self, place: str, name: str) -> bool:
        if place == RUN_PLACE:
            return name == TRIAL_DROP_IN
        return place == dropin.FOLDER and (name == dropin.OUR_NAME or name in self.drop_ins)

    def _is_edited(self, path: str, names: tuple[str, str]) -> bool:
        """Tell whether this is a file below ``edited``, by a path that goes straight to it."""
        return (
            path.startswith(self.edited)
            and path.isprintable()
            and "//" not in path
            and not any(part in {".", ".."} for part in path.split("/"))
            and all(names)
            and not names[1].startswith(".")
        )


@dataclass(frozen=True, slots=True)
class Allowed:
    """All that a change may do beside the settings of units."""

    paths: Paths = field(default_factory=Paths)
    swap_files: frozenset[str] = frozenset()
    """Paths of swap files that may be made."""
    swap_units: Mapping[str, str] = field(default_factory=dict)
    """The swap space (a file, a device) that a unit of ours switches on, by the unit."""
    tools: Mapping[tuple[ActionKind, str], Callable[[], Tool]] = field(default_factory=dict)
    """By the kind of an action and its name; a name of "" stands for all names of that kind."""

    def tool(self, kind: ActionKind, what: str) -> Tool | None:
        """Return what does an action; None if no tool was declared for it."""
        make = self.tools.get((kind, what)) or self.tools.get((kind, ""))
        return make() if make is not None else None

    def check_swap_file(self, what: str) -> None:
        """Raise InvalidValueError for a path at which no swap file is made."""
        if what not in self.swap_files:
            places = of_list(of_path(path) for path in sorted(self.swap_files))
            raise InvalidValueError(
                msg(
                    "{path} is no place for a swap file: use one of {places}.",
                    path=of_text(what, 60),
                    places=places,
                )
            )


def is_unit_place(place: str) -> bool:
    """Tell whether drop-ins of ours lie below this folder."""
    return place in {dropin.FOLDER, RUN_PLACE}


def is_trial(path: str) -> bool:
    """Tell whether this is the path of a trial's drop-in; the steps have no part in it."""
    return Paths().is_ours(path) and path.endswith(f"/{TRIAL_DROP_IN}")
