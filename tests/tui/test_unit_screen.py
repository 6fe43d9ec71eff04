from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from textual.containers import Container

from lowmem_tui.model import language
from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.snapshot import Source, Standing
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import dropin
from lowmem_tui.tui.screens.review import ReviewScreen
from tests import catalogs
from tests.tui.pages import Blank, tabs, unit_page
from tests.tui.small import EVIL, REDIS, SSH, M, SmallServer, properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tui.pages import Desk


@pytest.fixture
def server() -> SmallServer:
    return SmallServer()


def wrote(server: SmallServer, **settings: str) -> None:
    server.ours = dropin.render(REDIS, {Key(k): v for k, v in settings.items()}, "Service")


async def test_the_page_says_what_the_unit_is(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        for words in (
            "redis-server.service · A key-value store",
            "Tier 1, business. It is a cache: set a limit in its own configuration as well.",
            "active (running) · main pid 845",
            "RSS 64M · total 68M · anon 64M · file 3M · shmem 0 · kernel 1M · swap 20M · peak 90M",
            "max — · high — · swap max —",
            "some 0.1% 0.2% 0.3%",
            "oom_score 700 · adj 0 · OOM kills 1 · restarts 2",
            "Restart always /usr/lib/systemd/system/redis-server.service",
            "PROCESSES (1)",
            "845 104 64M 1M 700 0 /usr/bin/redis-server 127.0.0.1:6379",
        ):
            assert words in desk.words
        assert server.watched == [REDIS]


async def test_who_is_never_chosen_is_not_advised_to_change_that(server: SmallServer) -> None:
    async with unit_page(server, name=SSH) as desk:
        assert desk.entry(Key.OOM_SCORE_ADJUST).field.advice == "none: the kernel never chooses it"
        assert desk.entry(Key.MEMORY_MAX).field.advice == "none: it must not be killed"


async def test_failed_units_say_so_in_words(server: SmallServer) -> None:
    server.properties[REDIS] = properties(
        REDIS, active_state="failed", sub_state="failed", result="oom-kill", need_daemon_reload=True
    )
    async with unit_page(server) as desk:
        assert "failed (failed), result oom-kill" in desk.words
        assert "changed on disk, not reloaded" in desk.words


@pytest.mark.parametrize(("size", "words"), [((40, 12), "now always"), ((60, 20), "")])
async def test_what_is_now_is_in_the_field_where_there_is_no_column(
    server: SmallServer, size: tuple[int, int], words: str
) -> None:
    async with unit_page(server, size=size) as desk:
        await desk.tick()
        assert desk.entry(Key.RESTART).placeholder == words


VALID = [
    (Key.OOM_SCORE_ADJUST, "-200", "-200. Enter stages it"),
    (Key.OOM_SCORE_ADJUST, "0", "0. Enter stages it"),
    (Key.MEMORY_MAX, "256M", "256M, 26% of RAM. Enter stages it; nothing is written yet."),
    (Key.MEMORY_MAX, "25%", "25% is 242M, 25% of RAM."),
    (Key.MEMORY_MAX, "268435456", "268435456 is 256M, 26% of RAM."),
    (Key.MEMORY_MAX, "200000000000", "200000000000 is 186G"),
    (Key.MEMORY_MAX, "256000", "256000 is 250K, 0% of RAM (K, M or G after it?)"),
    (Key.MEMORY_MAX, "infinity", "infinity. Enter stages it"),
    (Key.MEMORY_HIGH, "1.5G", "1.5G, 158% of RAM."),
    (Key.MEMORY_SWAP_MAX, "0", "0, 0% of RAM."),
    (Key.RESTART, "always", "always, whatever ended it."),
    (Key.RESTART_SEC, "1min 30s", "1min 30s. Enter stages it"),
    (Key.OOM_POLICY, "continue", "continue, only that process is killed."),
]

INVALID = [
    (Key.OOM_SCORE_ADJUST, "5000", "'5000' is not an OOMScoreAdjust: write a whole number"),
    (Key.OOM_SCORE_ADJUST, "-", "'-' is not an OOMScoreAdjust"),
    (Key.MEMORY_MAX, "banana", "'banana' is not a limit: write a size like 256M"),
    (Key.MEMORY_MAX, "256 MB", "'256 MB' is not a limit: systemd writes it 256M."),
    (Key.MEMORY_MAX, "256m", "'256m' is not a limit: systemd writes it 256M."),
    (Key.MEMORY_MAX, "101%", "'101%' is not a limit"),
    (Key.MEMORY_MAX, "0", "write at least 1M"),
    (Key.MEMORY_HIGH, "-1", "'-1' is not a limit"),
    (Key.RESTART, "alway", "write one of no, on-success"),
    (Key.RESTART_SEC, "3 bananas", "'3 bananas' is not a time span: write something like 3s"),
    (Key.OOM_POLICY, "[red]", "'[red]' is not a value of OOMPolicy"),
]


async def test_valid_text_is_staged_on_enter(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        for key, text, words in VALID:
            await desk.into(key, text)
            assert f"{key}: {words}" in desk.words, (key, text)
            assert desk.staged == {}
            assert desk.mark(key) == " "
            await desk.press("enter")
            assert desk.staged == {key: text}
            assert desk.mark(key) == "*"
            assert "Staged, nothing is written yet: F8 reviews." in desk.words
            assert "Review 1" in desk.words
            await desk.press("ctrl+u")
            assert desk.staged == {}


@pytest.mark.parametrize("leave", ["tab", "down", "up", "shift+tab"])
async def test_leaving_a_field_stages_it(server: SmallServer, leave: str) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_HIGH, "200M")
        await desk.press(leave)
        assert desk.staged == {Key.MEMORY_HIGH: "200M"}
        assert not desk.entry(Key.MEMORY_HIGH).has_focus


async def test_bad_text_stays_and_is_explained(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        for key, text, words in INVALID:
            await desk.into(key, text)
            for keys in ((), ("enter",), ("tab",)):
                await desk.press(*keys)
                assert f"! {key} is not staged: " in desk.words, (key, text)
                assert words in desk.words, (key, text)
                assert desk.entry(key).value == text
                assert desk.mark(key) == "!"
                assert desk.staged == {}
            await desk.into(key)
            await desk.press("ctrl+u")
            assert f"! {key}" not in desk.words


async def test_bad_text_keeps_what_was_staged_before(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "256M")
        await desk.press("enter", "x", "enter")
        assert desk.entry(Key.MEMORY_MAX).value == "256Mx"
        assert desk.staged == {Key.MEMORY_MAX: "256M"}
        assert desk.mark(Key.MEMORY_MAX) == "!"
        assert "256M stays staged." in desk.words


async def test_escape_with_bad_text_warns_once(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "banana")
        await desk.press("escape")
        assert "Fields marked ! are not staged" in desk.words
        await desk.press("escape")
        assert isinstance(desk.app.screen, Blank)
        await desk.until(lambda: server.watched == [REDIS, None])


async def test_escape_stages_the_fields_of_the_form(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "256M")
        await desk.press("escape")
        assert isinstance(desk.app.screen, Blank)
        assert desk.staged == {Key.MEMORY_MAX: "256M"}


@pytest.mark.parametrize("key", ["f10", "ctrl+c"])
async def test_quitting_asks_about_the_fields_of_the_form(server: SmallServer, key: str) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "256M")
        await desk.press(key)
        assert "Quit and discard 1 staged edit?" in desk.words
        await desk.press("n")
        assert desk.staged == {Key.MEMORY_MAX: "256M"}
        assert desk.entry(Key.MEMORY_MAX).has_focus
        await desk.press(key, "y")
        assert desk.app.return_code == 0


async def test_quitting_with_bad_text_warns_once(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "banana")
        await desk.press("ctrl+c")
        assert "Fields marked ! are not staged" in desk.words
        await desk.press("ctrl+c")
        assert desk.app.return_code == 0


async def test_review_opens_with_the_fields_of_the_form(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "256M")
        await desk.press("f8")
        assert isinstance(desk.app.screen, ReviewScreen)
        await desk.until(lambda: "MemoryMax=256M" in desk.words)
        await desk.press("n")
        assert desk.entry(Key.MEMORY_MAX).value == "256M"
        assert server.applied == []


@pytest.mark.parametrize("name", [REDIS, "/user.slice/strange"])
async def test_there_is_no_review_of_nothing(server: SmallServer, name: str) -> None:
    async with unit_page(server, name=name) as desk:
        field = desk.app.focused
        await desk.press("f8")
        assert "Nothing is staged" in desk.words
        assert desk.app.focused is field
        if field is not None:
            await desk.press("1")
            assert "Nothing is staged" not in desk.words
            await desk.press("f8")
            assert isinstance(desk.app.screen, ReviewScreen)


async def test_keys_that_arrive_at_once_find_their_fields(server: SmallServer) -> None:
    """A slow line brings Tab and what follows it in one piece."""
    async with unit_page(server) as desk:
        desk.send("1", "tab", *"256M", *tabs(Key.MEMORY_MAX, Key.RESTART), *"no")
        await desk.settle()
        assert desk.entry(Key.RESTART).value == "no"
        assert desk.entry(Key.MEMORY_MAX).value == "256M"
        assert desk.staged == {Key.OOM_SCORE_ADJUST: "1", Key.MEMORY_MAX: "256M"}


async def test_corrections_hold_their_place_among_keys_that_arrive_at_once(
    server: SmallServer,
) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX)
        desk.send(*"257", "backspace", *"6MM", "left", "delete", "home", "1", "enter")
        await desk.settle()
        assert desk.staged == {Key.MEMORY_MAX: "1256M"}


@pytest.mark.parametrize("leave", ["f8", "escape"])
async def test_keys_after_leaving_do_nothing(server: SmallServer, leave: str) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX)
        desk.send(*"256M", leave, *"aay7")
        await desk.settle()
        assert isinstance(desk.app.screen, ReviewScreen if leave == "f8" else Blank)
        assert desk.staged == {Key.MEMORY_MAX: "256M"}
        assert server.applied == []


async def test_words_are_chosen_with_left_and_right(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.OOM_POLICY)
        seen = []
        for _ in range(5):
            await desk.press("right")
            seen.append(desk.entry(Key.OOM_POLICY).value)
        assert seen == ["continue", "stop", "kill", "", "continue"]
        assert desk.staged == {}
        await desk.press("left", "left", "enter")
        assert desk.staged == {Key.OOM_POLICY: "kill"}
        await desk.into(Key.RESTART, "alw")
        await desk.press("right")
        assert desk.entry(Key.RESTART).value == "always"


async def test_our_own_file_fills_the_form_and_emptying_drops_it(server: SmallServer) -> None:
    wrote(server, MemoryMax="256M", Restart="always")
    async with unit_page(server) as desk:
        assert desk.entry(Key.MEMORY_MAX).value == "256M"
        assert desk.entry(Key.RESTART).value == "always"
        assert desk.entry(Key.MEMORY_HIGH).value == ""
        await desk.into(Key.MEMORY_MAX)
        await desk.press("backspace")
        assert (
            "empty: 256M is removed from the drop-in of lowmem-tui, other files count."
            in desk.words
        )
        await desk.press("enter")
        assert desk.staged == {Key.MEMORY_MAX: None}
        await desk.type("256M")
        await desk.press("enter")
        assert desk.staged == {}


async def test_ctrl_u_discards_the_edit(server: SmallServer) -> None:
    wrote(server, MemoryMax="256M")
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "300M")
        await desk.press("enter")
        assert desk.staged == {Key.MEMORY_MAX: "300M"}
        await desk.press("ctrl+u")
        assert desk.staged == {}
        assert desk.entry(Key.MEMORY_MAX).value == "256M"
        await desk.into(Key.MEMORY_HIGH, "banana")
        await desk.press("ctrl+u")
        assert desk.entry(Key.MEMORY_HIGH).value == ""
        assert desk.mark(Key.MEMORY_HIGH) == " "


async def test_staged_edits_are_there_again(server: SmallServer) -> None:
    staged = Edit(REDIS, Key.MEMORY_MAX, "300M"), Edit(REDIS, Key.RESTART, None)
    wrote(server, MemoryMax="256M", Restart="always", RestartSec="3s")
    async with unit_page(server, staged=staged) as desk:
        assert desk.entry(Key.MEMORY_MAX).value == "300M"
        assert desk.entry(Key.RESTART).value == ""
        assert desk.entry(Key.RESTART_SEC).value == "3s"
        assert desk.mark(Key.MEMORY_MAX) == desk.mark(Key.RESTART) == "*"
        await desk.press("escape")
        assert desk.session.staged.edits == staged


async def test_what_is_discarded_elsewhere_leaves_the_form(server: SmallServer) -> None:
    async with unit_page(server, staged=(Edit(REDIS, Key.MEMORY_MAX, "300M"),)) as desk:
        await desk.into(Key.MEMORY_HIGH, "20")
        desk.session.stage(desk.session.staged.without(REDIS))
        await desk.settle()
        assert desk.entry(Key.MEMORY_MAX).value == ""
        assert desk.entry(Key.MEMORY_HIGH).value == "20"


async def test_warnings_and_refusals_come_while_typing(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "10M")
        await desk.until(lambda: "REFUSED, unless overridden: " in desk.words)
        assert desk.staged == {}
        await desk.into(Key.MEMORY_HIGH)
        await desk.into(Key.MEMORY_MAX, "300M")
        await desk.until(lambda: "REFUSED" not in desk.words)


async def test_the_tier_is_known_to_the_warnings(server: SmallServer) -> None:
    async with unit_page(server, name=SSH) as desk:
        await desk.into(Key.MEMORY_MAX, "64M")
        await desk.until(lambda: "Warning: ssh.service is a gatekeeper" in desk.words)


async def test_notices_of_other_units_are_not_shown(server: SmallServer) -> None:
    async with unit_page(server, name=SSH, staged=(Edit(REDIS, Key.MEMORY_MAX, "10M"),)) as desk:
        await desk.until(lambda: (SSH, REDIS) in server.asked)
        assert "REFUSED" not in desk.words


async def test_new_figures_do_not_disturb_typing(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.into(Key.MEMORY_MAX, "25")
        server.rss = 80 * M
        await desk.tick()
        assert "RSS 80M" in desk.words
        entry = desk.entry(Key.MEMORY_MAX)
        assert (entry.value, entry.cursor_position, entry.has_focus) == ("25", 2, True)
        await desk.press("6", "M")
        assert entry.value == "256M"


async def test_the_history_line_shows_the_range(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        for rss in (64, 70, 80):
            server.rss = rss * M
            server.tick += 20
            await desk.tick()
        assert "68M to 84M" in desk.words
        server.rss = 50 * M
        await desk.tick()
        assert "54M to 84M" in desk.words, "what stands beside it is within"
        assert "▁" in desk.text and "█" in desk.text


async def test_settings_are_read_again_when_systemd_has_something_new(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        await desk.tick()
        asked = len(server.asked)
        await desk.tick()
        assert len(server.asked) == asked
        server.properties[REDIS] = properties(REDIS, restart="no")
        await desk.tick()
        await desk.until(lambda: len(server.asked) == asked + 1)


async def test_an_error_is_a_sentence_and_the_form_works(server: SmallServer) -> None:
    server.situation_error = ManagerError("systemd does not answer: \x1b[31mtry again.")
    async with unit_page(server) as desk:
        assert "systemd does not answer: ·[31mtry again." in desk.words
        await desk.into(Key.MEMORY_MAX, "256M")
        await desk.press("enter")
        assert desk.staged == {Key.MEMORY_MAX: "256M"}
        server.situation_error = None
        server.tick += 10
        await desk.tick()
        await desk.until(lambda: "does not answer" not in desk.words)
        assert "Restart always" in desk.words


async def test_a_unit_that_goes_away_stays_on_the_page(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        server.units = dict  # type: ignore[method-assign]
        await desk.tick()
        assert "it uses no memory" in desk.words
        assert REDIS in desk.text


@pytest.mark.parametrize(
    "name", ["/user.slice/strange", "dev-sda.device", "basic.target", "-.slice"]
)
async def test_what_has_no_settings_can_only_be_looked_at(server: SmallServer, name: str) -> None:
    async with unit_page(server, name=name) as desk:
        assert "it can only be viewed" in desk.words
        assert server.asked == []
        await desk.press("tab", "x", "enter", "f8", "escape", "escape")
        assert isinstance(desk.app.screen, Blank)


async def test_hostile_text_is_harmless(server: SmallServer) -> None:
    server.command = EVIL
    server.properties[REDIS] = properties(REDIS, description=EVIL, result=EVIL)
    async with unit_page(server, (120, 40)) as desk:
        assert "\x1b" not in desk.text and "\u202e" not in desk.text
        assert "[bold red]name[/]" in desk.text
        await desk.into(Key.MEMORY_MAX)
        assert "\x1b" not in desk.text


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (60, 20), (200, 60), (20, 5)])
async def test_it_fits_any_size(server: SmallServer, size: tuple[int, int]) -> None:
    async with unit_page(server, size) as desk:
        entry = desk.entry(Key.MEMORY_MAX)
        await desk.into(Key.MEMORY_MAX, "256M")
        assert size[1] < 12 or desk.unit.can_view_entire(entry)
        for prose in desk.unit.query("Prose"):
            assert prose.region.right <= size[0]
        await desk.press(*tabs(Key.MEMORY_MAX, Key.OOM_POLICY))
        assert size[1] < 12 or desk.unit.can_view_entire(desk.entry(Key.OOM_POLICY))
        await desk.pilot.resize_terminal(60, 20)
        assert desk.staged == {Key.MEMORY_MAX: "256M"}


async def test_the_facts_scroll_and_the_cursor_stays(server: SmallServer) -> None:
    async with unit_page(server) as desk:
        body = desk.unit.query_one("#body", Container)
        entry = desk.entry(Key.OOM_SCORE_ADJUST)
        await desk.until(lambda: body.max_scroll_y)
        await desk.press("pagedown")
        await desk.until(lambda: not desk.unit.can_view_entire(entry))
        assert entry.has_focus
        await desk.press("5")
        await desk.until(lambda: desk.unit.can_view_entire(entry))


async def test_ascii_has_its_own_bars(server: SmallServer) -> None:
    server.limit = 100 * M
    async with unit_page(server, ascii_only=True) as desk:
        assert "[###########.....] 68M of 100M, 68%" in desk.words
        assert "_ 68M to 68M" in desk.words


async def test_the_demo_says_so(server: SmallServer) -> None:
    server.demo = True
    async with unit_page(server) as desk:
        assert desk.text.startswith(" DEMO ")


async def test_a_page_that_goes_before_its_question_has_begun_leaves_nothing_behind() -> None:
    async with unit_page(SmallServer()) as desk:
        page = desk.unit
        page._ask()
        assert page.workers.cancel_node(page)
        await desk.settle()


LIB = f"/usr/lib/systemd/system/{REDIS}"
DROP_IN = f"/etc/systemd/system/{REDIS}.d/50-limit.conf"
PLACES = {
    Key.MEMORY_MAX: (
        Source(f"/run/systemd/system/{REDIS}", 3, "MemoryMax", "4G", Standing.NOT_READ),
        Source(LIB, 12, "MemoryLimit", "1G", Standing.OVERRIDDEN),
        Source(LIB, 13, "MemoryMax", "\x1b[2J[red]" * 30, Standing.IGNORED),
        Source(DROP_IN, 2, "MemoryMax", "", Standing.DECIDES),
    ),
    Key.OOM_SCORE_ADJUST: (Source(DROP_IN, 3, "OOMScoreAdjust", "5", Standing.UNKNOWN),),
}


@pytest.fixture
def chinese() -> Iterator[None]:
    language.use("zh_CN", catalogs.translations("zh_CN"))
    yield
    language.use(language.ENGLISH, None)


def facts(desk: Desk) -> list[str]:
    """The lines about settings and files, as wide as they are on the screen."""
    shown = desk.unit._facts.text.splitlines()
    at = next(i for i, line in enumerate(shown) if "OOMScoreAdjust" in line and "[" not in line)
    assert max(map(cell_len, shown)) <= 80
    return [line.strip() for line in shown[at:] if line.strip()]


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_every_file_that_sets_a_setting_is_listed(
    server: SmallServer, ascii_only: bool
) -> None:
    server.sources = PLACES
    async with unit_page(server, ascii_only=ascii_only) as desk:
        shown = facts(desk)
        assert shown[:4] == [
            "OOMScoreAdjust  5",
            f"unknown    5  {DROP_IN}:3",
            "MemoryMax       (default)",
            f"not read   4G  /run/systemd/system/{REDIS}:3",
        ]
        assert f"overridden MemoryLimit=1G  {LIB}:12" in shown
        ignored = next(line for line in shown if line.startswith("ignored"))
        assert "\x1b" not in ignored
        assert cell_len(ignored) < 55
        assert f"decides    (default) {DROP_IN}:2" in " ".join(shown)
        assert f"Restart         always  {LIB}" in shown


@pytest.mark.usefixtures("chinese")
async def test_every_file_that_sets_a_setting_in_chinese(server: SmallServer) -> None:
    server.sources = PLACES
    async with unit_page(server) as desk:
        shown = facts(desk)
        for words in (
            "未知",
            "未读取     4G",
            "被覆盖     MemoryLimit=1G",
            "被忽略",
            "生效       ",
        ):
            assert any(line.startswith(words) for line in shown), words
