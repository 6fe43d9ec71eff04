"""The screens in Chinese: every line is as wide as the screen, columns stay in their places."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from lowmem_tui.model import language
from lowmem_tui.tui.widgets.prose import hang
from tests.tui.conftest import lines, opened
from tests.tui.test_picture import find

pytestmark = pytest.mark.usefixtures("chinese")

CHINESE = st.text(st.sampled_from("内存单元，。：“”（）ab7 .=-"))


@pytest.mark.parametrize("size", [(120, 35), (80, 24), (60, 20), (40, 20)])
async def test_every_line_is_as_wide_as_the_screen(size: tuple[int, int]) -> None:
    async with opened(size=size) as front:
        for keys in ((), ("t",), ("backslash", "x", "y", "z", "enter")):
            await front.press(*keys)
            await front.settle()
            shown = lines(front)
            assert {cell_len(line) for line in shown} == {size[0]}


@pytest.mark.parametrize("size", [(80, 24), (40, 20)])
@pytest.mark.parametrize("keys", [("f1",), ("f2",), ("f7",), ("K",), ("end", "enter")])
async def test_every_line_of_other_screens_is_as_wide(
    size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    async with opened(size=size) as front:
        await front.press(*keys)
        await front.settle()
        assert {cell_len(line) for line in lines(front)} == {size[0]}


@given(st.integers(20, 90))
def test_a_paragraph_behind_a_chinese_label_loses_nothing(width: int) -> None:
    words = "RSS 412M · total 500M · kernel 1.8M · swap 175M · 峰值 571M"
    shown = hang(Text(f" 内存      {words}"), width)
    assert max(line.cell_len for line in shown) <= width
    assert "".join("".join(line.plain for line in shown).split()) == "".join(f"内存{words}".split())


async def test_the_form_of_a_unit_is_aligned() -> None:
    async with opened(size=(80, 24)) as front:
        await find(front, "cloudchat.service")
        await front.press("enter")
        await front.until(lambda: any("OOMPolicy" in line for line in lines(front)))
        await front.settle()
        shown = lines(front)
        fields = [line for line in shown if "[ " in line]
        assert {cell_len(line) for line in shown} == {80}
        assert len(fields) > 5
        assert len({cell_len(line[: line.index("[")]) for line in fields}) == 1
        assert any("建议" in line for line in shown)


async def test_figures_are_below_their_headings() -> None:
    async with opened(size=(80, 24)) as front:
        heading, unit = front.units[0], front.line("   ssh.serv")
        ends = [cell_len(heading[: match.end()]) for match in re.finditer(r"\S+", heading)]
        figures = [cell_len(unit[: match.end()]) for match in re.finditer(r"\S+", unit)]
        assert "内存" in front.header[1]
        assert "OOM 终止对象：" in front.header[2]
        assert "超额分配" in front.header[2]
        assert figures[2] in ends, (heading, unit)


async def test_the_keys_fit_where_the_english_ones_do() -> None:
    async with opened(size=(80, 24)) as front:
        chinese = re.findall(r"F\d+", front.keys)
        language.use(language.ENGLISH, None)
        front.main._keys.paint()
        assert set(re.findall(r"F\d+", front.keys)) <= set(chinese)
