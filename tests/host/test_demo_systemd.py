"""The demo server's systemd: what it loads, when, and what it announces."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.demo.roster import MIB
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import ManagerError, ManagerGoneError
from lowmem_tui.model.ports import Changes
from lowmem_tui.model.unit import INFINITY, Key, UnitProperties

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.demo.ports import DemoManager
    from tests.host.conftest import Clock

REDIS = "redis-server.service"
REDIS_GROUP = "/system.slice/redis-server.service"
OURS = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"
NOTHING = Changes(frozenset(), reloaded=False)


@pytest.fixture
def server(clock: Clock) -> DemoServer:
    return DemoServer(0, clock)


@pytest.fixture
def manager(server: DemoServer) -> Iterator[DemoManager]:
    manager = server.connect()
    yield manager
    manager.close()


def one(manager: DemoManager, name: str) -> UnitProperties:
    return manager.properties([name])[name]


class TestProperties:
    def test_an_alias_gives_its_unit(self, manager: DemoManager) -> None:
        redis = one(manager, "redis.service")
        assert redis.name == REDIS
        assert redis.names == (REDIS, "redis.service")
        # The administrator's file is under the alias and counts.
        assert redis.drop_in_paths == ("/etc/systemd/system/redis.service.d/override.conf",)
        assert (redis.memory_max, redis.oom_score_adjust) == (256 * MIB, -100)

    def test_cloudchat(self, manager: DemoManager) -> None:
        cloudchat = one(manager, "cloudchat.service")
        assert cloudchat.memory_max == 600 * MIB
        assert (cloudchat.restart, cloudchat.restart_usec) == ("always", 3_000_000)
        assert "gevent" in cloudchat.exec_start
        assert cloudchat.main_pid == 908

    def test_what_is_not_there(self, manager: DemoManager) -> None:
        nope = one(manager, "nope.service")
        assert (nope.load_state, nope.exists) == ("not-found", False)
        assert nope.memory_max is None

    def test_a_masked_unit(self, manager: DemoManager) -> None:
        masked = one(manager, "multipathd.service")
        assert (masked.load_state, masked.unit_file_state) == ("masked", "masked")
        with pytest.raises(ManagerError, match="masked"):
            manager.restart_unit("multipathd.service")

    def test_instances(self, manager: DemoManager) -> None:
        a, b = one(manager, "worker@a.service"), one(manager, "worker@b.service")
        assert a.fragment_path == b.fragment_path == "/etc/systemd/system/worker@.service"
        assert (a.oom_score_adjust, b.oom_score_adjust) == (0, 50)
        assert b.exec_start[-1] == "b"
        assert a.slice == "system-worker.slice"
        unborn = one(manager, "worker@c.service")
        assert (unborn.load_state, unborn.active_state) == ("loaded", "inactive")

    def test_kinds(self, manager: DemoManager) -> None:
        assert one(manager, "session-3.scope").transient
        assert one(manager, "certbot.service").triggered_by == ("certbot.timer",)
        assert one(manager, "nginx.service").required_by == ("multi-user.target",)
        assert one(manager, "user-1000.slice").drop_in_paths == (
            "/usr/lib/systemd/system/user-.slice.d/10-defaults.conf",
        )
        assert one(manager, "systemd-sysctl.service").sub_state == "exited"
        assert one(manager, "certbot.timer").memory_max is None
        assert one(manager, "rsync.service").unit_file_state == "disabled"

    def test_every_listed_unit_can_be_described(self, manager: DemoManager) -> None:
        listed = manager.list_units()
        assert len({u.name for u in listed}) == len(listed) > 35
        for unit, p in zip(
            listed, manager.properties([u.name for u in listed]).values(), strict=True
        ):
            assert (unit.name, unit.load_state) == (p.name, p.load_state)
            assert not p.need_daemon_reload
        states = manager.list_unit_files()
        assert states["redis.service"] == "alias"
        assert states["certbot.service"] == "static"

    def test_kernel_and_systemd_agree_at_first(
        self, server: DemoServer, manager: DemoManager
    ) -> None:
        for unit in server.sampler.sample().units.values():
            if unit.name != "-.slice":
                p = one(manager, unit.name)
                assert p.control_group == unit.cgroup
                assert (unit.memory.max, unit.memory.high) == (p.memory_max, p.memory_high)


class TestReload:
    def test_loaded_changes_and_the_kernel_does_not(
        self, server: DemoServer, manager: DemoManager
    ) -> None:
        server.files.write(OURS, "[Service]\nMemoryMax=100M\nOOMScoreAdjust=-50\n")
        assert one(manager, REDIS).need_daemon_reload
        assert one(manager, REDIS).memory_max == 256 * MIB
        manager.reload()
        after = one(manager, REDIS)
        assert not after.need_daemon_reload
        assert (after.memory_max, after.oom_score_adjust) == (100 * MIB, -50)
        assert after.drop_in_paths[-1] == OURS
        assert server.kernel.limit(REDIS_GROUP, "memory.max") == 256 * MIB
        ((pid, start),) = server.kernel.processes(REDIS_GROUP)
        assert server.kernel.oom_score_adj(pid, start) == -100

    def test_a_start_takes_what_is_loaded(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        server.files.write(OURS, "[Service]\nMemoryMax=100M\nOOMScoreAdjust=-50\n")
        manager.reload()
        manager.restart_unit("redis.service")
        assert one(manager, REDIS).active_state == "deactivating"
        clock.now += 3
        assert server.kernel.limit(REDIS_GROUP, "memory.max") == 100 * MIB
        ((pid, start),) = server.kernel.processes(REDIS_GROUP)
        assert pid != 845
        assert server.kernel.oom_score_adj(pid, start) == -50
        assert one(manager, REDIS).main_pid == pid

    def test_removing_restores_what_was(self, server: DemoServer, manager: DemoManager) -> None:
        before = one(manager, REDIS)
        server.files.write(OURS, "[Service]\nMemoryMax=100M\n")
        manager.reload()
        server.files.remove(OURS)
        assert one(manager, REDIS).need_daemon_reload
        manager.reload()
        assert one(manager, REDIS) == before
        with pytest.raises(FileNotFoundError):
            server.files.remove(OURS)

    @pytest.mark.parametrize(
        ("text", "key", "loaded"),
        [
            ("MemoryMax=banana", Key.MEMORY_MAX, 256 * MIB),
            ("MemoryMax=", Key.MEMORY_MAX, INFINITY),
            ("MemoryMax=10%", Key.MEMORY_MAX, 990_208 * 1024 // 4096 // 10 * 4096),
            ("OOMScoreAdjust=5000", Key.OOM_SCORE_ADJUST, -100),
            ("OOMScoreAdjust=", Key.OOM_SCORE_ADJUST, 0),
            ("Restart=", Key.RESTART, "always"),
            ("RestartSec=1min 30s", Key.RESTART_SEC, 90_000_000),
            ("OOMPolicy=kill", Key.OOM_POLICY, "kill"),
            ("MemoryHigh=64M", Key.MEMORY_HIGH, 64 * MIB),
        ],
    )
    def test_values_as_systemd_takes_them(
        self, server: DemoServer, manager: DemoManager, text: str, key: Key, loaded: object
    ) -> None:
        server.files.write(OURS, f"[Service]\n{text}\n")
        manager.reload()
        assert one(manager, REDIS).loaded(key) == loaded

    def test_the_last_file_name_wins(self, server: DemoServer, manager: DemoManager) -> None:
        server.files.write(OURS, "[Service]\nMemoryMax=100M\n")
        later = f"/run/systemd/system/{REDIS}.d/zzz-trial.conf"
        server.files.write(later, "[Service]\nMemoryMax=90M\n")
        early = "/usr/lib/systemd/system/service.d/10-all.conf"
        server.files.write(early, "[Service]\nMemoryMax=80M\nRestartSec=7\n")
        manager.reload()
        redis = one(manager, REDIS)
        assert redis.memory_max == 90 * MIB
        assert redis.restart_usec == 7_000_000
        assert redis.drop_in_paths[0] == early
        assert redis.drop_in_paths[-2:] == (OURS, later)

    def test_always_on_a_oneshot_is_a_bad_setting(
        self, server: DemoServer, manager: DemoManager
    ) -> None:
        path = "/etc/systemd/system/certbot.service.d/x.conf"
        server.files.write(path, "[Service]\nRestart=always\n")
        manager.reload()
        assert one(manager, "certbot.service").load_state == "bad-setting"
        with pytest.raises(ManagerError):
            manager.restart_unit("certbot.service")

    def test_a_link_is_an_obstacle(self, server: DemoServer) -> None:
        assert "link" in str(server.files.obstacle("/etc/systemd/system/multipathd.service"))
        assert server.files.obstacle(OURS) is None
        assert server.files.read("/etc/systemd/system/multipathd.service") == ""
        assert server.files.read(OURS) is None


class TestRestart:
    def test_refusals(self, manager: DemoManager) -> None:
        for name in ("nope.service", "session-3.scope"):
            with pytest.raises(ManagerError):
                manager.restart_unit(name)

    def test_a_unit_that_does_not_run_is_started(
        self, server: DemoServer, manager: DemoManager
    ) -> None:
        manager.restart_unit("logrotate.service")
        assert one(manager, "logrotate.service").active_state == "activating"
        assert "logrotate.service" in server.sampler.sample().units

    def test_no_restart_leaves_it_failed(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        server.files.write(OURS, "[Service]\nRestart=no\n")
        manager.reload()
        server.kernel.set_limit(REDIS_GROUP, "memory.max", 8 * MIB)
        clock.now += 5
        failed = one(manager, REDIS)
        assert (failed.active_state, failed.result) == ("failed", "oom-kill")
        manager.reset_failed_unit(REDIS)
        assert one(manager, REDIS).active_state == "inactive"

    def test_a_quick_restart_runs_into_the_start_limit(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        server.files.write(
            OURS, "[Service]\nMemoryMax=4M\nMemorySwapMax=0\nRestartSec=100ms\nOOMPolicy=kill\n"
        )
        manager.reload()
        manager.restart_unit(REDIS)
        clock.now += 30
        failed = one(manager, REDIS)
        assert (failed.sub_state, failed.result) == ("failed", "start-limit-hit")

    def test_three_seconds_never_do(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        server.files.write(OURS, "[Service]\nMemoryMax=4M\nMemorySwapMax=0\nRestartSec=3\n")
        manager.reload()
        manager.restart_unit(REDIS)
        clock.now += 120
        again = one(manager, REDIS)
        assert again.sub_state != "failed"
        assert (again.n_restarts or 0) > 15


class TestStopAndTimer:
    def test_a_stopped_unit_stays_stopped(self, manager: DemoManager, clock: Clock) -> None:
        manager.stop_unit(REDIS)
        clock.now += 30
        assert one(manager, REDIS).active_state == "inactive"
        manager.stop_unit("nope.service")

    def test_a_stop_ends_the_wait_for_a_restart(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        server.kernel.set_limit(REDIS_GROUP, "memory.max", MIB)
        clock.now += 1.1
        assert one(manager, REDIS).sub_state == "auto-restart"
        manager.stop_unit(REDIS)
        clock.now += 30
        assert one(manager, REDIS).active_state == "inactive"

    def test_the_revert_timer_runs_its_command_once(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        ran: list[tuple[str, ...]] = []

        def execute(command: Sequence[str]) -> None:
            ran.append(tuple(command))
            server.connect().reload()  # what it does is done within the step

        server.execute = execute
        manager.start_revert_timer("lowmem-tui-trial", 120, ["/bin/sh", "/run/x"])
        with pytest.raises(ManagerError):
            manager.start_revert_timer("lowmem-tui-trial", 120, ["/bin/sh", "/run/x"])
        manager.subscribe()
        assert one(manager, "lowmem-tui-trial.timer").active_state == "active"
        clock.now += 119
        server.sampler.sample()
        assert ran == []
        clock.now += 10
        server.sampler.sample()
        assert ran == [("/bin/sh", "/run/x")]
        assert not one(manager, "lowmem-tui-trial.timer").exists
        assert manager.changes(0).reloaded

    def test_a_stopped_timer_runs_nothing(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        ran: list[Sequence[str]] = []
        server.execute = ran.append
        manager.start_revert_timer("lowmem-tui-trial", 5, ["/bin/true"])
        manager.stop_unit("lowmem-tui-trial.timer")
        clock.now += 30
        server.sampler.sample()
        assert ran == []


def test_the_store(server: DemoServer) -> None:
    store = server.store
    store.write("/var/lib/lowmem-tui/1.json", "{}")
    store.write("/run/lowmem-tui/x", "y")
    assert store.names("/var/lib/lowmem-tui") == ["1.json"]
    assert store.read("/run/lowmem-tui/x") == "y"
    store.remove("/run/lowmem-tui/x")
    store.remove("/run/lowmem-tui/x")
    assert store.read("/run/lowmem-tui/x") is None
    assert server.files.read("/var/lib/lowmem-tui/1.json") is None


class TestSignals:
    def test_nothing_before_subscribing(self, server: DemoServer, manager: DemoManager) -> None:
        manager.reload()
        assert manager.changes(0) == NOTHING
        manager.subscribe()
        assert manager.changes(0) == NOTHING

    def test_reload_kill_restart(
        self, server: DemoServer, manager: DemoManager, clock: Clock
    ) -> None:
        manager.subscribe()
        other = server.connect()
        other.subscribe()
        other.reload()
        assert manager.changes(0) == Changes(frozenset(), reloaded=True)
        assert other.changes(0) == Changes(frozenset(), reloaded=True)
        other.restart_unit(REDIS)
        assert manager.changes(0).units == {REDIS}
        clock.now += 3
        assert manager.changes(0).units == {REDIS}
        assert manager.changes(0) == NOTHING
        server.kernel.set_limit(REDIS_GROUP, "memory.max", MIB)
        assert manager.changes(0).units == {REDIS}

    def test_waits_for_the_next_one(self, server: DemoServer, manager: DemoManager) -> None:
        manager.subscribe()
        began = time.monotonic()
        assert manager.changes(0.05) == NOTHING
        assert time.monotonic() - began >= 0.04
        other = threading.Thread(target=lambda: server.connect().reload())
        timer = threading.Timer(0.05, other.start)
        timer.start()
        assert manager.changes(10).reloaded
        timer.join()
        other.join()

    def test_closed(self, manager: DemoManager) -> None:
        manager.close()
        with pytest.raises(ManagerGoneError):
            manager.list_units()
        with pytest.raises(ManagerGoneError):
            manager.changes(0)
