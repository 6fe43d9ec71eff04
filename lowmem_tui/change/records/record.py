"""One change, recorded before it is made: plain data, as JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from lowmem_tui.change.machine.allowed import is_trial
from lowmem_tui.change.records import decode
from lowmem_tui.change.records.decode import (
    Fields,
    flat,
    listed,
    maybe,
    number,
    of_fields,
    once,
    parse,
    that,
    whole,
)
from lowmem_tui.model import kept
from lowmem_tui.model.change import Change, State
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import Message, msg, of_text
from lowmem_tui.model.message_data import as_data, from_data
from lowmem_tui.model.plan import (
    Action,
    ActionKind,
    Edit,
    Effect,
    FileChange,
    Phase,
    Plan,
    When,
)
from lowmem_tui.model.trial import LONGEST
from lowmem_tui.model.unit import CGROUP_FILES, INFINITY, Key, Unlimited, is_unit_name
from lowmem_tui.model.who import By

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.change.machine.allowed import Paths
    from lowmem_tui.model.unit import Limit, Value

SCHEMA = 1

LAST = 999_999_999
"""The highest number of a change."""

WHEN = number(0, 253_000_000_000)
"""Reads a time in seconds since 1970, or after boot; every clock and calendar can show it."""

TRIALS = frozenset({State.TRIAL, State.CONFIRMING, State.CONFIRMED, State.EXPIRED})
"""The states of a change that began as a trial."""


@dataclass(frozen=True, slots=True)
class LimitBefore:
    """A limit of a unit, as it was before the change."""

    unit: str
    key: Key
    cgroup: str
    """"" if the unit did not run."""
    before: Limit
    """What the kernel had; what systemd had loaded, if the unit did not run."""


@dataclass(frozen=True, slots=True)
class ScoresBefore:
    """oom_score_adj in a unit, before the change and meant to be after it."""

    unit: str
    cgroup: str
    before: int
    after: int
    processes: tuple[tuple[int, int, int], ...]
    """(pid, start, oom_score_adj) of each: start in clock ticks after boot."""


@dataclass(frozen=True, slots=True)
class LiveBefore:
    """What the kernel had for what ran."""

    limits: tuple[LimitBefore, ...] = ()
    scores: tuple[ScoresBefore, ...] = ()
    active: tuple[str, ...] = ()
    """The units that were active: one that our change killed is started again."""


@dataclass(frozen=True, slots=True)
class TrialRun:
    """The trial of a change."""

    seconds: int
    deadline: float
    """Seconds since 1970."""
    monotonic: float
    """The same on CLOCK_MONOTONIC, which is what counts."""
    files: tuple[FileChange, ...]
    """The drop-ins under /run."""


@dataclass(frozen=True, slots=True)
class Record:
    """A change, whole."""

    id: int
    time: float
    """Seconds since 1970."""
    boot_id: str
    by: By
    note: str
    state: State
    plan: Plan
    live: LiveBefore = LiveBefore()
    trial: TrialRun | None = None
    undoes: tuple[int, ...] = ()
    outcome: Message | str = ""
    remaining: tuple[Message | str, ...] = ()
    """What rolling back could not do (``incomplete``), each as what to do by hand."""

    @property
    def units(self) -> tuple[str, ...]:
        """The units that it changes."""
        folders = [file.path.rpartition("/")[0] for file in self.plan.files]
        names = [f.rpartition("/")[2].removesuffix(".d") for f in folders if f.endswith(".d")]
        found = [name for name in names if is_unit_name(name)]
        return tuple(dict.fromkeys([*found, *(e.unit for e in self.plan.effects)]))

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it changes for good."""
        return tuple(file.path for file in self.plan.files)

    def to(
        self,
        state: State,
        outcome: Message | str = "",
        remaining: tuple[Message | str, ...] = (),
    ) -> Record:
        """Return the record in another state."""
        return replace(self, state=state, outcome=outcome or self.outcome, remaining=remaining)

    def change(self, state: State | None = None) -> Change:
        """Return what may be shown of it."""
        return Change(
            id=str(self.id),
            time=self.time,
            by=self.by,
            note=self.note,
            state=state or self.state,
            files=self.paths,
            effects=self.plan.effects,
            trial=self.trial.seconds if self.trial else None,
            undoes=tuple(map(str, self.undoes)),
            outcome=self.outcome,
            actions=tuple(action.public for action in self.plan.actions),
            remaining=self.remaining,
        )


def dump(record: Record) -> str:
    """Return the record as JSON; every byte of a file is in it."""
    made = {"schema": SCHEMA, **asdict(record)}
    made["by"] = record.by._asdict()
    del made["outcome"]
    made["said"] = stored(record.outcome)  # the key of every version so far
    made["remaining"] = [stored(each) for each in record.remaining]
    del made["plan"]["warnings"], made["plan"]["refusals"]
    return json.dumps(made, default=_limit, indent=1) + "\n"


def _limit(value: object) -> str:
    if isinstance(value, Unlimited):
        return str(value)
    raise TypeError(type(value).__name__)


def load(text: str, paths: Paths) -> Record:
    """Read a record back. Raises InvalidValueError for what we would not have written.

    `paths` are those that a change may write: a record that names another is none of ours.
    """
    try:
        made = Fields(parse(text))
        if made("schema", lambda found: found) != SCHEMA:
            raise InvalidValueError(msg("Another version of lowmem-tui has written it."))
        record = Record(
            id=made("id", whole(1, LAST)),
            time=made("time", WHEN),
            boot_id=made("boot_id", flat),
            by=made("by", by_from),
            note=made("note", decode.text),
            state=made("state", _state),
            plan=made("plan", of_fields(partial(_plan, paths))),
            live=made("live", _live),
            trial=made("trial", maybe(of_fields(partial(_trial, paths)))),
            undoes=made("undoes", listed(whole(1, LAST))),
            outcome=made("said", words),
            remaining=made.optional("remaining", listed(words), ()),
        )
        made.done()
        _agrees(record)
    except InvalidValueError:
        raise
    except ValueError as error:
        raise InvalidValueError(
            msg("It is not a record of a change: {error}.", error=of_text(str(error), 200))
        ) from error
    return record


def stored(outcome: Message | str) -> object:
    """Return a message as data for a file; its English, if it could not be read back."""
    if isinstance(outcome, str):
        return outcome
    try:
        data = as_data(outcome)
        from_data(data)
    except InvalidValueError:
        return str(outcome)
    return data


def words(found: object) -> Message | str:
    """Read a message back, or the plain words of an older version. ValueError.

    What only another version can render must not make the record unreadable: its template is shown.
    """
    if not isinstance(found, dict):
        return decode.text(found)
    try:
        return from_data(found)
    except InvalidValueError:
        return decode.text(found.get("template", ""))


def _agrees(record: Record) -> None:
    """Raise ValueError where parts of a record contradict each other."""
    if record.trial is None and record.state in TRIALS:
        raise ValueError(f"it is {record.state} and has no trial")
    if not once(record.undoes) or any(number >= record.id for number in record.undoes):
        raise ValueError("it undoes what came later")
    tried = record.trial.files if record.trial else ()
    if not once((*record.paths, *(file.path for file in tried))):
        raise ValueError("a file comes twice")
    units = set(record.units)
    seen = [limit.unit for limit in record.live.limits] + [s.unit for s in record.live.scores]
    if not units.issuperset(seen):
        raise ValueError("a unit comes that it does not change")


@of_fields
def by_from(made: Fields) -> By:
    """Read who made a change. ValueError."""
    return By(
        made("uid", whole(0, 1 << 32)),
        made("user", flat),
        made("sudo_user", flat),
        made("ssh_client", flat),
    )


def _plan(paths: Paths, made: Fields) -> Plan:
    return Plan(
        made("edits", listed(_edit)),
        made("files", listed(_file_reader(paths))),
        made("effects", listed(effect_from)),
        (),
        (),
        made.optional("actions", listed(action_from), ()),
        made.optional("at_restart", decode.flag, False),
    )


@of_fields
def _edit(made: Fields) -> Edit:
    return Edit(made("unit", _unit), made("key", _key), made("value", maybe(decode.text)))


def _file(paths: Paths, made: Fields) -> FileChange:
    return FileChange(
        made("path", that(flat, paths.is_ours, "no file of lowmem-tui")),
        made("before", maybe(decode.text)),
        made("after", maybe(decode.text)),
    )


def _file_reader(paths: Paths) -> Callable[[object], FileChange]:
    return of_fields(partial(_file, paths))


@of_fields
def action_from(made: Fields) -> Action:
    """Read an action back. ValueError."""
    action = Action(
        made("kind", _kind),
        made("what", flat),
        made("before", _action_value),
        made("after", _action_value),
        made.optional("phase", lambda word: Phase(flat(word)), Phase.LATE),
        made.optional("words", decode.text, ""),
        made.optional("frees", maybe(whole(0, 1 << 62)), None),
    )
    if action.kind in {ActionKind.RUN, ActionKind.SERVICE}:
        _unit(action.what)
    return action


def _action_value(found: object) -> str:
    value = decode.text(found)
    if kept.is_foreign(value):
        kept.check(value)
    return value


@of_fields
def effect_from(made: Fields) -> Effect:
    """Read an effect back. ValueError."""
    return Effect(
        made("unit", _unit),
        made("key", _key),
        made("from_", decode.text),
        made("to", decode.text),
        made("when", lambda word: When(flat(word))),
        made("loaded", maybe(_value)),
        made("live", maybe(_value)),
    )


def _value(found: object) -> Value:
    # No word of systemd's for another setting is "infinity".
    if found == str(INFINITY):
        return INFINITY
    return flat(found) if isinstance(found, str) else whole(-1000, 1 << 64)(found)


@of_fields
def _live(made: Fields) -> LiveBefore:
    return LiveBefore(
        made("limits", listed(_limit_before)),
        made("scores", listed(_scores_before)),
        made.optional("active", listed(_unit), ()),
    )


@of_fields
def _limit_before(made: Fields) -> LimitBefore:
    return LimitBefore(
        made("unit", _unit),
        made("key", that(_key, lambda key: key in CGROUP_FILES, "no limit")),
        made("cgroup", _cgroup),
        made("before", _as_limit),
    )


@of_fields
def _scores_before(made: Fields) -> ScoresBefore:
    return ScoresBefore(
        made("unit", _unit),
        made("cgroup", _cgroup),
        made("before", _SCORE),
        made("after", _SCORE),
        made("processes", listed(_process)),
    )


def _process(found: object) -> tuple[int, int, int]:
    if not isinstance(found, list) or len(found) != 3:
        raise ValueError("not a process")
    return whole(1, 1 << 31)(found[0]), whole(0, 1 << 64)(found[1]), _SCORE(found[2])


def _as_limit(found: object) -> Limit:
    return INFINITY if found == str(INFINITY) else whole(0, 1 << 64)(found)


def _trial(paths: Paths, made: Fields) -> TrialRun:
    return TrialRun(
        made("seconds", whole(1, LONGEST)),
        made("deadline", WHEN),
        made("monotonic", WHEN),
        made(
            "files",
            listed(that(_file_reader(paths), lambda file: is_trial(file.path), "no trial's")),
        ),
    )


def _state(found: object) -> State:
    return State(flat(found))


def _kind(found: object) -> ActionKind:
    return ActionKind(flat(found))


def _key(found: object) -> Key:
    return Key(flat(found))


_SCORE = whole(-1000, 1000)
_unit = that(flat, is_unit_name, "not a unit's name")
_cgroup = that(
    flat,
    lambda path: not path or (path.startswith("/") and ".." not in path.split("/")),
    "not a control group",
)
