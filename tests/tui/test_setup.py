"""The guided set-up, on the demo server with small steps: what it shows, and every key."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.model.errors import HalfDoneError, InvalidValueError, RefusedError, RolledBackError
from lowmem_tui.model.plan import Action, ActionKind, Edit, Notice, Phase, Plan
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.unit import Key as SettingKey
from lowmem_tui.policy.setup_part import Part, Stand
from lowmem_tui.tui.screens.ask import AskScreen
from lowmem_tui.tui.screens.change import ChangeScreen
from lowmem_tui.tui.screens.confirm import ConfirmScreen
from lowmem_tui.tui.screens.help import HelpScreen
from lowmem_tui.tui.screens.history import HistoryScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.plan_sheet import Stage
from lowmem_tui.tui.screens.setup import SetupScreen
from lowmem_tui.tui.screens.setup_report import SetupReportScreen
from lowmem_tui.tui.screens.setup_review import SetupReviewScreen
from lowmem_tui.tui.screens.setup_step import StepScreen
from lowmem_tui.tui.screens.trial import TrialScreen
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.picker import Picker
from lowmem_tui.tui.widgets.prose import Prose
from tests.tui.conftest import Clock, Front, opened
from tests.tui.small_steps import CHAT, FILE, REDIS, SIZE, SmallStep, wizard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lowmem_tui.cli.backend import ServerBackend
    from tests.tui.small_steps import SlowSystem

EVIL = "evil \x1b]0;x\x07\x1b[2J[bold red]x[/]\n\u202e"
SIZES = [(40, 12), (80, 24), (200, 60)]


def lines(front: Front) -> list[str]:
    """Every line of the screen in front, as it is painted."""
    screen = front.app.screen
    found = []
    for widget in screen.query("Prose, Picker, KeyBar").results():
        if widget.parent is screen:
            found += [widget.render_line(y).text for y in range(widget.size.height)]
    return found


def says(front: Front) -> str:
    """All that is on it, wherever lines were broken; what is out of sight of a sheet, too."""
    screen = front.app.screen
    found = [p.text for p in screen.query(Prose)]
    for picker in screen.query(Picker):
        found += [row.text.plain for row in picker._rows]
    found += [bar.render_line(0).text for bar in screen.query(KeyBar)]
    return " ".join(" ".join(found).split())


def page(front: Front) -> StepScreen:
    assert isinstance(front.app.screen, StepScreen), says(front)
    return front.app.screen


def review(front: Front) -> SetupReviewScreen:
    assert isinstance(front.app.screen, SetupReviewScreen), says(front)
    return front.app.screen


async def looked(front: Front) -> None:
    setup = front.session._setup
    await front.until(
        lambda: (
            setup
            and setup.begun
            and not setup._working
            and all(p.stand not in {Stand.WAITING, Stand.LOOKING} for p in setup.parts)
        )
    )
    await front.settle()


@asynccontextmanager
async def set_up(
    *more: SmallStep,
    size: tuple[int, int] = (80, 24),
    only: tuple[str, ...] = (),
    read_only: bool = False,
) -> AsyncIterator[tuple[Front, ServerBackend, SlowSystem]]:
    """Open the set-up with F2, every step looked at."""
    backend, system = wizard(*more, only=only, read_only=read_only)
    async with opened(backend, size, read_only=read_only) as front:
        await front.press("f2")
        await looked(front)
        try:
            yield front, backend, system
        finally:
            system.go_on.set()


async def preview(front: Front) -> None:
    await front.press("enter")
    await front.until(lambda: review(front).stage is not Stage.PLANNING)
    await front.settle()


async def ended(front: Front) -> None:
    await front.until(lambda: review(front).stage in {Stage.DONE, Stage.FAILED, Stage.STOPPED})
    await front.settle()


async def applied(front: Front) -> None:
    """Look at what a step would change, and have it changed."""
    await preview(front)
    await front.press("a", "y")
    await ended(front)


# --- the list of steps --------------------------------------------------------------------------


async def test_every_step_with_how_it_stands() -> None:
    async with set_up() as (front, _, _):
        assert "DEMO Guided set-up: 4 to do in 3 of 6 steps" in says(front)
        shown = [line.rstrip() for line in lines(front)[1:7]]
        assert shown[0].startswith(" =  1 The box ") and " nothing to do " in shown[0]
        assert "967M of RAM, Debian 13" in shown[0]
        assert " !  2 Tiers " in shown[1] and " 1 to do " in shown[1]
        assert "There is no swap." in shown[2]
        assert "vm.swappiness is 60." in shown[3]
        assert "nothing here" in shown[4] and "There is no nginx here." in shown[4]
        assert " ?  6 Redis " in shown[5] and "Redis does not answer." in shown[5]
        # It begins with the first step that has something to decide.
        assert "What machine this is" in says(front)
        await front.press("down")
        assert "Tier 0 must live" in says(front)


async def test_skipped_is_remembered_for_the_session() -> None:
    async with set_up() as (front, _, _):
        await front.press("down", "s")
        assert "2 Tiers skipped" in says(front)
        assert "Skipped. s stops skipping it." in says(front)
        await front.press("s")
        assert "2 Tiers 1 to do" in says(front)
        await front.press("s")
        assert "3 to do in 2 of 6" in says(front)
        await front.press("escape")
        assert front.shows(MainScreen)
        await front.press("f2")
        await looked(front)
        assert "2 Tiers skipped" in says(front)
        await front.press("home", "down", "s")
        assert "2 Tiers 1 to do" in says(front)


async def test_the_steps_are_looked_at_once_and_again_when_asked() -> None:
    extra = SmallStep("extra", "Extra", "More.", Look(("It is so.",)))
    async with set_up(extra) as (front, _, _):
        assert extra.looks == 1
        await front.press("escape", "f2")
        await looked(front)
        assert extra.looks == 1
        extra.given = Look(("It is otherwise.",))
        await front.press("r")
        await looked(front)
        assert extra.looks == 2
        assert "It is otherwise." in says(front)


async def test_a_change_that_was_undone_elsewhere_is_to_do_again() -> None:
    async with set_up(only=("kernel",)) as (front, backend, _):
        await front.press("enter")
        await applied(front)
        await front.press("escape", "escape", "escape", "f2")
        await looked(front)
        assert "Guided set-up: nothing to do" in says(front)
        await front.press("escape")
        backend.undo()
        await front.press("f2")
        await front.until(lambda: "1 Kernel settings 2 to do" in says(front))


async def test_the_list_goes_on_behind_the_last_step() -> None:
    async with set_up() as (front, _, _):
        await front.press("enter", "enter", "s")
        assert "Swap: 1 to do" in says(front)
        await front.press("escape")
        assert front.app.screen.query_one(Picker).index == 2
        await front.press("up", "f1", "escape")
        assert front.app.screen.query_one(Picker).index == 1
        await front.press("enter", "escape")
        assert front.app.screen.query_one(Picker).index == 2  # that one is skipped


async def test_help_and_the_way_back() -> None:
    async with set_up() as (front, _, _):
        await front.press("f1")
        assert front.shows(HelpScreen)
        await front.press("escape")
        assert front.shows(SetupScreen)
        await front.press("f2")
        assert front.shows(MainScreen)


async def test_where_there_are_no_steps() -> None:
    backend, _ = wizard(only=("none",))
    async with opened(backend) as front:
        await front.press("f2")
        await looked(front)
        assert "there are no steps" in says(front)
        await front.press("enter", "s", "down", "r", "escape")
        assert front.shows(MainScreen)


async def test_the_steps_cannot_be_had() -> None:
    backend, _ = wizard()
    with patch.object(backend, "steps", side_effect=RolledBackError(f"No bus {EVIL}.")):
        async with opened(backend) as front:
            await front.press("f2")
            await front.until(lambda: "No bus evil" in says(front))
            assert "\x1b" not in says(front)


# --- one step -----------------------------------------------------------------------------------


async def test_what_is_proposed_is_seen_however_much_was_found() -> None:
    found = Look(tuple(f"Fact {n}." for n in range(30)), (PROPOSED,))
    async with set_up(SmallStep("much", "Much", "More.", found), only=("much",)) as (front, _, _):
        await front.press("enter")
        assert any("PROPOSED: 1 TO DO" in line for line in lines(front))
        assert page(front).page.cursor_visible


async def test_a_step_says_all_and_the_chosen_item_why() -> None:
    async with set_up(only=("kernel",)) as (front, _, _):
        await front.press("enter")
        said = says(front)
        assert "DEMO 1/1 Kernel settings: 2 to do" in said
        assert "How eagerly the kernel swaps." in said
        assert "FOUND - vm.swappiness is 60." in said
        assert "[x] vm.swappiness, as the guide has it 60 -> < 10 >" in said
        assert "[x] vm.vfs_cache_pressure, as the guide has it 100 -> 50" in said
        assert "Advice: vm.swappiness is 60." not in said  # the item says it
        assert (
            "Why: vm.swappiness, as the guide has it vm.swappiness is 60: with 10 less is pushed"
            in said
        )
        assert "Choices: 1 · 10 · 30 · 60" in said
        await front.press("down")
        assert "Why: vm.vfs_cache_pressure, as the guide has it vm.vfs_cache_pressure is" in says(
            front
        )
        assert "Choices:" not in says(front)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("right",), "30"),
        (("plus", "plus"), "60"),
        (("right", "right", "right"), "1"),
        (("left",), "1"),
        (("minus", "minus"), "60"),
        (("1",), "1"),
        (("9",), "10"),
    ],
)
async def test_the_choices_of_an_item(keys: tuple[str, ...], value: str) -> None:
    async with set_up(only=("kernel",)) as (front, _, _):
        await front.press("enter", *keys)
        assert f"< {value} >" in says(front)
        part = page(front).part
        assert part.value(part.items[0]) == value


async def test_space_leaves_an_item_and_takes_it() -> None:
    async with set_up(only=("kernel",)) as (front, _, _):
        await front.press("enter", "space")
        assert "[ ] vm.swappiness" in says(front)
        assert "1 to do" in says(front)
        assert page(front).part.wishes() == {"vm.vfs_cache_pressure": "50"}
        await front.press("right")
        assert "[x] vm.swappiness" in says(front)
        await front.press("down", "space", "up", "space")
        assert "Kernel settings: not selected" in says(front)
        assert "Enter Next step" in says(front)
        await front.press("space")
        assert "Enter Preview" in says(front)


async def test_digits_set_a_tier() -> None:
    async with set_up(only=("tiers",)) as (front, _, _):
        await front.press("enter")
        assert "[=] redis-server.service < 1 > tier 1" in says(front)
        await front.press("0", "down", "2")
        assert page(front).part.wishes() == {REDIS: "0", CHAT: "2"}
        await front.press("up", "1", "space")
        assert "This is already set" in says(front)


async def test_a_tier_that_is_changed_moves_the_unit_on_the_main_screen() -> None:
    backend = demo_backend(clock=Clock())
    backend.wait_ready()
    async with opened(backend) as front:
        await front.tick()
        assert front.session.verdict(CHAT).tier == 1
        front.app.open_setup("tiers")
        await front.until(lambda: isinstance(front.app.screen, StepScreen))
        await looked(front)
        at = [item.key for item in page(front).part.items].index(CHAT)
        page(front).page._to(at)
        await front.settle()
        await front.press("0")
        assert page(front).part.wishes() == {CHAT: "0"}
        await applied(front)
        assert front.session.verdict(CHAT).tier == 0
        await front.press("u", "y")
        await front.until(lambda: "is undone" in says(front))
        assert front.session.verdict(CHAT).tier == 1


SO = Item("a", "A thing", "1", "2", "Because.", done=True)
PROPOSED, OFFERED = (Item(k, "A", "1", "2", "Because.", taken=k == "b") for k in "bc")
ADVICE = Finding("f", Severity.ADVICE, "b", "b is 1.", "setup")
STANDS = {
    "all so": ((SO,), (), (), Stand.DONE),
    "an offer besides": ((SO, OFFERED), (), (), Stand.DONE),
    "an offer, and something wrong": ((OFFERED,), (ADVICE,), (), Stand.LEFT),
    "a proposal": ((PROPOSED,), (ADVICE,), (), Stand.TODO),
    "a proposal that is left": ((PROPOSED,), (), ("b",), Stand.LEFT),
    "wrong, and nothing to take": ((), (ADVICE,), (), Stand.BY_HAND),
    "worth knowing": ((), (replace(ADVICE, severity=Severity.NOTE),), (), Stand.DONE),
}


@pytest.mark.parametrize(("items", "findings", "leave", "stand"), STANDS.values(), ids=STANDS)
def test_how_a_step_stands(
    items: tuple[Item, ...], findings: tuple[Finding, ...], leave: tuple[str, ...], stand: Stand
) -> None:
    look = Look(items=items, findings=findings)
    part = Part(SmallStep("x", "X", "About x.", look), look)
    for item in items:
        if item.key in leave:
            part.take(item, taken=False)
    assert part.stand is stand


async def test_what_is_left_is_not_marked_as_done() -> None:
    async with set_up(only=("kernel",)) as (front, _, _):
        await front.press("enter", "space", "down", "space", "enter")
        assert "NOT DONE - Kernel settings: not selected" in says(front)
        await front.press("escape")
        assert lines(front)[1].startswith("    1 Kernel settings  not selected")


async def test_a_question_is_seen_whole_on_a_narrow_screen() -> None:
    async with set_up(only=("kernel",), size=(40, 12)) as (front, _, _):
        await front.press("enter")
        await preview(front)
        await front.press("a")
        assert says(front) == "Apply this now? (u undoes it afterwards) y/n"
        assert all(len(line) == 40 for line in lines(front))


async def test_one_without_a_proposal_is_left_until_it_is_given_a_value() -> None:
    item = Item("a", "A thing", "0", "", "Nobody knows.", ("", "1", "2"))
    step = SmallStep("x", "X", "About x.", Look((), (item,)))
    async with set_up(step, only=("x",)) as (front, _, _):
        await front.press("enter", "space")
        assert "No value is proposed here" in says(front)
        assert "[ ] A thing 0 -> < unchanged >" in says(front)
        await front.press("right")
        assert page(front).part.wishes() == {"a": "1"}
        await front.press("left")
        assert page(front).part.wishes() == {}


async def test_what_is_by_hand_and_what_is_wrong() -> None:
    look = Look(
        ("A fact.",),
        findings=(
            Finding("a", Severity.NOTE, "", "A note.", ""),
            Finding("b", Severity.ADVICE, "b.service", "An advice.", ""),
            Finding("c", Severity.PROBLEM, "c.service", "c.service is broken.", ""),
        ),
        by_hand=("Write this into the file:\nlimit_req zone=a;", "Then reload it."),
    )
    async with set_up(SmallStep("x", "X", "About x.", look), only=("x",)) as (front, _, _):
        assert "1 X by hand" in says(front)
        await front.press("enter")
        said = says(front)
        assert "- Write this into the file: limit_req zone=a; - Then reload it." in said
        assert said.index("Problem: c.service is") < said.index("Advice: b.service: An advice.")
        assert said.index("Advice:") < said.index("Note: A note.")


async def test_skip_goes_on_to_the_next_step_and_behind_the_last_to_the_report() -> None:
    async with set_up(only=("tiers", "kernel", "nginx")) as (front, _, _):
        await front.press("enter")
        assert "1/3 Tiers" in says(front)
        await front.press("s")
        assert "2/3 Kernel" in says(front)
        await front.press("n")
        assert front.shows(SetupReportScreen)
        assert "- Tiers: skipped - Kernel settings: 2 to do" in says(front)
        await front.press("escape")
        assert front.shows(SetupScreen)


async def test_a_step_that_cannot_be_looked_at_can_be_passed() -> None:
    async with set_up(only=("redis", "kernel")) as (front, _, _):
        await front.press("end", "enter")
        assert "! Redis does not answer." in says(front)
        await front.press("space", "left", "0", "enter")
        assert front.shows(SetupReportScreen)


# --- the change ---------------------------------------------------------------------------------


async def test_settings_of_units_are_applied_as_a_trial() -> None:
    async with set_up(only=("tiers", "kernel")) as (front, backend, _):
        await front.press("enter")
        await preview(front)
        assert f"{CHAT} OOMScoreAdjust 0 -> -100 live, at once" in says(front)
        assert "OOM KILL ORDER" in says(front)
        assert "a Trial 120 s A Permanently" in says(front)
        await front.press("a")
        await front.until(lambda: front.shows(TrialScreen))
        await front.settle()
        await front.press("n")
        await looked(front)
        assert "Trial: 120 s left. F8 keeps or undoes it." in says(front)
        assert "1/2 Tiers: on trial" in says(front)
        assert "It is on trial until it is kept or undone: F8 does that." in says(front)
        await front.press("u")
        assert "F8 does that." in says(front)
        await front.press("escape")
        assert "Trial: 120 s left" in says(front)
        assert "1 Tiers on trial" in says(front)
        assert "2 to do in 1 of 2 steps, 1 on trial" in says(front)
        await front.press("f8", "y")
        await front.until(lambda: "Kept" in says(front))
        await front.settle()
        assert [str(c.state) for c in backend.history()] == ["confirmed"]
        await front.press("enter", "up", "enter")
        await looked(front)
        assert "1/2 Tiers: done" in says(front)
        await front.press("enter")
        assert "2/2 Kernel settings" in says(front)


@pytest.mark.parametrize("size", [(80, 24), (40, 20), (120, 35)])
async def test_a_trial_of_the_form_is_on_trial_in_the_step_that_proposes_the_setting(
    size: tuple[int, int],
) -> None:
    async with opened(size=size) as front:
        await front.press("f2")
        await looked(front)
        part = next(p for p in front.session.setup.parts if p.step.name == "units")
        item = next(i for i in part.to_do() if i.key.startswith("worker@a.service:"))
        unit, _, key = item.key.partition(":")
        edit = Edit(unit, SettingKey(key), item.value)
        await front.press("escape")
        front.session.stage(front.session.staged.with_edit(edit))
        await front.press("f8")
        await front.until(lambda: "asking" not in says(front))
        await front.press("a")
        await front.until(lambda: front.shows(TrialScreen))
        await front.settle()
        await front.press("n", "f2")
        await looked(front)
        assert str(part.words) == "on trial"
        assert says(front).count("on trial") >= 1
        await front.press("f8", "y")
        await front.until(lambda: "Kept" in says(front))
        await front.press("enter")
        await looked(front)
        assert str(part.words) != "on trial"


async def test_a_trial_that_is_undone_leaves_the_step_to_do() -> None:
    async with set_up(only=("tiers",)) as (front, _, _):
        await front.press("enter")
        await preview(front)
        await front.press("a")
        await front.until(lambda: front.shows(TrialScreen))
        await front.settle()
        await front.press("u")
        await front.until(lambda: "Undone" in says(front))
        await front.settle()
        await front.press("enter")
        await looked(front)
        assert "1/1 Tiers: 1 to do" in says(front)


async def test_all_else_is_applied_after_a_question_and_verified_and_undone() -> None:
    async with set_up(only=("kernel", "tiers")) as (front, backend, system):
        await front.press("down", "enter")
        await preview(front)
        said = says(front)
        assert (
            "WHAT IS DONE, IN THIS ORDER 1 change the file below 2 sysctl -w vm.swappiness=10"
            " 3 sysctl -w vm.vfs_cache_pressure=50" in said
        )
        assert f"new {FILE} + vm.swappiness = 10" in said
        assert "A Permanently" not in said
        await front.press("a")
        assert front.shows(AskScreen)
        await front.press("n")
        assert "Nothing was written." in says(front)
        assert backend.history() == []
        await front.press("a", "y")
        await ended(front)
        said = says(front)
        assert "Kernel settings: applied" in said
        assert "Done: sysctl -w vm.swappiness=10" in said
        assert "Verified" in said
        assert "Every selected value is set." in said
        assert "= vm.swappiness, as the guide has it: 10" in said
        assert system.get(ActionKind.SYSCTL, "vm.swappiness") == "10"
        assert backend.history()[0].note == (
            "set-up: kernel; vm.swappiness 10, vm.vfs_cache_pressure 50"
        )
        await front.press("u")
        assert front.shows(ChangeScreen)
        await front.press("y")
        await front.until(lambda: "is undone" in says(front))
        await front.settle()
        await front.press("enter")
        await front.until(lambda: "Kernel settings: undone" in says(front))
        await front.settle()
        assert system.get(ActionKind.SYSCTL, "vm.swappiness") == "60"
        await front.press("escape")
        await looked(front)
        assert "Kernel settings: 2 to do" in says(front)


async def test_a_step_is_undone_from_its_page_later_too() -> None:
    async with set_up(only=("kernel", "tiers")) as (front, backend, system):
        await front.press("end", "enter")
        assert "u Undo" not in says(front)
        await front.press("u")
        assert "No change of this step is in force" in says(front)
        await applied(front)
        await front.press("escape", "escape", "home", "enter")
        await looked(front)
        assert "u Undo" not in says(front)  # it is the other step's
        await front.press("escape", "end", "enter")
        await front.until(lambda: "u Undo" in says(front))
        await front.press("u", "y")
        await front.until(lambda: "is undone" in says(front))
        await front.press("enter")
        await looked(front)
        await front.until(lambda: "Kernel settings: 2 to do" in says(front))
        assert "u Undo" not in says(front)
        assert system.get(ActionKind.SYSCTL, "vm.swappiness") == "60"
        assert [str(c.state) for c in backend.history()] == ["applied", "undone"]


async def test_enter_goes_on_to_the_next_step() -> None:
    async with set_up(only=("tiers", "kernel", "swap")) as (front, _, _):
        await front.press("end", "enter")
        await applied(front)
        await front.press("enter")
        assert front.shows(SetupReportScreen)
        await front.press("escape", "home", "down", "enter")
        assert "2/3 Swap" in says(front)


async def test_a_value_of_the_operators_own_is_done_once_it_is_so() -> None:
    async with set_up(only=("kernel",)) as (front, _, system):
        await front.press("enter", "right")
        await preview(front)
        assert "sysctl -w vm.swappiness=30" in says(front)
        await front.press("a", "y")
        await ended(front)
        assert system.get(ActionKind.SYSCTL, "vm.swappiness") == "30"
        assert "= vm.swappiness, as the guide has it: 30" in says(front)
        await front.press("escape")
        await looked(front)
        assert "Kernel settings: done" in says(front)
        assert "[=] vm.swappiness, as the guide has it < 30 >" in says(front)
        await front.press("left")
        assert "1 to do" in says(front)


async def test_a_choice_that_is_what_it_is_now_changes_nothing() -> None:
    async with set_up(only=("kernel",)) as (front, _, _):
        await front.press("enter", "right", "right")
        assert "[=] vm.swappiness, as the guide has it < 60 >" in says(front)
        assert page(front).part.wishes() == {"vm.vfs_cache_pressure": "50"}


@pytest.mark.parametrize("key", ["escape", "ctrl+c", "f10", "q"])
async def test_a_long_change_shows_how_far_it_is_and_can_be_stopped(key: str) -> None:
    async with set_up(only=("swap",)) as (front, backend, system):
        await front.press("enter")
        await preview(front)
        await front.press("a", "y")
        await front.until(system.begun.is_set)
        await front.until(lambda: "25% writing the swap file" in says(front))
        assert "Swap: applying…" in says(front)
        assert "Esc Stop and roll back" in says(front)
        await front.press(key)
        await ended(front)
        assert review(front).stage is Stage.STOPPED
        assert "Swap: stopped and rolled back" in says(front)
        assert "Nothing is changed." in says(front)
        assert system.get(ActionKind.SWAP_FILE, "/swapfile") == ""
        assert [str(c.state) for c in backend.history()] == ["failed"]
        system.go_on.set()
        await front.press("r")
        await front.until(lambda: review(front).stage is Stage.SHOWN)
        await front.settle()
        await front.press("a", "y")
        await ended(front)
        assert "Swap: applied" in says(front)
        assert system.get(ActionKind.SWAP_FILE, "/swapfile") == SIZE
        # What stops a change leaves the program again.
        await front.press("ctrl+c")
        assert front.app._exit


async def test_what_ends_the_program_stops_it_too() -> None:
    backend, system = wizard(only=("swap",))
    try:
        async with opened(backend) as front:
            await front.press("f2")
            await looked(front)
            await front.press("enter")
            await preview(front)
            await front.press("a", "y")
            await front.until(system.begun.is_set)
            front.app.exit(130)  # as SIGTERM does
        for _ in range(500):
            if system.progress is None:
                break
            await asyncio.sleep(0.01)
        assert system.progress is None
        assert system.get(ActionKind.SWAP_FILE, "/swapfile") == ""
    finally:
        system.go_on.set()


async def test_a_request_to_stop_that_comes_too_late_is_reported() -> None:
    async with set_up(only=("swap",)) as (front, backend, system):
        await front.press("enter")
        await preview(front)
        await front.press("a", "y")
        await front.until(system.begun.is_set)
        with patch.object(backend, "cancel"):
            await front.press("escape")
            assert "stopping and rolling back" in says(front)
            system.go_on.set()
            await ended(front)
        assert "The change was applied before it could be stopped: u undoes it." in says(front)


async def test_a_running_trial_comes_first() -> None:
    async with set_up(only=("tiers", "kernel")) as (front, _, system):
        await front.press("enter")
        await preview(front)
        await front.press("a")
        await front.until(lambda: front.shows(TrialScreen))
        await front.settle()
        await front.press("n", "escape", "end", "enter")
        await preview(front)
        await front.press("a", "y")
        assert front.shows(SetupReviewScreen)
        assert "A trial is running: keep it or undo it first (F8), then a applies this." in says(
            front
        )
        assert front.session.backend.trial() is not None
        await front.press("f8")
        assert front.shows(TrialScreen)
        await front.press("ctrl+c", "n", "n")
        assert front.shows(SetupReviewScreen)
        assert system.get(ActionKind.SYSCTL, "vm.swappiness") == "60"


@pytest.mark.parametrize("read_only", [True, False])
async def test_who_cannot_change_sees_all_and_what_to_run(read_only: bool) -> None:
    async with set_up(only=("kernel",), read_only=read_only) as (front, backend, _):
        if not read_only:
            backend.cannot_change = "Only root may change this: run the same with sudo."
        await front.press("enter")
        await preview(front)
        assert "+ vm.swappiness = 10" in says(front)
        assert "a Command to run" in says(front)
        await front.press("a", "A")
        assert ("read-only" if read_only else "Only root may") in says(front)
        assert "sudo lowmem-tui setup --step kernel" in says(front)
        assert backend.history() == []


@pytest.mark.parametrize(
    ("error", "unchanged"),
    [
        (RolledBackError(f"The disk is full {EVIL}; everything has its previous value."), True),
        (HalfDoneError("Not everything could be put back."), False),
    ],
)
async def test_a_failure_is_one_sentence(error: Exception, unchanged: bool) -> None:
    async with set_up(only=("kernel",)) as (front, backend, _):
        await front.press("enter")
        await preview(front)
        with patch.object(backend, "apply", side_effect=error):
            await front.press("a", "y")
            await ended(front)
        assert "Kernel settings: the change failed" in says(front)
        assert ("Nothing is changed" in says(front)) is unchanged
        assert "\x1b" not in says(front)
        await front.press("ctrl+c")
        assert front.app._exit


async def test_a_plan_that_cannot_be_made_or_is_empty() -> None:
    item = Item("a", "A thing", "1", "2", "Because.")
    step = SmallStep("x", "X", "About x.", Look((), (item,)))
    async with set_up(step, only=("x",)) as (front, _, _):
        await front.press("enter")
        await preview(front)
        assert "'a' is nothing that can be wished for." in says(front)
        assert "Nothing is changed" in says(front)
        with patch.object(step, "plan", return_value=Plan((), (), (), (), ())):
            await front.press("r")
            await front.until(lambda: review(front).stage is Stage.SHOWN)
            await front.settle()
            assert "everything is already set" in says(front)
            await front.press("a")
            assert "There is nothing to apply" in says(front)


async def test_refusals_and_the_word_that_overrules_them() -> None:
    async with set_up(only=("kernel",)) as (front, backend, system):
        step = backend.steps()[0]
        made = step.plan({"vm.swappiness": "10"})
        soft = Notice("x", "", f"It kills {EVIL}.", forceable=True)
        for notice in (Notice("x", "", "Never."), soft):
            plan = Plan((), made.files, (), (), (notice,), made.actions)
            with patch.object(step, "plan", return_value=plan):
                await front.press("enter")
                await preview(front)
                assert "REFUSED" in says(front)
                await front.press("a")
                if not notice.forceable:
                    assert "Refused, see above" in says(front)
                    await front.press("escape", "escape")
                    await looked(front)
                    continue
                assert front.shows(ConfirmScreen)
                await front.press("y", "enter")
                assert "Nothing was written." in says(front)
                await front.press("a", *"yes", "enter")
                await ended(front)
        assert system.get(ActionKind.SYSCTL, "vm.swappiness") == "10"


async def test_a_step_that_finds_it_not_done_says_so() -> None:
    async with set_up(only=("kernel",)) as (front, _, system):
        await front.press("enter")
        await preview(front)
        with patch.object(system, "put"):
            await front.press("a", "y")
            await ended(front)
        assert "! vm.swappiness, as the guide has it: 60, not 10" in says(front)
        assert "finds everything" not in says(front)


async def test_the_report() -> None:
    async with set_up(only=("tiers", "kernel")) as (front, _, _):
        await front.press("R")
        await front.until(lambda: "Nothing yet." in says(front))
        await front.press("escape", "end", "enter")
        await applied(front)
        await front.press("escape", "escape", "R")
        await front.until(lambda: "set-up: kernel: applied" in says(front))
        assert "vm.swappiness 10, vm.vfs_cache_pressure 50; sysctl -w vm.swapp" in says(front)
        said = says(front)
        assert "sysctl -w vm.swappiness=10; sysctl -w vm.vfs_cache_pressure=50" in said
        assert "now. It also varies without any change." in said
        assert "unchanged. Units with MemoryMax:" in said
        assert f"Next OOM victim: {CHAT}, unchanged." in said
        assert "Overcommitted: MemoryMax of all units (" in said
        assert "Lower MemoryMax of " in said
        assert "BEFORE" in said
        assert "NOT DONE - Tiers: 1 to do" in said
        await front.press("H")
        assert front.shows(HistoryScreen)


def stop(unit: str, held: int) -> Plan:
    action = Action(ActionKind.RUN, unit, "active", "inactive", Phase.EARLY, frees=held)
    return Plan((), (), (), (), (), (action,))


async def test_the_report_tells_what_was_gained() -> None:
    item = Item("snapd.service", "switch it off", "on", "off", "It idles.")
    step = SmallStep("idle", "Idle", "Idle ones.", Look((), (item,)))
    async with set_up(step, only=("idle",)) as (front, _, _):
        with patch.object(step, "plan", return_value=stop("snapd.service", 33 << 20)):
            await front.press("enter")
            await applied(front)
        await front.press("escape", "escape", "R")
        await front.until(
            lambda: "Freed by services that are switched off now: 33M." in says(front)
        )
        await front.press("H", "enter", "u", "y")
        await front.until(lambda: "is undone" in says(front))
        await front.press("escape", "escape")
        await front.until(lambda: front.shows(SetupReportScreen) and "Freed by" not in says(front))


# --- anywhere -----------------------------------------------------------------------------------


def hostile() -> SmallStep:
    item = Item(EVIL, EVIL, EVIL, EVIL, EVIL, (EVIL, "2"))
    finding = Finding(EVIL, Severity.PROBLEM, EVIL, EVIL, EVIL)
    return SmallStep("evil", EVIL, EVIL, Look((EVIL,), (item, item), (finding,), (EVIL,)))


async def tour(front: Front) -> AsyncIterator[str]:
    """Go to every screen."""
    yield "list"
    for _ in range(7):
        await front.press("enter")
        yield "step"
        await front.press("end", "pageup", "pagedown", "home")
        yield "step, scrolled"
        await front.press("escape", "down")
    await front.press("enter")
    await preview(front)
    yield "review"
    await front.press("escape", "escape", "R")
    yield "report"


@pytest.mark.parametrize("size", SIZES)
async def test_at_any_size(size: tuple[int, int]) -> None:
    many = tuple(
        Item(f"unit{n}", f"unit-{n}.service", "tier 2", "1", "Because " * n, ("0", "1", "2"))
        for n in range(40)
    )
    step = SmallStep("many", "Many", "It has many items. " * 5, Look(("A fact.",) * 9, many))
    async with set_up(step, size=size) as (front, _, _):
        async for where in tour(front):
            shown = lines(front)
            wide = {len(line) for line in shown}
            assert wide == {size[0]}, f"{where}:\n" + "\n".join(shown)
            assert "Esc" in says(front)[-120:], where
            assert (
                lines(front)[-1].strip().endswith(("Leave", "Back", "More", "Help"))
                or size[0] == 40
            )


async def test_the_cursor_stays_visible_and_resize_is_followed() -> None:
    many = tuple(Item(f"u{n}", f"unit-{n}", "2", "1", "Because.") for n in range(40))
    step = SmallStep("many", "Many", "About.", Look(("A fact.",) * 9, many))
    async with set_up(step, only=("many",)) as (front, _, _):
        await front.press("enter")
        for keys, item in ((("end",), 39), (("pageup",), None), (("home",), 0), (("j", "k"), 0)):
            await front.press(*keys)
            if item is not None:
                assert any(f"unit-{item} " in line for line in lines(front)), keys
        await front.press("end")
        await front.pilot.resize_terminal(40, 12)
        await front.settle()
        assert any("unit-39" in line for line in lines(front))
        assert {len(line) for line in lines(front)} == {40}
        await front.pilot.resize_terminal(120, 40)
        await front.settle()
        assert any("unit-39" in line for line in lines(front))
        assert {len(line) for line in lines(front)} == {120}


@pytest.mark.parametrize("size", SIZES)
async def test_what_others_wrote_is_harmless(size: tuple[int, int]) -> None:
    async with set_up(hostile(), only=("evil", "redis"), size=size) as (front, _, _):
        async for where in tour(front):
            shown = "\n".join(lines(front))
            assert "\x1b" not in shown and "\u202e" not in shown and "\x07" not in shown, where
    step = hostile()
    with patch.object(step, "plan", side_effect=InvalidValueError(EVIL)):
        async with set_up(step, only=("evil",)) as (front, _, _):
            await front.press("enter")
            await preview(front)
            assert "[bold red]x[/]" in says(front)
            assert "\x1b" not in says(front)


async def test_mouse() -> None:
    async with set_up(only=("tiers", "kernel")) as (front, _, _):
        await front.click(Picker, 10, 1)
        assert "How eagerly" in says(front)
        await front.click(Picker, 10, 1)
        assert front.shows(StepScreen)
        y = next(
            n for n, line in enumerate(lines(front)[1:]) if "vfs_cache" in line and "[" in line
        )
        await front.click(Picker, 3, y)
        assert "Why: vm.vfs_cache_pressure" in says(front)
        await front.click(Picker, 3, y)
        assert "[ ] vm.vfs_cache_pressure" in says(front)
        keys = lines(front)[-1]
        await front.click(KeyBar, keys.index("Preview"), 0)
        await front.until(lambda: isinstance(front.app.screen, SetupReviewScreen))


@pytest.mark.parametrize("step", ["", "kernel"])
async def test_the_app_can_begin_with_it(step: str) -> None:
    from lowmem_tui.cli.rules import load_rules
    from lowmem_tui.tui.app import LowmemApp

    backend, _ = wizard()
    start = f"setup/{step}" if step else "setup"
    app = LowmemApp(backend, rules=load_rules(config=None), interval=3600, start=start)
    async with app.run_test() as pilot:
        front = Front(app, pilot, None)  # type: ignore[arg-type]
        await front.until(lambda: front.shows(StepScreen if step else SetupScreen))
        await looked(front)
        if step:
            assert "4/6 Kernel settings: 2 to do" in says(front)
            await front.press("escape")
            assert "How eagerly" in says(front)
        assert "4 to do in 3 of 6" in says(front)
        await front.press("escape")
        await front.until(lambda: app.session.snapshot is not None)
        await front.settle()
        assert front.shows(MainScreen)
        assert any(CHAT in line for line in front.units)
    backend.close()


async def test_an_undo_that_is_refused_is_reported() -> None:
    async with set_up(only=("kernel",)) as (front, backend, _):
        await front.press("enter")
        await applied(front)
        with patch.object(backend, "undo", side_effect=RefusedError("Change 2 came later.")):
            await front.press("u", "y")
            await front.until(lambda: "came later" in says(front))
            await front.press("escape")
        await front.settle()
        assert "Kernel settings: applied" in says(front)


def test_nothing_of_it_is_there_before_it_is_asked_for() -> None:
    code = (
        "import sys; "
        "from lowmem_tui.tui.terminal.slim_import import import_textual; import_textual(); "
        "import lowmem_tui.tui.app; "
        "print([m for m in sys.modules if 'setup' in m and 'lowmem' in m])"
    )
    ended_ = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended_.stdout.strip(), ended_.stderr) == ("[]", "")
