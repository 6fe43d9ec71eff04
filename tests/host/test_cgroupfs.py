from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lowmem_tui.host import cgroupfs, tree
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.model.usage import MEMORY_STAT
from tests.bench.tree import Box, events, memory_stat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARSERS: list[Callable[[bytes], Any]] = [
    cgroupfs.parse_size,
    cgroupfs.parse_limit,
    cgroupfs.parse_memory_stat,
    cgroupfs.parse_oom_kills,
    cgroupfs.parse_flag,
]


@pytest.mark.parametrize("parse", PARSERS)
@given(raw=st.binary(max_size=200) | st.sampled_from([b"anon ", b"oom_kill 1", b"max\n\n"]))
@example(raw=b"9" * 5000)
def test_odd_bytes_never_raise(parse: Callable[[bytes], Any], raw: bytes) -> None:
    parse(raw)


@given(cut=st.integers(0, 2000))
def test_a_cut_memory_stat_never_gives_another_number(cut: int) -> None:
    raw = memory_stat(50_000_000).encode()
    whole = cgroupfs.parse_memory_stat(raw)
    assert all(
        c in {None, w} for c, w in zip(cgroupfs.parse_memory_stat(raw[:cut]), whole, strict=True)
    )


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"104857600\n", 104857600), (b"max\n", INFINITY), (b"0\n", 0), (b"", None), (b"maxi", None)],
)
def test_limit(raw: bytes, value: object) -> None:
    assert cgroupfs.parse_limit(raw) == value


def test_memory_stat_takes_whole_keys_only() -> None:
    raw = b"inactive_anon 1\nanon 2\nactive_file 3\nfile 4\nshmem_thp 5\n"
    found = dict(zip(MEMORY_STAT, cgroupfs.parse_memory_stat(raw), strict=True))
    assert (found["anon"], found["file"], found["shmem"]) == (2, 4, None)


def test_kills_are_not_the_groups_killed() -> None:
    assert cgroupfs.parse_oom_kills(b"oom_group_kill 9\n" + events(2).encode()) == 2


@pytest.mark.parametrize(("raw", "value"), [(b"1\n", True), (b"0\n", False), (b"2\n", None)])
def test_oom_group(raw: bytes, value: bool | None) -> None:
    assert cgroupfs.parse_flag(raw) is value


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("redis-server.service", "redis-server.service"),
        ("worker@a\\x2db.service", "worker@a\\x2db.service"),
        ("_cpu.service", "cpu.service"),
        ("__x.service", "_x.service"),
        ("session-3.scope", "session-3.scope"),
        ("user-1000.slice", "user-1000.slice"),
        ("-.slice", "-.slice"),
        ("dev-hugepages.mount", "dev-hugepages.mount"),
        ("docker", None),
        ("lxc.payload.web", None),
        ("x.target", None),
        (".service", None),
        ("a b.service", None),
        ("a\x1b.service", None),
        ("\udcff.service", None),
    ],
)
def test_unit_name(folder: str, name: str | None) -> None:
    assert cgroupfs.unit_name(folder) == name


def walk(box: Box) -> dict[str, tree.Found]:
    root = os.open(box.cgroup, os.O_RDONLY)
    try:
        found = tree.walk(root)
    finally:
        os.close(root)
    assert len({f.name for f in found}) == len(found)
    return {f.path: f for f in found}


@pytest.fixture
def empty(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_walk_of_nothing(empty: Box) -> None:
    assert walk(empty) == {"/": tree.Found("/", "-.slice", "", slice=True)}


def test_slices_nest(empty: Box) -> None:
    empty.add_group("/user.slice/user-1000.slice/session-3.scope")
    found = walk(empty)
    assert found["/user.slice/user-1000.slice/session-3.scope"] == tree.Found(
        "/user.slice/user-1000.slice/session-3.scope",
        "session-3.scope",
        "/user.slice/user-1000.slice",
        slice=False,
    )
    assert found["/user.slice/user-1000.slice"].parent == "/user.slice"


def test_what_is_below_a_service_belongs_to_it(empty: Box) -> None:
    empty.add_group("/user.slice/user@1000.service/app.slice/ssh.service")
    empty.add_group("/system.slice/docker.service/container-1")
    assert set(walk(empty)) == {
        "/",
        "/user.slice",
        "/user.slice/user@1000.service",
        "/system.slice",
        "/system.slice/docker.service",
    }


def test_a_container_is_a_group_with_its_path_as_name(empty: Box) -> None:
    empty.add_group("/docker/abc123")
    found = walk(empty)
    assert "/docker" not in found
    assert found["/docker/abc123"].name == "/docker/abc123"


def test_a_system_in_a_container_is_one_group(empty: Box) -> None:
    empty.add_group("/lxc.payload.web/system.slice/ssh.service")
    assert set(walk(empty)) == {"/", "/lxc.payload.web"}


def test_a_group_with_processes_of_its_own_holds_all_below(empty: Box) -> None:
    empty.add_group("/pod/worker")
    empty.add_group("/pod", cgroup_procs="77")
    assert set(walk(empty)) == {"/", "/pod"}


def test_of_two_groups_of_one_unit_the_living_one_has_the_name(empty: Box) -> None:
    empty.add_group("/a.slice/x.service")
    empty.add_group("/b.slice/x.service", cgroup_events="populated 1")
    empty.add_group("/c.slice/x.service")
    found = walk(empty)
    assert {f.name: p for p, f in found.items() if p.endswith("x.service")} == {
        "/a.slice/x.service": "/a.slice/x.service",
        "x.service": "/b.slice/x.service",
        "/c.slice/x.service": "/c.slice/x.service",
    }


def test_populated_falls_back_on_the_list_of_processes(empty: Box) -> None:
    folder = empty.add_group("/a.service", cgroup_procs="7")
    (folder / "cgroup.events").unlink()
    root = os.open(empty.cgroup, os.O_RDONLY)
    try:
        assert tree.populated("/a.service", root) is True
    finally:
        os.close(root)
