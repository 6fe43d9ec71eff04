from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lowmem_tui.cli import list as listing
from lowmem_tui.cli import main
from lowmem_tui.cli.backend import ServerBackend
from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import ManagerGoneError
from lowmem_tui.model.settings import Key
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.usage import Memory, UnitUsage
from lowmem_tui.tui.table import unit_values

Capture = pytest.CaptureFixture[str]

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
UNIT = set(json.loads(PAGE.split("### list --json")[1].split("```")[1][len("json") :])["units"][0])
STALL = {"avg10", "avg60", "avg300"}
SETTINGS = {
    str(key): {"declared", "source", "loaded"}
    | ({"kernel"} if key.facts.file else set())
    | ({"effective"} if key.facts.bounded else set())
    for key in Key
}


def listed(capsys: Capture) -> dict[str, Any]:
    assert main.run_command(["list", "--demo", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_contract(capsys: Capture) -> None:
    """The keys of cli.md, all of them and no others."""
    found = listed(capsys)
    assert set(found) == {"schema", "time", "host", "units"}
    assert found["schema"] == 1
    assert set(found["host"]) == {
        "mem_total", "mem_available", "swap_total", "swap_used", "pressure"
    }  # fmt: skip
    assert {name: set(line) for name, line in found["host"]["pressure"].items()} == {
        "some": STALL,
        "full": STALL,
    }
    assert len(found["units"]) > 20
    for unit in found["units"]:
        assert set(unit) == UNIT, unit["name"]
        for key, setting in unit["settings"].items():
            assert set(setting) - {"differs"} == SETTINGS[key], (unit["name"], key)


def test_a_service(capsys: Capture) -> None:
    (redis,) = (u for u in listed(capsys)["units"] if u["name"] == "redis-server.service")
    assert (redis["tier"], redis["state"], redis["processes"]) == (1, "active", 1)
    assert redis["settings"]["MemoryMax"] == {
        "declared": "256M",
        "source": "/etc/systemd/system/redis.service.d/override.conf",
        "loaded": 256 << 20,
        "kernel": 256 << 20,
        "effective": 256 << 20,
    }
    assert redis["settings"]["MemoryHigh"]["loaded"] is None, "infinity"
    assert set(redis["settings"]) == set(SETTINGS)


def test_what_does_not_run_uses_nothing_known(capsys: Capture) -> None:
    (unit,) = (u for u in listed(capsys)["units"] if u["name"] == "certbot.service")
    assert (unit["tier"], unit["state"], unit["processes"]) == (2, "inactive", 0)
    for key in ("rss", "swap", "memory", "anon", "file", "peak", "main_pid", "oom_score"):
        assert unit[key] is None, key


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a server without D-Bus."""
    server = DemoServer(0)

    def connect() -> NoReturn:
        raise ManagerGoneError("The bus is gone: start it.")

    monkeypatch.setattr(server, "connect", connect)
    monkeypatch.setattr(listing, "open_backend", lambda *_, **__: serve(server))


@pytest.mark.usefixtures("mute")
def test_without_systemd_what_the_kernel_knows_is_listed(capsys: Capture) -> None:
    assert main.run_command(["list", "--json"]) == 0
    shown = capsys.readouterr()
    (redis,) = (u for u in json.loads(shown.out)["units"] if u["name"] == "redis-server.service")
    assert redis["rss"] > 0
    assert redis["settings"] is None
    assert shown.err == "The bus is gone: start it. Until then settings are unknown.\n"


@pytest.mark.usefixtures("mute")
def test_without_systemd_there_is_a_table(capsys: Capture) -> None:
    assert main.run_command(["list"]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if "redis-server" in x)
    assert line.split()[-1] == "—"


def test_a_change_that_was_not_ended_is_reported(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServerBackend, "settle", lambda _: ("Change 7 by op is being made.",))
    assert main.run_command(["list", "--demo"]) == 0
    assert "Change 7 by op is being made.\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rss", "count"),
    [pytest.param(0, 0, id="none there"), pytest.param(None, None, id="hidden")],
)
def test_processes_that_are_hidden_are_not_counted(rss: int | None, count: int | None) -> None:
    usage = UnitUsage("a.service", "/a.service", Memory(), (), rss, None)
    assert unit_values.processes(Unit("a.service", usage, None)) == count


def test_nothing_of_the_screen_is_loaded() -> None:
    code = (
        "import sys; from lowmem_tui.cli.main import run_command; "
        "run_command(['list', '--demo']); "
        "sys.exit(any(m.split('.')[0] in {'textual', 'rich', 'jeepney'} for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"redis-server.service" in done.stdout
