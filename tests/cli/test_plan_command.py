"""`plan` and `apply` on the demo server: --set, --policy, what they print and how they end."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import dropin
from lowmem_tui.policy.plan import parse_set, plan

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[str]

POLICY = """\
schema = 1
[units.nginx]
OOMPolicy = "continue"
OOMScoreAdjust = -300
[units."worker@*"]
MemoryMax = "96M"
[units."redis.service"]
MemoryMax = "200M"
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


def json_of(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert run_command(["plan", "--demo", "--json", *arguments]) == Exit.DONE
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in found["warnings"]]


def test_a_name_without_suffix_is_a_service(capsys: Capture) -> None:
    found = json_of(capsys, "--set", "nginx:OOMScoreAdjust=-300")
    assert [e["unit"] for e in found["effects"]] == ["nginx.service"]
    assert found["refusals"] == found["warnings"] == []


def test_the_tier_is_known_to_the_advice(capsys: Capture) -> None:
    found = json_of(capsys, "--set", "nginx:MemoryMax=80M", "--set", "nginx:OOMPolicy=continue")
    assert codes(found) == ["limit-on-gatekeeper"]


def test_the_largest_is_not_protected(capsys: Capture) -> None:
    found = json_of(capsys, "--set", "cloudchat:OOMScoreAdjust=-500")
    assert codes(found) == ["protects-largest"]


def test_the_guide_s_limits_are_more_than_there_is(capsys: Capture) -> None:
    found = json_of(capsys, "--set", "redis-server:MemoryMax=300M")
    assert codes(found) == ["limits-over-ram"]


def test_a_warning_names_its_unit(capsys: Capture) -> None:
    sets = ("--set", "cron:OOMScoreAdjust=100", "--set", "nginx:OOMScoreAdjust=-300")
    assert run_command(["plan", "--demo", *sets]) == 0
    assert "(children-inherit): cron.service: Every job that it starts" in capsys.readouterr().out


def test_a_policy_is_one_plan(capsys: Capture, policy: Path) -> None:
    found = json_of(capsys, "--policy", str(policy))
    assert [(e["unit"], e["key"], e["to"]) for e in found["effects"]] == [
        ("nginx.service", "OOMPolicy", "continue"),
        ("nginx.service", "OOMScoreAdjust", "-300"),
        ("worker@a.service", "MemoryMax", "96M"),
        ("worker@b.service", "MemoryMax", "96M"),
        ("redis-server.service", "MemoryMax", "200M"),
    ]
    assert len(found["files"]) == 4
    assert codes(found) == ["alias"]


def test_a_policy_from_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(POLICY.encode())))
    assert len(json_of(capsys, "--policy", "-")["files"]) == 4


def test_units_that_are_not_loaded_have_files(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text('schema = 1\n[units]\nfstrim.OOMScoreAdjust = 100\n"worker@z".Restart="no"\n')
    found = json_of(capsys, "--policy", str(path))
    assert {e["unit"] for e in found["effects"]} == {"fstrim.service", "worker@z.service"}


def test_tiers_of_the_file_count_for_the_advice(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text('schema = 1\n[units.cron]\nMemoryMax="80M"\n[tiers]\ncron = 0\n')
    assert run_command(["plan", "--demo", "--policy", str(path)]) == Exit.DONE
    assert "limit-on-gatekeeper" in capsys.readouterr().out


def test_apply_takes_a_policy(capsys: Capture, policy: Path) -> None:
    assert run_command(["apply", "--demo", "--yes", "--policy", str(policy)]) == Exit.DONE
    said = capsys.readouterr().out
    assert said.count("\nWritten: ") == 4
    assert "Verified" in said


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_one_refusal_refuses_all(capsys: Capture, policy: Path, command: str) -> None:
    policy.write_text(POLICY + "[units.cron]\nOOMScoreAdjust = -1000\n")
    assert run_command([command, "--demo", "--force", "--policy", str(policy)]) == Exit.REFUSED
    said = capsys.readouterr()
    assert "refused (oom-score-adjust-1000)" in said.err
    assert "Written: " not in said.out


WRONG = {
    "a section": ("[zork]\n", "line 9: section 'zork' is unknown"),
    "a step's value": ("[nginx]\nrate = 1.5\n", "line 10: write the value of rate"),
    "a step's key": ("[nginx]\nzork = 5\n", "line 10: [nginx] has no key 'zork'"),
    "a step's good and bad": ("[nginx]\nrate = '9r/s'\nx = 5\n", "line 11: [nginx] has no key"),
    "a unit": ("[units.zork]\nMemoryMax=5\n", "line 9: there is no unit zork"),
    "a key": ("[units.cron]\nNice=5\n", "line 10: 'Nice' is not a setting"),
    "a value": ("[units.cron]\nMemoryMax='x'\n", "line 10: 'x' is not a limit"),
    "what does not idle": ("[idle]\n'ssh.service' = 'off'\n", "line 10: [idle] has no key"),
    "not off": ("[idle]\n'snapd.service' = 'on'\n", "line 10: [idle] 'snapd.service' cannot be"),
    "a name without quotes": (
        "[idle]\nsnapd.service = 'off'\n",
        "line 10: write the name in quotes",
    ),
    "a tier": ("[tiers]\ncron=7\n", "line 10: a tier is 0, 1 or 2"),
    "no TOML": ("[units\n", "line 9"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_is_wrong_is_named_with_file_and_line(
    capsys: Capture, policy: Path, command: str, text: str, message: str
) -> None:
    policy.write_text(POLICY + text)
    assert run_command([command, "--demo", "--policy", str(policy)]) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"lowmem-tui: {policy}")
    assert message in said.err.replace("Line", "line")


UNREADABLE = {
    "no file": (None, "cannot be read (No such file or directory)"),
    "no text": (b"\xff\xfe", "is not UTF-8 text"),
    "too large": (b"#" * (1 << 20) + b"\n", "is larger than 1M"),
}


@pytest.mark.parametrize(("raw", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read(
    capsys: Capture, tmp_path: Path, raw: bytes | None, message: str
) -> None:
    path = tmp_path / "p"
    if raw is not None:
        path.write_bytes(raw)
    assert run_command(["plan", "--demo", "--policy", str(path)]) == Exit.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["--set", "a:MemoryMax=1G", "--policy", "x"]], ids=["neither", "both"]
)
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_set_or_policy(capsys: Capture, command: str, arguments: list[str]) -> None:
    assert run_command([command, "--demo", *arguments]) == Exit.USAGE
    assert "--policy" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "apply", "whatif"])
@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("redis-server:MemoryMax=200M", "redis-server:MemoryMax=300M", Exit.USAGE),
        ("redis:MemoryMax=200M", "redis-server:MemoryMax=300M", Exit.USAGE),
        ("redis:MemoryMax=200M", "redis-server:MemoryMax=", Exit.USAGE),
        ("redis:MemoryMax=200M", "redis-server:MemoryMax=200M", Exit.DONE),
    ],
)
def test_the_same_setting_twice(
    capsys: Capture, command: str, first: str, second: str, status: int
) -> None:
    words = [command, "--demo", "--set", first, "--set", second]
    assert run_command([*words, "--yes"] if command == "apply" else words) == status
    assert ("contradict" in capsys.readouterr().err) == (status != Exit.DONE)


def test_our_setting_can_be_dropped_when_the_unit_is_gone() -> None:
    server = DemoServer(0, time.monotonic)
    path = dropin.path("gone.service")
    server.files.write(path, dropin.render("gone.service", {Key.MEMORY_MAX: "1G"}, "Service"))
    backend = serve(server)
    try:
        made = plan([parse_set("gone:MemoryMax=")], backend.situation(["gone.service"]))
        assert [(f.path, f.after) for f in made.files] == [(path, None)]
        outcome = backend.apply(made)
    finally:
        backend.close()
    assert (outcome.files, outcome.mismatches) == ((path,), ())
    assert server.files.read(path) is None


def test_sections_of_the_steps_cannot_be_on_trial(capsys: Capture, policy: Path) -> None:
    policy.write_text(POLICY + '[idle]\n"snapd.service" = "off"\n')
    words = ["apply", "--demo", "--yes", "--trial", "60", "--policy", str(policy)]
    assert run_command(words) == Exit.REFUSED
    said = capsys.readouterr()
    assert "Only settings of units can be on trial" in said.err
    assert "Written: " not in said.out


def test_tiers_of_a_policy_file_are_kept(capsys: Capture, policy: Path) -> None:
    policy.write_text(POLICY + "[tiers]\ncron = 0\nnginx = 0\n")
    found = json_of(capsys, "--policy", str(policy))
    (file,) = [f for f in found["files"] if f["path"] == "/etc/lowmem-tui/config.toml"]
    assert file["after"].endswith('[tiers]\n"cron.service" = 0\n')
