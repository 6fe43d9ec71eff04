"""The table while the server changes: what moves, what does not, and what is drawn again."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.model.usage import Knobs
from lowmem_tui.tui import app as app_module
from lowmem_tui.tui.table.columns import COLUMNS, NAME, lay_out
from lowmem_tui.tui.terminal.canvas import Canvas
from lowmem_tui.tui.terminal.glyphs import ASCII, CONSOLE, UNICODE, choose, translation
from lowmem_tui.tui.terminal.paint import Painter
from lowmem_tui.tui.widgets.lines import Lines
from tests.tui.conftest import opened
from tests.tui.fleet import HOST, Fleet, M, loaded, stopped, unit

if TYPE_CHECKING:
    from tests.tui.conftest import Front

EVIL = "evil\x1b]0;x\x07\x1b[2J[bold red]x[/]\n\u202egpj.service"


def fleet(count: int = 60) -> Fleet:
    return Fleet(*(unit(f"app-{i:02}.service", max(1, 100 - i) * M) for i in range(count)))


def position(front: Front, name: str) -> int:
    return next(y for y, line in enumerate(front.units) if name in line)


# --- selection and scroll ----------------------------------------------------------------------


async def test_the_cursor_stays_on_its_unit_and_its_line_when_rows_move() -> None:
    server = fleet()
    async with opened(server, (80, 24)) as front:
        for _ in range(40):
            await front.press("j")
        assert front.cursor == "app-39.service"
        line = position(front, "app-39")
        server.put(unit("app-39.service", 80 * M))
        await front.tick()
        assert front.cursor == "app-39.service"
        assert position(front, "app-39") == line
        server.put(*(unit(f"new-{i}.service", 200 * M) for i in range(5)))
        await front.tick()
        assert front.cursor == "app-39.service"
        assert position(front, "app-39") == line


async def test_at_the_top_nothing_scrolls() -> None:
    server = fleet()
    async with opened(server, (80, 24)) as front:
        await front.press("j", "j", "j")
        assert front.cursor == "app-02.service"
        server.put(unit("app-02.service", 300 * M))
        await front.tick()
        assert front.units[1].startswith(" ▾ Tier 1")
        assert front.cursor == "app-02.service"
        assert position(front, "app-02") == 2


async def test_the_cursor_stays_where_it_was_when_its_unit_goes() -> None:
    server = fleet()
    async with opened(server, (80, 24)) as front:
        await front.press("j", "j", "j")
        del server.units["app-02.service"]
        await front.tick()
        assert front.cursor == "app-03.service"
        server.units.clear()
        await front.tick()
        assert front.table.row is None
        server.put(unit("back.service"))
        await front.tick()
        assert "back.service" in front.text


# --- what is drawn again -----------------------------------------------------------------------


async def test_nothing_is_drawn_when_nothing_changed() -> None:
    server = fleet()
    async with opened(server) as front:
        drawn = []

        def refresh(self: Lines, *regions: Region, **_: object) -> Lines:
            drawn.append(regions)
            return self

        with patch.object(Lines, "refresh", refresh):
            await front.tick()
            assert drawn == []
            server.put(unit("app-03.service", 97 * M + 1), unit("app-59.service", 42 * M))
            await front.tick()
            assert drawn == [], "neither the rounded figure nor what is out of sight"
            server.put(unit("app-03.service", 96 * M + M // 2))
            await front.tick()
            table = [region for regions in drawn for region in regions if region.y > 3]
            assert table == [Region(0, 5, 80, 1)]


async def test_a_changed_cell_costs_a_few_bytes() -> None:
    server = fleet(200)
    async with opened(server, (120, 40)) as front:
        painter, console = Painter(), Console(color_system="256")
        compositor = front.app.screen._compositor
        whole = painter.trim(compositor.render_full_update())
        assert isinstance(whole, LayoutUpdate)
        assert len(whole.render_segments(console)) > 4000
        server.put(unit("app-03.service", 97 * M - M // 3, anon=90 * M))
        with patch.object(type(front.app.screen), "_compositor_refresh"):
            await front.tick()
            front.app.screen._compositor.update_widgets(set(front.app.screen.children))
            part = painter.trim(
                compositor.render_partial_update() or compositor.render_full_update()
            )
        assert isinstance(part, ChopsUpdate | LayoutUpdate)
        sent = part.render_segments(console)
        assert "H96." in sent
        assert len(sent) < 200, sent


# --- marks -------------------------------------------------------------------------------------


async def test_where_systemd_and_kernel_differ_is_marked() -> None:
    page = HOST.page_size
    server = Fleet(
        unit("same.service", max=100 * M),
        loaded(unit("rounded.service", max=100 * M), memory_max=100 * M + page - 1),
        loaded(unit("kernel.service"), memory_max=100 * M),
        loaded(unit("high.service", high=INFINITY), memory_high=50 * M),
        loaded(unit("files.service"), need_daemon_reload=True),
        loaded(unit("unknown.service", max=None), memory_max=100 * M),
        stopped(unit("idle.service", max=100 * M)),
    )
    async with opened(server) as front:
        marked = {
            line.split("service")[0].strip() for line in front.units if line.startswith("  !")
        }
        assert marked == {"!kernel.", "!high.", "!files."}


async def test_a_kill_is_shown_until_the_unit_is_opened() -> None:
    server = Fleet(unit("app.service", oom_kills=3), unit("new.service", oom_kills=None))
    async with opened(server) as front:
        assert "killed" not in front.text, "what was before we came is history"
        server.put(unit("app.service", oom_kills=4), unit("new.service", oom_kills=1))
        await front.tick()
        assert "killed 1×" in front.line("app.service")
        server.put(unit("app.service", oom_kills=6))
        await front.tick()
        assert "killed 3×" in front.line("app.service")
        server.put(unit("app.service", oom_kills=0))
        await front.tick()
        assert "killed 3×" in front.line("app.service"), "a new group counts from 0"
        front.session.kills.looked_at("app.service")
        await front.tick()
        assert "always" in front.line("app.service")


async def test_a_kill_is_known_from_systemd_when_the_group_is_gone() -> None:
    app = unit("app.service")
    dead = loaded(stopped(app), result="oom-kill", active_state="activating")
    server = Fleet(app)
    async with opened(server) as front:
        for state in (dead, dead, unit("app.service")):
            server.put(state)
            await front.tick()
            assert "killed 1×" in front.line("app.service")
        server.put(dead)
        await front.tick()
        assert "killed 2×" in front.line("app.service")


async def test_that_it_has_failed_is_shown_before_its_kills() -> None:
    app = unit("app.service")
    failed = loaded(stopped(app), result="oom-kill", active_state="failed")
    server = Fleet(app)
    async with opened(server) as front:
        for state, said in ((failed, "failed"), (app, "killed 1×")):
            server.put(state)
            await front.tick()
            assert said in front.line("app.service")


async def test_a_kill_is_not_counted_twice() -> None:
    server = Fleet(unit("app.service"))
    async with opened(server) as front:
        gone = loaded(stopped(unit("app.service")), result="oom-kill")
        for state in (unit("app.service", oom_kills=1), gone, unit("app.service")):
            server.put(state)
            await front.tick()
            assert "killed 1×" in front.line("app.service")


async def test_a_narrow_table_says_it_beside_the_name() -> None:
    server = Fleet(unit("a-service-with-a-name.service"))
    async with opened(server, (40, 12)) as front:
        server.put(unit("a-service-with-a-name.service", oom_kills=1))
        await front.tick()
        assert re.match(r"   a-serv.*… killed 1× +10M", front.line("killed"))


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"active_state": "failed"}, "failed"),
        ({"active_state": "activating"}, "starting"),
        ({"load_state": "masked"}, "masked"),
        ({"load_state": "bad-setting"}, "bad file"),
    ],
)
async def test_what_is_wrong_with_a_unit_is_shown(properties: dict[str, str], words: str) -> None:
    async with opened(Fleet(loaded(stopped(unit("app.service")), **properties))) as front:
        assert words in front.line("app.service")


# --- hostile and odd input ---------------------------------------------------------------------


async def test_hostile_text_is_harmless() -> None:
    evil = loaded(unit(EVIL), description=EVIL)
    assert evil.usage is not None
    process = evil.usage.processes[0]._replace(name=EVIL, command=EVIL)
    usage = evil.usage._replace(processes=(process,))
    evil = type(evil)(EVIL, usage, evil.properties)
    server = Fleet(evil)
    server.host = HOST._replace(hostname=EVIL)
    server.notice = EVIL
    for size in ((40, 12), (80, 24), (200, 24)):
        async with opened(server, size) as front:
            await front.press("f5")
            text = front.text
            assert {len(line) for line in text.splitlines()} == {size[0]}
            assert all(c.isprintable() for c in text.replace("\n", "")), repr(text)
            assert "evil·]0;x·" in text
            server.notice = ""
            await front.tick()
            assert all(c.isprintable() for c in front.text.replace("\n", ""))


async def test_wide_characters_keep_the_columns() -> None:
    server = Fleet(loaded(unit("app.service"), description="数据库 служба — データベース" * 4))
    async with opened(server, (200, 12)) as front:
        strip = front.table.render_line(2)
        assert strip.cell_length == 200
        assert sum(s.cell_length for s in strip) == 200


async def test_unknown_is_never_nothing() -> None:
    nothing = unit("app.service", current=None, anon=None, max=None, oom_kills=None)
    assert nothing.usage is not None
    nothing = type(nothing)("app.service", nothing.usage._replace(rss=None, swap=None), None)
    server = Fleet(nothing)
    server.host = HOST._replace(pressure=None, uptime=None, swap_total=0, swap_free=0)
    async with opened(server, (200, 12)) as front:
        assert re.match(r"   app\.service +— +— +600 +0 +\? +1 +— +— +— +— ", front.line("app"))
        assert "no swap" in front.header[0]
        assert "Swap none" in front.header[1]
        assert "PSI" not in front.header[0]


async def test_no_units_at_all() -> None:
    async with opened(Fleet()) as front:
        assert "no process can be killed" in front.header[2]
        await front.press("j", "G", "pagedown", "left", "f5", "I", "f3", "x", "f3", "escape")
        assert front.app.is_running


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        (Knobs(panic_on_oom=1), "When memory is used up: the machine stops (vm.panic_on_oom)"),
        (
            Knobs(kill_asker=1),
            "When memory is used up: the process that asks for memory is killed (vm.oom",
        ),
        (Knobs(panic_on_oom=0, kill_asker=0), "Next OOM victim: a.service"),
    ],
)
async def test_where_nobody_is_chosen_by_score(knobs: Knobs, words: str) -> None:
    server = Fleet(unit("a.service"))
    server.host = HOST._replace(knobs=knobs)
    async with opened(server) as front:
        assert front.header[2].strip().startswith(words)


@pytest.mark.parametrize(
    ("each", "swap", "wide", "together"),
    [
        (300, 0, "600M + reserve 363M of 967M ok ", "963M of 967M ok "),
        # With the reserve it is more than RAM.
        (400, 0, "800M + reserve 363M of 967M over RAM ", "1.1G of 967M over RAM "),
        (400, 2048, "800M + reserve 363M of 967M overcommitted ", "1.1G of 967M overcommitted "),
        (600, 2048, "1.2G + reserve 363M of 967M overcommitted ", "1.5G of 967M overcommitted "),
        (1500, 2048, "2.9G + reserve 363M of 967M over RAM+swap ", "3.3G of 967M over RAM+swap "),
    ],
)
async def test_the_sum_of_the_limits(each: int, swap: int, wide: str, together: str) -> None:
    server = Fleet(unit("a.service", max=each * M), unit("b.service", max=each * M))
    server.host = HOST._replace(swap_total=swap * M, swap_free=swap * M)
    async with opened(server, (100, 12)) as front:
        assert front.header[2].endswith(f"Limits {wide}")
        await front.pilot.resize_terminal(80, 12)
        await front.until(lambda: front.header[2].endswith(f"Limits+reserve {together}"))


# --- a server that is slow, or gone ------------------------------------------------------------


async def test_a_notice_takes_the_place_of_the_third_line() -> None:
    server = fleet(3)
    server.notice = "systemd does not answer; its side is 20 s old."
    async with opened(server) as front:
        assert front.header[2].strip() == server.notice
        server.notice = ""
        await front.tick()
        assert "Next OOM victim" in front.header[2]


async def test_a_backend_that_fails_is_one_sentence_and_the_old_figures_stay() -> None:
    server = fleet(3)
    async with opened(server) as front:
        server.error = ManagerError("systemd said no.")
        await front.tick()
        assert front.header[2].strip() == "No new figures: systemd said no."
        assert "app-00.service" in front.text
        server.error = None
        await front.tick()
        assert "Next OOM victim" in front.header[2]


async def test_a_slow_backend_is_reported_and_waited_for() -> None:
    server, hold = fleet(3), threading.Event()
    async with opened(server) as front:
        look = server.look

        def slow() -> object:
            assert hold.wait(30)
            return look()

        with patch.object(server, "look", slow), patch.object(app_module, "PATIENCE", 0.02):
            ticking = front.app.run_worker(front.app.look())
            await front.until(lambda: "s old: the server has not answered" in front.header[2])
            await front.press("j")
            assert front.cursor == "app-00.service", "the screen goes on"
            hold.set()
            await ticking.wait()
            await front.settle()
        assert "Next OOM victim" in front.header[2]


async def test_a_fault_ends_the_program_and_is_handed_on() -> None:
    server = fleet(3)
    with pytest.raises(ZeroDivisionError):
        async with opened(server) as front:
            server.error = ZeroDivisionError("a fault")
            front.app.run_worker(front.app.look())
            await front.until(lambda: not front.app.is_running)


# --- colours and characters --------------------------------------------------------------------


async def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(fleet(3)) as front:
        styles = [
            segment.style
            for y in range(front.table.size.height)
            for segment in front.table.render_line(y)
        ]
        for style in styles:
            assert style is None or not style.color or style.color.is_default
            assert style is None or not style.bgcolor or style.bgcolor.is_default
        cursor = next(iter(front.table.render_line(1))).style
        assert cursor is not None
        assert cursor.reverse


async def test_ascii_bars_and_marks() -> None:
    server = Fleet(unit("app.service", 60 * M, max=100 * M), unit("big.service", oom_kills=0))
    async with opened(server, ascii_only=True) as front:
        server.put(unit("big.service", oom_kills=1))
        await front.tick()
        assert front.text.isascii(), front.text
        assert re.match(r" Mem \[#+\.+\] ", front.header[1])
        assert "###.. " in front.line("app.service")
        assert "killed 1x" in front.line("big.service")
        assert "RSSv" in front.units[0]


def test_the_set_of_glyphs_by_terminal() -> None:
    assert choose(ascii_only=False, term="xterm-256color") is UNICODE
    assert choose(ascii_only=False, term="linux") is CONSOLE
    assert choose(ascii_only=True, term="linux") is ASCII
    for glyphs in (UNICODE, CONSOLE, ASCII):
        for name, value in glyphs._asdict().items():
            assert len(value) == 1 or name == "partial"
    assert "".join(ASCII).isascii()


@pytest.mark.parametrize("glyphs", [UNICODE, CONSOLE, ASCII])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_bars(glyphs: object, width: int) -> None:
    assert isinstance(glyphs, type(UNICODE))
    bars = [glyphs.bar(n / 100, width) for n in range(-5, 120)]
    assert {len(bar) for bar in bars} == {width}
    assert glyphs.bar(0, width) == glyphs.empty * width
    assert glyphs.bar(1, width) == glyphs.full * width
    if glyphs.partial:
        assert glyphs.bar(0.001, width)[0] == glyphs.partial[0]
        assert glyphs.bar(0.999, width)[-1] == glyphs.partial[-1]


# --- the columns -------------------------------------------------------------------------------


@pytest.mark.parametrize("width", range(20, 260))
def test_columns_fill_the_width_exactly(width: int) -> None:
    places = lay_out(width)
    assert places[0].column is NAME
    at = 0
    for place in places:
        assert place.x == at
        at += place.width
    assert at == width
    order = [COLUMNS.index(place.column) for place in places]
    assert order == sorted(order)


def test_a_heading_fits_and_a_key_is_given_once() -> None:
    assert [c.key for c in COLUMNS if len(c.title) > c.width - 1] == []
    assert len({c.key for c in COLUMNS}) == len(COLUMNS)
    keys = [c.json for c in COLUMNS if c.json]
    assert len(set(keys)) == len(keys)


def test_each_column_shows_something_of_the_demo_server() -> None:
    backend = demo_backend(read_only=True)
    try:
        backend.wait_ready()
        units = backend.look().units.values()
    finally:
        backend.close()
    assert [c.key for c in COLUMNS if all(c.unit(unit) is None for unit in units)] == []


# --- the painter -------------------------------------------------------------------------------


RED = Style(color="red")


def chops(*lines: tuple[int, int, int, list[Strip]]) -> ChopsUpdate:
    """Make an update of lines: (y, x1, x2, strips side by side)."""
    table: list[dict[int, Strip | None]] = []
    ends: list[list[int]] = []
    for y in range(max(line[0] for line in lines) + 1):
        strips = next((line[3] for line in lines if line[0] == y), [])
        placed: dict[int, Strip | None] = {}
        x = 0
        for strip in strips:
            placed[x] = strip
            x += strip.cell_length
        table.append(placed)
        ends.append([])
    return ChopsUpdate(table, [line[:3] for line in lines], ends)


def send(painter: Painter, *lines: tuple[int, int, int, list[Strip]]) -> str:
    update = painter.trim(chops(*lines))
    assert isinstance(update, ChopsUpdate)
    return update.render_segments(Console(color_system="256"))


def strip(*parts: str | tuple[str, Style]) -> Strip:
    return Strip([Segment(p) if isinstance(p, str) else Segment(*p) for p in parts])


def test_only_the_cells_that_differ_are_sent() -> None:
    painter = Painter()
    assert send(painter, (0, 0, 10, [strip("0123456789")])) == "\x1b[1;1H0123456789"
    assert send(painter, (0, 0, 10, [strip("0123456789")])) == ""
    assert send(painter, (0, 0, 10, [strip("012345678x")])) == "\x1b[1;10Hx"
    assert send(painter, (0, 0, 10, [strip("a12345678z")])) == "\x1b[1;1Ha\x1b[10Gz"
    assert send(painter, (0, 0, 10, [strip("b12c45678z")])) == "\x1b[1;1Hb12c"
    assert send(painter, (0, 0, 10, [strip("b1", ("2", RED), "c45678z")])) == (
        "\x1b[1;3H\x1b[31m2\x1b[m"
    )


def test_what_lies_outside_the_span_is_left_alone() -> None:
    painter = Painter()
    send(painter, (2, 0, 6, [strip("abcdef")]))
    assert send(painter, (2, 2, 4, [strip("ABCDEF")])) == "\x1b[3;3HCD"
    assert send(painter, (2, 0, 6, [strip("AB"), strip("CDEF")])) == "\x1b[3;1HABCDEF"


def test_wide_characters_are_sent_whole() -> None:
    painter = Painter()
    send(painter, (0, 0, 6, [strip("ab漢cd")]))
    assert send(painter, (0, 0, 6, [strip("ab字cd")])) == "\x1b[1;3H字"
    assert send(painter, (0, 0, 6, [strip("abxycd")])) == "\x1b[1;3Hxy"
    assert send(painter, (0, 0, 6, [strip("ab漢cd")])) == "\x1b[1;3H漢"


def test_what_a_terminal_would_obey_is_not_sent() -> None:
    sent = send(Painter(), (0, 0, 20, [strip("a\x1b[2Jb\x07\x9b2Jc")]))
    assert sent.count("\x1b") == 1
    assert not set(sent) & {"\x07", "\x9b"}


def test_an_ascii_terminal_gets_ascii() -> None:
    painter = Painter(Canvas(translation(ASCII)))
    assert send(painter, (0, 0, 20, [strip("é—…漢█▾→x")])) == "\x1b[1;1H?-~??#->x"


def test_the_kernels_console_gets_what_its_fonts_have() -> None:
    painter = Painter(Canvas(translation(CONSOLE)))
    assert send(painter, (0, 0, 20, [strip("é—…漢█▾▼ñ")])) == "\x1b[1;1Hé-~??█-▼ñ"


def test_a_full_frame_sends_what_is_new_and_after_forgetting_all() -> None:
    painter, console = Painter(), Console(color_system="256")

    def frame(*rows: str) -> str:
        update = painter.trim(LayoutUpdate([[strip(r)] for r in rows], Region(0, 0, 3, len(rows))))
        assert isinstance(update, LayoutUpdate)
        return update.render_segments(console)

    assert frame("abc", "def") == "\x1b[1;1Habc\x1b[2;1Hdef"
    assert frame("abc", "dxf") == "\x1b[2;2Hx"
    painter.forget()
    assert frame("abc", "dxf") == "\x1b[1;1Habc\x1b[2;1Hdxf"
