"""Whoever a control group is delegated to nests what he likes below it: on the kernel's own tree.

systemd delegates user@UID.service to its user and a container's group to the container.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine.kernel import KernelValues
from lowmem_tui.cli import triage
from lowmem_tui.host.sampler import ProcSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTS = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
SOON = 10.0


def tree() -> Path | None:
    """Return a cgroup2 mount in which groups can be made."""
    for mount in MOUNTS:
        if (mount / "cgroup.controllers").exists() and os.access(mount, os.W_OK):
            return mount
    return None


ROOT = tree()

pytestmark = pytest.mark.skipif(ROOT is None, reason="needs root and a writable cgroup2 mount")


class Nest:
    """Groups below each other; made and removed from within, as no path reaches the inmost."""

    def __init__(self, top: Path) -> None:
        self.top, self.names = top, list[str]()

    def deepen(self, name: str, count: int) -> int:
        """Make `count` groups below the inmost; return a descriptor of the last."""
        at = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        for each in self.names + [name] * count:
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, dir_fd=at)
            below = os.open(each, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        self.names += [name] * count
        return at

    def remove(self) -> None:
        fds = [os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)]
        for name in self.names:
            fds.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fds[-1]))
        os.close(fds.pop())
        for name in reversed(self.names):
            until = time.monotonic() + SOON
            while True:
                try:
                    os.rmdir(name, dir_fd=fds[-1])
                    break
                except OSError:
                    # The kernel takes a moment to forget a process that has ended.
                    assert time.monotonic() < until
                    time.sleep(0.02)
            os.close(fds.pop())


@pytest.fixture
def nest(request: pytest.FixtureRequest) -> Iterator[Nest]:
    assert ROOT is not None
    top = ROOT / f"lxc.payload.test-{os.getpid()}"
    top.mkdir()
    made = Nest(top)
    yield made
    made.remove()
    top.rmdir()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_container_that_nests_hundreds_of_groups_is_one(nest: Nest) -> None:
    os.close(nest.deepen("a", 400))
    sampler = ProcSampler("/proc", str(ROOT))
    units = sampler.sample().units
    sampler.close()
    assert [name for name in units if "lxc.payload" in name] == [f"/{nest.top.name}" + "/a" * (31)]


def test_a_container_of_hundreds_of_groups_side_by_side_is_one(nest: Nest) -> None:
    try:
        for number in range(300):
            (nest.top / str(number)).mkdir()
        sampler = ProcSampler("/proc", str(ROOT))
        units = sampler.sample().units
        sampler.close()
        assert [name for name in units if "lxc.payload" in name] == [f"/{nest.top.name}"]
    finally:
        for number in range(300):
            (nest.top / str(number)).rmdir()


def test_a_process_in_a_group_that_no_path_reaches(
    nest: Nest, sleeper: subprocess.Popen[bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    """/proc/PID/cgroup answers ENAMETOOLONG: all else is shown, and the screen says so."""
    inmost = nest.deepen("d" * 250, 18)
    fd = os.open("cgroup.procs", os.O_WRONLY, dir_fd=inmost)
    os.write(fd, str(sleeper.pid).encode())
    os.close(fd)
    os.close(inmost)
    try:
        assert len(Path(f"/proc/{sleeper.pid}/cgroup").read_bytes()) > 4096
    except OSError as error:
        assert error.errno == errno.ENAMETOOLONG  # what Linux answers
    sampler = ProcSampler("/proc", str(ROOT))
    for _ in range(3):
        sample = sampler.sample()
    sampler.close()
    assert "not shown: " in str(sample.notice)
    assert os.getpid() in {p.pid for unit in sample.units.values() for p in unit.processes}
    assert triage.run([], "/proc", str(ROOT)) == 0
    assert "Processes that this user may not see: " in capfd.readouterr().out
    assert KernelValues("/proc", str(ROOT)).processes(f"/{nest.top.name}") == []
    sleeper.kill()
    sleeper.wait()
