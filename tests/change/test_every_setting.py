"""Every declared setting is known everywhere, and no fact of its declaration is idle."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from lowmem_tui.model.settings import Facts, Key
from tests.change.every_setting import STATIONS, omissions


@pytest.mark.parametrize("station", STATIONS, ids=lambda station: station.__name__)
@pytest.mark.parametrize("key", Key)
def test_a_declared_setting_is_known_everywhere(key: Key, station: object) -> None:
    assert callable(station)
    station(key)


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], str]:
    """Return by (key, fact) the station that fails when the fact is left out."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.change.every_setting"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return {(key, fact): station for key, fact, station in lines}


@pytest.mark.parametrize(("key", "fact"), omissions())
def test_a_fact_left_out_fails(key: str, fact: str, found: dict[tuple[str, str], str]) -> None:
    assert found[key, fact] != ""


def test_no_fact_may_be_left_out_of_a_declaration() -> None:
    assert [f.name for f in fields(Facts) if f.default is not MISSING] == []
    assert all(f.kw_only for f in fields(Facts))
