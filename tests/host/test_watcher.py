from __future__ import annotations

import itertools
import queue
import threading
import time
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.watcher import POLL, Watcher
from lowmem_tui.model.errors import LowmemError, ManagerError, ManagerGoneError
from lowmem_tui.model.message import verbatim
from lowmem_tui.model.ports import Changes, ListedUnit
from lowmem_tui.model.unit import UnitProperties
from lowmem_tui.model.usage import HostUsage, Memory, Sample, UnitUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PATIENCE = 10.0
"""Seconds that a test waits for the other thread before it fails."""

HOST = HostUsage("web-1", 4096, 1.0, 1 << 30, 1 << 20, 1 << 20, 0, 0, None, None, None)
BROKEN = "The connection to the system bus has ended."


class FakeSampler:
    def __init__(self, *names: str) -> None:
        self.usages = {n: UnitUsage(n, f"/system.slice/{n}", Memory(), (), 0, 0) for n in names}
        self.watched: str | None = None
        self.refreshed = 0
        self.closed = False
        self.error: OSError | None = None

    def sample(self) -> Sample:
        if self.error:
            raise self.error
        return Sample(1.0, 2.0, HOST, dict(self.usages))

    def watch(self, unit: str | None) -> None:
        self.watched = unit

    def refresh(self) -> None:
        self.refreshed += 1

    def close(self) -> None:
        self.closed = True


class FakeManager:
    """systemd, as far as the watcher asks; tests put signals and errors into ``news``."""

    def __init__(self, *names: str) -> None:
        self.units = {n: UnitProperties(n, active_state="active") for n in names}
        self.news: queue.Queue[Changes | LowmemError] = queue.Queue()
        self.asked: list[tuple[float, frozenset[str]]] = []
        self.lists = 0
        self.threads: set[str] = set()
        self.subscribed = self.closed = False
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def _enter(self) -> None:
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(PATIENCE)
        if self.error:
            raise self.error

    def list_units(self) -> Sequence[ListedUnit]:
        self._enter()
        self.lists += 1
        return [ListedUnit(n, p.load_state) for n, p in self.units.items()]

    def list_unit_files(self) -> dict[str, str]:
        raise AssertionError

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        self._enter()
        names = list(names)
        self.asked.append((time.monotonic(), frozenset(names)))
        missing = {n: UnitProperties(n, load_state="not-found") for n in names}
        return {n: self.units.get(n, missing[n]) for n in names}

    def reload(self) -> None:
        raise AssertionError

    def restart_unit(self, name: str) -> None:
        raise AssertionError

    def reset_failed_unit(self, name: str) -> None:
        raise AssertionError

    def start_revert_timer(self, name: str, seconds: float, command: Sequence[str]) -> None:
        raise AssertionError

    def stop_unit(self, name: str) -> None:
        raise AssertionError

    def subscribe(self) -> None:
        self._enter()
        self.subscribed = True

    def changes(self, timeout: float) -> Changes:
        self._enter()
        assert timeout <= POLL
        try:
            news = self.news.get(timeout=timeout)
        except queue.Empty:
            return Changes(frozenset(), reloaded=False)
        if isinstance(news, LowmemError):
            raise news
        return news

    def close(self) -> None:
        self.closed = True

    def say(self, *units: str, reloaded: bool = False) -> None:
        self.news.put(Changes(frozenset(units), reloaded))

    def change(self, name: str, state: str) -> None:
        self.units[name] = UnitProperties(name, active_state=state)
        self.say(name)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.002)


@pytest.fixture
def sampler() -> FakeSampler:
    return FakeSampler("redis.service", "system.slice", "dev-hugepages.mount")


@pytest.fixture
def manager() -> FakeManager:
    return FakeManager("redis.service", "backup.service", "system.slice", "dev-hugepages.mount")


@pytest.fixture
def make(sampler: FakeSampler, manager: FakeManager) -> Iterator[Callable[..., Watcher]]:
    made: list[Watcher] = []

    def make(
        connect: Callable[[], FakeManager] | None = lambda: manager,
        *,
        gap: float = 0.0,
        settle: float = 0.0,
        back_off: tuple[float, float] = (0.01, 0.01),
    ) -> Watcher:
        watcher = Watcher(sampler, connect, settle=settle, gap=gap, back_off=back_off)
        made.append(watcher)
        return watcher

    yield make
    manager.gate.set()
    for watcher in made:
        watcher.close()
        if watcher._thread:
            watcher._thread.join(PATIENCE)


def ready(watcher: Watcher) -> Watcher:
    assert watcher.wait_ready(PATIENCE)
    return watcher


def state(watcher: Watcher, name: str) -> str | None:
    unit = watcher.look().units.get(name)
    return unit.properties.active_state if unit and unit.properties else None


# Together


def test_usage_and_properties_together(make: Callable[..., Watcher]) -> None:
    unit = ready(make()).look().units["redis.service"]
    assert (unit.usage is not None, unit.properties is not None) == (True, True)


def test_a_service_that_does_not_run(make: Callable[..., Watcher]) -> None:
    unit = ready(make()).look().units["backup.service"]
    assert (unit.usage, unit.properties is not None) == (None, True)


@pytest.mark.parametrize(
    "name", ["sshd.socket", "dev-sda.device", "user-1.slice", "session-1.scope", "x@.service"]
)
def test_what_neither_runs_nor_is_a_service_is_left_out(
    make: Callable[..., Watcher], manager: FakeManager, name: str
) -> None:
    manager.units[name] = UnitProperties(name)
    assert name not in ready(make()).look().units


def test_a_service_that_is_not_found_is_left_out(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    manager.units["gone.service"] = UnitProperties("gone.service", load_state="not-found")
    assert "gone.service" not in ready(make()).look().units


def test_a_mount_is_asked_for_once_it_has_a_group(make: Callable[..., Watcher]) -> None:
    watcher = make()
    until(lambda: state(watcher, "dev-hugepages.mount"))


def test_a_group_without_unit_is_never_asked_for(
    make: Callable[..., Watcher], sampler: FakeSampler, manager: FakeManager
) -> None:
    sampler.usages["/docker/a"] = UnitUsage("/docker/a", "/docker/a", Memory(), (), 0, 0)
    watcher = make()
    until(lambda: state(watcher, "dev-hugepages.mount"))
    assert not any("/docker/a" in names for _, names in manager.asked)


def test_without_a_bus(make: Callable[..., Watcher]) -> None:
    watcher = make(None)
    snapshot = watcher.look()
    assert (snapshot.loading, snapshot.notice) == (False, "")
    assert snapshot.units["redis.service"].properties is None


def test_without_a_bus_all_is_ready(make: Callable[..., Watcher]) -> None:
    assert make(None).wait_ready(0)


def test_unchanged_units_are_the_same_objects(
    make: Callable[..., Watcher], sampler: FakeSampler
) -> None:
    watcher = ready(make())
    until(lambda: state(watcher, "dev-hugepages.mount"))
    before = watcher.look().units
    sampler.usages["redis.service"] = sampler.usages["redis.service"]._replace(rss=1)
    after = watcher.look().units
    changed = {name for name in after if after[name] is not before[name]}
    assert changed == {"redis.service"}


def test_a_unit_that_stops_and_starts(make: Callable[..., Watcher], sampler: FakeSampler) -> None:
    watcher = ready(make())
    usage = sampler.usages.pop("redis.service")
    stopped = watcher.look().units["redis.service"].usage
    sampler.usages["redis.service"] = usage
    assert (stopped, watcher.look().units["redis.service"].usage) == (None, usage)


# Never waiting


def test_look_does_not_wait_for_systemd(make: Callable[..., Watcher], manager: FakeManager) -> None:
    manager.gate.clear()
    watcher = make()
    started = time.monotonic()
    snapshot = watcher.look()
    assert time.monotonic() - started < PATIENCE / 2
    assert (snapshot.loading, snapshot.units["redis.service"].properties) == (True, None)


def test_not_loading_once_all_is_known(make: Callable[..., Watcher]) -> None:
    assert ready(make()).look().loading is False


def test_close_does_not_wait_for_systemd(
    make: Callable[..., Watcher], manager: FakeManager, sampler: FakeSampler
) -> None:
    manager.gate.clear()
    watcher = make()
    started = time.monotonic()
    watcher.close()
    assert (time.monotonic() - started < PATIENCE / 2, sampler.closed) == (True, True)


def test_close_ends_the_thread_and_the_connection(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    watcher = ready(make())
    watcher.close()
    assert watcher._thread is not None
    watcher._thread.join(PATIENCE)
    assert (watcher._thread.is_alive(), manager.closed) == (False, True)


def test_one_thread_alone_talks_to_systemd(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    watcher = ready(make())
    manager.change("redis.service", "failed")
    until(lambda: state(watcher, "redis.service") == "failed")
    assert manager.threads == {"systemd"}


# What systemd says


def test_subscribes_before_it_asks(make: Callable[..., Watcher], manager: FakeManager) -> None:
    ready(make())
    assert manager.subscribed


def test_only_what_changed_is_asked_for_again(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    watcher = ready(make())
    until(lambda: state(watcher, "dev-hugepages.mount"))
    manager.asked.clear()
    manager.change("backup.service", "activating")
    until(lambda: state(watcher, "backup.service") == "activating")
    assert {names for _, names in manager.asked} == {frozenset({"backup.service"})}


def test_what_was_announced_before_the_first_question_needs_no_second(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    manager.say(reloaded=True)
    ready(make())
    time.sleep(2 * POLL)
    assert manager.lists == 1


def test_never_polled(make: Callable[..., Watcher], manager: FakeManager) -> None:
    watcher = ready(make())
    until(lambda: state(watcher, "dev-hugepages.mount"))
    asked, lists = len(manager.asked), manager.lists
    deadline = time.monotonic() + 4 * POLL
    while time.monotonic() < deadline:
        watcher.look()
        time.sleep(0.01)
    assert (len(manager.asked), manager.lists) == (asked, lists)


def test_a_new_unit(make: Callable[..., Watcher], manager: FakeManager) -> None:
    watcher = ready(make())
    manager.change("new.service", "active")
    until(lambda: state(watcher, "new.service") == "active")


def test_a_unit_that_is_gone(make: Callable[..., Watcher], manager: FakeManager) -> None:
    watcher = ready(make())
    del manager.units["backup.service"]
    manager.say("backup.service")
    until(lambda: "backup.service" not in watcher.look().units)


def test_everything_after_a_reload(make: Callable[..., Watcher], manager: FakeManager) -> None:
    watcher = ready(make())
    manager.units["redis.service"] = UnitProperties("redis.service", active_state="reloading")
    del manager.units["backup.service"]
    manager.say(reloaded=True)
    until(lambda: state(watcher, "redis.service") == "reloading")
    until(lambda: "backup.service" not in watcher.look().units)


def test_the_sampler_puts_nothing_off_after_a_reload(
    make: Callable[..., Watcher], manager: FakeManager, sampler: FakeSampler
) -> None:
    watcher = ready(make())
    watcher.look()
    assert sampler.refreshed == 0
    manager.say(reloaded=True)
    until(lambda: (watcher.look(), sampler.refreshed)[1])


def test_a_restart_loop_is_asked_about_once_per_gap(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    watcher = ready(make(gap=0.3))
    until(lambda: state(watcher, "dev-hugepages.mount"))
    manager.asked.clear()
    for step in range(100):
        manager.change("redis.service", f"step {step}")
        time.sleep(0.01)
    until(lambda: state(watcher, "redis.service") == "step 99")
    moments = [moment for moment, _ in manager.asked]
    assert all(b - a >= 0.3 for a, b in itertools.pairwise(moments))


def test_the_watched_unit_is_handed_on(make: Callable[..., Watcher], sampler: FakeSampler) -> None:
    make(None).watch("redis.service")
    assert sampler.watched == "redis.service"


# When it does not answer


def test_a_lost_connection_is_reported(make: Callable[..., Watcher], manager: FakeManager) -> None:
    watcher = ready(make(back_off=(PATIENCE, PATIENCE)))
    manager.news.put(ManagerGoneError(BROKEN))
    until(lambda: watcher.look().notice == verbatim(BROKEN))


def test_a_lost_connection_leaves_what_was_known(
    make: Callable[..., Watcher], manager: FakeManager
) -> None:
    watcher = ready(make(back_off=(PATIENCE, PATIENCE)))
    manager.news.put(ManagerGoneError(BROKEN))
    until(lambda: watcher.look().notice)
    assert state(watcher, "redis.service") == "active"


def test_connects_again(make: Callable[..., Watcher], manager: FakeManager) -> None:
    second = FakeManager("redis.service")
    connections = iter([manager, second])
    watcher = ready(make(lambda: next(connections)))
    second.units["redis.service"] = UnitProperties("redis.service", active_state="failed")
    manager.news.put(ManagerGoneError(BROKEN))
    until(lambda: state(watcher, "redis.service") == "failed")
    until(lambda: watcher.look().notice == "")
    assert manager.closed


def test_a_bus_that_is_not_there(make: Callable[..., Watcher]) -> None:
    def connect() -> FakeManager:
        raise ManagerGoneError("The D-Bus system bus cannot be reached.")

    watcher = make(connect)
    assert watcher.wait_ready(PATIENCE) is False
    snapshot = watcher.look()
    assert str(snapshot.notice) == "The D-Bus system bus cannot be reached."
    assert snapshot.loading is False


def test_attempts_to_connect_grow_rarer(make: Callable[..., Watcher]) -> None:
    attempts: list[float] = []

    def connect() -> FakeManager:
        attempts.append(time.monotonic())
        raise ManagerGoneError(BROKEN)

    make(connect, back_off=(0.02, 1.0))
    until(lambda: len(attempts) == 4)
    assert attempts[3] - attempts[2] >= 0.08


@pytest.mark.parametrize(
    "error", [ManagerError("It has not answered in 25 s."), ValueError("odd answer")]
)
def test_an_error_in_the_thread_is_reported_and_does_not_end_it(
    make: Callable[..., Watcher], manager: FakeManager, error: Exception
) -> None:
    watcher = ready(make())
    manager.error = error
    until(lambda: str(error) in str(watcher.look().notice))
    manager.error = None
    until(lambda: watcher.look().notice == "")


def test_wait_ready_ends(make: Callable[..., Watcher], manager: FakeManager) -> None:
    manager.gate.clear()
    assert make().wait_ready(0.01) is False


def test_files_that_cannot_be_read_just_now(
    make: Callable[..., Watcher], sampler: FakeSampler
) -> None:
    watcher = make(None)
    before = watcher.look()
    sampler.error = OSError(12, "Cannot allocate memory")
    snapshot = watcher.look()
    assert snapshot.units == before.units
    assert "Cannot allocate memory" in str(snapshot.notice)


def test_files_that_cannot_be_read_at_all(
    make: Callable[..., Watcher], sampler: FakeSampler
) -> None:
    sampler.error = OSError(5, "Input/output error")
    with pytest.raises(LowmemError, match="Input/output error"):
        make(None).look()
