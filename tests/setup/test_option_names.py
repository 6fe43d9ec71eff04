"""Each finding says which option it is about; conftest.py holds every test's findings to it."""

from __future__ import annotations

import pytest

from .option_names import NAMES, NONE, codes, missing, prefix_of


@pytest.mark.parametrize("code", sorted(set(codes())))
def test_every_code_has_an_option_or_is_about_none(code: str) -> None:
    assert prefix_of(code)


def test_the_tables_have_no_code_that_is_gone() -> None:
    known = [*codes(), "gunicorn-", "redis-", "journal-", "sysctl-", "box-"]
    for prefix in (*NAMES, *NONE):
        assert any(code.startswith(prefix) for code in known), prefix


def test_a_text_without_its_option_is_found() -> None:
    assert missing("nginx-unbounded", "It sends every request on.")
    assert not missing("nginx-unbounded", "It has no limit_req.")
    assert not missing("swap-off", "There is none.")
