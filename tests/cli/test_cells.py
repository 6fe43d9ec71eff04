"""Text by terminal cells, as the commands lay it out."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lowmem_tui.cli.arguments import OF_ARGPARSE
from lowmem_tui.cli.language import prepare
from lowmem_tui.cli.main import parser
from lowmem_tui.model import language
from lowmem_tui.model.cells import cells


def test_help_is_in_chinese_and_fits(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    try:
        prepare(["--lang", "zh_CN"])
        text = parser().format_help()
    finally:
        language.use(language.ENGLISH, None)
    assert "显示此帮助并退出" in text
    assert "usage" not in text
    assert max(map(cells, text.splitlines())) <= 80
    assert len(OF_ARGPARSE) > 10


@pytest.mark.parametrize(("command", "first"), [("triage", "  评分"), ("list", "重启")])
def test_columns_are_aligned_in_chinese(compiled: None, command: str, first: str) -> None:
    environ = {**os.environ, "LC_ALL": "zh_CN.UTF-8", "LANGUAGE": ""}
    done = subprocess.run(
        [sys.executable, "-m", "lowmem_tui", command, "--demo"],
        env=environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    lines = done.stdout.splitlines()
    head = next(line for line in lines if first in line)
    row = next(line for line in lines if "cloudchat.service" in line and "742" in line)
    column = cells(head[: head.index("评分") + 2])
    assert row[:column].endswith(" 742")
    assert "tier 0" not in done.stdout
