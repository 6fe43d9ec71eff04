"""Changes that are written down: ahead of being made, and when they are done."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.change.apply import NoRecorder, found_by, not_refused, perform
from lowmem_tui.change.incomplete import incomplete, try_again
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.recorder import ChangeRecorder
from lowmem_tui.change.recovery import settle
from lowmem_tui.change.signals import Interruptions
from lowmem_tui.change.transaction import in_words
from lowmem_tui.change.trials import trial
from lowmem_tui.change.trials.drop_ins import trial_files
from lowmem_tui.change.undo import plan_undo
from lowmem_tui.change.verify import differences
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import (
    ChangedError,
    HalfDoneError,
    InvalidValueError,
    LowmemError,
    ManagerError,
    RefusedError,
    RolledBackError,
)
from lowmem_tui.model.plan import Outcome
from lowmem_tui.model.trial import KEEP_OR_UNDO, LONGEST, SHORTEST
from lowmem_tui.policy.plan import is_triable
from lowmem_tui.policy.plan import plan as make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.change.records.records import Records
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.snapshot import Situation


def apply(
    site: Site,
    plan: Plan,
    situation: Callable[[Iterable[str]], Situation],
    *,
    force: bool = False,
    seconds: int | None = None,
    note: str = "",
) -> Outcome:
    """Carry out a plan, with ``seconds`` as a trial, and write it down.

    A plan may have waited long for its yes: its checks are made again.

    Raises InvalidValueError, RefusedError, ChangedError, NotPermittedError, RolledBackError,
    HalfDoneError.
    """
    if seconds is not None and not SHORTEST <= seconds <= LONGEST:
        raise InvalidValueError(
            f"A trial of {seconds} s is not possible: write {SHORTEST} to {LONGEST} seconds."
        )
    if seconds is not None and not is_triable(plan):
        raise RefusedError(
            "A trial is for the settings of units alone: apply the rest without --trial, and take "
            "it back with `lowmem-tui undo`."
        )
    not_refused(plan, force=force)

    def ready() -> None:
        if plan.edits:
            units = dict.fromkeys(edit.unit for edit in plan.edits)
            again = make_plan(plan.edits, situation(units), at_restart=plan.at_restart)
            not_refused(again, force=force)

    with _begun(site) as check:
        _no_trial(site)
        plan = found_by(plan, site.ports.system, force=force)
        if plan.empty:
            return perform(plan, site.ports, (), check, NoRecorder())
        if seconds is None:
            recorder = ChangeRecorder(site, plan, note)
            return perform(plan, site.ports, plan.files, check, recorder, ready)
        try:
            files = trial_files(plan, site.ports.files)
        except OSError as error:
            raise RolledBackError(f"Nothing was touched: {in_words(error)}.") from error
        tried = trial.TrialRecorder(site, plan, note, seconds, files)

        def go_on() -> None:
            check()
            tried.check()

        return perform(plan, site.ports, files, go_on, tried, ready)


def confirm(site: Site) -> Outcome:
    """Keep the trial that runs.

    Raises RefusedError (none runs), and as ``apply``.
    """
    with _begun(site) as check:
        record = _trial_record(site)
        if record is None:
            raise RefusedError(_none_to_keep(site))
        files = trial.kept_files(record)
        recorder = trial.ConfirmRecorder(site, record)
        try:
            outcome = perform(record.plan, site.ports, files, check, recorder)
        except LowmemError as error:
            if _is_late(site, record):
                _end_late(site, error)
            elif isinstance(error, ChangedError):
                raise ChangedError(
                    f"{str(error).rstrip('.')}; the trial still runs, and is taken back when its "
                    "time is over."
                ) from error
            raise
        trial.clear(site, record.id)
        gone = tuple(file.path for file in record.plan.files if file.after is None)
        return replace(outcome, files=record.paths, removed=gone)


def undo(
    site: Site,
    situation: Callable[[Iterable[str]], Situation],
    change: str | None = None,
    *,
    force: bool = False,
    with_later: bool = False,
) -> Outcome:
    """Take a change back: the one of this id; the trial, if one runs; else the newest.

    Raises RefusedError, and as ``apply``.
    """
    with _begun(site) as check:
        running = _trial_record(site)
        if running is not None:
            if change in {None, str(running.id)}:
                return _end_trial(site, running)
            _no_trial(site)
        found = _read(site)
        records = found.known
        if found.unread and change is None:
            raise RefusedError(
                f"{found.unread[0]} Which change is the newest is unknown then: name the one that "
                "is to be undone (`lowmem-tui undo ID`)."
            )
        if (rest := incomplete(records, change)) is not None:
            return try_again(site, rest, records, force=force)
        try:
            made = plan_undo(
                records, site.ports, situation, change, force=force, with_later=with_later
            )
        except (OSError, ManagerError) as error:
            raise RolledBackError(f"Nothing was touched: {in_words(error)}.") from error
        not_refused(made.plan, force=force)
        recorder = ChangeRecorder(site, made.plan, made.note, made.undoes)
        return perform(made.plan, site.ports, made.plan.files, check, recorder)


def settled(site: Site) -> list[str]:
    """See to what was interrupted, unless somebody is at work; return sentences on it.

    Raises NotPermittedError, RolledBackError.
    """
    with contextlib.suppress(RefusedError), site.exclusive():
        return settle(site)
    return []


def expire(site: Site) -> None:
    """Take the trial back, its time being over: what the script does where there is a shell.

    Raises RefusedError while somebody is at work, NotPermittedError, RolledBackError.
    """
    with site.exclusive():
        settle(site, over=True)


@contextlib.contextmanager
def _begun(site: Site) -> Generator[Callable[[], None], None, None]:
    """Hold signals and the lock, and settle what was interrupted."""
    site.cancelled.clear()
    with Interruptions(site.cancelled) as interruptions, site.exclusive():
        settle(site)
        _trial_record(site)
        yield interruptions.check


def _records(site: Site) -> list[Record]:
    return _read(site).known


def _read(site: Site) -> Records:
    try:
        return site.journal.read()
    except OSError as error:
        raise RolledBackError(f"The history cannot be read: {in_words(error)}.") from error


def _has_trial(site: Site) -> bool:
    try:
        return site.store.read(paths.DATA) is not None
    except OSError as error:
        raise RolledBackError(f"Nothing was touched: {in_words(error)}.") from error


def _trial_record(site: Site) -> Record | None:
    """Return the trial that runs; what is over has been settled.

    Raises RefusedError where one runs whose record is lost, or cannot be read this time.
    """
    record = next((r for r in _records(site) if r.state is State.TRIAL), None)
    if record is None and _has_trial(site):
        raise RefusedError(
            "A trial whose record is lost is being taken back: wait a moment, and try again."
        )
    return record


def _no_trial(site: Site) -> None:
    record = _trial_record(site)
    if record is None or record.trial is None:
        return
    now = trial.running_of(record, record.trial, site.monotonic())
    raise RefusedError(f"{trial.sentence(now)}: {KEEP_OR_UNDO}, then this can be done.")


def _is_late(site: Site, record: Record) -> bool:
    return record.trial is not None and site.monotonic() >= record.trial.monotonic


def _end_late(site: Site, failure: LowmemError) -> None:
    """End a trial that could not be kept and whose time is over.

    The script may have come, seen that it was being kept, and gone for good.
    """
    if not isinstance(failure, HalfDoneError):
        with contextlib.suppress(LowmemError):  # the next start does it
            settle(site)


def _none_to_keep(site: Site) -> str:
    last = next((r for r in reversed(_records(site)) if r.trial is not None), None)
    if last is not None and last.state is State.EXPIRED:
        return (
            f"No trial runs any more: that of change {last.id} is over, and everything is as it "
            "was before; apply it again."
        )
    return "No trial runs, so there is nothing to confirm: see `lowmem-tui history`."


def _end_trial(site: Site, record: Record) -> Outcome:
    """Take the trial back that runs; its timer stays armed until that is done."""
    try:
        said = trial.revert(site, record)
        found = differences(record.plan, site.ports)
        site.journal.put(record.to(State.UNDONE, " ".join(said)))
    except (OSError, LowmemError) as error:
        raise HalfDoneError(
            f"Not everything could be taken back ({in_words(error)}): run this again, or wait "
            "for the end of the trial, when systemd does it."
        ) from error
    trial.clear(site, record.id)
    site.journal.publish()
    files = tuple(file.path for file in record.trial.files) if record.trial else ()
    return Outcome(files, tuple(said), (), found.mismatches, removed=files, down=found.down)
