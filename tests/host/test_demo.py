"""The demo server's machine: memory, the killer, systemd's reaction."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lowmem_tui.demo
from lowmem_tui.demo import roster
from lowmem_tui.demo.badness import badness, oom_score
from lowmem_tui.demo.machine import LONGEST_GAP
from lowmem_tui.demo.roster import MIB
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.unit import INFINITY, UnitProperties

if TYPE_CHECKING:
    from lowmem_tui.model.usage import Sample, UnitUsage
    from tests.host.conftest import Clock

CLOUDCHAT = "cloudchat.service"
REDIS = "redis-server.service"
REDIS_GROUP = "/system.slice/redis-server.service"
CLOUDCHAT_GROUP = "/system.slice/cloudchat.service"


@pytest.fixture
def server(clock: Clock) -> DemoServer:
    return DemoServer(0, clock)


def run(server: DemoServer, clock: Clock, seconds: float, every: float = 1.0) -> list[Sample]:
    samples = []
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(end, clock.now + every)
        samples.append(server.sampler.sample())
    return samples


def about(server: DemoServer, name: str) -> UnitProperties:
    manager = server.connect()
    try:
        return manager.properties([name])[name]
    finally:
        manager.close()


def until(server: DemoServer, clock: Clock, sub: str, limit: float = 900.0) -> UnitProperties:
    """Let time pass until cloudchat is in this state."""
    for _ in range(int(limit * 2)):
        clock.now += 0.5
        server.sampler.sample()
        if (seen := about(server, CLOUDCHAT)).sub_state == sub:
            return seen
    raise AssertionError(f"never {sub}")


def killed(server: DemoServer, clock: Clock, every: float) -> tuple[Sample, Sample]:
    """Let time pass until somebody is killed; return the samples before and after."""
    before = server.sampler.sample()
    for _ in range(int(3000 / every)):
        clock.now += every
        after = server.sampler.sample()
        if after.host.oom_kills:
            return before, after
        before = after
    raise AssertionError("nobody was killed")


class TestIsTheSameEachTime:
    def test_for_the_same_seed_and_clock(self, clock: Clock) -> None:
        one = DemoServer(7, clock)
        other = DemoServer(7, clock)
        assert run(one, clock, 300, 10)[-1] == other.sampler.sample()

    def test_whatever_the_rhythm_of_looking(self) -> None:
        final = []
        for every in (0.3, 1.0, 7.0, 230.0):
            now = [50.0]
            server = DemoServer(0, lambda now=now: now[0])  # type: ignore[misc]
            while now[0] < 280:
                now[0] = min(280.0, now[0] + every)
                server.sampler.sample()
            final.append(server.sampler.sample())
        assert all(sample == final[0] for sample in final)

    def test_wherever_the_clock_begins(self) -> None:
        now = [0.0]
        early = DemoServer(0, lambda: now[0])
        late = DemoServer(0, lambda: now[0] + 1e6)
        now[0] = 60.0
        assert early.sampler.sample() == late.sampler.sample()

    def test_another_seed_is_another_server(self, clock: Clock) -> None:
        one, other = DemoServer(0, clock), DemoServer(1, clock)
        clock.now += 60
        assert one.sampler.sample().units[CLOUDCHAT] != other.sampler.sample().units[CLOUDCHAT]

    def test_a_day_of_sleep_is_not_caught_up_with(self, server: DemoServer, clock: Clock) -> None:
        clock.now += 86_400 * 30
        sample = server.sampler.sample()
        assert sample.host.uptime == pytest.approx(roster.UPTIME + LONGEST_GAP, abs=1)
        clock.now += 1
        assert server.sampler.sample().monotonic == pytest.approx(sample.monotonic + 1)


class TestSample:
    def test_is_the_server_of_the_guide(self, server: DemoServer) -> None:
        sample = server.sampler.sample()
        host = sample.host
        assert (host.hostname, host.mem_total // MIB, host.swap_total // MIB) == (
            "web-1",
            967,
            2047,
        )
        assert sample.units[CLOUDCHAT].memory.max == 600 * MIB
        assert sample.units[REDIS].memory.max == 256 * MIB
        assert {p.oom_score_adj for p in sample.units[REDIS].processes} == {-100}
        assert {p.oom_score_adj for p in sample.units["ssh.service"].processes} == {-1000}
        assert "session-3.scope" in sample.units

    def test_what_is_started_at_boot_is_listed_though_it_is_down(self, server: DemoServer) -> None:
        manager = server.connect()
        listed = manager.properties(unit.name for unit in manager.list_units())
        assert listed["unattended-upgrades.service"].active_state == "inactive"
        assert listed["ModemManager.service"].active_state == "inactive"
        assert "rsync.service" not in listed

    def test_the_root_comes_first_and_slices_hold_their_units(self, server: DemoServer) -> None:
        units = server.sampler.sample().units
        assert next(iter(units)) == "-.slice"
        assert units["-.slice"].memory.current is None
        assert units["-.slice"].memory.max is INFINITY
        for field in ("current", "anon", "file", "kernel", "swap"):
            parts = [
                getattr(u.memory, field)
                for u in units.values()
                if u.cgroup.startswith("/system.slice/") and not u.name.endswith(".slice")
            ]
            assert getattr(units["system.slice"].memory, field) == sum(parts)

    def test_sums_agree(self, server: DemoServer, clock: Clock) -> None:
        for sample in run(server, clock, 400, 5):
            leaves = [u for u in sample.units.values() if not u.name.endswith(".slice")]
            for unit in leaves:
                memory = unit.memory
                assert memory.current == (memory.anon or 0) + (memory.file or 0) + (
                    memory.kernel or 0
                )
                assert unit.rss == sum(p.rss for p in unit.processes)
                assert memory.swap == sum(p.swap or 0 for p in unit.processes)
                assert memory.peak is not None and memory.peak >= (memory.current or 0)
                assert all(p.rss % 4096 == 0 and p.rss > 0 for p in unit.processes)
            host = sample.host
            assert host.swap_used == sum(u.memory.swap or 0 for u in leaves)
            assert 0 < host.mem_free <= host.mem_available < host.mem_total

    def test_scores_are_the_kernels(self, server: DemoServer) -> None:
        total = (roster.RAM + roster.SWAP) // 4096
        for unit in server.sampler.sample().units.values():
            for p in unit.processes:
                assert p.swap is not None and p.page_tables is not None
                assert p.oom_score_adj is not None
                pages = (p.rss + p.swap + p.page_tables) // 4096
                expected = 0 if p.pid == 1 else oom_score(pages, p.oom_score_adj, total)
                assert p.oom_score == expected

    def test_the_fattest_gunicorn_is_next_victim(self, server: DemoServer) -> None:
        everybody = [p for u in server.sampler.sample().units.values() for p in u.processes]
        next_one = max(everybody, key=lambda p: p.oom_score or 0)
        assert (next_one.name, next_one.pid) == ("gunicorn", 912)

    def test_what_has_not_changed_is_the_same_object(
        self, server: DemoServer, clock: Clock
    ) -> None:
        first = server.sampler.sample()
        clock.now += 1
        second = server.sampler.sample()
        assert second.units["cron.service"] is first.units["cron.service"]
        assert second.units[CLOUDCHAT] is not first.units[CLOUDCHAT]
        master = first.units[CLOUDCHAT].processes[0]
        assert master.pid == 908

    def test_pids_are_unique(self, server: DemoServer, clock: Clock) -> None:
        for sample in run(server, clock, 400, 10):
            pids = [p.pid for u in sample.units.values() for p in u.processes]
            assert len(set(pids)) == len(pids)


class TestLeak:
    def test_fills_the_limit_is_killed_and_comes_back(
        self, server: DemoServer, clock: Clock
    ) -> None:
        before = server.sampler.sample()
        dying = until(server, clock, "stop-sigterm")
        sample = server.sampler.sample()
        assert clock.now - 1000 > 60
        assert dying.result == "oom-kill"
        assert sample.units[CLOUDCHAT].memory.oom_kills == 1
        assert sample.units["system.slice"].memory.oom_kills == 1
        assert sample.host.oom_kills == 1
        assert 912 not in {p.pid for p in sample.units[CLOUDCHAT].processes}

        waiting = until(server, clock, "auto-restart")
        assert (waiting.active_state, waiting.result) == ("activating", "oom-kill")
        assert (waiting.main_pid, waiting.control_group) == (0, "")
        assert CLOUDCHAT not in server.sampler.sample().units
        down = clock.now

        back = until(server, clock, "running")
        assert clock.now - down == pytest.approx(3.0, abs=0.5)
        assert (back.n_restarts, back.result) == (1, "success")
        after = server.sampler.sample()
        old = {p.pid for p in before.units[CLOUDCHAT].processes}
        new = {p.pid for p in after.units[CLOUDCHAT].processes}
        assert len(new) == 3 and not old & new
        assert back.main_pid == min(new)
        assert after.units[CLOUDCHAT].memory.oom_kills == 0
        assert after.units[CLOUDCHAT].swap == 0
        assert after.host.oom_kills == 1

    def test_goes_on_indefinitely(self, server: DemoServer, clock: Clock) -> None:
        last = run(server, clock, 1300, 60)[-1]
        assert last.host.oom_kills == 3
        assert about(server, CLOUDCHAT).n_restarts == 3

    def test_never_passes_its_limits(self, server: DemoServer, clock: Clock) -> None:
        for sample in run(server, clock, 700):
            if unit := sample.units.get(CLOUDCHAT):
                assert (unit.memory.current or 0) <= 600 * MIB
                assert (unit.memory.swap or 0) <= 200 * MIB

    def test_pressure_rises_towards_the_kill(self, server: DemoServer, clock: Clock) -> None:
        calm = server.sampler.sample()
        until(server, clock, "stop-sigterm")
        hard = server.sampler.sample()
        for one, other in (
            (calm.host.pressure, hard.host.pressure),
            (calm.units[CLOUDCHAT].memory.pressure, hard.units[CLOUDCHAT].memory.pressure),
        ):
            assert one is not None and other is not None
            assert one.some.avg10 == 0
            assert other.some.avg10 > 3
            assert other.full is not None and other.full.avg10 < other.some.avg10
            assert other.some.total_usec > one.some.total_usec

    def test_the_timer_runs_certbot_now_and_then(self, server: DemoServer, clock: Clock) -> None:
        seen = ["certbot.service" in s.units for s in run(server, clock, 900)]
        runs = [key for key, _ in itertools.groupby(seen)]
        assert runs == [False, True, False, True, False]
        assert about(server, "certbot.service").result == "success"


class TestKernel:
    def test_a_lower_limit_first_pushes_out(self, server: DemoServer) -> None:
        before = server.sampler.sample().units[REDIS]
        server.kernel.set_limit(REDIS_GROUP, "memory.max", 50 * MIB)
        after = server.sampler.sample().units[REDIS]
        assert (after.memory.current or 0) <= 50 * MIB
        assert (after.swap or 0) > (before.swap or 0)
        assert after.memory.oom_kills == 0

    def test_a_limit_below_what_it_holds_kills(self, server: DemoServer) -> None:
        server.kernel.set_limit(REDIS_GROUP, "memory.swap.max", 0)
        server.kernel.set_limit(REDIS_GROUP, "memory.max", 40 * MIB)
        after = server.sampler.sample()
        assert after.host.oom_kills == 1
        assert about(server, REDIS).result == "oom-kill"

    def test_the_killed_unit_comes_back_under_the_loaded_limit(
        self, server: DemoServer, clock: Clock
    ) -> None:
        server.kernel.set_limit(REDIS_GROUP, "memory.swap.max", 0)
        server.kernel.set_limit(REDIS_GROUP, "memory.max", 40 * MIB)
        run(server, clock, 10)
        assert about(server, REDIS).sub_state == "running"
        assert server.kernel.limit(REDIS_GROUP, "memory.max") == 256 * MIB
        assert server.kernel.limit(REDIS_GROUP, "memory.swap.max") is INFINITY

    def test_a_slice_bounds_what_is_below_it(self, server: DemoServer) -> None:
        server.kernel.set_limit("/system.slice", "memory.max", 400 * MIB)
        units = server.sampler.sample().units
        assert (units["system.slice"].memory.current or 0) <= 400 * MIB

    def test_without_any_limit_the_machine_itself_runs_out(
        self, server: DemoServer, clock: Clock
    ) -> None:
        for file in ("memory.max", "memory.swap.max"):
            server.kernel.set_limit(CLOUDCHAT_GROUP, file, INFINITY)
        before, after = killed(server, clock, 10)
        assert after.host.oom_kills == 1
        assert before.host.swap_free < 100 * MIB
        assert (before.units[CLOUDCHAT].swap or 0) > 1500 * MIB
        assert about(server, REDIS).n_restarts == 0

    def test_whom_it_kills_is_decided_by_the_score(self, server: DemoServer, clock: Clock) -> None:
        for file in ("memory.max", "memory.swap.max"):
            server.kernel.set_limit(CLOUDCHAT_GROUP, file, INFINITY)
        for pid, start in server.kernel.processes(CLOUDCHAT_GROUP):
            assert server.kernel.set_oom_score_adj(pid, start, -1000)
        _, after = killed(server, clock, 10)
        assert len(after.units[CLOUDCHAT].processes) == 3
        assert about(server, CLOUDCHAT).n_restarts == 0

    def test_memory_high_slows_and_does_not_kill(self, server: DemoServer, clock: Clock) -> None:
        server.kernel.set_limit(CLOUDCHAT_GROUP, "memory.high", 300 * MIB)
        sample = run(server, clock, 60)[-1]
        pressure = sample.units[CLOUDCHAT].memory.pressure
        assert sample.host.oom_kills == 0
        assert pressure is not None and pressure.some.avg10 > 50

    def test_a_group_that_is_not_there(self, server: DemoServer) -> None:
        assert server.kernel.limit("/system.slice/nope.service", "memory.max") is None
        assert server.kernel.limit("/", "memory.max") is None
        assert server.kernel.limit(REDIS_GROUP, "memory.none") is None
        with pytest.raises(FileNotFoundError):
            server.kernel.set_limit("/system.slice/nope.service", "memory.max", 1)

    def test_a_process_is_known_by_its_start(self, server: DemoServer) -> None:
        ((pid, start),) = server.kernel.processes(REDIS_GROUP)
        assert server.kernel.oom_score_adj(pid, start) == -100
        assert server.kernel.oom_score_adj(pid, start + 1) is None
        assert not server.kernel.set_oom_score_adj(pid, start + 1, 0)
        assert server.kernel.set_oom_score_adj(pid, start, -300)
        assert server.sampler.sample().units[REDIS].processes[0].oom_score_adj == -300

    def test_a_worker_inherits_its_masters_score(self, server: DemoServer, clock: Clock) -> None:
        path = "/etc/systemd/system/cloudchat.service.d/x.conf"
        server.files.write(path, "[Service]\nOOMPolicy=continue\n")
        server.connect().reload()
        for pid, start in server.kernel.processes(CLOUDCHAT_GROUP):
            server.kernel.set_oom_score_adj(pid, start, -50)
        killed(server, clock, 1)
        after = run(server, clock, 5)[-1].units[CLOUDCHAT]
        assert about(server, CLOUDCHAT).n_restarts == 0
        assert len(after.processes) == 3
        assert {p.oom_score_adj for p in after.processes} == {-50}
        assert after.memory.oom_kills == 1


def test_badness_is_the_kernels() -> None:
    # 512 pages at +500 of 4 GiB: 512 + 500 * (1048576 // 1000)
    assert badness(512, 500, 1 << 20) == 512 + 500 * 1048
    assert badness(512, -1000, 1 << 20) is None
    assert oom_score(0, 0, 1 << 20) == 666
    assert oom_score(0, -1000, 1 << 20) == 0
    assert oom_score(0, -999, 1 << 20) == 1
    assert oom_score(1 << 20, 1000, 1 << 20) == 1999


def largest_gap(samples: list[UnitUsage]) -> int:
    return max(abs((b.rss or 0) - (a.rss or 0)) for a, b in itertools.pairwise(samples))


def test_redis_breathes(server: DemoServer, clock: Clock) -> None:
    sizes = [s.units[REDIS] for s in run(server, clock, 100)]
    assert 0 < largest_gap(sizes) < 8 * MIB
    assert {(u.rss or 0) // MIB for u in sizes} <= set(range(40, 75))


def test_nothing_of_this_machine_is_looked_at() -> None:
    """No module of the demo imports what could open, list or start anything."""
    parsers = {"lowmem_tui.host.logs.kernel_log", "lowmem_tui.host.logs.task_table"}
    allowed = {"json", "math", "time", "threading", "shlex", "collections", "contextlib", "typing"}
    for module in Path(lowmem_tui.demo.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "exec", "eval", "__import__"}
            for name in names:
                own = name in parsers or name.startswith(("lowmem_tui.demo", "lowmem_tui.model"))
                assert own or name.split(".")[0] in allowed | {"__future__"}, (
                    f"{module.name}: {name}"
                )
