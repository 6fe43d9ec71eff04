"""Running one file of this folder inside of a machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lab.machine import Machine

HERE = Path(__file__).parent
THERE = "/root/guest"
LIMIT = 3600.0
"""Seconds; a machine that shares two processors with others has needed a quarter of that."""


def run_there(machine: Machine, venv: str, file: str, *options: str, bus: str = "jeepney") -> str:
    """Run the tests of a file on the machine's own systemd; fail with what they say.

    Returns what pytest said.
    """
    machine.put(HERE, THERE)
    done = machine.run(
        f"cd {THERE} && LOWMEM_BUS={bus} {venv}/bin/python -W ignore -m pytest -p no:cacheprovider "
        f"-q -ra --tb=short {file} {' '.join(options)}",
        check=False,
        timeout=LIMIT,
    )
    print(done.stdout)
    if done.returncode != 0:
        pytest.fail(f"{file} failed in the machine:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout
