from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.sampler import ProcSampler
from tests.bench.tree import MIB, Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A server with redis (one process), web (two) and a slice that holds them."""
    box = Box(tmp_path)
    box.add_group("/system.slice", current=80 * MIB)
    box.add_group("/system.slice/redis.service", current=30 * MIB, swap=5 * MIB)
    box.add_group("/system.slice/web.service", current=40 * MIB)
    box.add_process(100, "/system.slice/redis.service", name="redis-server", rss=20 * MIB)
    box.add_process(200, "/system.slice/web.service", name="gunicorn", rss=10 * MIB)
    box.add_process(201, "/system.slice/web.service", name="gunicorn", rss=12 * MIB, ppid=200)
    return box


@pytest.fixture
def sampler(box: Box, clock: Clock) -> Iterator[ProcSampler]:
    sampler = make_sampler(box, clock)
    yield sampler
    sampler.close()


def make_sampler(box: Box, clock: Clock, descriptors: int | None = None) -> ProcSampler:
    return ProcSampler(
        str(box.proc),
        str(box.cgroup),
        str(box.block),
        descriptors=descriptors,
        page_size=4096,
        clock=clock,
        monotonic=clock,
    )
