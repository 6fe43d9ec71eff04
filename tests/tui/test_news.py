"""A change that was interrupted is found at the start of the screen, and told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pytest

from lowmem_tui.change import interrupted as unended
from lowmem_tui.change.records.records import Journal
from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import NotPermittedError, RolledBackError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.plan import plan
from lowmem_tui.setup.steps import allowed
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.widgets.news import News
from tests.tui.conftest import Clock, Front, opened
from tests.tui.fleet import Fleet, unit
from tests.tui.small import EVIL

if TYPE_CHECKING:
    from collections.abc import Sequence

REDIS = "redis-server.service"
MIB = 1 << 20


def interrupted() -> DemoServer:
    """A server on which a change was made, and its maker died before writing that down."""
    server = DemoServer(0, Clock())
    backend = serve(server)
    situation = backend.situation([REDIS])
    backend.apply(plan([Edit(REDIS, Key.MEMORY_MAX, "300M")], situation))
    backend.close()
    journal = Journal(server.store, allowed().paths)
    (record,) = journal.records()
    journal.put(record.to(State.APPLYING))
    journal.publish()
    return server


def news(front: Front) -> str:
    found = [w for w in front.main.query(News) if w.display]
    return " ".join(found[0].text.split()) if found else ""


async def test_what_was_interrupted_is_rolled_back_and_reported() -> None:
    server = interrupted()
    async with opened(serve(server)) as front:
        await front.until(lambda: news(front))
        assert "Change 1 was interrupted and is rolled back: everything has its" in news(front)
        limits = front.session.backend.situation([REDIS]).units[REDIS].settings[Key.MEMORY_MAX]
        assert limits.kernel == 256 * MIB
        # A key that was on its way does not take it away unread.
        await front.press("down", "f3", "r", "enter")
        await front.tick()
        assert news(front)
        assert REDIS in "\n".join(front.units)
        await front.press("f4", *"redis", "enter", "escape")
        assert news(front) == ""
        assert front.main.view.filter == "redis"
        await front.press("escape")
        assert front.main.view.filter == ""
    async with opened(serve(server)) as front:
        await front.tick()
        assert news(front) == ""


async def test_where_nothing_can_be_changed_it_is_only_reported() -> None:
    server = interrupted()
    async with opened(serve(server, read_only=True), read_only=True) as front:
        await front.until(lambda: news(front))
        assert (
            "Change 1 by root: It is being applied, or it was interrupted: then the next start as "
            "root rolls it back." in news(front)
        )
    assert [record.state for record in Journal(server.store, allowed().paths).records()] == [
        State.APPLYING
    ]


class Late(Fleet):
    """Settles when the test says so."""

    def __init__(self, *, error: Exception | None = None) -> None:
        super().__init__(unit("a.service"))
        self.go = threading.Event()
        self.failure = error

    def settle(self) -> tuple[str, ...]:
        assert self.looks, "the first figures come before"
        assert self.go.wait(20)
        if self.failure is not None:
            raise self.failure
        return (EVIL,)


async def test_the_first_figures_and_the_keys_do_not_wait_for_it() -> None:
    server = Late()
    async with opened(server) as front:
        assert "a.service" in "\n".join(front.units)
        await front.press("G")
        assert front.cursor == "a.service"
        assert news(front) == ""
        server.go.set()
        await front.until(lambda: news(front))
        assert "\x1b" not in news(front)
        assert "[bold red]name[/]" in news(front)


@pytest.mark.parametrize(
    "error", [RolledBackError("Settling it failed."), NotPermittedError("Settling it failed.")]
)
async def test_that_it_failed_is_reported(error: Exception) -> None:
    server = Late(error=error)
    server.go.set()
    async with opened(server) as front:
        await front.until(lambda: news(front))
        assert "! Settling it failed." in news(front)


async def test_it_is_there_when_another_screen_is_left() -> None:
    server = Late()
    async with opened(server) as front:
        await front.press("f1")
        assert not front.shows(MainScreen)
        server.go.set()
        await front.until(lambda: front.session.news)
        await front.press("escape")
        assert "name" in news(front)


async def test_quitting_at_once_is_no_trouble() -> None:
    server = Late()
    server.go.set()
    async with opened(server) as front:
        await front.press("q")
        assert not front.app.is_running


def test_who_can_only_look_is_shown_what_everybody_may_read() -> None:
    server = interrupted()
    assert unended.interrupted(server.store, lambda: allowed().paths)
    assert unended.unfinished(cast("object", _Closed(server.store))) == ()  # type: ignore[arg-type]
    assert unended.unfinished(DemoServer(0, Clock()).store) == ()
    assert not unended.interrupted(DemoServer(0, Clock()).store, lambda: allowed().paths)


class _Closed:
    """A store that this user may not read."""

    def __init__(self, store: object) -> None:
        self.store = store

    def read(self, path: str) -> str | None:
        raise PermissionError(path)

    def names(self, folder: str) -> Sequence[str]:
        raise PermissionError(folder)


def test_a_history_that_cannot_be_read_is_a_sentence() -> None:
    with pytest.raises(RolledBackError, match="The history cannot be read"):
        unended.interrupted(_Closed(None), lambda: allowed().paths)  # type: ignore[arg-type]
