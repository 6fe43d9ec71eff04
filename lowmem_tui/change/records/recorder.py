"""Recording a change: ahead of it, and its result."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.change.kernel_before import live_before
from lowmem_tui.change.records.record import Record, dump
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import HalfDoneError, LowmemError, RefusedError, UnreloadedError
from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.change.context import Site
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.unit import UnitProperties


LARGEST = 4 << 20
"""Bytes of a record that begins: half of what is read again, for more is written into it."""

NOTE = 2000
"""Characters that are kept of a note."""


class ChangeRecorder:
    """The ``Recorder`` (change.apply) of a change that is made for good."""

    def __init__(self, site: Site, plan: Plan, note: str, undoes: tuple[int, ...] = ()) -> None:
        self._site = site
        self._plan, self._note, self._undoes = plan, note, undoes
        self.record: Record | None = None

    def ahead(self, before: Mapping[str, UnitProperties]) -> None:
        """See ``Recorder``."""
        site = self._site
        record = Record(
            id=site.journal.next_id(),
            time=site.wall(),
            boot_id=site.boot_id,
            by=site.by(),
            note=self._note[:NOTE],
            state=State.APPLYING,
            plan=self._plan,
            live=live_before(self._plan, site.ports, before),
            undoes=self._undoes,
        )
        self._begin(record)
        self._site.journal.publish()

    def _begin(self, record: Record) -> None:
        """Write the record ahead. OSError, RefusedError."""
        if len(dump(record)) > LARGEST:
            raise RefusedError(
                msg("This change is too large for a record, so it is not applied: split it.")
            )
        try:
            self._site.journal.put(record)
        except OSError:
            # It may be there anyway (fsync failed): there is nothing that it stands for.
            with contextlib.suppress(OSError):
                self._site.journal.drop(record)
            raise
        self.record = record

    def done(self) -> None:
        """See ``Recorder``."""
        self._end(State.APPLIED)

    def failed(self, failure: BaseException) -> None:
        """See ``Recorder``. What systemd could not be asked for, the next start asks."""
        if isinstance(failure, UnreloadedError):
            return
        left = failure.remaining if isinstance(failure, HalfDoneError) else ()
        with contextlib.suppress(OSError, RefusedError):
            self._end(State.INCOMPLETE if left else State.FAILED, _words(failure), left)

    def _end(
        self, state: State, outcome: Message | str = "", left: tuple[Message | str, ...] = ()
    ) -> None:
        if self.record is not None:
            self._site.journal.put(self.record.to(state, outcome, left))
            self._site.journal.publish()


def _words(failure: BaseException) -> Message | str:
    """Return why it failed; what remains has its own place in the record."""
    if isinstance(failure, HalfDoneError):
        return failure.outcome
    return failure.message if isinstance(failure, LowmemError) else str(failure)
