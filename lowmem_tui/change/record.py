"""One change, written down before it is made: plain data, as JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lowmem_tui.change.who import By
from lowmem_tui.model.change import Change, State
from lowmem_tui.model.errors import InvalidValueError
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
from lowmem_tui.model.unit import INFINITY, Key, Unlimited, is_unit_name

if TYPE_CHECKING:
    from lowmem_tui.model.unit import Limit, Value

SCHEMA = 1


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
    said: str = ""

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

    def to(self, state: State, said: str = "") -> Record:
        """Return the record in another state."""
        return replace(self, state=state, said=said or self.said)

    def change(self, state: State | None = None) -> Change:
        """Return what may be shown of it."""
        return Change(
            id=str(self.id),
            time=self.time,
            by=str(self.by),
            note=self.note,
            state=state or self.state,
            files=self.paths,
            effects=self.plan.effects,
            trial=self.trial.seconds if self.trial else None,
            undoes=tuple(map(str, self.undoes)),
            said=self.said,
            actions=tuple(action.public for action in self.plan.actions),
        )


def dump(record: Record) -> str:
    """Return the record as JSON; every byte of a file is in it."""
    made = {"schema": SCHEMA, **asdict(record)}
    made["by"] = record.by._asdict()
    del made["plan"]["warnings"], made["plan"]["refusals"]
    return json.dumps(made, default=_limit, indent=1) + "\n"


def _limit(value: object) -> str:
    if isinstance(value, Unlimited):
        return str(value)
    raise TypeError(type(value).__name__)


def load(text: str) -> Record:
    """Read a record back. Raises InvalidValueError for what is none."""
    try:
        made = json.loads(text)
        if made.pop("schema") != SCHEMA:
            raise InvalidValueError("another version of lowmem-tui has written it")
        live, trial, plan = made.pop("live"), made.pop("trial"), made.pop("plan")
        return Record(
            **{
                **made,
                "by": By(**made["by"]),
                "state": State(made["state"]),
                "undoes": tuple(made["undoes"]),
                "plan": Plan(
                    tuple(Edit(e["unit"], Key(e["key"]), e["value"]) for e in plan["edits"]),
                    tuple(FileChange(**file) for file in plan["files"]),
                    tuple(effect_from(each) for each in plan["effects"]),
                    (),
                    (),
                    tuple(action_from(each) for each in plan.get("actions", ())),
                ),
                "live": _live(live),
                "trial": trial and _trial(trial),
            }
        )
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise InvalidValueError(f"it is no record of a change: {error}") from error


def action_from(made: dict[str, Any]) -> Action:
    """Read an action back."""
    return Action(
        **{**made, "kind": ActionKind(made["kind"]), "phase": Phase(made["phase"])},
    )


def effect_from(made: dict[str, Any]) -> Effect:
    """Read an effect back."""
    return Effect(
        made["unit"],
        Key(made["key"]),
        made["from_"],
        made["to"],
        When(made["when"]),
        _value(made["loaded"]),
        _value(made["live"]),
    )


def _value(made: Any) -> Value | None:  # noqa: ANN401 - what JSON gives
    # No word of systemd's for another setting is "infinity".
    return INFINITY if made == "infinity" else made


def _live(made: dict[str, Any]) -> LiveBefore:
    return LiveBefore(
        tuple(
            LimitBefore(m["unit"], Key(m["key"]), m["cgroup"], _as_limit(m["before"]))
            for m in made["limits"]
        ),
        tuple(
            ScoresBefore(
                m["unit"],
                m["cgroup"],
                m["before"],
                m["after"],
                tuple((pid, start, score) for pid, start, score in m["processes"]),
            )
            for m in made["scores"]
        ),
        tuple(made["active"]),
    )


def _as_limit(made: Any) -> Limit:  # noqa: ANN401 - what JSON gives
    return INFINITY if made == "infinity" else int(made)


def _trial(made: dict[str, Any]) -> TrialRun:
    files = tuple(FileChange(**file) for file in made.pop("files"))
    return TrialRun(**made, files=files)
