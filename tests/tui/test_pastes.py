"""What is pasted: cut on its way in, and to the room that a field has; nothing in it is obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import Paste

from lowmem_tui.model.unit import Key
from lowmem_tui.tui.screens.confirm import ConfirmScreen
from lowmem_tui.tui.terminal.pastes import END, MOST, START, ShortPastes, first_line
from lowmem_tui.tui.widgets.typed import Typed
from tests.tui.pages import desk, unit_page
from tests.tui.small import SmallServer

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS = st.text(st.sampled_from("a\x1b[201~\x07\n\t\u00e9"), max_size=30)


def fed(stream: str, cuts: Sequence[int]) -> str:
    pastes, at = ShortPastes(), 0
    taken = ""
    for cut in (*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)):
        taken += pastes.feed(stream[at:cut])
        at = cut
    return taken


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), st.lists(st.integers(0, 500), max_size=8))
def test_however_it_comes_it_is_the_same(parts: list[tuple[str, str]], cuts: list[int]) -> None:
    stream = "".join(f"{keys}{START}{pasted}{END}" for keys, pasted in parts)
    assert fed(stream, cuts) == fed(stream, ())


@given(TEXTS, st.text(), st.lists(st.integers(0, 500), max_size=8))
def test_keys_pass_and_control_characters_of_a_paste_do_not(
    keys: str, pasted: str, cuts: list[int]
) -> None:
    pasted = pasted.replace(END, "")
    taken = fed(f"{keys.replace(START, '')}{START}{pasted}{END}", cuts)
    before, _, rest = taken.partition(START)
    body, _, behind = rest.partition(END)
    assert (before, behind) == (keys.replace(START, ""), "")
    assert len(body) == min(len(pasted), MOST)
    assert not {chr(n) for n in range(32)} - set("\t\n\r") & set(body)


def test_no_paste_is_longer_than_that() -> None:
    assert len(fed(START + "x" * 1_000_000 + END, range(0, 1_000_000, 4096))) == (
        len(START) + MOST + len(END)
    )


@given(st.text(), st.integers(0, 50))
def test_a_line_has_room_for_so_much(text: str, room: int) -> None:
    line, said = first_line(text, room, 50)
    assert len(line) <= room
    assert line.isprintable()
    first = (text.strip("\r\n").splitlines() or [""])[0]
    assert said.startswith("Cut: 50 characters at most.") == (len(first) > room)


@pytest.mark.parametrize("size", [(80, 24), (40, 20), (120, 35)])
async def test_a_field_says_that_it_cuts(size: tuple[int, int]) -> None:
    async with unit_page(SmallServer(), size) as page:
        await page.into(Key.MEMORY_MAX)
        page.entry(Key.MEMORY_MAX).post_message(Paste("6" * 5000))
        await page.settle()
        assert page.entry(Key.MEMORY_MAX).value == "6" * 200
        assert "Cut: 200 characters at most." in page.words
        # The cursor behind it is in sight.
        entry = page.entry(Key.MEMORY_MAX)
        assert entry.scroll_offset.x >= 200 - entry.size.width + 1
        await page.press("1")
        assert "Cut: 200 characters at most." in page.words
        await page.press("backspace")
        assert "Cut:" not in page.words
        await page.press("ctrl+u")
        entry.post_message(Paste("\r\n600M\x1b[2J\t\nrm -rf /\n"))
        await page.settle()
        assert entry.value == "600M\u00b7[2J "
        assert "Only the first line of the paste was used." in page.words


async def test_the_word_that_overrules_says_that_it_cuts() -> None:
    async with desk(SmallServer()) as page:
        await page.app.push_screen(
            ConfirmScreen(page.session, "A check refuses this:", ["It is too small."])
        )
        await page.settle()
        page.app.screen.query_one(Typed).post_message(Paste("yes " * 20))
        await page.settle()
        assert "Cut: 20 characters at most." in page.words
        await page.press("backspace")
        assert "Cut" not in page.words
