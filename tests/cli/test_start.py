"""What is loaded and opened at the start: what is not needed yet costs a small server too."""

from __future__ import annotations

import compileall
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import lowmem_tui
from lowmem_tui.cli.main import alone, parser
from tests.bench.programs import Program, Running, pump_all
from tests.bench.tree import make_tree

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
    """Return what the live screen has loaded once it answers keys."""
    path: Path = tmp_path_factory.mktemp("start") / "modules"
    argv = (sys.executable, "-c", CODE, str(path))
    running = Running(Program("the screen", argv, re.compile(rb"ind: "), typed=b"/"))
    while running.first_frame is None:
        pump_all([running], 0.05)
    os.write(running.master, b"\x03")
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


NOTES = """\
import sys
OPENED = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        OPENED.append(arguments[0])
sys.addaudithook(note)
"""
"""Of each process of Python: the paths that it opens."""

TEXTUAL = """\
import os, sys, time, sitecustomize
with open(os.environ["REPORT"] + ".part", "w") as file:
    file.write("\\n".join(sys.modules) + "\\n\\n" + "\\n".join(sitecustomize.OPENED))
os.rename(os.environ["REPORT"] + ".part", os.environ["REPORT"])
time.sleep(60)
"""
"""In the place of Textual: the first frame is there when it is asked for."""


class First(NamedTuple):
    """What the first frame has loaded and opened."""

    modules: list[str]
    opened: list[str]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    folder = tmp_path_factory.mktemp("first")
    compileall.compile_dir(Path(lowmem_tui.__file__).parent, quiet=1)  # as installing does
    (folder / "sitecustomize.py").write_text(NOTES)
    (folder / "textual").mkdir()
    (folder / "textual/__init__.py").write_text(TEXTUAL)
    box = make_tree(folder / "tree", units=20, processes=30)
    report = folder / "report"
    launch = str(Path(__file__).parents[1] / "bench/launch.py")
    argv = (sys.executable, launch, str(box.proc), str(box.cgroup))
    environment = {"PYTHONPATH": str(folder), "REPORT": str(report)}
    running = Running(Program("the screen", argv, re.compile(rb"service-"), environment))
    while not report.exists() or running.first_frame is None:
        pump_all([running], 0.05)
    running.stop()
    modules, _, opened = report.read_text().partition("\n\n")
    return First(modules.split("\n"), opened.split("\n"))


MODULES, FILES = 172, 122
"""Modules (those of the interpreter's own start included), and files of Python's and ours, that the
first frame may take; lower them when there are fewer."""


@pytest.mark.parametrize(
    "name",
    ["textual", "rich", "asyncio", "logging", "pathlib", "shutil", "argparse", "json", "jeepney"],
)
def test_the_first_frame_needs_no(name: str, first: First) -> None:
    found = [m for m in first.modules if f"{m}.".startswith(f"{name}.")]
    # Those that report it, and what stands in for the palette.
    assert [m for m in found if m not in {"textual", "textual.command"}] == []


def test_the_first_frame_keeps_within_its_budget(first: First) -> None:
    assert len(first.modules) <= MODULES, sorted(first.modules)
    files = [path for path in first.opened if path.endswith((".pyc", ".py", ".so", ".toml"))]
    assert len(files) <= FILES, files
