from __future__ import annotations

import threading

import pytest

from lowmem_tui.model.errors import (
    ChangedError,
    HalfDoneError,
    LowmemError,
    ManagerError,
    NotPermittedError,
    RolledBackError,
)
from lowmem_tui.model.plan import Edit, Mismatch, Outcome
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import dropin
from lowmem_tui.tui.screens.ask import AskScreen
from lowmem_tui.tui.screens.confirm import ConfirmScreen
from lowmem_tui.tui.screens.plan_sheet import Stage
from tests.tui.pages import Blank, review_page
from tests.tui.small import OURS, REDIS, SSH, SmallServer

MAX = Edit(REDIS, Key.MEMORY_MAX, "256M")
SEC = Edit(REDIS, Key.RESTART_SEC, "3s")
SSH_ADJ = Edit(SSH, Key.OOM_SCORE_ADJUST, "-300")
TOO_LOW = Edit(REDIS, Key.MEMORY_MAX, "10M")
NEVER = Edit(REDIS, Key.OOM_SCORE_ADJUST, "5000")


@pytest.fixture
def server() -> SmallServer:
    return SmallServer()


async def test_the_review_shows_files_effects_and_warnings(server: SmallServer) -> None:
    server.ours = dropin.render(REDIS, {Key.MEMORY_MAX: "300M"}, "Service")
    async with review_page(server, MAX, SEC, SSH_ADJ, size=(120, 60)) as desk:
        lines = desk.text.splitlines()
        assert " Review of 3 staged edits: nothing is written yet" in lines[0]
        assert f" changed {OURS}" in lines
        assert "   - MemoryMax=300M" in lines
        assert "   + MemoryMax=256M" in lines
        assert "   + RestartSec=3s" in lines
        assert f" new {dropin.path(SSH)}" in lines
        assert "redis-server.service MemoryMax infinity -> 256M live, at once" in desk.words
        assert "WARNINGS" in desk.words
        assert "a Trial 120 s A Permanently" in desk.words
        assert server.applied == []


async def test_the_tier_is_known_to_the_warnings(server: SmallServer) -> None:
    async with review_page(server, Edit(SSH, Key.MEMORY_MAX, "64M")) as desk:
        assert "ssh.service is a gatekeeper (tier 0): at a limit it is killed" in desk.words


async def test_refusals_come_first(server: SmallServer) -> None:
    async with review_page(server, NEVER, SEC) as desk:
        assert desk.text.splitlines()[1].strip() == "REFUSED"
        await desk.press("a")
        assert "Nothing was written." in desk.words
        assert server.applied == []
        assert desk.review.stage is Stage.SHOWN


async def test_apply_shows_what_was_done_and_clears_the_edits(server: SmallServer) -> None:
    server.outcome = Outcome(
        (OURS,),
        ("memory.max of redis-server.service is 268435456 now.",),
        ("RestartSec counts from its next start.",),
        (),
    )
    async with review_page(server, MAX, SEC) as desk:
        await desk.press("A", "y")
        await desk.until(lambda: desk.review.stage is Stage.DONE)
        assert [e.value for p, _ in server.applied for e in p.edits] == ["256M", "3s"]
        assert server.applied[0][1] is False
        assert f"Written: {OURS}" in desk.words
        assert "Live: memory.max of redis-server.service is 268435456 now." in desk.words
        assert "Waits: RestartSec counts from its next start." in desk.words
        assert "Verified" in desk.words
        assert len(desk.session.staged) == 0
        await desk.press("a", "d", "r")
        assert len(server.applied) == 1
        await desk.press("enter")
        assert isinstance(desk.app.screen, Blank)


async def test_a_mismatch_is_shown_with_its_cause(server: SmallServer) -> None:
    server.outcome = Outcome(
        (OURS,),
        (),
        (),
        (
            Mismatch(
                REDIS, Key.MEMORY_MAX, "256M", "256M", "100M", "100M", "zzz.conf sorts after ours."
            ),
        ),
    )
    async with review_page(server, MAX) as desk:
        await desk.press("A", "y")
        await desk.until(lambda: desk.review.stage is Stage.DONE)
        assert "Applied, but verification failed" in desk.words
        assert (
            "MemoryMax of redis-server.service is not 256M. zzz.conf sorts after ours."
            in desk.words
        )
        assert "file 256M, systemd 100M, kernel 100M" in desk.words
        assert "Verified" not in desk.words


async def test_what_is_down_is_shown(server: SmallServer) -> None:
    server.outcome = Outcome((OURS,), (), (), (), down=(f"{REDIS} is down: start it.",))
    async with review_page(server, MAX) as desk:
        await desk.press("A", "y")
        await desk.until(lambda: desk.review.stage is Stage.DONE)
        assert f"! {REDIS} is down: start it." in desk.words


@pytest.mark.parametrize(
    ("error", "unchanged"),
    [
        (RolledBackError("The reload failed, and everything has its previous value."), True),
        (ChangedError("The file has changed meanwhile: plan again."), True),
        (NotPermittedError("Only root may do that: run it with sudo."), True),
        (HalfDoneError("The file could not be put back: \x1b[2J look at it."), False),
    ],
)
async def test_a_failure_is_one_sentence_and_the_edits_stay(
    server: SmallServer, error: LowmemError, unchanged: bool
) -> None:
    server.apply_error = error
    async with review_page(server, MAX) as desk:
        await desk.press("A", "y")
        await desk.until(lambda: desk.review.stage is Stage.FAILED)
        assert "The change failed" in desk.words
        assert str(error).replace("\x1b", "·") in desk.words
        assert ("Nothing is changed" in desk.words) is unchanged
        assert desk.session.staged.edits == (MAX,)
        await desk.press("a")
        assert server.applied == []
        server.apply_error = None
        await desk.press("r")
        await desk.until(lambda: desk.review.stage is Stage.SHOWN)
        await desk.press("A", "y")
        await desk.until(lambda: desk.review.stage is Stage.DONE)


@pytest.mark.parametrize("word", ["", "y", "ye", "no", "yes please"])
async def test_forcing_takes_the_whole_word(server: SmallServer, word: str) -> None:
    async with review_page(server, TOO_LOW) as desk:
        assert 'To override: press a and type "yes".' in desk.words
        await desk.press("A")
        assert isinstance(desk.app.screen, ConfirmScreen)
        assert "Type yes and press Enter" in desk.words
        await desk.press(*(word.replace(" ", "_")), "enter")
        assert desk.review.stage is Stage.SHOWN
        assert "Nothing was written." in desk.words
        await desk.press("a")
        await desk.press("escape")
        assert server.applied == []


async def test_the_word_forces(server: SmallServer) -> None:
    async with review_page(server, TOO_LOW) as desk:
        desk.send("A", "A")
        await desk.settle()
        await desk.press(*"yes", "enter")
        await desk.until(lambda: desk.review.stage is Stage.DONE)
        assert [force for _, force in server.applied] == [True]


@pytest.mark.parametrize("read_only", [True, False])
async def test_who_cannot_change_is_shown_what_to_run(server: SmallServer, read_only: bool) -> None:
    server.cannot_change = "" if read_only else "Only root may change units: use sudo."
    async with review_page(
        server, Edit(REDIS, Key.RESTART_SEC, "1min 30s"), size=(120, 40), read_only=read_only
    ) as desk:
        assert "a Command to run" in desk.words
        await desk.press("a")
        assert ("--read-only" if read_only else "Only root may") in desk.words
        command = (
            "sudo lowmem-tui apply --trial 120 --set 'redis-server.service:RestartSec=1min 30s'"
        )
        assert command in desk.words
        assert server.applied == []


async def test_the_demo_tells_nobody_to_change_this_machine(server: SmallServer) -> None:
    server.demo = True
    async with review_page(server, MAX, size=(120, 40), read_only=True) as desk:
        await desk.press("a")
        assert "--read-only" in desk.words
        assert "sudo" not in desk.words
        assert server.applied == []


@pytest.mark.parametrize("key", ["n", "escape", "enter", "a"])
async def test_for_good_only_after_a_yes(server: SmallServer, key: str) -> None:
    async with review_page(server, MAX) as desk:
        await desk.press("A")
        assert isinstance(desk.app.screen, AskScreen)
        await desk.press(key)
        if key != "a":
            assert desk.review.stage is Stage.SHOWN
            assert "Nothing was written. a applies it as a trial." in desk.words
        assert server.applied == []


async def test_keys_that_arrive_together_ask_once(server: SmallServer) -> None:
    async with review_page(server, MAX) as desk:
        desk.send("A", "A", "n")
        await desk.settle()
        assert desk.review.stage is Stage.SHOWN
        assert server.applied == []


async def test_while_it_works_keys_do_nothing(server: SmallServer) -> None:
    server.hold = threading.Event()
    async with review_page(server, MAX) as desk:
        await desk.press("a")
        assert desk.review.stage is Stage.WORKING
        assert "Working… systemd is reloading" in desk.words
        await desk.press("a", "n", "d", "r", "escape", "enter", "f8")
        assert desk.review.stage is Stage.WORKING
        assert desk.session.staged.edits == (MAX,)
        server.hold.set()
        await desk.until(lambda: desk.review.stage is Stage.DONE)
        assert len(server.applied) == 1


async def test_quitting_while_it_works_lets_it_end(server: SmallServer) -> None:
    server.hold = threading.Event()
    async with review_page(server, MAX) as desk:
        await desk.press("a")
        desk.app.exit(0)
        await desk.settle()
        server.hold.set()
    desk.session.close(wait=True)
    assert len(server.applied) == 1


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_back_keeps_the_edits(server: SmallServer, key: str) -> None:
    async with review_page(server, MAX) as desk:
        await desk.press(key)
        assert isinstance(desk.app.screen, Blank)
        assert desk.session.staged.edits == (MAX,)


async def test_discard_asks(server: SmallServer) -> None:
    async with review_page(server, MAX, SEC) as desk:
        await desk.press("d")
        assert isinstance(desk.app.screen, AskScreen)
        await desk.press("n")
        assert len(desk.session.staged) == 2
        await desk.press("d", "y")
        assert isinstance(desk.app.screen, Blank)
        assert len(desk.session.staged) == 0


async def test_nothing_staged(server: SmallServer) -> None:
    async with review_page(server) as desk:
        assert "Nothing is staged" in desk.words
        await desk.press("a", "d")
        assert server.applied == []


async def test_no_answer_to_the_question_of_the_plan(server: SmallServer) -> None:
    server.situation_error = ManagerError("systemd does not answer.")
    async with review_page(server, MAX) as desk:
        assert "systemd does not answer." in desk.words
        await desk.press("a")
        assert server.applied == []
        server.situation_error = None
        await desk.press("r")
        await desk.until(lambda: desk.review.stage is Stage.SHOWN)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_all_of_it_can_be_reached(server: SmallServer, size: tuple[int, int]) -> None:
    server.ours = dropin.render(REDIS, {Key.MEMORY_MAX: "300M"}, "Service")
    async with review_page(server, TOO_LOW, SEC, SSH_ADJ, size=size) as desk:
        page = desk.review.query_one("#page")
        await desk.until(lambda: page.max_scroll_y or size[1] > 50)
        # The page grows by a line where its scroll bar takes a column: End may come before that.
        for _ in range(100):
            await desk.press("end")
            if page.scroll_y == page.max_scroll_y:
                break
        assert page.scroll_y == page.max_scroll_y
        await desk.press("home", "j", "pagedown", "pageup", "k")
        assert page.scroll_y == 0
        assert max(map(len, desk.text.splitlines())) <= size[0]
