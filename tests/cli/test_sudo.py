from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli import sudo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "some where" / "lowmem-tui"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_where_sudo_does_not_look_the_path_is_shown(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sudo.command(str(program)) == f"sudo '{program}'"
    monkeypatch.chdir(program.parent)
    assert sudo.command("./lowmem-tui") == f"sudo '{program}'"


def test_where_sudo_looks_the_name_is_enough(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "lowmem-tui").symlink_to(program)
    monkeypatch.setattr(sudo, "SECURE_PATH", str(folder))
    assert sudo.command(str(folder / "lowmem-tui")) == "sudo lowmem-tui"
    assert sudo.command(str(program)) == "sudo lowmem-tui"


@pytest.mark.parametrize("started", ["/x/lowmem_tui/__main__.py", "/nosuch/lowmem-tui", "-c", ""])
def test_started_in_another_way(started: str) -> None:
    assert sudo.command(started) == "sudo lowmem-tui"


def test_the_demo_server_needs_no_root() -> None:
    assert sudo.command(demo=True) == "lowmem-tui --demo"
