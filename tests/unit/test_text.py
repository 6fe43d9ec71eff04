"""Text that others wrote is shown without harm."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.text import plain

HOSTILE = {
    "escape sequence": ("\x1b[2Jx", "·[2Jx"),
    "C1 control": ("a\x9b31mb", "a·31mb"),
    "new line": ("a\r\nb", "a··b"),
    "tab and bell": ("a\tb\a", "a·b·"),
    "NUL": ("a\0b", "a·b"),
    "bidi override": ("a\u202eb\u202c", "a·b·"),
    "bidi isolate": ("\u2066a\u2069", "·a·"),
    "right-to-left mark": ("a\u200fb\u061c", "a·b·"),
    "zero width": ("a\u200bb\u200d\ufeff", "a·b··"),
    "undecodable byte": ("a\udcffb", "a·b"),
    "private use": ("a\ue000", "a·"),
    "unassigned": ("a\U000e0fff", "a·"),
    "tag character": ("a\U000e0041", "a·"),
    "line separator": ("a\u2028b", "a·b"),
    "combining marks": ("x\u0335\u0335", "x··"),
    "odd spaces": ("a\u00a0\u3000b", "a  b"),
    "Hangul filler": ("a\u3164b", "a·b"),
    "soft hyphen": ("a\xadb", "a·b"),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_harmless(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", ["", "nginx: worker", "[bold]x[/]", "Grüße", "日本", "e\u0301"])
def test_harmless_text_stays(text: str) -> None:
    assert plain(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("\x1b" * 9, 3, "··…"),
    ],
)
def test_text_is_cut_to_its_width(text: str, width: int, shown: str) -> None:
    assert plain(text, width) == shown


ANY = st.text(st.characters())  # surrogates included


@given(ANY)
def test_nothing_unprintable_is_left(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Mn"}


@given(ANY, st.integers(0, 20))
def test_the_width_is_kept(text: str, width: int) -> None:
    shown = plain(text, width)
    assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown) <= width


@given(ANY)
def test_what_is_shown_is_shown_the_same_again(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("width", [None, 80])
def test_a_long_run_of_marks_takes_linear_time(width: int | None) -> None:
    """The normal form of a run of marks is quadratic: 40,000 took seconds."""
    marks = "a" + "\u0301" * 20_000 + "\u0327" * 20_000
    began = time.process_time()
    assert set(plain(marks, width)) <= set("á·…")
    assert time.process_time() - began < 0.5


def test_text_of_many_marks_is_cut_as_other_text() -> None:
    assert plain("a\u0301" * 9000, 5) == "áááá…"
