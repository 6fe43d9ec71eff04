"""The memory of the last minutes that the history line is drawn from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.tui.session.memory_history import SPAN, SPANS, STEP, MemoryHistory
from tests.tui.conftest import Clock

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot

REDIS = "redis-server.service"
MIB = 1 << 20


@pytest.fixture(scope="module")
def looked() -> Snapshot:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    snapshot = backend.look()
    backend.close()
    return snapshot


def at(seconds: float, held: int | None, looked: Snapshot) -> Snapshot:
    """Return a look in which redis holds this; None: it does not run."""
    unit = looked.units[REDIS]
    assert unit.usage is not None
    usage = unit.usage._replace(memory=unit.usage.memory._replace(current=held))
    unit = replace(unit, usage=None if held is None else usage)
    return replace(looked, monotonic=seconds, units={REDIS: unit})


def filled(looks: list[tuple[float, int | None]], looked: Snapshot) -> MemoryHistory:
    history = MemoryHistory()
    for seconds, held in looks:
        history.add(at(seconds, held, looked))
    return history


START = 4000.0


@pytest.mark.parametrize(
    ("looks", "bins", "expected"),
    [
        ([], 3, [None, None, None]),
        ([(START, 5)], 0, []),
        ([(START, 5)], 3, [None, None, 5]),
        # The most of a span counts.
        ([(START, 5), (START + 1, 9), (START + 2, 7)], 2, [None, 9]),
        ([(START, 5), (START + STEP, 7)], SPANS, [*[None] * (SPANS - 2), 5, 7]),
        # What was not looked at is not known.
        ([(START, 5), (START + 2 * STEP, 7)], SPANS, [*[None] * (SPANS - 3), 5, None, 7]),
        ([(START, 5), (START + STEP, None)], SPANS, [*[None] * (SPANS - 2), 5, None]),
        # Further back than the ring goes.
        ([(START, 5), (START + SPAN, 7)], SPANS, [*[None] * (SPANS - 1), 7]),
        ([(START, 5), (START + 10 * SPAN, 7)], SPANS, [*[None] * (SPANS - 1), 7]),
        # The same look a second time, and a clock that went back.
        ([(START, 5), (START, 9), (START - 1, 9)], 1, [5]),
    ],
)
def test_the_most_of_each_span(
    looks: list[tuple[float, int | None]],
    bins: int,
    expected: list[int | None],
    looked: Snapshot,
) -> None:
    history = filled([(s, h if h is None else h * MIB) for s, h in looks], looked)
    values, _ = history.of(REDIS, bins)
    assert values == [None if e is None else e * MIB for e in expected]


def test_a_whole_turn_is_kept(looked: Snapshot) -> None:
    looks: list[tuple[float, int | None]] = [
        (START + i * STEP, (i + 1) * MIB) for i in range(SPANS)
    ]
    values, step = filled(looks, looked).of(REDIS, SPANS)
    assert step == STEP
    assert values == [(i + 1) * MIB for i in range(SPANS)]


def test_a_unit_that_has_gone_is_forgotten_after_a_turn(looked: Snapshot) -> None:
    history = filled([(START, MIB)], looked)
    for number in range(SPANS + 1):
        history.add(at(START + number * STEP, None, looked))
    assert not history._rows
