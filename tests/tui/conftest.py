"""The whole screen on the demo server, whose clock the tests drive."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from textual.events import Key

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.cli.rules import load_rules
from lowmem_tui.model import language
from lowmem_tui.tui.app import LowmemApp
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.table.unit_table import UnitTable
from lowmem_tui.tui.widgets.header import Header
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.prompt import Prompt
from tests import catalogs
from tests.tui.settle import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from textual.pilot import Pilot
    from textual.screen import Screen

    from lowmem_tui.model.ports import Backend
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.widgets.lines import Lines
    from tests.tui.fleet import Fleet


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


PATIENCE = 6000
"""Hundredths of a second that a busy machine may take for what a quiet one does at once."""


class Front:
    """A test's hands and eyes on the main screen."""

    def __init__(self, app: LowmemApp, pilot: Pilot[int], clock: Clock) -> None:
        self.app, self.pilot, self.clock = app, pilot, clock

    @property
    def session(self) -> Session:
        return self.app.session

    @property
    def main(self) -> MainScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, MainScreen))

    @property
    def table(self) -> UnitTable:
        return self.main.query_one(UnitTable)

    def shows(self, screen: type[Screen[Any]]) -> bool:
        return isinstance(self.app.screen, screen)

    @staticmethod
    def _text(widget: Lines) -> list[str]:
        return [widget.render_line(y).text for y in range(widget.size.height)]

    @property
    def units(self) -> list[str]:
        """The lines of the table, the heading first."""
        return self._text(self.table)

    @property
    def header(self) -> list[str]:
        return self._text(self.main.query_one(Header))

    @property
    def keys(self) -> str:
        return self._text(self.main.query_one(KeyBar))[0]

    @property
    def prompt(self) -> str:
        prompt = self.main.query_one(Prompt)
        return self._text(prompt)[0] if prompt.display else ""

    @property
    def text(self) -> str:
        return "\n".join([*self.header, *self.units, self.prompt or self.keys])

    @property
    def cursor(self) -> str:
        assert self.table.row is not None
        return self.table.row.key

    def line(self, word: str) -> str:
        """The one line of the table with this in it."""
        found = [line for line in self.units if word in line]
        assert len(found) == 1, f"{word!r} in {len(found)} lines of\n" + "\n".join(self.units)
        return found[0]

    async def settle(self) -> None:
        await settle(self.pilot)

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.app.post_message(Key(key, " " if key == "space" else None))
            await self.settle()

    async def click(self, widget: type[Lines], x: int, y: int) -> None:
        await self.pilot.click(widget, offset=(x, y))
        await self.settle()

    async def tick(self, seconds: float = 1.0) -> None:
        self.clock.now += seconds
        await self.app.look()
        await self.settle()

    async def until(self, done: Callable[[], object]) -> None:
        for _ in range(PATIENCE):
            if done():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it did not come; the screen says:\n{self.text}")


@asynccontextmanager
async def opened(
    backend: Backend | Fleet | None = None,
    size: tuple[int, int] = (80, 24),
    *,
    read_only: bool = False,
    ascii_only: bool = False,
) -> AsyncIterator[Front]:
    """Open the main screen; it looks only when the test says so."""
    clock = Clock()
    if backend is None:
        backend = demo_backend(clock=clock)
        backend.wait_ready()
    app = LowmemApp(
        cast("Backend", backend),
        rules=load_rules(config=None),
        interval=3600,
        read_only=read_only,
        ascii=ascii_only,
    )
    try:
        async with app.run_test(size=size) as pilot:
            front = Front(app, pilot, clock)
            await front.until(lambda: app.session.snapshot is not None)
            await front.settle()
            yield front
    finally:
        backend.close()


@pytest.fixture(autouse=True)
def _no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits until a page may be answered, but for those of that."""
    monkeypatch.setattr("lowmem_tui.tui.screens.trial.HASTE", -math.inf)


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as found:
        yield found


@pytest.fixture
def chinese() -> Iterator[None]:
    """The screens are in Chinese."""
    language.use("zh_CN", catalogs.translations("zh_CN"))
    yield
    language.use(language.ENGLISH, None)


def lines(front: Front) -> list[str]:
    """What the screen in front shows; a strip that had to be cut within a character is longer."""
    return [strip.text for strip in front.app.screen._compositor.render_strips()]
