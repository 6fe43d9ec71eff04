from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.cli import triage
from lowmem_tui.cli.exit import Exit
from lowmem_tui.model.trial import TrialNotice
from lowmem_tui.model.who import By
from tests.bench.tree import MIB, Box, events, make_tree

if TYPE_CHECKING:
    from collections.abc import Callable

REDIS = "/system.slice/redis.service"
WEB = "/system.slice/web.service"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    box = Box(tmp_path)
    box.add_group("/system.slice")
    box.add_group(REDIS, swap=5 * MIB, memory_max=str(256 * MIB))
    box.add_group(WEB)
    box.add_process(100, REDIS, name="redis-server", rss=20 * MIB, score=700)
    box.add_process(200, WEB, name="gunicorn", rss=10 * MIB, score=890)
    box.add_process(201, WEB, name="gunicorn", rss=12 * MIB, score=667)
    add_init(box)
    return box


def add_init(box: Box) -> None:
    box.add_group("/init.scope")
    box.add_process(1, "/init.scope", name="systemd", rss=MIB, score=0)


def page(box: Box) -> str:
    return triage.page(str(box.proc), str(box.cgroup), str(box.block))


def row(box: Box, unit: str) -> list[str]:
    (line,) = [line for line in page(box).splitlines() if line.endswith(unit) and "M" in line]
    return line.split()


def test_memory_and_swap(box: Box) -> None:
    text = page(box)
    assert "Memory    966M total, 403M available, 79.3M free" in text
    assert "Swap      2.0G total, 245M used (12%)" in text


def test_host_and_uptime(box: Box) -> None:
    assert page(box).startswith("web-1, up 12d 0h\n")


def test_pressure(box: Box) -> None:
    assert "Pressure  some   0.40% of 10 s" in page(box)


def test_no_swap(box: Box) -> None:
    meminfo = (box.proc / "meminfo").read_text().replace("2097148", "0").replace("1846272", "0")
    (box.proc / "meminfo").write_text(meminfo)
    assert "Swap      none" in page(box)


def test_zram(box: Box) -> None:
    box.add_zram(stored=300 * MIB, used=90 * MIB)
    assert "zram      300M stored in 90.0M of RAM" in page(box)


def test_a_trial_and_what_can_be_done_about_it(box: Box, tmp_path: Path) -> None:
    over = time.monotonic() + 60
    found = TrialNotice(
        number="7",
        by=By(0, "op", "", ""),
        note="",
        units=["redis.service"],
        deadline=0,
        monotonic=over,
    )
    notice = tmp_path / "notice"
    notice.write_text(found.render())
    text = triage.page(str(box.proc), str(box.cgroup), str(box.block), str(notice))
    *_, line, ways = text.splitlines()
    assert line.endswith("started by op: redis.service")
    assert ways == "`lowmem-tui confirm` keeps it, `lowmem-tui undo` undoes it."


@pytest.mark.parametrize(
    ("state", "told"),
    [("applying", True), ("confirming", True), ("applied", False), ("trial", False)],
)
def test_a_change_that_was_not_ended(box: Box, tmp_path: Path, state: str, told: bool) -> None:
    history = tmp_path / "history"
    history.write_text(json.dumps({"changes": [{"id": "7", "state": state}]}, indent=1))
    text = triage.page(str(box.proc), str(box.cgroup), str(box.block), history=str(history))
    said = "A change is being made, or was interrupted: `lowmem-tui history` shows it."
    assert (text.splitlines()[-1] == said) is told


def test_a_unit_with_a_limit(box: Box) -> None:
    assert row(box, "redis.service") == ["20.0M", "5.0M", "700", "256M", "redis.service"]


def test_a_unit_without_a_limit(box: Box) -> None:
    assert row(box, "web.service") == ["22.0M", "0", "890", "-", "web.service"]


def test_the_fattest_comes_first(box: Box) -> None:
    lines = page(box).splitlines()
    assert [line.split()[-1] for line in lines if line.endswith(".service")][:2] == [
        "redis.service",
        "web.service",
    ]


def test_at_most_ten_units(tmp_path: Path) -> None:
    box = make_tree(tmp_path / "tree", units=40, processes=60)
    add_init(box)
    lines = page(box).splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith("UNIT"))
    assert lines.index("", start) - start - 1 == 10


def test_swap_without_swap_accounting(box: Box) -> None:
    (box.cgroup / "system.slice/redis.service/memory.swap.current").unlink()
    box.set_status(100, swap=7 * MIB)
    assert row(box, "redis.service")[1] == "7.0M"


# swap, page tables, adjustment, age of two processes that have the same score → who goes
SAME_SCORE: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "swap": ({"swap": 2 * MIB}, {}, 300),
    "page tables": ({"page_tables": 2 * MIB}, {}, 300),
    "an adjustment": ({"adjust": 1}, {"rss": 9 * MIB}, 300),
    "age": ({"start": 9000}, {"start": 8000}, 300),
    "size": ({}, {"rss": 9 * MIB}, 301),
    "the pid": ({"start": 9000}, {"start": 9000}, 301),
}


@pytest.mark.parametrize(("one", "other", "pid"), SAME_SCORE.values(), ids=SAME_SCORE)
def test_of_the_same_score_the_kernel_s_finer_count_decides(
    box: Box, one: dict[str, Any], other: dict[str, Any], pid: int
) -> None:
    box.add_process(300, WEB, score=900, **one)
    box.add_process(301, WEB, score=900, **other)
    assert f"Next OOM victim: worker ({pid})" in page(box)


def test_the_next_oom_victim(box: Box) -> None:
    assert "Next OOM victim: gunicorn (200), 10.0M, score 890\n             web.service" in page(
        box
    )


def test_a_unit_is_killed_as_one(box: Box) -> None:
    (box.cgroup / "system.slice/web.service/memory.oom.group").write_text("1\n")
    assert "             web.service, the whole unit is killed\n" in page(box)


def test_a_slice_is_killed_as_one(box: Box) -> None:
    for path in ("system.slice", "system.slice/web.service"):
        (box.cgroup / path / "memory.oom.group").write_text("1\n")
    assert "gunicorn (200), 10.0M" in page(box)
    assert "             web.service, all of system.slice is killed\n" in page(box)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("panic_on_oom", "Next OOM victim: none, the machine panics instead (vm.panic"),
        (
            "oom_kill_allocating_task",
            "Next OOM victim: the process that asks for memory then (vm.oom_kill",
        ),
    ],
)
def test_where_nobody_is_chosen_by_score(box: Box, name: str, words: str) -> None:
    (box.proc / "sys" / "vm").mkdir(parents=True)
    (box.proc / "sys" / "vm" / name).write_text("0\n")
    assert words not in page(box)
    (box.proc / "sys" / "vm" / name).write_text("1\n")
    assert words in page(box)
    assert "gunicorn (200)" not in page(box)


def test_another_killer_is_named(box: Box) -> None:
    assert "runs too" not in page(box)
    box.add_group("/system.slice/earlyoom.service")
    box.add_process(400, "/system.slice/earlyoom.service", name="earlyoom", rss=MIB, score=1)
    assert "earlyoom.service runs too, and may kill earlier." in page(box)


def test_of_equal_scores_the_larger_is_killed(box: Box) -> None:
    box.set_process(201, rss=12 * MIB, score=890)
    assert "gunicorn (201)" in page(box)


def test_nobody_can_be_killed(box: Box) -> None:
    for pid in (100, 200, 201):
        box.set_process(pid, rss=MIB, score=0)
    assert "Next OOM victim: none, no process can be killed." in page(box)


def test_no_kills(box: Box) -> None:
    assert "OOM kills since boot: none." in page(box)


def test_kills_by_unit(box: Box) -> None:
    box.set_kills(3)
    (box.cgroup / "system.slice/web.service/memory.events").write_text(events(2))
    text = page(box)
    assert (
        "OOM kills since boot: 3\n       2  web.service\n       1  in units that have ended" in text
    )


def test_kernel_threads_are_left_out(box: Box) -> None:
    box.add_process(2, "/", name="kthreadd", rss=0, flags=0x208040, score=0)
    assert "-.slice" not in page(box)


def test_processes_that_may_not_be_seen(box: Box) -> None:
    (box.proc / "100/statm").unlink()
    text = page(box)
    assert "Processes that this user may not see: 1." in text
    assert "Next OOM victim of those seen: gunicorn (200)" in text


def test_processes_that_are_hidden(box: Box) -> None:
    # /proc mounted with hidepid=2: not even PID 1 is there.
    box.end_process(1)
    text = page(box)
    assert "Processes of other users are hidden from this user: run this as root." in text
    assert "Next OOM victim of those seen: gunicorn (200)" in text


@pytest.mark.parametrize(
    ("cgroup", "name"),
    [
        ("/docker/abc", "/docker/abc"),
        ("/lxc.payload.web/system.slice/ssh.service", "/lxc.payload.web"),
        ("/user.slice/user@1.service/app.slice/x.service", "user@1.service"),
        ("/system.slice/_cpu.service", "cpu.service"),
        ("/user.slice", "user.slice"),
        ("/", "-.slice"),
    ],
)
def test_whose_process_it_is(box: Box, cgroup: str, name: str) -> None:
    box.add_process(300, cgroup, rss=99 * MIB)
    assert row(box, name)[0] == "99.0M"


MACHINE = ["uptime", "pressure/memory", "vmstat", "sys/kernel/hostname"]


@pytest.mark.parametrize("path", MACHINE)
def test_a_missing_file_of_the_machine(box: Box, path: str) -> None:
    (box.proc / path).unlink()
    assert "redis.service" in page(box)


@pytest.mark.parametrize("name", ["memory.max", "memory.events", "memory.swap.current"])
def test_a_missing_file_of_a_group(box: Box, name: str) -> None:
    box.set_kills(1)
    (box.cgroup / "system.slice/redis.service" / name).unlink()
    assert "redis.service" in page(box)


@pytest.mark.parametrize("name", ["stat", "status", "oom_score", "cmdline"])
def test_a_missing_file_of_a_process(box: Box, name: str) -> None:
    (box.proc / "200" / name).unlink()
    assert row(box, "web.service")[0] == "22.0M"


@pytest.mark.parametrize("name", ["\x1b[2J\x07", "a) (b", "ünï\u202e", "x" * 15])
def test_a_hostile_name(box: Box, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    box.add_process(300, WEB, name=name, score=999)
    text = page(box)
    assert all(c == "\n" or c.isprintable() for c in text)
    assert all(len(line) <= 80 for line in text.splitlines())


def test_ascii_where_the_locale_says_so(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    box.add_process(300, WEB, name="ünï\x1b", score=999)
    assert "Next OOM victim: ?n?? (300)" in page(box)


def test_80_columns(tmp_path: Path) -> None:
    box = make_tree(tmp_path / "tree", units=40, processes=60)
    path = "/system.slice/" + "a-very-long-name-" * 10 + ".service"
    box.add_group(path)
    box.add_process(9000, path, name="n" * 60, rss=900 * MIB, score=999)
    assert max(len(line) for line in page(box).splitlines()) <= 80


# The command


def run(box: Box, *argv: str) -> int:
    return triage.run(list(argv), str(box.proc), str(box.cgroup))


def test_prints_the_page(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(box) == Exit.DONE
    assert "redis.service" in capfd.readouterr().out


def test_not_cgroup_v2(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    (box.cgroup / "cgroup.controllers").unlink()
    assert run(box) == Exit.UNSUPPORTED
    assert capfd.readouterr().err.startswith("lowmem-tui: There is no cgroup v2")


def test_no_proc(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    (box.proc / "meminfo").unlink()
    assert run(box) == Exit.UNSUPPORTED


def test_help(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(box, "--help") == Exit.DONE
    assert capfd.readouterr().out.startswith("usage: lowmem-tui triage")


def test_wrong_usage(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(box, "--json") == Exit.USAGE
    assert "takes only the option --demo" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("mine", "code"),
    [
        (triage.DONE, Exit.DONE),
        (triage.USAGE, Exit.USAGE),
        (triage.NOT_PERMITTED, Exit.NOT_PERMITTED),
        (triage.UNSUPPORTED, Exit.UNSUPPORTED),
        (triage.FAILED, Exit.ROLLED_BACK),
        (triage.INTERRUPTED, Exit.INTERRUPTED),
    ],
)
def test_exit_statuses_are_the_contract(mine: int, code: Exit) -> None:
    assert mine == code


PROGRAM = """
import sys
from lowmem_tui.cli.triage import run
status = run([], *sys.argv[1:3])
print(*sorted(m for m in sys.modules), sep="\\n", file=sys.stderr)
sys.exit(status)
"""


def start(box: Box, out: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, str(box.proc), str(box.cgroup)],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "module", ["typing", "re", "enum", "dataclasses", "argparse", "textual", "jeepney", "json"]
)
def test_imports_next_to_nothing(box: Box, module: str) -> None:
    ended = start(box)
    assert ended.returncode == 0
    assert module not in ended.stderr.splitlines()


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize(("sink", "status"), [(closed_pipe, Exit.DONE), (full_disk, 6)])
def test_a_reader_that_has_gone(box: Box, sink: Callable[[], int], status: int) -> None:
    out = sink()
    ended = start(box, out)
    os.close(out)
    assert (ended.returncode, "Traceback" in ended.stderr) == (status, False)


def test_no_descriptor_is_kept(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    run(box)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "words", [("triage", "--demo"), ("--demo", "triage"), ("--demo", "triage", "--demo")]
)
def test_the_demo_server_has_the_same_page(words: tuple[str, ...]) -> None:
    ended = _program(*words)
    assert ended.returncode == Exit.DONE
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("web-1, up 12d")
    assert lines[2] == "Memory    967M total, 315M available, 26.0M free"
    assert "    412M     180M    742     600M  cloudchat.service" in lines
    assert "   12.8M        0    735        -  user@1000.service" in lines
    assert "Next OOM victim: gunicorn (912), 236M, score 742" in lines
    assert "nothing of this machine was read" in ended.stderr


def test_the_demo_server_is_loaded_only_where_it_is_asked_for() -> None:
    code = "import sys; sys.argv[1:] = ['triage']; import lowmem_tui.__main__ as m; m.main(); "
    code += "print(any('demo' in name for name in sys.modules), file=sys.stderr)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stderr.splitlines()[-1] == "False"


def _program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lowmem_tui", *words], capture_output=True, text=True, check=False
    )
