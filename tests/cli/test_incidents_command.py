"""`incidents`, on the demo server and by its contract."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from types import SimpleNamespace

import pytest

from lowmem_tui.cli import incidents
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.host.demo import DemoServer
from lowmem_tui.model.errors import InvalidValueError, NotPermittedError

CLOUDCHAT = "cloudchat.service"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> DemoServer:
    """After eighteen minutes, in which gunicorn was killed at its limit and came back."""
    clock = Clock()
    server = DemoServer(0, clock)
    clock.now = 1100.0
    found = server.witness, server.sampler.sample().time, 0.0
    monkeypatch.setattr(incidents, "_witness", lambda _: found)
    return server


def test_a_line_for_each_the_newest_first(
    server: DemoServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["incidents"]) == Exit.DONE
    newest, *_, oldest = capsys.readouterr().out.splitlines()
    assert f"  {CLOUDCHAT}  gunicorn " in newest
    assert newest.endswith("limit 600M, back after 4s")
    assert oldest.endswith("gunicorn 462M, no RAM, back after 6.2s")


def test_json(server: DemoServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["incidents", "--json"]) == Exit.DONE
    made = json.loads(capsys.readouterr().out)
    assert made["schema"] == 1
    first, *_, last = made["incidents"]
    assert (first["unit"], first["cause"], first["outcome"]) == (CLOUDCHAT, "limit", "back")
    assert (first["this_boot"], last["this_boot"]) == (True, False)
    assert first["report"]["limit"] == 600 << 20
    assert first["report"]["victim"]["name"] == "gunicorn"
    assert datetime.fromisoformat(first["time"]) > datetime.fromisoformat(last["time"])


def test_since(server: DemoServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["incidents", "--since", "15min"]) == Exit.DONE
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run_command(["incidents", "--since", "1s"]) == Exit.DONE
    assert capsys.readouterr().out.startswith("Nothing was killed for memory since 20")
    assert run_command(["incidents", "--since", "boot", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["since"] == "1970-01-01T00:00:00.000+00:00"
    assert run_command(["incidents", "--since", "\x1b[2J"]) == Exit.USAGE
    assert "\x1b" not in capsys.readouterr().err


def test_no_permission_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> None:
        raise NotPermittedError("The journal may not be read: run this as root.")

    refusing = SimpleNamespace(evidence=refuse), 0.0, 0.0
    monkeypatch.setattr(incidents, "_witness", lambda _: refusing)
    assert run_command(["incidents"]) == Exit.NOT_PERMITTED
    assert capsys.readouterr().err == (
        "lowmem-tui: The journal may not be read: run this as root.\n"
    )


def test_a_machine_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", lambda _: False)
    assert run_command(["incidents"]) == Exit.UNSUPPORTED


@pytest.mark.parametrize(
    ("text", "time"),
    [("2h", 1_000_000 - 7200), ("2h ago", 1_000_000 - 7200), ("1d 12h", 1_000_000 - 129600)],
)
def test_a_time_ago(text: str, time: float) -> None:
    assert incidents.parse_when(text, 1_000_000) == time


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31 03:00", "2026-01-31 03:00:00", "2026-01-31T03:00:00+02:00"]
)
def test_a_date(text: str) -> None:
    meant = datetime.fromisoformat(text).astimezone()
    assert incidents.parse_when(text, 0.0) == meant.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "31.1.", "2026-13-01", "infinity", "-3h"])
def test_no_time(text: str) -> None:
    with pytest.raises(InvalidValueError):
        incidents.parse_when(text, 0.0)


def test_it_loads_neither_textual_nor_a_bus() -> None:
    code = (
        "import sys; from lowmem_tui.__main__ import main; sys.argv[1:] = ['incidents', '--demo'];"
        "main(); import lowmem_tui.host.witness;"
        "heavy = {'textual', 'rich', 'jeepney', 'pydbus', 'asyncio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
