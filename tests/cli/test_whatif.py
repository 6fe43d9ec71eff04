"""`whatif` on the demo server: the order now, and after; what it prints and how it ends."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command

Capture = pytest.CaptureFixture[str]

REDIS, CHAT = "redis-server.service", "cloudchat.service"


def json_of(capsys: Capture, *sets: str) -> dict[str, Any]:
    arguments = [word for text in sets for word in ("--set", text)]
    assert run_command(["whatif", "--demo", "--json", *arguments]) == Exit.DONE
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def text_of(capsys: Capture, *arguments: str) -> str:
    assert run_command(["whatif", "--demo", *arguments]) == Exit.DONE
    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines()) <= 80
    return said


def test_the_contract(capsys: Capture) -> None:
    found = json_of(capsys)
    assert found["schema"] == 1
    assert found["global"]["now"] == found["global"]["then"]
    assert set(found["cgroup"]) == {REDIS, CHAT}
    first = found["global"]["now"][0]
    assert first["unit"] == CHAT
    assert set(first) >= {"pid", "unit", "name", "score", "rss", "swap"}
    points = [entry["points"] for entry in found["global"]["now"]]
    assert points == sorted(points, reverse=True)


def test_whoever_is_taken_along_names_the_victim(capsys: Capture) -> None:
    entries = json_of(capsys)["global"]["now"]
    along = [e for e in entries if e["unit"] == CHAT and e is not entries[0]]
    assert {e["with_pid"] for e in along} == {entries[0]["pid"]}
    assert entries[0]["goes"] == "unit"


def test_the_order_after_a_change(capsys: Capture) -> None:
    found = json_of(capsys, f"{REDIS}:OOMScoreAdjust=400")
    assert found["global"]["now"][0]["unit"] == CHAT
    assert found["global"]["then"][0]["unit"] == REDIS
    assert "Next to die is then redis-server.service" in " ".join(found["sentences"])


def test_a_new_limit_is_a_new_domain(capsys: Capture) -> None:
    found = json_of(capsys, "snapd:MemoryMax=100M")
    assert found["cgroup"]["snapd.service"]["now"] == []
    assert [e["name"] for e in found["cgroup"]["snapd.service"]["then"]] == ["snapd"]


def test_for_a_person(capsys: Capture) -> None:
    said = text_of(capsys)
    assert "When the machine's 967M of RAM and 2G of swap are used up:" in said
    assert "back 3s" in said
    assert "The budget:" in said
    assert "Advice for MemoryMax:" in said


def test_side_by_side_for_a_person(capsys: Capture) -> None:
    said = text_of(capsys, "--set", "redis-server:OOMScoreAdjust=400")
    assert said.startswith("With this change redis-server.service dies before")
    row = next(line for line in said.splitlines() if line.startswith("  1 "))
    assert row.index(CHAT) < row.index("│") < row.index(REDIS)
    assert "1*redis-server.service" in row


def test_what_is_refused_is_said_and_left_out(capsys: Capture) -> None:
    wrong = ["whatif", "--demo", "--set", "redis-server:OOMScoreAdjust=-1000"]
    assert run_command(wrong) == Exit.REFUSED
    said = capsys.readouterr()
    assert "The order of kills stays as it is" in said.out
    assert "refused (oom-score-adjust-1000)" in said.err


def test_what_can_be_overruled_can_be_looked_at(capsys: Capture) -> None:
    wish = ["whatif", "--demo", "--set", "cloudchat:MemoryMax=50M"]
    assert run_command(wish) == Exit.REFUSED
    capsys.readouterr()
    assert "At 50M in cloudchat.service" in text_of(capsys, *wish[2:], "--force")


@pytest.mark.parametrize("text", ["nonsense", "a:b=c", "a.service:Nice=5"])
def test_what_is_no_setting_is_wrong_usage(capsys: Capture, text: str) -> None:
    assert run_command(["whatif", "--demo", "--set", text]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("lowmem-tui: ")


def test_nothing_of_the_screen_is_loaded() -> None:
    import subprocess

    code = (
        "import sys; from lowmem_tui.cli.main import run_command; "
        "run_command(['whatif', '--demo']); "
        "sys.exit(any(m.split('.')[0] in {'textual', 'rich'} for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
