"""The pictures of the documentation, taken from the demo server: they show what the screen shows.

`make pictures` writes them anew.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import Key
from lowmem_tui.tui.screens.setup import SetupScreen
from tests.tui.conftest import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tui.conftest import Front

DOCS = Path(__file__).parents[2] / "docs"
WRITE = os.environ.get("LOWMEM_TUI_PICTURES") == "write"
SIZE = (100, 30)

CLOUDCHAT = "cloudchat.service"

_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_ID = re.compile(r"terminal-\d+")
_TEXT = re.compile(r'<text class="terminal[-\d]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')

_CHARACTER = 12.2
"""The width of one, in the pictures' own units."""


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same terminal for everybody."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


def lines(svg: str) -> list[str]:
    """The text of a picture, line by line, spaces at the ends aside."""
    found: dict[float, str] = {}
    for x, y, text in sorted(_TEXT.findall(svg), key=lambda t: (float(t[1]), float(t[0]))):
        # What is only spaces is not in it.
        before = found.get(float(y), "").ljust(round(float(x) / _CHARACTER))
        found[float(y)] = before + html.unescape(text).replace("\xa0", " ")
    return [line.rstrip() for line in found.values()]


def taken(front: Front) -> str:
    svg = front.app.export_screenshot(title="lowmem-tui")
    # Where the pictures are shown nothing is fetched from elsewhere; any monospaced font will do.
    return _ID.sub("terminal", _FONT_FACE.sub("", svg))


def compare(front: Front, name: str) -> None:
    path = DOCS / name
    svg = taken(front)
    if WRITE:
        path.write_text(svg, "utf-8")
    assert lines(path.read_text("utf-8")) == lines(svg), "if it should look so: make pictures"


async def pass_time(front: Front) -> None:
    """Let it leak; nothing starts or ends meanwhile, so systemd need not be waited for."""
    for _ in range(25):
        await front.tick(2)


def has(front: Front, *words: str) -> Iterator[bool]:
    text = "\n".join(lines(front.app.export_screenshot()))
    return (word in text for word in words)


def stage(front: Front) -> None:
    staged = front.session.staged
    for unit, key, value in (
        (CLOUDCHAT, Key.MEMORY_HIGH, "540M"),
        ("ssh.service", Key.OOM_SCORE_ADJUST, "-200"),
    ):
        staged = staged.with_edit(Edit(unit, key, value))
    front.session.stage(staged)


async def find(front: Front, unit: str) -> None:
    while front.cursor != unit:
        before = front.cursor
        await front.press("down")
        assert front.cursor != before, f"there is no {unit}"


async def test_the_main_screen() -> None:
    async with opened(size=SIZE) as front:
        await front.tick(20)
        await pass_time(front)
        stage(front)
        await find(front, CLOUDCHAT)
        assert all(has(front, "DEMO", "Next OOM victim: cloudchat.service", "Review 2"))
        compare(front, "screen.svg")


async def test_the_page_of_a_unit() -> None:
    async with opened(size=(100, 33)) as front:
        await front.tick(20)
        await find(front, CLOUDCHAT)
        await front.press("enter")
        await pass_time(front)
        await front.until(lambda: all(has(front, "MemorySwapMax", "/etc/systemd/system/cloud")))
        await front.settle()
        compare(front, "unit.svg")


async def test_the_review() -> None:
    async with opened(size=SIZE) as front:
        await front.tick(20)
        await pass_time(front)
        stage(front)
        await front.press("f8")
        await front.until(lambda: all(has(front, "zz-lowmem-tui.conf", "MemoryHigh=540M")))
        await front.settle()
        compare(front, "review.svg")


async def test_the_next_oom_victims() -> None:
    async with opened(size=(100, 36)) as front:
        await front.tick(20)
        await pass_time(front)
        await front.press("f7")
        await front.until(lambda: all(has(front, "OOM kill order", "Memory in use and limits")))
        await front.settle()
        compare(front, "forecast.svg")


async def guided(front: Front) -> None:
    """Open the set-up, and wait until each step was looked at."""
    await front.press("f2")
    await front.until(lambda: all(has(front, "Guided set-up: ", " to do in ")))
    await front.settle()


async def step(front: Front, name: str) -> None:
    """Go to a step of the set-up."""
    screen = front.app.screen
    assert isinstance(screen, SetupScreen)
    while screen.chosen is not None and screen.chosen.step.name != name:
        before = screen.chosen
        await front.press("down")
        assert screen.chosen is not before, f"there is no {name}"


async def test_the_set_up() -> None:
    async with opened(size=SIZE) as front:
        await guided(front)
        await step(front, "units")
        assert all(has(front, "OOM scores, limits, restarts", "Nothing changes"))
        compare(front, "setup.svg")


async def test_a_step_of_the_set_up() -> None:
    async with opened(size=SIZE) as front:
        await guided(front)
        await step(front, "sysctl")
        await front.press("enter", "down")
        assert all(has(front, "Kernel settings (vm.*): 5 to do", "Why: vm.dirty_ratio"))
        compare(front, "setup-step.svg")
