"""Space tags units on the main screen; Enter opens one form for all that are tagged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import CGROUP_FILES, Key
from lowmem_tui.policy import dropin
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.plan_sheet import Stage
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.screens.tagged import TaggedScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from lowmem_tui.tui.table.unit_table import UnitTable
from lowmem_tui.tui.terminal.glyphs import ASCII, CONSOLE, UNICODE
from lowmem_tui.tui.widgets.field import Entry
from lowmem_tui.tui.widgets.form import DIFFER
from lowmem_tui.tui.widgets.prose import Prose
from tests.tui.conftest import Clock, opened
from tests.tui.fleet import Fleet, loaded, stopped, unit
from tests.tui.pages import Blank, tagged_page
from tests.tui.small import REDIS, SSH, SmallServer, properties

if TYPE_CHECKING:
    from tests.tui.conftest import Front
    from tests.tui.pages import Desk

A, B, C = "worker@a.service", "worker@b.service", "redis-server.service"
MASKED = "multipathd.service"
MIB = 1 << 20
MAX, HIGH, RESTART = Key.MEMORY_MAX, Key.MEMORY_HIGH, Key.RESTART


async def tag(front: Front, *names: str) -> None:
    for name in names:
        assert front.table.select(name)
        await front.press("space")


def tagged(front: Front) -> list[str]:
    return [line[1:].split()[0] for line in front.units if line[0] == UNICODE.tag]


def says(front: Front) -> str:
    return " ".join(" ".join(p.text for p in front.app.screen.query(Prose)).split())


# --- tagging -----------------------------------------------------------------------------------


async def test_space_tags_and_goes_down_and_untags(front: Front) -> None:
    await tag(front, A)
    assert front.cursor == B
    assert tagged(front) == [A]
    assert "UNIT (1 tagged" in front.units[0]
    assert "1 tagged: Enter opens it, U untags all." in front.header[2]
    await front.press("space")
    assert "2 tagged: Enter edits them together, U untags all." in front.header[2]
    assert tagged(front) == [A, B]
    await front.tick()
    assert tagged(front) == [A, B]
    await front.press("down")
    assert "Next OOM victim" in front.header[2]
    await tag(front, A)
    assert tagged(front) == [B]
    await front.press("U")
    assert tagged(front) == []
    assert "tagged)" not in front.units[0]
    await front.press("U")
    assert "No unit is tagged: Space tags one." in front.header[2]


async def test_headings_and_what_has_no_settings_are_passed() -> None:
    async with opened(Fleet(unit("a.service"), unit("/docker/1"), unit("z.service"))) as front:
        await front.press("G", "enter", "g")
        for _ in front.table.rows:
            await front.press("space")
        assert tagged(front) == ["a.service", "z.service"]
        assert front.table.select("/docker/1")
        await front.press("space")
        assert "/docker/1 has no memory settings, so it is not tagged." in front.header[2]
        await front.press("g", "space")
        assert "this is a group" in front.header[2]


async def test_a_process_stands_for_its_unit_and_is_passed_with_it() -> None:
    async with opened(Fleet(unit("a.service", 9), unit("b.service", 8))) as front:
        await front.press("f5")
        await tag(front, "a.service")
        assert front.cursor == "b.service"
        await front.press("down", "space")
        assert tagged(front) == ["a.service", "b.service"]
        # Nothing is below, and the next press must not hit a process of the same unit.
        assert front.table.row is front.table.rows[-1]


async def test_tags_stay_whatever_is_visible(front: Front) -> None:
    await tag(front, A, C)
    await front.press("f4", *"redis", "enter")
    assert tagged(front) == [C]
    assert "UNIT (2 tagged) with 'red…" in front.units[0]
    await front.press("escape", "N", "minus", "plus")
    assert sorted(tagged(front)) == [C, A]


async def test_tags_of_what_vanishes_go_quietly() -> None:
    server = Fleet(*(unit(f"{name}.service") for name in "abc"), unit("s.scope"))
    async with opened(server) as front:
        await front.press("end", "enter")
        await tag(front, "a.service", "b.service", "c.service", "s.scope")
        del server.units["a.service"]
        server.put(stopped(server.units["b.service"]), stopped(server.units["s.scope"]))
        gone = stopped(server.units["c.service"])
        server.put(loaded(gone, load_state="not-found", fragment_path=""))
        await front.press("down")
        await front.tick()
        assert "UNIT (1 tagged" in front.units[0]
        assert tagged(front) == ["b.service"]
        assert "Next OOM victim" in front.header[2]


@pytest.mark.parametrize("glyphs", [UNICODE, CONSOLE, ASCII])
async def test_the_mark_needs_no_colour(glyphs: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "linux" if glyphs is CONSOLE else "xterm")
    async with opened(ascii_only=glyphs is ASCII) as front:
        await tag(front, C)
        assert front.session.glyphs is glyphs
        mark = front.line(C)[0]
        assert mark == front.session.glyphs.tag
        assert mark.isascii() is (glyphs is ASCII)
        mark.encode("cp437" if glyphs is CONSOLE else "utf-8")


async def test_all_marks_have_room(front: Front) -> None:
    from lowmem_tui.model.staged import Staged

    front.session.stage(Staged((Edit(C, MAX, "300M"),)))
    await tag(front, C)
    assert re.match(r"■\* redis-server\.service +\d", front.line(C))


# --- the form on the demo server ------------------------------------------------------------------


async def test_enter_opens_what_is_tagged_wherever_the_cursor_is(front: Front) -> None:
    await tag(front, A, B)
    await front.press("g", "enter")
    assert isinstance(front.app.screen, TaggedScreen)
    assert front.app.screen.units == (A, B)
    assert f"2 tagged units: {A}, {B}" in says(front)
    assert "DEMO" in says(front)
    await front.press("escape")
    assert front.shows(MainScreen)
    assert tagged(front) == [A, B]
    await tag(front, A)
    await front.press("enter")
    assert isinstance(front.app.screen, UnitScreen)
    assert front.app.screen.unit_name == B
    await front.press("escape")
    await front.click(UnitTable, 10, 1)
    assert front.shows(MainScreen), "a click on a heading folds it all the same"
    assert "ssh.service" not in front.text


async def planned(front: Front) -> ReviewScreen:
    screen = front.app.screen
    assert isinstance(screen, ReviewScreen)
    await front.until(lambda: screen.stage is not Stage.PLANNING)
    await front.settle()
    return screen


async def test_one_plan_one_review_one_reload() -> None:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    async with opened(backend) as front:
        await tag(front, A, B, C)
        await front.press("enter")
        await front.until(lambda: "Asking" not in says(front))
        await front.press("down", *"96M")
        await front.press("f8")
        assert front.session.staged.edits == tuple(Edit(u, MAX, "96M") for u in (A, B, C))
        screen = await planned(front)
        assert "Review of 3 staged edits" in says(front)
        assert says(front).count("+ MemoryMax=96M") == 3
        await front.press("A", "y")
        await front.until(lambda: screen.stage is Stage.DONE)
        assert "Verified: the files, systemd and the kernel agree." in says(front)
        (change,) = backend.history()
        assert len(change.files) == 3
        situation = backend.situation([A, B, C])
        for name in (A, B, C):
            assert situation.units[name].settings[MAX].kernel == 96 * MIB
        # Our files agree now, so the form shows what they say.
        await front.press("enter")
        entry = next(e for e in front.app.screen.query(Entry) if e.field.key is MAX)
        await front.until(lambda: entry.value == "96M")
        assert not front.session.staged


async def test_what_one_of_them_refuses_is_explained_and_nothing_is_written() -> None:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    async with opened(backend) as front:
        front.table.select("gatekeepers/resting")
        await front.press("enter")
        await tag(front, A, MASKED)
        await front.press("enter")
        await front.until(lambda: "Asking" not in says(front))
        await front.press("down", *"96M", "f8")
        screen = await planned(front)
        assert "REFUSED" in says(front)
        assert f"{MASKED} is masked" in says(front)
        await front.press("a")
        assert screen.stage is Stage.SHOWN
        assert "Nothing was written." in says(front)
        assert backend.history() == []


# --- the form's fields ----------------------------------------------------------------------------


@pytest.fixture
def server() -> SmallServer:
    return SmallServer()


def staged(desk: Desk) -> dict[str, dict[Key, str | None]]:
    return {name: desk.session.staged.of(name) for name in (REDIS, SSH)}


def wrote(server: SmallServer, text: str) -> None:
    server.ours = dropin.render(REDIS, {MAX: text}, "Service")


async def test_what_is_typed_is_for_all(server: SmallServer) -> None:
    async with tagged_page(server, REDIS, SSH) as desk:
        assert desk.entry(MAX).value == ""
        await desk.into(MAX, "300M")
        assert "MemoryMax: 300M, 31% of RAM. For 2 of 2 units. Enter stages it" in desk.words
        await desk.press("enter")
        assert staged(desk) == {REDIS: {MAX: "300M"}, SSH: {MAX: "300M"}}
        assert desk.mark(MAX) == "*"
        assert "Staged, nothing is written yet" in desk.words
        await desk.press("ctrl+u")
        assert staged(desk) == {REDIS: {}, SSH: {}}
        await desk.into(MAX, "banana")
        await desk.press("enter")
        assert "! MemoryMax is not staged" in desk.words
        assert staged(desk) == {REDIS: {}, SSH: {}}


async def test_where_they_differ_each_keeps_its_own(server: SmallServer) -> None:
    wrote(server, "256M")
    before = (Edit(SSH, HIGH, "90M"),)
    async with tagged_page(server, REDIS, SSH, staged=before) as desk:
        assert desk.entry(MAX).value == desk.entry(HIGH).value == DIFFER
        assert (desk.mark(MAX), desk.mark(HIGH)) == (" ", "*")
        await desk.into(MAX)
        assert "MemoryMax: each unit keeps its own. A value typed here is for all 2." in desk.words
        await desk.into(HIGH)
        await desk.press("enter", "tab", "escape")
        assert isinstance(desk.app.screen, Blank)
        assert desk.session.staged.edits == before


async def test_typing_over_what_differs_and_discarding_it(server: SmallServer) -> None:
    wrote(server, "256M")
    async with tagged_page(server, REDIS, SSH) as desk:
        await desk.into(MAX)
        desk.send(*"256M", "enter")  # nothing is to be erased before
        await desk.settle()
        # One has it already.
        assert staged(desk) == {REDIS: {}, SSH: {MAX: "256M"}}
        assert "For 1 of 2 units." in desk.words
        await desk.into(HIGH)
        await desk.into(MAX, "200M")
        await desk.press("enter")
        assert staged(desk) == {REDIS: {MAX: "200M"}, SSH: {MAX: "200M"}}
        await desk.press("ctrl+u")
        assert desk.entry(MAX).value == DIFFER
        assert staged(desk) == {REDIS: {}, SSH: {}}


async def test_emptying_what_differs_drops_ours(server: SmallServer) -> None:
    wrote(server, "256M")
    async with tagged_page(server, REDIS, SSH) as desk:
        await desk.into(MAX)
        await desk.press("backspace")
        assert (
            "empty: 256M is removed from the drop-in of lowmem-tui, other files count. For 1 of 2 "
            "units." in desk.words
        )
        await desk.press("enter")
        assert staged(desk) == {REDIS: {MAX: None}, SSH: {}}


async def test_ctrl_u_discards_what_was_staged_for_one(server: SmallServer) -> None:
    async with tagged_page(server, REDIS, SSH, staged=(Edit(SSH, HIGH, "90M"),)) as desk:
        assert desk.entry(HIGH).value == DIFFER
        await desk.into(HIGH)
        await desk.press("ctrl+u")
        assert desk.entry(HIGH).value == ""
        assert not desk.session.staged


async def test_words_are_chosen_from_what_differs(server: SmallServer) -> None:
    async with tagged_page(server, REDIS, SSH, staged=(Edit(SSH, RESTART, "no"),)) as desk:
        await desk.into(RESTART)
        await desk.press("right", "right", "enter")
        assert staged(desk) == {REDIS: {RESTART: "on-success"}, SSH: {RESTART: "on-success"}}


async def test_only_what_all_have_can_be_set(front: Front) -> None:
    await front.press("slash", *"system.slice", "enter")
    await tag(front, A, "system.slice")
    await front.press("enter")
    keys = {e.field.key for e in front.app.screen.query(Entry)}
    assert keys == set(CGROUP_FILES)
    assert "Only the settings that all of them have are shown." in says(front)
    await front.press("escape", "U")
    await tag(front, A, B)
    await front.press("enter")
    assert {e.field.key for e in front.app.screen.query(Entry)} == set(Key)
    assert "all of them have" not in says(front)


async def test_both_are_shown_as_they_are(server: SmallServer) -> None:
    async with tagged_page(server, REDIS, SSH, size=(100, 40)) as desk:
        assert "redis-server.service 64M 0 infinity infinity infinity always" in desk.words
        assert "ssh.service 8M -1000 infinity" in desk.words
        assert desk.entry(MAX).field.now == "infinity"
        assert desk.entry(Key.OOM_SCORE_ADJUST).field.now == DIFFER
        assert desk.entry(MAX).field.advice == "differs between these units"
        assert server.watched == []
        # What a unit's warning is about is said.
        await desk.into(MAX, "10M")
        await desk.until(lambda: "REFUSED, unless overridden" in desk.words)
        assert "ssh.service" in desk.text


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (60, 20), (200, 60), (20, 5)])
async def test_it_fits_any_size(server: SmallServer, size: tuple[int, int]) -> None:
    async with tagged_page(server, REDIS, SSH, size=size) as desk:
        await desk.into(MAX, "256M")
        assert size[1] < 12 or desk.unit.can_view_entire(desk.entry(MAX))
        for prose in desk.unit.query(Prose):
            assert prose.region.right <= size[0]


async def test_settings_are_read_again_when_one_has_changed(server: SmallServer) -> None:
    async with tagged_page(server, REDIS, SSH) as desk:
        await desk.tick()
        asked = len(server.asked)
        await desk.tick()
        assert len(server.asked) == asked
        server.properties[SSH] = properties(SSH, restart="no")
        await desk.tick()
        await desk.until(lambda: len(server.asked) == asked + 1)
        assert set(server.asked[-1]) == {REDIS, SSH}
