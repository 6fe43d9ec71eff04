"""`record` and `replay`: a recording of the demo server, and the commands on it."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.cli.recorded import Recorded
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import NotPermittedError, RefusedError
from lowmem_tui.recording.recorder import Recorder
from lowmem_tui.recording.recording import Recording
from lowmem_tui.recording.replay import Player
from lowmem_tui.recording.segment import Head, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Capture = pytest.CaptureFixture[str]

EVERY = 30.0
UNTIL_A_KILL = 4000


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of the demo server until something has been killed, and a little more."""
    path = tmp_path_factory.mktemp("tape") / "demo.lmt"
    clock = [0.0]
    server = DemoServer(0, lambda: clock[0])
    backend = serve(server, read_only=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        backend.wait_ready()
        first = backend.look()
        recorder = Recorder(Writer(fd, Head("d" * 32, "web-1", first.time, 3600, "0.1")))
        kills, after = first.host.oom_kills, 0
        for _ in range(UNTIL_A_KILL):
            snapshot = backend.look()
            recorder.take(snapshot)
            if snapshot.host.oom_kills != kills:
                kills, after = snapshot.host.oom_kills, after or 1
                recorder.log(backend.witness.lines(snapshot.time - EVERY))
            after += bool(after)
            if after > 10:
                break
            clock[0] += EVERY
        recorder.flush()
    finally:
        os.close(fd)
        backend.close()
    return path


@pytest.fixture
def player(tape: Path) -> Iterator[Player]:
    with Recording(str(tape)) as recording:
        yield Player(recording)


def test_record_takes_samples_and_says_how_to_see_them(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.lmt"
    words = ["record", "--demo", "--for", "500ms", "--every", "0.2", str(path)]
    assert run_command(words) == Exit.DONE
    assert f"`lowmem-tui replay {path}` shows them." in capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with Recording(str(path)) as found:
        assert found.head.boot == "demo"
        assert found.snapshot(found.first).host.hostname == "web-1"
        assert found.last.number >= 1


def test_ctrl_c_ends_it_and_what_was_recorded_is_there(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.lmt"
    monkeypatch.setattr("lowmem_tui.cli.record.time.sleep", interrupted)
    assert run_command(["record", "--demo", "--for", "2h", str(path)]) == Exit.DONE
    assert "1 samples in " in capsys.readouterr().out
    with Recording(str(path)) as found:
        assert found.last == found.first


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a"
    path.write_text("precious")
    assert run_command(["record", "--demo", "--for", "1s", str(path)]) == Exit.REFUSED
    assert "is there already: name a new file." in capsys.readouterr().err
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["record", "--demo", "x"], "required: --for"),
        (["record", "--demo", "--for", "soon", "x"], "soon"),
        (["record", "--demo", "--for", "0", "x"], "write a time span"),
        (["replay", "/nowhere"], "/nowhere cannot be read: No such file or directory."),
        (["replay", "/dev/null"], "/dev/null is not a file."),
    ],
)
def test_wrong_usage_is_one_sentence(words: list[str], sentence: str, capsys: Capture) -> None:
    assert run_command(words) == Exit.USAGE
    assert sentence in capsys.readouterr().err


def test_only_commands_that_look_are_run(tape: Path, capsys: Capture) -> None:
    assert run_command(["replay", str(tape), "apply", "--yes"]) == Exit.USAGE
    assert "'apply' is not a command that looks at a recording" in capsys.readouterr().err


def test_the_moment_is_named_first_in_the_time_zone_of_the_server(
    tape: Path, capsys: Capture
) -> None:
    assert run_command(["replay", "--at", "2026-01-31 04:00:40", str(tape), "list"]) == Exit.DONE
    shown = capsys.readouterr()
    assert shown.err.startswith("RECORDING of web-1 at 2026-01-31 04:00:30 +0100.")
    assert "cloudchat.service" in shown.out


def test_list_json_is_of_the_moment(tape: Path, player: Player, capsys: Capture) -> None:
    assert run_command(["replay", "--at", "-5min", str(tape), "list", "--json"]) == Exit.DONE
    listed = json.loads(capsys.readouterr().out)
    player.go(player.look().time - 300)
    wanted = player.look()
    shown = {unit["name"]: unit["rss"] for unit in listed["units"]}
    assert shown["cloudchat.service"] == wanted.units["cloudchat.service"].usage.rss  # type: ignore[union-attr]


def test_triage_is_the_default_command(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["replay", str(tape)]) == Exit.DONE
    assert "Next OOM victim" in capfd.readouterr().out


def test_what_was_killed_is_in_the_recording(tape: Path, capsys: Capture) -> None:
    assert run_command(["replay", str(tape), "incidents", "--json"]) == Exit.DONE
    incidents = json.loads(capsys.readouterr().out)["incidents"]
    assert [each["unit"] for each in incidents] == ["cloudchat.service"]


def test_what_if_on_the_past(tape: Path, player: Player, capsys: Capture) -> None:
    """Before the kill: whether another score would have changed who is killed."""
    assert player.to_kill(forward=False)
    at = f"@{player.look().time:.2f}"
    words = ["whatif", "--set", "redis-server.service:OOMScoreAdjust=900", "--json"]
    assert run_command(["replay", "--at", at, str(tape), *words]) == Exit.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["global"]["now"][0]["unit"] == "cloudchat.service"
    assert found["global"]["then"][0]["unit"] == "redis-server.service"


def test_steps_and_kills(player: Player) -> None:
    newest = player.look()
    assert not player.step(forward=True)
    assert player.step(forward=False)
    assert player.look().time < newest.time
    assert player.to_kill(forward=False)
    before = player.look()
    assert player.step(forward=True)
    assert (player.look().host.oom_kills or 0) > (before.host.oom_kills or 0)
    player.go(0)
    assert player.look() == player.recording.snapshot(player.recording.first)
    assert player.to_kill(forward=True)
    assert player.look() == before


def test_nothing_is_ever_changed(player: Player) -> None:
    backend = Recorded(player).backend()
    situation = backend.situation(["cloudchat.service"])
    assert [file.text for file in situation.units["cloudchat.service"].files] == [None]
    assert backend.trial() is None
    assert backend.history() == []
    assert backend.settle() == ()
    from lowmem_tui.policy.plan import parse_set, plan

    made = plan([parse_set("cloudchat.service:MemoryMax=900M")], situation, {})
    with pytest.raises(NotPermittedError, match="This is a recording"):
        backend.apply(made)
    with pytest.raises(NotPermittedError, match="This is a recording"):
        backend.undo()
    manager = backend._bus()
    with pytest.raises(RefusedError, match="This is a recording"):
        manager.restart_unit("cloudchat.service")
    files, kernel = backend._tools()
    with pytest.raises(RefusedError, match="This is a recording"):
        files.write("/etc/systemd/system/a.service.d/x.conf", "")
    with pytest.raises(RefusedError, match="This is a recording"):
        kernel.set_limit("/system.slice/cloudchat.service", "memory.max", 1)


def test_show_on_the_past(tape: Path, capsys: Capture) -> None:
    """An alias is resolved; what files set is not recorded, so it is unknown."""
    assert run_command(["replay", str(tape), "show", "redis", "--json"]) == Exit.DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["unit"]["name"] == "redis-server.service"
    assert {file["readable"] for file in shown["files"]} == {False}
    assert shown["settings"]["MemoryMax"]["kernel"] == 256 << 20
    assert shown["settings"]["MemoryMax"]["sources"] == []
    assert run_command(["replay", str(tape), "show", "redis"]) == Exit.DONE
    page = capsys.readouterr().out
    assert "These files cannot be read, so what they set is unknown" in page
    assert "MemoryMax       unknown       256M" in page
