"""What a planned edit does, when, and what is written into the kernel for what runs."""

from __future__ import annotations

import pytest

from lowmem_tui.model.plan import Edit, When
from lowmem_tui.model.snapshot import Setting, Unit, UnitFile, UnitSituation
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.dropin import path, render
from lowmem_tui.policy.plan import plan

from .servers import M, known, process, properties, situation, unit, usage

A = "a.service"
OURS = path(A)
SCORE, MAX, HIGH = Key.OOM_SCORE_ADJUST, Key.MEMORY_MAX, Key.MEMORY_HIGH
RESTART, SEC, POLICY = Key.RESTART, Key.RESTART_SEC, Key.OOM_POLICY
LIVE, RELOAD, AT_START = When.LIVE, When.RELOAD, When.RESTART


def running(**changes: object) -> Unit:
    return unit(A, process(5), **({"memory_max": INFINITY} | changes))


def stopped(**changes: object) -> Unit:
    return Unit(A, None, properties(A, **({"active_state": "inactive"} | changes)))


def held(**settings: str) -> UnitFile:
    """Our drop-in, with these settings."""
    return UnitFile(OURS, render(A, {Key(k): v for k, v in settings.items()}, "Service"))


own = process(5, oom_score_adj=-1000)
EFFECTS: dict[str, tuple[UnitSituation, Edit, tuple[object, ...]]] = {
    "a limit of what runs": (
        known(running()),
        Edit(A, MAX, "256M"),
        ("infinity", "256M", LIVE, 256 * M, 256 * M),
    ),
    "a share": (known(running()), Edit(A, MAX, "25%"), ("infinity", "25%", LIVE, 256 * M, 256 * M)),
    "no limit": (
        known(running(memory_max=5 * M)),
        Edit(A, MAX, "infinity"),
        ("5M", "infinity", LIVE, INFINITY, INFINITY),
    ),
    "a limit of what does not run": (
        known(stopped(memory_max=INFINITY)),
        Edit(A, MAX, "256M"),
        ("infinity", "256M", AT_START, 256 * M, None),
    ),
    "a limit of what is active without processes": (
        known(Unit(A, None, properties(A, memory_max=INFINITY, sub_state="exited"))),
        Edit(A, MAX, "256M"),
        ("infinity", "256M", AT_START, 256 * M, None),
    ),
    "a dropped limit": (
        known(
            running(memory_max=256 * M),
            files={OURS: "MemoryMax=256M"},
            drop_in=held(MemoryMax="256M"),
        ),
        Edit(A, MAX, None),
        ("256M", "infinity", LIVE, INFINITY, INFINITY),
    ),
    "a dropped limit uncovers the one below": (
        known(
            running(memory_max=256 * M),
            files={"/lib/a.service": "MemoryMax=1G", OURS: "MemoryMax=256M"},
            drop_in=held(MemoryMax="256M"),
        ),
        Edit(A, MAX, None),
        ("256M", "1G", LIVE, 1 << 30, 1 << 30),
    ),
    "a dropped limit uncovers the deprecated one": (
        known(
            running(memory_max=256 * M),
            files={"/lib/a.service": "MemoryLimit=1G", OURS: "MemoryMax=256M"},
            drop_in=held(MemoryMax="256M"),
        ),
        Edit(A, MAX, None),
        ("256M", "1G", LIVE, INFINITY, 1 << 30),
    ),
    "a score of what has the declared one": (
        known(running()),
        Edit(A, SCORE, "-100"),
        ("0", "-100", LIVE, -100, -100),
    ),
    "a score of what sets its own": (
        known(unit(A, own)),
        Edit(A, SCORE, "-100"),
        ("0", "-100", AT_START, -100, None),
    ),
    "a score of what does not run": (
        known(stopped()),
        Edit(A, SCORE, "-100"),
        ("0", "-100", AT_START, -100, None),
    ),
    "a dropped score": (
        known(
            unit(A, process(5, oom_score_adj=9), oom_score_adjust=9),
            drop_in=held(OOMScoreAdjust="9"),
        ),
        Edit(A, SCORE, None),
        ("9", "0", LIVE, 0, 0),
    ),
    "Restart": (
        known(running()),
        Edit(A, RESTART, "always"),
        ("no", "always", RELOAD, "always", None),
    ),
    "a dropped Restart": (
        known(running(restart="always"), drop_in=held(Restart="always")),
        Edit(A, RESTART, None),
        ("always", "no", RELOAD, "no", None),
    ),
    "RestartSec": (
        known(running()),
        Edit(A, SEC, "3"),
        ("100ms", "3", RELOAD, 3_000_000, None),
    ),
    "a dropped RestartSec is system.conf's": (
        known(running(), drop_in=held(RestartSec="3s")),
        Edit(A, SEC, None),
        ("100ms", "systemd's default", RELOAD, None, None),
    ),
    "OOMPolicy as systemd follows it": (
        known(running()),
        Edit(A, POLICY, "continue"),
        ("stop", "continue", RELOAD, "continue", None),
    ),
    "OOMPolicy as the kernel follows it": (
        known(running()),
        Edit(A, POLICY, "kill"),
        ("stop", "kill", AT_START, "kill", None),
    ),
    "OOMPolicy away from the kernel": (
        known(running(oom_policy="kill")),
        Edit(A, POLICY, "stop"),
        ("kill", "stop", AT_START, "stop", None),
    ),
    "what systemd has not told": (
        known(running(memory_max=None)),
        Edit(A, MAX, "1G"),
        ("?", "1G", LIVE, 1 << 30, 1 << 30),
    ),
    "what only the files tell": (
        known(running(memory_max=None), settings={MAX: Setting(MAX, "2G", "/x", None, None)}),
        Edit(A, MAX, "1G"),
        ("2G", "1G", LIVE, 1 << 30, 1 << 30),
    ),
    "a later file wins": (
        known(running(memory_max=64 * M), files={"/etc/a.service.d/zzz.conf": "MemoryMax=64M"}),
        Edit(A, MAX, "256M"),
        ("64M", "256M", LIVE, 64 * M, 64 * M),
    ),
}


@pytest.mark.parametrize(("unit", "edit", "effect"), EFFECTS.values(), ids=EFFECTS)
def test_the_effect(unit: UnitSituation, edit: Edit, effect: tuple[object, ...]) -> None:
    (found,) = plan([edit], situation(unit)).effects
    assert (found.unit, found.key) == (A, edit.key)
    assert (found.from_, found.to, found.when, found.loaded, found.live) == effect


def test_a_slice_is_changed_live() -> None:
    one = Unit("b.slice", usage("b.slice", cgroup="/b.slice"), properties("b.slice"))
    (effect,) = plan([Edit("b.slice", HIGH, "1G")], situation(known(one))).effects
    assert (effect.when, effect.live) == (LIVE, 1 << 30)
