"""Opens the unit page and the review on the small server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from textual.events import Key as Key_
from textual.screen import Screen

from lowmem_tui.cli.rules import load_rules
from lowmem_tui.model.settings import Key
from lowmem_tui.model.staged import Staged
from lowmem_tui.tui.app import LowmemApp
from lowmem_tui.tui.screens.edit import EditScreen
from lowmem_tui.tui.screens.plan_sheet import Stage
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.screens.tagged import TaggedScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from lowmem_tui.tui.widgets.field import Entry
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.prose import Prose
from tests.tui.settle import settle
from tests.tui.small import REDIS, SmallServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

    from lowmem_tui.model.plan import Edit
    from lowmem_tui.tui.session.session import Session


class Blank(Screen[None]):
    """In the place of the main screen, which has tests of its own."""

    def __init__(self, _: Session) -> None:
        super().__init__()


class Desk:
    """A test's hands and eyes."""

    def __init__(self, app: LowmemApp, pilot: Pilot[int], server: SmallServer) -> None:
        self.app = app
        self.pilot = pilot
        self.server = server

    @property
    def session(self) -> Session:
        return self.app.session

    @property
    def unit(self) -> EditScreen:
        assert isinstance(self.app.screen, EditScreen)
        return self.app.screen

    @property
    def review(self) -> ReviewScreen:
        assert isinstance(self.app.screen, ReviewScreen)
        return self.app.screen

    @property
    def text(self) -> str:
        """Every line of the screen in front, those out of sight too."""
        keys = [b.render_line(0).text for b in self.app.screen.query(KeyBar)]
        return "\n".join([*(p.text for p in self.app.screen.query(Prose)), *keys])

    @property
    def words(self) -> str:
        """The same, wherever lines were broken."""
        return " ".join(self.text.split())

    def entry(self, key: Key) -> Entry:
        return next(e for e in self.unit.query(Entry) if e.field.key is key)

    def mark(self, key: Key) -> str:
        return self.entry(key).field.mark

    @property
    def staged(self) -> dict[Key, str | None]:
        return self.session.staged.of(REDIS)

    async def until(self, done: Callable[[], object]) -> None:
        for _ in range(400):
            if done():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it did not come; the screen says:\n{self.text}")

    async def into(self, key: Key, text: str | None = None) -> None:
        """Put the cursor into a field, and type over what stands there."""
        self.unit.set_focus(self.entry(key))
        await self.settle()
        if text is not None:
            await self.type(text)

    async def type(self, text: str) -> None:
        # All at once: the order of keys must hold, and waiting for each is slow.
        self.send("backspace", *text)
        await self.settle()

    def send(self, *keys: str) -> None:
        """Press keys and wait for nothing."""
        for key in keys:
            self.app.post_message(Key_(key, " " if key == " " else None))

    async def settle(self) -> None:
        await settle(self.pilot)

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.send(key)
            await self.settle()

    async def tick(self) -> None:
        await self.app.look()
        await self.settle()


def tabs(one: Key, other: Key) -> list[str]:
    """Return the keys that lead from the field of a setting to that of another further down."""
    order = list(Key)
    return ["tab"] * (order.index(other) - order.index(one))


@asynccontextmanager
async def desk(
    server: SmallServer,
    size: tuple[int, int] = (80, 24),
    *,
    read_only: bool = False,
    ascii_only: bool = False,
    staged: tuple[Edit, ...] = (),
) -> AsyncIterator[Desk]:
    """Start the app on the small server, with nothing in front."""
    with (
        patch("lowmem_tui.tui.app.MainScreen", Blank),
        patch("lowmem_tui.tui.screens.edit.CALM", 0.01),
    ):
        app = LowmemApp(
            server,
            rules=load_rules(config=None),
            interval=3600,
            read_only=read_only,
            ascii=ascii_only,
        )
        app.session.staged = Staged(staged)
        async with app.run_test(size=size) as pilot:
            found = Desk(app, pilot, server)
            await found.until(lambda: app.session.snapshot)
            yield found


@asynccontextmanager
async def unit_page(
    server: SmallServer,
    size: tuple[int, int] = (80, 24),
    *,
    name: str = REDIS,
    ascii_only: bool = False,
    staged: tuple[Edit, ...] = (),
) -> AsyncIterator[Desk]:
    async with desk(server, size, ascii_only=ascii_only, staged=staged) as found:
        await found.app.push_screen(UnitScreen(found.session, name))
        await found.settle()
        await found.until(lambda: "Asking" not in found.text)
        yield found


@asynccontextmanager
async def tagged_page(
    server: SmallServer,
    *names: str,
    size: tuple[int, int] = (80, 24),
    staged: tuple[Edit, ...] = (),
) -> AsyncIterator[Desk]:
    async with desk(server, size, staged=staged) as found:
        await found.app.push_screen(TaggedScreen(found.session, names))
        await found.settle()
        await found.until(lambda: "Asking" not in found.text)
        yield found


@asynccontextmanager
async def review_page(
    server: SmallServer,
    *edits: Edit,
    size: tuple[int, int] = (80, 24),
    read_only: bool = False,
) -> AsyncIterator[Desk]:
    async with desk(server, size, read_only=read_only, staged=edits) as found:
        await found.app.push_screen(ReviewScreen(found.session))
        await found.until(lambda: found.review.stage is not Stage.PLANNING)
        yield found
