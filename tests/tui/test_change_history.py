"""The history screen, on the demo server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from lowmem_tui.change.records import paths
from lowmem_tui.change.records.records import summary
from lowmem_tui.cli.demo import demo_backend, serve
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.change import Change, State
from lowmem_tui.model.errors import InvalidValueError, NotPermittedError, RolledBackError
from lowmem_tui.model.plan import Action, ActionKind, Edit, FileChange, Plan
from lowmem_tui.model.unit import Key
from lowmem_tui.model.who import By
from lowmem_tui.policy import dropin
from lowmem_tui.policy.change_text import did
from lowmem_tui.policy.plan import plan
from lowmem_tui.tui.screens.change import ChangeScreen, Stage
from lowmem_tui.tui.screens.confirm import ConfirmScreen
from lowmem_tui.tui.screens.history import HistoryScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.widgets.change_list import ChangeList
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.prose import Prose
from tests.tui.conftest import Clock, Front, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.ports import Backend

REDIS = "redis-server.service"
MIB = 1 << 20
EVIL = "evil \x1b[2J[bold]x[/]\n\u202e"


def made(backend: Backend, value: str, *, trial: int | None = None, note: str = "") -> None:
    edit = Edit(REDIS, Key.MEMORY_MAX, value)
    backend.apply(plan([edit], backend.situation([REDIS])), trial=trial, note=note)


def ready(server: DemoServer | None = None, **options: bool) -> ServerBackend:
    backend = serve(server or DemoServer(0, Clock()), **options)
    backend.wait_ready()
    return backend


def says(front: Front) -> str:
    screen = front.app.screen
    keys = [bar.render_line(0).text for bar in screen.query(KeyBar)]
    return " ".join(" ".join([*(p.text for p in screen.query(Prose)), *keys]).split())


def listed(front: Front) -> list[str]:
    found = front.app.screen.query_one(ChangeList)
    return [found.render_line(y).text.rstrip() for y in range(found.size.height)]


def limit(front: Front) -> object:
    return front.session.backend.situation([REDIS]).units[REDIS].settings[Key.MEMORY_MAX].kernel


def page(front: Front) -> ChangeScreen:
    assert isinstance(front.app.screen, ChangeScreen), says(front)
    return front.app.screen


async def history(front: Front) -> None:
    await front.press("H")
    assert front.shows(HistoryScreen)
    await front.until(lambda: "reading" not in says(front))
    await front.settle()


async def undone(front: Front) -> None:
    await front.until(lambda: page(front).stage is Stage.DONE)
    await front.settle()


@pytest.fixture
async def two() -> AsyncIterator[Front]:
    """After two changes of the same file."""
    backend = ready()
    made(backend, "280M", note="more room")
    made(backend, "300M")
    async with opened(backend) as front:
        await history(front)
        yield front


async def test_nothing_was_changed_yet(front: Front) -> None:
    await history(front)
    assert "DEMO History: 0 changes" in says(front)
    assert "Nothing has been changed yet." in says(front)
    await front.press("enter", "u", "down", "y")
    assert front.shows(HistoryScreen)
    await front.press("escape")
    assert front.shows(MainScreen)


async def test_the_newest_comes_first(two: Front) -> None:
    lines = listed(two)
    assert lines[0].split()[0] == "2"
    assert lines[0].split()[3:5] == ["applied", "root"]
    assert lines[1].strip() == "redis-server.service MemoryMax 280M -> 300M"
    assert lines[2].endswith("root · more room")
    assert "MemoryMax 256M -> 280M" in lines[3]


async def test_enter_shows_what_it_did_to_the_files(two: Front) -> None:
    await two.press("down", "enter")
    await two.until(lambda: "+ MemoryMax=280M" in says(two))
    assert "Change 1: applied" in says(two)
    assert "Note: more room" in says(two)
    assert "new /etc/systemd/system/redis-server.service.d/zz-lowmem-tui.conf" in says(two)
    await two.press("y", "n", "x")
    assert page(two).stage is Stage.SHOWN
    await two.press("escape")
    assert two.shows(HistoryScreen)
    assert limit(two) == 300 * MIB


async def test_undo_shows_first_what_it_would_do(two: Front) -> None:
    await two.press("u")
    await two.until(lambda: "- MemoryMax=300M + MemoryMax=280M" in says(two))
    assert "Undo of change 2: nothing is written yet" in says(two)
    assert "300M -> 280M" in says(two)
    await two.press("enter", "u", "x")
    assert page(two).stage is Stage.ASKING
    await two.press("n")
    assert "Nothing was undone." in says(two)
    assert limit(two) == 300 * MIB
    await two.press("u", "y")
    await undone(two)
    assert "Change 2 is undone" in says(two)
    assert "Verified" in says(two)
    assert limit(two) == 280 * MIB
    await two.press("enter")
    await two.until(lambda: "History: 3 changes" in says(two))
    assert "undoes 2: redis-server.service MemoryMax 300M -> 280M" in listed(two)[1]
    # The cursor stays on its change.
    await two.press("u")
    assert "Change 2 is already undone, by 3: to apply it again, undo 3." in says(two)
    await two.press("up", "u", "y")
    await undone(two)
    assert limit(two) == 300 * MIB


async def test_a_later_change_and_an_edited_file_need_the_word(two: Front) -> None:
    await two.press("down", "u", "y")
    await two.until(lambda: two.shows(ConfirmScreen))
    await two.settle()
    await two.until(lambda: "Change 2 came later" in says(two))
    await two.press("escape")
    assert "Nothing was undone." in says(two)
    await two.press("u", "y")
    await two.until(lambda: two.shows(ConfirmScreen))
    await two.settle()
    await two.press(*"yes", "enter")
    await undone(two)
    assert limit(two) == 256 * MIB


@pytest.mark.parametrize("word", ["y", "yes"])
async def test_an_edited_file_needs_the_word(word: str) -> None:
    server = DemoServer(0, Clock())
    backend = ready(server)
    made(backend, "300M")
    path = dropin.path(REDIS)
    server.files.write(path, "[Service]\nMemoryMax=310M\n")
    async with opened(backend) as front:
        await history(front)
        await front.press("u", "y")
        await front.until(lambda: front.shows(ConfirmScreen))
        await front.until(lambda: "was edited since" in says(front))
        await front.settle()
        await front.press(*word, "enter")
        if word == "y":
            assert page(front).stage is Stage.SHOWN
            assert server.files.read(path) is not None
        else:
            await undone(front)
            assert server.files.read(path) is None


async def test_a_running_trial_can_be_undone_here() -> None:
    backend = ready()
    made(backend, "300M", trial=120)
    async with opened(backend) as front:
        await front.settle()
        await history(front)
        assert " trial " in listed(front)[0]
        await front.press("u")
        assert "/run/systemd/system/redis-server.service.d/zzz-lowmem-tui-trial.conf" in says(front)
        await front.press("y")
        await undone(front)
        assert backend.trial() is None
        assert limit(front) == 256 * MIB
        await front.press("enter", "escape")
        assert front.shows(MainScreen)
        assert all("Trial" not in line for line in front.text.splitlines())


async def test_read_only_shows_what_to_run() -> None:
    server = DemoServer(0, Clock())
    made(ready(server), "300M")
    async with opened(ready(server, read_only=True), read_only=True) as front:
        await history(front)
        await front.press("u")
        assert "To undo it: sudo lowmem-tui undo 1" in says(front)
        await front.press("y")
        assert page(front).stage is Stage.SHOWN
        assert limit(front) == 300 * MIB


async def test_an_ordinary_user_sees_no_contents(two: Front) -> None:
    refused = NotPermittedError("What was in the files is shown to root alone.")
    with patch.object(two.session.backend, "files_of", side_effect=refused):
        await two.press("enter")
        await two.until(lambda: "shown to root alone" in says(two))
    assert "/etc/systemd/system/redis-server.service.d/zz-lowmem-tui.conf" in says(two)


async def test_errors_are_one_sentence(two: Front) -> None:
    with patch.object(two.session.backend, "undo", side_effect=RolledBackError(f"No {EVIL}.")):
        await two.press("u", "y")
        await two.until(lambda: "No evil ·[2J[bold]x[/]··." in says(two))
    assert page(two).stage is Stage.SHOWN
    with patch.object(
        two.session.backend, "history", side_effect=RolledBackError("It cannot be read.")
    ):
        await two.press("escape")
        await two.until(lambda: "It cannot be read." in says(two))


async def test_what_others_wrote_is_harmless(two: Front) -> None:
    change = two.session.backend.history()[0]
    effects = tuple(replace(e, unit=EVIL, from_=EVIL) for e in change.effects)
    evil = replace(
        change, by=By(0, EVIL, EVIL, EVIL), note=EVIL, outcome=EVIL, effects=effects, files=(EVIL,)
    )
    with patch.object(two.session.backend, "history", return_value=[evil]):
        await two.press("r")
        await two.until(lambda: "evil" in listed(two)[0])
        await two.press("enter")
        await two.until(lambda: "by evil" in says(two))
        await two.press("u")
    assert "\x1b" not in says(two)
    assert "[bold]x[/]" in says(two)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 50)])
async def test_many_at_any_size(size: tuple[int, int]) -> None:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    changes = [
        Change(str(n), 1e9 + n, By(0, "root", "alice", "192.0.2.7"), "", State.APPLIED, (), ())
        for n in range(200, 0, -1)
    ]
    with patch.object(backend, "history", return_value=changes):
        async with opened(backend, size=size) as front:
            await history(front)
            await front.until(lambda: listed(front)[0].split()[0] == "200")
            assert "u Undo" in says(front)
            await front.press("end")
            assert "1" in [text.split()[0] for text in listed(front) if text.strip()]
            await front.press("home", "pagedown", "pageup", "j", "enter")
            assert "Change 199" in says(front)
            assert "u Undo" in says(front)


async def test_what_a_change_did_besides_files() -> None:
    server = DemoServer(0, Clock())
    backend = ready(server)
    path = "/etc/sysctl.d/zz-lowmem-tui.conf"
    words = f"sysctl -w vm.swappiness=10 {EVIL}"
    action = Action(ActionKind.SYSCTL, "vm.swappiness", "60", "10", words=words)
    file = FileChange(path, None, "vm.swappiness = 10\n")
    backend.apply(Plan((), (file,), (), (), (), (action,)))
    async with opened(backend) as front:
        await history(front)
        assert listed(front)[1].strip().startswith("sysctl -w vm.swappiness=10 evil ·[2J[bold]x")
        await front.press("enter")
        await front.until(lambda: "+ vm.swappiness = 10" in says(front))
        assert "ACTIONS, IN THIS ORDER 1 change the file below 2 sysctl -w vm.swa" in says(front)
        await front.press("u")
        back = "UNDO, IN THIS ORDER 1 sysctl -w vm.swappiness=60 2 change the file below"
        assert back in says(front)
        await front.press("y")
        await undone(front)
        assert "Done: sysctl -w vm.swappiness=60" in says(front)
        assert server.system.get(ActionKind.SYSCTL, "vm.swappiness") == "60"


@pytest.mark.parametrize(
    ("note", "why", "done"),
    [
        ("set-up: Journal; SystemMaxUse 100M", "set-up: Journal", "SystemMaxUse 100M; restart a"),
        ("set-up: Journal", "set-up: Journal", "restart a"),
        ("more room; asked for by x", "more room; asked for by x", "restart a"),
        ("", "", "restart a"),
    ],
)
def test_what_was_requested_in_the_set_up_is_what_was_done(note: str, why: str, done: str) -> None:
    actions = (Action(ActionKind.SERVICE, "a", "restart", "restart"),)
    change = Change(
        "1", 0.0, By(0, "root", "", ""), note, State.APPLIED, ("/x",), (), actions=actions
    )
    assert (change.why, str(did(change))) == (why, done)


def test_a_summary_of_an_older_version_is_readable() -> None:
    server = DemoServer(0, Clock())
    made(ready(server), "300M")
    text = server.store.read(paths.SUMMARY)
    assert text is not None
    server.store.write(paths.SUMMARY, text.replace('"actions": []', '"newer": []'))
    with pytest.raises(InvalidValueError):
        summary(server.store)
    old = re.sub(r',\s*"actions": \[\]', "", text)
    assert "actions" not in old
    server.store.write(paths.SUMMARY, old)
    assert [c.actions for c in summary(server.store)] == [()]
