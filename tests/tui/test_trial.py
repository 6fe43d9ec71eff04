"""Trials on the screen, on the demo server: its clock is the test's."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from lowmem_tui.cli.demo import demo_backend, serve
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.change import State, Trial
from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.plan import Edit, Mismatch, Outcome
from lowmem_tui.model.staged import Staged
from lowmem_tui.model.unit import Key
from lowmem_tui.model.who import By
from lowmem_tui.policy.plan import plan
from lowmem_tui.tui.screens.ask import AskScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.plan_sheet import Stage as ReviewStage
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.screens.trial import Stage, TrialScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from lowmem_tui.tui.widgets.change_list import ChangeList
from lowmem_tui.tui.widgets.field import Field
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.prose import Prose
from lowmem_tui.tui.widgets.trial_line import TrialLine
from tests.tui.conftest import Clock, Front, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lowmem_tui.cli.backend import ServerBackend

CLOUDCHAT = "cloudchat.service"
REDIS = "redis-server.service"
MIB = 1 << 20
EDIT = Edit(REDIS, Key.MEMORY_MAX, "300M")
EVIL = "evil \x1b[2J[bold]x[/]\n\u202e"


def says(front: Front) -> str:
    screen = front.app.screen
    keys = [bar.render_line(0).text for bar in screen.query(KeyBar)]
    return " ".join(" ".join([*(p.text for p in screen.query(Prose)), *keys]).split())


def line(front: Front) -> str:
    """What the first line says of the trial, below a question too."""
    screen = next(s for s in reversed(front.app.screen_stack) if not s.is_modal)
    found = [line for line in screen.query(TrialLine) if line.display]
    return " ".join(found[0].text.split()) if found else ""


def limit(front: Front) -> object:
    return front.session.backend.situation([REDIS]).units[REDIS].settings[Key.MEMORY_MAX].kernel


def stage_of(front: Front) -> Stage:
    assert isinstance(front.app.screen, TrialScreen), says(front)
    return front.app.screen.stage


async def reviewed(front: Front) -> None:
    front.session.stage(front.session.staged.with_edit(EDIT))
    await front.press("f8")
    screen = front.app.screen
    assert isinstance(screen, ReviewScreen)
    await front.until(lambda: screen.stage is ReviewStage.SHOWN)


async def tried(front: Front) -> None:
    await reviewed(front)
    await front.press("a")
    await front.until(lambda: front.shows(TrialScreen))
    await front.settle()


async def ended(front: Front) -> None:
    await front.until(lambda: stage_of(front) is Stage.ENDED)
    await front.settle()


def begun(backend: ServerBackend, note: str = "", edit: Edit = EDIT, seconds: int = 120) -> None:
    """Begin a trial elsewhere."""
    backend.apply(plan([edit], backend.situation([edit.unit])), trial=seconds, note=note)


@pytest.fixture
async def trial() -> AsyncIterator[Front]:
    async with opened() as front:
        await tried(front)
        yield front


async def test_it_says_what_it_does_and_counts_down(trial: Front) -> None:
    assert "DEMO Trial: 120 s left" in says(trial)
    assert "started by root" in says(trial)
    assert "256M -> 300M" in says(trial)
    assert "zzz-lowmem-tui-trial.conf" in says(trial)
    assert "Verified" in says(trial)
    assert "y Keep u Undo now n Back, trial continues" in says(trial)
    assert limit(trial) == 300 * MIB
    assert trial.session.staged.edits == (EDIT,)
    await trial.tick(33)
    assert "Trial: 87 s left" in says(trial)


async def test_y_keeps_it(trial: Front) -> None:
    await trial.press("y")
    await ended(trial)
    assert "Kept" in says(trial)
    assert "zz-lowmem-tui.conf" in says(trial)
    assert len(trial.session.staged) == 0
    await trial.press("enter")
    await trial.tick(300)
    assert trial.shows(MainScreen)
    assert line(trial) == ""
    assert limit(trial) == 300 * MIB
    assert trial.session.backend.history()[0].state is State.CONFIRMED


async def test_u_undoes_it_and_the_edits_stay(trial: Front) -> None:
    await trial.press("u")
    await ended(trial)
    assert "Undone" in says(trial)
    assert "still staged" in says(trial)
    assert limit(trial) == 256 * MIB
    assert trial.session.staged.edits == (EDIT,)
    await trial.press("r")
    await trial.until(lambda: "nothing is written yet" in says(trial))
    assert "+ MemoryMax=300M" in says(trial)


async def test_the_time_is_up(trial: Front) -> None:
    await trial.tick(121)
    await ended(trial)
    assert "The time is up: the change was rolled back" in says(trial)
    assert "still staged" in says(trial)
    assert limit(trial) == 256 * MIB
    assert trial.session.staged.edits == (EDIT,)
    await trial.press("y", "u")
    assert trial.session.backend.history()[0].state is State.EXPIRED
    await trial.press("escape")
    assert line(trial) == "", "it was read already"


@pytest.mark.parametrize("key", ["n", "escape", "f8"])
async def test_leaving_it_running(trial: Front, key: str) -> None:
    await trial.press(key)
    assert trial.shows(MainScreen)
    await trial.tick(20)
    await trial.until(
        lambda: line(trial) == "Trial: 100 s left. F8 keeps or undoes it. Started by root"
    )
    await trial.press("down", "y", "u", "enter", "escape")
    assert line(trial).startswith("Trial: 100 s left")
    await trial.press("f8")
    assert "Trial: 100 s left" in says(trial)
    await trial.until(lambda: "256M -> 300M" in says(trial))
    await trial.press("y")
    await ended(trial)
    assert len(trial.session.staged) == 0


async def test_it_ends_while_the_main_screen_is_in_front(trial: Front) -> None:
    await trial.press("n")
    await trial.tick(125)
    await trial.until(lambda: "The time is up" in line(trial))
    assert "Your edits are still staged." in line(trial)
    await trial.press("down")
    assert line(trial), "a key that was on its way takes nothing away"
    with patch("lowmem_tui.tui.session.trials.READABLE", 0):
        await trial.press("down")
    assert line(trial) == ""
    await trial.press("f8")
    assert trial.shows(ReviewScreen)


SCREENS = {
    "unit": ("enter",),
    "tagged": ("space", "space", "enter"),
    "F7": ("f7",),
    "history": ("H",),
    "change": ("H", "enter"),
    "incidents": ("K",),
    "incident": ("K", "enter"),
    "help": ("f1",),
    "set-up": ("f2",),
    "step": ("f2", "enter"),
    "report": ("f2", "R"),
    "question": ("f10",),
    "list": ("f6",),
}
"""The keys that lead there from the main screen, the cursor on a unit."""


@pytest.mark.parametrize("keys", SCREENS.values(), ids=list(SCREENS))
async def test_it_is_visible_everywhere(trial: Front, keys: tuple[str, ...]) -> None:
    await trial.press("n", "down", *keys)
    await trial.tick(7)
    await trial.until(
        lambda: line(trial) == "Trial: 113 s left. F8 keeps or undoes it. Started by root"
    )


@pytest.mark.parametrize("keys", SCREENS.values(), ids=list(SCREENS))
async def test_its_end_is_shown_everywhere(trial: Front, keys: tuple[str, ...]) -> None:
    await trial.press("n", "down", *keys)
    await trial.tick(121)
    await trial.until(lambda: line(trial).startswith("The time is up: the change was rolled back."))


@pytest.mark.parametrize(
    "keys", [keys for name, keys in SCREENS.items() if name not in {"question", "list"}]
)
async def test_f8_opens_it_everywhere(trial: Front, keys: tuple[str, ...]) -> None:
    await trial.press("n", "down", *keys, "f8")
    await trial.until(lambda: trial.shows(TrialScreen))


async def test_f8_opens_anothers_from_the_review() -> None:
    async with opened() as front:
        await reviewed(front)
        begun(front.session.backend)  # type: ignore[arg-type]
        await front.tick()
        await front.press("f8")
        assert stage_of(front) is Stage.RUNNING


async def test_between_rare_looks_it_counts_down(trial: Front) -> None:
    await trial.press("n")
    trial.clock.now += 50
    await trial.until(lambda: line(trial).startswith("Trial: 70 s left"))


async def test_its_end_is_found_between_rare_looks(trial: Front) -> None:
    await trial.press("n", "f1")
    trial.clock.now += 121
    await trial.until(lambda: line(trial).startswith("The time is up"))


async def test_an_end_that_its_own_page_has_shown_is_not_shown_again(trial: Front) -> None:
    await trial.tick(121)
    await ended(trial)
    await trial.press("enter", "f7")
    await trial.tick()
    assert line(trial) == ""


async def test_the_next_one_takes_the_place_of_how_the_last_ended(trial: Front) -> None:
    await trial.press("n")
    await trial.tick(121)
    await trial.until(lambda: "The time is up" in line(trial))
    begun(trial.session.backend)  # type: ignore[arg-type]
    await trial.tick()
    assert line(trial).startswith("Trial: 119 s left")


async def test_the_history_does_not_stay_at_the_trial(trial: Front) -> None:
    await trial.press("n", "H")
    await trial.until(lambda: "trial" in listed(trial))
    await trial.tick(121)
    await trial.until(lambda: "expired" in listed(trial))


def listed(front: Front) -> str:
    found = front.app.screen.query_one(ChangeList)
    return "\n".join(found.render_line(y).text for y in range(found.size.height))


OTHER = Edit(REDIS, Key.MEMORY_HIGH, "200M")


async def in_the_form(front: Front, field: int) -> None:
    """Leave the trial running, open redis' page, and go to a field."""
    await front.press("n", "f3", *"redis", "enter", "enter", *["tab"] * field)
    await front.until(lambda: front.shows(UnitScreen) and "Asking" not in says(front))


async def test_the_form_says_what_is_on_trial(trial: Front) -> None:
    await in_the_form(trial, 1)
    assert "MemoryMax: 300M, 31% of RAM. On trial now: F8 keeps it or undoes it." in says(trial)


ENDS = {
    "kept on the screen": ("f8", "y"),
    "kept from elsewhere": ("confirm",),
    "undone from the history afterwards": ("f8", "y", "enter", "escape", "H", "u", "y"),
}


@pytest.mark.parametrize("keys", ENDS.values(), ids=list(ENDS))
async def test_what_was_to_be_set_is_gone_from_the_form_when_the_trial_is_kept(
    trial: Front, keys: tuple[str, ...]
) -> None:
    await in_the_form(trial, 1)
    fields = {field.key: field for field in trial.app.screen.query(Field)}
    assert (fields[Key.MEMORY_MAX].text, fields[Key.MEMORY_MAX].mark) == ("300M", "*")
    if keys == ("confirm",):
        trial.session.backend.confirm()
        await trial.tick()
        await trial.until(lambda: not len(trial.session.staged))
    else:
        for key in keys:
            await trial.press(key)
            await trial.until(lambda: "Working" not in says(trial))
            await trial.settle()
    assert not len(trial.session.staged)
    while not trial.shows(MainScreen):
        await trial.press("escape")
    await trial.press("enter")
    await trial.until(lambda: trial.shows(UnitScreen) and "Asking" not in says(trial))
    await trial.settle()
    found = {field.key: (field.text, field.mark) for field in trial.app.screen.query(Field)}
    # What our file sets stands there, and is not called staged.
    kept = ("", " ") if "H" in keys else ("300M", "=")
    assert found == dict.fromkeys(fields, ("", " ")) | {Key.MEMORY_MAX: kept}
    assert "On trial" not in says(trial)
    assert "staged" not in says(trial)


async def test_the_form_plans_nothing_for_what_is_on_trial(trial: Front) -> None:
    await in_the_form(trial, 0)
    assert "On trial: MemoryMax 300M" in says(trial)
    assert "Warning" not in says(trial)


async def test_what_is_staged_beside_the_trial_waits(trial: Front) -> None:
    trial.session.stage(trial.session.staged.with_edit(OTHER))
    await in_the_form(trial, 2)
    told = "Staged, nothing is written yet: F8 reviews it when the trial is over."
    await trial.until(lambda: told in says(trial))


async def test_when_it_is_over_the_form_says_staged_again(trial: Front) -> None:
    await in_the_form(trial, 1)
    await trial.tick(121)
    await trial.until(lambda: "Staged, nothing is written yet: F8 reviews." in says(trial))


async def test_the_kill_order_says_that_it_is_with_the_trial(trial: Front) -> None:
    await trial.press("n", "f7")
    assert "A trial is running: its settings are in force and included here." in says(trial)


async def test_the_kill_order_compares_nothing_with_what_is_on_trial(trial: Front) -> None:
    await trial.press("n", "f7")
    assert "With the staged edit:" not in says(trial)


async def test_the_form_keeps_its_room() -> None:
    async with opened(size=(80, 24)) as front:
        await tried(front)
        await in_the_form(front, 0)
        body = front.app.screen.query_one("#body").content_region
        assert all(body.contains_region(f.region) for f in front.app.screen.query(Field))


async def test_a_form_that_is_higher_than_the_screen_shows_the_field_with_the_cursor() -> None:
    async with opened(size=(40, 12)) as front:
        await tried(front)
        await in_the_form(front, 0)
        for _ in front.app.screen.query(Field):
            body = front.app.screen.query_one("#body").content_region
            focused = front.app.focused
            assert focused is not None
            assert body.contains_region(focused.region)
            await front.press("tab")


@pytest.mark.parametrize("word", ["kept", "undone"])
async def test_it_is_ended_from_another_login(trial: Front, word: str) -> None:
    backend = trial.session.backend
    if word == "kept":
        backend.confirm()
    else:
        backend.undo()
    await trial.tick()
    await ended(trial)
    said = {"kept": "confirmed", "undone": "undone"}[word]
    assert f"The trial was {said} elsewhere" in says(trial)
    assert len(trial.session.staged) == (word == "undone")


async def test_wrong_keys_do_no_harm(trial: Front) -> None:
    await trial.press("a", "A", "d", "r", "enter", "x", "Y", "U", "f5", "space", "end", "home")
    assert stage_of(trial) is Stage.RUNNING
    assert trial.session.backend.trial() is not None


async def test_confirm_comes_too_late(trial: Front) -> None:
    trial.clock.now += 130
    await trial.press("y")
    await ended(trial)
    assert "There is no trial any more" in says(trial)
    assert "The time is up" in says(trial)
    assert trial.session.staged.edits == (EDIT,)


async def test_an_error_is_one_sentence_and_the_trial_goes_on(trial: Front) -> None:
    backend = trial.session.backend
    with patch.object(backend, "confirm", side_effect=ManagerError(f"It said {EVIL}.")):
        await trial.press("y")
        await trial.until(lambda: "It said evil ·[2J[bold]x[/]··." in says(trial))
    assert stage_of(trial) is Stage.RUNNING
    await trial.press("u")
    await ended(trial)


@pytest.mark.parametrize(
    ("key", "call", "title", "untrue"),
    [
        ("y", "confirm", "Kept, but verification failed", "The change is permanent."),
        ("u", "undo", "Undone, but verification failed", "undone: everything"),
    ],
)
async def test_what_fails_the_verification_is_not_called_done(
    trial: Front, key: str, call: str, title: str, untrue: str
) -> None:
    apart = Mismatch(REDIS, Key.MEMORY_MAX, "1G", "1G", "1G", "2G", "The kernel has its own.")
    outcome = Outcome((), (), (), (apart,))
    with patch.object(trial.session.backend, call, return_value=outcome):
        await trial.press(key)
        await ended(trial)
    assert title in says(trial)
    assert untrue not in says(trial)
    assert "MemoryMax of redis-server.service is not 1G. The kernel has its own." in says(trial)


async def test_of_somebody_else_from_before_the_start() -> None:
    clock = Clock()
    backend = demo_backend(clock=clock)
    backend.wait_ready()
    begun(backend, EVIL)
    held = backend.trial()
    assert held is not None
    other = Trial(held.id, By(0, EVIL, EVIL, EVIL), EVIL, held.units, held.deadline, held.left)
    with patch.object(backend, "trial", lambda: other):
        async with opened(backend) as front:
            await front.settle()
            await front.until(
                lambda: line(front).startswith(
                    "Trial: 120 s left. F8 keeps or undoes it. Started by evil ·[2J[bold]x[/]··"
                )
            )
            await front.press("f8")
            assert "started by evil ·[2J[bold]x[/]··" in says(front)
            assert "Note: evil ·[2J" in says(front)
            await front.until(lambda: "256M -> 300M" in says(front))


async def test_a_second_one_is_refused() -> None:
    async with opened() as front:
        await reviewed(front)
        begun(front.session.backend)  # type: ignore[arg-type]
        await front.press("a")
        screen: Any = front.app.screen
        await front.until(lambda: screen.stage is ReviewStage.FAILED)
        assert "A change of redis-server.service" in says(front)
        assert "Nothing is changed" in says(front)
        await front.press("n")
        await front.tick()
        await front.until(lambda: line(front).startswith("Trial: "))


async def test_read_only_shows_what_to_run() -> None:
    server = DemoServer(0, Clock())
    begun(serve(server))
    backend = serve(server, read_only=True)
    backend.wait_ready()
    async with opened(backend, read_only=True) as front:
        await front.settle()
        await front.press("f8", "y")
        assert "--read-only" in says(front)
        assert "To keep it: sudo lowmem-tui confirm" in says(front)
        await front.press("u")
        assert "To undo it: sudo lowmem-tui undo 1" in says(front)
        assert stage_of(front) is Stage.RUNNING


async def test_the_page_of_a_unit_opens_it_too(trial: Front) -> None:
    await trial.press("n", "f3", *"redis", "enter", "enter")
    assert trial.shows(UnitScreen)
    await trial.press("f8")
    await trial.until(lambda: trial.shows(TrialScreen))


def asked(front: Front) -> str:
    return " ".join(front.app.screen.query_one(Prose).text.split())


async def test_quitting_tells_of_it(trial: Front) -> None:
    await trial.press("f10")
    assert "Quit? The trial reverts automatically when its time is up." in asked(trial)
    await trial.press("n")
    assert stage_of(trial) is Stage.RUNNING


async def test_quitting_in_anothers_trial_tells_of_the_staged_edits_too() -> None:
    async with opened() as front:
        begun(front.session.backend)  # type: ignore[arg-type]
        front.session.stage(Staged((EDIT,)))
        await front.tick()
        await front.until(lambda: front.session.trials.running is not None)
        await front.press("f10")
        told = (
            "Quit and discard 1 staged edit? The trial reverts automatically when its time is up."
        )
        assert told in asked(front)


async def test_it_begins_behind_a_question() -> None:
    async with opened() as front:
        await reviewed(front)
        await front.press("a", "f10")
        await front.press("n")
        await front.until(lambda: front.shows(TrialScreen))


async def test_leaving_asks_as_long_as_the_screen_has_not_shown_what_a_change_did() -> None:
    async with opened() as front:
        front.session.stage(Staged((EDIT,)))
        ended_now: Future[Outcome] = Future()
        ended_now.set_result(Outcome((), (), (), ()))
        front.session.under_way.begin(ended_now, (EDIT,))
        await front.press("f10")
        assert "A change is being made. Quit when it has ended?" in asked(front)
        front.session.under_way.settled()
        await front.press("y")
        assert "Quit and discard 1 staged edit?" in asked(front)


@pytest.mark.parametrize("size", [(40, 12), (200, 50)])
async def test_other_sizes(size: tuple[int, int]) -> None:
    async with opened(size=size) as front:
        await tried(front)
        assert "120 s left" in says(front)
        assert "y Keep" in says(front)
        await front.press("end", "home", "n")
        await front.until(lambda: line(front).startswith("Trial: 120 s left. F8 keeps or undoes"))
        assert len(front.units) >= 5


async def asked_at(front: Front, key: str) -> str:
    await front.press(key)
    assert front.shows(AskScreen), says(front)
    return says(front)


@pytest.mark.parametrize("key", ["y", "u"])
async def test_a_key_that_was_typed_before_the_page_is_there_does_nothing(
    trial: Front, key: str
) -> None:
    with patch("lowmem_tui.tui.screens.trial.HASTE", 3600):
        await trial.press(key)
    assert "This key was pressed before the page could be read" in says(trial)
    assert trial.session.backend.trial() is not None
    await trial.press(key)
    await ended(trial)


OTHERS = (
    Edit("cloudchat.service", Key.OOM_SCORE_ADJUST, "-900"),
    Edit("ssh.service", Key.OOM_SCORE_ADJUST, "-900"),
    Edit("ssh.service", Key.RESTART, "always"),
)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (OTHERS[:1], "1 staged edit is not part of this trial: cloudchat.service OOMScoreAdjust."),
        (
            OTHERS,
            (
                "3 staged edits are not part of this trial: cloudchat.service OOMScoreAdjust, "
                "ssh.service OOMScoreAdjust and 1 more."
            ),
        ),
    ],
)
async def test_what_else_is_staged_is_named_first_and_y_asks(
    trial: Front, others: tuple[Edit, ...], words: str
) -> None:
    for edit in others:
        trial.session.stage(trial.session.staged.with_edit(edit))
    await trial.press("n", "f8")
    assert f"u undoes it now {words} F8 reviews them once" in says(trial)
    assert f"{words} Make the change permanent? y/n" in await asked_at(trial, "y")
    await trial.press("n")
    assert stage_of(trial) is Stage.RUNNING
    assert trial.session.backend.trial() is not None
    await trial.press("y", "y")
    await ended(trial)
    assert trial.session.staged.edits == others


async def test_what_is_on_trial_here_alone_is_not_asked_about(trial: Front) -> None:
    assert "not in this trial" not in says(trial)
    await trial.press("y")
    await ended(trial)


async def test_a_kill_and_a_unit_that_is_down_are_shown_and_y_asks() -> None:
    async with opened() as front:
        front.session.stage(front.session.staged.with_edit(Edit(REDIS, Key.MEMORY_MAX, "10M")))
        await front.press("f8")
        await front.until(lambda: "REFUSED" in says(front))
        await front.press("a", *"yes", "enter")
        await front.until(lambda: front.shows(TrialScreen))
        # The word, by a hand that thinks that the question is still there.
        await front.press(*"yes")
        assert "A check refused this change." in says(front)
        await front.press("n")
        for _ in range(300):
            await front.tick(0.3)
            await asyncio.sleep(0.01)  # systemd's word comes in a thread
            if "is down" in says(front):
                break
        words = "! redis-server.service is down. redis-server.service was killed at least "
        assert f"u undoes it now {words}" in says(front)
        assert words.removeprefix("! ") in await asked_at(front, "y")
        await front.press("y")
        await ended(front)
        told = "! redis-server.service is down: `systemctl reset-failed redis-server.service"
        assert says(front).count(told) == 1


async def test_whom_the_undo_kills_is_shown_before_and_after() -> None:
    clock = Clock()
    server = DemoServer(0, clock)
    backend = serve(server)
    backend.wait_ready()
    tight = Edit(CLOUDCHAT, Key.MEMORY_MAX, "420M")
    backend.apply(plan([tight], backend.situation([CLOUDCHAT])))
    begun(backend, edit=Edit(CLOUDCHAT, Key.MEMORY_MAX, "500M"), seconds=10)
    async with opened(backend) as front:
        front.clock = clock
        await front.press("f8")
        await front.until(lambda: "420M -> 500M" in says(front))
        assert "Reverting it" not in says(front)
        group = server.init.memory.groups[f"/system.slice/{CLOUDCHAT}"]
        group.tasks[-1].anon += 95 * MIB
        group.touch()
        await front.tick()
        assert "! Reverting it may kill cloudchat.service: it uses 4" in says(front), says(front)
        assert "without page cache, and MemoryMax is then 420M. What does not fit" in says(front)
        assert "Undo it now? y/n" in await asked_at(front, "u")
        await front.press("n", "n")
        assert line(front).startswith("Trial: 9 s left, F8. Reverting it may kill cloudchat.se")
        await front.press("f8")
        await front.tick(10)
        await ended(front)
        assert "cloudchat.service failed meanwhile (oom-kill) and was started again." in says(front)


async def test_leaving_asks_where_a_trial_of_ours_runs(trial: Front) -> None:
    trial.session.stage(Staged())
    await trial.press("ctrl+c")
    assert "Quit? The trial reverts automatically when its time is up. y/n" in says(trial)
    await trial.press("n")
    assert stage_of(trial) is Stage.RUNNING
    trial.session.stage(Staged(OTHERS))
    await trial.press("ctrl+c")
    assert "Quit and discard 3 staged edits? The trial reverts" in says(trial)
    await trial.press("ctrl+c")
    assert trial.app._exit


async def test_leaving_does_not_ask_for_a_trial_of_somebody_else() -> None:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    begun(backend)
    async with opened(backend) as front:
        await front.press("ctrl+c")
        assert front.app._exit
