"""Text by terminal cells, as the commands lay it out."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.cli.arguments import OF_ARGPARSE
from lowmem_tui.cli.cells import cells, left, right, wrap
from lowmem_tui.cli.language import prepare
from lowmem_tui.cli.main import parser
from lowmem_tui.model import language
from lowmem_tui.model.text import plain

CHINESE = "下一个 OOM 终止对象：redis-server.service，进程 512（redis-server）。终止后释放 301M。"


@pytest.mark.parametrize("text", ["", "MAX", "上限", "a上b，"])
def test_a_cell_is_counted_as_the_terminal_does(text: str) -> None:
    assert cells(text) == next(n for n in range(20) if plain(text, n) == text)
    assert cells(left(text, 12)) == cells(right(text, 12)) == 12
    assert left(text, 12).strip() == right(text, 12).strip() == text


@given(st.text("ab -.,", max_size=120), st.integers(5, 40))
def test_english_is_wrapped_as_textwrap_does(text: str, width: int) -> None:
    assert wrap(text, width) == textwrap.wrap(
        text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


@pytest.mark.parametrize("width", [24, 30, 40, 80])
def test_chinese_is_wrapped_by_cells_and_no_line_begins_with_a_comma(width: int) -> None:
    lines = wrap(CHINESE, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(line.strip() for line in lines).replace(" ", "") == CHINESE.replace(" ", "")
    assert not any(line.lstrip()[0] in "，。：、）" for line in lines)


@given(st.text("ab 内存，。（）", max_size=80), st.integers(8, 40))
def test_nothing_is_lost_by_wrapping(text: str, width: int) -> None:
    lines = wrap(text, width, then="")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


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
