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
    assert "The next OOM victim is then redis-server.service" in " ".join(found["sentences"])


def test_a_new_limit_is_a_new_domain(capsys: Capture) -> None:
    found = json_of(capsys, "snapd:MemoryMax=100M")
    assert found["cgroup"]["snapd.service"]["now"] == []
    assert [e["name"] for e in found["cgroup"]["snapd.service"]["then"]] == ["snapd"]


def test_a_limit_that_is_never_reached_has_no_order(capsys: Capture) -> None:
    found = json_of(capsys, "snapd:MemoryMax=100G")
    assert found["cgroup"]["snapd.service"] == {"now": [], "then": []}
    said = text_of(capsys, "--set", "snapd:MemoryMax=100G")
    assert (
        said.count("snapd.service never reaches its limit of 100G: the machine has 967M of RAM.")
        == 2
    )


def test_for_a_person(capsys: Capture) -> None:
    said = text_of(capsys)
    assert "of 967M RAM + 2G swap in use:" in said
    assert "restarts in 3s" in said
    assert "The budget:" in said
    assert "Advice for MemoryMax:" in said


def test_side_by_side_for_a_person(capsys: Capture) -> None:
    said = text_of(capsys, "--set", "redis-server:OOMScoreAdjust=400")
    assert said.startswith("With this change, redis-server.service is killed before")
    row = next(line for line in said.splitlines() if line.startswith("  1 "))
    assert row.index(CHAT) < row.index("│") < row.index(REDIS)
    assert "1*redis-server.service" in row


NEVER = f"{CHAT}:OOMScoreAdjust=-1000"


def refused_of(capsys: Capture, *arguments: str) -> str:
    assert run_command(["whatif", "--demo", *arguments]) == Exit.REFUSED
    said = capsys.readouterr()
    assert "refused (oom-score-adjust-1000)" in said.err
    return said.out


def test_what_is_refused_is_shown_first_and_has_no_after(capsys: Capture) -> None:
    said = refused_of(capsys, "--set", NEVER)
    assert said.startswith(f"Refused, so not included: the settings of {CHAT}.\n")
    assert "AFTER THE CHANGE" not in said
    assert "The OOM kill order does not" not in said


def test_what_is_not_refused_beside_it_is_counted(capsys: Capture) -> None:
    said = refused_of(capsys, "--set", NEVER, "--set", f"{REDIS}:OOMScoreAdjust=400")
    assert said.startswith("Refused, so not included")
    assert f"The next OOM victim is then {REDIS}" in " ".join(said.split())


def test_refusals_are_data(capsys: Capture) -> None:
    found = json.loads(refused_of(capsys, "--json", "--set", NEVER))
    assert [(n["code"], n["unit"]) for n in found["refusals"]] == [("oom-score-adjust-1000", CHAT)]
    assert found["sentences"] == []


# what is set → what is warned of
WARNED = {
    "nothing": (f"{REDIS}:OOMScoreAdjust=400", []),
    "logins": ("ssh:OOMScoreAdjust=500", ["sessions-inherit"]),
    "a restart": (f"{CHAT}:Restart=no", ["limit-without-restart"]),
}


@pytest.mark.parametrize(("text", "codes"), WARNED.values(), ids=WARNED)
def test_the_plan_s_warnings_are_shown(capsys: Capture, text: str, codes: list[str]) -> None:
    assert [n["code"] for n in json_of(capsys, text)["warnings"]] == codes
    said = text_of(capsys, "--set", text)
    assert [code for code in codes if f"warning ({code}): " in said] == codes


def test_what_can_be_overruled_can_be_looked_at(capsys: Capture) -> None:
    wish = ["whatif", "--demo", "--set", "cloudchat:MemoryMax=50M"]
    assert run_command(wish) == Exit.REFUSED
    said = " ".join(capsys.readouterr().out.split())
    assert "settings of cloudchat.service. --force includes them." in said
    assert "When cloudchat.service reaches 50M" in text_of(capsys, *wish[2:], "--force")


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
