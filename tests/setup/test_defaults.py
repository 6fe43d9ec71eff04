"""What the steps propose together: all that is preselected, applied as one, contradicts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.unit import INFINITY, Key

from .box import Box, codes, defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

REDIS, CHAT = "redis-server.service", "cloudchat.service"
WORKERS = ("worker@a.service", "worker@b.service")


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.backend.close()


def without_limit(box: Box, *units: str) -> None:
    for unit in units:
        path = f"/etc/systemd/system/{unit}.d/override.conf"
        box.write(path, "[Service]\nMemoryMax=infinity\nMemoryHigh=infinity\n")
        (properties,) = box.server.connect().properties([unit]).values()
        for file in ("memory.max", "memory.high"):
            box.server.kernel.set_limit(properties.control_group, file, INFINITY)


SERVERS = {
    "as it is": ((), None, 58),
    "Redis has no limit": ((REDIS,), None, 2),
    "only the workers have a limit": ((REDIS, CHAT), None, 2),
    "nothing has a limit": ((REDIS, CHAT, *WORKERS), None, 2),
    "a Redis with a small bound": ((REDIS, CHAT), 32, 2),
    "a Redis with a large bound": ((REDIS, CHAT), 100, 2),
    "a Redis that holds much": ((REDIS, CHAT), None, 90),
}


@pytest.mark.parametrize(("units", "bound", "used"), SERVERS.values(), ids=SERVERS)
def test_a_redis_has_room_for_its_bound_and_its_fork(
    box: Box, units: tuple[str, ...], bound: int | None, used: int
) -> None:
    without_limit(box, *units)
    box.server.system.put(ActionKind.REDIS, f"{REDIS} used_memory", f"{used << 20}", lambda: None)
    if bound is not None:
        size = str(bound << 20)
        box.server.system.put(ActionKind.REDIS, f"{REDIS} maxmemory", size, lambda: None)
    wishes = {step.name: defaults(step.look()) for step in box.backend.steps()}
    for step in box.backend.steps():
        plan = step.plan(wishes[step.name])
        if not plan.empty:
            box.backend.apply(plan, force=True)
    found = [code for step in box.backend.steps() for code in codes(step.look())]
    assert {"redis-fork-over-limit", "redis-over-limit", "redis-over-share"}.isdisjoint(found)


def test_the_limit_that_is_proposed_for_a_redis_has_room_for_its_fork(box: Box) -> None:
    """64M of data twice, and what the server itself takes: 100M, as it has needed, is too little.

    It would be a third more than fits here, so it is offered and not ticked.
    """
    without_limit(box, REDIS, CHAT)
    box.server.system.put(ActionKind.REDIS, f"{REDIS} used_memory", f"{2 << 20}", lambda: None)
    items = {item.key: item for step in box.backend.steps() for item in step.look().items}
    assert items[f"{REDIS} maxmemory"].value == "64mb"
    limit = items[f"{REDIS}:{Key.MEMORY_MAX}"]
    assert (limit.value, limit.taken) == ("150M", False)
    assert "Its own configuration lets it use 144M" in str(limit.why)


def test_a_redis_that_cannot_be_asked_keeps_no_other_unit_from_its_settings(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limit(box, REDIS)

    def fails(*_: object) -> dict[str, int]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("lowmem_tui.setup.redis.room.needs", fails)
    keys = {item.key for item in box.step("units").look().items}
    assert {f"{REDIS}:MemoryMax", f"{CHAT}:MemoryMax"} <= keys
