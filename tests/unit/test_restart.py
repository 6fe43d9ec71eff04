"""What systemd does with a service that dies, and with one that dies at every start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.unit import INFINITY, Key, Unlimited
from lowmem_tui.policy.forecast.restart import (
    Death,
    Fate,
    Policy,
    Verdict,
    delay_before,
    dies_at_every_start,
    dies_once,
    policy_of,
    restarts,
)

from .servers import properties

MS, S = 1000, 1_000_000
USUAL = Policy("always", 100 * MS, 10 * S, 5)


# systemd.service(5), "Exit causes and the effect of the Restart= settings".
TABLE = {
    "no": set[Death](),
    "always": set(Death),
    "on-success": {Death.CLEAN},
    "on-failure": set(Death) - {Death.CLEAN},
    "on-abnormal": {Death.SIGNAL, Death.OOM_KILL, Death.TIMEOUT, Death.WATCHDOG},
    "on-watchdog": {Death.WATCHDOG},
    "on-abort": {Death.SIGNAL},
}


@pytest.mark.parametrize("death", Death)
@pytest.mark.parametrize("word", TABLE)
def test_the_table_of_systemd(word: str, death: Death) -> None:
    assert restarts(USUAL._replace(restart=word), death) is (death in TABLE[word])


def test_with_oompolicy_continue_an_oom_kill_is_a_signal() -> None:
    policy = USUAL._replace(restart="on-abort", oom_policy="continue")
    assert restarts(policy, Death.OOM_KILL)


def test_a_delay_without_end_is_no_restart() -> None:
    assert dies_once(USUAL._replace(delay=INFINITY)).fate is Fate.STAYS_DEAD


def test_dying_once() -> None:
    assert dies_once(USUAL) == Verdict(Fate.COMES_BACK, delay=100 * MS)
    assert dies_once(USUAL._replace(restart="no")) == Verdict(Fate.STAYS_DEAD)
    assert dies_once(USUAL._replace(restart="on-failure"), Death.CLEAN).fate is Fate.STAYS_DEAD


def loops(policy: Policy) -> float:
    verdict = dies_at_every_start(policy)
    assert verdict.fate is Fate.LOOPS
    return verdict.per_minute


def gives_up(policy: Policy) -> tuple[int, int]:
    verdict = dies_at_every_start(policy)
    assert verdict.fate is Fate.GIVES_UP
    return verdict.starts, verdict.after


# delay, interval, burst → starts, microseconds
GIVES_UP: dict[str, tuple[int, int | Unlimited, int, int, int]] = {
    "systemd's defaults": (100 * MS, 10 * S, 5, 5, 600 * MS),
    "no delay": (0, 10 * S, 5, 5, 100 * MS),
    "a delay of 1 s": (1 * S, 10 * S, 5, 5, 5_100 * MS),
    "just fast enough": (1_980 * MS, 10 * S, 5, 5, 10 * S),
    "one start only": (100 * MS, 10 * S, 1, 1, 120 * MS),
    "a window without end": (60 * S, INFINITY, 3, 3, 3 * 60_020 * MS),
    "a long window": (3 * S, 60 * S, 5, 5, 5 * 3_020 * MS),
}


@pytest.mark.parametrize(
    ("delay", "interval", "burst", "starts", "after"), GIVES_UP.values(), ids=GIVES_UP
)
def test_the_start_limit_trips(
    delay: int, interval: int | Unlimited, burst: int, starts: int, after: int
) -> None:
    assert gives_up(Policy("always", delay, interval, burst)) == (starts, after)


# delay, interval, burst → how long each start may live for the limit to trip
WITHIN: dict[str, tuple[int, int | Unlimited, int, int | Unlimited]] = {
    "systemd's defaults": (100 * MS, 10 * S, 5, 1_900 * MS),
    "no delay": (0, 10 * S, 5, 2 * S),
    "one start only": (100 * MS, 10 * S, 1, 9_900 * MS),
    "a window without end": (60 * S, INFINITY, 3, INFINITY),
}


@pytest.mark.parametrize(("delay", "interval", "burst", "within"), WITHIN.values(), ids=WITHIN)
def test_how_long_a_start_may_live(
    delay: int, interval: int | Unlimited, burst: int, within: int | Unlimited
) -> None:
    policy = Policy("always", delay, interval, burst)
    assert dies_at_every_start(policy).within == within
    if isinstance(within, int):
        assert dies_at_every_start(policy, life=within).fate is Fate.GIVES_UP
        assert dies_at_every_start(policy, life=within + 1).fate is Fate.LOOPS


# delay, interval, burst → starts per minute
LOOPS: dict[str, tuple[int, int, int, float]] = {
    "the policy's 3 s": (3 * S, 10 * S, 5, 19.9),
    "2 s": (2 * S, 10 * S, 5, 29.7),
    "no interval": (100 * MS, 0, 5, 500),
    "no burst": (100 * MS, 10 * S, 0, 500),
    "a large burst": (100 * MS, 10 * S, 100, 500),
}


@pytest.mark.parametrize(("delay", "interval", "burst", "rate"), LOOPS.values(), ids=LOOPS)
def test_the_start_limit_never_trips(delay: int, interval: int, burst: int, rate: float) -> None:
    assert loops(Policy("always", delay, interval, burst)) == pytest.approx(rate, abs=0.1)


def test_a_restart_that_the_death_does_not_bring_is_no_loop() -> None:
    policy = USUAL._replace(restart="on-success")
    assert dies_at_every_start(policy).fate is Fate.STAYS_DEAD


STEPS = Policy("always", 1 * S, 10 * S, 5, steps=4, max_delay=16 * S)


def test_the_delay_grows_by_equal_factors() -> None:
    seconds = [delay_before(STEPS, n) / S for n in range(1, 8)]
    assert seconds == pytest.approx([1, 2, 4, 8, 16, 16, 16], abs=0.001)


@pytest.mark.parametrize(
    "policy",
    [
        STEPS._replace(steps=0),
        STEPS._replace(max_delay=INFINITY),
        STEPS._replace(max_delay=1 * S),
        STEPS._replace(max_delay=1),
    ],
)
def test_without_steps_or_a_larger_delay_it_does_not_grow(policy: Policy) -> None:
    assert {delay_before(policy, n) for n in range(1, 9)} == {1 * S}


def test_a_growing_delay_outgrows_the_limit() -> None:
    assert loops(STEPS) == pytest.approx(3.7, abs=0.1)


def test_the_limit_may_trip_before_the_delay_has_grown() -> None:
    policy = Policy("always", 100 * MS, 10 * S, 5, steps=50, max_delay=60 * S)
    starts, after = gives_up(policy)
    assert starts == 5
    assert after < 2 * S


def test_staged_values_go_first() -> None:
    loaded = properties(
        "a.service", restart="no", start_limit_interval_usec=10 * S, start_limit_burst=5
    )
    assert policy_of(loaded) == USUAL._replace(restart="no")
    assert policy_of(loaded, {Key.RESTART: "always", Key.RESTART_SEC: 3 * S}) == USUAL._replace(
        delay=3 * S
    )


@pytest.mark.parametrize(
    "missing", ["restart", "restart_usec", "start_limit_interval_usec", "start_limit_burst"]
)
def test_what_is_not_known_is_not_guessed(missing: str) -> None:
    usual = {"start_limit_interval_usec": 10 * S, "start_limit_burst": 5}
    assert policy_of(properties("a.service", **(usual | {missing: None}))) is None


def walked(policy: Policy, life: int) -> Verdict:
    """Start by start, as systemd does it: none of the short cuts."""
    now = begin = 0
    counted = 1
    assert isinstance(policy.interval, int)
    for starts in range(1, 400):
        now += life + delay_before(policy, starts)
        if policy.interval and policy.burst:
            if now - begin > policy.interval:
                begin, counted = now, 1
            else:
                counted += 1
                if counted > policy.burst:
                    return Verdict(Fate.GIVES_UP, starts=starts, after=now)
    return Verdict(Fate.LOOPS)


@given(
    st.integers(0, 5 * S),
    st.integers(0, 20 * S),
    st.integers(0, 20),
    st.integers(0, 10),
    st.one_of(st.integers(0, 60 * S), st.just(INFINITY)),
    st.integers(1, 3 * S),
)
def test_as_start_by_start(
    delay: int, interval: int, burst: int, steps: int, most: int | Unlimited, life: int
) -> None:
    policy = Policy("always", delay, interval, burst, steps, most)
    found, expected = dies_at_every_start(policy, life=life), walked(policy, life)
    assert found.fate is expected.fate
    assert (found.starts, found.after) == (expected.starts, expected.after)
