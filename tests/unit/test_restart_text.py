"""The restart simulator's verdicts, in words."""

from __future__ import annotations

from typing import Any

import pytest

from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook, rate, span

from .servers import properties

MS, S = 1000, 1_000_000
USUAL = {
    "restart": "on-failure",
    "restart_usec": 100 * MS,
    "start_limit_interval_usec": 10 * S,
    "start_limit_burst": 5,
}
THREE = USUAL | {"restart": "always", "restart_usec": 3 * S}
DEAD = "stays dead"
RESET = "only after 'systemctl reset-failed')"
IDLE = "and it stays down until somebody starts it"
DOWN = f"{IDLE} (within 10s {RESET}"
TIMED = f"and it stays down until a.timer or somebody starts it (within 10s {RESET}"
DEAF = f"and a.socket fails with it until somebody starts a.socket (within 10s {RESET}"
CALLED = (
    "is started again by a.socket while somebody waits there, but after 5 starts within 10s no "
    f"more, {DEAF}"
)
LONG = f"gives up after 5 starts within 15s (if none lives over 9s), {IDLE} (within 1min {RESET}"
ENDLESS = f"gives up after 5 starts within 15s, {IDLE}, after 'systemctl reset-failed'"
FIVE = "gives up after 5 starts within 600ms (if none lives over 1.9s)"
TWO = "gives up after 2 starts within 900ms (if none lives over 4.6s)"
STEPS = {"restart_steps": 4, "restart_max_delay_usec": 300 * S, "start_limit_burst": 2}
QUICK = f"{FIVE}, {DOWN}"

# what systemd has loaded → killed now, ends at every start
FATES: dict[str, tuple[dict[str, Any], str, str]] = {
    "systemd's defaults": (
        USUAL, "comes back in 100ms", QUICK,
    ),
    "the policy's": (THREE, "comes back in 3s", "loops for ever, at 20 starts a minute"),
    "no": (USUAL | {"restart": "no"}, DEAD, DEAD),
    "on-success": (USUAL | {"restart": "on-success"}, DEAD, DEAD),
    "on-abort, stopped by systemd": (
        USUAL | {"restart": "on-abort"}, DEAD, QUICK,
    ),
    "on-abort, continue": (
        USUAL | {"restart": "on-abort", "oom_policy": "continue"},
        "comes back in 100ms", QUICK,
    ),
    "a long window": (
        THREE | {"start_limit_interval_usec": 60 * S},
        "comes back in 3s", LONG,
    ),
    "a window without end": (
        THREE | {"start_limit_interval_usec": INFINITY},
        "comes back in 3s", ENDLESS,
    ),
    "no limit": (
        USUAL | {"start_limit_interval_usec": 0},
        "comes back in 100ms", "loops for ever, at 500 starts a minute",
    ),
    "one start": (
        USUAL | {"start_limit_burst": 1},
        "comes back in 100ms",
        f"gives up after 1 start within 100ms (if none lives over 9.9s), {DOWN}",
    ),
    "a delay without end": (THREE | {"restart_usec": INFINITY}, DEAD, DEAD),
    "no delay": (
        THREE | {"restart_usec": 0},
        "comes back at once",
        f"gives up after 5 starts within 100ms (if none lives over 2s), {DOWN}",
    ),
    "growing": (
        THREE | {"restart_steps": 4, "restart_max_delay_usec": 300 * S},
        "comes back in 3s", "loops for ever, at 12 starts an hour",
    ),
    "grown": (
        THREE | {"restart_steps": 4, "restart_max_delay_usec": 300 * S, "n_restarts": 9},
        "comes back in 5min", "loops for ever, at 12 starts an hour",
    ),
    "a growing one soon": (
        USUAL | STEPS, "comes back in 100ms", f"{TWO}, {DOWN}",
    ),
    "a grown one": (
        USUAL | STEPS | {"n_restarts": 9},
        "comes back in 5min", "loops for ever, at 12 starts an hour",
    ),
    "a oneshot": (
        USUAL | {"type": "oneshot"},
        "comes back in 100ms", QUICK,
    ),
    "a oneshot that systemd refuses": (
        THREE | {"type": "oneshot"},
        "does not start again: Restart= is refused for Type=oneshot",
        "does not start at all: Restart= is refused for Type=oneshot",
    ),
    "a timer": (
        USUAL | {"restart": "no", "triggered_by": ("a.timer",)},
        "stays dead, until a.timer starts it", "stays dead, until a.timer starts it",
    ),
    "a timer beside": (
        USUAL | {"triggered_by": ("a.timer",)},
        "comes back in 100ms",
        f"{FIVE}, {TIMED}",
    ),
    "a socket": (
        USUAL | {"restart": "no", "triggered_by": ("a.socket",)},
        "stays dead, until a.socket starts it",
        CALLED,
    ),
    "a path without a limit": (
        USUAL | {"restart": "no", "triggered_by": ("a.path",), "start_limit_interval_usec": 0},
        "stays dead, until a.path starts it",
        "is started again by a.path while its condition holds",
    ),
    "a socket beside": (
        USUAL | {"triggered_by": ("a.timer", "a.socket")},
        "comes back in 100ms",
        f"{FIVE}, {DEAF}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("loaded", "now", "start"), FATES.values(), ids=FATES)
def test_fates(loaded: dict[str, Any], now: str, start: str) -> None:
    found = outlook(properties("a.service", **loaded))
    assert found is not None
    assert (killed_now(found), at_every_start(found)) == (now, start)


def test_staged_values_go_first() -> None:
    loaded = properties("a.service", **USUAL)
    found = outlook(loaded, {Key.RESTART: "always", Key.RESTART_SEC: 3 * S})
    assert found is not None
    assert at_every_start(found) == "loops for ever, at 20 starts a minute"


@pytest.mark.parametrize("name", ["a.scope", "a.slice", "a.socket"])
def test_only_services_come_back(name: str) -> None:
    assert outlook(properties(name, **USUAL)) is None


def test_what_is_not_known_is_not_guessed() -> None:
    assert outlook(properties("a.service")) is None


@pytest.mark.parametrize(
    ("usec", "text"),
    [(0, "0s"), (20 * MS, "20ms"), (620 * MS, "600ms"), (3_020 * MS, "3s"), (15_100 * MS, "15s")],
)
def test_spans_are_not_finer_than_they_are_known(usec: int, text: str) -> None:
    assert span(usec) == text


@pytest.mark.parametrize(
    ("per_minute", "text"),
    [(500.2, "500 starts a minute"), (1.2, "1 start a minute"), (0.2, "12 starts an hour")],
)
def test_rates(per_minute: float, text: str) -> None:
    assert rate(per_minute) == text
