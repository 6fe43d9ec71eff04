"""F7: who dies next, what the staged edits do to that, how far each limit is, the budget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.forecast import growth
from lowmem_tui.tui.screens.forecast import ForecastScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.session.memory_history import BOX, SPANS, STEP, MemoryHistory
from lowmem_tui.tui.text import forecast
from lowmem_tui.tui.widgets.page import Page
from lowmem_tui.tui.widgets.prose import Prose
from tests.built import with_memory
from tests.tui.conftest import Clock, Front
from tests.tui.pages import unit_page
from tests.tui.small import SmallServer, properties

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Snapshot

CHAT, REDIS = "cloudchat.service", "redis-server.service"


def words(front: Front) -> str:
    return " ".join(" ".join(p.text for p in front.app.screen.query(Prose)).split())


async def test_the_order_of_the_machine_and_of_each_limit(front: Front) -> None:
    await front.press("f7")
    assert front.shows(ForecastScreen)
    said = words(front)
    assert said.startswith(
        "DEMO OOM kill order, and memory in use after each kill OOM kill order with "
    )
    assert "of 967M RAM + 2G swap in use:" in said
    assert f"1 {CHAT} gunicorn 912" in said
    assert "restarts in 3s" in said
    assert f"{REDIS}: OOM kill order with " in said
    assert "of 256M + 2G swap in use:" in said
    assert f"A 600M MemoryMax of {CHAT}, " in said
    assert "Advice for MemoryMax" in said
    await front.press("escape")
    assert front.shows(MainScreen)


async def test_help_begins_with_its_columns(front: Front) -> None:
    await front.press("f7", "f1")
    page = front.app.screen.query_one(Page)
    lines = [page.render_line(y).text.rstrip() for y in range(page.size.height)]
    assert lines[0] == " OOM kill order (F7)"
    assert any(line.startswith(" AFTER ") and "memory in use after" in line for line in lines)


async def test_it_follows_the_figures(front: Front) -> None:
    await front.press("f7")
    before = words(front)
    await front.tick(30)
    assert words(front) != before


async def test_staged_edits_are_compared(front: Front) -> None:
    front.session.stage(front.session.staged.with_edit(Edit(REDIS, Key.OOM_SCORE_ADJUST, "400")))
    await front.press("f7")
    await front.until(lambda: "Asking systemd" not in words(front))
    said = words(front)
    assert "With the staged edit:" in said
    assert f"With this change, {REDIS} is killed before {CHAT}" in said
    assert f"1*{REDIS}" in said
    await front.press("f8")
    await front.until(lambda: "OOM KILL ORDER" in words(front))
    assert front.shows(ReviewScreen)
    assert f"The next OOM victim is then {REDIS}, not {CHAT}." in words(front)


async def test_what_is_refused_is_not_compared(front: Front) -> None:
    front.session.stage(front.session.staged.with_edit(Edit(CHAT, Key.OOM_SCORE_ADJUST, "-1000")))
    await front.press("f7")
    await front.until(lambda: "Refused: With -1000 the kernel never kills" in words(front))
    assert "The OOM kill order does not change" not in words(front)


async def test_where_nothing_is_staged_there_is_nothing_to_review(front: Front) -> None:
    await front.press("f7", "f8")
    assert front.shows(ForecastScreen)
    assert "Nothing is staged" in words(front)


async def test_the_distance_is_shown_after_a_minute(front: Front) -> None:
    await front.press("f7")
    assert "unknown (needs one minute of data)" in words(front)
    for _ in range(25):
        await front.tick(4)
    said = words(front)
    assert f"{CHAT} " in said
    assert "needs one minute" not in said
    # It leaks.
    assert "M/min (first)" in said


def server() -> SmallServer:
    small = SmallServer()
    small.properties[REDIS] = properties(
        REDIS, start_limit_interval_usec=10_000_000, start_limit_burst=5
    )
    return small


async def test_the_page_of_a_unit_tells_what_becomes_of_it() -> None:
    async with unit_page(server()) as desk:
        assert "AFTER AN OOM KILL" in desk.words
        assert "Killed now: restarts in 100ms" in desk.words


async def test_while_typing_the_kill_order_is_shown() -> None:
    async with unit_page(server()) as desk:
        await desk.into(Key.OOM_SCORE_ADJUST, "900")
        await desk.until(lambda: "Kill order: " in desk.words)
        await desk.into(Key.RESTART, "no")
        await desk.until(lambda: "Staged killed: stays down" in desk.words)


# --- what is kept for it ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looked() -> Snapshot:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    snapshot = backend.look()
    backend.close()
    return snapshot


def at(
    looked: Snapshot, seconds: float, anon: int | None, swap: int = 0, main: int = 845
) -> Snapshot:
    unit = looked.units[REDIS]
    assert unit.usage is not None
    assert unit.properties is not None
    memory = unit.usage.memory._replace(anon=anon, shmem=1 << 20)
    told = replace(unit.properties, main_pid=main)
    unit = replace(unit, usage=unit.usage._replace(memory=memory, swap=swap), properties=told)
    return replace(looked, monotonic=seconds, units={REDIS: unit, CHAT: looked.units[CHAT]})


def test_what_is_pinned_is_kept_of_limited_units(looked: Snapshot) -> None:
    history = MemoryHistory()
    for n in range(3):
        history.add(at(looked, 4000 + n * STEP, n << 20))
    assert history.pinned(REDIS)[-3:] == [1 << 20, 2 << 20, 3 << 20]
    assert history.pinned(REDIS)[:-3] == [None] * (SPANS - 3)
    assert history.pinned("nginx.service") == [None] * SPANS
    host = looked.host
    assert (history.pinned(BOX)[-1] or 0) >> 10 == (
        host.mem_total - host.mem_available + host.swap_used
    ) >> 10


def test_what_has_gone_to_swap_is_still_held(looked: Snapshot) -> None:
    history = MemoryHistory()
    history.add(at(looked, 4000, 3 << 20, swap=5 << 20))
    assert history.pinned(REDIS)[-1] == 9 << 20


@pytest.mark.parametrize(
    ("mains", "kept"), [((845, 845), 2), ((845, 0), 2), ((845, 900), 1), ((0, 900), 2)]
)
def test_another_main_process_begins_again(
    looked: Snapshot, mains: tuple[int, int], kept: int
) -> None:
    history = MemoryHistory()
    for n, main in enumerate(mains):
        history.add(at(looked, 4000 + n * STEP, 1 << 20, main=main))
    assert sum(held is not None for held in history.pinned(REDIS)) == kept


def test_a_unit_at_its_limit_that_swaps_is_not_steady(looked: Snapshot) -> None:
    history = MemoryHistory()
    for n in range(30):
        last = at(looked, 4000 + n * STEP, 254 << 20, swap=n << 22)
        history.add(last)
    found = forecast.reach(last.units[REDIS], last, history)
    assert found is not None
    assert str(growth.in_words(found)).startswith("at its limit, swaps; killed in about ")


def test_what_is_old_is_forgotten(looked: Snapshot) -> None:
    history = MemoryHistory()
    history.add(at(looked, 4000, 5 << 20))
    history.add(replace(at(looked, 9000, None), units={}))
    assert history.pinned(REDIS) == [None] * SPANS


# the unit's limit, the slice's, MiB → whose is met first
MET: dict[str, tuple[int | None, int | None, tuple[str, int] | None]] = {
    "none": (None, None, None),
    "its own": (60, None, (REDIS, 60)),
    "its own is less": (60, 200, (REDIS, 60)),
    "the slice's": (None, 200, ("system.slice", 200)),
    "the slice's is less": (600, 200, ("system.slice", 200)),
}


@pytest.mark.parametrize(("own", "above", "met"), MET.values(), ids=MET)
def test_the_limit_that_is_met_first(
    looked: Snapshot, own: int | None, above: int | None, met: tuple[str, int] | None
) -> None:
    units = dict(looked.units)
    for name, limit in ((REDIS, own), ("system.slice", above)):
        usage = units[name].usage
        assert usage is not None
        most = INFINITY if limit is None else limit << 20
        memory = with_memory(usage.memory, max=most)
        units[name] = replace(units[name], usage=usage._replace(memory=memory))
    server = replace(looked, units=units)
    found = forecast.reach(units[REDIS], server, MemoryHistory())
    assert (found and (found.unit, found.limit >> 20)) == met
    said = " ".join(line.plain for line in forecast.fates(units[REDIS], server, MemoryHistory()))
    assert ("the limit of system.slice" in said) is (met is not None and met[0] != REDIS)


def test_a_unit_without_a_limit_has_no_distance(looked: Snapshot) -> None:
    assert forecast.reach(looked.units["nginx.service"], looked, MemoryHistory()) is None
