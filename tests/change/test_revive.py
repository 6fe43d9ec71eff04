"""What ran before a change and has failed since; a socket that fails with its service among it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, cast

from lowmem_tui.change.revive import revive, running
from lowmem_tui.change.trials.script import Roots, script
from lowmem_tui.model.errors import ManagerError
from tests.unit.servers import properties

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lowmem_tui.model.ports import Manager
    from lowmem_tui.model.unit import UnitProperties

SSH, SOCKET = "ssh.service", "ssh.socket"


class Units:
    """The part of ``Manager`` that is asked; a socket does not start while its service may not."""

    def __init__(self, *units: UnitProperties) -> None:
        self.units = {unit.name: unit for unit in units}
        self.asked: list[tuple[str, str]] = []

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        return {name: self.units[name] for name in names}

    def reset_failed_unit(self, name: str) -> None:
        self.asked.append(("reset", name))
        if name not in self.units:
            raise ManagerError("It is not loaded.")

    def restart_unit(self, name: str) -> None:
        self.asked.append(("start", name))


def manager(*units: UnitProperties) -> Manager:
    return cast("Manager", Units(*units))


def ssh(state: str, **changes: Any) -> UnitProperties:  # noqa: ANN401 - fields of UnitProperties
    return properties(SSH, active_state=state, triggered_by=(SOCKET,), **changes)


def socket(state: str, **changes: Any) -> UnitProperties:  # noqa: ANN401 - as above
    return properties(SOCKET, active_state=state, triggers=(SSH,), **changes)


def test_a_socket_that_waits_for_a_unit_ran_before_though_the_unit_did_not() -> None:
    assert running({SSH: ssh("inactive")}, manager(socket("active"))) == (SOCKET,)
    assert running({SSH: ssh("active")}, manager(socket("active"))) == (SOCKET, SSH)
    assert running({SSH: ssh("active")}, manager(socket("inactive"))) == (SSH,)
    timed = properties("a.service", triggered_by=("a.timer", "a.path"))
    assert running({"a.service": timed}, manager()) == ("a.service",)


def test_a_socket_that_failed_with_its_service_waits_again() -> None:
    """The service's starts are used up: without a reset the socket would fail again at once."""
    failed = {"active_state": "failed", "sub_state": "failed"}
    there = Units(
        socket("failed", result="service-start-limit-hit"), ssh("failed", result="oom-kill")
    )
    (said,) = revive((SOCKET,), cast("Manager", there))
    assert (
        str(said) == f"{SOCKET} failed meanwhile (service-start-limit-hit) and was started again."
    )
    assert there.asked == [("reset", SSH), ("reset", SOCKET), ("start", SOCKET)]
    gone = Units(properties(SOCKET, triggers=("gone.service",), **failed))
    assert len(list(revive((SOCKET,), cast("Manager", gone)))) == 1
    assert gone.asked[-1] == ("start", SOCKET)


SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>{asked}
case "$*" in
  "show --value -p Triggers -- ssh.socket") echo ssh.service ;;
  show*) printf '%s\\n' ActiveState=failed SubState=failed Result=service-start-limit-hit ;;
esac
"""


def test_the_script_has_it_wait_again(tmp_path: Path) -> None:
    tools, room = tmp_path / "tools", tmp_path / "room"
    for folder in (tools, room):
        folder.mkdir()
    (tools / "systemctl").write_text(SYSTEMCTL.format(asked=tmp_path / "asked"))
    (tools / "systemctl").chmod(0o755)
    (room / "data").write_text(f"id 1\nactive {SOCKET}\n")
    at = {
        name: str(tmp_path / name)
        for name in ("room", "notice", "lock", "drop_ins", "cgroup", "proc")
    }
    text = script(Roots(**at, PATH=f"{tools}:/usr/bin:/bin"))
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-4:] == [
        f"show --value -p Triggers -- {SOCKET}",
        f"reset-failed -- {SSH}",
        f"reset-failed -- {SOCKET}",
        f"start --no-block -- {SOCKET}",
    ]
    assert f"{SOCKET} failed meanwhile" in (room / "result").read_text()
