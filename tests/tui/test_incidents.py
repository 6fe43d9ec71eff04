"""The incidents screen, on the demo server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.kill_evidence import DemoWitness
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import NotPermittedError, RefusedError
from lowmem_tui.model.incident import (
    Evidence,
    Killing,
    Lack,
    OomReport,
    Shortage,
    TaskRow,
    Victim,
)
from lowmem_tui.tui.screens.incident import IncidentScreen
from lowmem_tui.tui.screens.incidents import IncidentsScreen
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.screens.unit import UnitScreen
from lowmem_tui.tui.widgets.incident_list import IncidentList
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.prose import Prose
from tests.tui.conftest import Clock, Front, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVIL = "evil \x1b[2J[bold]x[/]\n\u202e"


def says(front: Front) -> str:
    screen = front.app.screen
    keys = [bar.render_line(0).text for bar in screen.query(KeyBar)]
    return " ".join(" ".join([*(p.text for p in screen.query(Prose)), *keys]).split())


def listed(front: Front) -> list[str]:
    found = front.app.screen.query_one(IncidentList)
    return [found.render_line(y).text.rstrip() for y in range(found.size.height)]


async def incidents(front: Front) -> None:
    await front.press("K")
    assert front.shows(IncidentsScreen)
    await front.until(lambda: "reading" not in says(front))
    await front.settle()


@pytest.fixture
async def later() -> AsyncIterator[Front]:
    """After eighteen minutes, in which gunicorn was killed at its limit and came back."""
    clock = Clock()
    server = DemoServer(0, clock)
    backend = serve(server)
    backend.wait_ready()
    clock.now += 1100.0
    async with opened(backend) as front:
        await incidents(front)
        yield front


async def test_the_newest_comes_first(later: Front) -> None:
    lines = [line for line in listed(later) if line]
    assert "DEMO Incidents: 3, 2 since boot" in says(later)
    assert "cloudchat  gunicorn " in lines[0]
    assert lines[0].endswith("limit 600M, restarted after 4s")
    assert lines[2].endswith("gunicorn 462M, no RAM, restarted after 6.2s")
    await later.press("escape")
    assert later.shows(MainScreen)


async def test_enter_shows_why_and_who_ran_then(later: Front) -> None:
    await later.press("down", "down", "enter")
    assert later.shows(IncidentScreen)
    await later.until(lambda: "PROCESSES BEFORE THE KILL (6)" in says(later))
    words = says(later)
    assert "RAM and swap were used up, when zstd (pid 30977) asked for more." in words
    assert "restarted after 6.2s" in words
    assert "x 912 998 462M 870M 0 gunicorn" in words
    assert "640 0 6.6M 280K -1000 sshd" in words
    await later.press("r")
    assert "zstd invoked oom-killer:" in says(later)
    await later.press("r", "pagedown")
    assert "PROCESSES BEFORE" in says(later)
    await later.press("escape")
    assert later.shows(IncidentsScreen)


async def test_u_opens_the_unit(later: Front) -> None:
    await later.press("u")
    assert later.shows(UnitScreen)
    assert later.session.kills.unseen("cloudchat.service") == 0


async def test_it_is_read_again_on_demand_only(later: Front) -> None:
    with patch.object(DemoWitness, "evidence", return_value=Evidence("d")) as evidence:
        await later.tick()
        await later.tick()
        assert evidence.call_count == 0
        await later.press("r")
        await later.until(lambda: "Nothing was killed" in says(later))
        assert evidence.call_count == 1
        await later.press("enter", "u", "down", "end")
        assert later.shows(IncidentsScreen)


async def test_why_it_cannot_be_read(front: Front) -> None:
    refused = NotPermittedError(f"The journal may not be read {EVIL}: run this as root.")
    with patch.object(DemoWitness, "evidence", side_effect=refused):
        await incidents(front)
        await front.until(lambda: "may not be read" in says(front))
    assert "\x1b" not in says(front)
    assert "Incidents: unknown" in says(front)


async def test_a_report_that_is_gone(later: Front) -> None:
    gone = RefusedError("This report is no longer in the log.")
    with patch.object(DemoWitness, "report", side_effect=gone):
        await later.press("enter")
        await later.until(lambda: "no longer in the log" in says(later))
    await later.press("r")
    assert "KERNEL REPORT" in says(later)


SHORT = Shortage(
    1e9 + 3600, "d", Lack.NO_VICTIM, 1e9, 1200, unit="guard.service",
    cgroup="/system.slice/guard.service", limit=64 << 20, process="guard", pid=7,
)  # fmt: skip
FAILED = Shortage(
    1e9 + 60, "d", Lack.ALLOCATION, 1e9, 33, process="sshd", pid=8, order=0,
    mode="0x820(GFP_ATOMIC)", path="network",
)  # fmt: skip
KILLED = Killing(
    1e9, "d", "earlyoom", "web.service", pid=9, name="x", rss=1 << 20, signal="SIGTERM"
)


async def test_what_killed_nothing_and_who_else_kills(later: Front) -> None:
    report = OomReport(1e9, "d", None, shortages=(SHORT, FAILED))
    evidence = Evidence("d", (report,), killings=(KILLED,))
    with patch.object(DemoWitness, "evidence", return_value=evidence):
        await later.press("r")
        await later.until(lambda: "nothing to kill, 1200 times in 1h" in listed(later)[0])
    assert "(machine)" in listed(later)[1]
    assert "network allocation failed, 33 times in 1min" in listed(later)[1]
    assert listed(later)[2].endswith("x 1M, killed by earlyoom, still down")
    for words in ("Count 1200", "Path network", "Signal SIGTERM"):
        await later.press("enter")
        assert words in says(later)
        await later.press("escape", "down")


async def test_what_a_timer_starts_again_is_shown(later: Front) -> None:
    name = "cloudchat-backup.service"
    report = OomReport(1e9, "d", Victim(7, "zstd"), unit=name)
    with patch.object(DemoWitness, "evidence", return_value=Evidence("d", (report,))):
        await later.press("r")
        await later.until(lambda: "down until cloudchat-b" in listed(later)[0])


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 50)])
async def test_many_and_hostile_at_any_size(size: tuple[int, int]) -> None:
    victim = Victim(7, EVIL, 0, 1 << 20)
    reports = tuple(
        OomReport(1e9 + n, "d", victim, unit=f"u{n}-{EVIL}.service", constraint=EVIL,
                  cgroup=EVIL, limit_cgroup=EVIL, asked_by=EVIL, reference="1")
        for n in range(200)
    )  # fmt: skip
    evidence = Evidence("d", reports, counters={EVIL: 3}, notes=(EVIL,))
    backend = serve(DemoServer(0, Clock()))
    backend.wait_ready()
    with patch.object(DemoWitness, "evidence", return_value=evidence):
        async with opened(backend, size=size) as front:
            await incidents(front)
            await front.until(lambda: "u199" in listed(front)[0])
            assert all("\x1b" not in line and len(line) <= size[0] for line in listed(front))
            await front.press("end", "pageup", "home", "pagedown", "j")
            text = replace(front.session.backend.witness.report("1"), lines=(EVIL,) * 3)
            text = replace(text, tasks=(TaskRow(7, EVIL, 0, 1, 1, 1, 0),))
            with patch.object(DemoWitness, "report", return_value=text):
                await front.press("enter")
                await front.until(lambda: "PROCESSES" in says(front))
                assert "\x1b" not in says(front)
                await front.press("r")
                assert "\x1b" not in says(front)
                assert "[bold]x[/]" in says(front)
