"""Text by the cells of a terminal: counted, padded, cut and wrapped."""

from __future__ import annotations

import sys
import textwrap
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from lowmem_tui.model.cells import breaks, cells, cut, fit, fit_right, left, right, width_of, wrap
from lowmem_tui.model.text import plain

CHINESE = "下一个 OOM 终止对象：redis-server.service，进程 512（redis-server）。终止后释放 301M。"
MIXED = st.text("ab c-.,内存，。（）“”…─é\u0301\u200b\u3000한\U0001f600", max_size=80)
CLOSING = "，。：、）”…"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), ("MAX", 3), ("上限", 4), ("a上b，", 6), ("▾ │…", 4), ("e\u0301", 1),
        ("a\u200bb", 2), ("\uff21", 2), ("\uff76", 1), ("\U0001f600", 2), ("\U00020000", 2),
        ("\u1112\u1161\u11ab", 2),
    ],
)  # fmt: skip
def test_cells_are_counted_as_a_terminal_does(text: str, count: int) -> None:
    assert cells(text) == count


def test_what_is_shown_is_as_wide_as_textual_counts_it() -> None:
    """Textual lays strips out by Rich's table: another width would move the rest of a row."""
    each = [*range(0x3400), *range(0xA000, 0xAC00), *range(0xD7A0, 0x1FFFF)]
    some = range(0x3400, sys.maxunicode, 257)  # long rows of ideographs and of nothing
    assert [
        hex(code)
        for code in (*each, *some)
        if cells(shown := plain(chr(code))) != cell_len(shown) or not cells(shown)
    ] == []


def test_the_short_cut_for_narrow_text_agrees_with_the_table_of_unicode() -> None:
    assigned = (c for c in map(chr, range(0x3400)) if unicodedata.category(c) not in {"Cc", "Cn"})
    assert [hex(ord(c)) for c in assigned if cells(c) != width_of(c)] == []


@given(MIXED, st.integers(0, 30))
def test_a_padded_text_takes_at_least_its_width(text: str, width: int) -> None:
    assert cells(left(text, width)) == cells(right(text, width)) == max(cells(text), width)
    assert left(text, width).startswith(text)
    assert right(text, width).endswith(text)


@given(MIXED, st.integers(0, 30), st.sampled_from(["", "…", "...", "等"]))
def test_a_fitted_text_takes_exactly_its_width(text: str, width: int, more: str) -> None:
    assert cells(fit(text, width, more)) == cells(fit_right(text, width, more)) == width


@given(MIXED, st.integers(0, 30), st.sampled_from(["", "…", "等"]))
def test_a_cut_text_is_a_beginning_of_whole_characters(text: str, width: int, more: str) -> None:
    shown = cut(text, width, more)
    assert cells(shown) <= width
    if cells(text) <= width:
        assert shown == text
    elif width > cells(more):
        kept = shown.removesuffix(more)
        assert text.startswith(kept)
        assert width_of(text[len(kept)])  # its marks have come along
        assert cells(kept + text[len(kept)]) > width - cells(more)


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "abc…"),
        ("abcdef", 1, "…"),
        ("数据库", 4, "数… "),
        ("数", 4, "数  "),
        ("", 2, "  "),
    ],
)
def test_fit(text: str, width: int, fitted: str) -> None:
    assert fit(text, width, "…") == fitted


@example(" aaa", 5)
@given(st.text("ab -.,", max_size=120), st.integers(5, 40))
def test_english_is_wrapped_as_textwrap_does(text: str, width: int) -> None:
    assert wrap(text, width, first="* ", then="    ") == textwrap.wrap(
        text,
        width,
        initial_indent="* ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


@pytest.mark.parametrize("width", [24, 30, 40, 80])
def test_chinese_is_wrapped_by_cells_and_no_line_begins_with_a_comma(width: int) -> None:
    lines = wrap(CHINESE, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == CHINESE.replace(" ", "")
    assert not any(line[0] in CLOSING for line in lines)


@given(MIXED, st.integers(4, 40), st.booleans())
def test_nothing_is_lost_by_wrapping(text: str, width: int, whole: bool) -> None:
    lines = wrap(text, width, whole=whole)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert whole or all(cells(line) <= width for line in lines)


@given(MIXED, st.integers(4, 40))
def test_a_line_never_begins_with_a_mark_of_the_character_before(text: str, width: int) -> None:
    assert all(width_of(text[at]) for at in breaks(text, width))


def test_a_sentence_is_not_broken_before_its_full_stop() -> None:
    assert wrap("没有内存。", 8) == ["没有内", "存。"]
    assert wrap("按 Esc 重新显示所有单元。", 12) == ["按 Esc 重新", "显示所有单", "元。"]
