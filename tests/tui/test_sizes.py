"""Every screen after the terminal's size has changed: as if it had been opened at that size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import Key
from tests.tui.conftest import opened
from tests.tui.test_palette import readable
from tests.tui.test_picture import find, has, stage
from tests.tui.test_picture import step as step_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.tui.conftest import Front

WIDE, USUAL, NARROW = (120, 35), (80, 24), (40, 20)

CLOUDCHAT = "cloudchat.service"


def cells(front: Front) -> list[str]:
    """What the screen in front shows, line by line: the texts, then their styles."""
    strips = front.app.screen._compositor.render_strips()
    styles = [";".join(f"{len(s.text)} {s.style or ''}" for s in strip) for strip in strips]
    return [strip.text for strip in strips] + styles


def legible(front: Front) -> bool:
    """Whether every cell of it can be read on a dark and on a light terminal."""
    strips = front.app.screen._compositor.render_strips()
    styles = {segment.style for strip in strips for segment in strip if segment.style}
    unread = [str(style) for style in styles if not readable(style)]
    assert not unread
    return True


def pressing(*names: str, until: str = "") -> Callable[[Front], Awaitable[None]]:
    async def do(front: Front) -> None:
        await front.press(*names)
        if until:
            await front.until(lambda: all(has(front, *until.split("|"))))
            await front.settle()

    return do


async def unit(front: Front) -> None:
    await find(front, CLOUDCHAT)
    await front.press("enter")
    await front.until(lambda: not any(has(front, "Asking")))
    await front.settle()


async def unit_with_an_error(front: Front) -> None:
    await unit(front)
    await front.press("x", "tab")


async def tagged(front: Front) -> None:
    await find(front, CLOUDCHAT)
    await front.press("space", "space", "enter")
    await front.until(lambda: not any(has(front, "Asking")))
    await front.settle()


async def review(front: Front) -> None:
    stage(front)
    await front.press("f8")
    await front.until(lambda: not any(has(front, "asking")))
    await front.settle()


async def trial(front: Front) -> None:
    await review(front)
    await front.press("a")
    await front.until(lambda: any(has(front, "Trial: ")))
    await front.settle()


async def kept(front: Front) -> None:
    await trial(front)
    await front.press("y")
    await front.until(lambda: any(has(front, "Kept")))
    await front.settle()


async def history(front: Front) -> None:
    await kept(front)
    await front.press("enter", "H")
    await front.until(lambda: any(has(front, "History: 1")))
    await front.settle()


async def change(front: Front) -> None:
    await history(front)
    await front.press("enter")
    await front.until(lambda: any(has(front, "Change 1")))
    await front.settle()


async def refused(front: Front) -> None:
    front.session.stage(front.session.staged.with_edit(Edit(CLOUDCHAT, Key.MEMORY_MAX, "50M")))
    await front.press("f8")
    await front.until(lambda: not any(has(front, "asking")))
    await front.press("a")


async def set_up(front: Front) -> None:
    await front.press("f2")
    await front.until(lambda: all(has(front, "to do in")))
    await front.settle()


async def report(front: Front) -> None:
    await set_up(front)
    await front.press("R")
    await front.until(lambda: not any(has(front, "Reading the history")))
    await front.settle()


async def step(front: Front) -> None:
    await set_up(front)
    await step_of(front, "sysctl")
    await front.press("enter")
    await front.until(lambda: any(has(front, "Why: ")))
    await front.settle()


async def step_review(front: Front) -> None:
    await step(front)
    await front.press("enter")
    await front.until(lambda: any(has(front, "nothing i")))
    await front.settle()


async def quitting(front: Front) -> None:
    stage(front)
    await front.press("q")


SCREENS: dict[str, Callable[[Front], Awaitable[None]]] = {
    "main": pressing(),
    "tree": pressing("t"),
    "find": pressing("slash", "r"),
    "filter": pressing("backslash", "r", "enter"),
    "filter without a match": pressing("backslash", "x", "y", "z", "enter"),
    "sort menu": pressing("f6"),
    "unit": unit,
    "unit, not understood": unit_with_an_error,
    "tagged": tagged,
    "review": review,
    "trial": trial,
    "kept": kept,
    "history": history,
    "change": change,
    "refused": refused,
    "forecast": pressing("f7"),
    "incidents": pressing("K", until="since boot"),
    "help": pressing("f1"),
    "set-up": set_up,
    "step": step,
    "step review": step_review,
    "set-up report": report,
    "quit": quitting,
}


async def as_fresh(front: Front, wanted: list[str] | None) -> None:
    """Wait until the screen is what one that was opened at this size shows (None: of any kind)."""
    if wanted is not None:
        await front.until(lambda: cells(front) == wanted)


@pytest.mark.parametrize("name", SCREENS)
async def test_it_is_as_if_opened_at_the_size(name: str) -> None:
    async with opened(size=WIDE) as front, opened(size=NARROW) as other:
        for each in (front, other):
            await SCREENS[name](each)
            assert legible(each)
        fresh = {WIDE: cells(front), NARROW: cells(other)}
        for each, sizes in ((front, (NARROW, WIDE, NARROW)), (other, (USUAL, NARROW, WIDE))):
            for size in sizes:
                await each.pilot.resize_terminal(*size)
                await each.settle()
                await as_fresh(each, fresh.get(size))
