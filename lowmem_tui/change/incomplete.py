"""The way out of a change that is incomplete: what remains is rolled back again, or accepted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.reason import reason
from lowmem_tui.change.records.records import undone
from lowmem_tui.change.rollback import rolled_back
from lowmem_tui.change.verify import down
from lowmem_tui.model.change import KEPT, State, way_out
from lowmem_tui.model.errors import HalfDoneError, LowmemError
from lowmem_tui.model.message import as_message, msg, sentences
from lowmem_tui.model.plan import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.model.message import Message


def incomplete(records: Sequence[Record], change: str | None) -> Record | None:
    """Return the incomplete change that is meant by this id; by None, if it is the newest."""
    if change is not None:
        found = (record for record in records if str(record.id) == change)
    else:
        back = undone(records)
        found = (
            record
            for record in reversed(records)
            if record.state is State.INCOMPLETE
            or (record.state in KEPT and record.id not in back and not record.undoes)
        )
    record = next(found, None)
    return record if record is not None and record.state is State.INCOMPLETE else None


def try_again(site: Site, record: Record, records: Sequence[Record], *, force: bool) -> Outcome:
    """Roll back what remains of an incomplete change; ``force`` ends it whatever remains then.

    Raises HalfDoneError: it is still incomplete; RolledBackError for the history.
    """
    rolled = rolled_back(site, record, records)
    left = (*rolled.left, *([rolled.unreloaded] if rolled.unreloaded else ()))
    if left and not force:
        with contextlib.suppress(OSError, LowmemError):
            site.journal.put(record.to(State.INCOMPLETE, remaining=left))
        site.journal.publish()
        raise HalfDoneError(
            sentences(
                msg("Change {id} is still incomplete. Do this by hand:", id=record.id),
                *left,
                way_out(record.id),
            ),
            remaining=left,
        )
    accepted = tuple(msg("Not rolled back: {todo}", todo=each) for each in left)
    ended = accepted or (msg("What remained is rolled back now."),)
    try:
        outcome = sentences(as_message(record.outcome) if record.outcome else None, *ended)
        site.journal.put(record.to(State.FAILED, outcome))
    except OSError as error:
        raise HalfDoneError(
            sentences(
                msg("Change {id} is rolled back, but that could not be recorded.", id=record.id),
                reason(error),
                msg("Run this again."),
            ),
            remaining=left,
        ) from error
    site.journal.publish()
    failed: Sequence[Message | str] = ()
    with contextlib.suppress(OSError, LowmemError):
        failed = down(record.plan, site.ports)
    return Outcome(record.paths, (*accepted, *rolled.revived), (), (), down=tuple(failed))
