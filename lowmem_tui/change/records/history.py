"""Reading the history: for everybody, and without systemd."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.change.reason import history_unreadable
from lowmem_tui.change.records.records import Journal, public, shown, summary
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import (
    InvalidValueError,
    NotPermittedError,
    RefusedError,
)
from lowmem_tui.model.message import msg, of_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import FileChange
    from lowmem_tui.model.ports import Store


def history(
    store: Store, paths: Paths, *, everything: bool, trial: Trial | None
) -> Sequence[Change]:
    """Return what was done, the newest first; ``trial`` is the one that runs.

    ``everything`` reads the records, which only root may; else it is the summary. Raises
    RolledBackError, NotPermittedError.
    """
    try:
        changes = summary(store)[::-1] if not everything else shown(Journal(store, paths).records())
    except PermissionError as error:
        raise NotPermittedError(
            msg("The history cannot be read by this user: run the same with sudo.")
        ) from error
    except OSError as error:
        raise history_unreadable(error) from error
    running = trial.id if trial else ""
    # One that is over is recorded as such only when the next change is made.
    return [
        replace(change, state=State.EXPIRED)
        if change.state is State.TRIAL and change.id != running
        else change
        for change in reversed(changes)
    ]


def notices(store: Store) -> Sequence[Message | str]:
    """Return sentences on records that are not in the history: nobody could understand them."""
    with contextlib.suppress(OSError, InvalidValueError):
        return public(store).notices
    return ()


def files_of(store: Store, paths: Paths, change: str) -> Sequence[FileChange]:
    """Return the files of a change, each before and after it; of a trial that runs, its own.

    Raises RefusedError (there is no such change), RolledBackError, NotPermittedError.
    """
    try:
        for record in Journal(store, paths).records():
            if str(record.id) == change:
                trial = record.trial if record.state is State.TRIAL else None
                return trial.files if trial else record.plan.files
    except PermissionError as error:
        raise NotPermittedError(
            msg("The contents of the files are shown to root alone: run the same with sudo.")
        ) from error
    except OSError as error:
        raise history_unreadable(error) from error
    raise RefusedError(msg("There is no record of change {id} any more.", id=of_text(change, 20)))
