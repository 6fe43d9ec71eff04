"""Arguments that are wrong, or that hold for every command."""

from __future__ import annotations

import pytest

from lowmem_tui.cli import local
from lowmem_tui.cli.arguments import joined
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.cli.output import DEMO
from lowmem_tui.model.errors import UnsupportedError

Capture = pytest.CaptureFixture[str]

SET = ("--set", "redis-server.service:MemoryMax=300M")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["zork"], "invalid choice: 'zork'"),
        (["--zork"], "--zork"),
        (["list", "--zork"], "--zork"),
        (["--bus", "x"], "choose from"),
        (["--interval", "0"], "0.2 to 60"),
        (["--interval", "5", "list"], "--interval is an option of the screen"),
        (["plan"], "--policy is required; see `lowmem-tui plan --help`"),
        (["plan", "--set"], "expected one argument"),
        (["plan", "--policy", ""], "name a file"),
        (["setup", "--report", ""], "name a file"),
        (["plan", "--set", "-.slice:Zork=1"], "Zork"),
        (["incidents", "--since", "-2q"], "'-2q' is not a time"),
        (["apply", *SET, "--trial", "x"], "10 to 86400"),
        (["apply", *SET, "--trial", "-5"], "10 to 86400"),
        (["apply", *SET, "--trial", "0"], "10 to 86400"),
        (["apply", *SET, "--trial", "9"], "10 to 86400"),
        (["apply", *SET, "--trial", "99999999999999999999"], "10 to 86400"),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else None,
)
def test_what_is_wrong_is_one_sentence(capsys: Capture, words: list[str], said: str) -> None:
    assert run_command(["--demo", *words]) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lowmem-tui: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["--set", "-.slice:MemoryMax=1G"], ["--set=-.slice:MemoryMax=1G"]),
        (["--set", "a:MemoryMax=1G", "-h"], ["--set", "a:MemoryMax=1G", "-h"]),
        (["--set", "-h"], ["--set", "-h"]),
        (["--set", "--yes"], ["--set", "--yes"]),
        (["--policy", "-"], ["--policy", "-"]),
    ],
)
def test_a_value_that_begins_with_a_dash(given: list[str], made: list[str]) -> None:
    assert joined(given) == made


@pytest.mark.parametrize("words", [("apply", *SET, "--yes"), ("confirm",), ("undo",)])
def test_read_only_holds_for_what_writes(capsys: Capture, words: tuple[str, ...]) -> None:
    assert run_command(["--demo", "--read-only", *words]) == Exit.NOT_PERMITTED
    said = capsys.readouterr()
    assert "started with --read-only" in said.err
    assert "Written: " not in said.out


@pytest.mark.parametrize("command", ["list", "incidents"])
def test_or_demo_holds_for_commands(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def refuse() -> None:
        raise UnsupportedError("There is no systemd.")

    monkeypatch.setattr(local, "check_supported", refuse)
    assert run_command(["--or-demo", command]) == Exit.DONE
    said = capsys.readouterr()
    assert said.err == f"There is no systemd.\nThis is the demo server instead.\n{DEMO}\n"
    assert "cloudchat.service" in said.out


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--json"),
        ("history", "--json"),
        ("incidents", "--json"),
        ("list", "--json"),
        ("plan", *SET, "--json"),
        ("setup", "--print"),
        ("setup", "--report", "-"),
        ("whatif", "--json"),
    ],
)
def test_the_demo_is_named_apart_from_the_data(capsys: Capture, words: tuple[str, ...]) -> None:
    assert run_command([*words, "--demo"]) in {Exit.DONE, Exit.FINDINGS}
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == DEMO
    assert DEMO not in said.out
