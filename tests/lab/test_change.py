"""A change on a real systemd (the tests are in guest/), and through the command line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from . import recipe
from .guest.run import run_there

if TYPE_CHECKING:
    from collections.abc import Generator

    from .machine import Machine
    from .ssh import Result

UNIT = "worker@alpha.service"
PATH = f"/etc/systemd/system/{UNIT}.d/zz-lowmem-tui.conf"


CORE = ("an_alias_goes_to_the_primary_unit", "the_reload_fails")
"""Of the tests of guest/change_on_systemd.py, those that no test below has in another form."""


def test_the_core_on_a_real_systemd(machine: Machine) -> None:
    done = run_there(
        machine, recipe.VENV, "change_on_systemd.py", "-k", shlex.quote(" or ".join(CORE))
    )
    assert "3 passed" in done, "the reload fails in two ways"


@pytest.mark.long
def test_on_a_real_systemd(machine: Machine) -> None:
    run_there(machine, recipe.VENV, "change_on_systemd.py")


@pytest.fixture
def clean(machine: Machine) -> Generator[Machine, None, None]:
    """A machine whose unit is as it was again afterwards."""
    yield machine
    machine.run(
        f"rm -rf {shlex.quote(PATH.rpartition('/')[0])}; systemctl daemon-reload; "
        f"systemctl restart {UNIT}"
    )


def set_(machine: Machine, *settings: str, command: str = "apply", user: str = "root") -> Result:
    words = [
        *("lowmem-tui", command),
        *(word for setting in settings for word in ("--set", f"{UNIT}:{setting}")),
    ]
    if command == "apply":
        words.append("--yes")
    return machine.run(words, check=False, timeout=600, user=user)


def read(machine: Machine) -> tuple[str, str, str]:
    """Return loaded MemoryMax, kernel's memory.max, oom_score_adj of the main process."""
    loaded, group, pid = (
        machine.run(["systemctl", "show", "-P", name, UNIT]).stdout.strip()
        for name in ("MemoryMax", "ControlGroup", "MainPID")
    )
    kernel = machine.get(f"/sys/fs/cgroup{group}/memory.max").strip()
    return loaded, kernel, machine.get(f"/proc/{pid}/oom_score_adj").strip()


def test_by_command(clean: Machine) -> None:
    done = set_(clean, "MemoryMax=80M", "OOMScoreAdjust=-55")
    assert done.returncode == 0, done
    assert "MemoryMax=80M" in clean.get(PATH)
    assert read(clean) == (str(80 << 20), str(80 << 20), "-55")
    done = set_(clean, "MemoryMax=", "OOMScoreAdjust=")
    assert done.returncode == 0, done
    assert read(clean) == ("infinity", "max", "0")
    assert clean.run(["test", "-e", PATH], check=False).returncode == 1


def test_a_later_file_wins_and_is_named(clean: Machine) -> None:
    later = f"{PATH.rpartition('/')[0]}/zzz-theirs.conf"
    clean.run(["mkdir", "-p", later.rpartition("/")[0]])
    clean.write(later, "[Service]\nMemoryMax=70M\n")
    clean.run(f"systemctl daemon-reload; systemctl restart {UNIT}")
    planned = set_(clean, "MemoryMax=80M", command="plan")
    assert later in planned.stdout
    done = set_(clean, "MemoryMax=80M")
    assert done.returncode == 1, done
    assert later in done.stdout + done.stderr
    assert "MemoryMax=80M" in clean.get(PATH)
    assert read(clean)[:2] == (str(70 << 20), str(70 << 20))
    assert clean.get(later) == "[Service]\nMemoryMax=70M\n"


def test_no_systemd(machine: Machine) -> None:
    for command in ("list", "plan --set cron:MemoryMax=64M", "apply --set cron:MemoryMax=64M"):
        done = machine.run(
            f"unshare --mount sh -c 'mount -t tmpfs none /run/systemd && lowmem-tui {command}'",
            check=False,
        )
        assert (done.returncode, done.stdout) == (5, ""), command
        assert "--demo" in done.stderr


def test_exit_codes(clean: Machine) -> None:
    refused = set_(clean, "OOMScoreAdjust=-1000")
    assert (refused.returncode, refused.stdout.strip()) == (3, "")
    denied = set_(clean, "MemoryMax=80M", user="op")
    assert denied.returncode == 4
    assert "sudo" in denied.stderr
    assert clean.run(["test", "-e", PATH], check=False).returncode == 1

    folder = PATH.rpartition("/")[0]
    clean.run(
        f"mkdir {shlex.quote(folder)} && mount -t tmpfs -o mode=755,ro lab {shlex.quote(folder)}"
    )
    try:
        failed = set_(clean, "MemoryMax=80M")
    finally:
        clean.run(f"umount {shlex.quote(folder)}")
    assert failed.returncode == 6, failed
    assert "read-only" in failed.stderr
    assert "previous value" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert read(clean) == ("infinity", "max", "0")
