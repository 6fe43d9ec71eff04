"""TOML that costs more than it says."""

from __future__ import annotations

import time

import pytest

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.policy import toml

COSTLY = {
    "a key of 20,000 parts": ".".join("a" * 20000) + " = 1",
    "quoted parts": ".".join(['"a"'] * 20000) + " = 1",
    "a table of 20,000 parts": "[" + ".".join("a" * 20000) + "]",
    "in an inline table": "x = {" + ".".join("a" * 20000) + " = 1}",
    "nested arrays": "x = " + "[" * 50000,
    "nested tables": "x = " + "{a=" * 50000,
    "a long document": "# x\n" * 100_000,
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_what_costs_too_much_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidValueError):
        toml.parse(f"schema = 1\n{text}\n")
    assert time.process_time() - began < 1.0


def test_dots_in_texts_and_comments_are_none_of_a_key() -> None:
    dots = "." * 100
    assert toml.parse(f"a = \"{dots}\" # {dots}\nb = '{dots}'\n") == {"a": dots, "b": dots}
