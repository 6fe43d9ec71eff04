"""The main screen on the demo server: what it shows, and every key."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

import pytest
from textual.binding import Binding

from lowmem_tui.model.plan import Edit
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.staged import Staged
from lowmem_tui.model.unit import Key
from lowmem_tui.tui.app import LowmemApp
from lowmem_tui.tui.screens.ask import AskScreen
from lowmem_tui.tui.screens.choose import ChooseScreen
from lowmem_tui.tui.screens.help import KEYS, HelpScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from lowmem_tui.tui.table.rows import rests
from lowmem_tui.tui.table.unit_table import UnitTable
from lowmem_tui.tui.widgets.header import Header
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.page import Page
from tests.tui.conftest import opened
from tests.tui.small import SSH, SmallServer, properties

if TYPE_CHECKING:
    from lowmem_tui.model.ports import Backend
    from tests.tui.conftest import Front

CHAT = "cloudchat.service"
REDIS = "redis-server.service"
MASKED = "multipathd.service"


async def test_the_picture(front: Front) -> None:
    title, meters, fate = front.header
    assert re.match(r" web-1  DEMO  · 967M RAM · 2G swap · up 12d +PSI some \d\.\d% full", title)
    assert re.match(r" Mem ▕█+[▏▎▍▌▋▊▉]?░+▏ +\d+M +\d\d%  Swap ▕.*▏ +\d+M +\d+%", meters)
    doomed = r" Next OOM victim: cloudchat.service +"
    assert re.match(rf"{doomed}Limits\+reserve 1.2G of 967M overcommitted ", fate)
    assert re.match(
        r" UNIT \(4 below\) +RSS▼ +SWAP +SCORE +ADJ +MAX +USED +RESTART", front.units[0]
    )
    assert re.match(r" ▾ Tier 0 gatekeepers +\S+M ", front.units[1])
    assert re.match(r"   ssh\.service +\S+M +0 +0 +-1000 +— +on-failure", front.line("   ssh.serv"))
    assert re.match(
        r"   cloudchat\.service +\d+M +\d+M +\d+ +0 +600M █.*░ +\d\d% always", front.line(CHAT)
    )
    assert re.match(
        r"   ModemManager\.service +— +— +— +0 +— +on-abort", front.line("ModemManager")
    )
    assert front.keys.startswith(
        " F1 Help F2 Setup F3 Find F4 Filter F5 Tree F6 Sort F7 OOM F8 Review F10 Quit"
    )
    await front.press("end")
    assert re.search(r" ▸ Tier 2 short-lived \(\d+\)", front.text)


class Hiding(SmallServer):
    """A server whose /proc is mounted with hidepid."""

    def units(self) -> dict[str, Unit]:
        units = super().units()
        ssh = units[SSH]
        assert ssh.usage
        hidden = ssh.usage._replace(processes=(), rss=None)
        return {**units, SSH: Unit(SSH, hidden, ssh.properties)}


async def test_hidden_processes_make_the_next_oom_victim_less_certain() -> None:
    for width, words in ((80, "Next visible OOM victim: "), (40, "Next visible: ")):
        async with opened(cast("Backend", Hiding()), size=(width, 24)) as front:
            assert front.header[2].startswith(f" {words}redis")


async def test_every_line_is_as_wide_as_the_screen() -> None:
    for size in ((40, 12), (80, 24), (120, 40), (200, 60), (33, 9), (20, 6)):
        async with opened(size=size) as front:
            lines = front.text.splitlines()
            assert len(lines) == size[1]
            assert {len(line) for line in lines} == {size[0]}, f"at {size}:\n{front.text}"


async def test_read_only_and_demo_are_shown() -> None:
    async with opened(size=(40, 12), read_only=True) as front:
        assert front.header[0].startswith(" web-1  DEMO   READ-ONLY ")


async def test_a_resize_lays_everything_out_again(front: Front) -> None:
    for width, height in ((120, 40), (40, 12), (200, 60), (80, 24)):
        await front.pilot.resize_terminal(width, height)
        await front.settle()
        lines = front.text.splitlines()
        assert {len(line) for line in lines} == {width}, front.text
        assert len(lines) == height


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (40, ["RSS", "SWAP"], ["USED", "RESTART", "PROCS"]),
        (60, ["RSS", "SWAP", "SCORE", "MAX"], ["RESTART", "PROCS"]),
        (80, ["RSS", "SWAP", "SCORE", "ADJ", "MAX", "USED", "RESTART"], ["PROCS"]),
        (120, ["RESTART", "PROCS", "ANON", "FILE", "PEAK", "KILLS"], ["DESCRIPTION"]),
        (200, ["KILLS", "DESCRIPTION"], []),
    ],
)
async def test_columns_by_width(width: int, there: list[str], gone: list[str]) -> None:
    async with opened(size=(width, 24)) as front:
        heading = front.units[0]
        assert [c for c in there if c not in heading] == []
        assert [c for c in gone if c in heading] == []


# --- moving ------------------------------------------------------------------------------------


async def test_arrows_and_letters_move(front: Front) -> None:
    keys = [row.key for row in front.table.rows]
    assert front.cursor == keys[0]
    await front.press("down", "j", "j", "k")
    assert front.cursor == keys[2]
    await front.press("up")
    assert front.cursor == keys[1]
    await front.press("G")
    assert front.cursor == keys[-1]
    await front.press("g")
    assert front.cursor == keys[0]
    await front.press("end")
    assert front.cursor == keys[-1]
    await front.press("down")
    assert front.cursor == keys[-1]
    await front.press("home", "up")
    assert front.cursor == keys[0]
    await front.press("pagedown")
    assert front.cursor == keys[min(19, len(keys) - 1)]
    await front.press("pageup")
    assert front.cursor == keys[0]


async def test_the_cursor_is_always_seen() -> None:
    async with opened(size=(80, 12)) as front:
        for key in ("G", "g", "pagedown", "down", "down", "pagedown", "pageup", "up", "up"):
            await front.press(key)
            row = front.table.row
            assert row is not None
            assert any(row.name in line for line in front.units), f"after {key}:\n{front.text}"


async def test_a_click_selects_and_the_wheel_scrolls() -> None:
    async with opened(size=(80, 12)) as front:
        await front.click(UnitTable, 5, 3)
        assert front.cursor == front.table.rows[2].key
        first = front.units[1]
        await front.pilot._post_mouse_events([_scroll()], UnitTable, offset=(5, 3), button=0)
        await front.settle()
        assert front.units[1] != first
        assert front.cursor == front.table.rows[5].key


def _scroll() -> type:
    from textual.events import MouseScrollDown

    return MouseScrollDown


# --- folding -----------------------------------------------------------------------------------


async def test_enter_folds_a_group(front: Front) -> None:
    assert CHAT in front.text
    await front.press("enter")
    assert "ssh.service" not in front.text
    assert re.search(r"▸ Tier 0 gatekeepers \(\d+\)", front.text)
    await front.press("enter")
    assert "ssh.service" in front.text


async def test_plus_minus_and_arrows_fold_the_group_that_the_cursor_is_in(front: Front) -> None:
    for fold, unfold in (("minus", "plus"), ("left", "right")):
        await front.press("g", "down", "down", fold)
        assert "ssh.service" not in front.text
        assert front.cursor == "gatekeepers"
        await front.press(unfold)
        assert "ssh.service" in front.text


async def test_a_click_on_a_group_folds_it(front: Front) -> None:
    await front.click(UnitTable, 10, 1)
    assert "ssh.service" not in front.text


async def test_slices_and_sessions_can_be_seen(front: Front) -> None:
    for group in ("slices", "sessions", "short-lived", "other"):
        await front.press("g")
        while front.cursor != group:
            await front.press("down")
        await front.press("enter")
    names = [row.unit for row in front.table.rows]
    assert "system.slice" in names
    assert "certbot.service" in names
    assert any(name.startswith("session-") for name in names)
    system = next(row for row in front.table.rows if row.unit == "system.slice")
    usage = system.of.usage  # type: ignore[union-attr]
    assert usage is not None
    assert usage.rss, "a slice shows the sum of what is below it"


REST = "gatekeepers/resting"


def heading(front: Front, key: str) -> tuple[int, str]:
    """Where a heading stands, and what it says."""
    return next((i, row.title) for i, row in enumerate(front.table.rows) if row.key == key)


async def test_what_does_not_run_and_is_not_meant_to_is_folded(front: Front) -> None:
    assert MASKED not in front.text
    at, title = heading(front, REST)
    assert title == "Not running (1)"
    front.table.select(REST)
    await front.press("enter")
    assert front.table.rows[at + 1].unit == MASKED
    assert heading(front, REST)[1] == "Not running"
    assert not front.table.rows[at + 2].unit, "the head of the next group follows"
    await front.press("down", "minus")
    assert front.table.row is not None
    assert front.table.row.key == REST, "the cursor goes to what was folded"
    assert MASKED not in front.text


async def test_what_does_not_run_can_be_hidden(front: Front) -> None:
    await front.press("a")
    assert REST not in {row.key for row in front.table.rows}
    assert "Only running units are shown" in front.header[2]
    await front.press("down")
    assert "Next OOM victim" in front.header[2]
    await front.press("a")
    assert REST in {row.key for row in front.table.rows}


async def test_what_is_folded_twice_is_found(front: Front) -> None:
    await front.press("home", "minus", "slash", *"multi", "enter")
    assert front.table.row is not None
    assert front.table.row.unit == MASKED


# state, file state → whether it is put out of sight
RESTS: dict[str, tuple[str, str, bool]] = {
    "emergency.service": ("inactive", "static", True),
    "masked": ("inactive", "masked", True),
    "disabled": ("inactive", "disabled", True),
    "it failed": ("failed", "static", False),
    "it is to be started at boot": ("inactive", "enabled", False),
    "it is starting": ("activating", "disabled", False),
    "not known": ("inactive", "", False),
}


@pytest.mark.parametrize(("state", "file_state", "expected"), RESTS.values(), ids=RESTS)
def test_what_rests(state: str, file_state: str, expected: bool) -> None:
    known = properties("a.service", active_state=state, unit_file_state=file_state)
    assert rests(Unit("a.service", None, known)) is expected
    assert not rests(Unit("a.service", None, None))


# --- sorting -----------------------------------------------------------------------------------


def tier1(front: Front) -> list[str]:
    rows = list(front.table.rows)
    start = next(i for i, row in enumerate(rows) if row.key == "business")
    # What does not run comes behind, in the same order.
    return [row.unit for row in rows[start + 1 :] if isinstance(row.of, Unit) and row.of.usage]


async def test_sorting_by_keys(front: Front) -> None:
    assert tier1(front)[:2] == [CHAT, REDIS]
    await front.press("N")
    assert tier1(front) == sorted(tier1(front))
    assert "UNIT▲" in front.units[0]
    await front.press("I")
    assert tier1(front) == sorted(tier1(front), reverse=True)
    for _ in "again":
        await front.press("M")
        assert tier1(front)[0] == CHAT, "the most is on top, however often it is asked for"
        assert "RSS▼" in front.units[0]
    await front.press("greater_than_sign")
    assert "SWAP▼" in front.units[0]
    await front.press("less_than_sign", "less_than_sign")
    assert "UNIT▲" in front.units[0]
    await front.press("O")
    assert "SCORE▼" in front.units[0]


async def test_the_sort_menu(front: Front) -> None:
    await front.press("f6")
    assert isinstance(front.app.screen, ChooseScreen)
    await front.press("down", "enter")
    assert "SWAP▼" in front.units[0]
    await front.press("f6", "escape")
    assert "SWAP▼" in front.units[0]


async def test_a_click_on_a_heading_sorts_and_again_turns_round(front: Front) -> None:
    x = front.units[0].index("SCORE")
    await front.click(UnitTable, x + 1, 0)
    assert "SCORE▼" in front.units[0]
    await front.click(UnitTable, x + 1, 0)
    assert "SCORE▲" in front.units[0]


# --- find and filter ---------------------------------------------------------------------------


async def test_find_goes_there_as_it_is_typed(front: Front) -> None:
    await front.press("slash", *"redi")
    assert front.prompt.startswith(" Find: redi")
    assert front.cursor == REDIS
    await front.press("enter")
    assert front.prompt == ""
    assert front.keys.startswith(" F1")
    assert front.cursor == REDIS


async def test_find_prefers_names_to_descriptions(front: Front) -> None:
    front.table.select("worker@a.service")
    await front.press("f3", *"clou")
    assert front.cursor == "cloudchat-backup.service", "not worker@b, Cloudchat's queue b"


async def test_find_next_and_a_folded_group(front: Front) -> None:
    await front.press("f3", *"worker@")
    assert front.cursor == "worker@a.service"
    await front.press("f3")
    assert front.cursor == "worker@b.service"
    await front.press("f3")
    assert front.cursor == "worker@a.service"
    await front.press("ctrl+u", *"certbot")
    assert front.cursor == "certbot.service"
    assert "certbot.service" in front.text
    await front.press("backspace", *"nothing-of-the-kind")
    assert "No unit, description" in front.header[2]
    await front.press("escape")
    assert "Next OOM victim" in front.header[2]


async def test_letters_typed_into_the_prompt_are_no_commands(front: Front) -> None:
    await front.press("f4", *"qaIGq")
    assert front.prompt.startswith(" Filter: qaIGq")
    assert front.app.is_running
    await front.press("escape")


async def test_filter_narrows_as_it_is_typed(front: Front) -> None:
    await front.press("f4", *"redis")
    assert [row.unit for row in front.table.rows if row.unit] == [REDIS]
    assert "UNIT with 'redis'" in front.units[0]
    await front.press("enter")
    assert front.prompt == ""
    await front.tick()
    assert [row.unit for row in front.table.rows if row.unit] == [REDIS]
    await front.press("f4", "escape")
    assert CHAT in front.text


@pytest.mark.parametrize("size", [(80, 24), (40, 20), (120, 35)])
@pytest.mark.parametrize("keys", [(), ("a",)], ids=["all", "only what runs"])
async def test_a_filter_that_nothing_fits_says_so_and_how_to_leave_it(
    keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    async with opened(size=size) as front:
        await front.press(*keys, "f4", *"xyzzy")
        for after in ("enter", "down"):
            said = " ".join(" ".join(front.units[1:]).split())
            assert said.startswith("No unit, description or process has 'xyzzy' in it.")
            assert ("Only units that run are searched." in said) == bool(keys)
            assert said.endswith("Esc shows all units again.")
            await front.press(after)
        await front.press("f3", *"nobody")
        assert "No unit, description or process" in front.header[2]
        await front.press("escape", "escape")
        assert CHAT in front.text


async def test_what_is_searched_within_a_filter_is_shown() -> None:
    async with opened(size=(120, 35)) as front:
        await front.press("f4", *"redis", "enter", "f3", *"xyzzy")
        assert "has 'xyzzy' in it. Only units with 'redis' are searched." in front.header[2]


async def test_escape_takes_a_kept_filter_away(front: Front) -> None:
    await front.press("f4", *"redis", "enter", "escape")
    assert CHAT in front.text


async def test_a_filter_that_matches_nothing(front: Front) -> None:
    await front.press("f4", *"xyzzy", "enter", "enter", "f5", "left", "space", "G", "pagedown")
    assert front.table.row is None
    await front.press("escape")
    assert CHAT in front.text


# --- processes ---------------------------------------------------------------------------------


async def test_the_process_tree(front: Front) -> None:
    await front.pilot.resize_terminal(80, 60)
    await front.press("f5", "slash", *"cloudchat", "enter")
    rows = [row for row in front.table.rows if row.unit == CHAT]
    assert len(rows) >= 3
    lines = [front.line(f"gunicorn {row.of.pid}") for row in rows[1:]]  # type: ignore[union-attr]
    assert re.match(r"     gunicorn \d+ ", lines[0])
    assert re.match(r"       gunicorn \d+ ", lines[1])
    await front.press("down", "enter")
    assert isinstance(front.app.screen, UnitScreen)
    assert front.app.screen.unit_name == CHAT


# --- other screens, leaving --------------------------------------------------------------------


async def test_enter_opens_the_unit(front: Front) -> None:
    await front.press("slash", *"redis", "enter", "enter")
    assert front.shows(UnitScreen)
    await front.press("escape")
    assert front.shows(MainScreen)
    assert front.cursor == REDIS


async def test_review_says_when_there_is_nothing(front: Front) -> None:
    await front.press("f8")
    assert "Nothing is staged" in front.header[2]
    assert isinstance(front.app.screen, MainScreen)


async def test_f9_says_that_nothing_is_killed(front: Front) -> None:
    await front.press("f9")
    assert "This program does not kill" in front.header[2]


async def test_staged_edits_are_marked_and_counted(front: Front) -> None:
    front.session.stage(Staged((Edit(REDIS, Key.MEMORY_MAX, "300M"),)))
    await front.settle()
    assert re.match(r" \* redis-server", front.line(REDIS))
    assert " F8 Review 1 " in front.keys
    front.session.stage(Staged())
    await front.settle()
    assert front.line(REDIS).startswith("   redis")
    assert " F8 Review " in front.keys
    assert " F8 Review 1" not in front.keys


@pytest.mark.parametrize("key", ["q", "f10", "ctrl+c", "ctrl+q"])
async def test_leaving(key: str) -> None:
    async with opened() as front:
        await front.press(key)
        assert not front.app.is_running
    assert front.app.return_value == 0


@pytest.mark.parametrize("key", ["q", "f10", "ctrl+c"])
async def test_leaving_asks_when_something_is_staged(key: str) -> None:
    async with opened() as front:
        front.session.stage(Staged((Edit(REDIS, Key.MEMORY_MAX, "300M"),)))
        await front.press(key)
        assert isinstance(front.app.screen, AskScreen)
        await front.press("n")
        assert front.app.is_running
        assert len(front.session.staged) == 1
        await front.press(key, "y")
        assert not front.app.is_running


async def test_the_second_ctrl_c_means_it(front: Front) -> None:
    front.session.stage(Staged((Edit(REDIS, Key.MEMORY_MAX, "300M"),)))
    await front.press("ctrl+c", "ctrl+c")
    assert not front.app.is_running


async def test_the_keys_can_be_clicked(front: Front) -> None:
    await front.click(KeyBar, front.keys.index("F6") + 1, 0)
    assert isinstance(front.app.screen, ChooseScreen)


async def test_help_shows_and_goes(front: Front) -> None:
    await front.press("f1")
    assert isinstance(front.app.screen, HelpScreen)
    page = front.app.screen.query_one(Page)
    assert page.render_line(2).text.startswith(" Keys")
    bar = front.app.screen.query_one(KeyBar)
    assert bar.render_line(0).text.rstrip() == " Esc Back PgDn More"
    await front.click(KeyBar, 10, 0)
    assert not page.render_line(2).text.startswith(" Keys"), "it scrolls"
    await front.press("G")
    assert bar.render_line(0).text.rstrip() == " Esc Back", "there is no more"
    await front.press("g")
    assert bar.render_line(0).text.rstrip() == " Esc Back PgDn More"
    await front.press("escape")
    assert front.shows(MainScreen)


@pytest.mark.parametrize("size", [(80, 24), (90, 24), (120, 30)])
async def test_the_keys_that_matter_most_fit(size: tuple[int, int]) -> None:
    async with opened(size=size) as front:
        front.session.stage(Staged((Edit(REDIS, Key.MEMORY_MAX, "300M"),)))
        await front.settle()
        for key in ("F1 Help", "F2", "F3", "F4", "F5", "F6", "F7", "F8 Review 1", "F10 Quit"):
            assert f" {key}" in front.keys, key
        assert ("F5 Processes" in front.keys) is (size[0] > 80)


@pytest.mark.parametrize(
    "keys",
    [("enter",), ("f7",), ("H",), ("K",), ("enter", *"30", "f8"), ("space", "space", "enter")],
    ids=" ".join,
)
async def test_help_is_there_on_every_page(front: Front, keys: tuple[str, ...]) -> None:
    await front.press("f3", *"redis", "enter", *keys)
    page = front.app.screen
    assert not front.shows(MainScreen)
    await front.press("f1")
    assert front.shows(HelpScreen)
    await front.press("f1")
    assert front.app.screen is page


NAMES = {
    "question_mark": "?", "slash": "/", "backslash": "\\", "less_than_sign": "<", "comma": ",",
    "greater_than_sign": ">", "full_stop": ".", "plus": "+", "minus": "-", "pageup": "PgUp",
    "pagedown": "PgDn", "up": "Arrows", "down": "Arrows", "escape": "Esc", "equals_sign": None,
    "ctrl+q": None,
}  # fmt: skip


def test_every_key_is_in_the_help() -> None:
    told = " ".join(f"{keys} {text}" for keys, text in KEYS)
    words = set(re.split(r"[\s,;:]+", told)) | {",", "."}
    missing = []
    for binding in (*MainScreen.BINDINGS, *UnitTable.BINDINGS, *LowmemApp.BINDINGS):
        assert isinstance(binding, Binding)
        for key in binding.key.split(","):
            name = NAMES.get(key, key if len(key) == 1 else key.title().replace("+", "-"))
            if name is not None and name not in words:
                missing.append(key)
    assert missing == []


async def test_the_header_is_never_gone(front: Front) -> None:
    await front.pilot.resize_terminal(20, 6)
    await front.settle()
    assert front.main.query_one(Header).size.height == 3
    assert front.units[0].startswith(" UNIT")


async def test_after_the_end_nothing_is_asked_of_the_server_any_more() -> None:
    """A page that is still at work as the screen goes is cancelled; it does not fail."""
    async with opened() as front:
        session = front.session
    session.close(wait=True)
    asked: list[int] = []
    with pytest.raises(asyncio.CancelledError):
        await session.run_blocking(asked.append, 1)
    assert asked == []
