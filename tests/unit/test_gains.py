"""What changes have come to: the server without them, and what they gave back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.change import Change, State
from lowmem_tui.model.plan import Action, ActionKind, Effect, When
from lowmem_tui.model.unit import Key
from lowmem_tui.model.who import By
from lowmem_tui.policy.forecast.gains import below_use, gained, in_force, without

from .servers import M, process, service, snapshot


def change(number: int, state: State = State.APPLIED, *effects: Effect, undoes: str = "") -> Change:
    back = (undoes,) if undoes else ()
    return Change(str(number), 0.0, By(0, "root", "", ""), "", state, (), effects, undoes=back)


def test_what_is_in_force_is_reported_the_oldest_first() -> None:
    given = [
        change(5, State.TRIAL),
        change(4, undoes="2"),
        change(3, State.CONFIRMED),
        change(2, State.UNDONE),
        change(1),
    ]
    assert [c.id for c in in_force(given)] == ["1", "3"]


@given(st.integers(0, 1 << 40), st.sampled_from(["a.service", r"w@a\x2db.service"]))
def test_what_a_stop_frees_is_a_number_of_its_own(held: int, unit: str) -> None:
    action = Action(ActionKind.RUN, unit, "active", "inactive", frees=held)
    assert gained([action, action.public]) == 2 * held
    assert str(action.described) == f"systemctl stop {unit} (it holds {format_size(held)})"
    assert gained([action.inverse]) == 0


def test_no_words_free_anything() -> None:
    words = ["", "systemctl stop a (it holds 5M)"]
    assert gained(Action(ActionKind.RUN, "a", "active", "inactive", words=w) for w in words) == 0


def effect(key: Key, from_: str, to: str) -> Effect:
    return Effect("a.service", key, from_, to, When.LIVE)


def test_the_server_without_the_changes() -> None:
    unit = service("a.service", process(7, oom_score_adj=-100), oom_score_adjust=-100)
    now = snapshot(unit)
    first = change(1, State.APPLIED, effect(Key.OOM_SCORE_ADJUST, "50", "0"))
    second = change(
        2,
        State.APPLIED,
        effect(Key.OOM_SCORE_ADJUST, "0", "-100"),
        effect(Key.MEMORY_MAX, "64M", "infinity"),
        effect(Key.RESTART, "what is this", "always"),
    )
    then = without(now, [first, second]).units["a.service"]
    assert then.properties is not None and then.usage is not None
    assert then.properties.oom_score_adjust == 50
    assert then.usage.processes[0].oom_score_adj == 50
    assert then.properties.memory_max == 64 * M == then.usage.memory.max
    assert then.properties.restart == "no"


@pytest.mark.parametrize("changes", [[], [change(1)]], ids=["none", "without settings"])
def test_nothing_changed_is_the_server_of_now(changes: list[Change]) -> None:
    now = snapshot(service("a.service", process(7)))
    assert without(now, changes) == now


USED = "it uses 65M without page cache, and MemoryMax is then 64M"


@pytest.mark.parametrize(
    ("key", "from_", "swap_max", "swap_free", "words"),
    [
        (Key.MEMORY_MAX, "64M", 0, M, f"Reverting it kills a.service: {USED}."),
        (Key.MEMORY_MAX, "64M", 2 * M, M, f"Reverting it kills a.service: {USED}."),
        (Key.MEMORY_MAX, "64M", None, 0, f"Reverting it kills a.service: {USED}."),
        (
            Key.MEMORY_MAX,
            "64M",
            3 * M,
            M,
            f"Reverting it may kill a.service: {USED}. What does not fit into swap is killed.",
        ),
        (Key.MEMORY_MAX, "65M", 0, M, ""),
        (Key.MEMORY_MAX, "infinity", 0, M, ""),
        (Key.MEMORY_HIGH, "64M", 0, M, ""),
    ],
)
def test_a_limit_that_comes_back_below_what_is_held(
    key: Key, from_: str, swap_max: int | None, swap_free: int, words: str
) -> None:
    memory = {"anon": 60 * M, "shmem": 5 * M, "swap": 2 * M, "swap_max": swap_max}
    unit = service("a.service", process(7), memory=memory)
    found = below_use(snapshot(unit, swap_free=swap_free), effect(key, from_, "80M"))
    assert str(found or "") == words


def test_a_limit_of_what_does_not_run_kills_nobody() -> None:
    assert below_use(snapshot(), effect(Key.MEMORY_MAX, "64M", "80M")) is None
