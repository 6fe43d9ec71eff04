"""What is declared, loaded and done, and in words why they differ. On the demo server."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.change.compare import Declared, Machine, expected, near, not_loaded
from lowmem_tui.change.situation import SettingsReader, situation
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.settings import CGROUP_FILES, render_value, same
from lowmem_tui.model.snapshot import Setting, Snapshot
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy import dropin
from tests.built import properties_of

if TYPE_CHECKING:
    from lowmem_tui.model.ports import Files
    from lowmem_tui.model.snapshot import Situation

REDIS = "redis-server.service"
OURS = dropin.path(REDIS)
MIB = 1 << 20


@pytest.fixture
def server() -> DemoServer:
    return DemoServer(0, lambda: 0.0)


def look(server: DemoServer, *names: str, files: Files | None = None) -> Situation:
    sample = server.sampler.sample()
    snapshot = Snapshot(sample.time, sample.monotonic, sample.host, {})
    files = files or server.files
    return situation(names, server.connect(), files, server.kernel, snapshot)


def setting(server: DemoServer, key: Key, unit: str = REDIS) -> Setting:
    return look(server, unit).units[unit].settings[key]


def test_nothing_differs_on_a_fresh_server(server: DemoServer) -> None:
    names = [u.name for u in server.connect().list_units()]
    differs = {
        (name, key)
        for name, found in look(server, *names).units.items()
        for key, each in found.settings.items()
        if each.differs
    }
    assert differs == set()


def test_what_keeps_the_killer_off_by_itself_is_no_difference(server: DemoServer) -> None:
    """As multipathd does: -1000 by its own hand, and no file sets anything."""

    def scored(score: int) -> str:
        group = "/system.slice/cron.service"
        for pid, start in server.kernel.processes(group):
            server.kernel.set_oom_score_adj(pid, start, score)
        return str(setting(server, Key.OOM_SCORE_ADJUST, "cron.service").differs)

    assert scored(-1000) == ""
    assert scored(-900) != ""
    server.files.write(dropin.path("cron.service"), "[Service]\nOOMScoreAdjust=-200\n")
    server.connect().reload()
    assert scored(-1000) != ""


def test_on_disk_then_loaded_then_done(server: DemoServer) -> None:
    server.files.write(OURS, "[Service]\nMemoryMax=333M\n")
    found = setting(server, Key.MEMORY_MAX)
    assert (found.declared, found.source) == ("333M", OURS)
    assert str(found.differs).startswith("Changed on disk, not reloaded")
    server.connect().reload()
    found = setting(server, Key.MEMORY_MAX)
    assert found.loaded == 333 * MIB
    assert found.kernel != found.loaded
    assert "memory.max of the running unit is" in str(found.differs)
    group = server.connect().properties([REDIS])[REDIS].control_group
    server.kernel.set_limit(group, "memory.max", 333 * MIB)
    assert setting(server, Key.MEMORY_MAX).differs == ""
    server.files.remove(OURS)
    assert setting(server, Key.MEMORY_MAX).differs != ""


def test_ours_takes_its_place_among_those_loaded(server: DemoServer) -> None:
    late = f"/etc/systemd/system/{REDIS}.d/zzz-late.conf"
    server.files.write(late, "[Service]\nMemoryMax=1G\n")
    server.connect().reload()
    server.files.write(OURS, "[Service]\nMemoryMax=333M\nRestart=no\n")
    assert setting(server, Key.MEMORY_MAX).source == late
    assert setting(server, Key.RESTART).source == OURS


def test_a_parent_caps(server: DemoServer) -> None:
    server.kernel.set_limit("/system.slice", "memory.max", 100 * MIB)
    found = setting(server, Key.MEMORY_MAX)
    assert found.effective == 100 * MIB
    assert found.capped_by == "system.slice"
    assert "system.slice above it allows only 100M" in str(found.differs)
    free = setting(server, Key.MEMORY_MAX, "nginx.service")
    assert (free.effective, free.capped_by, free.differs) == (100 * MIB, "system.slice", "")


@pytest.mark.parametrize("key", [Key.MEMORY_LOW, Key.MEMORY_MIN])
def test_the_slices_grant_a_protection(server: DemoServer, key: Key) -> None:
    path = dropin.path("cloudchat.service")
    server.files.write(path, f"[Service]\n{key}=100M\n")
    server.connect().reload()
    group = "/system.slice/cloudchat.service"
    server.kernel.set_limit(group, CGROUP_FILES[key], 100 * MIB)
    for granted, effective, by in (
        (10, 10, "system.slice"),
        (200, 100, None),
        (0, 0, "system.slice"),
    ):
        server.kernel.set_limit("/system.slice", CGROUP_FILES[key], granted * MIB)
        found = setting(server, key, "cloudchat.service")
        assert (found.effective, found.capped_by) == (effective * MIB, by)
        told = f"protects only {render_value(key, found.effective)}: set {key} there, too"
        assert (told in str(found.differs)) is bool(by)


def test_names(server: DemoServer) -> None:
    found = look(server, "nosuch.service", "ssh.service", "x y", "")
    assert list(found.units) == ["nosuch.service", "ssh.service", "x y", ""]
    assert found.units["nosuch.service"].settings == {}
    assert found.units["ssh.service"].drop_in is None
    assert found.swap


class Unreadable:
    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._files, name)

    def read(self, path: str) -> str | None:
        if path == self._path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return self._files.read(path)

    def obstacle(self, path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def test_what_cannot_be_read_is_not_known(server: DemoServer) -> None:
    server.files.write(OURS, "[Service]\nMemoryMax=333M\n")
    server.connect().reload()
    server.files.write(OURS, "[Service]\nMemoryMax=334M\n")
    files: Any = Unreadable(server.files, OURS)
    found = look(server, REDIS, files=files).units[REDIS]
    assert found.files[-1].path == OURS
    assert found.files[-1].text is None
    assert "reloaded" not in str(found.settings[Key.MEMORY_MAX].differs)
    assert "cannot be looked at" in str(found.obstacle)
    strict = SettingsReader(files, server.kernel, Machine(), strict=True)
    with pytest.raises(PermissionError):
        strict.settings(server.connect().properties([REDIS])[REDIS])


def test_pages_and_shares() -> None:
    assert same(Key.MEMORY_MAX, 100_000_001, 100_000_001 // 4096 * 4096, 4096)
    assert not same(Key.MEMORY_MAX, 8192, 4096, 4096)
    assert not same(Key.OOM_SCORE_ADJUST, 1, 2, 4096)
    assert not same(Key.MEMORY_MAX, 4096, INFINITY, 4096)
    assert near(Key.MEMORY_MAX, 8192, 4096)
    assert not near(Key.RESTART_SEC, 2, 1)
    assert expected(Key.MEMORY_MAX, "50%", Machine()) is None
    assert expected(Key.MEMORY_MAX, "50%", Machine(8192 << 10, 4096)) == 4096 << 10
    assert expected(Key.MEMORY_MAX, "banana", Machine()) is None
    assert expected(Key.MEMORY_MAX, "", Machine()) is INFINITY


def test_memory_limit_is_loaded_as_infinity() -> None:
    properties = properties_of("a.service", memory_max=INFINITY)
    legacy = Declared("100M", "/etc/systemd/system/a.service", legacy=True)
    assert not_loaded(Key.MEMORY_MAX, legacy, properties, Machine(1 << 30)) == ""
    current = Declared("100M", "/etc/systemd/system/a.service")
    words = not_loaded(Key.MEMORY_MAX, current, properties, Machine(1 << 30))
    assert "systemctl status" in str(words)


@pytest.mark.parametrize(
    ("key", "loaded", "told"),
    [
        (Key.MEMORY_MAX, {"memory_max": INFINITY}, False),
        (Key.MEMORY_MAX, {"memory_max": 100 * MIB}, True),
        (Key.OOM_SCORE_ADJUST, {"oom_score_adjust": 0}, False),
        (Key.OOM_SCORE_ADJUST, {"oom_score_adjust": 5}, True),
        (Key.RESTART, {"restart": "no"}, False),
        (Key.RESTART, {"restart": "always"}, True),
        # system.conf may say what these are where no file sets them.
        (Key.RESTART_SEC, {"restart_usec": 3_000_000}, False),
        (Key.OOM_POLICY, {"oom_policy": "continue"}, False),
    ],
)
def test_what_no_file_sets_any_more(key: Key, loaded: dict[str, Any], told: bool) -> None:
    properties = properties_of("a.service", need_daemon_reload=True, **loaded)
    said = not_loaded(key, None, properties, Machine(1 << 30))
    assert (f"no file sets {key} any more" in str(said)) is told


def places(found: Situation, key: Key, unit: str = REDIS) -> list[tuple[str, str, str]]:
    return [(s.path, s.value, s.standing) for s in found.units[unit].settings[key].sources]


def test_etc_is_read_instead_of_run_and_usr_lib(server: DemoServer) -> None:
    """Only of one name: the order of the names decides between others."""
    etc, run, lib = (
        f"{folder}/systemd/system/{REDIS}.d/50-a.conf" for folder in ("/etc", "/run", "/usr/lib")
    )
    first = f"/usr/lib/systemd/system/{REDIS}.d/10-b.conf"
    for path, limit in ((etc, "1G"), (run, "2G"), (lib, "3G"), (first, "4G")):
        server.files.write(path, f"[Service]\nMemoryHigh={limit}\n")
    server.connect().reload()
    found = situation_with_hidden(server, REDIS)
    assert places(found, Key.MEMORY_HIGH) == [
        (lib, "3G", "not read"),
        (run, "2G", "not read"),
        (first, "4G", "overridden"),
        (etc, "1G", "decides"),
    ]
    assert places(look(server, REDIS), Key.MEMORY_HIGH) == [
        (first, "4G", "overridden"),
        (etc, "1G", "decides"),
    ]


def test_a_fragment_in_etc_hides_the_package_s(server: DemoServer) -> None:
    lib, etc = f"/usr/lib/systemd/system/{REDIS}", f"/etc/systemd/system/{REDIS}"
    server.files.write(etc, "[Service]\nExecStart=/usr/bin/redis-server\nRestart=no\n")
    server.connect().reload()
    found = situation_with_hidden(server, REDIS)
    assert places(found, Key.RESTART) == [(lib, "always", "not read"), (etc, "no", "decides")]
    assert [file.path for file in found.units[REDIS].hidden] == [lib]


def test_the_drop_ins_of_a_template_and_of_its_instance(server: DemoServer) -> None:
    name = "worker@b.service"
    template = "/etc/systemd/system/worker@.service.d/40-all.conf"
    server.files.write(template, "[Service]\nOOMScoreAdjust=60\n")
    server.connect().reload()
    found = situation_with_hidden(server, name)
    assert places(found, Key.OOM_SCORE_ADJUST, name) == [
        (template, "60", "overridden"),
        (f"/etc/systemd/system/{name}.d/override.conf", "50", "decides"),
    ]
    assert places(found, Key.RESTART, name) == [
        ("/etc/systemd/system/worker@.service", "on-failure", "decides")
    ]


def test_our_drop_in_that_is_not_loaded_yet_is_among_the_places(server: DemoServer) -> None:
    server.files.write(OURS, "[Service]\nMemoryMax=333M\n")
    assert places(look(server, REDIS), Key.MEMORY_MAX) == [
        ("/etc/systemd/system/redis.service.d/override.conf", "256M", "overridden"),
        (OURS, "333M", "decides"),
    ]


def test_a_file_under_lib_is_not_hidden_by_itself(server: DemoServer) -> None:
    """Debian 12 reports /lib/systemd/system, which is /usr/lib/systemd/system."""
    files = Lib(server.files)
    reader = SettingsReader(files, server.kernel, Machine(1 << 30, 4096))
    properties = properties_of(
        REDIS, names=(REDIS,), fragment_path=f"/lib/systemd/system/{REDIS}", drop_in_paths=()
    )
    assert reader.hidden(properties) == ()


class Lib:
    """Files on a system where /lib is a link to /usr/lib."""

    def __init__(self, files: Any) -> None:  # noqa: ANN401
        self._files = files

    def read(self, path: str) -> str | None:
        text: str | None = self._files.read(f"/usr{path}" if path.startswith("/lib/") else path)
        return text

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._files, name)


def situation_with_hidden(server: DemoServer, name: str) -> Situation:
    sample = server.sampler.sample()
    snapshot = Snapshot(sample.time, sample.monotonic, sample.host, {})
    return situation([name], server.connect(), server.files, server.kernel, snapshot, hidden=True)
