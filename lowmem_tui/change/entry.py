"""Changes with a record: written before they are made, and when they are done."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.change.apply import NoRecorder, found_by, not_refused, perform
from lowmem_tui.change.incomplete import incomplete, try_again
from lowmem_tui.change.reason import history_unreadable, nothing_changed, reason
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.recorder import ChangeRecorder
from lowmem_tui.change.recovery import settle
from lowmem_tui.change.signals import Interruptions
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
)
from lowmem_tui.model.message import as_message, msg, sentences
from lowmem_tui.model.plan import Outcome
from lowmem_tui.model.trial import LONGEST, SHORTEST
from lowmem_tui.policy.plan import is_triable
from lowmem_tui.policy.plan import plan as make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.change.records.records import Records
    from lowmem_tui.model.message import Message
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
    """Carry out a plan, with ``seconds`` as a trial, and record it.

    A plan may have waited long for its yes: its checks are made again.

    Raises InvalidValueError, RefusedError, ChangedError, NotPermittedError, RolledBackError,
    HalfDoneError.
    """
    if seconds is not None and not SHORTEST <= seconds <= LONGEST:
        raise InvalidValueError(
            msg(
                "A trial of {seconds} s is not possible: write {shortest} to {longest} seconds.",
                seconds=seconds,
                shortest=SHORTEST,
                longest=LONGEST,
            )
        )
    if seconds is not None and not is_triable(plan):
        raise RefusedError(
            msg(
                "Only settings of units can be on trial: apply the rest without --trial; "
                "`lowmem-tui undo` undoes it."
            )
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
            raise nothing_changed(error) from error
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
                raise ChangedError(sentences(error.message, _STILL_ON_TRIAL)) from error
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
    """Undo a change: the one of this id; the trial, if one runs; else the newest.

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
            raise RefusedError(sentences(as_message(found.unread[0]), _WHICH))
        if (rest := incomplete(records, change)) is not None:
            return try_again(site, rest, records, force=force)
        try:
            made = plan_undo(
                records, site.ports, situation, change, force=force, with_later=with_later
            )
        except (OSError, ManagerError) as error:
            raise nothing_changed(error) from error
        not_refused(made.plan, force=force)
        recorder = ChangeRecorder(site, made.plan, made.note, made.undoes)
        return perform(made.plan, site.ports, made.plan.files, check, recorder)


def settled(site: Site) -> list[Message | str]:
    """Finish or roll back what was interrupted, unless somebody is at work; return sentences.

    Raises NotPermittedError, RolledBackError.
    """
    with contextlib.suppress(RefusedError), site.exclusive():
        return settle(site)
    return []


def expire(site: Site) -> None:
    """Revert the trial, its time being over: what the script does where there is a shell.

    Raises RefusedError while somebody is at work, NotPermittedError, RolledBackError.
    """
    with site.exclusive():
        settle(site, over=True)


_STILL_ON_TRIAL = msg("The trial still runs, and reverts automatically when its time is over.")
_WHICH = msg(
    "So it is unknown which change is the newest: name the one to undo (`lowmem-tui undo ID`)."
)
_END_IT_FIRST = msg(
    "Keep it with `lowmem-tui confirm` or undo it with `lowmem-tui undo` first, then try again."
)


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
        raise history_unreadable(error) from error


def _has_trial(site: Site) -> bool:
    try:
        return site.store.read(paths.DATA) is not None
    except OSError as error:
        raise nothing_changed(error) from error


def _trial_record(site: Site) -> Record | None:
    """Return the trial that runs; what is over has been settled.

    Raises RefusedError where one runs whose record is lost, or cannot be read this time.
    """
    record = next((r for r in _records(site) if r.state is State.TRIAL), None)
    if record is None and _has_trial(site):
        raise RefusedError(
            msg("A trial without a record is being reverted: wait a moment, and try again.")
        )
    return record


def _no_trial(site: Site) -> None:
    record = _trial_record(site)
    if record is None or record.trial is None:
        return
    now = trial.running_of(record, record.trial, site.monotonic())
    raise RefusedError(sentences(trial.sentence(now), _END_IT_FIRST))


def _is_late(site: Site, record: Record) -> bool:
    return record.trial is not None and site.monotonic() >= record.trial.monotonic


def _end_late(site: Site, failure: LowmemError) -> None:
    """End a trial that could not be kept and whose time is over.

    The script may have come, seen that it was being kept, and gone for good.
    """
    if not isinstance(failure, HalfDoneError):
        with contextlib.suppress(LowmemError):  # the next start does it
            settle(site)


def _none_to_keep(site: Site) -> Message:
    last = next((r for r in reversed(_records(site)) if r.trial is not None), None)
    if last is not None and last.state is State.EXPIRED:
        return msg(
            "There is no trial any more: change {id} was reverted automatically, and "
            "everything has its previous value. Apply it again.",
            id=last.id,
        )
    return msg("There is no trial to confirm: see `lowmem-tui history`.")


def _end_trial(site: Site, record: Record) -> Outcome:
    """Revert the trial that runs; its timer stays armed until that is done."""
    try:
        revived = trial.revert(site, record)
        found = differences(record.plan, site.ports)
        site.journal.put(record.to(State.UNDONE, sentences(*revived) if revived else ""))
    except (OSError, LowmemError) as error:
        raise HalfDoneError(
            sentences(
                msg("Not everything could be reverted."),
                reason(error),
                msg("Run this again, or wait for the end of the trial, when systemd reverts it."),
            )
        ) from error
    trial.clear(site, record.id)
    site.journal.publish()
    files = tuple(file.path for file in record.trial.files) if record.trial else ()
    return Outcome(files, tuple(revived), (), found.mismatches, removed=files, down=found.down)
