"""From the main screen to the kernel's value, on the demo server."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.model.unit import Key
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.plan_sheet import Stage
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from lowmem_tui.tui.widgets.prose import Prose
from tests.change.every_setting import UNIT, wanted
from tests.tui.conftest import Clock, opened

if TYPE_CHECKING:
    from tests.tui.conftest import Front

REDIS = "redis-server.service"
MIB = 1 << 20

EVERY_KEY = [
    *(f"f{n}" for n in range(1, 13)),
    *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    *("space", "tab", "enter", "escape", "delete", "backspace", "insert", "home", "end", "plus"),
    *("minus", "slash", "question_mark", "full_stop", "comma", "left", "right", "up", "down"),
    *(f"ctrl+{c}" for c in "abdefghijklmnoprstuvwxy"),
]


def says(front: Front) -> str:
    return " ".join(" ".join(p.text for p in front.app.screen.query(Prose)).split())


async def reviewed(front: Front) -> ReviewScreen:
    screen = front.app.screen
    assert isinstance(screen, ReviewScreen)
    await front.until(lambda: screen.stage is not Stage.PLANNING)
    await front.settle()
    return screen


async def test_an_edit_goes_all_the_way() -> None:
    async with opened() as front:
        await front.press("f3", *"redis", "enter", "enter")
        assert front.shows(UnitScreen)
        await front.until(
            lambda: "/etc/systemd/system/redis.service.d/override.conf" in says(front)
        )
        assert "DEMO" in says(front)
        await front.press("down", *"300M", "f8")
        screen = await reviewed(front)
        assert "+ MemoryMax=300M" in says(front)
        assert "256M -> 300M" in says(front)
        await front.press("A", "y")
        await front.until(lambda: screen.stage is Stage.DONE)
        assert "Verified: the files, systemd and the kernel agree." in says(front)
        assert len(front.session.staged) == 0
        await front.press("enter")
        await front.tick()
        await front.until(lambda: "MemoryMax 300M" in says(front))
        assert front.session.snapshot is not None
        usage = front.session.snapshot.units[REDIS].usage
        assert usage is not None
        assert usage.memory.max == 300 * MIB
        await front.press("escape")
        assert front.shows(MainScreen)


async def test_emptying_the_field_takes_our_file_away() -> None:
    async with opened() as front:
        backend = front.session.backend
        await front.press("f3", *"redis", "enter", "enter", "down", *"300M", "f8")
        screen = await reviewed(front)
        await front.press("A", "y")
        await front.until(lambda: screen.stage is Stage.DONE)
        await front.press("enter")
        # The cursor is where it was: in the field of MemoryMax.
        await front.until(lambda: "zz-lowmem-tui.conf" in says(front))
        await front.press("end", *["backspace"] * 4, "f8")
        screen = await reviewed(front)
        assert "removed /etc/systemd/system/redis-server.service.d/zz-lowmem-tui.conf" in says(
            front
        )
        await front.press("A", "y")
        await front.until(lambda: screen.stage is Stage.DONE)
        known = backend.situation([REDIS]).units[REDIS]
        assert known.drop_in is None
        assert known.settings[Key.MEMORY_MAX].kernel == 256 * MIB


async def test_no_single_key_changes_the_machine() -> None:
    clock = Clock()
    backend = demo_backend(clock=clock)
    backend.wait_ready()
    with patch.object(type(backend), "apply", autospec=True) as apply:
        async with opened(backend) as front:
            await front.press("f3", *"redis", "enter", "enter", "down", *"300M", "escape")
            assert len(front.session.staged) == 1
            for key in EVERY_KEY:
                await front.press(key)
                assert len(front.session.staged) == 1, key
                for _ in range(5):
                    if not front.shows(MainScreen):
                        await front.press("escape")
                assert front.shows(MainScreen), key
                await front.press("escape", "escape")
        assert not apply.called


async def test_read_only_says_so() -> None:
    async with opened(demo_backend(read_only=True), read_only=True) as front:
        await front.press("f3", *"redis", "enter", "enter", "down", *"300M", "f8")
        screen = await reviewed(front)
        await front.press("a")
        assert "--read-only" in says(front)
        assert screen.stage is Stage.SHOWN


async def test_a_slice_has_the_settings_of_slices_alone() -> None:
    async with opened() as front:
        await front.press("f3", *"user-1000.slice", "enter", "enter")
        await front.until(lambda: "SETTINGS AND SOURCE FILES" in says(front))
        assert "Not set: MemoryMax, MemoryHigh, MemorySwapMax" in says(front)
        assert "Restart" not in says(front)


async def test_the_root_slice_can_only_be_looked_at() -> None:
    async with opened() as front:
        await front.press("f3", *"-.slice", "enter", "enter")
        assert "it can only be viewed" in says(front)
        assert "max — · high — · swap max —" in says(front)


async def test_every_setting_is_typed_staged_and_reviewed() -> None:
    async with opened() as front:
        await front.press("f3", *"cloudchat.service", "enter", "enter")
        assert front.session.snapshot is not None
        loaded = front.session.snapshot.units[UNIT].properties
        assert loaded is not None
        texts = {key: wanted(key, loaded.loaded(key)) for key in Key}
        for text in texts.values():
            await front.press(*text, "down")
        assert front.session.staged.of(UNIT) == texts
        await front.press("f8")
        await reviewed(front)
        assert [f"+ {key}={text}" in says(front) for key, text in texts.items()] == [True] * len(
            Key
        )
