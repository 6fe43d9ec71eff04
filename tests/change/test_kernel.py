"""The kernel's values, on small trees and on this very process."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine.kernel import KernelValues
from lowmem_tui.model.unit import INFINITY

if TYPE_CHECKING:
    from pathlib import Path

STAT = "{pid} (a ) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 {start} 1000 10 18446744"


@pytest.fixture
def kernel(tmp_path: Path) -> KernelValues:
    (tmp_path / "proc").mkdir()
    group = tmp_path / "cgroup" / "system.slice" / "a.service"
    (group / "below").mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.high").write_text("8192\n")
    (group / "cgroup.procs").write_text("12\n10\n0\n99\n")
    (group / "below" / "cgroup.procs").write_text("11\n")
    for pid in (10, 11, 12):
        process = tmp_path / "proc" / str(pid)
        process.mkdir()
        (process / "stat").write_text(STAT.format(pid=pid, start=pid * 100))
        (process / "oom_score_adj").write_text("-5\n")
    return KernelValues(str(tmp_path / "proc"), str(tmp_path / "cgroup"))


A = "/system.slice/a.service"


def test_limits(kernel: KernelValues, tmp_path: Path) -> None:
    assert kernel.limit(A, "memory.max") is INFINITY
    assert kernel.limit(A, "memory.high") == 8192
    assert kernel.limit(A, "memory.swap.max") is None
    assert kernel.limit("/gone.slice", "memory.max") is None
    assert kernel.limit("/", "memory.max") is None
    kernel.set_limit(A, "memory.max", 12345)
    assert (tmp_path / "cgroup" / A[1:] / "memory.max").read_text().startswith("12345")
    kernel.set_limit(A, "memory.high", INFINITY)
    assert kernel.limit(A, "memory.high") is None or kernel.limit(A, "memory.high") is INFINITY
    with pytest.raises(FileNotFoundError):
        kernel.set_limit("/gone.slice", "memory.max", 1)


@pytest.mark.parametrize(
    ("group", "file"),
    [("/../x", "memory.max"), ("x", "memory.max"), ("/a/../..", "x"), ("/a", "../memory.max")],
)
def test_no_path_leads_out(kernel: KernelValues, group: str, file: str) -> None:
    with pytest.raises(PermissionError):
        kernel.set_limit(group, file, 1)
    with pytest.raises(PermissionError):
        kernel.limit(group, file)


def test_processes(kernel: KernelValues) -> None:
    everything = [(10, 1000), (11, 1100), (12, 1200)]
    assert kernel.processes(A) == everything
    assert kernel.processes("/system.slice") == everything
    assert kernel.processes("/") == everything
    assert kernel.processes("/gone.slice") == []


def test_scores(kernel: KernelValues, tmp_path: Path) -> None:
    assert kernel.oom_score_adj(10, 1000) == -5
    assert kernel.set_oom_score_adj(10, 1000, 7)
    assert (tmp_path / "proc/10/oom_score_adj").read_text().startswith("7")
    assert kernel.oom_score_adj(98, 1) is None
    assert not kernel.set_oom_score_adj(98, 1, 7)


def test_a_reused_pid_is_another_process(kernel: KernelValues, tmp_path: Path) -> None:
    assert kernel.oom_score_adj(10, 999) is None
    assert not kernel.set_oom_score_adj(10, 999, 7)
    (tmp_path / "proc/10/stat").write_text("")
    assert not kernel.set_oom_score_adj(10, 1000, 7)
    assert (tmp_path / "proc/10/oom_score_adj").read_text() == "-5\n"


def test_other_errors_are_errors(kernel: KernelValues, tmp_path: Path) -> None:
    (tmp_path / "proc/10/oom_score_adj").unlink()
    (tmp_path / "proc/10/oom_score_adj").mkdir()
    with pytest.raises(OSError) as caught:
        kernel.set_oom_score_adj(10, 1000, 7)
    assert caught.value.errno == errno.EISDIR


def test_of_ourselves() -> None:
    kernel = KernelValues()
    pid = os.getpid()
    with open("/proc/self/stat") as stat:
        start = int(stat.read().rpartition(")")[2].split()[19])
    with open("/proc/self/oom_score_adj") as file:
        assert kernel.oom_score_adj(pid, start) == int(file.read())
    assert kernel.oom_score_adj(pid, start + 1) is None
