"""What `check` says of settings in unit files that do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.check import describe, worst_first
from lowmem_tui.cli.looking import look
from lowmem_tui.model.setup import Severity

from .box import Box

if TYPE_CHECKING:
    from tests.english import Finding

FOLDER = "/etc/systemd/system"
DROP_IN = f"{FOLDER}/cloudchat.service.d/theirs.conf"


def findings(box: Box) -> list[Finding]:
    found = box.step("units").look().findings
    return [each for each in found if each.code.startswith("setting-")]


def test_the_demo_server_has_none() -> None:
    assert findings(Box()) == []


def test_an_old_name_that_this_systemd_takes_is_reported() -> None:
    box = Box()
    box.write(DROP_IN, "[Service]\nMemoryLimit=512M\n")
    assert {each.code for each in findings(box)} == {"setting-deprecated"}


def test_what_is_ignored_is_reported_with_its_file_and_line() -> None:
    box = Box()
    box.write(DROP_IN, "[Service]\nMemoryMax=512MB\nMemoryHigh=1G # enough\n[Unit]\nRestart=no\n")
    found = findings(box)
    assert [each.code for each in found] == ["setting-ignored"] * 3
    for each, line, name in zip(
        found, (2, 3, 5), ("MemoryMax", "MemoryHigh", "Restart"), strict=True
    ):
        assert each.severity is Severity.WARNING
        assert each.subject == "cloudchat.service"
        assert f"{DROP_IN}, line {line}" in each.text
        assert name in each.text
        assert each.remedy.startswith(f"sudoedit {DROP_IN}    # line {line}: ")
    assert "write MemoryMax=512M\n" in found[0].remedy


def test_what_is_overridden_is_reported_with_both_files() -> None:
    box = Box()
    box.write(DROP_IN, "[Service]\nMemoryMax=300M\n")
    (found,) = findings(box)
    assert (found.code, found.severity) == ("setting-overridden", Severity.ADVICE)
    assert f"MemoryMax=600M in {FOLDER}/cloudchat.service, line 15" in found.text
    assert f"MemoryMax=300M in {DROP_IN}, line 2" in found.text


def test_what_overrides_ours_is_graver() -> None:
    box = Box()
    step = box.step("units")
    box.backend.apply(step.plan({"cron.service:MemoryMax": "100M"}))
    assert findings(box) == []
    box.write(f"{FOLDER}/cron.service.d/zzz.conf", "[Service]\nMemoryMax=200M\n")
    (found,) = findings(box)
    assert (found.code, found.severity) == ("setting-overridden", Severity.WARNING)
    assert "zz-lowmem-tui.conf" in found.text


def test_slices_are_looked_at_too() -> None:
    box = Box()
    box.write(f"{FOLDER}/user.slice.d/theirs.conf", "[Service]\nMemoryMax=512M\n")
    (found,) = findings(box)
    assert found.subject == "user.slice"
    assert "only in [Slice]" in found.text


def test_a_file_of_several_units_is_reported_once() -> None:
    box = Box()
    box.write(f"{FOLDER}/worker@.service.d/theirs.conf", "[Service]\nMemoryMax=512MB\n")
    assert len(findings(box)) == 1


@pytest.mark.parametrize("name", ["MemoryMax", "OOMScoreAdjust", "Restart", "OOMPolicy"])
def test_check_names_the_option(name: str) -> None:
    box = Box()
    box.write(DROP_IN, f"[Service]\n{name}=nonsense # x\n")
    said = "\n".join(describe(worst_first(look(box.backend)), 500))
    assert f"{name}=nonsense # x in {DROP_IN}, line 2 is ignored by systemd" in said
