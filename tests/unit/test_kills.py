"""Kill by kill: what goes with a victim, what comes back, and whom others would choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.model.usage import Knobs
from lowmem_tui.policy import budget
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.kills import BOX, Goes, predict, predictions
from lowmem_tui.policy.forecast.userspace_killers import EARLYOOM, OOMD, STRANGERS, others

from .servers import M, process, properties, service, snapshot, unit, usage

A = process(10, 50 * M), process(11, 40 * M)
B = service("b.service", process(20, 45 * M))


# oom_policy, main_pid, memory.oom.group → what goes, the pids that are killed in order
GOES: dict[str, tuple[dict[str, Any], bool | None, Goes, list[int]]] = {
    "continue": ({"oom_policy": "continue"}, False, Goes.ALONE, [10, 20, 11]),
    "continue, the main process": (
        {"oom_policy": "continue", "main_pid": 10}, False, Goes.UNIT, [10, 20],
    ),
    "stop": ({"oom_policy": "stop"}, False, Goes.UNIT, [10, 20]),
    "kill": ({"oom_policy": "kill"}, True, Goes.GROUP, [10, 20]),
    "kill, not yet in the kernel": ({"oom_policy": "kill"}, False, Goes.UNIT, [10, 20]),
    "the kernel's word goes first": ({"oom_policy": "continue"}, True, Goes.GROUP, [10, 20]),
    "no policy": ({"oom_policy": None}, None, Goes.ALONE, [10, 20, 11]),
}  # fmt: skip


@pytest.mark.parametrize(("loaded", "group", "goes", "order"), GOES.values(), ids=GOES)
def test_what_goes_with_a_victim(
    loaded: dict[str, Any], group: bool | None, goes: Goes, order: list[int]
) -> None:
    server = snapshot(service("a.service", *A, memory={"oom_group": group}, **loaded), B)
    found = predict(server)
    assert found is not None
    assert [kill.victim.pid for kill in found.kills] == order
    assert found.kills[0].goes is goes
    assert found.kills[0].group == "a.service"


def test_without_systemd_s_word_only_the_victim_is_counted() -> None:
    server = snapshot(Unit("a.service", usage("a.service", process(10), process(11)), None))
    found = predict(server)
    assert found is not None
    assert [(k.victim.pid, k.goes) for k in found.kills] == [
        (11, Goes.UNKNOWN),
        (10, Goes.UNKNOWN),
    ]


def test_a_group_is_killed_up_to_the_highest_one_within_the_domain() -> None:
    inner = usage(
        "a.service", process(10, 9 * M), process(11), process(12, oom_score_adj=-1000),
        cgroup="/x.slice/a.service", oom_group=True, max=50 * M,
    )  # fmt: skip
    outer = usage("x.slice", cgroup="/x.slice", oom_group=True, max=INFINITY)
    other = usage("b.service", process(20), cgroup="/x.slice/b.service")
    loaded = {"oom_policy": "continue"}
    server = snapshot(
        *(Unit(u.name, u, properties(u.name, **loaded)) for u in (inner, outer, other))
    )
    box, own = predict(server), predict(server, "a.service")
    assert box is not None
    assert own is not None
    # A process of -1000 is spared by the kernel's kill of a group.
    assert [(k.group, {p.pid for p in k.others}) for k in box.kills] == [("x.slice", {10, 11})]
    assert [(k.group, {p.pid for p in k.others}) for k in own.kills] == [("a.service", {10})]


STOPS, ASKER = "the machine stops (vm.panic_on_oom)", "the process that asks for memory is killed"

# vm.panic_on_oom, vm.oom_kill_allocating_task → what happens instead, to the machine and at a limit
INSTEAD: dict[str, tuple[int | None, int | None, str, str]] = {
    "not known": (None, None, "", ""),
    "neither": (0, 0, "", ""),
    "a panic": (1, 0, STOPS, ""),
    "a panic always": (2, 0, STOPS, STOPS),
    "whoever asks": (0, 1, ASKER, ""),
    "both": (1, 1, STOPS, ""),
}


@pytest.mark.parametrize(("panic", "asker", "box", "limit"), INSTEAD.values(), ids=INSTEAD)
def test_where_nobody_is_chosen_by_score(
    panic: int | None, asker: int | None, box: str, limit: str
) -> None:
    server = snapshot(
        service("a.service", *A, memory={"max": 200 * M}), knobs=Knobs(None, panic, asker)
    )
    for domain, words in ((BOX, box), ("a.service", limit)):
        found = predict(server, domain)
        assert found is not None
        assert str(found.instead or "").startswith(words)
        assert bool(found.kills) is not bool(words)
        lines = list(prediction_text.kills(found, server, 80))
        assert (lines == [f"    When memory is used up, {found.instead}."]) is bool(words)


# the unit's limit, its slice's, MiB → why the unit's is never reached
NEVER: dict[str, tuple[int, int | None, str]] = {
    "alone": (600, None, ""),
    "the slice allows less": (600, 200, "x.slice allows 200M"),
    "the slice allows as much": (200, 200, ""),
    "the slice allows more": (100, 200, ""),
    "more than the machine has": (2000, None, "the machine has 1G of RAM"),
    "the slice too": (3000, 2000, "x.slice allows 2000M"),
    "all the machine has": (1024, None, ""),
}


@pytest.mark.parametrize(("own", "above", "never"), NEVER.values(), ids=NEVER)
def test_a_limit_that_is_never_reached_kills_nobody(
    own: int, above: int | None, never: str
) -> None:
    inner = usage("a.service", process(10), cgroup="/x.slice/a.service", max=own * M)
    outer = usage("x.slice", cgroup="/x.slice", max=INFINITY if above is None else above * M)
    server = snapshot(*(Unit(u.name, u, properties(u.name)) for u in (inner, outer)))
    found = predict(server, "a.service")
    assert found is not None
    assert str(found.never or "") == never
    assert bool(found.kills) is not bool(never)


# oom_policy, main_pid → who goes with p10, p12 being spared by the kernel
SPARED: dict[str, tuple[dict[str, Any], set[int]]] = {
    "kill": ({"oom_policy": "kill"}, {11, 12}),
    "stop": ({"oom_policy": "stop"}, {11, 12}),
    "continue": ({"oom_policy": "continue"}, {11}),
    "continue, the main process is killed": ({"oom_policy": "continue", "main_pid": 11}, {11, 12}),
    "continue, the main process is spared": ({"oom_policy": "continue", "main_pid": 12}, {11}),
}


@pytest.mark.parametrize(("loaded", "along"), SPARED.values(), ids=SPARED)
def test_what_the_kernel_spares_systemd_stops(loaded: dict[str, Any], along: set[int]) -> None:
    three = *A, process(12, 5 * M, oom_score_adj=-1000)
    found = predict(snapshot(service("a.service", *three, memory={"oom_group": True}, **loaded)))
    assert found is not None
    assert found.first is not None
    assert {p.pid for p in found.first.others} == along
    assert found.first.ram == sum({10: 50, 11: 40, 12: 5}[pid] for pid in {10, *along}) * M


def test_what_a_kill_frees_and_what_is_in_use_after() -> None:
    server = snapshot(
        service("a.service", process(10, 50 * M, swap=20 * M), oom_policy="continue"),
        service("b.service", process(20, 30 * M), oom_policy="continue"),
        mem_available=924 * M,
        swap_free=1004 * M,
    )
    found = predict(server)
    assert found is not None
    assert (found.limit, found.swap, found.held) == (1024 * M, 1024 * M, 120 * M)
    assert [(k.ram, k.swap, k.left) for k in found.kills] == [
        (50 * M, 20 * M, 50 * M),
        (30 * M, 0, 20 * M),
    ]


def test_what_the_processes_of_a_unit_share_comes_back_once() -> None:
    server = snapshot(
        service("a.service", process(10, 50 * M), process(11, 50 * M), memory={"current": 60 * M})
    )
    found = predict(server)
    assert found is not None
    assert found.kills[0].ram == 60 * M


def test_only_so_many_are_shown() -> None:
    found = predict(snapshot(service("a.service", *A, oom_policy="continue"), B), BOX, 2)
    assert found is not None
    assert [k.victim.pid for k in found.kills] == [10, 20]


def test_each_limit_is_a_domain_the_fullest_first() -> None:
    near = {"anon": 90 * M, "max": 100 * M, "swap_max": 0}
    server = snapshot(
        service("far.service", process(10), memory={"anon": 10 * M, "max": 100 * M}),
        service("near.service", process(11), memory=near),
        service("none.service", process(12), memory={"anon": 90 * M, "max": INFINITY}),
    )
    found = predictions(server)
    assert [p.domain for p in found] == [BOX, "near.service", "far.service"]
    assert [p.swap for p in found] == [1024 * M, 0, 1024 * M]
    assert predict(server, "none.service") is None
    assert predict(server, "nobody.service") is None


MANY = st.lists(
    st.builds(
        process,
        st.integers(2, 40),
        st.integers(0, 50 * M),
        swap=st.none() | st.integers(0, M),
        oom_score_adj=st.sampled_from([0, 0, -1000, -500, 300]),
    ),
    unique_by=lambda p: p.pid,
    max_size=12,
)


@given(MANY, st.sampled_from(["stop", "continue", "kill"]), st.booleans(), st.integers(2, 40))
def test_no_process_is_killed_twice(
    processes: list[Any], policy: str, group: bool, main: int
) -> None:
    server = snapshot(
        service("a.service", *processes[::2], memory={"oom_group": group}, oom_policy=policy),
        service("b.service", *processes[1::2], oom_policy=policy, main_pid=main),
    )
    found = predict(server)
    assert found is not None
    pids = [p.pid for k in found.kills for p in (k.victim.process, *k.others)]
    assert len(pids) == len(set(pids))
    lefts = [k.left for k in found.kills]
    assert lefts == sorted(lefts, reverse=True)
    assert all(left >= 0 for left in lefts)


# --- the other killers --------------------------------------------------------------------------


def killer(name: str, command: str = "") -> Unit:
    return service(name, process(900, M, command=command, oom_score=1))


BIG = service("big.service", process(10, 50 * M, oom_score=700))
HIGH = service("high.service", process(20, 5 * M, oom_score=900))

EARLY: dict[str, tuple[str, str, int | None]] = {
    "by oom_score": (
        "/usr/bin/earlyoom -r 3600",
        "at most 10% of RAM is available and at most 10% of swap",
        20,
    ),
    "its own bounds": (
        "earlyoom -m 5,2 -s 100",
        "5% of RAM is available and at most 100% of swap",
        20,
    ),
    "joined": ("earlyoom -m7", "7% of RAM", 20),
    "not understood": ("earlyoom -m x", "10% of RAM", 20),
    "by size": ("earlyoom --sort-by-rss", "the largest RSS", 10),
    "with patterns": ("earlyoom --avoid '^big'", "10% of RAM", None),
    "dry": ("earlyoom --dryrun", "10% of RAM", None),
    "sizes": ("earlyoom -M 1000", "-M or -S", 20),
}


@pytest.mark.parametrize(("command", "rule", "pid"), EARLY.values(), ids=EARLY)
def test_earlyoom(command: str, rule: str, pid: int | None) -> None:
    found = others(snapshot(killer(EARLYOOM, command), BIG, HIGH))
    assert len(found) == 1
    assert rule in str(found[0].rule)
    assert found[0].pid == pid


@given(st.text(max_size=40))
def test_any_command_line_of_earlyoom_will_do(command: str) -> None:
    found = others(snapshot(killer(EARLYOOM, command), BIG))
    text = f"{found[0].rule}{found[0].choice}"
    assert text.isprintable()


def test_oomd_takes_who_has_most_swap() -> None:
    light = replace(BIG, usage=BIG.usage and BIG.usage._replace(swap=10 * M))
    heavy = replace(HIGH, usage=HIGH.usage and HIGH.usage._replace(swap=100 * M))
    found = others(snapshot(killer(OOMD), light, heavy))
    assert (found[0].unit, found[0].pid) == ("high.service", None)
    assert "if it is watched" in str(found[0].choice)


@pytest.mark.parametrize(
    ("host", "words"),
    [({}, "no unit uses more than 5%"), ({"swap_total": 0, "swap_free": 0}, "without swap")],
)
def test_oomd_where_nobody_is_to_be_taken(host: dict[str, int], words: str) -> None:
    found = others(snapshot(killer(OOMD), BIG, **host))
    assert words in str(found[0].choice)
    assert found[0].unit == ""


@pytest.mark.parametrize("name", STRANGERS)
def test_killers_whose_rules_are_not_read_are_named(name: str) -> None:
    (found,) = others(snapshot(killer(name), BIG))
    assert str(found.rule) == "by rules of its own, which are not read here"
    assert (found.name, str(found.choice), found.unit, found.pid) == (name, "unknown", "", None)


def test_who_does_not_run_is_not_named() -> None:
    assert others(snapshot(unit("a.service"), Unit(OOMD, None, properties(OOMD)))) == []


def test_what_is_in_use_is_one_value_everywhere() -> None:
    """Page cache is not in use; RAM and swap are: in the title, the counting down and the bar."""
    group = usage(
        *("w.service", process(9, 412 * M, swap=180 * M)),
        current=575 * M, anon=380 * M, shmem=6 * M, file=170 * M, max=600 * M, swap_max=200 * M,
    )  # fmt: skip
    server = snapshot(Unit("w.service", group, properties("w.service", main_pid=9)))
    found = predict(server, "w.service")
    assert found is not None
    (part,) = budget.budget(server).parts
    assert found.held == budget.in_use(server.units["w.service"]) == 566 * M
    assert part.used + 180 * M == found.held
    title = str(prediction_text.title(found))
    assert title == "w.service: OOM kill order with 566M of 600M + 200M swap in use:"
    lines = list(prediction_text.kills(found, server, 80))
    assert lines[1].split() == ["in", "use", "now", "566M"]
    assert "A  600M MemoryMax of w.service, 386M of RAM in use" in list(
        prediction_text.legend(budget.budget(server))
    )
