"""All changes that were made: their records, and the summary for everybody."""

from __future__ import annotations

import contextlib
import errno
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.change.records import decode, paths
from lowmem_tui.change.records.decode import Fields, flat, listed, maybe, of_fields, parse, whole
from lowmem_tui.change.records.record import (
    LAST,
    SCHEMA,
    WHEN,
    Record,
    action_from,
    by_from,
    dump,
    effect_from,
    load,
    stored,
    words,
)
from lowmem_tui.model.change import KEPT, Change, State
from lowmem_tui.model.errors import InvalidValueError, LowmemError, RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path, of_text, sentences
from lowmem_tui.model.trial import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Store

KEEP = 200
"""How many records are kept; of older ones, those that are over are removed."""

DIGITS = len(str(LAST))

_ASIDE = re.compile(r".+\.json\.unreadable(\.[0-9]+)?\Z")

LOOK_AT_IT = msg("Check it, and remove it when it is no longer needed.")

OPEN = frozenset({State.APPLYING, State.CONFIRMING, State.TRIAL})
"""The states that are not the end of a change."""


ODD = frozenset({errno.EINVAL, errno.EISDIR, errno.EFBIG, errno.ELOOP})
"""What the kernel says of something that is no file of ours, whenever it is asked."""


class Records(NamedTuple):
    """What lies in the folder of the records."""

    known: list[Record]
    """The oldest first."""
    strange: dict[str, Message]
    """By path: why it is no record."""
    unread: list[Message | str]
    """Sentences on what the disk would not give this time."""


class Journal:
    """The records, in a ``Store``. Whoever writes holds the lock of the files."""

    def __init__(self, store: Store, allowed: Paths) -> None:
        """Take the paths that a change may write: what names another is no record."""
        self._store = store
        self._allowed = allowed

    def records(self) -> list[Record]:
        """Return all records, the oldest first. OSError as the kernel gives it.

        What cannot be understood is left out, and never overwritten.
        """
        return self.read().known

    def read(self) -> Records:
        """Return all that is there. OSError where the folder itself cannot be read."""
        found = Records([], {}, [])
        for name in self._store.names(paths.RECORDS):
            path = f"{paths.RECORDS}/{name}"
            if not name.endswith(".json"):
                continue
            try:
                text = self._store.read(path)
                if text is not None:  # else it has just gone, or is not root's
                    found.known.append(_record(name, text, self._allowed))
            except InvalidValueError as error:
                found.strange[path] = error.message
            except OSError as error:
                if error.errno in ODD:
                    found.strange[path] = _odd(error)
                else:
                    found.unread.append(
                        msg(
                            "{path} cannot be read ({error}), so its change is neither finished "
                            "nor rolled back nor undone: see `dmesg`.",
                            path=of_path(path),
                            error=str(error.strerror),
                        )
                    )
        found.known.sort(key=lambda record: record.id)
        return found

    def set_aside(self, strange: Mapping[str, Message]) -> Iterator[Message]:
        """Rename what is no record, so that it is in nobody's way; yield a sentence on each."""
        for path, why in strange.items():
            what = msg("{path} cannot be read as a record.", path=of_path(path))
            try:
                new = self._store.set_aside(path)
            except (OSError, LowmemError) as error:
                ended = msg(
                    "It is ignored, and could not be renamed ({error}): move it away.",
                    error=of_text(str(error), 200),
                )
                yield sentences(what, why, ended)
            else:
                renamed = msg("It is ignored, and was renamed to {path}.", path=of_path(new))
                yield sentences(what, why, renamed, LOOK_AT_IT)

    def aside(self) -> list[str]:
        """Return the paths of what was renamed. OSError."""
        return [f"{paths.RECORDS}/{name}" for name in self._names() if _ASIDE.match(name)]

    def next_id(self) -> int:
        """Return the number of the next change: that of no record, nor of one set aside."""
        numbers = (natural(name.partition(".")[0], DIGITS) for name in self._names())
        return max((number for number in numbers if number), default=0) + 1

    def put(self, record: Record) -> None:
        """Write a record; it is on the disk when this returns. OSError, RefusedError."""
        self._store.write(_path(record.id), dump(record))

    def drop(self, record: Record) -> None:
        """Remove a record. OSError."""
        self._store.remove(_path(record.id))

    def publish(self) -> None:
        """Write the summary again, and let old records go; failing at that harms nothing."""
        with contextlib.suppress(OSError, RefusedError):
            records = self.records()
            for record in records[:-KEEP]:
                if record.state not in OPEN and record.state is not State.INCOMPLETE:
                    self._store.remove(_path(record.id))
            changes = [_summed_up(change) for change in reversed(shown(records[-KEEP:]))]
            made = {
                "schema": SCHEMA,
                "changes": changes,
                "notices": [stored(each) for each in self.notices()],
            }
            text = json.dumps(made, default=str, indent=1)
            if self._store.read(paths.SUMMARY) != text + "\n":
                self._store.write(paths.SUMMARY, text + "\n")

    def notices(self) -> list[Message | str]:
        """Return a sentence on each record that was set aside, as long as it is there. OSError."""
        return [
            sentences(
                msg(
                    "{path} could not be read as a record and was renamed: it is unknown what that "
                    "change did.",
                    path=of_path(path),
                ),
                LOOK_AT_IT,
            )
            for path in self.aside()
        ]

    def tidy(self) -> None:
        """Remove half files that a crash has left; failing at that harms nothing."""
        for folder in paths.MODES:
            with contextlib.suppress(OSError, RefusedError):
                self._store.tidy(folder)

    def _names(self) -> Sequence[str]:
        return self._store.names(paths.RECORDS)


def _record(name: str, text: str, allowed: Paths) -> Record:
    """Read the record that a file of this name is. InvalidValueError."""
    record = load(text, allowed)
    if name != f"{record.id}.json":
        raise InvalidValueError(msg("It is the record of change {id}.", id=record.id))
    return record


def _odd(error: OSError) -> Message:
    if error.errno == errno.EISDIR:
        return msg("It is a folder.")
    if error.errno == errno.ELOOP:
        return msg("It is a symbolic link.")
    if error.errno == errno.EFBIG:
        return msg("It is too large.")
    return msg("It is not a regular file.")


def _path(number: int) -> str:
    return f"{paths.RECORDS}/{number}.json"


def undone(records: Iterable[Record]) -> set[int]:
    """Return the changes that are undone now.

    It is not recorded with them but follows from what undid them: undoing that makes them again,
    and no crash can come between two records.
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


def _summed_up(change: Change) -> dict[str, object]:
    made = asdict(change)
    made["by"] = change.by._asdict()
    del made["outcome"]
    made["said"] = stored(change.outcome)  # the key of every version so far
    made["remaining"] = [stored(each) for each in change.remaining]
    return made


class Summary(NamedTuple):
    """What everybody may read."""

    changes: list[Change]
    """The newest first."""
    notices: list[Message | str]
    """Sentences on records that were set aside."""


def summary(store: Store) -> list[Change]:
    """Return the history as everybody may read it, the newest first. OSError, InvalidValueError."""
    return public(store).changes


def public(store: Store) -> Summary:
    """Return all that everybody may read. OSError, InvalidValueError."""
    try:
        text = store.read(paths.SUMMARY)
        if text is None:
            return Summary([], [])
        made = Fields(parse(text))
        if made("schema", lambda found: found) != SCHEMA:
            raise ValueError("another version")
        found = Summary(
            list(made("changes", listed(_change))),
            list(made.optional("notices", listed(words), ())),
        )
        made.done()
    except OSError as error:
        if error.errno not in ODD:
            raise
        raise InvalidValueError(_STRANGE) from error
    except ValueError as error:
        raise InvalidValueError(_STRANGE) from error
    return found


_STRANGE = msg(
    "{path} cannot be read: `sudo lowmem-tui history` reads the records themselves, and writes it "
    "again.",
    path=of_path(paths.SUMMARY),
)


@of_fields
def _change(made: Fields) -> Change:
    return Change(
        id=made("id", flat),
        time=made("time", WHEN),
        by=made("by", by_from),
        note=made("note", decode.text),
        state=made("state", lambda word: State(flat(word))),
        files=made("files", listed(flat)),
        effects=made("effects", listed(effect_from)),
        trial=made.optional("trial", maybe(whole(1, LONGEST)), None),
        undoes=made.optional("undoes", listed(flat), ()),
        outcome=made.optional("said", words, ""),
        # An older summary has neither.
        actions=made.optional("actions", listed(action_from), ()),
        remaining=made.optional("remaining", listed(words), ()),
    )
