"""A sample of `make fuzz`: each parser with two thousand inputs."""

from __future__ import annotations

import time

import pytest

from tests.fuzz.inputs import TooSlowError, check, inputs
from tests.fuzz.targets import TARGETS, Target

COUNT = 2000

PATIENCE = 2.0
"""Seconds: what takes the square of its length takes more, on however busy a machine."""


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_parsed_or_refused_in_a_sentence(name: str) -> None:
    for data in inputs(TARGETS[name], COUNT):
        try:
            check(TARGETS[name], data, PATIENCE)
        except Exception as error:
            error.add_note(repr(data[:2000]))
            raise


def test_an_error_that_is_not_the_projects_own_is_found() -> None:
    def broken(data: bytes) -> object:
        raise KeyError(data)

    with pytest.raises(KeyError):
        check(Target(broken, frozenset()), b"x")


def test_an_input_that_takes_too_long_is_found() -> None:
    def slow(data: bytes) -> object:
        until = time.process_time() + 0.11
        while time.process_time() < until:
            pass
        return None

    with pytest.raises(TooSlowError):
        check(Target(slow, frozenset()), b"x")
