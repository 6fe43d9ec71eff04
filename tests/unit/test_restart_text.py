"""The restart simulator's verdicts, in words."""

from __future__ import annotations

from typing import Any

import pytest

from lowmem_tui.model.amount import format_time_span
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook, rounded

from .servers import properties

MS, S = 1000, 1_000_000
USUAL = {
    "restart": "on-failure",
    "restart_usec": 100 * MS,
    "start_limit_interval_usec": 10 * S,
    "start_limit_burst": 5,
}
THREE = USUAL | {"restart": "always", "restart_usec": 3 * S}
DEAD = "stays down"
AGAIN = "`systemctl reset-failed` and `systemctl start`"
DOWN = f"then stays down until {AGAIN}"
TIMED = f"then stays down until a.timer starts it, or {AGAIN}"
DEAF = "then a.socket fails, too, until `systemctl reset-failed` and `systemctl start a.socket`"
OPTIONS = "(StartLimitBurst=, StartLimitIntervalSec=)"
CALLED = (
    "a.socket starts it again while a client waits there; "
    f"at most 5 starts in 10s {OPTIONS}; {DEAF}"
)
HITS = "hits the start limit of"
LONG = f"{HITS} 5 starts in 1min {OPTIONS} if each fails within 9s; {DOWN}"
ENDLESS = (
    "hits the start limit of 5 starts in all (StartLimitBurst=, StartLimitIntervalSec=infinity); "
    + DOWN
)
FIVE = f"{HITS} 5 starts in 10s {OPTIONS} if each fails within 1.9s"
TWO = f"{HITS} 2 starts in 10s {OPTIONS} if each fails within 4.6s"
STEPS = {"restart_steps": 4, "restart_max_delay_usec": 300 * S, "start_limit_burst": 2}
QUICK = f"{FIVE}; {DOWN}"

# what systemd has loaded → killed now, ends at every start
OUTLOOKS: dict[str, tuple[dict[str, Any], str, str]] = {
    "systemd's defaults": (
        USUAL, "restarts in 100ms", QUICK,
    ),
    "the policy's": (THREE, "restarts in 3s", "restarts indefinitely, 20 times a minute"),
    "no": (USUAL | {"restart": "no"}, DEAD, DEAD),
    "on-success": (USUAL | {"restart": "on-success"}, DEAD, DEAD),
    "on-abort, stopped by systemd": (
        USUAL | {"restart": "on-abort"}, DEAD, QUICK,
    ),
    "on-abort, continue": (
        USUAL | {"restart": "on-abort", "oom_policy": "continue"},
        "restarts in 100ms", QUICK,
    ),
    "a long window": (
        THREE | {"start_limit_interval_usec": 60 * S},
        "restarts in 3s", LONG,
    ),
    "a window without end": (
        THREE | {"start_limit_interval_usec": INFINITY},
        "restarts in 3s", ENDLESS,
    ),
    "no limit": (
        USUAL | {"start_limit_interval_usec": 0},
        "restarts in 100ms", "restarts indefinitely, 500 times a minute",
    ),
    "one start": (
        USUAL | {"start_limit_burst": 1},
        "restarts in 100ms",
        f"{HITS} 1 start in 10s {OPTIONS} if it fails within 9.9s; {DOWN}",
    ),
    "a delay without end": (THREE | {"restart_usec": INFINITY}, DEAD, DEAD),
    "no delay": (
        THREE | {"restart_usec": 0},
        "restarts at once",
        f"{HITS} 5 starts in 10s {OPTIONS} if each fails within 2s; {DOWN}",
    ),
    "growing": (
        THREE | {"restart_steps": 4, "restart_max_delay_usec": 300 * S},
        "restarts in 3s", "restarts indefinitely, 12 times an hour",
    ),
    "grown": (
        THREE | {"restart_steps": 4, "restart_max_delay_usec": 300 * S, "n_restarts": 9},
        "restarts in 5min", "restarts indefinitely, 12 times an hour",
    ),
    "a growing one soon": (
        USUAL | STEPS, "restarts in 100ms", f"{TWO}; {DOWN}",
    ),
    "a grown one": (
        USUAL | STEPS | {"n_restarts": 9},
        "restarts in 5min", "restarts indefinitely, 12 times an hour",
    ),
    "a oneshot": (
        USUAL | {"type": "oneshot"},
        "restarts in 100ms", QUICK,
    ),
    "a oneshot that systemd refuses": (
        THREE | {"type": "oneshot"},
        "does not start again: Restart= is refused for Type=oneshot",
        "does not start at all: Restart= is refused for Type=oneshot",
    ),
    "a timer": (
        USUAL | {"restart": "no", "triggered_by": ("a.timer",)},
        "stays down until a.timer starts it", "stays down until a.timer starts it",
    ),
    "a timer beside": (
        USUAL | {"triggered_by": ("a.timer",)},
        "restarts in 100ms",
        f"{FIVE}; {TIMED}",
    ),
    "a socket": (
        USUAL | {"restart": "no", "triggered_by": ("a.socket",)},
        "stays down until a.socket starts it",
        CALLED,
    ),
    "a path without a limit": (
        USUAL | {"restart": "no", "triggered_by": ("a.path",), "start_limit_interval_usec": 0},
        "stays down until a.path starts it",
        "a.path starts it again while its condition holds",
    ),
    "a socket beside": (
        USUAL | {"triggered_by": ("a.timer", "a.socket")},
        "restarts in 100ms",
        f"{FIVE}; {DEAF}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("loaded", "now", "start"), OUTLOOKS.values(), ids=OUTLOOKS)
def test_what_happens_after_a_kill_and_at_every_start(
    loaded: dict[str, Any], now: str, start: str
) -> None:
    found = outlook(properties("a.service", **loaded))
    assert found is not None
    assert (str(killed_now(found)), str(at_every_start(found))) == (now, start)


def test_staged_values_go_first() -> None:
    loaded = properties("a.service", **USUAL)
    found = outlook(loaded, {Key.RESTART: "always", Key.RESTART_SEC: 3 * S})
    assert found is not None
    assert str(at_every_start(found)) == "restarts indefinitely, 20 times a minute"


@pytest.mark.parametrize("name", ["a.scope", "a.slice", "a.socket"])
def test_only_services_come_back(name: str) -> None:
    assert outlook(properties(name, **USUAL)) is None


def test_what_is_not_known_is_not_guessed() -> None:
    assert outlook(properties("a.service")) is None


@pytest.mark.parametrize(
    ("usec", "text"),
    [(0, "0"), (20 * MS, "20ms"), (620 * MS, "600ms"), (3_020 * MS, "3s"), (15_100 * MS, "15s")],
)
def test_spans_are_not_finer_than_they_are_known(usec: int, text: str) -> None:
    assert format_time_span(rounded(usec)) == text
