"""Standard output of any encoding, full, closed, or with a reader that has gone."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.output import DEMO, shown, tell

SET = "--set redis-server.service:MemoryMax=300M"


def shell(words: str, redirected: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -m lowmem_tui {words} {redirected}', sys.executable],
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("command", ["list", "whatif --set cloudchat:OOMScoreAdjust=-500"])
def test_any_encoding(command: str, encoding: str) -> None:
    done = shell(f"--demo {command}", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (Exit.DONE, f"{DEMO}\n")
    assert "cloudchat.service" in done.stdout


def test_ascii_holds_for_commands() -> None:
    done = shell("--demo --ascii list", PYTHONIOENCODING="utf-8")
    assert done.returncode == Exit.DONE
    assert done.stdout.isascii()
    assert "cloudchat.service" in done.stdout
    assert "?" not in done.stdout


@pytest.mark.parametrize(
    ("command", "redirected", "status", "said"),
    [
        ("list", ">/dev/full", Exit.ROLLED_BACK, "No space left on device"),
        ("list", ">&-", Exit.ROLLED_BACK, "Standard output is closed"),
        ("list --json", ">&-", Exit.ROLLED_BACK, "Standard output is closed"),
        ("undo", ">&-", Exit.ROLLED_BACK, "Standard output is closed"),
        ("", ">&-", Exit.ROLLED_BACK, "Standard output is closed"),
        ("", "<&-", Exit.USAGE, "needs a terminal"),
        ("plan --policy -", "<&-", Exit.USAGE, "schema = 1"),
        ("list", "2>&-", Exit.DONE, ""),
        ("list", "| true", Exit.DONE, ""),
        (f"apply --yes {SET}", ">/dev/full", Exit.ROLLED_BACK, "No space left on device"),
        (f"apply --yes {SET}", "| exec true", Exit.ROLLED_BACK, "nothing was changed"),
        (f"apply {SET}", "<&-", Exit.USAGE, "--yes"),
    ],
)
def test_a_stream_that_is_not_there(command: str, redirected: str, status: int, said: str) -> None:
    done = shell(f"--demo {command}", redirected)
    assert done.returncode == status
    assert said in done.stderr
    assert done.stderr.count("\n") == bool(said)


def test_a_change_is_not_undone_by_words_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        tell(["written: a file"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "made"),
    [
        (io.StringIO(), "A trial runs for 119 s yet: `sudo lowmem-tui confirm` keeps it."),
        (Terminal(), "A trial runs for 119 s yet: `sudo\n  lowmem-tui confirm` keeps it."),
    ],
)
def test_no_word_is_broken_at_the_edge(
    stream: io.StringIO, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert shown(made.replace("\n ", ""), stream) == made
