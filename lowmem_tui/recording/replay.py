"""A recording behind the Protocols of a server (model/ports): it is looked at, never changed.

What a server has besides snapshots (files, the kernel's present values, its set-up) is not in a
recording: it is not known here, and every change is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from lowmem_tui.model.errors import RefusedError, UnsupportedError
from lowmem_tui.model.message import msg
from lowmem_tui.model.ports import Changes, ListedUnit
from lowmem_tui.model.unit import CGROUP_FILES, UnitProperties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import ActionKind
    from lowmem_tui.model.setup import FolderUsage, HostFacts, Progress
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Limit
    from lowmem_tui.recording.recording import Position, Recording

CANNOT_CHANGE = msg("This is a recording: it shows the past, and nothing can be changed in it.")


def refuse() -> NoReturn:
    """Raise RefusedError: a recording is not changed."""
    raise RefusedError(CANNOT_CHANGE)


class Player:
    """Where in a recording we are: what a server's watcher is to the screens."""

    def __init__(self, recording: Recording, at: float | None = None) -> None:
        """Begin at this moment (seconds since 1970), or at the newest. Raises StreamError."""
        self.recording = recording
        self.position: Position = recording.last if at is None else recording.find(at)

    def look(self) -> Snapshot:
        """Return the snapshot here. Raises StreamError."""
        return self.recording.snapshot(self.position)

    def step(self, forward: bool) -> bool:
        """Go to the next snapshot, or to the one before; False at the end."""
        there = self.recording.step(self.position, forward)
        if there is not None:
            self.position = there
        return there is not None

    def go(self, time: float) -> None:
        """Go to the newest snapshot that is not after this moment. Raises StreamError."""
        self.position = self.recording.find(time)

    def to_kill(self, forward: bool) -> bool:
        """Go to the snapshot before the next kill, or before the last one before here.

        False where there is none.
        """
        places = [self.recording.step(place, forward=False) for place in self.recording.kills()]
        before = [place for place in places if place is not None]
        if forward:
            found = next((place for place in before if place > self.position), None)
        else:
            found = next((place for place in reversed(before) if place < self.position), None)
        if found is not None:
            self.position = found
        return found is not None

    def watch(self, unit: str | None) -> None:
        """Do nothing: everything there is has been recorded."""

    def wait_ready(self, timeout: float) -> bool:  # noqa: ARG002
        """Return at once: systemd's answers are in the recording."""
        return True

    def close(self) -> None:
        """Close the recording's files."""
        self.recording.close()


class RecordedManager:
    """systemd as it was (model.ports.Manager)."""

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look

    def list_units(self) -> Sequence[ListedUnit]:
        """Return the units that were loaded."""
        found = self._look().units.values()
        return [ListedUnit(one.name, one.properties.load_state) for one in found if one.properties]

    def list_unit_files(self) -> dict[str, str]:
        """Return none: they are not in a recording."""
        return {}

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        """Return what was loaded; a unit that was not there is "not-found"."""
        units = self._look().units
        found = {}
        for name in names:
            known = units[name].properties if name in units else None
            found[name] = known or UnitProperties(name, load_state="not-found")
        return found

    def reload(self) -> None:
        """Refuse."""
        refuse()

    def restart_unit(self, name: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def reset_failed_unit(self, name: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def start_revert_timer(self, name: str, seconds: float, command: Sequence[str]) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def stop_unit(self, name: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def subscribe(self) -> None:
        """Do nothing: nothing is announced in the past."""

    def changes(self, timeout: float) -> Changes:  # noqa: ARG002
        """Return none."""
        return Changes(frozenset(), reloaded=False)

    def close(self) -> None:
        """Do nothing."""


class NoFiles:
    """Unit files (model.ports.Files): none of them is in a recording."""

    def read(self, path: str) -> str | None:  # noqa: ARG002
        """Return None."""
        return None

    def obstacle(self, path: str) -> None:
        """Return None: a plan may be made, to see its effects. Nothing is ever written."""

    def is_others(self, path: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def write(self, path: str, text: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def edit(self, path: str, text: str, known: str | None) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def remove(self, path: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def tidy(self, path: str) -> None:
        """Do nothing."""


class RecordedKernel:
    """The kernel's values as they were (model.ports.Kernel)."""

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look

    def limit(self, cgroup: str, file: str) -> Limit | None:
        """Return what a group's file had."""
        for unit in self._look().units.values():
            if unit.usage and unit.usage.cgroup == cgroup:
                return next(
                    (value for key, value in unit.usage.memory.settings.items()
                     if CGROUP_FILES.get(key) == file),
                    None,
                )  # fmt: skip
        return None

    def processes(self, cgroup: str) -> Sequence[tuple[int, int]]:
        """Return the processes that were in a unit's group."""
        for unit in self._look().units.values():
            if unit.usage and unit.usage.cgroup == cgroup:
                return [(each.pid, each.start) for each in unit.usage.processes]
        return []

    def oom_score_adj(self, pid: int, start: int) -> int | None:
        """Return what a process had."""
        for unit in self._look().units.values():
            for each in unit.usage.processes if unit.usage else ():
                if (each.pid, each.start) == (pid, start):
                    return each.oom_score_adj
        return None

    def set_limit(self, cgroup: str, file: str, value: Limit) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def set_oom_score_adj(self, pid: int, start: int, value: int) -> bool:  # noqa: ARG002
        """Refuse."""
        refuse()


class NoStore:
    """Records of changes (model.ports.Store): none of them is in a recording."""

    def names(self, folder: str) -> Sequence[str]:  # noqa: ARG002
        """Return none."""
        return ()

    def read(self, path: str) -> str | None:  # noqa: ARG002
        """Return None."""
        return None

    def write(self, path: str, text: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def remove(self, path: str) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()

    def tidy(self, folder: str) -> None:
        """Do nothing."""

    def set_aside(self, path: str) -> str:  # noqa: ARG002
        """Refuse."""
        refuse()

    def troubles(self) -> Sequence[Message]:
        """Return none."""
        return ()


class NoSystem:
    """What else of a server can be changed (model.ports.System): it is not in a recording."""

    progress: Progress | None = None

    def get(self, kind: ActionKind, what: str) -> str:  # noqa: ARG002
        """Raise UnsupportedError."""
        not_recorded()

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:  # noqa: ARG002
        """Refuse."""
        refuse()


class NoInspector:
    """What the set-up looks at (model.ports.Inspector): it is not in a recording."""

    def facts(self) -> HostFacts:
        """Raise UnsupportedError."""
        not_recorded()

    def names(self, folder: str) -> Sequence[str]:  # noqa: ARG002
        """Raise UnsupportedError."""
        not_recorded()

    def real_path(self, path: str) -> str:  # noqa: ARG002
        """Raise UnsupportedError."""
        not_recorded()

    def usage(self, folder: str) -> FolderUsage | None:  # noqa: ARG002
        """Raise UnsupportedError."""
        not_recorded()

    def pss(self, pid: int) -> int | None:  # noqa: ARG002
        """Raise UnsupportedError."""
        not_recorded()


def not_recorded() -> NoReturn:
    """Raise UnsupportedError: the set-up looks at a server, not at the past."""
    raise UnsupportedError(
        msg("A recording has no files and no set-up: run the set-up on the server itself.")
    )
