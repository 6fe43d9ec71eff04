"""The lab itself is what the other tests take it for."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import recipe
from .conftest import SUITES
from .image import REPOSITORY, LabError, prepared
from .machine import Machine
from .ssh import CommandError

if TYPE_CHECKING:
    from .conftest import OpenScreen
    from .image import Image

SERVICES = (
    "cloudchat.service",
    "cron.service",
    "nginx.service",
    "redis-server.service",
    "ssh.service",
    "worker@alpha.service",
    r"worker@a\x2db.service",
)


@pytest.mark.sample
def test_boots_without_a_failed_unit(machine: Machine) -> None:
    failed = machine.run("systemctl --failed --plain --no-legend").stdout
    assert failed == ""
    assert machine.run("systemctl is-system-running").stdout == "running\n"


@pytest.mark.sample
def test_is_the_suite_it_says(machine: Machine, suite: str) -> None:
    wanted = recipe.SUITES[suite]
    assert f"VERSION_CODENAME={wanted.release}\n" in machine.get("/etc/os-release")
    version = machine.run([f"{recipe.VENV}/bin/python", "--version"]).stdout
    assert version.startswith(f"Python {wanted.python}.")


def test_has_a_gibibyte_and_real_swap(machine: Machine) -> None:
    machine.wait_for("swapon --show --noheadings | grep -q .")
    (swap,) = machine.run("swapon --show=SIZE --noheadings --bytes").stdout.split()
    assert abs(int(swap) - (recipe.SWAP_SIZE_MIB << 20)) < 1 << 20
    total = machine.run("awk '/^MemTotal/ { print $2 }' /proc/meminfo").stdout
    assert 900 << 10 < int(total) <= 1 << 20


def test_has_only_cgroup_v2(machine: Machine) -> None:
    assert machine.run("stat -f -c %T /sys/fs/cgroup").stdout == "cgroup2fs\n"
    assert " cgroup rw" not in machine.get("/proc/mounts")


def test_has_pressure_figures(machine: Machine) -> None:
    assert machine.get("/proc/pressure/memory").startswith("some avg10=")
    assert machine.get("/sys/fs/cgroup/system.slice/memory.pressure").startswith("some avg10=")


@pytest.mark.parametrize("unit", SERVICES)
def test_service_runs_in_its_cgroup(machine: Machine, unit: str) -> None:
    shown = machine.run(["systemctl", "show", "-P", "ActiveState", unit]).stdout
    group = machine.run(["systemctl", "show", "-P", "ControlGroup", unit]).stdout.strip()
    assert shown == "active\n"
    assert machine.get(f"/sys/fs/cgroup{group}/memory.max") == "max\n"
    assert machine.get(f"/sys/fs/cgroup{group}/cgroup.procs") != ""


def test_cloudchat_answers(machine: Machine) -> None:
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/').read())"
    assert "hello" in str(machine.wait_for(f'/usr/bin/python3 -c "{fetch}"'))


def test_timers_wait(machine: Machine) -> None:
    timers = machine.run("systemctl list-timers --plain --no-legend").stdout
    assert "certbot.timer" in timers
    assert "backup.timer" in timers


def test_an_ordinary_user_has_no_rights(machine: Machine) -> None:
    assert machine.run(["id", "-Gn"], user="op").stdout == "op\n"
    with pytest.raises(CommandError, match="nteractive authentication"):
        machine.run("systemctl --no-ask-password daemon-reload", user="op")


def test_there_is_no_network(machine: Machine) -> None:
    connect = "import socket; socket.create_connection(('10.0.2.2', 22), 5)"
    assert machine.run(["/usr/bin/python3", "-c", connect], check=False).returncode != 0


def test_program_and_pytest_are_in_both_environments(machine: Machine) -> None:
    for venv, command in (
        (recipe.VENV, "lowmem-tui"),
        (recipe.VENV_PYDBUS, "lowmem-tui-pydbus"),
    ):
        found = machine.run(f"readlink -f $(command -v {command})", user="op").stdout
        assert found.strip() == f"{venv}/bin/lowmem-tui"
        where = "import lowmem_tui, jeepney, psutil, textual, pytest; print(lowmem_tui.__file__)"
        assert venv in machine.run([f"{venv}/bin/python", "-c", where]).stdout
        compiled = machine.run(f"find {venv}/lib/*/site-packages/lowmem_tui -name '*.pyc'").stdout
        assert "__init__" in compiled


def test_pydbus_talks_to_systemd(machine: Machine) -> None:
    ask = "import pydbus; print(pydbus.SystemBus().get('.systemd1').Version)"
    said = machine.run([f"{recipe.VENV_PYDBUS}/bin/python", "-c", ask]).stdout
    assert said.split(".")[0].isdigit()
    alone = machine.run([f"{recipe.VENV}/bin/python", "-c", "import pydbus"], check=False)
    assert alone.returncode != 0


def test_files_go_in_and_out(machine: Machine) -> None:
    machine.write("/tmp/lab test/note", "one\n", user="op")
    assert machine.get("/tmp/lab test/note") == "one\n"
    machine.run(["rm", "-r", "/tmp/lab test"])


def test_a_late_command_says_so(machine: Machine) -> None:
    with pytest.raises(LabError, match="has not ended after 1 s"):
        machine.run("exec -a late sleep 1000", timeout=1)
    machine.wait_for("pkill -x -f 'late 1000'")


@pytest.mark.long
def test_screen_shows_types_and_resizes(screen: OpenScreen) -> None:
    shell = screen("PS1='ready> ' exec sh", width=70, height=20, term="xterm-256color")
    shell.wait_for_text(r"^ready>")
    shell.type("echo $TERM; stty size")
    shell.send("Enter")
    shell.wait_for_text(r"^xterm-256color\n20 70$")
    shell.resize(90, 33)
    shell.type("stty size")
    shell.send("Enter")
    shell.wait_for_text(r"^33 90$")
    shell.type("exit 7")
    shell.send("Enter")
    assert shell.wait_for_exit() == 7


@pytest.mark.long
def test_source_can_be_refreshed(machine: Machine) -> None:
    machine.run(f"touch $(echo {recipe.VENV}/lib/*/site-packages/lowmem_tui)/stale.py")
    machine.refresh()
    for venv in (recipe.VENV, recipe.VENV_PYDBUS):
        assert machine.run(["test", "-e", f"{venv}/bin/lowmem-tui"]).returncode == 0
        machine.run(f"{venv}/bin/lowmem-tui --version")
        stale = f"test -e {venv}/lib/*/site-packages/lowmem_tui/stale.py"
        assert machine.run(stale, check=False).returncode != 0


@pytest.mark.long
def test_disk_survives_a_power_cut_and_a_reboot(machine: Machine) -> None:
    first = machine.get("/proc/sys/kernel/random/boot_id")
    machine.run("echo kept > /root/kept && sync /root/kept /root")
    machine.power_cut()
    assert not machine.running
    with pytest.raises(LabError, match="switched off"):
        machine.run("true")
    machine.boot_again()
    second = machine.get("/proc/sys/kernel/random/boot_id")
    assert machine.get("/root/kept") == "kept\n"
    machine.reboot()
    assert len({first, second, machine.get("/proc/sys/kernel/random/boot_id")}) == 3
    assert machine.get("/root/kept") == "kept\n"
    boots = machine.run("journalctl --list-boots --no-pager --quiet | wc -l").stdout
    assert int(boots) >= 3
    machine.run(["rm", "/root/kept"])


@pytest.mark.long
def test_machine_can_be_small_and_without_swap(wheel: Path) -> None:
    with Machine.boot(prepared(SUITES[-1], wheel), memory=512, swap=False) as machine:
        assert machine.run("swapon --show --noheadings").stdout == ""
        assert machine.run("systemctl is-system-running").stdout == "running\n"
        total = machine.run("awk '/^MemTotal/ { print $2 }' /proc/meminfo").stdout
        assert 400 << 10 < int(total) <= 512 << 10


def test_machine_ends_with_the_process_that_booted_it(wheel: Path) -> None:
    image = prepared(SUITES[-1], wheel)
    script = f"""
import os, signal, threading
from pathlib import Path
from tests.lab.image import Image
from tests.lab.machine import Machine
image = Image(*({image.suite!r}, *(Path(name) for name in {_paths(image)!r})))
machine = Machine(image)
starting = threading.Thread(target=machine.power_on)
starting.start()
starting.join()
print(machine.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    folder = ended.stdout.strip()
    deadline = time.monotonic() + 60
    while _processes_of(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    shutil.rmtree(folder)


def _paths(image: Image) -> list[str]:
    return [str(path) for path in (image.disk, image.kernel, image.initrd, image.swap, image.key)]


def _processes_of(folder: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if folder in path.read_text(errors="replace"):
                found.append(str(path))
    return found
