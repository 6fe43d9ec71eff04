"""The way out of a change that is incomplete: what was left is tried again, or left as it is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.records.records import undone
from lowmem_tui.change.rollback import rolled_back
from lowmem_tui.change.transaction import in_words
from lowmem_tui.change.verify import down
from lowmem_tui.model.change import KEPT, State, way_out
from lowmem_tui.model.errors import HalfDoneError, LowmemError
from lowmem_tui.model.plan import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record


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
    """Roll back what is left of an incomplete change; ``force`` ends it whatever is left then.

    Raises HalfDoneError: it is still incomplete; RolledBackError for the history.
    """
    rolled = rolled_back(site, record, records)
    left = (*rolled.left, *([rolled.unreloaded] if rolled.unreloaded else ()))
    if left and not force:
        with contextlib.suppress(OSError, LowmemError):
            site.journal.put(record.to(State.INCOMPLETE, "", left))
        site.journal.publish()
        raise HalfDoneError(
            f"Change {record.id} is incomplete still: {'; '.join(left)}. {way_out(record.id)}",
            remaining=left,
        )
    said = tuple(f"left as it is: {each}" for each in left)
    ended = "What was left is rolled back now." if not left else "; ".join(said) + "."
    try:
        site.journal.put(record.to(State.FAILED, f"{record.outcome} {ended}"))
    except OSError as error:
        raise HalfDoneError(
            f"All of change {record.id} is seen to, but that could not be written down "
            f"({in_words(error)}): run this again.",
            remaining=left,
        ) from error
    site.journal.publish()
    failed: Sequence[str] = ()
    with contextlib.suppress(OSError, LowmemError):
        failed = down(record.plan, site.ports)
    return Outcome(record.paths, (*said, *rolled.revived), (), (), down=tuple(failed))
