"""Kills by systemd-oomd, earlyoom and nohang, and what PID 1 says in the kernel's log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.host.logs import journal, kernel_log, kmsg, pid1_text
from lowmem_tui.host.logs.killers import Killers
from lowmem_tui.model.incident import (
    Cause,
    Ending,
    EventKind,
    Evidence,
    Incident,
    Killing,
    Kind,
    UnitEvent,
)
from lowmem_tui.policy.incidents import text as incident_words
from lowmem_tui.policy.incidents.build import join

MIB = 1 << 20
BOOT = "a" * 32
USER = "/user.slice/user-1000.slice/user@1000.service/app.slice"

TERM = 'sending SIGTERM to process 31 uid 1000 "tail":'


def kills(program: str, *texts: str) -> list[Killing]:
    reader = Killers()
    found = [k for n, text in enumerate(texts) for k in reader.take(float(n), BOOT, program, text)]
    return [*found, *reader.over()]


def incidents_of(program: str, *texts: str, events: tuple[UnitEvent, ...] = ()) -> list[Incident]:
    return list(join(Evidence(BOOT, (), events, tuple(kills(program, *texts)))).incidents)


# The program, its lines → who, whose unit, what it held, by which signal
LINES: dict[str, tuple[str, tuple[str, ...], tuple[Any, ...]]] = {
    "oomd, pressure": (
        "systemd-oomd",
        (f"Killed {USER}/vte-spawn-1.scope due to memory pressure for {USER} being 51.07% > 50%",),
        (None, "", "user@1000.service", None, ""),
    ),
    "oomd, swap": (
        "systemd-oomd",
        ("Killed /system.slice/a.service due to memory used (2) / total (3) and swap",),
        (None, "", "a.service", None, ""),
    ),
    "oomd, 258": (
        "systemd-oomd",
        ("Marked /system.slice/a.service for killing due to memory used (607) / total (1)",),
        (None, "", "a.service", None, ""),
    ),
    "earlyoom 1.8": (
        "earlyoom",
        (
            "low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%",
            f'{TERM} oom_score 1234, oom_score_adj 0, VmRSS 120 MiB, cmdline "VmRSS 9 MiB"',
            "process 31 exited after 0.1 seconds",
        ),
        (31, "tail", "", 120 * MIB, "SIGTERM"),
    ),
    "earlyoom 1.3": (
        "earlyoom",
        ('sending SIGKILL to process 31 uid 0 "a "b": x": badness 600, VmRSS 9 MiB',),
        (31, 'a "b": x', "", 9 * MIB, "SIGKILL"),
    ),
    "earlyoom 1.0": ("earlyoom", ("Killing process 77 名字",), (77, "名字", "", None, "")),
    "nohang": (
        "nohang",
        (
            ">>> Memory status that requires corrective actions:",
            "Victim status (found in 12ms):",
            "  PID:       4321, name: py, thon, state: R (running), EUID: 33, SID: 1 (x)",
            "  badness:   700, oom_score:  700, oom_score_adj:  0",
            "  Vm, MiB:   Size: 900, RSS: 400 (Anon: 1, File: 2, Shmem: 0), Swap: 0",
            "  cgroup_v1: ",
            "  cgroup_v2: /system.slice/web.service",
            "Implementing a corrective action:",
            "  Sending SIGTERM to the victim",
        ),
        (4321, "py, thon", "web.service", 400 * MIB, "SIGTERM"),
    ),
    "oomd of Facebook": (
        "kernel",
        ("oomd kill: 63.36 65.01 20.94 system.slice/web.service 8589934592 ruleset:[a] x",),
        (None, "", "web.service", 8589934592, ""),
    ),
}


@pytest.mark.parametrize(("program", "texts", "found"), LINES.values(), ids=LINES)
def test_each_program(program: str, texts: tuple[str, ...], found: tuple[Any, ...]) -> None:
    (killing,) = kills(program, *texts)
    assert (killing.pid, killing.name, killing.unit, killing.rss, killing.signal) == found


NOTHING = {
    "a dry run": (
        "earlyoom",
        (
            'sending SIGTERM to process 31 uid 0 "x": oom_score 1, VmRSS 1 MiB',
            "dryrun, not actually sending any signal",
        ),
    ),
    "it failed": (
        "earlyoom",
        (
            'sending SIGTERM to process 31 uid 0 "x": oom_score 1, VmRSS 1 MiB',
            "kill failed: No such process",
        ),
    ),
    "no signal": ("earlyoom", ('sending 0 (no-op signal) to process 31 uid 0 "x": oom_score 1',)),
    "a survey": ("systemd-oomd", ("Considered 97 cgroups for killing, top candidates were:",)),
    "another program": ("sshd", ("Killed /system.slice/a.service due to memory pressure",)),
}


@pytest.mark.parametrize(("program", "texts"), NOTHING.values(), ids=NOTHING)
def test_what_is_no_kill(program: str, texts: tuple[str, ...]) -> None:
    assert kills(program, *texts) == []


def test_a_second_signal_is_the_same_kill() -> None:
    line = 'sending {} to process 31 uid 0 "x": oom_score 1, VmRSS 1 MiB'
    (incident,) = incidents_of("earlyoom", line.format("SIGTERM"), line.format("SIGKILL"))
    assert (incident.kind, incident.cause) == (Kind.EARLYOOM, Cause.EARLYOOM)
    assert str(incident_words.short(incident)) == "x 1M, killed by earlyoom, outcome unknown"
    assert str(incident_words.why(incident)) == (
        "earlyoom killed x (pid 31, 1M in RAM) with SIGTERM."
    )


def test_the_outcome() -> None:
    events = (
        UnitEvent(8.5, BOOT, "web.service", EventKind.RESULT, "signal"),
        UnitEvent(10.0, BOOT, "web.service", EventKind.STARTED),
    )
    (incident,) = incidents_of("nohang", *LINES["nohang"][1], events=events)
    assert (incident.kind, incident.ending, incident.result) == (Kind.NOHANG, Ending.BACK, "signal")
    assert "in /system.slice/web.service with SIGTERM" in str(incident_words.why(incident))


@pytest.mark.parametrize("time", [-1.0, 0.0, 2.0])
def test_oomds_word_and_systemds_are_one(time: float) -> None:
    event = UnitEvent(time, BOOT, "user@1000.service", EventKind.OOMD)
    inner = UnitEvent(time, BOOT, "vte-spawn-1.scope", EventKind.OOMD)
    for told in (event, inner):
        (incident,) = incidents_of("systemd-oomd", *LINES["oomd, pressure"][1], events=(told,))
        assert (incident.kind, incident.unit) == (Kind.OOMD, "user@1000.service")
        assert "due to memory pressure" in str(incident_words.why(incident))


def test_a_users_manager_tells_of_its_own_units() -> None:
    raw = {
        "__REALTIME_TIMESTAMP": "1000000", "_BOOT_ID": BOOT, "_TRANSPORT": "journal",
        "MESSAGE_ID": journal.OOMD, "USER_UNIT": "a.scope", "_SYSTEMD_UNIT": "user@1000.service",
    }  # fmt: skip
    entry = journal.parse_entry(json.dumps(raw).encode())
    assert entry is not None
    assert journal.event(entry) == UnitEvent(1.0, BOOT, "user@1000.service", EventKind.OOMD)
    for changed in ({"_SYSTEMD_UNIT": "ssh.service"}, {"MESSAGE_ID": journal.RESULT}):
        other = journal.parse_entry(json.dumps(raw | changed).encode())
        assert other is not None
        assert journal.event(other) is None


def test_only_the_program_itself_is_believed() -> None:
    raw = {
        "__REALTIME_TIMESTAMP": "1", "_BOOT_ID": BOOT, "MESSAGE": "x",
        "SYSLOG_IDENTIFIER": "earlyoom", "_SYSTEMD_UNIT": "user@1000.service",
    }  # fmt: skip
    for changed, found in (({}, ""), ({"_SYSTEMD_UNIT": "earlyoom.service"}, "earlyoom")):
        entry = journal.parse_entry(json.dumps(raw | changed).encode())
        assert entry is not None
        assert journal.program(entry) == found


# PID 1, by its words

WORDS = {
    "a.service: Failed with result 'oom-kill'.": ("a.service", EventKind.RESULT, "oom-kill"),
    "a.service: A process of this unit has been killed by the OOM killer.": (
        "a.service", EventKind.OOM, ""),
    "a.service: systemd-oomd killed 12 process(es) in this unit.": (
        "a.service", EventKind.OOMD, ""),
    "a.service: systemd-oomd killed some process(es) in this unit.": (
        "a.service", EventKind.OOMD, ""),
    "a.service: Scheduled restart job, restart counter is at 7.": (
        "a.service", EventKind.RESTART, "7"),
    "a.service: Service RestartSec=100ms expired, scheduling restart.": (
        "a.service", EventKind.RESTART, ""),
    "a.service: Start request repeated too quickly.": ("a.service", EventKind.TOO_OFTEN, ""),
    "a.service: Deactivated successfully.": ("a.service", EventKind.ENDED, ""),
    "a.service: Succeeded.": ("a.service", EventKind.ENDED, ""),
    r"a\x2db@ü.service: Succeeded.": (r"a\x2db@ü.service", EventKind.ENDED, ""),
    "Started a.service - The A: of B.service.": ("a.service", EventKind.STARTED, ""),
    "Started a.service.": ("a.service", EventKind.STARTED, ""),
    "Finished a.service - x": ("a.service", EventKind.STARTED, ""),
    "Started The A.": None,
    "Started a.service of mine": None,
    "a.service: Main process exited, code=killed, status=9/KILL": None,
    "x a.service: Succeeded.": None,
    "": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "found"), WORDS.items(), ids=range(len(WORDS)))
def test_what_systemd_says(text: str, found: object) -> None:
    assert pid1_text.event(text) == found


def test_pid_1_in_the_kernels_buffer() -> None:
    raw = b"28,5,1000000,-;systemd[1]: a.service: Failed with result 'oom-kill'."
    line = kmsg.parse_record(raw, BOOT, 0.0)
    assert line is not None
    assert line.text.startswith(pid1_text.PREFIX)
    # Of another program, or as a user: no word of PID 1.
    for other in (raw.replace(b"systemd[1]", b"systemd[7]"), raw.replace(b"28,", b"12,")):
        assert kmsg.parse_record(other, BOOT, 0.0) is None


def test_names_in_the_buffer_are_what_they_are() -> None:
    r"""The kernel writes a byte that is no printable ASCII as \xNN, a backslash, too."""
    raw = rb"6,1,5,-,caller=T7;task=caf\xc3\xa9,cg=/a\x5cx2db.service"
    line = kmsg.parse_record(raw, BOOT, 0.0)
    assert line is not None
    assert (line.text, line.context) == (r"task=café,cg=/a\x2db.service", "T7")


@given(st.sampled_from(["earlyoom", "nohang", "systemd-oomd", "oomd", "kernel", "x"]), st.text())
def test_any_word_of_a_program(program: str, text: str) -> None:
    kills(program, text, text)
    pid1_text.event(text)


def test_a_names_unit_in_the_kernels_report() -> None:
    text = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        "oom_memcg=/system.slice/ü.service,task_memcg=/system.slice/ü.service,"
        "task=a,b,pid=1,名,pid=22,uid=0"
    )
    (report,) = kernel_log.parse([kernel_log.Line(1.0, BOOT, text)])
    assert report.victim is not None
    assert (report.victim.name, report.victim.pid) == ("a,b,pid=1,名", 22)
    # Not a name that a unit can have: its path.
    assert report.unit == "/system.slice/ü.service"
