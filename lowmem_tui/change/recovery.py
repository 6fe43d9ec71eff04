"""What the next start does with a change that was interrupted: finish it, or roll it back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.kernel_before import catch_up
from lowmem_tui.change.reason import reason
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.records import DIGITS, ODD, OPEN
from lowmem_tui.change.rollback import Rolled, rolled_back
from lowmem_tui.change.transaction import BY_HAND
from lowmem_tui.change.trials.script import reported
from lowmem_tui.change.trials.trial import ROOM_FILES, clear, kept_files, timer_name
from lowmem_tui.model.change import State, way_out
from lowmem_tui.model.errors import (
    LowmemError,
    ManagerError,
    NotPermittedError,
    RefusedError,
    RolledBackError,
)
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import FileChange


def settle(site: Site, *, over: bool = False) -> list[Message | str]:
    """Finish or roll back every change that was not ended; return sentences.

    The caller holds the lock.

    ``over`` means that the time of the trial is over, whatever the clock says. A step that fails
    keeps none of the others: what remains of a change is in its record (``incomplete``).

    Raises RolledBackError, NotPermittedError where systemd does not read its files again, or where
    the history itself cannot be read or written: the next start attempts it again.
    """
    done: list[Message | str] = []
    failed: list[tuple[Message, Exception]] = []
    # Nobody else writes now, so what is half written is nobody's.
    site.journal.tidy()
    try:
        found = site.journal.read()
    except OSError as error:
        raise _failure(error, msg("The history cannot be read.")) from error
    runs = False
    for record in found.known:
        if record.state not in OPEN:
            continue
        try:
            if not over and record.state is State.TRIAL and _still_runs(site, record):
                runs = True
                continue
            done.append(_settle(site, record))
        except (OSError, LowmemError) as error:
            words = msg(
                "Change {id} was interrupted and can neither be finished nor rolled back now.",
                id=record.id,
            )
            failed.append((words, error))
    # One whose record the disk does not give has not lost it.
    if not (runs or failed or found.unread):
        try:
            done += _empty_room(site, found.known)
        except (OSError, LowmemError) as error:
            failed.append((msg("A trial that is over cannot be cleaned up now."), error))
    done += site.journal.set_aside(found.strange)
    done += [*found.unread, *site.store.troubles()]
    # A record may have been written, and the summary not any more.
    site.journal.publish()
    if failed:
        words, why = failed[0]
        raise _failure(why, words) from why
    return done


def _failure(error: Exception, words: Message) -> LowmemError:
    kind = NotPermittedError if isinstance(error, NotPermittedError) else RolledBackError
    return kind(sentences(words, reason(error), msg("Nothing else was changed.")))


def _same_boot(site: Site, record: Record) -> bool:
    return record.boot_id == site.boot_id


def _still_runs(site: Site, record: Record) -> bool:
    return (
        _same_boot(site, record)
        and record.trial is not None
        and site.monotonic() < record.trial.monotonic
        and _says(site, paths.RESULT) is None
    )


def _says(site: Site, path: str) -> str | None:
    """Return what is in a file of a trial; what is no file is moved out of the way. OSError."""
    try:
        return site.store.read(path)
    except OSError as error:
        if error.errno not in ODD:
            raise
        with contextlib.suppress(OSError, RefusedError):
            site.store.set_aside(path)
        return None


def _settle(site: Site, record: Record) -> Message:
    """Settle a change; returns the result. OSError, LowmemError: its record stays open."""
    number = record.id
    if record.trial is None:
        rolled = rolled_back(site, record)
        if rolled.left and not rolled.unreloaded:
            what = msg("Change {id} was interrupted, and rolling it back is incomplete.", id=number)
            return _incomplete(site, record, what, rolled)
        _reloaded(rolled)
        words = msg(
            "Change {id} was interrupted and is rolled back: everything has its previous value.",
            id=number,
        )
        return _end(site, record, State.FAILED, sentences(words, *rolled.revived))
    here = _same_boot(site, record)
    result = _says(site, paths.RESULT) if here else None
    if record.state is State.CONFIRMING and result is None and _kept(site, record):
        return _keep(site, record)
    also = reported(result or "")
    left: tuple[Message, ...] = ()
    if here and not (result is not None and _is_gone(site, record)):
        rolled = rolled_back(site, record)
        left = rolled.left
        also += rolled.revived
        _reloaded(rolled)
    elif not here and record.state is State.CONFIRMING:
        also = [_NOT_WRITTEN]
    for file in (*record.trial.files, *record.plan.files):
        with contextlib.suppress(OSError):
            site.ports.files.tidy(file.path)
    if left:
        what = _over(record, here=here, whole=False)
        return _incomplete(site, record, what, Rolled(left, None, tuple(also)))
    state = State.FAILED if record.state is State.APPLYING else State.EXPIRED
    return _end(site, record, state, sentences(_over(record, here=here, whole=True), *also))


_NOT_WRITTEN = msg(
    "It was being confirmed when the machine stopped, but nothing had been written yet."
)


def _over(record: Record, *, here: bool, whole: bool) -> Message:
    """Return the sentence on the end of a trial; ``whole``: everything is as it was."""
    number = record.id
    if record.state is State.APPLYING:
        if whole:
            return msg("Trial {id} was interrupted at its beginning and is reverted.", id=number)
        return msg(
            "Trial {id} was interrupted at its beginning, and reverting it is incomplete.",
            id=number,
        )
    if here:
        if whole:
            return msg("Trial {id} was not confirmed and is reverted.", id=number)
        return msg("Trial {id} was not confirmed, and reverting it is incomplete.", id=number)
    if whole:
        return msg("Trial {id} is reverted: the machine was restarted.", id=number)
    return msg(
        "The machine was restarted, which ends trial {id}, and reverting it is incomplete.",
        id=number,
    )


def _reloaded(rolled: Rolled) -> None:
    """Raise ManagerError unless systemd has read its files again: nothing is settled before."""
    if rolled.unreloaded:
        raise ManagerError(rolled.unreloaded)


def _incomplete(site: Site, record: Record, what: Message, rolled: Rolled) -> Message:
    way = way_out(record.id)
    _end(site, record, State.INCOMPLETE, sentences(what, way, *rolled.revived), rolled.left)
    return sentences(what, BY_HAND, *rolled.left, way, *rolled.revived)


def _keep(site: Site, record: Record) -> Message:
    """Go on with confirming a trial."""
    left = _finish(site, record)
    if left:
        what = msg(
            "Change {id} was interrupted while it was being confirmed, and finishing it is "
            "incomplete.",
            id=record.id,
        )
        return _incomplete(site, record, what, Rolled(tuple(left), None, ()))
    words = msg(
        "Change {id} was interrupted while it was being confirmed, and is confirmed now.",
        id=record.id,
    )
    return _end(site, record, State.CONFIRMED, words)


def _is_gone(site: Site, record: Record) -> bool:
    """Tell whether the script's result counts: a stopped process has done nothing after it."""
    if record.state is State.APPLYING or record.trial is None:
        return False
    return all(site.ports.files.read(file.path) is None for file in record.trial.files)


def _kept(site: Site, record: Record) -> bool:
    """Tell whether a confirmation had begun to count."""
    if _same_boot(site, record):
        return True
    return any(
        site.ports.files.read(file.path) == file.after != file.before for file in record.plan.files
    )


def _end(
    site: Site, record: Record, state: State, words: Message, left: tuple[Message, ...] = ()
) -> Message:
    site.journal.put(record.to(state, words, left))
    if record.trial is not None:
        clear(site, record.id)
    site.journal.publish()
    return words


def _finish(site: Site, record: Record) -> list[Message]:
    """Write the files of a trial that is to be kept, not its own; returns what is left to do."""
    files = kept_files(record)
    here = _same_boot(site, record)
    if not here:
        files = record.plan.files
    left: list[Message] = []
    for file in files:
        try:
            left += _write(site, file)
        except (OSError, LowmemError) as error:
            path = of_path(file.path)
            todo = msg("Write {path}.", path=path)
            if file.after is None:
                todo = msg("Remove {path}.", path=path)
            left.append(sentences(todo, reason(error)))
    site.ports.manager.reload()
    if not here:
        try:
            catch_up(record, site.ports)
        except (OSError, LowmemError) as error:
            todo = msg("Set the running units to the values that systemd has loaded.")
            left.append(sentences(todo, reason(error)))
    return left


def _write(site: Site, file: FileChange) -> Iterator[Message]:
    """Do a change of a file; yields what is left to do where somebody else has edited it."""
    found = site.ports.files.read(file.path)
    if found not in {file.before, file.after}:
        yield msg(
            "Check {path}: it was edited meanwhile and is not changed.", path=of_path(file.path)
        )
    elif found == file.after:
        site.ports.files.tidy(file.path)
    elif file.after is None:
        site.ports.files.remove(file.path)
    else:
        site.ports.files.write(file.path, file.after)


def _empty_room(site: Site, records: Iterable[Record]) -> list[Message]:
    """Remove what a trial that is over has left: it was interrupted at the very end.

    One whose record is lost is not over: the script reverts it, for it alone knows how.
    """
    found = _says(site, paths.DATA)
    number = natural((found or "").split("\n", 1)[0].removeprefix("id "), DIGITS)
    if number is not None:
        known = any(record.id == number for record in records)
        if known or _says(site, paths.RESULT) is not None:
            clear(site, number)
            return []
        return [_lost(site, number)]
    for path in ROOM_FILES:
        if _says(site, path) is not None:
            site.store.remove(path)
    return []


def _lost(site: Site, number: int) -> Message:
    site.store.remove(paths.CONFIRMING)
    try:
        # The script waits for our lock.
        site.ports.manager.restart_unit(f"{timer_name(number)}.service")
    except LowmemError:
        return msg(
            "Trial {id} has no record any more: run `sh {path}` as root to revert it.",
            id=number,
            path=of_path(paths.SCRIPT),
        )
    return msg("Trial {id} has no record any more, and systemd reverts it now.", id=number)
