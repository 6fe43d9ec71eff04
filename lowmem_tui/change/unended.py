"""What was begun and not ended. Every start looks, so little is loaded where there is nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.places import DATA, RECORDS, SUMMARY
from lowmem_tui.model.errors import InvalidValueError, PutBackError
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.ports import Store


def interrupted(store: Store) -> bool:
    """Tell whether there is something to settle, as far as root may see. PutBackError."""
    try:
        if store.read(DATA) is not None:
            return True
        if not store.names(RECORDS):
            return False
        from lowmem_tui.change.journal import OPEN, Journal, shown, summary

        records, strange = Journal(store).read()
        # A record may have been written, and the summary not any more.
        return (
            any(record.state in OPEN for record in records)
            or (bool(records) and summary(store)[::-1] != shown(records))
            or bool(strange)
        )
    except InvalidValueError:
        return True
    except OSError as error:
        from lowmem_tui.change.transaction import in_words

        raise PutBackError(f"The history cannot be read: {in_words(error)}.") from error


def told(store: Store) -> Sequence[str]:
    """Return sentences on what is not ended, for who can only look: by what everybody may read."""
    with contextlib.suppress(InvalidValueError, OSError):
        if store.read(SUMMARY) is not None:
            from lowmem_tui.change.journal import summary
            from lowmem_tui.model.change import UNENDED

            return [
                plain(f"Change {change.id} by {change.by} is {UNENDED[change.state]}.", 1000)
                for change in reversed(summary(store))
                if change.state in UNENDED
            ]
    return ()
