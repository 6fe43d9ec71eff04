"""What a plan as a whole comes to: the room of a unit, its restarts, the server's budget."""

from __future__ import annotations

from typing import Any

import pytest

from lowmem_tui.model.plan import Edit, Notice
from lowmem_tui.model.snapshot import Situation, Unit, UnitSituation
from lowmem_tui.model.unit import INFINITY, Key, Tier
from lowmem_tui.policy import budget
from lowmem_tui.policy.checks.preflight import NEEDED
from lowmem_tui.policy.plan import parse_set, plan

from .servers import M, host, known, process, properties, situation, snapshot, unit, usage

A = "a.service"
S = 1_000_000
LIMIT = {"start_limit_interval_usec": 10 * S, "start_limit_burst": 5}
SCORE, MAX, POLICY = Key.OOM_SCORE_ADJUST, Key.MEMORY_MAX, Key.OOM_POLICY


def warned(server: Situation, *sets: str, **tiers: Tier) -> list[Notice]:
    by_name = {f"{name}.service": tier for name, tier in tiers.items()}
    return list(plan([parse_set(text) for text in sets], server, by_name).warnings)


def codes(server: Situation, *sets: str) -> list[str]:
    return [notice.code for notice in warned(server, *sets)]


def serving(
    rss: tuple[int, ...] = (20, 80, 60),
    *,
    main_pid: int = 1000,
    names: tuple[str, ...] = (),
    memory: dict[str, int] | None = None,
    **changes: object,
) -> Unit:
    """A unit whose processes have these MiB; the first is the main one."""
    processes = [
        process(1000 + n, size * M, name=names[n] if names else "gunicorn")
        for n, size in enumerate(rss)
    ]
    kernel: dict[str, Any] = {"anon": sum(rss) * M} | (memory or {})
    usual: dict[str, object] = {"restart": "always", "restart_usec": 3 * S, **LIMIT}
    return Unit(
        A,
        usage(A, *processes, **kernel),
        properties(A, main_pid=main_pid, **(usual | changes)),
    )


# --- processes of its own making ----------------------------------------------------------------

STOPPED = Unit(A, None, properties(A, active_state="inactive", restart="always"))


def starting(*arguments: str) -> Unit:
    return Unit(A, None, properties(A, restart="always", exec_start=arguments))


# unit, what is set, whether OOMPolicy=stop is warned of
STOPS: dict[str, tuple[Unit, tuple[str, ...], bool]] = {
    "a limit": (serving(), ("a:MemoryMax=300M",), True),
    "the word itself": (serving(oom_policy="continue"), ("a:OOMPolicy=stop",), True),
    "both": (serving(), ("a:MemoryMax=300M", "a:OOMPolicy=continue"), False),
    "continue already": (serving(oom_policy="continue"), ("a:MemoryMax=300M",), False),
    "kill": (serving(oom_policy="kill"), ("a:MemoryMax=300M",), False),
    "not known": (serving(oom_policy=None), ("a:MemoryMax=300M",), False),
    "continue dropped": (serving(), ("a:OOMPolicy=",), False),
    "another setting": (serving(), ("a:OOMScoreAdjust=5",), False),
    "no limit": (serving(memory_max=300 * M), ("a:MemoryMax=infinity",), False),
    "one process": (serving((200,)), ("a:MemoryMax=300M",), False),
    "other programs": (serving((2, 9), names=("sh", "node")), ("a:MemoryMax=300M",), False),
    "no main process": (serving(main_pid=0), ("a:MemoryMax=300M",), False),
    "php-fpm at rest": (starting("/usr/sbin/php-fpm8.2", "-F"), ("a:MemoryMax=300M",), True),
    "a venv at rest": (starting("/venv/bin/python", "/v/gunicorn"), ("a:MemoryMax=300M",), True),
    "another at rest": (starting("/usr/bin/redis-server"), ("a:MemoryMax=300M",), False),
    "nothing known of it": (STOPPED, ("a:MemoryMax=300M",), False),
}


@pytest.mark.parametrize(("one", "sets", "expected"), STOPS.values(), ids=STOPS)
def test_one_worker_s_death_stops_all(one: Unit, sets: tuple[str, ...], expected: bool) -> None:
    assert ("oom-policy-stops-all" in codes(situation(known(one)), *sets)) is expected


# what is set, swap free in MiB, the unit's own MemorySwapMax, the code
ROOM: dict[str, tuple[tuple[str, ...], int, int | None, str]] = {
    "no swap, no room": (("a:MemoryMax=200M",), 0, None, "no-room-for-worker"),
    "no swap, room": (("a:MemoryMax=240M",), 0, None, ""),
    "swap is room": (("a:MemoryMax=200M",), 500, None, ""),
    "swap that it must not use": (("a:MemoryMax=200M",), 500, 10, "no-room-for-worker"),
    "swap that it may use": (("a:MemoryMax=200M",), 500, 50, ""),
    "swap denied by the same plan": (
        ("a:MemoryMax=200M", "a:MemorySwapMax=0"),
        *(500, None, "no-room-for-worker"),
    ),
    "the limit is of today": (("a:OOMScoreAdjust=5",), 0, None, ""),
}


@pytest.mark.parametrize(("sets", "free", "own", "code"), ROOM.values(), ids=ROOM)
def test_room_for_a_worker(sets: tuple[str, ...], free: int, own: int | None, code: str) -> None:
    swap_max = INFINITY if own is None else own * M
    one = known(serving(oom_policy="continue", memory_swap_max=swap_max))
    hosted = snapshot(one.unit, swap_total=free * M, swap_free=free * M)
    found = codes(Situation(hosted, {A: one}, swap=free > 0), *sets)
    assert found == ([code] if code else [])


def test_a_limit_without_room_says_what_would_have() -> None:
    one = known(serving(oom_policy="continue"))
    server = Situation(snapshot(one.unit, swap_total=0, swap_free=0), {A: one}, swap=False)
    (notice,) = warned(server, "a:MemoryMax=200M")
    assert "uses 160M, its largest worker 80M: 200M leaves" in notice.text
    assert "Allow 240M" in notice.text


@pytest.mark.parametrize(
    ("limit", "file", "expected"), [(200, 0, True), (300, 0, False), (200, 150, False)]
)
def test_a_limit_below_the_peak(limit: int, file: int, expected: bool) -> None:
    memory = {"anon": 100 * M, "peak": 300 * M, "file": file * M, "shmem": 0}
    found = codes(situation(known(serving((100,), memory=memory))), f"a:MemoryMax={limit}M")
    assert found == (["memory-max-below-peak"] if expected else [])


def test_a_limit_below_use_is_reported_once() -> None:
    one = known(serving(memory={"peak": 300 * M}, oom_policy="continue"))
    made = plan([Edit(A, MAX, "100M")], situation(one))
    assert [n.code for n in (*made.refusals, *made.warnings)] == ["memory-max-below-use"]


@pytest.mark.parametrize("tier", [*Tier, None])
def test_a_gatekeeper_is_not_limited(tier: Tier | None) -> None:
    tiers = {"a": tier} if tier is not None else {}
    found = warned(situation(known(serving((9,)))), "a:MemoryMax=300M", **tiers)
    expected = ["limit-on-gatekeeper"] if tier is Tier.GATEKEEPER else []
    assert [n.code for n in found] == expected


@pytest.mark.parametrize(
    ("edit", "before", "code"),
    [
        ("a:OOMScoreAdjust=1000", {}, "gatekeeper-offered"),
        ("a:OOMScoreAdjust=1", {}, "gatekeeper-offered"),
        ("a:OOMScoreAdjust=0", {"oom_score_adjust": -200}, None),
        ("a:Restart=no", {"restart": "on-failure"}, "gatekeeper-stays-dead"),
        ("a:Restart=no", {"restart": "on-failure", "type": "oneshot"}, None),
        ("a:Restart=on-success", {"restart": "on-failure"}, "gatekeeper-stays-dead"),
        ("a:Restart=on-abort", {"restart": "on-failure"}, "gatekeeper-stays-dead"),
        ("a:Restart=on-watchdog", {"restart": "on-failure"}, "gatekeeper-stays-dead"),
        ("a:RestartSec=infinity", {"restart": "on-failure"}, "gatekeeper-stays-dead"),
        ("a:Restart=on-failure", {"restart": "no"}, None),
    ],
)
@pytest.mark.parametrize("tier", [Tier.GATEKEEPER, Tier.BUSINESS, None])
def test_a_gatekeeper_is_kept_safe(
    tier: Tier | None, edit: str, before: dict[str, Any], code: str | None
) -> None:
    tiers = {"a": tier} if tier is not None else {}
    changes: dict[str, Any] = LIMIT | before
    one = known(serving((9,), **changes))
    found = [n.code for n in warned(situation(one), edit, **tiers)]
    expected = code if tier is Tier.GATEKEEPER else None
    assert [c for c in found if c.startswith("gatekeeper")] == ([expected] if expected else [])


GATEKEEPERS = ["ssh", "sshd", "ssh@1", "dropbear", "dropbear@1", "tinysshd", "getty@tty1", "nginx"]
GATEKEEPERS += [name.removesuffix(".service") for name in sorted(NEEDED) if name != "init.scope"]
ABOUT_A_SCORE = {
    *("sessions-inherit", "children-inherit", "user-services-inherit"),
    *("gatekeeper-offered", "less-protected", "oom-score-adjust-1000"),
}


@pytest.mark.parametrize("name", GATEKEEPERS)
@pytest.mark.parametrize("loaded", [-900, -250, 0, 100])
@pytest.mark.parametrize("score", [-1000, -500, -200, -100, 0, 1, 500, 900, 1000])
def test_one_warning_at_most_is_about_a_gatekeeper_s_score(
    name: str, loaded: int, score: int
) -> None:
    one = known(unit(f"{name}.service", oom_score_adjust=loaded))
    made = plan(
        [Edit(one.unit.name, Key.OOM_SCORE_ADJUST, str(score))],
        situation(one),
        {one.unit.name: Tier.GATEKEEPER},
    )
    found = [n for n in (*made.refusals, *made.warnings) if n.code in ABOUT_A_SCORE]
    assert len(found) <= (2 if score == -1000 else 1)
    # Nothing is advised that is warned of when it is followed.
    if score > max(0, loaded):
        assert len(found) == 1
        text = str(found[0].message)
        follows = {"keep that": loaded, "at 0": 0, "Use -200": -200}
        follow = next(value for words, value in follows.items() if words in text)
        again = plan(
            [Edit(one.unit.name, Key.OOM_SCORE_ADJUST, str(follow))],
            situation(one),
            {one.unit.name: Tier.GATEKEEPER},
        )
        left = {n.code for n in again.warnings} & ABOUT_A_SCORE
        assert not left or (name in {"dropbear", "tinysshd"} and follow == -200)


def test_ssh_at_900_is_warned_of_once_and_kept_at_0() -> None:
    one = known(unit("ssh.service", **LIMIT))
    found = warned(situation(one), "ssh:OOMScoreAdjust=900", ssh=Tier.GATEKEEPER)
    assert [n.code for n in found] == ["sessions-inherit"]
    assert "before the services. Keep it at 0" in str(found[0].message)


# what is set, MemoryHigh before, whether the server has swap, words
HIGH: dict[str, tuple[tuple[str, ...], int | None, bool, str]] = {
    "no swap": (("a:MemoryHigh=256M",), None, False, "or create swap first"),
    "swap": (("a:MemoryHigh=256M",), None, True, ""),
    "none for it": (("a:MemoryHigh=256M", "a:MemorySwapMax=0"), None, True, "allow it some swap"),
    "none for it now": (("a:MemorySwapMax=0",), 256 * M, True, "allow it some swap"),
    "none, and MemoryHigh goes": (
        ("a:MemoryHigh=infinity", "a:MemorySwapMax=0"),
        *(256 * M, True, ""),
    ),
    "no MemoryHigh": (("a:MemorySwapMax=0",), None, True, ""),
}


@pytest.mark.parametrize(("sets", "before", "swap", "words"), HIGH.values(), ids=HIGH)
def test_memory_high_needs_swap(
    sets: tuple[str, ...], before: int | None, swap: bool, words: str
) -> None:
    one = known(unit(A, memory_high=INFINITY if before is None else before))
    found = warned(situation(one, swap=swap), *sets)
    assert [n.code for n in found] == (["memory-high-without-swap"] if words else [])
    assert words in "".join(n.text for n in found)


# what is set, MemoryMax in MiB before, swap free in MiB, words; it holds 386M, and 180M in swap
HIGH_OF_USE: dict[str, tuple[tuple[str, ...], int | None, int, str]] = {
    "more than its swap takes": (
        ("a:MemoryHigh=300M", "a:MemorySwapMax=200M"),
        *(
            None,
            900,
            "has only 20M of swap left, so the kernel can only slow it down, perhaps indefinitely.",
        ),
    ),
    "more than the server's swap takes": (
        ("a:MemoryHigh=300M",),
        None,
        30,
        "Set MemoryHigh to at least 360M, or use",
    ),
    "as much as its swap takes": (("a:MemoryHigh=300M",), None, 86, ""),
    "above what it holds": (("a:MemoryHigh=400M", "a:MemorySwapMax=1M"), None, 900, ""),
    "another setting": (("a:OOMScoreAdjust=5",), None, 0, ""),
    "above its limit": (("a:MemoryHigh=700M",), 600, 900, "MemoryMax=600M takes effect first"),
    "at its limit": (("a:MemoryHigh=600M",), 600, 900, "is never reached"),
    "below its limit": (("a:MemoryHigh=590M",), 600, 900, ""),
}


@pytest.mark.parametrize(("sets", "limit", "free", "words"), HIGH_OF_USE.values(), ids=HIGH_OF_USE)
def test_memory_high_and_what_is_held(
    sets: tuple[str, ...], limit: int | None, free: int, words: str
) -> None:
    own = INFINITY if limit is None else limit * M
    held = usage(A, process(1000, 386 * M), anon=386 * M)._replace(swap=180 * M)
    one = known(Unit(A, held, properties(A, memory_max=own)))
    hosted = snapshot(one.unit, swap_total=1000 * M, swap_free=free * M)
    found = warned(Situation(hosted, {A: one}, swap=True), *sets)
    mine = [n.text for n in found if n.code.startswith("memory-high")]
    assert len(mine) == bool(words)
    assert words in "".join(mine)


# --- restarts -----------------------------------------------------------------------------------

# properties, what is set, the code, words of it
RESTARTS: dict[str, tuple[dict[str, object], tuple[str, ...], str, str]] = {
    "the guide's": ({}, ("a:Restart=always", "a:RestartSec=3s"), "", ""),
    "systemd's own delay": (
        {},
        *(("a:Restart=on-failure",), "gives-up-at-once", "5 starts in 10s (StartLimitBurst="),
    ),
    "a delay that still trips": (
        {"restart": "always", "restart_usec": 3 * S},
        *(("a:RestartSec=1s",), "gives-up-at-once", "here after 5.1s"),
    ),
    "it did so before": ({"restart": "always"}, ("a:Restart=on-failure",), "", ""),
    "a limit that somebody wants": (
        {"start_limit_interval_usec": INFINITY},
        *(("a:Restart=always",), "", ""),
    ),
    "a limit after a while": (
        {"start_limit_interval_usec": 600 * S},
        *(("a:Restart=always", "a:RestartSec=5s"), "", ""),
    ),
    "a longer delay is named": (
        {"start_limit_interval_usec": 60 * S},
        *(
            ("a:Restart=always",),
            "gives-up-at-once",
            "With RestartSec=30s it does not reach that limit",
        ),
    ),
    "no limit at all": (
        {"start_limit_interval_usec": 0},
        *(("a:Restart=always",), "endless-crash-loop", "500 times a minute"),
    ),
    "2 s": ({}, ("a:Restart=always", "a:RestartSec=2s"), "endless-crash-loop", "RestartSec=3s"),
    "a slow loop": ({}, ("a:Restart=always", "a:RestartSec=30s"), "", ""),
    "a delay that grows": (
        {"restart_steps": 4, "restart_max_delay_usec": 60 * S, "restart_usec": 1 * S},
        *(("a:Restart=always",), "", ""),
    ),
    "no restart, no loop": ({"restart": "on-abort"}, ("a:Restart=no",), "", ""),
    "only after a clean end": ({}, ("a:Restart=on-success",), "", ""),
    "signals alone": ({}, ("a:Restart=on-abort",), "gives-up-at-once", "5 starts"),
    "an unknown limit": ({"start_limit_burst": None}, ("a:Restart=always",), "", ""),
    "another setting": ({"restart": "always"}, ("a:OOMScoreAdjust=5",), "", ""),
    "the delay dropped": (
        {"restart": "always", "restart_usec": 3 * S},
        *(("a:RestartSec=",), "", ""),
    ),
}


@pytest.mark.parametrize(("changes", "sets", "code", "words"), RESTARTS.values(), ids=RESTARTS)
def test_crash_loops(
    changes: dict[str, object], sets: tuple[str, ...], code: str, words: str
) -> None:
    server = situation(known(unit(A, **(LIMIT | changes))))
    found = [n for n in warned(server, *sets) if n.code != "no-op"]
    assert [n.code for n in found] == ([code] if code else [])
    assert words in "".join(n.text for n in found)


# properties, what is set, whether it is said that a kill, without a limit, is for good now
FOR_GOOD: dict[str, tuple[dict[str, object], tuple[str, ...], str]] = {
    "no restart any more": ({"restart": "always"}, ("a:Restart=no",), "Restart=no does not"),
    "only after a clean end": (
        {"restart": "always"},
        *(("a:Restart=on-success",), "Restart=on-success does not"),
    ),
    "never": (
        {"restart": "always"},
        *(
            ("a:RestartSec=infinity",),
            "RestartSec=infinity does not start it again. Set RestartSec",
        ),
    ),
    "a policy by which on-abort is not enough": (
        {"restart": "on-abort", "oom_policy": "continue"},
        *(("a:OOMPolicy=stop",), "Restart=on-abort does not"),
    ),
    "it was so before": ({"restart": "no"}, ("a:Restart=on-success",), ""),
    "it still comes back": ({"restart": "always"}, ("a:Restart=on-abnormal",), ""),
    "a timer starts it": (
        {"restart": "always", "triggered_by": ("a.timer",)},
        ("a:Restart=no",),
        "",
    ),
    "a oneshot": ({"restart": "on-failure", "type": "oneshot"}, ("a:Restart=no",), ""),
}


@pytest.mark.parametrize(("changes", "sets", "words"), FOR_GOOD.values(), ids=FOR_GOOD)
def test_a_kill_that_is_for_good_now(
    changes: dict[str, object], sets: tuple[str, ...], words: str
) -> None:
    found = warned(situation(known(unit(A, **(LIMIT | changes)))), *sets)
    told = [n.text for n in found if n.code == "stays-dead-when-killed"]
    assert bool(told) is bool(words)
    assert words in "".join(told)


def test_a_gatekeeper_that_stays_down_is_reported_once() -> None:
    one = known(unit(A, restart="always", **LIMIT))
    found = warned(situation(one), "a:Restart=no", a=Tier.GATEKEEPER)
    assert [n.code for n in found] == ["gatekeeper-stays-dead"]
    assert "with Restart=no nothing starts it again when it is killed." in found[0].text
    # As ssh.service on Ubuntu: it is started again by whoever comes.
    one = known(unit(A, restart="always", triggered_by=("a.socket",), **LIMIT))
    (told,) = warned(situation(one), "a:Restart=no", a=Tier.GATEKEEPER)
    assert (
        "only a.socket starts it again when it is killed, and not before it is needed." in told.text
    )


# properties, what is set, whether it is said that nobody starts it again
STAYS: dict[str, tuple[dict[str, object], tuple[str, ...], bool]] = {
    "no restart": ({}, ("a:MemoryMax=100M",), True),
    "the limit is there": ({"memory_max": 5, "restart": "always"}, ("a:Restart=no",), True),
    "both": ({}, ("a:MemoryMax=100M", "a:Restart=always", "a:RestartSec=3s"), False),
    "on-failure": ({"restart": "on-failure"}, ("a:MemoryMax=100M",), False),
    "on-abort is not enough": ({"restart": "on-abort"}, ("a:MemoryMax=100M",), True),
    "on-abort and continue": (
        {"restart": "on-abort", "oom_policy": "continue"},
        *(("a:MemoryMax=100M",), False),
    ),
    "a oneshot": ({"type": "oneshot"}, ("a:MemoryMax=100M",), False),
    "a timer starts it": ({"triggered_by": ("a.timer",)}, ("a:MemoryMax=100M",), False),
    "a socket starts it": ({"triggered_by": ("a.socket",)}, ("a:MemoryMax=100M",), False),
    "no limit": ({"memory_max": 5}, ("a:MemoryMax=infinity",), False),
    "not known": ({"restart": None}, ("a:MemoryMax=100M",), False),
}


@pytest.mark.parametrize(("changes", "sets", "expected"), STAYS.values(), ids=STAYS)
def test_killed_at_its_limit(
    changes: dict[str, object], sets: tuple[str, ...], expected: bool
) -> None:
    found = codes(situation(known(unit(A, **(LIMIT | changes)))), *sets)
    assert ("limit-without-restart" in found) is expected


def test_its_workers_are_killed_and_it_keeps_running() -> None:
    one = serving(restart="no", oom_policy="continue")
    assert codes(situation(known(one)), "a:MemoryMax=300M") == []


SMALL_LIMIT = ("a:MemoryMax=200M",)

# what is loaded and set → what is warned of, where the start limit is hit
START_LIMIT: dict[str, tuple[dict[str, object], tuple[str, ...], str]] = {
    "below what it has needed": (
        {},
        *(SMALL_LIMIT, "here after 600ms if each start fails at once."),
    ),
    "the policy's delay is enough": (
        {},
        SMALL_LIMIT,
        "With RestartSec=3s it does not reach that limit.",
    ),
    "a longer delay is": (
        {"restart_usec": 3 * S, "start_limit_interval_usec": 60 * S},
        *(SMALL_LIMIT, "With RestartSec=30s it does not reach that limit."),
    ),
    "none is": ({"start_limit_interval_usec": INFINITY}, SMALL_LIMIT, "Set a higher limit."),
    "above it": ({}, ("a:MemoryMax=400M",), ""),
    "the policy's delay": ({"restart_usec": 3 * S}, SMALL_LIMIT, ""),
    "no restart": ({"restart": "no"}, SMALL_LIMIT, ""),
    "the loop is warned of": ({}, (*SMALL_LIMIT, "a:RestartSec=200ms"), ""),
    "no limit": ({}, ("a:MemoryMax=infinity",), ""),
}


@pytest.mark.parametrize(("loaded", "sets", "words"), START_LIMIT.values(), ids=START_LIMIT)
def test_a_memory_limit_that_leads_to_the_start_limit(
    loaded: dict[str, object], sets: tuple[str, ...], words: str
) -> None:
    usual: dict[str, Any] = {"restart_usec": S // 10}
    one = serving((160,), memory={"peak": 300 * M}, **(usual | loaded))
    found = [n for n in warned(situation(known(one)), *sets) if n.code == "gives-up-at-limit"]
    assert bool(found) is bool(words)
    assert words in "".join(n.text for n in found)


# --- the budget ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ram", "kept"), [(512, 192), (967, 362), (1024, 384), (2048, 768), (16384, 768)]
)
def test_the_reserve(ram: int, kept: int) -> None:
    assert budget.reserve(ram * M) // M == kept


def limited(name: str, limit: int | None, cgroup: str = "", **changes: object) -> UnitSituation:
    """A small unit that runs, its limit in MiB."""
    most = INFINITY if limit is None else limit * M
    one = Unit(
        name,
        usage(name, process(5, 1 * M), cgroup=cgroup, max=most),
        properties(name, memory_max=most, restart="always", **changes),
    )
    return known(one)


def guide(redis: int | None = None, cloudchat: int | None = None, swap: int = 2048) -> Situation:
    """The guide's own box, with these limits."""
    units = [
        limited("nginx.service", None),
        limited("redis.service", redis),
        limited("cloudchat.service", cloudchat),
    ]
    found = snapshot(*(u.unit for u in units), mem_total=967 * M, swap_total=swap * M)
    return Situation(found, {u.asked: u for u in units}, swap=swap > 0)


RAM, ALL = "limits-over-ram", "limits-over-memory"

# the box, what is set, the code
BUDGET: dict[str, tuple[Situation, tuple[str, ...], str]] = {
    "redis, the first": (guide(), ("redis:MemoryMax=256M",), ""),
    "cloudchat, the first": (guide(), ("cloudchat:MemoryMax=600M",), ""),
    "both are more than there is": (guide(redis=256), ("cloudchat:MemoryMax=600M",), RAM),
    "both at once": (guide(), ("redis:MemoryMax=256M", "cloudchat:MemoryMax=600M"), RAM),
    "both, and one goes": (
        guide(redis=256),
        *(("redis:MemoryMax=infinity", "cloudchat:MemoryMax=600M"), ""),
    ),
    "a lower one": (guide(256, 600), ("redis:MemoryMax=200M",), ""),
    "a higher one": (guide(256, 600), ("redis:MemoryMax=300M",), RAM),
    "a small one more": (guide(256, 600), ("nginx:MemoryMax=64M",), ""),
    "a small one more, beyond swap too": (guide(256, 600, swap=300), ("nginx:MemoryMax=64M",), ALL),
    "a large one more": (guide(256, 600), ("nginx:MemoryMax=300M",), RAM),
    "without swap": (guide(redis=256, swap=0), ("cloudchat:MemoryMax=600M",), ALL),
    "more than swap too": (guide(redis=256), ("cloudchat:MemoryMax=3G",), ALL),
    "what may not swap": (
        guide(),
        *(("cloudchat:MemoryMax=1200M", "cloudchat:MemorySwapMax=0"), ALL),
    ),
    "what may": (guide(), ("cloudchat:MemoryMax=1200M",), RAM),
    "what fits": (guide(redis=64), ("cloudchat:MemoryMax=500M",), ""),
    "another setting": (guide(256, 600), ("redis:OOMScoreAdjust=5",), ""),
}


@pytest.mark.parametrize(("server", "sets", "code"), BUDGET.values(), ids=BUDGET)
def test_the_budget(server: Situation, sets: tuple[str, ...], code: str) -> None:
    assert codes(server, *sets) == ([code] if code else [])


def test_the_budget_says_what_would_fit() -> None:
    (notice,) = warned(guide(redis=256), "cloudchat:MemoryMax=600M")
    assert notice.unit == "cloudchat.service"
    assert notice.text == (
        "Overcommitted: MemoryMax of 2 units adds up to 856M; with the reserve of 363M that is "
        "1.2G of 967M of RAM. If all units reach their MemoryMax at once, the server swaps. Limits "
        "of 604M in total would fit."
    )


def test_a_unit_that_does_not_run_takes_nothing() -> None:
    idle = known(Unit(A, None, properties(A, active_state="inactive", restart="always")))
    assert codes(situation(idle), "a:MemoryMax=1G") == []


def test_what_lies_below_a_limited_slice_counts_in_it() -> None:
    units = [
        limited("system.slice", 700, "/system.slice").unit,
        limited("app.slice", 300, "/app.slice").unit,
        limited("b.service", 200, "/app.slice/b.service").unit,
        limited("c.service", 100, "/system.slice/c.service").unit,
        limited("d.service", None, "/system.slice/d.service").unit,
    ]
    assert budget.limits(snapshot(*units)) == {"app.slice": 300 * M, "c.service": 100 * M}
    assert budget.limits(snapshot(*units), {"app.slice": INFINITY, "d.service": 5}) == {
        "b.service": 200 * M,
        "c.service": 100 * M,
        "d.service": 5,
    }


def test_where_the_kernel_says_nothing_systemd_s_word_counts() -> None:
    one = unit(A, memory_max=5)
    assert budget.limits(snapshot(one)) == {A: 5}


# --- protecting the hog -------------------------------------------------------------------------

HOG = unit("hog.service", process(10, 300 * M), process(11, 100 * M))
SMALL = unit("small.service", process(12, 20 * M))
NEXT = unit("next.service", process(13, 50 * M, oom_score_adj=-100), oom_score_adjust=-100)

# the largest unit, what is set, who dies before it then
PROTECTS: dict[str, tuple[Unit, tuple[str, ...], str]] = {
    "far down": (HOG, ("hog:OOMScoreAdjust=-500",), "small.service"),
    "it still dies first": (HOG, ("hog:OOMScoreAdjust=-50",), ""),
    "up": (HOG, ("hog:OOMScoreAdjust=100",), ""),
    "a small one": (HOG, ("small:OOMScoreAdjust=-500",), ""),
    "all alike": (
        HOG,
        ("hog:OOMScoreAdjust=-300", "small:OOMScoreAdjust=-300", "next:OOMScoreAdjust=-300"),
        "",
    ),
    "it was so before": (
        unit("hog.service", process(10, 400 * M, oom_score_adj=-500), oom_score_adjust=-500),
        ("hog:OOMScoreAdjust=-300",),
        "",
    ),
    "the largest of a few small ones": (
        unit("hog.service", process(10, 60 * M)),
        ("hog:OOMScoreAdjust=-500",),
        "",
    ),
}


@pytest.mark.parametrize(("hog", "sets", "victim"), PROTECTS.values(), ids=PROTECTS)
def test_the_largest_is_not_protected(hog: Unit, sets: tuple[str, ...], victim: str) -> None:
    server = situation(known(hog), known(SMALL), known(NEXT))
    found = [n for n in warned(server, *sets) if n.code == "protects-largest"]
    assert bool(found) is bool(victim)
    assert victim in "".join(n.text for n in found)


def test_the_text_names_sizes() -> None:
    server = situation(known(HOG), known(SMALL), known(NEXT))
    (notice,) = warned(server, "hog:OOMScoreAdjust=-500")
    assert "uses the most memory, 400M: with OOMScoreAdjust=-500 the kernel kills" in notice.text


def test_a_machine_of_nobody() -> None:
    assert host().mem_total
    assert codes(situation(), "a:OOMScoreAdjust=-500") == []
