"""Whole numbers that others wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.integer import natural, signed

NOT_NATURAL = ["", "-", "+1", "-1", " 1", "1 ", "1_0", "²", "１２", "٣", "0x10", "1e3", "9" * 21]


@pytest.mark.parametrize("text", NOT_NATURAL)
def test_all_but_ascii_digits_of_bounded_length_is_no_number(text: str) -> None:
    assert natural(text) is None
    assert natural(text.encode()) is None


@given(st.integers(0, 2**64 - 1))
def test_a_number_of_64_bits_is_read(number: int) -> None:
    assert natural(str(number)) == natural(str(number).encode()) == signed(str(number)) == number
    assert signed(f"-{number}") == signed(f"-{number}".encode()) == -number


@given(st.text())
def test_any_text_is_a_number_or_none(text: str) -> None:
    for value in (natural(text), signed(text)):
        assert value is None or isinstance(value, int)


def test_the_length_is_bounded() -> None:
    assert natural("12345", 4) is None
    assert signed("-1234", 4) == -1234
