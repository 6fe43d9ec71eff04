"""Each danger that a change is checked for, one row each: its code, its words, the better way."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from lowmem_tui.model.plan import Edit
from lowmem_tui.model.snapshot import Situation, Unit, UnitFile
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.model.usage import Knobs
from lowmem_tui.policy import dropin
from lowmem_tui.policy.plan import parse_set, plan

from .servers import M, known, process, properties, situation, snapshot, unit, usage
from .test_plan_warnings import HOG, NEXT, SMALL, S, guide, serving
from .test_preflight import holding
from .test_protections import server as protected

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "lowmem_tui"

FATAL, FORCEABLE, WARNING = "fatal", "forceable", "warning"


class Danger(NamedTuple):
    server: Situation
    sets: str
    code: str
    how: str
    words: str
    better: str


def alone(name: str) -> Situation:
    return situation(known(unit(name)))


def no_swap(one: Unit) -> Situation:
    made = known(one)
    return Situation(snapshot(made.unit, swap_total=0, swap_free=0), {made.asked: made}, swap=False)


def looping(seconds: int) -> Situation:
    return situation(known(serving((20,), restart="no", restart_usec=seconds * S)))


def needed(name: str) -> Danger:
    return Danger(
        situation(known(holding(name))),
        f"{name}:MemoryMax=500M",
        *("needed-by-systemd", FORCEABLE, "when it is killed at a limit, nobody can log in"),
        "OOMScoreAdjust=-500 instead",
    )


def inside(slice_name: str, *names: str) -> Situation:
    """A slice of 300M with these units in it."""
    group = f"/{slice_name}"
    one = Unit(slice_name, usage(slice_name, cgroup=group), properties(slice_name))
    below = [
        Unit(name, usage(name, process(9), cgroup=f"{group}/{name}"), properties(name))
        for name in names
    ]
    return situation(known(one), others=tuple(below))


def raised() -> Situation:
    """A unit of 300M whose own file allows 100M, and ours 600M."""
    text = dropin.render("a.service", {Key.MEMORY_MAX: "600M"}, "Service")
    ours = UnitFile(dropin.path("a.service"), text)
    fragment = {"/usr/lib/systemd/system/a.service": "[Service]\nMemoryMax=100M\n"}
    return situation(known(holding(anon=300 * M), files=fragment, drop_in=ours))


SCORES = ("a:OOMScoreAdjust=-1000", "oom-score-adjust-1000", FATAL)


def swapping(
    *, held: int = 200, free: int = 1024, most: int | None = None, above: int | None = None
) -> Situation:
    """A unit of so many MiB; the server's swap, its own bound of it, and its slice's, in MiB."""
    limit = INFINITY if most is None else most * M
    group = usage("a.service", process(9, held * M), anon=held * M, swap_max=limit)
    one = Unit(
        *("a.service", group), properties("a.service", restart="always", memory_swap_max=limit)
    )
    made = known(one)
    bound = INFINITY if above is None else above * M
    parent = Unit(
        "system.slice",
        usage("system.slice", cgroup="/system.slice", swap_max=bound),
        properties("system.slice"),
    )
    server = snapshot(one, parent, swap_total=1024 * M, swap_free=free * M)
    return Situation(server, {made.asked: made})


def kernel(server: Situation, knobs: Knobs) -> Situation:
    host = server.snapshot.host._replace(knobs=knobs)
    return replace(server, snapshot=replace(server.snapshot, host=host))


BELOW = ("memory-max-below-use", FORCEABLE)
BELOW_A = "a:MemoryMax=150M"
RESTART_IT = "restart it within the limit: `sudo lowmem-tui apply --at-restart --set 'a.service:Mem"

DANGERS = {
    "MemoryMax under use, with swap for it": Danger(
        swapping(),
        *(BELOW_A, *BELOW, "what does not fit into swap is killed at once"),
        "Set MemoryHigh first, and it swaps instead: `sudo lowmem-tui apply --set 'a.service:Me",
    ),
    "MemoryMax under use, swap for just that": Danger(
        swapping(free=50), *(BELOW_A, *BELOW, "uses 200M", "Set MemoryHigh first")
    ),
    "MemoryMax under use, swap for less": Danger(
        swapping(free=49), *(BELOW_A, *BELOW, "uses 200M", RESTART_IT)
    ),
    "MemoryMax under use, swap that it must not use": Danger(
        swapping(most=0), *(BELOW_A, *BELOW, "it is killed at once", RESTART_IT)
    ),
    "MemoryMax under use, a bound of its own": Danger(
        swapping(most=30), *(BELOW_A, *BELOW, "what does not fit into swap", RESTART_IT)
    ),
    "MemoryMax under use, swap that its slice must not use": Danger(
        swapping(above=0), *(BELOW_A, *BELOW, "it is killed at once", RESTART_IT)
    ),
    "MemoryMax under use, vm.swappiness=0": Danger(
        kernel(swapping(), Knobs(swappiness=0)),
        *(BELOW_A, *BELOW, "it is killed at once", RESTART_IT),
    ),
    "MemoryMax under use, zswap, which keeps a part": Danger(
        kernel(swapping(free=60), Knobs(zswap=True)),
        *(BELOW_A, *BELOW, "uses 200M", RESTART_IT),
    ),
    "MemoryMax under use, zswap with room": Danger(
        kernel(swapping(free=80), Knobs(zswap=True)),
        *(BELOW_A, *BELOW, "uses 200M", "Set MemoryHigh first"),
    ),
    "MemoryHigh with vm.swappiness=0": Danger(
        kernel(swapping(), Knobs(swappiness=0)),
        "a:MemoryHigh=256M",
        *("memory-high-without-swap", WARNING, "With vm.swappiness=0", "raise vm.swappiness"),
    ),
    "MemoryHigh that zswap cannot keep": Danger(
        kernel(swapping(free=60), Knobs(zswap=True)),
        "a:MemoryHigh=150M",
        *("memory-high-below-use", WARNING, "perhaps indefinitely", "MemoryMax with Restart="),
    ),
    "MemoryMax under anon + shmem": Danger(
        no_swap(holding(anon=100 * M, shmem=20 * M, file=500 * M)),
        "a:MemoryMax=119M",
        *("memory-max-below-use", FORCEABLE, "uses 120M", "restart it within the limit"),
    ),
    "MemoryMax under the peak": Danger(
        situation(known(holding(anon=10 * M, peak=300 * M))),
        "a:MemoryMax=256M",
        *("memory-max-below-peak", WARNING, "has used 300M", "300M"),
    ),
    "no room for a worker's start": Danger(
        no_swap(serving(oom_policy="continue")),
        "a:MemoryMax=200M",
        *("no-room-for-worker", WARNING, "its largest worker 80M", "Allow 240M"),
    ),
    "the limits and the reserve over RAM": Danger(
        guide(redis=256),
        "cloudchat:MemoryMax=600M",
        *(
            "limits-over-ram",
            WARNING,
            "with the reserve of 363M",
            "Limits of 604M in total would fit",
        ),
    ),
    "the limits and the reserve over RAM and swap": Danger(
        guide(redis=256, swap=0),
        "cloudchat:MemoryMax=600M",
        *(
            "limits-over-memory",
            WARNING,
            "memory runs out, and the kernel kills a process",
            "Limits of 604M",
        ),
    ),
    "OOMScoreAdjust -1000": Danger(
        alone("a.service"),
        *SCORES,
        "everything else is killed before it",
        "-500 to -200 protects it",
    ),
    "OOMScoreAdjust below -1000": Danger(
        alone("a.service"),
        *("a:OOMScoreAdjust=-1001", "bad-value", FATAL, "-1001", "from -1000 to 1000"),
    ),
    "protecting the hog": Danger(
        situation(known(HOG), known(SMALL), known(NEXT)),
        "hog:OOMScoreAdjust=-500",
        *("protects-largest", WARNING, "uses the most memory, 400M", "Protect small services"),
    ),
    "ssh": Danger(
        alone("ssh.service"),
        "ssh:OOMScoreAdjust=-500",
        *("sessions-inherit", WARNING, "every shell", "Better keep it at 0"),
    ),
    "a crash loop that never trips": Danger(
        looping(2),
        "a:Restart=always",
        *("endless-crash-loop", WARNING, "times a minute, indefinitely", "RestartSec=3s"),
    ),
    "a start limit that trips at once": Danger(
        looping(0),
        "a:Restart=on-failure",
        *("gives-up-at-once", WARNING, "systemctl reset-failed", "it does not reach that limit"),
    ),
    "MemoryHigh without swap": Danger(
        no_swap(unit("a.service")),
        "a:MemoryHigh=256M",
        *(
            "memory-high-without-swap",
            WARNING,
            "perhaps indefinitely",
            "Use MemoryMax with Restart=",
        ),
    ),
    "OOMPolicy=stop on a pre-fork server": Danger(
        situation(known(serving())),
        "a:MemoryMax=400M",
        *("oom-policy-stops-all", WARNING, "the kill of one stops them all"),
        "OOMPolicy=continue",
    ),
    "MemoryMax under anon + shmem, by dropping ours": Danger(
        raised(),
        "a:MemoryMax=",
        *("memory-max-below-use", FORCEABLE, "uses 300M", "Set MemoryHigh first"),
    ),
    "MemoryMax of the slice of what is needed": Danger(
        inside("system.slice", "dbus.service", "a.service"),
        "system.slice:MemoryMax=700M",
        *("holds-the-needed", FORCEABLE, "dbus.service would share this limit"),
        "Limit those others instead",
    ),
    "MemoryMax of the slice of the logins": Danger(
        inside("user.slice", "session-1.scope", "session-2.scope"),
        "user.slice:MemoryMax=100M",
        *("holds-the-needed", FORCEABLE, "session-1.scope and 1 more"),
        "Limit those others instead",
    ),
    "less protection of what is needed": Danger(
        situation(known(unit("dbus.service", oom_score_adjust=-900))),
        "dbus:OOMScoreAdjust=-500",
        *("less-protected", WARNING, "less than its present -900", "keep that"),
    ),
    "MemoryMax of what is protected already": Danger(
        situation(known(unit("dbus.service", oom_score_adjust=-900))),
        "dbus:MemoryMax=500M",
        *("needed-by-systemd", FORCEABLE, "It is protected already (OOMScoreAdjust=-900)"),
        "limit others",
    ),
    "MemoryMax with Delegate=": Danger(
        situation(known(unit("a.service", delegate=True))),
        "a:MemoryMax=256M",
        *("delegated", WARNING, "control groups of its own", "Limit what is in them instead"),
    ),
    "MemoryLow that no slice grants": Danger(
        protected(Key.MEMORY_LOW),
        "a:MemoryLow=20M",
        *(
            "protection-not-granted",
            WARNING,
            "grants none of MemoryLow=20M",
            "Set MemoryLow on system.slice",
        ),
    ),
    "MemoryLow of two, more than their slice's": Danger(
        protected(Key.MEMORY_LOW, s=30, b=20),
        "a:MemoryLow=20M",
        *(
            "protection-shared",
            WARNING,
            "each gets only a part",
            "Raise it on the slice, or lower it on the units",
        ),
    ),
    "MemoryMin of more than RAM": Danger(
        protected(Key.MEMORY_MIN),
        "system.slice:MemoryMin=700M",
        *(
            "protections-over-ram",
            WARNING,
            "kills instead of reclaiming",
            "640M of MemoryMin",
        ),
    ),
    **{
        f"MemoryMax of {name}": needed(f"{name}.service")
        for name in (
            *("systemd-journald", "systemd-logind", "dbus", "dbus-broker"),
            *("systemd-udevd", "systemd-networkd"),
        )
    },
}


@pytest.mark.parametrize("danger", DANGERS.values(), ids=DANGERS)
def test_a_danger_is_warned_about(danger: Danger) -> None:
    edits = [parse_set(danger.sets)]
    made = plan(edits, danger.server)
    found = {n.code: n for n in (*made.refusals, *made.warnings)}
    assert set(found) == {danger.code}
    notice = found[danger.code]
    assert danger.words in notice.text
    assert danger.better in notice.text
    assert notice.text.isprintable()
    # Without --force nothing is written; what is fatal is not even with it.
    assert bool(made.refused(False)) is (danger.how != WARNING)
    assert bool(made.refused(True)) is (danger.how == FATAL)
    assert bool(made.files) is (danger.how != FATAL)


def test_a_slice_of_others_may_be_limited() -> None:
    made = plan([parse_set("app.slice:MemoryMax=500M")], inside("app.slice", "a.service"))
    assert (made.refusals, made.warnings) == ((), ())


def test_a_name_without_room_for_a_folder_is_refused() -> None:
    name = f"{'u' * 246}.service"
    made = plan([Edit(name, Key.MEMORY_MAX, "100M")], alone(name))
    assert [notice.code for notice in made.refusals] == ["name-too-long"]


def test_a_memory_high_above_memory_max_is_never_reached() -> None:
    server = situation(
        known(unit("a.service", process(9, 30 * M), restart="on-failure", restart_usec=3 * S))
    )
    made = plan([parse_set("a:MemoryMax=100M"), parse_set("a:MemoryHigh=200M")], server)
    assert [notice.code for notice in made.warnings] == ["memory-high-never-reached"]


def test_a_name_that_is_none_is_refused() -> None:
    made = plan([Edit("a b.service", Key.MEMORY_MAX, "100M")], alone("a b.service"))
    assert [notice.code for notice in made.refusals] == ["bad-name"]


def test_each_code_is_named_in_a_test() -> None:
    codes: set[str] = set()
    for room, made in (("policy", "[nN]otice"), ("setup", "Finding")):
        text = "".join(path.read_text("utf-8") for path in (PACKAGE / room).rglob("*.py"))
        codes |= set(re.findall(rf'{made}\(\s*"([a-z0-9-]+)"', text))
    tests = "".join(path.read_text("utf-8") for path in TESTS.rglob("*.py"))
    assert len(codes) > 80
    assert {code for code in codes if f'"{code}"' not in tests} == set()


def test_an_ordinary_change_is_none() -> None:
    server = situation(
        known(unit("a.service", process(9, 30 * M), restart="on-failure", restart_usec=3 * S))
    )
    made = plan([parse_set("a:MemoryMax=100M")], server)
    assert (made.refusals, made.warnings) == ((), ())
