"""Many keys at once: a held key, a slow line that brings them in one piece, a pasted word."""

from __future__ import annotations

import random

import pytest
from textual.events import Key

from lowmem_tui.tui.screens.help import HelpScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from tests.tui.conftest import Front, opened

FORM = ("f3", *"redis", "enter", "enter")

KEYS = (
    *("escape",) * 8, *("enter",) * 4, *("f8",) * 2, *("f1", "f2", "f3", "f6", "f7", "f10"),
    *("down", "tab", "space", "backspace", "ctrl+c"), *"aAyynudHKqrxt5",
)  # fmt: skip


async def burst(front: Front, *keys: str) -> None:
    for key in keys:
        front.app.post_message(Key(key, " " if key == "space" else None))
    await front.settle()


@pytest.mark.parametrize(
    ("keys", "screen", "staged"),
    [
        (("escape", "escape"), MainScreen, 0),
        (("escape",) * 20, MainScreen, 0),
        (("tab", "5", *("escape",) * 3), MainScreen, 1),
        (("5", "f8", "escape", "escape"), MainScreen, 1),
        (("5", "f8", "f8", "f8"), ReviewScreen, 1),
        (("5", "escape", "f8"), ReviewScreen, 1),
        (("f8", "f8", "f8"), UnitScreen, 0),
        (("escape", "f1"), HelpScreen, 0),
        (("x", "escape", "escape", "escape"), UnitScreen, 0),
    ],
)
async def test_leaving_a_form_twice_leaves_it_once(
    keys: tuple[str, ...], screen: type, staged: int
) -> None:
    async with opened() as front:
        await front.press(*FORM)
        await burst(front, *keys)
        assert front.shows(screen), front.app.screen
        assert len(front.session.staged) == staged
        assert front.app.screen_stack[0] is front.main


async def test_help_called_while_a_form_is_left_is_what_shows_and_the_form_stays() -> None:
    async with opened() as front:
        await front.press(*FORM)
        await burst(front, "escape", "f1")
        await front.press("escape")
        assert front.shows(UnitScreen)
        assert front.app.focused is not None
        await front.press("escape")
        assert front.shows(MainScreen)


async def test_to_quit_is_still_to_quit_behind_other_keys() -> None:
    async with opened() as front:
        await front.press(*FORM)
        await burst(front, "escape", "f8", "ctrl+c")
        assert front.app._exit


@pytest.mark.parametrize("seed", range(12))
async def test_no_burst_ends_the_program_by_an_error(seed: int) -> None:
    rng = random.Random(seed)
    async with opened() as front:
        await front.press(*rng.choice([FORM, ("f2",), ()]))
        for _ in range(8):
            if not front.app._exit:
                await burst(front, *rng.choices(KEYS, k=rng.randint(2, 14)))
        assert front.app._exception is None
