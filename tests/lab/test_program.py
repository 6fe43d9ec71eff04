"""The program on a real server: what it shows is so, what is edited on it comes true."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Boot, OpenScreen
    from .machine import Machine

AGREE = Path(__file__).parent / "guest" / "agree.py"
DROP_IN = "/etc/systemd/system/cron.service.d/zz-lowmem-tui.conf"


ODD = r"""
set -eu
cd /etc/systemd/system
# A name that the kernel's own files could have: its group is _io.service.
printf '[Service]\nExecStart=/bin/sleep infinity\n' >io.service
# A service with groups of its own below it, as a container engine makes them.
cat >engine.service <<'END'
[Service]
Delegate=yes
ExecStart=/bin/sh /root/engine
END
cat >/root/engine <<'END'
base=/sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)
for below in supervisor payload/docker-0123456789ab.scope libpod_pod.slice/web.service; do
    mkdir -p "$base/$below"
    sleep infinity & echo $! >"$base/$below/cgroup.procs"
done
echo $$ >"$base/supervisor/cgroup.procs"
wait
END
# A slice in a slice with a limit, and in it a template's instance with escapes in both names.
printf '[Slice]\nMemoryMax=300M\n' >deep-er.slice
cat >'we\x20ird@.service' <<'END'
[Service]
Slice=deep-er.slice
ExecStart=/usr/bin/python3 -c "x = b'x' * (30 << 20); import time; time.sleep(10 ** 6)"
END
systemctl daemon-reload
systemctl start io.service engine.service 'we\x20ird@a\x2fb.service'
systemd-run --quiet --collect --scope --unit=lone sleep infinity </dev/null >/dev/null 2>&1 &
"""
ODD_GONE = r"""
cd /etc/systemd/system
systemctl stop io.service engine.service 'we\x20ird@a\x2fb.service' lone.scope deep.slice
rm -f io.service engine.service deep-er.slice 'we\x20ird@.service' /root/engine
systemctl daemon-reload
"""


@pytest.fixture
def odd(machine: Machine) -> Iterator[Machine]:
    """A server with groups in groups and names of every kind."""
    machine.run(ODD)
    machine.wait_for(
        "systemctl is-active io engine lone.scope"
        " && test $(cat /sys/fs/cgroup/system.slice/engine.service/*/*/cgroup.procs | wc -l) = 2"
    )
    yield machine
    machine.run(ODD_GONE)


@pytest.mark.sample
def test_list_and_triage_agree_with_systemctl_proc_and_cgroupfs(odd: Machine) -> None:
    odd.put(AGREE, "/root/agree.py")
    said = odd.run(["python3", "/root/agree.py", "lowmem-tui"], timeout=900).stdout
    assert said.strip() == ""
    listed = {u["name"]: u for u in json.loads(odd.run("lowmem-tui list --json").stdout)["units"]}
    # All that is below a service is the service's own.
    assert listed["engine.service"]["processes"] == 4
    assert "web.service" not in listed
    assert listed["io.service"]["processes"] == 1
    # The limit of a parent bounds what is below it.
    limit = listed[r"we\x20ird@a\x2fb.service"]["settings"]["MemoryMax"]
    assert (limit["kernel"], limit["effective"]) == (None, 300 << 20)


def test_list_as_an_ordinary_user_knows_as_much(machine: Machine) -> None:
    root = json.loads(machine.run("lowmem-tui list --json").stdout)
    other = json.loads(machine.run("lowmem-tui list --json", user="op").stdout)
    (ours,) = (u for u in root["units"] if u["name"] == "redis-server.service")
    (theirs,) = (u for u in other["units"] if u["name"] == "redis-server.service")
    assert theirs["settings"] == ours["settings"]
    assert theirs["rss"] == pytest.approx(ours["rss"], rel=0.2)


def test_triage_names_the_fattest_units(machine: Machine) -> None:
    page = machine.run("lowmem-tui triage").stdout
    assert all(len(line) <= 80 for line in page.splitlines())
    listed = json.loads(machine.run("lowmem-tui list --json").stdout)["units"]
    fattest = max(
        (u for u in listed if u["name"].endswith(".service")),
        key=lambda u: (u["rss"] or 0) + (u["swap"] or 0),
    )
    assert fattest["name"] in page


def test_triage_needs_neither_textual_nor_a_bus(machine: Machine) -> None:
    loaded = machine.run(
        [
            "/opt/lowmem-tui/bin/python",
            "-X",
            "importtime",
            "-m",
            "lowmem_tui",
            "triage",
        ]
    ).stderr
    assert not re.search(
        r"\| +(textual|rich|jeepney|asyncio|dataclasses|argparse)$", loaded, re.MULTILINE
    )


def show(machine: Machine, unit: str, *properties: str) -> list[str]:
    words = ["systemctl", "show", "--value", *(f"-p{name}" for name in properties), unit]
    return [line for line in machine.run(words).stdout.splitlines() if line]


def test_an_edit_made_with_keystrokes_comes_true_and_survives_a_reboot(boot: Boot) -> None:
    from .screen import Screen

    machine = boot()
    group = show(machine, "cron.service", "ControlGroup")[0]
    with Screen(machine, width=80, height=24) as screen:
        screen.wait_for_text(r"dbus\.service .* (no|always|on-failure)")
        screen.type("/cron.service")
        screen.wait_for_text("Find.*cron.service")
        screen.send("Enter")
        screen.wait_for_text("F8 Review")
        screen.send("Enter")
        screen.wait_for_text(r"^ *MemoryMax +infinity")
        screen.type("250")  # OOMScoreAdjust is the first field
        screen.send("Down")
        screen.type("64M")
        screen.send("Enter")
        screen.wait_for_text(r"F8 Review 2")
        screen.send("F8")
        screen.wait_for_text("WHAT CHANGES, AND WHEN")
        screen.send("NPage")
        screen.wait_for_text(r"\+ MemoryMax=64M")
        screen.send("a")
        screen.wait_for_text(r"Trial: \d+ s left")
        time.sleep(2)  # what comes at once with the page is not taken for an answer to it
        screen.send("y")
        screen.wait_for_text("The change is permanent", timeout=300)
        assert "MemoryMax=64M" in machine.get(DROP_IN)
        assert show(machine, "cron.service", "MemoryMax", "OOMScoreAdjust") == ["67108864", "250"]
        assert machine.get(f"/sys/fs/cgroup{group}/memory.max") == "67108864\n"
        pid = show(machine, "cron.service", "MainPID")[0]
        assert machine.get(f"/proc/{pid}/oom_score_adj") == "250\n"
        screen.send("F10")
        assert screen.wait_for_exit() == 0
    assert (
        machine.run(
            "ls /etc/systemd/system.control /run/systemd/system.control 2>/dev/null", check=False
        ).stdout
        == ""
    )
    machine.reboot()
    assert show(machine, "cron.service", "MemoryMax", "OOMScoreAdjust") == ["67108864", "250"]
    assert machine.get(f"/sys/fs/cgroup{group}/memory.max") == "67108864\n"
    pid = show(machine, "cron.service", "MainPID")[0]
    assert machine.get(f"/proc/{pid}/oom_score_adj") == "250\n"
    machine.run(
        "lowmem-tui apply --yes --set cron.service:MemoryMax= --set cron.service:OOMScoreAdjust="
    )
    assert machine.run(["test", "-e", DROP_IN], check=False).returncode == 1
    assert machine.get(f"/sys/fs/cgroup{group}/memory.max") == "max\n"


REFUSED = [
    ("no-such.service:MemoryMax=64M", 3),
    ("cron.service:MemoryMax=banana", 3),
    ("cron.service:OOMScoreAdjust=5000", 3),
    ("cron.service:OOMScoreAdjust=-1000", 3),
    ("certbot.service:Restart=always", 3),
    ("worker@.service:MemoryMax=64M", 3),
    ("cloudchat.service:MemoryMax=8M", 3),
    ("cron.service:Nonsense=1", 2),
    ("../../etc/passwd:MemoryMax=1M", 2),
]


@pytest.mark.parametrize(("asked", "status"), REFUSED, ids=[asked for asked, _ in REFUSED])
def test_a_refusal_writes_nothing(machine: Machine, asked: str, status: int) -> None:
    tree = "cd /etc/systemd/system && find . -exec ls -lid --time-style=full-iso {} + | sort"
    before = machine.run(tree).stdout
    ended = machine.run(["lowmem-tui", "apply", "--yes", "--set", asked], check=False)
    assert (ended.returncode, machine.run(tree).stdout) == (status, before)
    assert "Traceback" not in ended.stderr


def test_an_ordinary_user_sees_and_is_shown_what_to_run(
    machine: Machine, screen: OpenScreen
) -> None:
    opened = screen("lowmem-tui", width=80, height=24, user="op")
    opened.wait_for_text(r"redis-server\.service .* always")
    # On the screen: everything can be staged, and its review says what to run.
    opened.type("/cron.service")
    opened.wait_for_text("Find.*cron.service")
    opened.send("Enter")
    opened.wait_for_text("F8 Review")
    opened.send("Enter")
    opened.wait_for_text(r"^ *MemoryMax +infinity")
    opened.type("100")
    opened.send("Enter")
    opened.wait_for_text(r"F8 Review 1")
    opened.send("F8")
    opened.wait_for_text("WHAT CHANGES, AND WHEN")
    opened.send("a")
    told = r"sudo\s.*apply\s+--trial\s+120\s+--set\s+cron\.service:OOMScoreAdjust=100"
    opened.wait_for_text(f"(?s){told}")
    ended = machine.run(
        ["lowmem-tui", "apply", "--yes", "--set", "cron.service:OOMScoreAdjust=100"],
        user="op",
        check=False,
    )
    assert ended.returncode == 4
    assert "sudo" in ended.stderr
    assert machine.run(["test", "-e", DROP_IN], check=False).returncode == 1


def test_without_pressure_files_pressure_is_not_known(boot: Boot) -> None:
    from .screen import Screen

    machine = boot(psi=False)
    assert machine.run("cat /proc/pressure/memory", check=False).returncode != 0
    assert "Pressure  unknown" in machine.run("lowmem-tui triage").stdout
    listed = json.loads(machine.run("lowmem-tui list --json").stdout)
    assert listed["host"]["pressure"] is None
    assert machine.run("lowmem-tui list").returncode == 0
    with Screen(machine, width=80, height=24) as opened:
        text = opened.wait_for_text(r"redis-server\.service .* always")
        assert "PSI" not in text.splitlines()[0]
        opened.send("q")
        assert opened.wait_for_exit() == 0


@pytest.mark.parametrize(
    ("term", "width", "height"),
    [
        ("linux", 80, 24),
        ("xterm-256color", 80, 24),
        ("screen-256color", 80, 24),
        ("tmux-256color", 40, 12),
        ("xterm-256color", 200, 60),
    ],
)
def test_the_screen_stands_on_every_terminal(
    screen: OpenScreen, term: str, width: int, height: int
) -> None:
    # As `make` opens it: the demo server is for where there is no systemd.
    opened = screen("lowmem-tui --or-demo", width=width, height=height, term=term)
    text = opened.wait_for_text(r"redis-server|networkd")
    assert "DEMO" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    opened.send("q")
    assert opened.wait_for_exit() == 0
