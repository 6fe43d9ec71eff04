"""A trial: a change that a reboot forgets and that systemd's own timer reverts.

The order is what makes it safe. The record comes first, then the script and its data, then the
timer; only then is anything changed. Dead at any instant, the timer or the reboot brings the
server back. What is under /run/lowmem-tui/trial says how far it is:

data         there is something to revert
confirming   it is being kept: the script does nothing
result       the script has reverted it
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lowmem_tui.change.kernel_before import restoring
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.record import TrialRun
from lowmem_tui.change.records.recorder import ChangeRecorder
from lowmem_tui.change.revive import revive
from lowmem_tui.change.steps import Reload
from lowmem_tui.change.transaction import roll_back
from lowmem_tui.change.trials import script
from lowmem_tui.model.change import State, Trial
from lowmem_tui.model.errors import (
    HalfDoneError,
    InvalidValueError,
    LowmemError,
    ManagerError,
    RefusedError,
    RolledBackError,
    UnreloadedError,
)
from lowmem_tui.model.message import msg, of_list, of_path, of_seconds, of_unit, sentences
from lowmem_tui.model.text import plain
from lowmem_tui.model.trial import TrialNotice

if TYPE_CHECKING:
    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.change.steps import Ports, Step
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import FileChange, Plan

ROOM_FILES = (paths.DATA, paths.RESULT, paths.CONFIRMING, paths.SCRIPT, paths.NOTICE)
"""In the order in which they are removed: without data the script does nothing."""

_TOO_LATE = msg("The trial was over before everything was applied: use a longer trial.")

_TRIES = 20
"""How often we ask whether the timer is armed, a quarter of a second apart."""


def timer_name(number: int) -> str:
    """Return the name of the timer and its service, without the suffix."""
    return f"lowmem-tui-trial-{number}"


class TrialRecorder(ChangeRecorder):
    """The ``Recorder`` (change.apply) of a trial that begins."""

    def __init__(
        self, site: Site, plan: Plan, note: str, seconds: int, files: tuple[FileChange, ...]
    ) -> None:
        super().__init__(site, plan, note)
        self._seconds, self._files = seconds, files
        self._run: TrialRun | None = None

    def _begin(self, record: Record) -> None:
        site, seconds = self._site, self._seconds
        run = TrialRun(seconds, site.wall() + seconds, site.monotonic() + seconds, self._files)
        record = replace(record, trial=run)
        data = script.data(record)
        super()._begin(record)
        try:
            site.store.write(paths.DATA, data)
            site.store.write(paths.SCRIPT, script.script())
            site.store.write(paths.NOTICE, notice(record, run).render())
            arm(site, record.id, seconds)
        except (OSError, LowmemError) as error:
            self.failed(error)
            raise
        self._run = run

    def check(self) -> None:
        """Raise RolledBackError when the time is over: the script may be at work.

        It waits for our lock, but not indefinitely, and a process can be stopped for any time.
        """
        if self._run is not None and self._site.monotonic() >= self._run.monotonic:
            raise RolledBackError(_TOO_LATE)

    def done(self) -> None:
        """See ``Recorder``."""
        self.check()
        store = self._site.store
        if store.read(paths.DATA) is None or store.read(paths.RESULT) is not None:
            raise RolledBackError(_TOO_LATE)
        self._end(State.TRIAL)

    def failed(self, failure: BaseException) -> None:
        """See ``Recorder``."""
        # With something left to revert, the timer stays: it is the one that still can.
        left = isinstance(failure, HalfDoneError | UnreloadedError)
        if self.record is not None and not left:
            clear(self._site, self.record.id)
            super().failed(failure)


def notice(record: Record, run: TrialRun) -> TrialNotice:
    """Return what everybody may read of a trial."""
    return TrialNotice(
        number=str(record.id),
        by=record.by,
        note=plain(record.note),
        units=record.units,
        deadline=run.deadline,
        monotonic=run.monotonic,
    )


def arm(site: Site, number: int, seconds: float) -> None:
    """Arm the timer, and see that it is armed. ManagerError."""
    name = timer_name(number)
    manager = site.ports.manager
    manager.start_revert_timer(name, seconds, (script.SHELL, paths.SCRIPT, str(number)))
    timer = f"{name}.timer"
    for _ in range(_TRIES):
        if manager.properties((timer,))[timer].active_state == "active":
            return
        time.sleep(0.25)
    raise ManagerError(
        msg(
            "systemd did not arm the timer that would revert the trial: see `journalctl -b "
            "_PID=1`, or apply it without a trial."
        )
    )


def clear(site: Site, number: int) -> None:
    """Forget a trial that is over; what cannot be removed now is left for the next start."""
    with contextlib.suppress(OSError, RefusedError):
        for path in ROOM_FILES:
            site.store.remove(path)
    with contextlib.suppress(LowmemError):
        site.ports.manager.stop_unit(f"{timer_name(number)}.timer")


def running_of(record: Record, run: TrialRun, monotonic: float) -> Trial:
    """Return the trial that a record is of."""
    its = notice(record, run)
    left = max(0.0, its.left(monotonic))
    return Trial(its.id, its.by, its.note, its.units, its.deadline, left)


def sentence(trial: Trial) -> Message:
    """Return who started which trial, and when it reverts."""
    until = time.strftime("%H:%M:%S", time.localtime(trial.deadline))
    return msg(
        "A change of {units} is on trial, started by {by}: it reverts automatically at {until} "
        "({left} left).",
        units=of_list(of_unit(unit) for unit in trial.units),
        by=trial.by.message,
        until=until,
        left=of_seconds(round(trial.left)),
    )


class ConfirmRecorder:
    """The ``Recorder`` (change.apply) of a trial that is being kept."""

    def __init__(self, site: Site, record: Record) -> None:
        self._site, self._record = site, record

    def ahead(self, before: object) -> None:
        """See ``Recorder``."""
        del before
        try:
            # From here on the next start would finish it.
            self._put(State.CONFIRMING)
            # And from here on the script leaves it alone, should the time be over meanwhile.
            self._site.store.write(paths.CONFIRMING, "")
            self._check()
        except (OSError, LowmemError) as error:
            self.failed(error)
            raise

    def _check(self) -> None:
        """Raise RefusedError if the script may have begun: it waits not indefinitely."""
        site, run = self._site, self._record.trial
        if run is not None and (
            site.monotonic() >= run.monotonic + script.PATIENCE
            or site.store.read(paths.RESULT) is not None
        ):
            raise RefusedError(
                msg("The trial was over before it could be confirmed: apply it again.")
            )

    def done(self) -> None:
        """See ``Recorder``."""
        self._put(State.CONFIRMED)

    def failed(self, failure: BaseException) -> None:
        """See ``Recorder``."""
        with contextlib.suppress(OSError):
            if isinstance(failure, HalfDoneError) and not self._is_on_trial():
                return
            self._site.store.remove(paths.CONFIRMING)
            self._put(State.TRIAL)

    def _is_on_trial(self) -> bool:
        """Tell whether every file is as it was in the trial, so that the script can end it."""
        files = self._site.ports.files
        return all(files.read(file.path) == file.before for file in kept_files(self._record))

    def _put(self, state: State) -> None:
        self._site.journal.put(self._record.to(state))
        self._site.journal.publish()


def kept_files(record: Record) -> tuple[FileChange, ...]:
    """Return the changes of files that keep a trial: the final ones come, its own go."""
    if record.trial is None:
        raise InvalidValueError(msg("This change was no trial."))
    gone = (replace(file, before=file.after, after=None) for file in record.trial.files)
    return (*record.plan.files, *gone)


def revert(site: Site, record: Record) -> list[Message]:
    """Make everything as it was before a trial; may be done twice. RolledBackError, ManagerError.

    Returns sentences on what else was to be done. What the script does, in Python.
    """
    left = roll_back(steps(record), site.ports)
    if left:
        raise RolledBackError(sentences(*left.values()))
    return list(revive(record.live.active, site.ports.manager))


def steps(record: Record) -> list[Step]:
    """Return the steps of a trial, to be undone."""
    files = record.trial.files if record.trial else ()
    removed = (TrialFile(file.path) for file in files)
    return [*removed, Reload(), *restoring(record, same_boot=True)]


@dataclass(frozen=True, slots=True)
class TrialFile:
    """A drop-in of a trial, which is removed whatever is in it: a step that is only undone."""

    path: str
    failure = None

    @property
    def todo(self) -> Message:
        """See ``Step``."""
        return msg("Remove {path}.", path=of_path(self.path))

    def do(self, ports: Ports) -> None:
        """See ``Step``."""

    def undo(self, ports: Ports) -> None:
        """See ``Step``."""
        if ports.files.read(self.path) is not None:
            ports.files.remove(self.path)
        ports.files.tidy(self.path)
