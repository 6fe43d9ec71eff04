"""Which fields of a snapshot are in a frame, and of which kind: each is declared here, once.

The fields that change most come first, so that the number that names the changed ones is short.
tests/stream/test_schema.py compares this with the model: a field that is missing here, or has
another type there, fails it.
"""

# ruff: noqa: ANN401 - a record's fields have many types

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import UnitProperties
from lowmem_tui.model.usage import (
    HostUsage,
    Knobs,
    Memory,
    Pressure,
    Process,
    Stall,
    UnitUsage,
    Zram,
)
from lowmem_tui.stream.kinds import (
    FLAG,
    FLOAT,
    LIMITS,
    LOADED,
    MAYBE_FLAG,
    MAYBE_FLOAT,
    MAYBE_SPAN,
    MAYBE_STRING,
    MAYBE_WHOLE,
    NATURAL,
    STRING,
    STRINGS,
    WHOLE,
    WORDS,
    Entries,
    Kind,
    Record,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def record(
    model: type, fields: Mapping[str, Kind], *, optional: bool = False, name: str = ""
) -> Record:
    """Return the record of a class of the model: its fields in the order of the frame."""
    own = _fields_of(model)
    there = [name for name in fields if name in own]
    get: Callable[[Any], tuple[Any, ...]] = (
        attrgetter(*fields) if there == list(fields) else refuse_declaration(model)
    )
    places = [there.index(name) for name in own]
    in_order: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(*places)

    def make(values: tuple[Any, ...]) -> Any:
        return model(*in_order(values))

    return Record(name or model.__name__, fields, get, make, optional=optional)


def _fields_of(model: type) -> tuple[str, ...]:
    named: tuple[str, ...] | None = getattr(model, "_fields", None)
    return named or tuple(field.name for field in dataclass_fields(model))


def refuse_declaration(model: type) -> Any:
    """Raise TypeError: a declaration names a field that the model has not."""
    raise TypeError(f"a field of {model.__name__} is declared that it does not have")


STALL_FIELDS = {"total_usec": NATURAL, "avg10": FLOAT, "avg60": FLOAT, "avg300": FLOAT}
SOME = record(Stall, STALL_FIELDS)
FULL = record(Stall, STALL_FIELDS, optional=True, name="MaybeStall")
PRESSURE = record(Pressure, {"some": SOME, "full": FULL}, optional=True)

PROCESS = record(
    Process,
    {
        "rss": NATURAL,
        "oom_score": MAYBE_WHOLE,
        "swap": MAYBE_WHOLE,
        "drift": WHOLE,
        "page_tables": MAYBE_WHOLE,
        "oom_score_adj": MAYBE_WHOLE,
        "ppid": NATURAL,
        "pid": NATURAL,
        "start": NATURAL,
        "name": STRING,
        "command": MAYBE_STRING,
        "uid": MAYBE_WHOLE,
        "cgroup": STRING,
    },
)
PROCESSES = Entries(PROCESS, itemgetter(0, 1))

MEMORY = record(
    Memory,
    {
        "current": MAYBE_WHOLE,
        "anon": MAYBE_WHOLE,
        "file": MAYBE_WHOLE,
        "kernel": MAYBE_WHOLE,
        "swap": MAYBE_WHOLE,
        "peak": MAYBE_WHOLE,
        "shmem": MAYBE_WHOLE,
        "pressure": PRESSURE,
        "oom_kills": MAYBE_WHOLE,
        "settings": LIMITS,
        "oom_group": MAYBE_FLAG,
    },
)

USAGE = record(
    UnitUsage,
    {
        "memory": MEMORY,
        "processes": PROCESSES,
        "rss": MAYBE_WHOLE,
        "swap": MAYBE_WHOLE,
        "name": STRING,
        "cgroup": STRING,
    },
    optional=True,
)

PROPERTIES = record(
    UnitProperties,
    {
        "active_state": STRING,
        "sub_state": STRING,
        "main_pid": NATURAL,
        "result": STRING,
        "n_restarts": MAYBE_WHOLE,
        "settings": LOADED,
        "need_daemon_reload": FLAG,
        "name": STRING,
        "names": STRINGS,
        "description": STRING,
        "load_state": STRING,
        "unit_file_state": STRING,
        "fragment_path": STRING,
        "drop_in_paths": STRINGS,
        "transient": FLAG,
        "triggered_by": STRINGS,
        "triggers": STRINGS,
        "required_by": STRINGS,
        "control_group": STRING,
        "slice": STRING,
        "type": STRING,
        "exec_start": STRINGS,
        "user": STRING,
        "delegate": FLAG,
        "restart_steps": MAYBE_WHOLE,
        "restart_max_delay_usec": MAYBE_SPAN,
        "start_limit_interval_usec": MAYBE_SPAN,
        "start_limit_burst": MAYBE_WHOLE,
        "unmet": FLAG,
    },
    optional=True,
)

UNIT = record(Unit, {"usage": USAGE, "properties": PROPERTIES, "name": STRING})

ZRAM = record(Zram, {"stored": NATURAL, "used": NATURAL}, optional=True)

KNOBS = record(
    Knobs,
    {
        "swappiness": MAYBE_WHOLE,
        "panic_on_oom": MAYBE_WHOLE,
        "kill_asker": MAYBE_WHOLE,
        "zswap": MAYBE_FLAG,
    },
)

HOST = record(
    HostUsage,
    {
        "uptime": MAYBE_FLOAT,
        "mem_free": NATURAL,
        "mem_available": NATURAL,
        "swap_free": NATURAL,
        "pressure": PRESSURE,
        "zram": ZRAM,
        "oom_kills": MAYBE_WHOLE,
        "hostname": STRING,
        "page_size": NATURAL,
        "mem_total": NATURAL,
        "swap_total": NATURAL,
        "knobs": KNOBS,
    },
)

SNAPSHOT = record(
    Snapshot,
    {
        "time": FLOAT,
        "monotonic": FLOAT,
        "host": HOST,
        "units": Table(UNIT),
        "loading": FLAG,
        "notice": WORDS,
    },
)

RECORDS: tuple[Record, ...] = (
    *(SOME, FULL, PRESSURE, PROCESS, MEMORY, USAGE, PROPERTIES, UNIT, ZRAM, KNOBS, HOST),
    SNAPSHOT,
)
"""Each after those that it holds: a key frame names them in this order."""
