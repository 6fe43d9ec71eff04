"""Snapshots for the tests of the stream: any at all, and those of a server of a given size."""

# ruff: noqa: ANN401 - any value of a field

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_type_hints

from hypothesis import strategies as st

from lowmem_tui.model import amount, settings, snapshot, unit, usage
from lowmem_tui.model.message import Message, msg, of_bytes, of_unit
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
from tests.built import memory_of, properties_of
from tests.unit.servers import host, process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = 4096
MODELS = (
    *(Stall, Pressure, Process, Memory, UnitUsage, UnitProperties, Unit, Zram, Knobs, HostUsage),
    Snapshot,
)

_NAMES: dict[str, Any] = {
    **{name: getattr(module, name) for module in (settings, amount, unit, usage, snapshot)
       for name in dir(module) if name[0].isupper()},
    "Message": Message,
}  # fmt: skip


def hints(model: type) -> Mapping[str, Any]:
    """Return the types of a model's fields, those that are imported for types alone too."""
    import collections.abc

    return get_type_hints(model, localns={**_NAMES, "Mapping": collections.abc.Mapping})


_TEXT = st.text(st.characters(), max_size=12)
_NATURAL = st.one_of(
    st.integers(0, 3),
    st.integers(0, 1 << 20).map(lambda n: n * PAGE),
    st.integers(0, (1 << 64) - 1),
)
_WHOLE = st.one_of(_NATURAL, st.integers(-(1 << 64) + 1, -1))
_FLOAT = st.one_of(
    st.integers(0, 10_000).map(lambda n: n / 100),
    st.floats(-1e299, 1e299, allow_nan=False),
)
_WORDS = st.one_of(
    _TEXT,
    st.just(msg("{unit} uses {used}.", unit=of_unit("a.service"), used=of_bytes(3 << 20))),
)
_MIXED: Mapping[str, Any] = {"drift": _WHOLE, "uid": _WHOLE}


def _of(name: str, hint: object) -> st.SearchStrategy[Any]:
    if name == "notice":
        return _WORDS
    if name in _MIXED and hint is int:
        return _WHOLE
    return st.from_type(hint)  # type: ignore[arg-type]


def of_model(model: type, **given: Any) -> st.SearchStrategy[Any]:
    """Return any values of a class of the model."""
    made = {name: _of(name, hint) for name, hint in hints(model).items() if name not in given}
    return st.builds(model, **made, **given)


def register() -> None:
    """Let hypothesis build the models from their annotations."""
    st.register_type_strategy(int, _NATURAL)
    st.register_type_strategy(float, _FLOAT)
    st.register_type_strategy(str, _TEXT)
    for model in MODELS[:-1]:
        st.register_type_strategy(model, of_model(model))
    st.register_type_strategy(
        HostUsage,
        of_model(
            HostUsage,
            mem_total=st.integers(1, 1 << 50),
            page_size=st.sampled_from([4096, 16384, 65536]),
        ),
    )


def any_snapshot() -> st.SearchStrategy[Snapshot]:
    """Return any snapshot; every other one has few names, so that units and processes recur."""
    register()
    names = st.sampled_from(["a.service", "b.service", "c.service", "\x1b[31m.service", "d.slice"])
    times = st.one_of(st.floats(0, 2e9), st.integers(0, 10**6).map(lambda n: n / 100))
    return of_model(
        Snapshot,
        time=times,
        monotonic=times,
        units=st.dictionaries(names, of_model(Unit), max_size=4),
    )


def server(units: int, processes: int) -> Snapshot:
    """Return a server of this size."""
    chance = random.Random(1)
    made = {}
    for number in range(units):
        name = f"service-{number}.service"
        mine = range(number, processes, units)
        running = tuple(
            process(100 + each, rss=chance.randrange(1, 5000) * PAGE, oom_score=600)
            for each in mine
        )
        memory = memory_of(
            current=chance.randrange(5000) * PAGE, anon=chance.randrange(5000) * PAGE,
            kernel=33 * PAGE, swap=0, oom_kills=0,
        )  # fmt: skip
        used = sum(each.rss for each in running)
        usage = UnitUsage(name, f"/system.slice/{name}", memory, running, used, 0)
        made[name] = Unit(name, usage, properties_of(name))
    calm = Pressure(Stall(0.0, 0.0, 0.0, 12_345), Stall(0.0, 0.0, 0.0, 1234))
    return Snapshot(1_700_000_000.25, 1000.125, host(pressure=calm), made)


def ticks(first: Snapshot, share: float = 0.1) -> Iterator[Snapshot]:
    """Yield what follows, a second each, a share of the units and their processes changing."""
    chance = random.Random(2)
    now = first
    while True:
        units = dict(now.units)
        for name in chance.sample(sorted(units), max(1, int(len(units) * share))):
            units[name] = _changed(units[name], chance)
        stall = now.host.pressure.some if now.host.pressure else Stall(0.0, 0.0, 0.0, 0)
        some = Stall(
            _walk(stall.avg10, chance), _walk(stall.avg60, chance), _walk(stall.avg300, chance),
            stall.total_usec + chance.randrange(20_000),
        )  # fmt: skip
        used = now.host._replace(
            mem_free=now.host.mem_free + chance.randrange(-500, 500) * PAGE,
            mem_available=now.host.mem_available + chance.randrange(-500, 500) * PAGE,
            uptime=round((now.host.uptime or 0) + 1.01, 2),
            pressure=Pressure(some, some),
        )
        now = replace(
            now, units=units, host=used, time=now.time + 1.0012, monotonic=now.monotonic + 1.0012
        )
        yield now


def _walk(share: float, chance: random.Random) -> float:
    return min(100.0, max(0.0, round(share + chance.randrange(-100, 101) / 100, 2)))


def _changed(one: Unit, chance: random.Random) -> Unit:
    assert one.usage is not None
    running = tuple(
        each._replace(
            rss=max(0, each.rss + chance.randrange(-200, 220) * PAGE),
            oom_score=600 + chance.randrange(8),
        )
        for each in one.usage.processes
    )
    memory = one.usage.memory
    memory = memory._replace(
        current=max(0, (memory.current or 0) + chance.randrange(-300, 320) * PAGE),
        anon=max(0, (memory.anon or 0) + chance.randrange(-200, 220) * PAGE),
        kernel=max(0, (memory.kernel or 0) + chance.randrange(-4000, 4000)),
    )
    used = sum(each.rss for each in running)
    return replace(one, usage=one.usage._replace(memory=memory, processes=running, rss=used))
