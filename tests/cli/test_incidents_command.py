"""`incidents`, on the demo server and by its contract."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli import incidents
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import NotPermittedError

if TYPE_CHECKING:
    from pathlib import Path

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
    assert newest.endswith("limit 600M, restarted after 4s")
    assert oldest.endswith("gunicorn 462M, no RAM, restarted after 6.2s")


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


LOG = """\
[    1.000000] hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=-1000
[    1.000001] CPU: 0 UID: 0 PID: 700 Comm: hog Not tainted 6.12.0 #1
[    1.000002] memory: usage 65536kB, limit 65536kB, failcnt 9
[    1.000003] Memory cgroup stats for /system.slice/hog.service:
[    1.000004] Out of memory and no killable processes...
[    2.000000] sshd: page allocation failure: order:0, mode:0x820(GFP_ATOMIC), nodemask=(null)
[    2.000001]  __alloc_skb+0x5d/0x80
"""


FAILED = "network allocation failed, once, order 0, GFP_ATOMIC"


def test_the_log_of_another_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # This one may be of any kind.
    monkeypatch.setattr("os.path.exists", lambda _: False)
    path = tmp_path / "dmesg"
    path.write_text(LOG)
    assert run_command(["incidents", "--file", str(path)]) == Exit.DONE
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"boot +2.000s         (machine)    {FAILED}",
        "boot +1.000s         hog.service  limit 64M, nothing to kill, once",
    ]
    assert "`dmesg -T`" in err


def test_the_log_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dmesg"
    path.write_text(LOG)
    assert run_command(["incidents", "--json", "--file", str(path)]) == Exit.DONE
    failed, stopped = json.loads(capsys.readouterr().out)["incidents"]
    keys = ("kind", "time", "since_boot", "cause", "unit", "cgroup", "pid", "process", "limit")
    assert [stopped[key] for key in keys] == [
        "no_victim", None, 1.0, "limit", "hog.service", "/system.slice/hog.service", 700, "hog",
        64 << 20,
    ]  # fmt: skip
    assert (stopped["outcome"], stopped["count"]) == ("nothing-killed", 1)
    assert failed["kind"] == "allocation_failure"
    assert (failed["shortage"]["path"], failed["shortage"]["atomic"]) == ("network", True)


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(LOG.encode())))
    assert run_command(["incidents", "--file", "-", "--since", "-2h"]) == Exit.DONE
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--file", "/none"], "/none cannot be opened"),
        (["--file", "/"], "a folder"),
        (["--file", "/dev/zero"], "not a regular file"),
        (["--file", ""], "name a file"),
        (["--file", "/none", "--since", "boot"], "--since boot is of this machine"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["incidents", *arguments]) == Exit.USAGE
    assert words in capsys.readouterr().err


def test_it_loads_neither_textual_nor_a_bus() -> None:
    code = (
        "import sys; from lowmem_tui.__main__ import main; sys.argv[1:] = ['incidents', '--demo'];"
        "main(); import lowmem_tui.host.logs.kill_evidence;"
        "heavy = {'textual', 'rich', 'jeepney', 'pydbus', 'asyncio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
