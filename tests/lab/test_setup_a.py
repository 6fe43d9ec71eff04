"""The set-up's steps on the machine itself: swap, the kernel's values, the journal.

Each test has a machine without swap to itself, and leaves its /etc as it was.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import recipe
from .etc import etc

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

pytestmark = pytest.mark.long

GUEST = Path(__file__).parent / "guest" / "steps.py"
TEMPORARY = "/.swapfile.lowmem-tui"
SIZE = 384 << 20
LOOK = "look box swap sysctl journal"
POLICY = {
    "swappiness": "10",
    "dirty_ratio": "10",
    "dirty_background_ratio": "5",
    "vfs_cache_pressure": "50",
    "overcommit_memory": "1",
}


def words(*arguments: str) -> str:
    return shlex.join([f"{recipe.VENV}/bin/python", "/root/steps.py", *arguments])


def drive(machine: Machine, commands: str) -> list[dict[str, Any]]:
    """Do these, with a ``+`` between, and return what came of each."""
    done = machine.run(words(*commands.split()), timeout=1800)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def swaps(machine: Machine) -> list[str]:
    lines = machine.get("/proc/swaps").splitlines()[1:]
    return [line.split()[0] for line in lines]


def values(machine: Machine) -> dict[str, str]:
    return {name: machine.get(f"/proc/sys/vm/{name}").strip() for name in POLICY}


def leftovers(machine: Machine) -> str:
    return machine.run(f"ls -d /swapfile {TEMPORARY} 2>/dev/null; true").stdout


def open_machine(boot: Boot) -> Machine:
    machine = boot(swap=False)
    machine.put(GUEST, "/root/steps.py")
    return machine


def test_on_and_on_after_a_reboot_and_undone(boot: Boot) -> None:
    machine = open_machine(boot)
    before, live = etc(machine), values(machine)
    found, *applied = drive(
        machine, f"{LOOK} + apply swap file={SIZE} + apply sysctl + apply journal"
    )
    assert found["box"]["findings"] == []
    assert found["swap"]["findings"] == ["swap-missing"]
    assert found["swap"]["items"]["file"] == ["none", "2G", False]
    assert len(found["sysctl"]["findings"]) == len(POLICY)
    # Of an image that is older than a week, old entries would go: that is no proposal then.
    assert found["journal"]["findings"] in (["journal-ram", "journal-age"], ["journal-ram"])

    assert len(applied) == 3
    for made in applied:
        assert made["again"] is True, made
        assert made["findings"] == [], made
    assert swaps(machine) == ["/swapfile"]
    # Written, never sparse.
    mode, size, blocks = machine.run("stat -c '%a %s %b' /swapfile").stdout.split()
    assert (mode, int(size)) == ("600", SIZE)
    assert int(blocks) * 512 >= SIZE
    assert values(machine) == POLICY

    machine.reboot()
    assert swaps(machine) == ["/swapfile"]
    assert values(machine) == POLICY
    failed = machine.run("systemctl --failed --no-legend").stdout
    assert failed == ""
    shown = machine.run("systemctl show -P ActiveState swapfile.swap systemd-journald").stdout
    assert shown.split() == ["active", "active"]
    # And a larger one in its place.
    found, made = drive(machine, f"{LOOK} + apply swap file={SIZE + (64 << 20)}")
    assert [found[name]["findings"] for name in found] == [[], [], [], []]
    # journald itself says what it goes by.
    limit = machine.run("journalctl -b -u systemd-journald -o cat | grep 'Runtime Journal'").stdout
    assert re.search(r"max 32(\.0)?M", limit)

    assert made["again"] is True, made
    assert swaps(machine) == ["/swapfile"]
    undone = drive(machine, "undo + undo + undo + undo")
    assert [each for each in undone if "error" in each] == []
    assert etc(machine) == before
    assert values(machine) == live
    assert swaps(machine) == []
    assert leftovers(machine) == ""
    machine.reboot()
    assert (swaps(machine), values(machine)) == ([], live)


def test_zram(boot: Boot) -> None:
    machine = open_machine(boot)
    before = etc(machine)
    (made,) = drive(machine, "apply swap zram=256M")
    assert made["again"] is True, made
    assert made["items"]["zram"] == ["256M", "256M", True]
    assert swaps(machine) == ["/dev/zram0"]
    machine.reboot()
    assert swaps(machine) == ["/dev/zram0"]
    assert machine.run("systemctl --failed --no-legend").stdout == ""
    found, undone = drive(machine, "look swap + undo")
    assert found["swap"]["findings"] == []
    assert "error" not in undone
    assert swaps(machine) == []
    assert etc(machine) == before


def test_what_goes_wrong_leaves_nothing(boot: Boot) -> None:
    machine = open_machine(boot)
    before = etc(machine)

    def as_before() -> None:
        assert leftovers(machine) == ""
        assert swaps(machine) == []
        assert etc(machine) == before
        machine.run("rm -rf /var/lib/lowmem-tui /var/log/lowmem-tui")

    def begin() -> None:
        """Begin, and wait until some of it is written."""
        # A unit of its own: a shell's background would have SIGINT ignored.
        machine.run(
            "rm -f /root/out; systemd-run --quiet --collect --unit lab-steps "
            f"-p StandardOutput=file:/root/out {words('apply', 'swap', 'file=1536M')}"
        )
        machine.wait_for(f"test $(stat -c %s {TEMPORARY}) -gt 100000000", timeout=600)

    def ended(signal: str = "") -> None:
        if signal:
            machine.run(f"systemctl kill --signal={signal} lab-steps")
        machine.wait_for("! systemctl is-active --quiet lab-steps", timeout=900)

    # No room for it: refused, nothing begun.
    machine.run("fallocate -l $(($(df --output=avail -B1 / | tail -1) - 300000000)) /root/fill")
    found, refused = drive(machine, f"look swap + apply swap file={SIZE}")
    assert refused["kind"] == "RefusedError"
    assert "does not fit" in refused["error"]
    assert "file" not in found["swap"]["items"]
    assert any("no room" in fact for fact in found["swap"]["facts"])
    machine.run("rm /root/fill")
    as_before()

    # The disk fills up in the middle of it.
    begin()
    machine.run("fallocate -l $(df --output=avail -B1 / | tail -1) /root/fill || true")
    ended()
    (failed,) = json.loads(machine.get("/root/out"))
    assert failed["kind"] == "RolledBackError", failed
    assert "the disk is full" in failed["error"]
    assert "everything has its previous value" in failed["error"]
    machine.run("rm /root/fill")
    as_before()

    # Ctrl-C.
    begin()
    ended("INT")
    (failed,) = json.loads(machine.get("/root/out"))
    assert "interrupted" in failed["error"]
    as_before()

    # kill -9: the next start settles it.
    begin()
    ended("KILL")
    assert TEMPORARY in leftovers(machine)
    said = machine.run("lowmem-tui history", timeout=600)
    assert "was interrupted and is rolled back" in said.stderr + said.stdout
    as_before()

    # The power fails.
    begin()
    machine.power_cut()
    machine.boot_again()
    machine.run("lowmem-tui history", timeout=600)
    as_before()

    # Somebody's own file of that name is left alone.
    machine.run("echo precious >/swapfile")
    (refused,) = drive(machine, f"apply swap file={SIZE}")
    assert refused["kind"] == "RefusedError"
    assert "was not made by lowmem-tui" in refused["error"]
    assert machine.get("/swapfile") == "precious\n"
    machine.run("rm /swapfile")
    as_before()


def test_what_does_not_fit_into_ram_stays_in_swap(boot: Boot) -> None:
    """An undo that swapoff has no memory for: one sentence, and everything as before."""
    machine = open_machine(boot)
    drive(machine, "apply swap file=1G + apply sysctl vm.swappiness=100")
    hog = "x = bytearray(1200 << 20); print('full', flush=True); input()"
    machine.run(
        "echo -900 >/proc/self/oom_score_adj; mkfifo /root/hold; "
        f"(exec python3 -c {shlex.quote(hog)} <>/root/hold >/root/full 2>&1) & "
    )
    machine.wait_for("grep full /root/full", timeout=900)
    (refused,) = drive(machine, "undo 1")
    assert "cannot be switched off now" in refused["error"], refused
    assert "previous value" in refused["error"]
    assert swaps(machine) == ["/swapfile"]
    shown = machine.run("systemctl is-enabled swapfile.swap; ls /swapfile").stdout.split()
    assert shown == ["enabled", "/swapfile"]
    machine.run("echo >/root/hold")
    machine.wait_for("! pgrep -f '[b]ytearray'")
    (undone,) = drive(machine, "undo 1")
    assert "error" not in undone
    assert swaps(machine) == []
    assert leftovers(machine) == ""
