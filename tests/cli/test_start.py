"""What is loaded at the start: what is not needed yet costs a small server all the same."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.main import alone, parser
from tests.bench.programs import Program, Running, pump_all

if TYPE_CHECKING:
    from pathlib import Path

CODE = """\
import atexit, sys
atexit.register(lambda: open(sys.argv[1], "w").write("\\n".join(sys.modules)))
from lowmem_tui.cli.main import run_command
sys.exit(run_command(["--demo"]))
"""

NOT_AT_THE_START = (
    *("_ssl", "textual.command", "textual.widgets._input", "jeepney", "psutil"),
    *("lowmem_tui.setup", "lowmem_tui.cli.setup", "lowmem_tui.cli.check"),
    *(
        "lowmem_tui.policy.plan",
        "lowmem_tui.policy.checks.preflight",
        "lowmem_tui.policy.forecast.whatif",
    ),
    *("lowmem_tui.change.apply", "lowmem_tui.change.transaction", "lowmem_tui.host.logs.journal"),
    *("lowmem_tui.tui.screens.edit", "lowmem_tui.tui.screens.review"),
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return what the live screen has loaded once its first frame is there."""
    path: Path = tmp_path_factory.mktemp("start") / "modules"
    argv = (sys.executable, "-c", CODE, str(path))
    running = Running(Program("the screen", argv, re.compile(rb"Quit")))
    while running.first_frame is None:
        pump_all([running], 0.05)
    os.write(running.master, b"q")
    while not os.waitpid(running.pid, os.WNOHANG)[0]:
        pump_all([running], 0.05)
    os.close(running.master)
    return set(path.read_text().split())


@pytest.mark.parametrize("name", NOT_AT_THE_START)
def test_the_screen_starts_without(name: str, loaded: set[str]) -> None:
    assert "textual.app" in loaded
    assert sorted(m for m in loaded if f"{m}.".startswith(f"{name}.")) == []


def test_without_arguments_the_parser_is_not_asked_but_says_the_same() -> None:
    assert vars(alone()) == vars(parser().parse_args([]))
