"""All changes that were made: their records, and the summary for everybody."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from lowmem_tui.change import places
from lowmem_tui.change.record import SCHEMA, action_from, dump, effect_from, load
from lowmem_tui.model.change import KEPT, Change, State
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.change.record import Record
    from lowmem_tui.model.ports import Store

KEEP = 200
"""How many records are kept; of older ones, those that are over are removed."""

OPEN = frozenset({State.APPLYING, State.CONFIRMING, State.TRIAL})
"""The states that are not the end of a change."""


class Journal:
    """The records, in a ``Store``. Whoever writes holds the lock of the files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def records(self) -> list[Record]:
        """Return all records, the oldest first. OSError as the kernel gives it.

        What cannot be understood is left out, and never overwritten.
        """
        return self.read()[0]

    def read(self) -> tuple[list[Record], list[str]]:
        """Return the records, and a sentence for each that cannot be understood. OSError."""
        records: list[Record] = []
        strange: list[str] = []
        for number in self._numbers():
            try:
                records.append(self._load(number))
            except InvalidValueError as error:
                strange.append(
                    f"{_path(number)} cannot be understood ({plain(str(error), 200)}), so change "
                    f"{number} is neither settled nor undone: look at it, and move it away."
                )
        return records, strange

    def _load(self, number: int) -> Record:
        try:
            record = load(self._store.read(_path(number)) or "")
        except IsADirectoryError:
            raise InvalidValueError("it is a folder") from None
        if record.id != number:
            raise InvalidValueError(f"it is that of change {record.id}")
        return record

    def next_id(self) -> int:
        """Return the number of the next change."""
        return max(self._numbers(), default=0) + 1

    def put(self, record: Record) -> None:
        """Write a record; it is on the disk when this returns. OSError."""
        self._store.write(_path(record.id), dump(record))

    def drop(self, record: Record) -> None:
        """Remove a record. OSError."""
        self._store.remove(_path(record.id))

    def publish(self) -> None:
        """Write the summary anew, and let old records go; failing at that harms nothing."""
        with contextlib.suppress(OSError):
            records = self.records()
            for record in records[:-KEEP]:
                if record.state not in OPEN:
                    self._store.remove(_path(record.id))
            changes = [asdict(change) for change in reversed(shown(records[-KEEP:]))]
            text = json.dumps({"schema": SCHEMA, "changes": changes}, default=str, indent=1)
            if self._store.read(places.SUMMARY) != text + "\n":
                self._store.write(places.SUMMARY, text + "\n")

    def tidy(self) -> None:
        """Remove half files that a crash has left."""
        for folder in places.MODES:
            self._store.tidy(folder)

    def _numbers(self) -> list[int]:
        names = (name.removesuffix(".json") for name in self._store.names(places.RECORDS))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _path(number: int) -> str:
    return f"{places.RECORDS}/{number}.json"


def undone(records: Iterable[Record]) -> set[int]:
    """Return the changes that are taken back now.

    It is not written down with them but follows from what undid them: undoing that brings them
    back, and no crash can come between two records.
    """
    found: set[int] = set()
    for record in sorted(records, key=lambda r: -r.id):
        if record.undoes and record.state in KEPT and record.id not in found:
            found.update(record.undoes)
    return found


def shown(records: Sequence[Record]) -> list[Change]:
    """Return what may be shown of records, in their order."""
    back = undone(records)
    return [
        record.change(State.UNDONE if record.id in back and record.state in KEPT else None)
        for record in records
    ]


def summary(store: Store) -> list[Change]:
    """Return the history as everybody may read it, the newest first. OSError."""
    text = store.read(places.SUMMARY)
    if text is None:
        return []
    try:
        return [_change(made) for made in json.loads(text)["changes"]]
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidValueError(
            f"{places.SUMMARY} cannot be understood: `sudo lowmem-tui history` reads the records "
            "themselves."
        ) from error


def _change(made: dict[str, object]) -> Change:
    made = dict(made)
    made["state"] = State(str(made["state"]))
    for key in ("files", "undoes"):
        made[key] = tuple(made[key])  # type: ignore[arg-type]
    made["effects"] = tuple(effect_from(each) for each in made["effects"])  # type: ignore[attr-defined]
    # An older summary has none.
    made["actions"] = tuple(action_from(each) for each in made.get("actions", ()))  # type: ignore[attr-defined]
    return Change(**made)  # type: ignore[arg-type]
