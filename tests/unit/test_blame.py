"""Which kills a trial may have caused: those that it reports."""

from __future__ import annotations

import pytest

from lowmem_tui.model.plan import Effect, When
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.incidents.blame import may_have_killed
from tests.unit.servers import M, process, service, snapshot, usage

A, B = "a.service", "b.service"


def effect(unit: str, key: Key, before: str, after: str) -> Effect:
    return Effect(unit, key, before, after, When.LIVE)


SCORE = effect(A, Key.OOM_SCORE_ADJUST, "0", "-100")
LOWERED = effect(A, Key.MEMORY_MAX, "infinity", "100M")
RAISED = effect(A, Key.MEMORY_MAX, "100M", "200M")
REMOVED = effect(A, Key.MEMORY_MAX, "100M", "infinity")
HIGH = effect(A, Key.MEMORY_HIGH, "100M", "150M")
RESTART = effect(A, Key.RESTART, "no", "always")
SLICE = effect("app.slice", Key.MEMORY_MAX, "infinity", "300M")

# what is tried, where the kill was, whether that unit has a limit -> whether it may be due to it
CASES: dict[str, tuple[Effect, str, bool, bool]] = {
    "its own unit": (LOWERED, A, True, True),
    "its own unit, whatever is tried": (RESTART, A, False, True),
    "another, a limit lowered": (LOWERED, B, False, False),
    "another, a restart": (RESTART, B, False, False),
    "another, the kill order": (SCORE, B, False, True),
    "another with a limit, the kill order": (SCORE, B, True, True),
    "another, a limit raised": (RAISED, B, False, True),
    "another, a limit removed": (REMOVED, B, False, True),
    "another, MemoryHigh raised": (HIGH, B, False, True),
    "another at its own limit, a limit raised": (RAISED, B, True, False),
    "below the slice that is changed": (SLICE, "inner.service", True, True),
    "beside the slice that is changed": (SLICE, B, False, False),
    "one that is gone": (RAISED, "gone.service", False, False),
}


@pytest.mark.parametrize(("tried", "unit", "limit", "due"), CASES.values(), ids=CASES)
def test_whether_a_kill_may_be_due_to_a_change(
    tried: Effect, unit: str, *, limit: bool, due: bool
) -> None:
    memory = {"max": 50 * M} if limit else {}
    inner = usage("inner.service", process(9), cgroup="/app.slice/inner.service", **memory)
    server = snapshot(
        service(A, process(7)),
        service(B, process(8), memory=memory),
        Unit("app.slice", usage("app.slice", cgroup="/app.slice"), None),
        Unit("inner.service", inner, None),
    )
    assert may_have_killed(server, unit, (tried.unit,), (tried,)) is due


def test_a_cap_above_is_a_limit() -> None:
    server = snapshot(
        service(A, process(7)),
        Unit("c.slice", usage("c.slice", cgroup="/c.slice", max=50 * M), None),
        Unit(B, usage(B, process(8), cgroup=f"/c.slice/{B}"), None),
    )
    assert not may_have_killed(server, B, (A,), (RAISED,))


def test_an_unknown_trial_still_names_its_units() -> None:
    server = snapshot(service(A, process(7)), service(B, process(8)))
    assert may_have_killed(server, A, (A,), ())
    assert not may_have_killed(server, B, (A,), ())
