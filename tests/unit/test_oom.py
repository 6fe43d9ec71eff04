"""Whom the kernel kills next: its own arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import INFINITY, Limit
from lowmem_tui.model.usage import Knobs
from lowmem_tui.policy.forecast.oom import (
    Candidate,
    badness,
    cgroup_kill_order,
    cgroup_total,
    global_total,
    kill_order,
    limited,
    next_victim,
    oom_score,
    score_of,
)

from .servers import PAGE, M, host, process, properties, snapshot, unit, usage

if TYPE_CHECKING:
    from lowmem_tui.model.usage import Process

TOTAL = 524288
"""Pages of 1 GiB of RAM and 1 GiB of swap."""


@pytest.mark.parametrize(
    ("rss", "swap", "tables", "adj", "points"),
    [
        (0, 0, 0, 0, 0),
        (100, 20, 3, 0, 123),
        (100, 20, 3, 1, 123 + 524),
        (100, 20, 3, -1, 123 - 524),
        (0, 0, 0, 1000, 524000),
        (0, 0, 0, -999, -523476),
    ],
)
def test_badness(rss: int, swap: int, tables: int, adj: int, points: int) -> None:
    assert badness(rss, swap, tables, adj, TOTAL) == points


@pytest.mark.parametrize(
    ("points", "score"),
    [
        (0, 666),
        (TOTAL, 1333),
        (TOTAL // 2, 1000),
        (524000, 1332),
        # The divisions cut towards zero: -0.5 becomes 0, not -1.
        (-262, 666),
        (-525, 666),
        (-1049, 665),
        (-523476, 1),
        (-2 * TOTAL, 0),
    ],
)
def test_oom_score(points: int, score: int) -> None:
    assert oom_score(points, TOTAL) == score


def test_the_total_of_a_machine_is_ram_and_swap() -> None:
    assert global_total(host()) == TOTAL


@pytest.mark.parametrize(
    ("limit", "swap_max", "pages"),
    [
        (100 * M, 0, 25600),
        (100 * M, 50 * M, 38400),
        (100 * M, INFINITY, 25600 + 262144),
        (100 * M, None, 25600 + 262144),
        (100 * M, 5000 * M, 25600 + 262144),
    ],
    ids=["no swap", "some swap", "all swap", "swap not known", "more than there is"],
)
def test_the_total_of_a_group_is_its_limit_and_the_swap_it_may_use(
    limit: int, swap_max: Limit | None, pages: int
) -> None:
    assert cgroup_total(host(), limit, swap_max) == pages


def test_with_a_swappiness_of_0_a_group_s_swap_is_none() -> None:
    assert cgroup_total(host(knobs=Knobs(0)), 100 * M, 50 * M) == 25600
    assert cgroup_total(host(knobs=Knobs(10)), 100 * M, 50 * M) == 38400


def pids(candidates: list[Candidate]) -> list[int]:
    return [candidate.pid for candidate in candidates]


ORDERS: dict[str, tuple[list[Process], list[int]]] = {
    "by size": ([process(5, 1 * M), process(6, 3 * M), process(7, 2 * M)], [6, 7, 5]),
    "swap counts": ([process(5, 1 * M, swap=3 * M), process(6, 2 * M)], [5, 6]),
    "page tables count": ([process(5, 1 * M, page_tables=3 * M), process(6, 2 * M)], [5, 6]),
    # 100 thousandths of 2 GiB weigh as much as 205 MiB.
    "the killer's own count of rss": (
        [process(5, 10 * M, drift=-M), process(6, 9 * M, drift=M)],
        [6, 5],
    ),
    "the adjustment counts": (
        [process(5, 300 * M, oom_score_adj=-100), process(6, 100 * M), process(7, 90 * M)],
        [6, 5, 7],
    ),
    "of equals the youngest": ([process(9, start=1), process(5, start=3), process(7)], [7, 5, 9]),
    "of equals of one tick the highest pid": ([process(9, start=1), process(5, start=1)], [9, 5]),
    "never PID 1": ([process(1, 99 * M), process(5)], [5]),
    "never -1000": ([process(4, 99 * M, oom_score_adj=-1000), process(5)], [5]),
    "never kernel threads": ([process(2, 0, ppid=0), process(4, 0, ppid=2), process(5)], [5]),
    "never what has given its memory back": (
        [process(4, 0, swap=None, page_tables=None), process(5)],
        [5],
    ),
    "what is not known is nothing": (
        [process(4, 2 * M, swap=None, page_tables=None, oom_score_adj=None), process(5, 1 * M)],
        [4, 5],
    ),
    "nobody": ([], []),
}


@pytest.mark.parametrize(("processes", "order"), ORDERS.values(), ids=ORDERS)
def test_kill_order(processes: list[Process], order: list[int]) -> None:
    server = snapshot(Unit("a.service", usage("a.service", *processes), None))
    assert pids(kill_order(server)) == order


def test_the_kill_order_goes_over_all_units() -> None:
    server = snapshot(
        unit("a.service", process(5, 1 * M), process(6, 3 * M)),
        unit("b.service", process(7, 2 * M)),
        Unit("c.service", None, properties("c.service")),
    )
    found = [(c.unit, c.pid) for c in kill_order(server)]
    assert found == [("a.service", 6), ("b.service", 7), ("a.service", 5)]


def test_a_candidate_says_what_speaks_for_it() -> None:
    server = snapshot(unit("a.service", process(5, 64 * M, swap=20 * M, oom_score_adj=-100)))
    found = kill_order(server)[0]
    assert (found.name, found.rss, found.swap, found.adj) == ("p5", 64 * M, 20 * M, -100)
    assert found.points == (64 * M + 20 * M) // PAGE - 100 * 524
    assert found.score == oom_score(found.points, TOTAL)


STAGED: dict[str, tuple[int, list[Process], list[int]]] = {
    "what has the declared value follows": (0, [process(5), process(6)], [300, 300]),
    "what has its own does not": (
        0,
        [process(5, oom_score_adj=-1000), process(6, oom_score_adj=7)],
        [7],
    ),
    "declared is what systemd holds": (-200, [process(5, oom_score_adj=-200)], [300]),
}


@pytest.mark.parametrize(("declared", "processes", "adjusts"), STAGED.values(), ids=STAGED)
def test_a_staged_adjustment(declared: int, processes: list[Process], adjusts: list[int]) -> None:
    server = snapshot(unit("a.service", *processes, oom_score_adjust=declared))
    assert [c.adj for c in kill_order(server, {"a.service": 300})] == adjusts


def test_a_staged_minus_1000_takes_a_process_out() -> None:
    server = snapshot(unit("a.service", process(5)), unit("b.service", process(6)))
    assert pids(kill_order(server, {"a.service": -1000})) == [6]


def test_staging_does_not_touch_other_units() -> None:
    server = snapshot(unit("a.service", process(5, 5 * M)), unit("b.service", process(6, 1 * M)))
    assert pids(kill_order(server, {"b.service": 10})) == [6, 5]


PROCESSES = st.lists(
    st.builds(
        process,
        st.integers(1, 9),
        st.integers(0, 50 * M),
        start=st.integers(0, 3),
        ppid=st.sampled_from([1, 1, 2]),
        swap=st.none() | st.integers(0, M),
        page_tables=st.none() | st.integers(0, M),
        oom_score_adj=st.none() | st.integers(-1000, 1000),
    ),
    unique_by=lambda p: p.pid,
    max_size=8,
)


def server_of(processes: list[Process]) -> Snapshot:
    return snapshot(
        Unit("a.service", usage("a.service", *processes[::2]), None),
        Unit("b.service", usage("b.service", *processes[1::2]), None),
    )


@given(PROCESSES)
def test_next_victim_is_the_first_of_the_kill_order(processes: list[Process]) -> None:
    server = server_of(processes)
    assert next_victim(server) == next(iter(kill_order(server)), None)


@given(PROCESSES)
def test_the_first_is_whom_the_kernel_s_own_loop_chooses(processes: list[Process]) -> None:
    chosen, chosen_points = None, -(2**63)
    for task in sorted(processes, key=lambda p: (p.start, p.pid)):
        if task.pid in {1, 2} or task.ppid == 2 or task.oom_score_adj == -1000:
            continue
        if not (task.rss or task.swap or task.page_tables):
            continue
        points = task.rss // PAGE + (task.swap or 0) // PAGE + (task.page_tables or 0) // PAGE
        points += (task.oom_score_adj or 0) * (TOTAL // 1000)
        if points < chosen_points:
            continue
        chosen, chosen_points = task, points
    doomed = next_victim(server_of(processes))
    assert (doomed and doomed.process) == chosen


def in_slice() -> Snapshot:
    a = usage("a.service", process(5, 30 * M), process(6, 10 * M), max=100 * M, swap_max=0)
    b = usage("b.service", process(7, 20 * M), cgroup="/system.slice/b.service", max=INFINITY)
    top = usage("system.slice", cgroup="/system.slice", max=200 * M)
    other = usage("c.service", process(8, 99 * M), cgroup="/system.slicer/c.service")
    return snapshot(*(Unit(u.name, u, properties(u.name)) for u in (a, b, top, other)))


def test_at_its_limit_a_unit_loses_its_own() -> None:
    assert pids(cgroup_kill_order(in_slice(), "a.service")) == [5, 6]


def test_inside_a_group_the_limit_is_the_total() -> None:
    found = cgroup_kill_order(in_slice(), "a.service")[0]
    assert found.score == oom_score(30 * M // PAGE, 100 * M // PAGE)


def test_at_its_limit_a_slice_loses_from_all_units_below() -> None:
    assert pids(cgroup_kill_order(in_slice(), "system.slice")) == [5, 7, 6]


@pytest.mark.parametrize("name", ["b.service", "x.service"], ids=["no limit", "no such unit"])
def test_without_a_limit_nobody_is_killed_for_it(name: str) -> None:
    assert cgroup_kill_order(in_slice(), name) == []


def test_a_staged_limit_counts_as_one() -> None:
    found = cgroup_kill_order(in_slice(), "b.service", limit=40 * M, swap_max=0)
    assert [(c.pid, c.score) for c in found] == [(7, oom_score(5120, 10240))]


def test_a_staged_infinity_takes_the_limit_away() -> None:
    assert cgroup_kill_order(in_slice(), "a.service", limit=INFINITY) == []


def test_a_staged_adjustment_counts_inside_a_group() -> None:
    found = cgroup_kill_order(in_slice(), "system.slice", adjustments={"b.service": 900})
    assert pids(found) == [7, 5, 6]


def test_of_equals_in_nested_groups_the_group_made_last_is_chosen() -> None:
    # By their oldest processes "b" was made first, and its second process does not change that.
    processes = [process(9, cgroup="a"), process(5, cgroup="b"), process(12, cgroup="b")]
    held = usage("d.service", *processes, max=100 * M)
    server = snapshot(Unit("d.service", held, None))
    assert pids(cgroup_kill_order(server, "d.service")) == [9, 12, 5]


def test_of_equals_a_group_s_own_come_before_those_of_the_groups_below() -> None:
    held = usage("d.service", process(9), process(5, cgroup="b"), max=100 * M)
    server = snapshot(Unit("d.service", held, None))
    assert pids(cgroup_kill_order(server, "d.service")) == [5, 9]


RECOMPUTED = {
    "as the kernel": (process(5, 100 * M, swap=20 * M, page_tables=M), 706),
    "adjusted": (process(5, 100 * M, oom_score_adj=500), 1032),
    "never PID 1": (process(1, 100 * M), 0),
    "never -1000": (process(5, 100 * M, oom_score_adj=-1000), 0),
    "no memory": (process(5, 0), 0),
}


@pytest.mark.parametrize(("one", "score"), RECOMPUTED.values(), ids=RECOMPUTED)
def test_oom_score_recomputed(one: Process, score: int) -> None:
    assert score_of(one, host()) == score


@pytest.mark.parametrize(
    ("staged", "names"),
    [
        ({}, ["a.service", "system.slice"]),
        ({"b.service": 5 * M, "a.service": INFINITY}, ["a.service", "b.service", "system.slice"]),
    ],
)
def test_the_units_with_a_limit_now_or_then(staged: dict[str, Limit], names: list[str]) -> None:
    assert limited(in_slice(), staged) == names
