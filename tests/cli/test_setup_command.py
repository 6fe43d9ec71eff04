"""`check` and `setup --print` on the demo server, and `setup --print | apply --policy -`."""

from __future__ import annotations

import argparse
import io
import json
import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.cli import check, plan, report, setup
from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.looking import Looked, look
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import InvalidValueError, NotPermittedError
from lowmem_tui.model.language import use_demo
from lowmem_tui.model.setup import Finding, Look, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.plan import Plan

DEMO = "lowmem-tui --demo"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def backend() -> Iterator[ServerBackend]:
    made = serve(DemoServer(0, time.monotonic))
    yield made
    made.close()


def planned(backend: ServerBackend, text: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return plan.make(backend, argparse.Namespace(policy="-", sets=[]))


def test_what_setup_prints_apply_takes_and_a_second_time_there_is_nothing(
    backend: ServerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = setup.proposal(backend)
    made = planned(backend, text, monkeypatch)
    assert made.refusals == ()
    assert made.files
    assert backend.apply(made).mismatches == ()
    again = planned(backend, text, monkeypatch)
    assert again.empty
    assert again.refusals == ()
    # And what it would propose now is nothing at all.
    document = tomllib.loads(setup.proposal(backend))
    assert document == {"schema": 1}
    backend.undo()
    assert setup.proposal(backend).count("\n[") == text.count("\n[")


def test_check_finds_what_setup_would_do_and_nothing_afterwards(
    backend: ServerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {told.step for told in check.worst_first(look(backend))} >= {"nginx"}
    backend.apply(planned(backend, setup.proposal(backend), monkeypatch))
    # The journal's old entries go by choice alone.
    chosen = 'schema = 1\n[journal]\nSystemMaxUse = "100M"\n'
    assert "journal-disk" in {each.finding.code for each in check.worst_first(look(backend))}
    backend.apply(planned(backend, chosen, monkeypatch))
    # Nothing but what the administrator has promised too much: which limit to lower is told.
    (found,) = check.worst_first(look(backend))
    assert found.finding.code == "limits-over-ram"
    assert "Lower MemoryMax of " in str(found.sentence)
    use_demo(demo=True)
    (line,) = [line for line in check.describe([found], 10_000) if " apply --set " in line]
    assert line.startswith("  -> lowmem-tui --demo apply --set ")
    assert "lowmem-tui --demo apply --set " in str(check.as_json([found]))


def test_one_step_alone(capsys: Capture) -> None:
    assert run_command(["setup", "--print", "--step", "nginx", "--demo"]) == Exit.DONE
    assert set(tomllib.loads(capsys.readouterr().out)) == {"schema", "nginx"}
    assert run_command(["setup", "--step", "zork", "--demo"]) == Exit.USAGE
    assert "There is no step 'zork': use one of " in capsys.readouterr().err


def test_the_wizard_needs_a_terminal(capsys: Capture) -> None:
    assert run_command(["setup", "--demo"]) == Exit.USAGE
    assert "needs a terminal: use `lowmem-tui --demo setup --print`" in capsys.readouterr().err


def test_a_report_and_a_policy_are_two_commands(capsys: Capture) -> None:
    assert run_command(["setup", "--print", "--report", "-", "--demo"]) == Exit.USAGE
    assert "--report: not allowed with argument --print" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["check"], ["setup", "--print"], ["list"]])
def test_ascii_may_stand_behind_the_command(capsys: Capture, words: list[str]) -> None:
    assert run_command([*words, "--ascii", "--demo"]) in {Exit.DONE, Exit.FINDINGS}


def test_applied_twice_it_says_so_in_one_sentence(
    backend: ServerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = setup.proposal(backend)
    backend.apply(planned(backend, text, monkeypatch))
    again = [*plan.describe(planned(backend, text, monkeypatch))]
    assert again[0] == "Nothing to do: it is already set."
    assert [line for line in again if "no-op" in line] == [again[1]]
    assert " settings are already set, nothing is changed there: " in again[1]
    assert " cron.service RestartSec; " in again[1]


def test_a_wrong_key_is_answered_with_a_few_right_ones(backend: ServerBackend) -> None:
    step = next(step for step in backend.steps() if step.name == "idle")
    with pytest.raises(InvalidValueError) as caught:
        step.plan({"zork": "off"})
    assert len(str(caught.value)) < 400
    assert "snapd.service" in str(caught.value)


def test_check_prints_the_remedy(capsys: Capture) -> None:
    assert run_command(["check", "--demo"]) == Exit.FINDINGS
    said = capsys.readouterr().out
    assert "warning (nginx): " in said
    assert "\n  -> lowmem-tui --demo setup --step nginx\n" in said
    assert "`lowmem-tui --demo setup` goes through all of it." in said
    assert "sudo" not in said


def test_check_as_json(capsys: Capture) -> None:
    assert run_command(["check", "--json", "--demo"]) == Exit.FINDINGS
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    keys = {"step", "code", "severity", "subject", "text", "remedy"}
    assert all(set(each) == keys for each in found["findings"])
    ranks = [list(Severity).index(each["severity"]) for each in found["findings"]]
    assert ranks == sorted(ranks, reverse=True)
    assert min(ranks) >= 1


# --- the report


FOUND = {
    "the subject once": ("a.service", "a.service has no limit.", "sudo lowmem-tui x", [
        "- warning (units): a.service has no limit.", "  `sudo lowmem-tui x`"]),
    "a subject of its own": ("a.service", "It has none.", "sudo a\nsudo b", [
        "- warning (units): a.service: It has none.", "  `sudo a`", "  `sudo b`"]),
    "prose": ("", "It is so.", "by hand: `a;` in the file", [
        "- warning (units): It is so.", "  by hand: `a;` in the file"]),
}  # fmt: skip


@pytest.mark.parametrize(("subject", "text", "remedy", "lines"), FOUND.values(), ids=FOUND)
def test_the_report_names_what_is_still_to_do(
    subject: str, text: str, remedy: str, lines: list[str], backend: ServerBackend
) -> None:
    step = next(step for step in backend.steps() if step.name == "units")
    finding = Finding("x", Severity.WARNING, subject, text, remedy)
    left = [*report._to_do([Looked(step, Look(findings=(finding,)), "")])]
    assert left == ["", "## What is still to do", "", *lines]


def test_the_report_names_what_was_changed_and_the_result(
    backend: ServerBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend.apply(planned(backend, setup.proposal(backend), monkeypatch), note="the first hour")
    path = tmp_path / "report.md"
    report.write(backend, str(path))
    text = path.read_text()
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads[0].startswith("# web-1 (the demo server), 2026-01-3")
    assert heads[1:] == [
        "## What was changed",
        "## Memory",
        "## The next OOM victim",
        "## What is still to do",
    ]
    assert ": the first hour" in text
    assert "  - cloudchat.service: OOMScoreAdjust 0 -> 100" in text
    assert "  - `systemctl stop snapd.service (it holds " in text
    assert "- Services that were switched off used 33" in text
    assert "WITHOUT THE CHANGES" in text
    (budget,) = [line for line in text.splitlines() if line.startswith("- Overcommitted: ")]
    assert "Lower MemoryMax of " in budget
    assert len(text.splitlines()) < 160


def test_a_report_of_nothing(capsys: Capture) -> None:
    assert run_command(["setup", "--report", "-", "--demo"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "The history contains no change." in said
    assert "- warning (units): " in said


def test_a_report_says_where_it_is_and_what_it_wrote_over(capsys: Capture, tmp_path: Path) -> None:
    path = str(tmp_path / "a.md")
    for words in ("Written: ", "Overwritten: "):
        assert run_command(["setup", "--report", path, "--demo"]) == Exit.DONE
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"{words}{path}\n")


def test_a_report_that_cannot_be_written(capsys: Capture, tmp_path: Path) -> None:
    link = tmp_path / "link.md"
    link.symlink_to(tmp_path / "other")
    for path in (tmp_path, link, tmp_path / "no" / "such"):
        assert run_command(["setup", "--report", str(path), "--demo"]) == Exit.USAGE
        assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


# --- steps of other kinds


class Fake:
    title = about = "x"

    def __init__(self, name: str, found: Look | Exception) -> None:
        self.name = name
        self._found = found

    def look(self) -> Look:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def plan(self, wishes: object) -> Plan:
        raise NotImplementedError


def finding(severity: Severity, code: str) -> Finding:
    return Finding(code, severity, "a\x1bb", "Text.", "do this\nthen that")


def checked(monkeypatch: pytest.MonkeyPatch, *steps: Fake) -> int:
    def of(_: object) -> Sequence[Fake]:
        return steps

    monkeypatch.setattr("lowmem_tui.cli.backend.ServerBackend.steps", of)
    return run_command(["check", "--demo"])


def test_nothing_found(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    note = Look(findings=(finding(Severity.NOTE, "n"),))
    assert checked(monkeypatch, Fake("a", note), Fake("b", Look(absent="None."))) == Exit.DONE
    assert capsys.readouterr().out == "No problem was found.\n"


def test_the_worst_comes_first(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    a = Look(findings=(finding(Severity.ADVICE, "1"), finding(Severity.PROBLEM, "2")))
    b = Look(findings=(finding(Severity.WARNING, "3"), finding(Severity.PROBLEM, "4")))
    assert checked(monkeypatch, Fake("a", a), Fake("b", b)) == Exit.FINDINGS
    assert capsys.readouterr().out.splitlines() == [
        "problem (a): a·b: Text.",
        "  -> do this",
        "  -> then that",
        "problem (b): a·b: Text.",
        "  -> do this",
        "  -> then that",
        "warning (b): a·b: Text.",
        "  -> do this",
        "  -> then that",
        "advice (a): a·b: Text.",
        "  -> do this",
        "  -> then that",
        "",
        f"2 problems, 1 warning, 1 piece of advice. `{DEMO} setup` goes through all of it.",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            NotPermittedError("Only root may\x1b."),
            "The step b could not examine the server: Only root may·.",
        ),
        (
            PermissionError(13, "Permission denied"),
            "The step b could not examine the server: Permission denied",
        ),
    ],
    ids=["ours", "the kernel's"],
)
def test_a_step_that_cannot_look_says_so(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    found = Look(findings=(finding(Severity.ADVICE, "1"),))
    assert checked(monkeypatch, Fake("b", error), Fake("a", found)) == Exit.FINDINGS
    said = capsys.readouterr()
    assert said.err.startswith(words)
    assert said.out.startswith("advice (a)")
