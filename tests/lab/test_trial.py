"""Trials on a real systemd: whatever happens to us, the server is as it was before."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Boot
    from .machine import Machine

REDIS = "redis-server.service"
HOG = "lab-hog.service"
GROUP = f"/sys/fs/cgroup/system.slice/{REDIS}"
ETC = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"
RUN = f"/run/systemd/system/{REDIS}.d"
SETS = (
    f"--set {REDIS}:MemoryMax=200M --set {REDIS}:MemoryHigh=190M --set {REDIS}:OOMScoreAdjust=-150"
)
LONG, SHORT = 900, 60
"""Seconds: long enough for the slowest machine, and as short as can be waited for."""
AWAY = """\
[Unit]
DefaultDependencies=no
IgnoreOnIsolate=yes

[Service]
ExecStart=/bin/sh -c 'systemctl isolate {target}; systemctl is-active {revert}.timer >/root/seen; \
    systemctl start {revert}.service; systemctl default; echo back >>/root/seen'
"""
"""Goes to a target in which nobody can log in, looks, has the trial taken back, and returns."""


def values(machine: Machine) -> dict[str, str]:
    """What is declared, loaded, and in the kernel."""
    return json.loads(  # type: ignore[no-any-return]
        machine.run(
            "pid=$(systemctl show -P MainPID redis-server); cat <<END\n"
            f'{{"loaded": "$(systemctl show -p MemoryMax,MemoryHigh,OOMScoreAdjust {REDIS} |'
            " tr '\\n' ' ')\","
            f' "max": "$(cat {GROUP}/memory.max)", "high": "$(cat {GROUP}/memory.high)",'
            ' "score": "$(cat /proc/$pid/oom_score_adj)",'
            f' "run": "$(ls {RUN} 2>&1)", "etc": "$(cat {ETC} 2>&1 | tr "\\n" " ")"}}\nEND'
        ).stdout
    )


def states(machine: Machine, *, user: str = "root") -> list[str]:
    """The states in the history, the newest first."""
    shown = machine.run("lowmem-tui history --json", user=user, timeout=300).stdout
    return [change["state"] for change in json.loads(shown)["changes"]]


def begin(machine: Machine, seconds: int, sets: str = SETS) -> None:
    machine.run(f"lowmem-tui apply {sets} --yes --trial {seconds} --note lab", timeout=600)


def over(machine: Machine) -> None:
    """Wait until the timer's script has taken the trial back."""
    machine.wait_for("test -e /run/lowmem-tui/trial/result", timeout=900)


@pytest.fixture
def before(machine: Machine) -> Iterator[dict[str, str]]:
    yield values(machine)
    machine.run("lowmem-tui undo || :; rm -rf /var/lib/lowmem-tui /var/log/lowmem-tui", timeout=600)


def test_nobody_confirms(machine: Machine, before: dict[str, str]) -> None:
    begin(machine, 60)
    over(machine)
    assert values(machine) == before
    # Without root nothing is settled, and yet nothing wrong is said.
    assert states(machine, user="op")[0] == "expired"
    assert states(machine)[0] == "expired"
    late = machine.run("lowmem-tui confirm", check=False, timeout=300)
    assert late.returncode == 3
    assert "was reverted automatically" in late.stderr
    assert values(machine) == before


@pytest.mark.long
def test_confirmed_from_another_login_then_undone(machine: Machine, before: dict[str, str]) -> None:
    begin(machine, LONG)
    tried = values(machine)
    assert (tried["max"], tried["high"], tried["score"]) == ("209715200", "199229440", "-150")
    assert "zzz-lowmem-tui-trial.conf" in tried["run"]
    for command in ("lowmem-tui triage", "lowmem-tui list"):
        shown = machine.run(command, user="op", timeout=300).stdout
        assert "On trial until" in shown
        assert REDIS in shown
    second = machine.run(
        "lowmem-tui apply --set nginx.service:MemoryMax=300M --yes --trial 60",
        check=False,
        timeout=300,
    )
    assert second.returncode == 3
    assert "root" in second.stderr
    assert "confirm" in second.stderr
    # Every `run` is a login of its own.
    machine.run("lowmem-tui confirm", timeout=600)
    kept = values(machine)
    assert {**kept, "run": "", "etc": ""} == {**tried, "run": "", "etc": ""}
    assert "MemoryMax=200M" in kept["etc"]
    assert kept["run"] == before["run"]
    assert states(machine)[0] == "confirmed"
    timers = machine.run("systemctl list-timers --all --no-legend").stdout
    assert "lowmem-tui" not in timers
    machine.run("lowmem-tui undo", timeout=600)
    assert values(machine) == before
    assert states(machine)[:2] == ["applied", "undone"]


@pytest.mark.long
def test_killed_in_the_trial(machine: Machine, before: dict[str, str]) -> None:
    """Killed as soon as the timer is armed, in the midst of the change."""
    machine.run(
        f"lowmem-tui apply {SETS} --yes --trial {SHORT} >/dev/null 2>&1 & pid=$!\n"
        "while kill -0 $pid && ! systemctl -q is-active 'lowmem-tui-trial-*.timer'; do :; done\n"
        "kill -9 $pid",
        timeout=600,
    )
    over(machine)
    assert values(machine) == before
    said = machine.run("lowmem-tui history", timeout=300)
    assert "was interrupted at its beginning and is reverted" in said.stderr
    assert states(machine)[0] == "failed"


@pytest.mark.long
def test_stopped_until_the_script_has_been_there(machine: Machine, before: dict[str, str]) -> None:
    """Stopped with the lock held, in the midst of the change: the script does not wait for ever."""
    machine.run(
        "systemd-run -q --unit=lab-apply "
        f"sh -c 'exec lowmem-tui apply {SETS} --yes --trial {SHORT}'\n"
        "while systemctl -q is-active lab-apply && "
        "! systemctl -q is-active 'lowmem-tui-trial-*.timer'; do :; done\n"
        "systemctl kill -s STOP lab-apply",
        timeout=600,
    )
    over(machine)
    machine.run("systemctl kill -s CONT lab-apply")
    machine.wait_for("! systemctl -q is-active lab-apply", timeout=600)
    assert values(machine) == before
    assert "use a longer trial" in machine.run("journalctl -o cat -u lab-apply").stdout
    assert states(machine)[0] == "failed"
    machine.run("systemctl reset-failed lab-apply")


@pytest.mark.long
def test_the_connection_is_lost(machine: Machine, before: dict[str, str]) -> None:
    """Whoever began the trial is gone in the middle of it, with the shell."""
    line = machine.connection
    assert line is not None
    script = f"lowmem-tui apply {SETS} --yes --trial {SHORT}; sleep 9999"
    with subprocess.Popen(
        [*line.words("root"), "-tt", "--", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as client:
        machine.wait_for("pgrep -f '^sleep 9999'", timeout=600)
        client.kill()
    over(machine)
    assert values(machine) == before
    assert states(machine)[0] == "expired"


@pytest.mark.long
def test_what_the_trial_kills_runs_again(machine: Machine) -> None:
    """A limit below what the unit holds kills it; afterwards it is started again."""
    hold = (
        "import time; x = bytearray(80 << 20); x[::4096] = b'x' * len(x[::4096]); time.sleep(9**6)"
    )
    machine.write(
        f"/etc/systemd/system/{HOG}",
        f'[Service]\nExecStart=/usr/bin/python3 -c "{hold}"\nMemorySwapMax=0\nRestart=no\n',
    )
    full = f"test $(cat /sys/fs/cgroup/system.slice/{HOG}/memory.current) -gt 80000000"
    try:
        machine.run(f"systemctl daemon-reload && systemctl start {HOG}")
        machine.wait_for(full)
        # It is refused without --force, and systemd's answer comes when the unit is dead.
        machine.run(
            f"lowmem-tui apply --set {HOG}:MemoryMax=20M --yes --force --trial {SHORT}",
            check=False,
            timeout=600,
        )
        machine.wait_for(f"systemctl is-failed {HOG} || test -e /run/lowmem-tui/trial/result")
        over(machine)
        machine.wait_for(full)
        shown = machine.run(f"systemctl show -P MemoryMax -P ActiveState {HOG}").stdout.split()
        assert shown == ["infinity", "active"]
        assert f"{HOG} failed meanwhile (oom-kill)" in machine.run("lowmem-tui history").stdout
    finally:
        machine.run(f"systemctl stop {HOG}; rm /etc/systemd/system/{HOG}; systemctl daemon-reload")
        machine.run("rm -rf /var/lib/lowmem-tui /var/log/lowmem-tui")


@pytest.mark.long
def test_a_reused_pid_is_not_touched(machine: Machine, before: dict[str, str]) -> None:
    """A process of the data that has ended, its number now somebody else's."""
    begin(machine, LONG)
    out = machine.run(
        "sleep 1000 & pid=$!; echo -150 >/proc/$pid/oom_score_adj\n"
        "room=/run/lowmem-tui/trial\n"
        'sed -i "s/^score [0-9]* /score $pid /" $room/data && /bin/sh $room/revert\n'
        "cat /proc/$pid/oom_score_adj; kill $pid",
        timeout=600,
    ).stdout
    assert out.split() == ["-150"]
    # Redis's own was no longer in the data, and is known by its control group.
    assert values(machine) == before


@pytest.mark.long
def test_the_other_bus_client_arms_and_stops_the_timer(
    machine: Machine, before: dict[str, str]
) -> None:
    pydbus = "lowmem-tui-pydbus --bus pydbus"
    machine.run(f"{pydbus} apply {SETS} --yes --trial {LONG}", timeout=600)
    assert values(machine)["max"] == "209715200"
    armed = machine.run("systemctl list-timers --all --no-legend").stdout
    assert "lowmem-tui-trial-1.timer" in armed
    machine.run(f"{pydbus} undo", timeout=600)
    assert values(machine) == before
    assert "lowmem-tui" not in machine.run("systemctl list-timers --all --no-legend").stdout


@pytest.mark.long
def test_reboot_in_the_trial(boot: Boot) -> None:
    machine = boot()
    before = values(machine)
    begin(machine, LONG)
    machine.reboot()
    after = values(machine)
    assert after == before
    assert states(machine, user="op")[0] == "expired"
    assert states(machine)[0] == "expired"


@pytest.mark.long
def test_what_stops_all_else_leaves_the_timer(boot: Boot) -> None:
    machine = boot()
    before = values(machine)
    for number, target in enumerate(("multi-user", "rescue", "emergency"), 1):
        begin(machine, LONG)
        away = AWAY.format(target=f"{target}.target", revert=f"lowmem-tui-trial-{number}")
        machine.write("/run/systemd/system/lab-away.service", away)
        machine.run("rm -f /root/seen; systemctl daemon-reload; systemctl start lab-away")
        machine.wait_for("grep -x back /root/seen", timeout=900)
        assert machine.get("/root/seen").split() == ["active", "back"], target
        over(machine)
        assert values(machine) == before, target
        assert states(machine)[0] == "expired", target
    if "soft-reboot" not in machine.run("systemctl --help").stdout:
        return  # systemd has it since 254
    begin(machine, LONG)
    machine.run("systemd-run --unit=lab-mark sleep infinity && systemctl soft-reboot", check=False)
    machine.wait_for(
        "! systemctl -q is-active lab-mark && systemctl is-system-running | grep -E 'run|degr'",
        timeout=900,
    )
    revert = "lowmem-tui-trial-4"
    assert machine.run(f"systemctl is-active {revert}.timer", check=False).stdout == "active\n"
    assert values(machine)["max"] == "209715200"
    machine.run(f"systemctl start {revert}.service", timeout=600)
    over(machine)
    assert values(machine) == before
