"""docs/cli.md is a contract: what it names is what the program has."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.arguments import joined
from lowmem_tui.cli.demo import demo_backend
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import parser, run_command
from lowmem_tui.model import language
from lowmem_tui.model.change import State
from lowmem_tui.model.plan import ActionKind, When
from lowmem_tui.model.unit import Key

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cli.md").read_text("utf-8")

CLI = DOCS.parent / "lowmem_tui/cli"
_RUNS = re.compile(r"^def run\(", re.MULTILINE)

SHARED = {"--help", "--demo", "--bus", "--ascii", "--lang"}

COMMANDS: dict[str, argparse.ArgumentParser] = next(
    action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
)


def section(title: str, page: str = PAGE) -> str:
    """Return a section of the page, its subsections included."""
    level = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    assert level is not None, f"there is no section {title}"
    rest = page[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(title: str) -> list[str]:
    """Return the first cells of the table that a section begins with."""
    return [
        re.split(r"(?<!\\)\|", line)[1].strip()
        for line in section(title).splitlines()
        if re.match(r"\| [`\d]", line)
    ]


def options(command: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a command."""
    return {
        name
        for action in command._actions
        for name in action.option_strings
        if name.startswith("--")
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_table_with_its_options(name: str) -> None:
    calls = [cell for cell in rows("Commands") if cell.startswith(f"`lowmem-tui {name}")]
    assert calls, f"{name} is missing"
    named = {option for cell in calls for option in re.findall(r"--[a-z-]+", cell)}
    assert named == options(COMMANDS[name]) - SHARED - ({"--help"} if name == "triage" else set())


def test_the_table_names_no_command_that_does_not_exist() -> None:
    named = {
        match[1] for cell in rows("Commands") if (match := re.match(r"`lowmem-tui ([a-z]+)", cell))
    }
    assert named == set(COMMANDS)


def test_each_option_is_explained() -> None:
    known = options(parser()).union(*map(options, COMMANDS.values()))
    explained = set(re.findall(r"--[a-z][a-z-]*", section("Commands")))
    assert known <= explained
    assert explained <= known


def test_each_command_is_run_by_a_module_of_its_name() -> None:
    """And a module that runs a command is one: it has been registered in ``cli/main``."""
    modules = {path.stem for path in CLI.glob("*.py") if _RUNS.search(path.read_text("utf-8"))}
    assert modules - {"screen", "triage_of"} == set(COMMANDS)


def test_the_demo_server_s_commands_name_the_demo() -> None:
    """`record` and `replay` aside: they are for this machine, or for a file."""
    language.use_demo(demo=True)
    try:
        shown = {name for name in COMMANDS if "--demo" in language.tr(f"lowmem-tui {name} x")}
    finally:
        language.use_demo(demo=False)
    assert shown == set(COMMANDS) - {"record", "replay"}


def test_the_exit_codes() -> None:
    codes = {int(code) for cell in rows("Exit codes") for code in cell.split(",")}
    assert codes == set(Exit)


def test_the_settings() -> None:
    assert {key for cell in rows("Settings") for key in re.findall(r"`(\w+)`", cell)} == set(Key)


@pytest.mark.parametrize(
    ("title", "words"),
    [("history --json", State), ("plan --json", When), ("plan --json", ActionKind)],
)
def test_the_words_of_a_key(title: str, words: type[State | When | ActionKind]) -> None:
    assert [word for word in words if f"`{word}`" not in section(title)] == []


def keys(value: object) -> Iterator[str]:
    """Yield the keys of a document; those that are names of units, settings or values aside."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if "." not in key and key not in set(Key):
                yield key
            if key != "values":
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


POLICY = """\
schema = 1
[units."nginx.service"]
MemoryMax = "1M"
RestartSec = "3s"
[sysctl]
"vm.swappiness" = 10
"""


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["show", "redis"],
        ["whatif"],
        ["whatif", "--set", "cloudchat.service:MemoryMax=1M"],
        ["plan", "--policy", "FILE"],
        ["history"],
        ["check"],
        ["incidents"],
    ],
    ids=" ".join,
)
def test_each_key_of_the_json_is_named(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY, "utf-8")
    run_command([str(file) if w == "FILE" else w for w in command] + ["--demo", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    text = section(f"{command[0]} --json")
    if command[0] == "incidents":
        text += section("JSON", (DOCS / "incidents.md").read_text("utf-8"))
    if command[0] == "show":
        text += section("list --json")
    if "refusals" in document:
        text += section("plan --json")
    found = set(keys(document)) - {"schema"}
    assert {key for key in found if not re.search(rf'["`]{key}["`]', text)} == set()


def test_the_guide_names_the_steps_as_the_screen_does() -> None:
    page = (DOCS / "first-hour.md").read_text("utf-8")
    row = re.compile(r"^\| \d+ \| ([^|]*) \| `(\w+)` \|", re.MULTILINE)
    named = row.findall(section("The steps", page))
    backend = demo_backend(read_only=True)
    try:
        steps = [(step.title.partition(":")[0], step.name) for step in backend.steps()]
    finally:
        backend.close()
    assert [(title.strip("` "), name) for title, name in named] == steps


PAGES = [*DOCS.parent.glob("*.md"), *DOCS.glob("*.md")]

_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_CALL = re.compile(r"(?<![\w/])lowmem-tui( [^`|>#\n]*)?")


def calls(page: Path) -> list[str]:
    """Return the arguments of each call in a page's blocks of shell commands."""
    blocks = _BLOCK.findall(page.read_text("utf-8"))
    return [
        arguments
        for line in "".join(blocks).splitlines()
        if not line.startswith((".venv", "#", "git"))
        for arguments in _CALL.findall(line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_the_documents_are_understood(page: Path) -> None:
    for arguments in calls(page):
        parser().parse_args(joined(shlex.split(arguments.partition(")")[0])))


def test_the_readme_shows_commands() -> None:
    assert len(calls(DOCS.parent / "README.md")) >= 10
