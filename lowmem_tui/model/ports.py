"""The Protocols between the program and a machine.

Each has an implementation for a real machine and one for the demo server, so that every screen
and every command runs the same on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.incident import Evidence, ReportText
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import ActionKind, FileChange, Outcome, Plan
    from lowmem_tui.model.setup import FolderUsage, HostFacts, Look, Progress
    from lowmem_tui.model.snapshot import Situation, Snapshot
    from lowmem_tui.model.unit import Limit, UnitProperties
    from lowmem_tui.model.usage import Sample


class Sampler(Protocol):
    """Reads the kernel's files."""

    def sample(self) -> Sample:
        """Take one sample; blocking, some milliseconds."""

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each sample (the one whose page is open)."""

    def close(self) -> None:
        """Close every descriptor."""


class ListedUnit(NamedTuple):
    """One row of ListUnits."""

    name: str
    load_state: str


class Changes(NamedTuple):
    """What systemd has announced since the last call."""

    units: frozenset[str]
    """Units that appeared, went or changed."""
    reloaded: bool
    """systemd has reloaded its files: everything may have changed."""


class Manager(Protocol):
    """systemd over D-Bus (org.freedesktop.systemd1(5)). Blocking; one thread at a time.

    Every method raises ManagerError when systemd refuses or does not answer in time,
    ManagerGoneError when the connection is gone, NotPermittedError when it says that
    we may not.
    """

    def list_units(self) -> Sequence[ListedUnit]:
        """Return the loaded units."""

    def list_unit_files(self) -> dict[str, str]:
        """Return the state of each unit file (``enabled``, ``static``, ``masked``…), by name."""

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        """Return the properties of units, by the names asked for.

        A unit that is not loaded is loaded for the question; an alias gives its primary unit.
        One that does not exist has ``load_state`` "not-found".
        """

    def reload(self) -> None:
        """``systemctl daemon-reload``; returns when systemd answers again."""

    def restart_unit(self, name: str) -> None:
        """Queue a restart."""

    def reset_failed_unit(self, name: str) -> None:
        """``systemctl reset-failed``."""

    def start_revert_timer(self, name: str, seconds: float, command: Sequence[str]) -> None:
        """Make systemd run a command after so many seconds, whatever becomes of us.

        By a transient timer ``NAME.timer`` and service ``NAME.service``; a reboot forgets both.
        It is not armed for sure before ``properties`` of the timer says "active".
        """

    def stop_unit(self, name: str) -> None:
        """Queue a stop; a unit that is not loaded is no error."""

    def subscribe(self) -> None:
        """Ask for signals; from now on ``changes`` has something to tell."""

    def changes(self, timeout: float) -> Changes:
        """Wait up to that many seconds for signals and return all that have come, merged."""

    def close(self) -> None:
        """Close the connection."""


class Files(Protocol):
    """Unit files and drop-ins. Paths are absolute, as systemd names them.

    Real files raise OSError as the kernel gives it; whoever calls turns it into a sentence.
    """

    def read(self, path: str) -> str | None:
        """Return the text (undecodable bytes as surrogates), None if there is no such file."""

    def obstacle(self, path: str) -> Message | None:
        """Return why this path must not be written (a link, an odd owner on the way), or None."""

    def is_others(self, path: str) -> bool:
        """Tell whether this is the path of somebody else's file, which is changed by ``edit``."""

    def write(self, path: str, text: str) -> None:
        """Write a file whole and durably: it is the old or the new one at any instant; mode 0644.

        The folder is made (0755) if it is not there.
        """

    def edit(self, path: str, text: str, known: str | None) -> None:
        """Put another text into a file of somebody else's: owner, mode, ACL and the like stay.

        ChangedError if its text is not ``known`` when its turn comes, RefusedError if something of
        it cannot stay; nothing is changed then.
        """

    def remove(self, path: str) -> None:
        """Remove a file durably; and its folder, if that is empty then."""

    def tidy(self, path: str) -> None:
        """Remove what a crash may have left of writing this file: half a file, an empty folder."""


class Store(Protocol):
    """Where changes are remembered: small files of ours, none of them a unit's.

    Paths are absolute, in one of the folders that change.places names; real files raise OSError.
    """

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the files in a folder; none if there is no such folder."""

    def read(self, path: str) -> str | None:
        """Return the text (undecodable bytes as surrogates), None if there is no such file."""

    def write(self, path: str, text: str) -> None:
        """Write a file whole and durably; folders and modes are made as the place needs them."""

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""

    def tidy(self, folder: str) -> None:
        """Remove the half files that a crash may have left."""

    def set_aside(self, path: str) -> str:
        """Rename what cannot be read, never over anything else; returns its path then."""

    def troubles(self) -> Sequence[Message]:
        """Return sentences on what others than root could have written: it reads as absent."""


class Kernel(Protocol):
    """The kernel's own values: control groups and /proc/PID/oom_score_adj."""

    def limit(self, cgroup: str, file: str) -> Limit | None:
        """Return memory.max, memory.high… of a group; None if there is no such file."""

    def set_limit(self, cgroup: str, file: str, value: Limit) -> None:
        """Write it. OSError as the kernel gives it."""

    def processes(self, cgroup: str) -> Sequence[tuple[int, int]]:
        """Return (pid, start) of every process of a group and of the groups below it."""

    def oom_score_adj(self, pid: int, start: int) -> int | None:
        """Return the value; None if that process is gone (a reused pid is not that process)."""

    def set_oom_score_adj(self, pid: int, start: int, value: int) -> bool:
        """Write it; False if that process is gone. OSError as the kernel gives it."""


class System(Protocol):
    """What else of a server can be changed, one value at a time (model.plan.ActionKind)."""

    def get(self, kind: ActionKind, what: str) -> str:
        """Return the value now; "" for none. OSError, LowmemError."""

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        """Make it so; done already is no error. ``check`` raises when it is time to stop.

        A link replaces only what ``get`` has just returned to this thread: ChangedError for
        anything else, and nothing is changed. OSError, LowmemError.
        """

    @property
    def progress(self) -> Progress | None:
        """How far a long action is; None while there is none. From any thread."""


class Inspector(Protocol):
    """What the set-up looks at besides units; blocking, not for the tick."""

    def facts(self) -> HostFacts:
        """Return what machine this is."""

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in a folder, sorted; none if it is not there or may not be read."""

    def real_path(self, path: str) -> str:
        """Return the path with every symbolic link resolved."""

    def usage(self, folder: str) -> FolderUsage | None:
        """Return what lies below a folder; None if it is not there or may not be read."""

    def pss(self, pid: int) -> int | None:
        """Return the proportional set size in bytes (smaps_rollup); None for an ordinary user."""


class Step(Protocol):
    """One step of the guided set-up; the screen and the commands show all of them alike."""

    @property
    def name(self) -> str:
        """The name of its section in a policy file: ``swap``."""

    @property
    def title(self) -> str:
        """A few words: ``Swap``."""

    @property
    def about(self) -> str:
        """Two or three sentences: what this is, and why it matters on a small server."""

    def look(self) -> Look:
        """Look at the server; blocking, asks systemd. Raises LowmemError."""

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """Return what makes these wishes (item's key → value) so; the empty plan if they are.

        Raises InvalidValueError for a key or a value that is none, LowmemError.
        """


class Witness(Protocol):
    """What remembers kills: the logs and counters of a machine. Blocking, seconds perhaps.

    The methods raise NotPermittedError where this user may not read them, UnsupportedError where
    there are none, LowmemError when they cannot be read.
    """

    def evidence(self, since: float | None = None) -> Evidence:
        """Return all evidence of kills and of their outcome; ``since`` in seconds of 1970.

        It is bounded: of a long log the newest part.
        """

    def lines(self, since: float) -> str:
        """Return what the log says of kills since a moment, as ``journalctl -o json`` prints it.

        The oldest first, bounded.
        """

    def report(self, reference: str) -> ReportText:
        """Return the kernel's report that ``OomReport.reference`` names.

        Raises RefusedError if it is no longer there.
        """


class Backend(Protocol):
    """What the screens and commands are handed: one server, seen and changed."""

    @property
    def demo(self) -> bool:
        """Whether this is the demo server."""

    @property
    def cannot_change(self) -> Message | str:
        """Why nothing can be changed from here, and what to run instead; or ""."""

    def look(self) -> Snapshot:
        """Return the newest snapshot; blocking, some milliseconds."""

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each look."""

    def situation(self, names: Iterable[str], *, hidden: bool = False) -> Situation:
        """Read all that a plan for these units must know; blocking, asks systemd.

        With ``hidden`` also the files that systemd does not read: another one has their name.

        Raises ManagerError, UnsupportedError.
        """

    def apply(
        self, plan: Plan, *, force: bool = False, trial: int | None = None, note: str = ""
    ) -> Outcome:
        """Carry out a plan and verify it; with ``trial``, for that many seconds unless confirmed.

        Raises RefusedError, ChangedError, NotPermittedError, RolledBackError, HalfDoneError.
        """

    def trial(self) -> Trial | None:
        """Return the trial that runs, whoever began it; cheap, never raises."""

    def confirm(self) -> Outcome:
        """Keep the trial that runs, and verify.

        Raises RefusedError (none runs, or it has expired), else as ``apply``.
        """

    def undo(
        self, change: str | None = None, *, force: bool = False, with_later: bool = False
    ) -> Outcome:
        """Undo a change: the one with this id; the trial, if one runs; else the newest.

        Byte for byte, and verified. ``force`` goes on though a file was edited since;
        ``with_later`` undoes later changes of the same files, too. Raises as ``apply``.
        """

    def history(self) -> Sequence[Change]:
        """Return the changes that were made, the newest first.

        An ordinary user is shown the summary. Raises RolledBackError if it cannot be read.
        """

    def files_of(self, change: str) -> Sequence[FileChange]:
        """Return the files of a change in the history, each before and after it.

        Those of a trial that runs are its drop-ins below /run.

        Raises NotPermittedError for an ordinary user, RefusedError if there is no such change,
        RolledBackError.
        """

    @property
    def witness(self) -> Witness:
        """What remembers kills."""

    def steps(self) -> Sequence[Step]:
        """Return the steps of the guided set-up, in their order."""

    def progress(self) -> Progress | None:
        """Return how far a long action of ``apply`` is; from any thread."""

    def cancel(self) -> None:
        """Have the change in progress rolled back, if it has not ended; from any thread."""

    def settle(self) -> Sequence[Message | str]:
        """Finish or roll back what was interrupted; return sentences on what was done.

        Called once at the start; where nothing can be changed, it only reports what there is.
        Raises as ``apply``.
        """

    def close(self) -> None:
        """Let go of everything."""
