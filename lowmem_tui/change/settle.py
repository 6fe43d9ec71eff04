"""What the next start does with a change that was interrupted: finish it, or put it back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change import places
from lowmem_tui.change.journal import OPEN
from lowmem_tui.change.live import catch_up, restore
from lowmem_tui.change.revive import revive
from lowmem_tui.change.steps import Act
from lowmem_tui.change.transaction import in_words
from lowmem_tui.change.trial import ROOM_FILES, clear, kept_files, take_back, timer_name
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import LowmemError, NotPermittedError, PutBackError
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.change.record import Record
    from lowmem_tui.change.site import Site
    from lowmem_tui.model.plan import FileChange


def settle(site: Site, *, over: bool = False) -> list[str]:
    """See to every change that was not ended; return sentences. The caller holds the lock.

    ``over`` says that the time of the trial is over, whatever the clock says.
    Raises PutBackError, NotPermittedError: it is tried again at the next start.
    """
    said: list[str] = []
    doing = "reading the history"
    try:
        # Nobody else writes now, so what is half written is nobody's.
        site.journal.tidy()
        runs = False
        records, strange = site.journal.read()
        for record in records:
            if record.state not in OPEN:
                continue
            doing = f"change {record.id} was interrupted, and settling it"
            if not over and record.state is State.TRIAL and _still_runs(site, record):
                runs = True
                continue
            said.append(_settle(site, record))
        if not runs:
            said += _empty_room(site, records)
        said += strange
        # A record may have been written, and the summary not any more.
        site.journal.publish()
    except (OSError, LowmemError) as error:
        kind = NotPermittedError if isinstance(error, NotPermittedError) else PutBackError
        why = in_words(error, doing)
        why = why[:1].upper() + why[1:]
        raise kind(f"{why}; nothing else was touched.") from error
    return said


def _same_boot(site: Site, record: Record) -> bool:
    return record.boot_id == site.boot_id


def _still_runs(site: Site, record: Record) -> bool:
    return (
        _same_boot(site, record)
        and record.trial is not None
        and site.monotonic() < record.trial.monotonic
        and site.store.read(places.RESULT) is None
    )


def _settle(site: Site, record: Record) -> str:
    name = f"Change {record.id}"
    if record.trial is None:
        left, revived = _put_back(site, record)
        all_of_it = "" if left else ": everything is as it was before"
        sentence = f"{name} was interrupted and is put back{all_of_it}."
        return _end(site, record, State.FAILED, " ".join((sentence, *left, *revived)))
    here = _same_boot(site, record)
    result = site.store.read(places.RESULT) if here else None
    if record.state is State.CONFIRMING and result is None and _kept(site, record):
        sentence = f"{name} was interrupted while it was being kept, and is kept now."
        return _end(site, record, State.CONFIRMED, " ".join((sentence, *_finish(site, record))))
    said = (result or "").split("\n")
    if here and not (result is not None and _is_gone(site, record)):
        said += take_back(site, record)
    elif not here and record.state is State.CONFIRMING:
        said = ["It was being kept when the machine stopped, but nothing had been written yet."]
    also = "".join(f" {words}" for words in said if words)
    for file in (*record.trial.files, *record.plan.files):
        site.hands.files.tidy(file.path)
    if record.state is State.APPLYING:
        sentence = f"{name}, a trial, was interrupted as it began and is taken back.{also}"
        return _end(site, record, State.FAILED, sentence)
    why = "nobody confirmed it" if here else "the machine was restarted"
    sentence = f"{name}, a trial, is over and was taken back: {why}.{also}"
    return _end(site, record, State.EXPIRED, sentence)


def _is_gone(site: Site, record: Record) -> bool:
    """Tell whether the script's word counts: nothing was done after it, by one that was stopped."""
    if record.state is State.APPLYING or record.trial is None:
        return False
    return all(site.hands.files.read(file.path) is None for file in record.trial.files)


def _kept(site: Site, record: Record) -> bool:
    """Tell whether a confirmation had begun to count."""
    if _same_boot(site, record):
        return True
    return any(
        site.hands.files.read(file.path) == file.after != file.before for file in record.plan.files
    )


def _end(site: Site, record: Record, state: State, sentence: str) -> str:
    said = plain(sentence, 2000)
    site.journal.put(record.to(state, said))
    if record.trial is not None:
        clear(site, record.id)
    site.journal.publish()
    return said


def _put_back(site: Site, record: Record) -> tuple[list[str], list[str]]:
    """Write each file as it was, unless somebody has edited it since.

    Returns sentences on what is left, and on what was started again.
    """
    hands = site.hands
    actions = [Act(action) for action in reversed(record.plan.actions)]
    once = [act for act in actions if not act.action.kind.repeats]
    for act in once:
        act.undo(hands)
    left = list(_write(site, ((f, f.after, f.before) for f in record.plan.files)))
    hands.manager.reload()
    for act in actions:
        if act not in once:
            act.undo(hands)
    here = _same_boot(site, record)
    restore(record, hands, same_boot=here)
    return left, list(revive(record.live.active, hands.manager)) if here else []


def _finish(site: Site, record: Record) -> list[str]:
    """Write the files of a trial that is to be kept, not its own; returns what is left."""
    files = kept_files(record)
    here = _same_boot(site, record)
    if not here:
        files = record.plan.files
    left = list(_write(site, ((f, f.before, f.after) for f in files)))
    site.hands.manager.reload()
    if not here:
        catch_up(record, site.hands)
    return left


def _write(site: Site, files: Iterable[tuple[FileChange, str | None, str | None]]) -> Iterator[str]:
    """Make files that say one thing say another; yields sentences on those that say a third."""
    for file, now, then in files:
        found = site.hands.files.read(file.path)
        if found not in {now, then}:
            yield f"{plain(file.path)} was edited meanwhile and is left alone: look at it."
        elif found == then:
            site.hands.files.tidy(file.path)
        elif then is None:
            site.hands.files.remove(file.path)
        else:
            site.hands.files.write(file.path, then)


def _empty_room(site: Site, records: Iterable[Record]) -> list[str]:
    """Remove what a trial that is over has left: it was interrupted at the very end.

    One whose record is lost is not over: it is taken back, by the script, for it alone knows how.
    """
    found = site.store.read(places.DATA)
    number = ""
    with contextlib.suppress(ValueError, IndexError):
        number = (found or "").split("\n", 1)[0].split(" ")[1]
    if number.isascii() and number.isdigit():
        known = any(record.id == int(number) for record in records)
        if known or site.store.read(places.RESULT) is not None:
            clear(site, int(number))
            return []
        return [_lost(site, int(number))]
    for path in ROOM_FILES:
        if site.store.read(path) is not None:
            site.store.remove(path)
    return []


def _lost(site: Site, number: int) -> str:
    site.store.remove(places.CONFIRMING)
    lost = f"Trial {number} has no record any more"
    try:
        # The script waits for our lock.
        site.hands.manager.restart_unit(f"{timer_name(number)}.service")
    except LowmemError:
        return f"{lost}: run `sh {places.SCRIPT}` as root to take it back."
    return f"{lost}, and systemd takes it back now."
