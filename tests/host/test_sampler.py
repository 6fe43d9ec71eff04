from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host import reading, tasks
from lowmem_tui.host.sampler import PERIOD, STRANGERS, WALK, ProcSampler
from lowmem_tui.host.tasks import FARTHEST
from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.settings import CGROUP_FILES, Key
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.model.usage import MEMORY_STAT, Knobs, Memory, Process, UnitUsage
from tests.bench.tree import MIB, Box, Mutator, events, make_tree
from tests.host.conftest import Clock, make_sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REDIS = "/system.slice/redis.service"
WEB = "/system.slice/web.service"


def tick(sampler: ProcSampler, clock: Clock, seconds: float = 1.0) -> dict[str, UnitUsage]:
    clock.now += seconds
    return sampler.sample().units


def settle(sampler: ProcSampler, clock: Clock, seconds: float) -> dict[str, UnitUsage]:
    """Let that many seconds pass, one tick each."""
    units = sampler.sample().units
    for _ in range(int(seconds)):
        units = tick(sampler, clock)
    return units


# What a sample holds


@pytest.mark.parametrize(("text", "value"), [("10\n", 10), ("0\n", 0), ("", None), (None, None)])
def test_the_machine_s_swappiness(
    box: Box, sampler: ProcSampler, text: str | None, value: int | None
) -> None:
    if text is not None:
        (box.proc / "sys" / "vm").mkdir(parents=True)
        (box.proc / "sys" / "vm" / "swappiness").write_text(text)
    assert sampler.sample().host.knobs.swappiness == value


def test_what_a_shortage_does_here(box: Box, sampler: ProcSampler) -> None:
    (box.proc / "sys" / "vm").mkdir(parents=True)
    (box.proc / "sys" / "vm" / "panic_on_oom").write_text("2\n")
    (box.proc / "sys" / "vm" / "oom_kill_allocating_task").write_text("1\n")
    assert sampler.sample().host.knobs == Knobs(None, 2, 1)


def test_memory_of_a_unit(box: Box, sampler: ProcSampler) -> None:
    box.add_group(REDIS, current=30 * MIB, swap=5 * MIB, memory_max=str(256 * MIB))
    memory = sampler.sample().units["redis.service"].memory
    assert memory._replace(pressure=None) == Memory(
        current=30 * MIB,
        anon=15 * MIB,
        file=10 * MIB,
        shmem=30 * MIB // 50,
        kernel=30 * MIB // 9,
        swap=5 * MIB,
        peak=31 * MIB,
        settings={
            key: limit for key in CGROUP_FILES if not isinstance(limit := key.facts.default, str)
        }
        | {Key.MEMORY_MAX: 256 * MIB},
        oom_kills=0,
        oom_group=False,
    )
    assert memory.pressure is not None


def test_a_process(sampler: ProcSampler) -> None:
    assert sampler.sample().units["redis.service"].processes == (
        Process(
            pid=100,
            start=1000,
            ppid=1,
            name="redis-server",
            uid=1000,
            rss=20 * MIB,
            swap=0,
            page_tables=65536,
            oom_score=667,
            oom_score_adj=0,
            command="/usr/bin/worker --loop",
        ),
    )


def count(box: Box, pages: int) -> None:
    """Have the OOM killer count other pages for pid 100 than statm does."""
    path = box.proc / "100/stat"
    head, _, tail = path.read_text().rpartition(")")
    fields = tail.split()
    fields[21] = str(pages)
    path.write_text(f"{head}) {' '.join(fields)}\n")


@pytest.mark.parametrize(
    ("pages", "counted"),
    [
        (5120, 5120),
        (5100, 5100),
        (5150, 5150),
        # More than counters per processor can be off: it was growing just then.
        (5120 + FARTHEST + 1, 5120),
    ],
)
def test_what_the_oom_killer_counts(
    box: Box, sampler: ProcSampler, clock: Clock, pages: int, counted: int
) -> None:
    count(box, pages)
    (at_first_sight,) = sampler.sample().units["redis.service"].processes
    assert at_first_sight.rss == 20 * MIB
    assert at_first_sight.counted == counted * 4096
    count(box, 5119)
    sampler.refresh()
    assert tick(sampler, clock)["redis.service"].processes[0].counted == 5119 * 4096


def test_rss_is_the_sum_over_the_processes(sampler: ProcSampler) -> None:
    assert sampler.sample().units["web.service"].rss == 22 * MIB


def test_a_slice_sums_up_its_units(sampler: ProcSampler) -> None:
    units = sampler.sample().units
    assert units["system.slice"].rss == units["-.slice"].rss == 42 * MIB
    assert units["system.slice"].processes == ()


def test_a_slice_follows_its_units(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.set_process(100, rss=25 * MIB, score=700)
    assert tick(sampler, clock)["-.slice"].rss == 47 * MIB


def test_swap_without_swap_accounting_is_the_sum(box: Box, sampler: ProcSampler) -> None:
    (box.cgroup / "system.slice/web.service/memory.swap.current").unlink()
    box.set_status(200, swap=3 * MIB)
    box.set_status(201, swap=4 * MIB)
    assert sampler.sample().units["web.service"].swap == 7 * MIB


def test_a_unit_without_processes(box: Box, sampler: ProcSampler) -> None:
    box.add_group("/system.slice/dev-hugepages.mount")
    unit = sampler.sample().units["dev-hugepages.mount"]
    assert (unit.rss, unit.processes, unit.oom_score) == (0, (), None)


def test_processes_below_a_unit_are_counted_into_it(box: Box, sampler: ProcSampler) -> None:
    box.add_group("/user.slice/user@1000.service/app.slice/dbus.service")
    box.add_process(300, "/user.slice/user@1000.service/app.slice/dbus.service")
    units = sampler.sample().units
    assert "dbus.service" not in units
    assert [p.cgroup for p in units["user@1000.service"].processes] == ["app.slice/dbus.service"]


def test_kernel_threads_are_left_out(box: Box, sampler: ProcSampler) -> None:
    box.add_process(2, "/", name="kthreadd", flags=0x208040, command=b"")
    assert sampler.sample().units["-.slice"].processes == ()


def test_a_process_in_the_root_group_is_shown_there(box: Box, sampler: ProcSampler) -> None:
    box.add_process(77, "/", name="stray")
    assert [p.pid for p in sampler.sample().units["-.slice"].processes] == [77]


def test_the_root_group_has_no_limits(sampler: ProcSampler) -> None:
    memory = sampler.sample().units["-.slice"].memory
    assert (memory.max, memory.high, memory.swap_max) == (INFINITY, INFINITY, INFINITY)


def test_the_root_group_has_no_protection_either(sampler: ProcSampler) -> None:
    settings = sampler.sample().units["-.slice"].memory.settings
    assert settings.keys() == CGROUP_FILES.keys() - {Key.MEMORY_MIN, Key.MEMORY_LOW}


def test_a_container_without_unit(box: Box, sampler: ProcSampler) -> None:
    box.add_group("/docker/abc")
    box.add_process(300, "/docker/abc")
    assert sampler.sample().units["/docker/abc"].rss == 8 * MIB


def test_processes_that_may_not_be_seen(box: Box, sampler: ProcSampler) -> None:
    # /proc mounted with hidepid: the group has members, /proc does not show them.
    box.add_group("/system.slice/hidden.service", cgroup_events="populated 1")
    assert sampler.sample().units["hidden.service"].rss is None


def test_a_score_is_the_highest_of_the_unit(box: Box, sampler: ProcSampler) -> None:
    box.set_process(201, rss=12 * MIB, score=812)
    assert sampler.sample().units["web.service"].oom_score == 812


def test_no_cgroup_tree(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="cgroup v2"):
        ProcSampler(str(tmp_path), str(tmp_path / "none"))


# What may be missing

GROUP_FILES = [
    ("memory.current", "current"),
    ("memory.swap.current", "swap"),
    ("memory.peak", "peak"),
    *((file, key.lower()) for key, file in CGROUP_FILES.items()),
    ("memory.events", "oom_kills"),
    ("memory.oom.group", "oom_group"),
    ("memory.pressure", "pressure"),
    *(("memory.stat", field) for field in MEMORY_STAT),
]


def unknown(memory: Memory) -> set[str]:
    return {f for f in Memory._fields if getattr(memory, f) is None} | {
        key.lower() for key in CGROUP_FILES if key not in memory.settings
    }


@pytest.mark.parametrize(("file", "field"), GROUP_FILES)
def test_a_missing_group_file_is_not_known(
    box: Box, sampler: ProcSampler, file: str, field: str
) -> None:
    (box.cgroup / "system.slice/redis.service" / file).unlink()
    assert field in unknown(sampler.sample().units["redis.service"].memory)


@pytest.mark.parametrize("file", sorted({file for file, _ in GROUP_FILES}))
def test_a_missing_group_file_leaves_the_others(box: Box, sampler: ProcSampler, file: str) -> None:
    (box.cgroup / "system.slice/redis.service" / file).unlink()
    memory = sampler.sample().units["redis.service"].memory
    missing = {field for name, field in GROUP_FILES if name == file}
    assert unknown(memory) == missing


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("status", {"uid", "swap", "page_tables"}),
        ("oom_score", {"oom_score"}),
        ("oom_score_adj", {"oom_score_adj"}),
        ("cmdline", {"command"}),
    ],
)
def test_a_missing_process_file_is_not_known(
    box: Box, sampler: ProcSampler, file: str, fields: set[str]
) -> None:
    (box.proc / "100" / file).unlink()
    (process,) = sampler.sample().units["redis.service"].processes
    assert {f for f in Process._fields if getattr(process, f) is None} == fields


@pytest.mark.parametrize("file", ["stat", "statm"])
def test_a_process_without_its_size_is_not_shown(
    box: Box, sampler: ProcSampler, clock: Clock, file: str
) -> None:
    (box.proc / "100" / file).unlink()
    assert settle(sampler, clock, 3)["redis.service"].rss is None


def test_a_controller_that_comes_later(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    current = box.cgroup / "system.slice/redis.service/memory.current"
    current.unlink()
    sampler.sample()
    current.write_text(f"{7 * MIB}\n")
    assert settle(sampler, clock, PERIOD + 2)["redis.service"].memory.current == 7 * MIB


# What changes


def test_rss_and_score_at_the_next_tick(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.set_process(100, rss=25 * MIB, score=701)
    (process,) = tick(sampler, clock)["redis.service"].processes
    assert (process.rss, process.oom_score) == (25 * MIB, 701)


def test_memory_and_swap_at_the_next_tick(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    (box.cgroup / "system.slice/redis.service/memory.current").write_text(f"{9 * MIB}\n")
    (box.cgroup / "system.slice/redis.service/memory.swap.current").write_text(f"{8 * MIB}\n")
    unit = tick(sampler, clock)["redis.service"]
    assert (unit.memory.current, unit.swap) == (9 * MIB, 8 * MIB)


def test_a_kill_at_the_next_tick(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    (box.cgroup / "system.slice/web.service/memory.events").write_text(events(1))
    box.set_kills(1)
    assert tick(sampler, clock)["web.service"].memory.oom_kills == 1


def change_limit(box: Box) -> None:
    (box.cgroup / "system.slice/redis.service/memory.max").write_text(f"{64 * MIB}\n")


def change_swap(box: Box) -> None:
    box.set_process(100, rss=19 * MIB, score=667)
    box.set_status(100, swap=MIB)


def change_adjust(box: Box) -> None:
    (box.proc / "100/oom_score_adj").write_text("-500\n")
    (box.proc / "100/oom_score").write_text("333\n")


def change_command(box: Box) -> None:
    (box.proc / "100/cmdline").write_bytes(b"redis-server *:6379\0")


@pytest.mark.parametrize(
    ("change", "value", "within"),
    [
        (change_limit, lambda u: u.memory.max == 64 * MIB, 2 * PERIOD),
        (change_swap, lambda u: u.processes[0].swap == MIB, PERIOD),
        (change_adjust, lambda u: u.processes[0].oom_score_adj == -500, 2 * PERIOD),
        (change_adjust, lambda u: u.oom_score == 333, 2 * PERIOD),
        (change_command, lambda u: "6379" in u.processes[0].command, PERIOD),
    ],
)
def test_the_rest_in_its_turn(
    box: Box,
    sampler: ProcSampler,
    clock: Clock,
    change: Callable[[Box], None],
    value: Callable[[UnitUsage], bool],
    within: float,
) -> None:
    sampler.sample()
    change(box)
    assert value(settle(sampler, clock, within)["redis.service"])


@pytest.mark.parametrize("change", [change_limit, change_swap, change_adjust, change_command])
def test_the_watched_unit_at_each_tick(
    box: Box, sampler: ProcSampler, clock: Clock, change: Callable[[Box], None]
) -> None:
    settle(sampler, clock, 20)
    sampler.watch("redis.service")
    before = tick(sampler, clock)["redis.service"]
    change(box)
    assert tick(sampler, clock)["redis.service"] != before


@pytest.mark.parametrize("change", [change_limit, change_adjust, change_command])
def test_all_after_a_refresh(
    box: Box, sampler: ProcSampler, clock: Clock, change: Callable[[Box], None]
) -> None:
    before = settle(sampler, clock, 20)["redis.service"]
    change(box)
    sampler.refresh()
    assert tick(sampler, clock)["redis.service"] != before


def test_a_slow_interval_reads_all_at_each_tick(
    box: Box, sampler: ProcSampler, clock: Clock
) -> None:
    sampler.sample()
    change_swap(box)
    assert tick(sampler, clock, 10)["redis.service"].processes[0].swap == MIB


# Who comes and goes


def test_a_new_process_whole_at_first_sight(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.add_process(202, WEB, name="late", swap=MIB)
    late = tick(sampler, clock)["web.service"].processes[-1]
    assert (late.name, late.rss, late.swap, late.uid) == ("late", 8 * MIB, MIB, 1000)


def test_a_new_unit_with_its_process(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.add_group("/system.slice/new.service", current=3 * MIB)
    box.add_process(300, "/system.slice/new.service")
    unit = tick(sampler, clock)["new.service"]
    assert (unit.rss, unit.memory.current) == (8 * MIB, 3 * MIB)


def test_a_new_unit_without_a_process(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.add_group("/system.slice/tmp.mount")
    assert "tmp.mount" in settle(sampler, clock, WALK + 1)


def test_a_process_that_ended(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.end_process(201)
    unit = tick(sampler, clock)["web.service"]
    assert (len(unit.processes), unit.rss) == (1, 10 * MIB)


def test_a_unit_that_stopped(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.end_process(100)
    box.remove_group(REDIS)
    units = tick(sampler, clock)
    assert "redis.service" not in units
    assert units["system.slice"].rss == 22 * MIB


def test_a_unit_that_restarted(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.end_process(100)
    box.remove_group(REDIS)
    tick(sampler, clock)
    box.add_group(REDIS, current=MIB)
    box.add_process(101, REDIS, rss=2 * MIB)
    unit = tick(sampler, clock)["redis.service"]
    assert (unit.memory.current, [p.pid for p in unit.processes]) == (MIB, [101])


def test_a_process_that_moved(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    (box.proc / "201/cgroup").write_text(f"0::{REDIS}\n")
    units = tick(sampler, clock, PERIOD)
    assert [p.pid for p in units["redis.service"].processes] == [100, 201]
    assert [p.pid for p in units["web.service"].processes] == [200]


def test_a_process_that_moved_to_a_new_unit(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    sampler.sample()
    box.add_group("/user.slice/session-1.scope")
    (box.proc / "201/cgroup").write_text("0::/user.slice/session-1.scope\n")
    tick(sampler, clock, PERIOD)
    assert [p.pid for p in tick(sampler, clock)["session-1.scope"].processes] == [201]


def test_a_stranger_is_read_again(box: Box, sampler: ProcSampler, clock: Clock) -> None:
    folder = box.add_process(300, WEB)
    (folder / "cgroup").write_text("0::/gone.service (deleted)\n")
    assert len(sampler.sample().units["web.service"].processes) == 2
    (folder / "cgroup").write_text(f"0::{WEB}\n")
    assert len(settle(sampler, clock, STRANGERS + 1)["web.service"].processes) == 3


@pytest.mark.parametrize("descriptors", [None, 0])
def test_a_pid_that_was_used_again(box: Box, clock: Clock, descriptors: int | None) -> None:
    sampler = make_sampler(box, clock, descriptors)
    sampler.sample()
    box.end_process(100)
    box.add_process(100, REDIS, name="other", start=99999, rss=MIB)
    if descriptors is None:
        # A folder of files does not know ESRCH: the kernel's answer for a process that ended.
        nowhere = os.open("/", os.O_PATH)
        os.dup2(nowhere, sampler._tasks[100].fd)
        os.close(nowhere)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", esrch_for_paths(os.pread))
        tick(sampler, clock)
        unit = tick(sampler, clock)["redis.service"]
    assert [(p.name, p.start) for p in unit.processes] == [("other", 99999)]
    sampler.close()


def esrch_for_paths(real: Callable[[int, int, int], bytes]) -> Callable[[int, int, int], bytes]:
    def pread(fd: int, size: int, offset: int) -> bytes:
        try:
            return real(fd, size, offset)
        except OSError as error:
            raise OSError(errno.ESRCH, "No such process") from error

    return pread


def test_a_real_process_that_ends_between_two_ticks(box: Box, clock: Clock) -> None:
    # A link from the tree to a real process: its files answer ESRCH once it is reaped, and the
    # list of pids has it still.
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (box.proc / str(child.pid)).mkdir()
    for name in ("stat", "statm", "status", "cmdline", "oom_score", "oom_score_adj"):
        (box.proc / str(child.pid) / name).symlink_to(f"/proc/{child.pid}/{name}")
    (box.proc / str(child.pid) / "cgroup").write_text(f"0::{REDIS}\n")
    sampler = make_sampler(box, clock)
    seen = [p.pid for p in sampler.sample().units["redis.service"].processes]
    child.communicate()
    left = [p.pid for p in tick(sampler, clock)["redis.service"].processes]
    sampler.close()
    assert (child.pid in seen, child.pid in left) == (True, False)


def test_a_group_that_is_removed_while_its_descriptor_is_kept(
    box: Box, sampler: ProcSampler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler.sample()
    gone = sampler._groups[WEB].fd
    for pid in (200, 201):
        box.end_process(pid)
    box.remove_group(WEB)
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        if fd == gone:
            raise OSError(errno.ENODEV, "No such device")
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert "web.service" not in tick(sampler, clock)


@pytest.mark.parametrize("victim", ["100", "200"])
@pytest.mark.parametrize("calls", range(7))
def test_a_process_that_vanishes_between_two_reads(
    box: Box, sampler: ProcSampler, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    victim: str, calls: int,
) -> None:  # fmt: skip
    count = 0

    def read(path: str, dir_fd: int | None = None, size: int = 4096) -> bytes | None:
        nonlocal count
        if path.startswith(victim):
            count += 1
            if count == calls + 1:
                box.end_process(int(victim))
        return reading.read(path, dir_fd, size)

    monkeypatch.setattr("lowmem_tui.host.sampler.read", read)
    monkeypatch.setattr(tasks, "read", read)
    units = settle(sampler, clock, 3)
    assert int(victim) not in {p.pid for u in units.values() for p in u.processes}


@pytest.mark.parametrize("calls", range(9))
def test_a_unit_that_vanishes_between_two_reads(
    box: Box, sampler: ProcSampler, clock: Clock, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    count = 0

    def read(path: str, dir_fd: int | None = None, size: int = 4096) -> bytes | None:
        nonlocal count
        if path.startswith(f".{REDIS}/"):
            count += 1
            if count == calls + 1:
                box.end_process(100)
                box.remove_group(REDIS)
        return reading.read(path, dir_fd, size)

    monkeypatch.setattr("lowmem_tui.host.groups.read", read)
    assert "redis.service" not in settle(sampler, clock, 5)


@pytest.mark.parametrize("odd", ["statm", "memory.current", "stat", "memory.stat", "cgroup"])
def test_what_cannot_be_read_of_one_takes_down_nothing_else(
    box: Box, clock: Clock, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    """An error that is one (EIO) is said, and all the rest is shown."""
    sampler = make_sampler(box, clock, descriptors=0)

    def fail(path: str, dir_fd: int | None = None, size: int = 4096) -> bytes | None:
        if path in {f"100/{odd}", f".{REDIS}/{odd}"}:
            raise OSError(errno.EIO, "Input/output error")
        return reading.read(path, dir_fd, size)

    for module in ("groups", "tasks", "sampler"):
        monkeypatch.setattr(f"lowmem_tui.host.{module}.read", fail)
    sample = sampler.sample()
    assert sample.units["web.service"].rss == 22 * MIB
    assert "Input/output error" in str(sample.notice)
    monkeypatch.undo()
    clock.now += 30
    settle(sampler, clock, 3)
    assert sampler.sample().notice == ""
    assert settle(sampler, clock, 1)["redis.service"].rss == 20 * MIB
    sampler.close()


def test_a_kept_descriptor_that_fails_keeps_the_last_values(
    box: Box, sampler: ProcSampler, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    before = settle(sampler, clock, 2)

    def pread(fd: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", pread)
    clock.now += 1
    sample = sampler.sample()
    assert sample.units.keys() == before.keys()
    assert "Input/output error" in str(sample.notice)


def test_a_group_nested_deeper_than_a_path_can_be(
    box: Box, sampler: ProcSampler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc/PID/cgroup answers ENAMETOOLONG: an ordinary user may do that in user@UID.service."""
    box.add_process(900, "/system.slice/web.service", name="deep", rss=MIB)

    def fail(path: str, dir_fd: int | None = None, size: int = 4096) -> bytes | None:
        return None if path == "900/cgroup" else reading.read(path, dir_fd, size)

    monkeypatch.setattr("lowmem_tui.host.sampler.read", fail)
    monkeypatch.setattr("lowmem_tui.host.sampler._too_deep", lambda pid, proc: pid == 900)
    assert settle(sampler, clock, 1)["web.service"].rss == 22 * MIB
    assert "1 process is not shown" in str(sampler.sample().notice)
    box.end_process(900)
    clock.now += 1
    assert sampler.sample().notice == ""


# What it holds on to


def test_what_has_not_changed_is_the_same_object(
    box: Box, sampler: ProcSampler, clock: Clock
) -> None:
    before = sampler.sample().units
    box.set_process(200, rss=11 * MIB, score=667)
    after = settle(sampler, clock, 2 * WALK)
    assert after["redis.service"] is before["redis.service"]
    assert after["web.service"] is not before["web.service"]
    assert after["web.service"].processes[1] is before["web.service"].processes[1]
    assert after["web.service"].memory is before["web.service"].memory


def test_a_sample_is_never_changed_once_handed_out(
    box: Box, sampler: ProcSampler, clock: Clock
) -> None:
    sample = sampler.sample()
    before = dict(sample.units)
    box.end_process(100)
    box.remove_group(REDIS)
    box.set_process(200, rss=MIB, score=1)
    tick(sampler, clock)
    assert sample.units == before


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("descriptors", [None, 0, 3, 9])
def test_no_descriptor_leaks_with_churn(
    tmp_path: Path, clock: Clock, descriptors: int | None
) -> None:
    box = make_tree(tmp_path / "tree", units=8, processes=8)
    mutator, chance = Mutator(box), random.Random(1)
    before = open_descriptors()
    sampler = make_sampler(box, clock, descriptors)
    most = 0
    running: dict[str, int] = {}
    for step in range(1000 if descriptors is None else 100):
        if step % 20 == 0:
            mutator.step()
        name = f"/system.slice/churn-{chance.randrange(4)}.service"
        if name in running:
            box.end_process(running.pop(name))
            box.remove_group(name)
        else:
            running[name] = 9000 + step
            box.add_group(name)
            box.add_process(9000 + step, name)
        tick(sampler, clock)
        most = max(most, open_descriptors() - before)
    held = sum(g.fd >= 0 for g in sampler._groups.values())
    held += sum(t.fd >= 0 for t in sampler._tasks.values())
    assert most <= 2 + (100 if descriptors is None else descriptors)
    assert open_descriptors() - before == held + 2
    sampler.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("descriptors", [0, 1, 5])
def test_values_are_the_same_without_descriptors(
    box: Box, sampler: ProcSampler, clock: Clock, descriptors: int
) -> None:
    other = make_sampler(box, clock, descriptors)
    assert other.sample().units == sampler.sample().units
    box.set_process(100, rss=25 * MIB, score=701)
    (box.cgroup / "system.slice/redis.service/memory.current").write_text(f"{9 * MIB}\n")
    box.end_process(201)
    assert tick(other, clock) == tick(sampler, clock)
    other.close()


def test_a_big_server_is_followed_truly(tmp_path: Path, clock: Clock) -> None:
    box = make_tree(tmp_path / "tree", units=40, processes=60)
    mutator = Mutator(box)
    sampler = make_sampler(box, clock)
    for _ in range(30):
        mutator.step()
        tick(sampler, clock)
    units = settle(sampler, clock, 2 * PERIOD)
    fresh = make_sampler(box, clock)
    truth = fresh.sample().units
    sampler.close()
    fresh.close()
    assert units == truth
