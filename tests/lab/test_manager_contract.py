"""Both D-Bus clients do the same on a real systemd (the tests are in guest/)."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from . import recipe
from .guest.run import run_there

if TYPE_CHECKING:
    from .machine import Machine


CLIENTS = [("jeepney", recipe.VENV), ("pydbus", recipe.VENV_PYDBUS)]

CORE = (
    *("units_are_those_of_systemctl", "all_agree_with_systemctl_show", "alias_gives_the_primary"),
    *("of_a_masked_unit", "of_a_template_and_an_instance", "of_escaped_names"),
    *("of_drop_ins_and_a_stale_file", "reset_failed", "a_refusal_is_one_sentence"),
    *("sees_a_start_and_a_stop", "sees_a_reload", "a_lost_connection_is_made_again"),
    "an_ordinary_user_looks_and_cannot_change",
)
"""The part of the contract that is run each time: what the program is used for all day."""


@pytest.mark.parametrize(("bus", "venv"), CLIENTS)
def test_the_contract_s_core(machine: Machine, bus: str, venv: str) -> None:
    done = run_there(
        machine, venv, "manager_contract.py", "-k", shlex.quote(" or ".join(CORE)), bus=bus
    )
    assert f"{len(CORE)} passed" in done


@pytest.mark.long
@pytest.mark.parametrize(("bus", "venv"), CLIENTS)
def test_the_contract(machine: Machine, bus: str, venv: str) -> None:
    run_there(machine, venv, "manager_contract.py", bus=bus)


def test_both_say_the_same(machine: Machine) -> None:
    """Every property of every unit, to the last one."""
    ask = """
import sys
if sys.argv[1] == "pydbus":
    from lowmem_tui.host.dbus.pydbus_client import PydbusManager as Manager
else:
    from lowmem_tui.host.dbus.jeepney_client import JeepneyManager as Manager
manager = Manager()
names = [u.name for u in manager.list_units() if not u.name.endswith((".scope", ".device"))]
found = manager.properties([*names, "worker@.service", "nosuch.service"])
for name, found in sorted(found.items()):
    print(name, found)
"""
    before, other, after = (
        machine.run([f"{venv}/bin/python", "-c", ask, bus]).stdout.splitlines()
        for bus, venv in (
            ("jeepney", recipe.VENV),
            ("pydbus", recipe.VENV_PYDBUS),
            ("jeepney", recipe.VENV),
        )
    )
    # What started or ended meanwhile is not compared.
    unchanged = set(before) & set(after)
    assert len(unchanged) > 100
    assert unchanged - set(other) == set()
    assert len(unchanged) > 0.8 * len(before)


def test_missing_pydbus_is_reported(machine: Machine) -> None:
    ask = "from lowmem_tui.host.dbus.pydbus_client import PydbusManager as M; M()"
    done = machine.run([f"{recipe.VENV}/bin/python", "-c", ask], check=False)
    assert done.returncode == 1
    assert "UnsupportedError: The pydbus client needs" in done.stderr
    assert "apt install python3-pydbus" in done.stderr
