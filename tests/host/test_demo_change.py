"""A change on the demo server goes the whole way, with the same hands as on a real machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.change.steps import Ports
from lowmem_tui.change.verify import verify
from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.roster import MIB
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import ChangedError, NotPermittedError, RefusedError
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.plan import parse_set, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.snapshot import Setting
    from lowmem_tui.model.unit import Limit
    from tests.host.conftest import Clock

REDIS = "redis-server.service"
CLOUDCHAT = "cloudchat.service"


@pytest.fixture
def server(clock: Clock) -> DemoServer:
    return DemoServer(0, clock)


@pytest.fixture
def backend(server: DemoServer) -> Iterator[ServerBackend]:
    with contextlib.closing(serve(server)) as backend:
        backend.wait_ready()
        yield backend


def make(backend: ServerBackend, *sets: str) -> Plan:
    edits = [parse_set(text) for text in sets]
    return plan(edits, backend.situation(dict.fromkeys(edit.unit for edit in edits)))


def setting(backend: ServerBackend, unit: str, key: Key) -> Setting:
    return backend.situation([unit]).units[unit].settings[key]


def test_the_watcher_shows_the_whole_server(backend: ServerBackend) -> None:
    snapshot = backend.look()
    assert backend.demo
    assert not snapshot.notice
    assert not snapshot.loading
    for unit in snapshot.units.values():
        assert unit.properties is not None
        assert unit.properties.name == unit.name
    assert snapshot.units["certbot.service"].usage is None


def test_nothing_differs_at_first(backend: ServerBackend) -> None:
    names = [n for n in backend.look().units if not n.endswith(".slice")]
    found = backend.situation(names)
    differing = {
        name
        for name, unit in found.units.items()
        if any(setting.differs for setting in unit.settings.values())
    }
    assert differing == set()


@pytest.mark.parametrize(
    ("unit", "key", "text", "value"),
    [
        (REDIS, Key.MEMORY_MAX, "200M", 200 * MIB),
        (REDIS, Key.MEMORY_HIGH, "150M", 150 * MIB),
        (REDIS, Key.OOM_SCORE_ADJUST, "-300", -300),
        (CLOUDCHAT, Key.OOM_SCORE_ADJUST, "-100", -100),
        (CLOUDCHAT, Key.MEMORY_SWAP_MAX, "1G", 1024 * MIB),
        ("nginx.service", Key.MEMORY_MAX, "64M", 64 * MIB),
        ("worker@b.service", Key.MEMORY_MAX, "10%", 990_208 * 1024 // 4096 // 10 * 4096),
    ],
)
def test_declared_is_loaded_is_in_the_kernel(
    backend: ServerBackend, unit: str, key: Key, text: str, value: int
) -> None:
    outcome = backend.apply(make(backend, f"{unit}:{key}={text}"))
    path = f"/etc/systemd/system/{unit}.d/zz-lowmem-tui.conf"
    assert outcome.mismatches == ()
    assert outcome.files == (path,)
    now = setting(backend, unit, key)
    assert (now.declared, now.source) == (text, path)
    assert (now.loaded, now.kernel) == (value, value)


def test_a_batch_under_an_alias_and_back_again(backend: ServerBackend) -> None:
    before = backend.situation([REDIS, CLOUDCHAT])
    outcome = backend.apply(
        make(
            backend,
            "redis.service:MemoryMax=128M",
            "redis.service:RestartSec=5",
            "cloudchat.service:OOMScoreAdjust=100",
        )
    )
    assert outcome.mismatches == ()
    assert len(outcome.files) == 2
    after = backend.situation([REDIS]).units[REDIS]
    assert after.settings[Key.RESTART_SEC].loaded == 5_000_000
    backend.apply(
        make(
            backend,
            f"{REDIS}:MemoryMax=",
            f"{REDIS}:RestartSec=",
            "cloudchat.service:OOMScoreAdjust=",
        )
    )
    again = backend.situation([REDIS, CLOUDCHAT])
    for name, unit in again.units.items():
        assert unit.drop_in is None
        assert unit.files == before.units[name].files
        assert unit.settings == before.units[name].settings


def test_a_restart_brings_what_waited_for_it(
    server: DemoServer, backend: ServerBackend, clock: Clock
) -> None:
    outcome = backend.apply(make(backend, f"{REDIS}:OOMPolicy=kill"))
    assert outcome.mismatches == ()
    group = server.sampler.sample().units[REDIS].memory.oom_group
    assert group is False
    server.connect().restart_unit(REDIS)
    clock.now += 3
    assert server.sampler.sample().units[REDIS].memory.oom_group is True


@pytest.mark.parametrize(
    "wish",
    [
        "certbot.service:Restart=always",
        "multipathd.service:OOMScoreAdjust=0",
        "nope.service:OOMScoreAdjust=0",
        "cloudchat.service:MemoryMax=100M",
    ],
)
def test_refusals_write_nothing(server: DemoServer, backend: ServerBackend, wish: str) -> None:
    files = dict(server.disk.entries)
    made = make(backend, wish)
    assert made.refused(force=False)
    with pytest.raises(RefusedError):
        backend.apply(made)
    assert server.disk.entries == files


@pytest.mark.parametrize("trial", [None, 60])
def test_what_has_grown_since_the_plan_is_refused(
    server: DemoServer, backend: ServerBackend, clock: Clock, trial: int | None
) -> None:
    made = make(backend, f"{CLOUDCHAT}:MemoryMax=450M")
    assert not made.refusals
    clock.now += 120
    files = dict(server.disk.entries)
    with pytest.raises(RefusedError, match="killed at once") as refused:
        backend.apply(made, trial=trial)
    assert refused.value.way == "force"
    assert server.disk.entries == files
    assert not backend.history()
    backend.apply(made, trial=trial, force=True)
    assert backend.history()


def test_a_forced_limit_kills_and_says_so_later(
    server: DemoServer, backend: ServerBackend, clock: Clock
) -> None:
    made = make(backend, "cloudchat.service:MemoryMax=100M")
    assert not made.refused(force=True)
    backend.apply(made, force=True)
    assert server.sampler.sample().host.oom_kills
    clock.now += 600
    # A limit that its start alone fills: it is killed again and again, which is what was asked.
    assert (server.connect().properties([CLOUDCHAT])[CLOUDCHAT].n_restarts or 0) > 1


def test_undo_says_what_stays_down(backend: ServerBackend, clock: Clock) -> None:
    assert not backend.apply(make(backend, f"{REDIS}:MemoryMax=10M"), force=True).down
    clock.now += 60
    backend.look()
    outcome = backend.undo()
    assert not outcome.mismatches
    assert not outcome.well
    assert tuple(map(str, outcome.down)) == (
        f"{REDIS} is down: `systemctl reset-failed {REDIS} && systemctl start {REDIS}`.",
    )


class SlowKernel:
    """A kernel that is read so slowly that a minute passes each time."""

    def __init__(self, server: DemoServer, clock: Clock) -> None:
        self._kernel, self._clock = server.kernel, clock

    def __getattr__(self, name: str) -> object:
        return getattr(self._kernel, name)

    def limit(self, cgroup: str, file: str) -> Limit | None:
        self._clock.now += 60
        return self._kernel.limit(cgroup, file)


def test_a_unit_that_goes_down_while_the_kernel_is_read_is_reported(
    server: DemoServer, backend: ServerBackend, clock: Clock
) -> None:
    made = make(backend, f"{REDIS}:MemoryMax=10M")
    assert not backend.apply(made, force=True).down
    assert server.connect().properties([REDIS])[REDIS].active_state != "failed"
    kernel: Any = SlowKernel(server, clock)
    found = verify(made, Ports(server.connect(), server.files, kernel))
    assert [REDIS in str(each) for each in found.down] == [True]


def test_somebody_elses_write_in_between(server: DemoServer, backend: ServerBackend) -> None:
    made = make(backend, f"{REDIS}:MemoryMax=200M")
    server.files.write(made.files[0].path, "[Service]\n")
    with pytest.raises(ChangedError):
        backend.apply(made)
    assert server.files.read(made.files[0].path) == "[Service]\n"


def test_read_only(server: DemoServer) -> None:
    with contextlib.closing(serve(server, read_only=True)) as backend:
        made = make(backend, f"{REDIS}:MemoryMax=200M")
        with pytest.raises(NotPermittedError):
            backend.apply(made)
    assert server.kernel.limit("/system.slice/redis-server.service", "memory.max") != INFINITY
    assert server.files.read(made.files[0].path) is None
