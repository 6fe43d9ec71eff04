"""What the next start does with a change that was interrupted: finish it, or put it back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.kernel_before import catch_up
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.records import DIGITS, ODD, OPEN
from lowmem_tui.change.rollback import Rolled, rolled_back
from lowmem_tui.change.transaction import in_words
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
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.model.plan import FileChange


def settle(site: Site, *, over: bool = False) -> list[str]:
    """See to every change that was not ended; return sentences. The caller holds the lock.

    ``over`` says that the time of the trial is over, whatever the clock says. A step that fails
    keeps none of the others: what is left of a change is told in its record (``incomplete``).

    Raises RolledBackError, NotPermittedError where systemd does not read its files again, or where
    the history itself cannot be read or written: it is tried again at the next start.
    """
    said: list[str] = []
    failed: list[tuple[str, Exception]] = []
    # Nobody else writes now, so what is half written is nobody's.
    site.journal.tidy()
    try:
        found = site.journal.read()
    except OSError as error:
        raise _failure(error, "reading the history") from error
    runs = False
    for record in found.known:
        if record.state not in OPEN:
            continue
        try:
            if not over and record.state is State.TRIAL and _still_runs(site, record):
                runs = True
                continue
            said.append(_settle(site, record))
        except (OSError, LowmemError) as error:
            failed.append((f"change {record.id} was interrupted, and settling it", error))
    # One whose record the disk does not give has not lost it.
    if not (runs or failed or found.unread):
        try:
            said += _empty_room(site, found.known)
        except (OSError, LowmemError) as error:
            failed.append(("ending a trial", error))
    said += site.journal.set_aside(found.strange)
    said += [*found.unread, *site.store.troubles()]
    # A record may have been written, and the summary not any more.
    site.journal.publish()
    if failed:
        doing, why = failed[0]
        raise _failure(why, doing) from why
    return said


def _failure(error: Exception, doing: str) -> LowmemError:
    kind = NotPermittedError if isinstance(error, NotPermittedError) else RolledBackError
    why = in_words(error, doing)
    return kind(f"{why[:1].upper()}{why[1:]}; nothing else was touched.")


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
    """Return what is in a file of a trial; what is no file is put out of the way. OSError."""
    try:
        return site.store.read(path)
    except OSError as error:
        if error.errno not in ODD:
            raise
        with contextlib.suppress(OSError, RefusedError):
            site.store.set_aside(path)
        return None


def _settle(site: Site, record: Record) -> str:
    """Settle a change; returns what came of it. OSError, LowmemError: its record stays open."""
    name = f"Change {record.id}"
    if record.trial is None:
        rolled = rolled_back(site, record)
        if rolled.left and not rolled.unreloaded:
            return _incomplete(site, record, f"{name} was interrupted", rolled)
        _reloaded(rolled)
        words = (f"{name} was interrupted and is put back: everything is as it was before.",)
        return _end(site, record, State.FAILED, " ".join((*words, *rolled.revived)))
    here = _same_boot(site, record)
    result = _says(site, paths.RESULT) if here else None
    if record.state is State.CONFIRMING and result is None and _kept(site, record):
        return _keep(site, record)
    said = (result or "").split("\n")
    left: tuple[str, ...] = ()
    began = record.state is State.APPLYING
    if here and not (result is not None and _is_gone(site, record)):
        rolled = rolled_back(site, record)
        left = rolled.left
        said += rolled.revived
        _reloaded(rolled)
    elif not here and record.state is State.CONFIRMING:
        said = ["It was being kept when the machine stopped, but nothing had been written yet."]
    also = "".join(f" {words}" for words in said if words)
    for file in (*record.trial.files, *record.plan.files):
        with contextlib.suppress(OSError):
            site.ports.files.tidy(file.path)
    why = "nobody confirmed it" if here else "the machine was restarted"
    if left:
        what = "was interrupted as it began" if began else f"is over ({why})"
        return _incomplete(site, record, f"{name}, a trial, {what}", Rolled(left, "", (also,)))
    if began:
        sentence = f"{name}, a trial, was interrupted as it began and is taken back.{also}"
        return _end(site, record, State.FAILED, sentence)
    sentence = f"{name}, a trial, is over and was taken back: {why}.{also}"
    return _end(site, record, State.EXPIRED, sentence)


def _reloaded(rolled: Rolled) -> None:
    """Raise ManagerError unless systemd has read its files again: nothing is settled before."""
    if rolled.unreloaded:
        raise ManagerError(f"{rolled.unreloaded}.")


def _incomplete(site: Site, record: Record, what: str, rolled: Rolled) -> str:
    left = "; ".join(rolled.left)
    sentence = f"{what}, and rolling it back is incomplete: {left}. {way_out(record.id)}"
    said = " ".join((sentence, *rolled.revived))
    return _end(site, record, State.INCOMPLETE, said, rolled.left)


def _keep(site: Site, record: Record) -> str:
    """Go on with keeping a trial."""
    name = f"Change {record.id}"
    left = _finish(site, record)
    if left:
        what = f"{name} was interrupted while it was being kept"
        return _incomplete(site, record, what, Rolled(tuple(left), "", ()))
    sentence = f"{name} was interrupted while it was being kept, and is kept now."
    return _end(site, record, State.CONFIRMED, sentence)


def _is_gone(site: Site, record: Record) -> bool:
    """Tell whether the script's word counts: nothing was done after it, by one that was stopped."""
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
    site: Site, record: Record, state: State, sentence: str, left: tuple[str, ...] = ()
) -> str:
    said = plain(sentence, 2000)
    site.journal.put(record.to(state, said, left))
    if record.trial is not None:
        clear(site, record.id)
    site.journal.publish()
    return said


def _finish(site: Site, record: Record) -> list[str]:
    """Write the files of a trial that is to be kept, not its own; returns what is left to do."""
    files = kept_files(record)
    here = _same_boot(site, record)
    if not here:
        files = record.plan.files
    left: list[str] = []
    for file in files:
        try:
            left += _write(site, file)
        except (OSError, LowmemError) as error:
            verb = "remove" if file.after is None else "write"
            left.append(f"{verb} {plain(file.path)} ({in_words(error)})")
    site.ports.manager.reload()
    if not here:
        try:
            catch_up(record, site.ports)
        except (OSError, LowmemError) as error:
            left.append(f"set what runs to what systemd has loaded ({in_words(error)})")
    return left


def _write(site: Site, file: FileChange) -> Iterator[str]:
    """Do a change of a file; yields what is left to do where somebody else has edited it."""
    found = site.ports.files.read(file.path)
    if found not in {file.before, file.after}:
        yield f"look at {plain(file.path)}: it was edited meanwhile and is left alone"
    elif found == file.after:
        site.ports.files.tidy(file.path)
    elif file.after is None:
        site.ports.files.remove(file.path)
    else:
        site.ports.files.write(file.path, file.after)


def _empty_room(site: Site, records: Iterable[Record]) -> list[str]:
    """Remove what a trial that is over has left: it was interrupted at the very end.

    One whose record is lost is not over: it is taken back, by the script, for it alone knows how.
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


def _lost(site: Site, number: int) -> str:
    site.store.remove(paths.CONFIRMING)
    lost = f"Trial {number} has no record any more"
    try:
        # The script waits for our lock.
        site.ports.manager.restart_unit(f"{timer_name(number)}.service")
    except LowmemError:
        return f"{lost}: run `sh {paths.SCRIPT}` as root to take it back."
    return f"{lost}, and systemd takes it back now."
