"""What several places ask of one unit: its main process, its limit, what only swap can reclaim."""

from __future__ import annotations

import pytest

from lowmem_tui.model.amount import INFINITY
from lowmem_tui.model.snapshot import Unit

from .servers import M, process, properties, usage

NAME = "a.service"
WORKERS = (
    process(7)._replace(oom_score=600),
    process(8)._replace(oom_score=700),
    process(9)._replace(oom_score=None),
)


@pytest.mark.parametrize(
    ("main_pid", "pid"), [(7, 7), (9, 9), (0, 8), (4711, 8)], ids=["main", "odd", "none", "gone"]
)
def test_the_main_process_or_the_next_victim(main_pid: int, pid: int) -> None:
    unit = Unit(NAME, usage(NAME, *WORKERS), properties(NAME, main_pid=main_pid))
    assert unit.main_process is not None
    assert unit.main_process.pid == pid


def test_the_victim_while_systemd_has_not_answered() -> None:
    found = Unit(NAME, usage(NAME, *WORKERS), None).main_process
    assert found is not None
    assert found.pid == 8


def test_no_main_process_without_any() -> None:
    for used in (None, usage(NAME)):
        assert Unit(NAME, used, properties(NAME, main_pid=7)).main_process is None


def test_the_kernels_limit_goes_before_systemds() -> None:
    loaded = properties(NAME, memory_max=300 * M)
    assert Unit(NAME, usage(NAME, max=200 * M), loaded).limit == 200 * M
    assert Unit(NAME, usage(NAME, max=INFINITY), loaded).limit is INFINITY
    assert Unit(NAME, usage(NAME, max=None), loaded).limit == 300 * M
    assert Unit(NAME, None, loaded).limit == 300 * M
    assert Unit(NAME, None, None).limit is None


def test_what_only_swap_can_reclaim() -> None:
    held = usage(NAME, process(rss=30 * M), anon=20 * M, shmem=5 * M)
    assert held.unreclaimable == 25 * M
    assert usage(NAME, process(rss=30 * M), anon=20 * M, shmem=None).unreclaimable == 20 * M
    assert usage(NAME, process(rss=30 * M), anon=None).unreclaimable == 30 * M
    assert usage(NAME)._replace(rss=None).unreclaimable is None
