"""The state of a server at one moment: what the screen and the commands show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.unit import Key, Limit, UnitProperties, Value
    from lowmem_tui.model.usage import HostUsage, Process, UnitUsage


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it uses (if it runs) and what systemd has loaded of it (if that is known)."""

    name: str
    usage: UnitUsage | None
    properties: UnitProperties | None

    @property
    def limit(self) -> Limit | None:
        """MemoryMax: the kernel's, else systemd's; None if neither is known."""
        if self.usage and self.usage.memory.max is not None:
            return self.usage.memory.max
        return self.properties.memory_max if self.properties else None

    @property
    def main_process(self) -> Process | None:
        """The main process, or the one most likely to be killed; None where none is seen."""
        processes = self.usage.processes if self.usage else ()
        main_pid = self.properties.main_pid if self.properties else 0
        first = None
        for process in processes:
            if process.pid == main_pid:
                return process
            if first is None or (process.oom_score or 0) > (first.oom_score or 0):
                first = process
        return first


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A server at one moment; replaced whole at each tick, never changed."""

    time: float
    """Seconds since 1970."""
    monotonic: float
    host: HostUsage
    units: dict[str, Unit]
    """By name. Running units come from the cgroup tree, the others from systemd."""
    loading: bool = False
    """Whether systemd has not answered yet: properties are to come."""
    notice: Message | str = ""
    """One sentence about the source itself ("systemd does not answer …"), or empty."""


class Standing(StrEnum):
    """The result of an assignment in a unit file."""

    DECIDES = "decides"
    OVERRIDDEN = "overridden"
    """A later assignment decides; for ``MemoryLimit=``, also a newer setting."""
    IGNORED = "ignored"
    """systemd does not accept the value."""
    NOT_READ = "not read"
    """systemd reads another file of the same name instead of this one."""
    UNKNOWN = "unknown"
    """The last that can be read; a file after it, which cannot be read, may override it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a unit file that sets a setting."""

    path: str
    line: int
    key: str
    """The setting's name as it is there: ``MemoryMax``, or its old name ``MemoryLimit``."""
    value: str
    """The text as it is there; "" resets the setting to its default."""
    standing: Standing

    @property
    def decides(self) -> bool:
        """Whether it decides, as far as the files can be read."""
        return self.standing is Standing.DECIDES or self.standing is Standing.UNKNOWN


@dataclass(frozen=True, slots=True)
class Setting:
    """The values a setting has at the same time: in the files, in systemd, in the kernel."""

    key: Key
    declared: str | None
    """The text that counts in the files, as it is written there; None where no file sets it."""
    source: str | None
    """The file that sets it."""
    loaded: Value | None
    """What systemd has loaded."""
    kernel: Value | None
    """What the kernel does: memory.max, oom_score_adj of the main process…; None where it has none
    (Restart) or the unit does not run."""
    effective: Limit | None = None
    """For MemoryMax: the least limit on the way from the unit up to the root."""
    capped_by: str | None = None
    """The parent whose limit is below the unit's own, if one is."""
    differs: Message | str = ""
    """Where the three differ: why, in words; else empty."""
    sources: tuple[Source, ...] = ()
    """Every place that sets it, in systemd's order (`unitfile.sources`)."""


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A unit file or drop-in that systemd reads for a unit."""

    path: str
    text: str | None
    """None if it cannot be read (gone, or not permitted)."""


@dataclass(frozen=True, slots=True)
class UnitSituation:
    """All that a plan must know of one unit; plain data."""

    asked: str
    """The name as it was asked for: an alias, perhaps."""
    unit: Unit
    files: tuple[UnitFile, ...]
    """``FragmentPath``, then ``DropInPaths``, in systemd's order: the last one wins."""
    settings: dict[Key, Setting]
    drop_in: UnitFile | None
    """Ours, if there is one (it may not be loaded yet)."""
    obstacle: Message | None = None
    """Why nothing may be written for this unit (an odd owner, a symbolic link), or None."""
    hidden: tuple[UnitFile, ...] = ()
    """Files that systemd does not read, because another one has their name; only if asked for."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a plan must know of the server."""

    snapshot: Snapshot
    units: dict[str, UnitSituation]
    """By the name asked for."""
    swap: bool = True
