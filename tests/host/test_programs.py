"""Programs are started one way: nothing of the caller's reaches them, and all of it is bounded."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine import swap_file
from lowmem_tui.host import programs
from lowmem_tui.host.programs import MOST, find, run, start
from lowmem_tui.model.errors import ManagerError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    def put(script: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return put


@pytest.mark.parametrize("path", [None, "", ".", ":/usr/bin", "relative"])
def test_path_is_not_the_caller_s(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `mkswap` in the folder where root stands is not run: not even where PATH says so."""
    trap, run_ = tmp_path / "mkswap", tmp_path / "was-run"
    trap.write_text(f"#!/bin/sh\ntouch {run_}\n")
    trap.chmod(0o755)
    (tmp_path / "relative").symlink_to(tmp_path)
    space = tmp_path / "space"
    space.write_bytes(b"\0" * 4096 * 20)
    monkeypatch.chdir(tmp_path)
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    swap_file._mkswap("space")
    assert not run_.exists()
    assert b"SWAPSPACE2" in space.read_bytes()


def test_nothing_of_the_caller_s_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "LANG", "BASH_ENV", "TZ", "HOME"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    found = dict(
        line.split("=", 1) for line in run(["env"], more={"MORE": "1"}).stdout.splitlines()
    )
    assert found == {
        "PATH": programs.PATH,
        "LC_ALL": "C.UTF-8",
        "SYSTEMD_PAGER": "",
        "SYSTEMD_COLORS": "0",
        "MORE": "1",
    }


def test_it_reads_nothing_of_ours_and_is_in_no_terminal_s_reach(
    program: Callable[[str], str],
) -> None:
    done = run([program("cat; ps -o sid= -p $$")])
    assert done.returncode == 0
    assert int(done.stdout) != os.getsid(0)


@pytest.mark.parametrize("pipe", ["", ">&2"])
def test_of_what_it_prints_the_beginning_is_kept(program: Callable[[str], str], pipe: str) -> None:
    done = run([program(f"head -c 5000000 /dev/zero | tr '\\0' x {pipe}; exit 3")])
    said = done.stderr if pipe else done.stdout
    assert (done.returncode, said) == (3, "x" * MOST)


def test_both_pipes_are_read_at_once(program: Callable[[str], str]) -> None:
    done = run([program("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero")])
    assert (len(done.stdout), len(done.stderr)) == (MOST, MOST)


def test_one_that_does_not_end_is_killed_with_what_it_has_started(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    words = [program(f"sleep 600 & echo $! >{tmp_path}/pid; wait")]
    with pytest.raises(ManagerError, match=r"program` has not ended after 1s\."):
        run(words, 1.0)
    pid = int((tmp_path / "pid").read_text())
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while " Z " not in Path(f"/proc/{pid}/stat").read_text():
            time.sleep(0.01)


def test_one_that_prints_without_end_is_killed(program: Callable[[str], str]) -> None:
    with pytest.raises(ManagerError, match="has not ended"):
        run([program("exec yes")], 0.5)


def test_one_that_leaves_a_daemon_behind_is_not_waited_for(program: Callable[[str], str]) -> None:
    """The daemon has its pipes."""
    began = time.monotonic()
    done = run([program("echo said; sleep 20 & exit 4")], 25.0)
    assert (done.returncode, done.stdout) == (4, "said\n")
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program"])
def test_one_that_is_not_there(name: str) -> None:
    with pytest.raises(ManagerError, match=f"There is no {name} here: install it"):
        run([name])
    with pytest.raises(FileNotFoundError):
        start([name])


def test_one_that_cannot_be_run(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no program")
    with pytest.raises(ManagerError, match="cannot be started"):
        run([str(path)])


def test_words_are_no_shell_s(program: Callable[[str], str]) -> None:
    assert run(["echo", "$(id); *"]).stdout == "$(id); *\n"
    assert find("sh") in {"/usr/bin/sh", "/bin/sh"}
    assert find("a; b") is None


def test_what_is_printed_between_a_look_at_the_pipes_and_the_end_is_not_lost() -> None:
    """Seen on a slow server: `systemctl is-active` answered "", and a swap file was not stopped."""
    process = start(["sh", "-c", "sleep 0.5; echo active; echo why >&2"])

    def poll() -> int | None:
        return process.wait()  # it prints and ends now, after the pipes were found empty

    process.poll = poll  # type: ignore[method-assign]
    try:
        out, err = programs._read(process, 60.0)
    finally:
        programs._end(process)
    assert (out, err) == (b"active\n", b"why\n")


def test_a_pipe_that_others_hold_open_is_not_waited_for(program: Callable[[str], str]) -> None:
    began = time.monotonic()
    done = run([program("sleep 60 & echo told")])
    assert done.stdout == "told\n"
    assert time.monotonic() - began < 30
