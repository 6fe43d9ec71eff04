"""Every screen in Chinese: each line as wide as the screen, no half character, columns aligned."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from lowmem_tui.tui.screens.plan_sheet import Stage
from lowmem_tui.tui.screens.review import ReviewScreen
from lowmem_tui.tui.screens.trial import TrialScreen
from tests.tui.conftest import lines, opened
from tests.tui.test_picture import find

if TYPE_CHECKING:
    from tests.tui.conftest import Front

pytestmark = pytest.mark.usefixtures("chinese")

SIZES = [(80, 24), (120, 35)]
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff](?:[:;?!]|, |\()|[，。：；？！（] +[\u4e00-\u9fff]")
"""A half-width mark after Chinese, or a blank after a full-width one, within a sentence."""


def showing(front: Front, words: str) -> bool:
    """Whether these words are on the screen in front."""
    return any(words in line for line in lines(front))


def well(front: Front, *words: str) -> None:
    """Check the screen in front: its widths and marks, and that it shows these words."""
    shown = lines(front)
    width = front.app.size.width
    assert [line for line in shown if cell_len(line) != width] == []
    assert [line for line in shown if HALF_WIDTH.search(line)] == []
    assert [word for word in words if word not in "\n".join(shown)] == []


async def page(front: Front, *words: str) -> None:
    """Check every page of the screen in front, from its top."""
    await front.settle()
    well(front, *words)
    for _ in range(4):
        await front.press("pagedown")
        well(front)


def column(front: Front, pattern: str) -> set[int]:
    """Return at which cells this begins in the lines that have it."""
    found = ((line, re.search(pattern, line)) for line in lines(front))
    return {cell_len(line[: match.start()]) for line, match in found if match}


@pytest.mark.parametrize("size", SIZES)
async def test_the_list_and_what_is_opened_from_it(size: tuple[int, int]) -> None:
    async with opened(size=size) as front:
        well(front, "层级 0 守门服务", "OOM 终止对象：", "演示")
        await front.press("t")
        well(front)
        await front.press("t", "end")
        well(front, "上方" if size[1] < 30 else "slice（6）")
        await front.press("f6")
        well(front, "排序依据")
        await front.press("escape", "backslash", "r", "e", "d")
        well(front, "筛选：red", "含“red”")
        await front.press("escape", "f3", "z", "z")
        well(front, "查找：zz")
        await front.press("escape", "f1")
        await page(front, "按键")
        await front.press("escape", "f7")
        await page(front, "OOM 终止顺序", "所属单元")
        await front.press("escape", "H")
        await front.until(lambda: showing(front, "尚未更改过"))
        await page(front, "历史")
        await front.press("escape", "K")
        await front.until(lambda: showing(front, "gunicorn"))
        await page(front, "内存耗尽，6.2s 后已重启")
        await front.press("enter")
        await front.until(lambda: showing(front, "内核报告"))
        await page(front, "（pid 30977）请求")


@pytest.mark.parametrize("size", SIZES)
async def test_a_change_from_the_form_to_its_undo(size: tuple[int, int]) -> None:
    async with opened(size=size) as front:
        await find(front, "redis-server.service")
        await front.press("enter")
        await front.until(lambda: showing(front, "OOMPolicy"))
        await front.press("tab", *"300M", "down", "x")
        await front.settle()
        well(front, "! MemoryHigh 未暂存")
        assert len(column(front, r"\[(?= |300M|x)")) == 1
        await front.press("backspace")
        await page(front)
        await front.press("f8")
        await front.until(
            lambda: (
                isinstance(front.app.screen, ReviewScreen) and front.app.screen.stage is Stage.SHOWN
            )
        )
        await page(front, "变更内容与生效时间")
        await front.press("a")
        await front.until(lambda: front.shows(TrialScreen))
        await front.until(lambda: showing(front, "已验证"))
        await page(front, "试用：剩余")
        await front.press("y")
        await front.until(lambda: not front.session.trials.running)
        await page(front)
        await front.press("escape", "escape")
        await front.press("H")
        await front.until(lambda: showing(front, "历史：1"))
        await page(front)
        await front.press("u")
        await front.until(lambda: showing(front, "撤销变更"))
        await page(front)


@pytest.mark.parametrize("size", SIZES)
async def test_every_step_of_the_guide(size: tuple[int, int]) -> None:
    async with opened(size=size) as front:
        await front.press("f2")
        await front.until(lambda: showing(front, "11 不需要的服务"))
        await front.until(lambda: not showing(front, "读取中"))
        await front.settle()
        well(front, "设置向导：", "待处理")
        assert len(column(front, r"完成|待处理 \d|无需处理  ")) == 1
        for number in range(1, 12):
            await front.press("home", *["down"] * (number - 1), "enter")
            await front.until(partial(showing, front, f" {number}/11 "))
            await page(front)
            await front.press("escape")
        await front.press("R")
        await front.until(lambda: showing(front, "设置报告"))
        await page(front)


async def test_a_small_terminal() -> None:
    async with opened(size=(40, 12)) as front:
        well(front)
        for key in ("f1", "f2", "f7", "H", "K"):
            await front.press(key)
            await page(front)
            await front.press("escape")
