"""`apply --trial`, `confirm`, `undo` and `history`, on one demo server after the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.cli import apply, confirm, history, undo
from lowmem_tui.cli import list as listing
from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Callable

REDIS = "redis-server.service"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command, each in a program of its own, on the same server."""
    server = DemoServer(0, clock)
    for module in (apply, confirm, history, undo, listing):
        monkeypatch.setattr(module, "open_backend", lambda *_, **__: serve(server))

    def one(*words: str) -> tuple[int, str, str]:
        status = run_command(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return one


def changes(run: Callable[..., tuple[int, str, str]]) -> list[dict[str, Any]]:
    status, out, _ = run("history", "--json")
    assert status == Exit.DONE
    made = json.loads(out)
    assert made["schema"] == 1
    found: list[dict[str, Any]] = made["changes"]
    return found


def test_a_trial_and_its_ends(run: Callable[..., tuple[int, str, str]], clock: Clock) -> None:
    assert run("history")[1] == "Nothing has been changed yet.\n"
    wish = ("--set", f"{REDIS}:MemoryMax=300M", "--yes", "--note", "why \x1b[2J")
    status, out, _ = run("apply", *wish, "--trial", "60")
    assert status == Exit.DONE
    assert "On trial until" in out
    assert "On trial until" in run("list")[1]
    status, _, said = run("apply", "--set", f"{REDIS}:MemoryMax=310M", "--yes")
    assert status == Exit.REFUSED
    assert "confirm" in said
    clock.now += 61
    assert run("confirm")[0] == Exit.REFUSED
    assert changes(run)[0]["state"] == "expired"
    run("apply", *wish, "--trial", "60")
    status, out, _ = run("confirm")
    assert (status, out.splitlines()[0]) == (Exit.DONE, "Confirmed: the change is permanent.")
    (kept, _) = changes(run)
    assert {"id", "time", "by", "state", "files", "effects"} <= set(kept)
    assert kept["files"] == [f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"]
    assert kept["effects"] == [
        {"unit": REDIS, "key": "MemoryMax", "from": "256M", "to": "300M", "when": "live"}
    ]
    status, out, _ = run("undo")
    assert (status, out.splitlines()[0]) == (Exit.DONE, "Undone.")
    assert [change["state"] for change in changes(run)] == ["applied", "undone", "expired"]
    shown = run("history")[1]
    assert "undoes 2" in shown
    assert "\x1b" not in shown
    assert run("undo")[0] == Exit.REFUSED
    assert run("undo", "77")[0] == Exit.REFUSED
    assert run("undo", "3")[0] == Exit.DONE
    assert changes(run)[2]["state"] == "confirmed"


@pytest.mark.parametrize("seconds", ["5", "100000", "-1"])
def test_a_trial_of_an_odd_length(run: Callable[..., tuple[int, str, str]], seconds: str) -> None:
    status, _, said = run("apply", "--set", f"{REDIS}:MemoryMax=300M", "--yes", "--trial", seconds)
    assert status == Exit.USAGE
    assert "10 to 86400" in said
