"""What systemd does with a service that dies, and with one that dies at every start."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.unit import INFINITY, Key, Unlimited
from lowmem_tui.policy.forecast.restart import (
    AT_ONCE,
    SHORTEST_RUN,
    SLOWER,
    Policy,
    Reaction,
    ServiceEnd,
    Verdict,
    delay_before,
    ends_at_every_start,
    ends_once,
    keeps_trying,
    limit_at_once,
    policy_of,
    restarts,
)

from .servers import properties

MS, S = 1000, 1_000_000
USUAL = Policy("always", 100 * MS, 10 * S, 5)


# systemd.service(5), "Exit causes and the effect of the Restart= settings".
TABLE = {
    "no": set[ServiceEnd](),
    "always": set(ServiceEnd),
    "on-success": {ServiceEnd.CLEAN},
    "on-failure": set(ServiceEnd) - {ServiceEnd.CLEAN},
    "on-abnormal": {
        ServiceEnd.SIGNAL,
        ServiceEnd.OOM_KILL,
        ServiceEnd.TIMEOUT,
        ServiceEnd.WATCHDOG,
    },
    "on-watchdog": {ServiceEnd.WATCHDOG},
    "on-abort": {ServiceEnd.SIGNAL},
}


@pytest.mark.parametrize("end", ServiceEnd)
@pytest.mark.parametrize("word", TABLE)
def test_the_table_of_systemd(word: str, end: ServiceEnd) -> None:
    assert restarts(USUAL._replace(restart=word), end) is (end in TABLE[word])


def test_with_oompolicy_continue_an_oom_kill_is_a_signal() -> None:
    policy = USUAL._replace(restart="on-abort", oom_policy="continue")
    assert restarts(policy, ServiceEnd.OOM_KILL)


def test_a_delay_without_end_is_no_restart() -> None:
    assert ends_once(USUAL._replace(delay=INFINITY)).reaction is Reaction.STAYS_DOWN


def test_ending_once() -> None:
    assert ends_once(USUAL) == Verdict(Reaction.RESTARTS, delay=100 * MS)
    assert ends_once(USUAL._replace(restart="no")) == Verdict(Reaction.STAYS_DOWN)
    assert (
        ends_once(USUAL._replace(restart="on-failure"), ServiceEnd.CLEAN).reaction
        is Reaction.STAYS_DOWN
    )


def per_minute(policy: Policy) -> float:
    verdict = ends_at_every_start(policy)
    assert verdict.reaction is Reaction.RESTARTS_INDEFINITELY
    return verdict.per_minute


def start_limit(policy: Policy) -> tuple[int, int]:
    verdict = ends_at_every_start(policy)
    assert verdict.reaction is Reaction.START_LIMIT
    return verdict.starts, verdict.after


# delay, interval, burst → starts, microseconds
START_LIMIT: dict[str, tuple[int, int | Unlimited, int, int, int]] = {
    "systemd's defaults": (100 * MS, 10 * S, 5, 5, 600 * MS),
    "no delay": (0, 10 * S, 5, 5, 100 * MS),
    "a delay of 1 s": (1 * S, 10 * S, 5, 5, 5_100 * MS),
    "just fast enough": (1_980 * MS, 10 * S, 5, 5, 10 * S),
    "one start only": (100 * MS, 10 * S, 1, 1, 120 * MS),
    "a window without end": (60 * S, INFINITY, 3, 3, 3 * 60_020 * MS),
    "a long window": (3 * S, 60 * S, 5, 5, 5 * 3_020 * MS),
}


@pytest.mark.parametrize(
    ("delay", "interval", "burst", "starts", "after"), START_LIMIT.values(), ids=START_LIMIT
)
def test_the_start_limit_trips(
    delay: int, interval: int | Unlimited, burst: int, starts: int, after: int
) -> None:
    assert start_limit(Policy("always", delay, interval, burst)) == (starts, after)


# delay, interval, burst → how long each start may run for the limit to trip
WITHIN: dict[str, tuple[int, int | Unlimited, int, int | Unlimited]] = {
    "systemd's defaults": (100 * MS, 10 * S, 5, 1_900 * MS),
    "no delay": (0, 10 * S, 5, 2 * S),
    "one start only": (100 * MS, 10 * S, 1, 9_900 * MS),
    "a window without end": (60 * S, INFINITY, 3, INFINITY),
}


@pytest.mark.parametrize(("delay", "interval", "burst", "within"), WITHIN.values(), ids=WITHIN)
def test_how_long_a_start_may_run(
    delay: int, interval: int | Unlimited, burst: int, within: int | Unlimited
) -> None:
    policy = Policy("always", delay, interval, burst)
    assert ends_at_every_start(policy).within == within
    if isinstance(within, int):
        assert ends_at_every_start(policy, runs_for=within).reaction is Reaction.START_LIMIT
        assert (
            ends_at_every_start(policy, runs_for=within + 1).reaction
            is Reaction.RESTARTS_INDEFINITELY
        )


# delay, interval, burst → starts per minute
INDEFINITELY: dict[str, tuple[int, int, int, float]] = {
    "the policy's 3 s": (3 * S, 10 * S, 5, 19.9),
    "2 s": (2 * S, 10 * S, 5, 29.7),
    "no interval": (100 * MS, 0, 5, 500),
    "no burst": (100 * MS, 10 * S, 0, 500),
    "a large burst": (100 * MS, 10 * S, 100, 500),
}


@pytest.mark.parametrize(
    ("delay", "interval", "burst", "rate"), INDEFINITELY.values(), ids=INDEFINITELY
)
def test_the_start_limit_never_trips(delay: int, interval: int, burst: int, rate: float) -> None:
    assert per_minute(Policy("always", delay, interval, burst)) == pytest.approx(rate, abs=0.1)


def test_an_end_without_a_restart_is_no_loop() -> None:
    policy = USUAL._replace(restart="on-success")
    assert ends_at_every_start(policy).reaction is Reaction.STAYS_DOWN


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
    assert per_minute(STEPS) == pytest.approx(3.7, abs=0.1)


def test_the_limit_may_trip_before_the_delay_has_grown() -> None:
    policy = Policy("always", 100 * MS, 10 * S, 5, steps=50, max_delay=60 * S)
    starts, after = start_limit(policy)
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
                    return Verdict(Reaction.START_LIMIT, starts=starts, after=now)
    return Verdict(Reaction.RESTARTS_INDEFINITELY)


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
    found, expected = ends_at_every_start(policy, runs_for=life), walked(policy, life)
    assert found.reaction is expected.reaction
    assert (found.starts, found.after) == (expected.starts, expected.after)


# --- any start limit, against systemd's own arithmetic -------------------------------------------


class RateLimit:
    """``ratelimit_below`` of src/basic/ratelimit.c, as it stands there."""

    def __init__(self, interval: int | Unlimited, burst: int) -> None:
        self.interval, self.burst = interval, burst
        self.begin, self.num = 0, 0

    def below(self, now: int) -> bool:
        if self.interval == 0 or self.burst == 0:
            return True
        ended = isinstance(self.interval, int) and now - self.begin > self.interval
        if self.begin <= 0 or ended:
            self.begin, self.num = now, 1
            return True
        self.num += 1
        return self.num <= self.burst


def simulated(policy: Policy, life: int, already: int, most: int) -> tuple[list[int], int | None]:
    """The times of starts that each end after so long, and that of the one that is refused."""
    limit = RateLimit(policy.interval, policy.burst)
    now, restarts_so_far, started = S, already, list[int]()
    while len(started) < most:
        if not limit.below(now):
            return started, now
        started.append(now)
        restarts_so_far += 1  # service_enter_restart
        now += life + delay_before(policy, restarts_so_far)
    return started, None


SPANS = st.sampled_from([0, 1, 100 * MS, 500 * MS, 2 * S, 3 * S, 5 * S, 30 * S, 90 * S])
POLICIES = st.builds(
    Policy,
    restart=st.just("always"),
    delay=SPANS | st.integers(0, 100 * S),
    interval=st.sampled_from([0, S, 10 * S, 60 * S, 3600 * S, INFINITY]) | st.integers(0, 100 * S),
    burst=st.integers(0, 12),
    steps=st.integers(0, 8),
    max_delay=st.just(INFINITY) | SPANS,
    oom_policy=st.sampled_from(["stop", "continue", "kill"]),
)


@settings(max_examples=300)
@given(POLICIES, st.integers(1, 20 * S), st.integers(0, 10), st.sampled_from(list(ServiceEnd)))
def test_the_start_limit_is_hit_when_systemds_own_arithmetic_shows_it(
    policy: Policy, life: int, already: int, end: ServiceEnd
) -> None:
    verdict = ends_at_every_start(policy, end, life, already)
    # Longer than the delays grow, and several windows of the limit after that.
    most = policy.steps + 4 * (policy.burst + 2)
    times, refused = simulated(policy, life, already, most)
    if refused is None:
        assert verdict.reaction is Reaction.RESTARTS_INDEFINITELY
        assert verdict.per_minute == pytest.approx(60 * S / max(1, times[-1] - times[-2]))
        assert verdict.delay == times[-1] - times[-2] - life
        return
    assert verdict.starts == len(times)
    assert verdict.after == refused - times[0]
    if isinstance(verdict.within, Unlimited):
        return
    # As long as each start may live at most, and not a moment longer.
    assert simulated(policy, verdict.within, already, most)[1] is not None
    assert simulated(policy, verdict.within + 1, already, most)[1] is None


@given(POLICIES, st.sampled_from(list(ServiceEnd)))
def test_a_restart_sec_that_never_hits_the_start_limit_does_so_in_systemd(
    policy: Policy, end: ServiceEnd
) -> None:
    seconds = keeps_trying(policy, end)
    if seconds is not None:
        slower = policy._replace(delay=seconds * S)
        assert simulated(slower, SHORTEST_RUN, 0, 100)[1] is None
        # None of the shorter choices would do.
        for each in SLOWER[: SLOWER.index(seconds)]:
            assert simulated(policy._replace(delay=each * S), SHORTEST_RUN, 0, 100)[1] is not None
    refused = simulated(policy, SHORTEST_RUN, 0, 100)[1]
    assert limit_at_once(policy, end) is (refused is not None and refused - S <= AT_ONCE)


@given(POLICIES, st.integers(0, 10))
def test_a_kill_loop_at_a_limit_ends_as_any_other(policy: Policy, already: int) -> None:
    """With Restart=on-abort a kernel's kill counts as a signal only where OOMPolicy=continue."""
    killed = policy._replace(restart="on-abort")
    verdict = ends_at_every_start(killed, ServiceEnd.OOM_KILL, already=already)
    if policy.oom_policy != "continue":
        assert not restarts(killed, ServiceEnd.OOM_KILL)
        assert verdict.starts == 0
        return
    assert verdict == ends_at_every_start(policy, ServiceEnd.OOM_KILL, already=already)
