"""What was begun and not ended. Every start checks, so little is loaded where there is nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.records.paths import DATA, RECORDS, SUMMARY
from lowmem_tui.model.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.model.change import State
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Store


def interrupted(store: Store, paths: Callable[[], Paths]) -> bool:
    """Tell whether there is something to settle, as far as root may see. RolledBackError.

    ``paths`` are asked for only where there is a record.
    """
    try:
        if store.read(DATA) is not None:
            return True
        if not store.names(RECORDS) and not store.troubles():
            return False
        from lowmem_tui.change.records.records import OPEN, Journal, public, shown

        journal = Journal(store, paths())
        found = journal.read()
        if found.strange or found.unread or store.troubles():
            return True
        # A record may have been written, and the summary not any more.
        summary, notices = public(store), journal.notices()
        if any(record.state in OPEN for record in found.known) or summary.notices != notices:
            return True
        return bool(found.known) and summary.changes[::-1] != shown(found.known)
    except InvalidValueError:
        return True
    except OSError as error:
        from lowmem_tui.change.reason import history_unreadable

        raise history_unreadable(error) from error


def incomplete(store: Store) -> Sequence[Message | str]:
    """Return a sentence on each change that was not rolled back whole."""
    from lowmem_tui.model.change import State

    return unfinished(store, state=State.INCOMPLETE)


def unfinished(store: Store, *, state: State | None = None) -> Sequence[Message | str]:
    """Return sentences on what is not ended, by what everybody may read.

    With ``state`` on the changes in that state alone.
    """
    found: list[Message | str] = []
    with contextlib.suppress(InvalidValueError, OSError):
        if store.read(SUMMARY) is not None:
            from lowmem_tui.change.records.records import public
            from lowmem_tui.model.change import UNENDED

            changes, notices = public(store)
            from lowmem_tui.model.message import msg

            found += [
                msg(
                    "Change {id} by {by}: {state}",
                    id=change.id,
                    by=change.by.message,
                    state=UNENDED[change.state],
                )
                for change in reversed(changes)
                if change.state in UNENDED and (state is None or change.state is state)
            ]
            if state is None:
                found += notices
        if state is None:
            found += store.troubles()
    return found or ()
