"""The guided set-up, gone through with the keys of its screens, on a server as it comes."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.setup.steps import STEPS as DECLARED

from .etc import etc
from .screen import Screen

if TYPE_CHECKING:
    from .conftest import Boot
    from .machine import Machine

PATIENCE = 1500.0
"""Seconds: a swap file of 2 GB is written."""

STEPS = len(DECLARED)

LIST = re.compile(r"^ *Guided set-up: (\d+ to do|nothing)", re.MULTILINE)

SITE = """\
server {
    listen 127.0.0.1:8080;
    location /static/ {
        root /srv;
    }
    location / {
        proxy_pass http://127.0.0.1:8000;
    }
}
"""
APP = """\
from flask import Flask

app = Flask(__name__)
kept = []


@app.get("/")
def index() -> str:
    return "hello\\n"


@app.get("/leak")
def leak() -> str:
    kept.append(bytearray(b"x" * (24 << 20)))
    return f"{len(kept)}\\n"
"""
HOG = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(b'x' * (4 << 20)))\n"
PARALLEL = (
    "import urllib.request, urllib.error, concurrent.futures as f\n"
    "def get(_):\n"
    "    try:\n"
    "        return urllib.request.urlopen('http://127.0.0.1:8080/', timeout=60).status\n"
    "    except urllib.error.HTTPError as e:\n"
    "        return e.code\n"
    "with f.ThreadPoolExecutor(30) as pool:\n"
    "    print(*pool.map(get, range(30)))\n"
)


FILL = """\
import sys
value = b"x" * 10_000
for number in range(int(sys.argv[1]) // 10_000):
    key = b"key:%d" % number
    for word in (b"*3", b"$3", b"SET", b"$%d" % len(key), key, b"$%d" % len(value), value):
        sys.stdout.buffer.write(word + b"\\r\\n")
"""

GET = "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:8000/', timeout=60)\""
BACK = """\
import pathlib, re, subprocess, sys
log = subprocess.run(["dmesg"], capture_output=True, text=True).stdout
kill = re.compile(r"^\\[ *([0-9.]+)\\] Memory cgroup out of memory: .*gunicorn", re.M)
killed = [float(when) for when in kill.findall(log)]
group = pathlib.Path("/sys/fs/cgroup/system.slice", sys.argv[1], "cgroup.procs")
stats = [pathlib.Path("/proc", pid, "stat").read_text() for pid in group.read_text().split()]
starts = [int(stat.rpartition(")")[2].split()[19]) / 100 for stat in stats]
print(min(start - killed[-1] for start in starts if start > killed[-1]))
"""
"""Prints the seconds from the kill to the start of the process that came in its place."""

GLOBAL = "journalctl -k -b --no-pager | grep -q 'constraint=CONSTRAINT_NONE'"


def to_the_list(screen: Screen) -> None:
    """Go back to the list of steps; a key may come while a page is still being opened."""
    deadline = time.monotonic() + PATIENCE
    while not LIST.search(screen.text()):
        assert time.monotonic() < deadline, screen.text()
        screen.send("Escape")
        time.sleep(3)


def open_step(screen: Screen, index: int) -> str:
    """Open a step from the list; returns its first line."""
    screen.send("Home", *["Down"] * index, "Enter")
    screen.wait_for_text(rf"^ *{index + 1}/{STEPS} ", PATIENCE)
    return screen.text().splitlines()[0]


def go_through(machine: Machine) -> list[str]:
    """Apply what each step proposes; returns the titles of those that had something to do."""
    done = []
    with Screen(machine, "lowmem-tui setup", width=100, height=40) as screen:
        screen.wait_for_text(LIST.pattern, PATIENCE)
        for index in range(STEPS):
            title = open_step(screen, index)
            if re.search(r"to do \d+$", title.rstrip()):
                done.append(title)
                screen.send("p")
                screen.wait_for_text(r"^ .*: nothing is written yet", PATIENCE)
                screen.send("A")
                screen.wait_for_text(r"Apply (this now|permanently)", PATIENCE)
                time.sleep(2)  # what comes at once with the page is no answer to it
                screen.send("y")
                text = screen.wait_for_text(r"^ .*: (applied|the change failed)", PATIENCE)
                assert re.search(r"^ .*: applied$", text, re.MULTILINE), text
            to_the_list(screen)
        screen.send("C-q")
        assert screen.wait_for_exit() == 0
    return done


def findings(machine: Machine) -> list[str]:
    done = machine.run(["lowmem-tui", "check", "--json"], check=False, timeout=PATIENCE)
    return [f"{f['code']} {f['subject']}" for f in json.loads(done.stdout)["findings"]]


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run(["systemctl", "show", "-P", name, unit]).stdout.strip()


@pytest.mark.long
def test_the_first_hour_by_keystrokes(boot: Boot) -> None:
    machine = boot()
    machine.write("/etc/nginx/sites-available/cloudchat", SITE)
    machine.write("/srv/cloudchat/cloudchat.py", APP)
    machine.run(
        "ln -s ../sites-available/cloudchat /etc/nginx/sites-enabled/cloudchat && "
        "systemctl restart cloudchat.service && systemctl reload nginx.service",
        timeout=PATIENCE,
    )
    before = etc(machine)
    assert findings(machine)

    assert len(go_through(machine)) >= 6
    assert findings(machine) == []

    machine.reboot()
    machine.wait_for(GET, timeout=PATIENCE)
    assert "/swapfile" in machine.run(["swapon", "--show=NAME", "--noheadings"]).stdout
    assert machine.run(["sysctl", "-n", "vm.swappiness"]).stdout.strip() == "10"
    nginx_limits(machine)
    gunicorn_comes_back(machine)
    redis_keeps_its_bound(machine)
    ssh_stays_open(machine)

    undone = 0
    while (
        status := machine.run(["lowmem-tui", "undo"], check=False, timeout=PATIENCE).returncode
    ) in {0, 1}:
        undone += 1
    assert status == 3  # there is no change to undo any more
    assert undone >= 6
    assert etc(machine) == before
    assert machine.run("test -e /swapfile", check=False).returncode != 0


def nginx_limits(machine: Machine) -> None:
    """Of 30 requests at the same time those beyond the burst are refused, and no other."""
    codes = machine.run(["python3", "-c", PARALLEL], timeout=PATIENCE).stdout.split()
    assert codes.count("200") >= 10, codes
    assert set(codes) - {"200"} <= {"503", "429"}, codes
    assert len(set(codes)) > 1, codes


def gunicorn_comes_back(machine: Machine) -> None:
    """It is killed at its limit, and answers again."""
    unit = "cloudchat.service"
    limit = show(machine, unit, "MemoryMax")
    assert limit != "infinity"
    kills = "sed -n 's/^oom_kill //p' /sys/fs/cgroup/system.slice/cloudchat.service/memory.events"
    machine.run(
        f"for i in $(seq 200); do {GET.replace('8000/', '8000/leak')} 2>/dev/null || break; done",
        timeout=PATIENCE,
    )
    assert int(machine.run(kills).stdout.split()[-1]) > 0 or show(machine, unit, "NRestarts") != "0"
    machine.wait_for(GET, timeout=120)
    assert 0 <= float(machine.run(["python3", "-c", BACK, unit]).stdout) <= 5


def redis_keeps_its_bound(machine: Machine) -> None:
    """It answers writes beyond it with an error, throws nothing out, and goes on."""
    bound = int(machine.run("redis-cli config get maxmemory | tail -n1").stdout)
    assert bound > 0
    machine.write("/root/fill.py", FILL)
    machine.run(
        f"python3 /root/fill.py {bound * 2} | redis-cli --pipe 2>&1 | "
        "grep -c 'OOM command not allowed'",
        timeout=PATIENCE,
    )
    assert "evicted_keys:0" in machine.run("redis-cli info stats").stdout
    used = machine.run(
        "redis-cli info memory | sed -n 's/^used_memory:\\([0-9]*\\).*/\\1/p'"
    ).stdout
    assert bound * 0.8 < int(used) <= bound * 1.02


def ssh_stays_open(machine: Machine) -> None:
    """A hog beside the units takes all memory: it dies, and whoever is logged in stays."""
    # Less to fill: writing gigabytes to a swap file takes an hour here.
    machine.run("swapoff -a", timeout=PATIENCE)
    doors = {unit: show(machine, unit, "MainPID") for unit in ("ssh.service", "nginx.service")}
    machine.write("/srv/hog.py", HOG)
    machine.run("systemd-run --unit=node-hog -p OOMPolicy=stop python3 /srv/hog.py")
    machine.wait_for(GLOBAL, timeout=600)
    assert {unit: show(machine, unit, "MainPID") for unit in doors} == doors
    machine.run(
        "systemctl reset-failed; swapon -a; systemctl start swapfile.swap", timeout=PATIENCE
    )
