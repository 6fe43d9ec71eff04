"""OOM reports of real kernels, whole, cut, mixed with other lines, and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.host.logs import kmsg
from lowmem_tui.host.logs.kernel_log import LINES, Line, last_report, parse
from lowmem_tui.host.logs.task_table import parse_table
from lowmem_tui.model.incident import OomReport, Victim

HERE = Path(__file__).parent / "oom"
REPORTS = {path.stem: path.read_text() for path in sorted(HERE.glob("*.txt"))}
KIB = 1024
HOG = "/system.slice/hog.service"

SUMMARY = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=hog.service,mems_allowed=0,"
    f"oom_memcg={HOG},task_memcg={HOG},task=python3,pid=612,uid=33"
)
KILLED = (
    "Memory cgroup out of memory: Killed process 612 (python3) total-vm:112000kB, "
    "anon-rss:100000kB, file-rss:2400kB, shmem-rss:8kB, UID:33 pgtables:240kB oom_score_adj:100"
)
INVOKED = "nginx invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
GROUP = f"Tasks in {HOG} are going to be killed due to memory.oom.group set"


def lines(text: str, start: float = 1000.0) -> list[Line]:
    return [Line(start + at / 1000, "b", one, str(at)) for at, one in enumerate(text.splitlines())]


def reports(text: str) -> list[OomReport]:
    return list(parse(lines(text)))


def dead(report: OomReport) -> Victim:
    assert report.victim is not None
    return report.victim


def member(pid: int) -> str:
    return KILLED.replace("612", str(pid))


def test_a_whole_report() -> None:
    (report,) = reports(
        f"{INVOKED}\nCPU: 1 UID: 0 PID: 77 Comm: nginx Not tainted\nusb 1-1: new device\n"
        "memory: usage 102400kB, limit 102400kB, failcnt 26\n"
        f"swap: usage 512kB, limit 0kB, failcnt 0\n{SUMMARY}\naudit: noise\n{KILLED}"
    )
    assert report == OomReport(
        1000.007,
        "b",
        Victim(612, "python3", 33, 100000 * KIB, 2400 * KIB, 8 * KIB, 100),
        unit="hog.service",
        cgroup=HOG,
        constraint="CONSTRAINT_MEMCG",
        limit_cgroup=HOG,
        limit_unit="hog.service",
        limit=102400 * KIB,
        swap_used=512 * KIB,
        asked_by="nginx",
        asked_pid=77,
        reference="7",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{SUMMARY}\n{KILLED}", [(612, "hog.service", 0)]),
        # Of many kills in a few seconds the kernel prints the last line alone.
        (f"{KILLED}\n{member(613)}", [(612, "", 0), (613, "", 0)]),
        (f"{INVOKED}\n{KILLED}", [(612, "", 0)]),
        (f"{INVOKED}\n{SUMMARY}", [(612, "hog.service", 0)]),
        (f"{INVOKED}\n{INVOKED}\n{SUMMARY}", [(612, "hog.service", 0)]),
        (f"{INVOKED}\nnothing more", []),
        (f"{SUMMARY}\n{KILLED}\n{GROUP}\n{member(1)}\n{member(2)}", [(612, "hog.service", 2)]),
        (f"{KILLED}\n{GROUP}\n{member(1)}", [(612, "hog.service", 1)]),
        (
            f"{SUMMARY}\n{KILLED}\n{GROUP}\n{member(1)}\n{SUMMARY}\n{member(9)}",
            [(612, "hog.service", 1), (9, "hog.service", 0)],
        ),
        (f"{SUMMARY[:200]}\n{KILLED}", [(612, "hog.service", 0)]),
        (f"{SUMMARY}\n{SUMMARY}\n{KILLED}", [(612, "hog.service", 0), (612, "hog.service", 0)]),
        (f"{SUMMARY}\n{KILLED[:60]}", [(612, "hog.service", 0)]),
        ("oom-kill:constraint=", []),
        ("Killed process 1", []),
        ("", []),
    ],
)
def test_cut_and_partial_reports(text: str, found: list[tuple[int, str, int]]) -> None:
    assert [(dead(r).pid, r.unit, len(r.also)) for r in reports(text)] == found


def test_a_report_does_not_reach_into_another_boot_or_hour() -> None:
    before, after = lines(INVOKED)[0], lines(KILLED)[0]
    for later in (after._replace(boot="c"), after._replace(time=5000.0)):
        (report,) = parse([before, later])
        assert report.asked_by == ""


@pytest.mark.parametrize(
    "name", ["a) total-vm:1kB", "x,pid=1,uid=0", "\x1b[2J", "(sd-pam)", "", "a\\x0ab", "Comm: b"]
)
def test_odd_process_names(name: str) -> None:
    summary, last = (text.replace("python3", name) for text in (SUMMARY, KILLED))
    (report,) = reports(f"{summary}\n{last}")
    assert (dead(report).pid, report.unit) == (612, "hog.service")
    assert dead(report).name == name
    assert dead(report).uid == 33
    assert dead(report).anon == 100000 * KIB


def test_other_causes() -> None:
    text = SUMMARY.replace("MEMCG", "NONE").replace(f"oom_memcg={HOG}", "global_oom")
    (report,) = reports(f"{text}\n{KILLED.replace('Memory cgroup out', 'Out')}")
    assert (report.constraint, report.limit_cgroup) == ("CONSTRAINT_NONE", "")
    assert (report.unit, report.limit) == ("hog.service", None)


# who invoked it, what the report has of swap → by hand, free, total
SWAPS = {
    "none told": (INVOKED, "", (False, None, None)),
    "used up": (INVOKED, "Free swap  = 0kB\nTotal swap = 524284kB", (False, 0, 524284 * KIB)),
    "free": (INVOKED, "Free swap  = 300kB\nTotal swap = 900kB", (False, 300 * KIB, 900 * KIB)),
    "cut": (INVOKED, "Free swap  = \nTotal swap = 0kB", (False, None, 0)),
    "SysRq f": (INVOKED.replace("order=0", "order=-1"), "", (True, None, None)),
    "a name like it": (f"x, order=-1, {INVOKED}", "", (False, None, None)),
}


@pytest.mark.parametrize(("invoked", "swap", "found"), SWAPS.values(), ids=SWAPS)
def test_swap_and_who_wanted_it(
    invoked: str, swap: str, found: tuple[bool, int | None, int | None]
) -> None:
    (report,) = reports(f"{invoked}\n{swap}\n{SUMMARY}\n{KILLED}")
    assert (report.by_hand, report.swap_free, report.swap_total) == found


def test_what_was_killed_as_one() -> None:
    group = "Tasks in /app.slice are going to be killed due to memory.oom.group set"
    (report,) = reports(f"{SUMMARY}\n{KILLED}\n{group}\n{member(1)}")
    assert (report.unit, report.together) == ("hog.service", "app.slice")


# Real ones


# Victim, its unit, whose limit, how large, who asked, how many more died; rows of the table.
REAL = {
    "6.1-limit": (345, "hogslice.service", "capped.slice", 60 << 20, ("python3", 345), 0, 1),
    "6.1-group": (355, "hoggroup.service", "hoggroup.service", 60 << 20, ("python3", 355), 3, 4),
    "6.1-global": (347, "hogglobal.service", "", None, ("systemctl", 387), 0, 27),
    "6.12-limit": (460, "hogslice.service", "capped.slice", 60 << 20, ("python3", 460), 0, 1),
    "6.12-group": (466, "hoggroup.service", "hoggroup.service", 60 << 20, ("python3", 466), 3, 4),
    "6.12-global": (518, "hogglobal.service", "", None, ("systemctl", 539), 0, 28),
}


@pytest.mark.parametrize("name", REAL)
def test_real_reports(name: str) -> None:
    pid, unit, limit_unit, limit, asked, also, rows = REAL[name]
    (report,) = reports(REPORTS[name])
    assert (dead(report).pid, report.unit, len(report.also)) == (pid, unit, also)
    assert (report.limit_unit, report.limit) == (limit_unit, limit)
    assert (report.asked_by, report.asked_pid) == asked
    assert report.constraint == ("CONSTRAINT_MEMCG" if limit else "CONSTRAINT_NONE")
    assert report.together == (unit if also else "")
    assert report.swap_free == (None if limit else 0)
    table = parse_table(REPORTS[name].splitlines(), 4096)
    assert len(table) == rows
    victim = next(task for task in table if task.pid == pid)
    assert victim.rss >= 55 << 20
    assert (victim.name, victim.adj) == ("python3", dead(report).adj)
    upto = lines(REPORTS[name])[: int(report.reference) + 1]
    assert last_report(upto[::-1]) == tuple(line.text for line in upto)


@pytest.mark.parametrize("name", REPORTS)
def test_the_lines_that_are_asked_for_are_enough(name: str) -> None:
    import re

    wanted = re.compile(LINES)
    whole = lines(REPORTS[name])
    assert list(parse(x for x in whole if wanted.search(x.text))) == list(parse(whole))


@settings(deadline=None)
@given(st.data())
def test_a_real_report_cut_anywhere(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([*REPORTS.values(), f"{INVOKED}\n{SUMMARY}\n{KILLED}"]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    part = text[start:end]
    for report in reports(part):
        assert dead(report).pid > 0
    parse_table(part.splitlines(), 4096)


FRAGMENTS = [INVOKED, SUMMARY, KILLED, GROUP, "[  pid  ] uid tgid rss", "[  612] 0 1 2 3 x"]


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text()), max_size=12))
def test_any_lines_in_any_order(texts: list[str]) -> None:
    found = list(parse(Line(float(at), "b", text) for at, text in enumerate(texts)))
    assert len(found) <= len("\n".join(texts).split("\n"))
    parse_table(texts, 4096)


@settings(deadline=None)
@given(st.binary(), st.text())
def test_any_record_of_the_buffer(raw: bytes, text: str) -> None:
    kmsg.parse_record(raw, "b", 0.0)
    line = kmsg.parse_record(b"6,1,5,-;" + text.encode("utf-8", "surrogatepass"), "b", 0.0)
    assert line is not None


def test_the_buffer() -> None:
    line = kmsg.parse_record(b"6,41,2500000,-;a\\x0ab\n SUBSYSTEM=x\n", "b", 100.0)
    assert line == Line(102.5, "b", "a\nb", "kmsg:41")
    # What a program wrote there is not the kernel's word.
    assert kmsg.parse_record(b"14,41,2500000,-;" + KILLED.encode(), "b", 0.0) is None


# The table

OLD = "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"
NEW = (
    "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents "
    "oom_score_adj name"
)


@pytest.mark.parametrize(
    ("head", "row", "shown"),
    [
        (OLD, "[    612]    33   612    28000    25600   245760       12          -900 a b", -900),
        (
            NEW,
            "[    612]    33   612  28000  25600 25000 600 0   245760       12           100 a b",
            100,
        ),
    ],
)
def test_the_table_of_each_kernel(head: str, row: str, shown: int) -> None:
    (task,) = parse_table([head, row, row[:40], "[  x]", "noise"], 4096)
    assert (task.pid, task.name, task.uid, task.adj) == (612, "a b", 33, shown)
    assert (task.rss, task.swap, task.page_tables) == (25600 * 4096, 12 * 4096, 245760)
    assert parse_table([head.replace("swapents", "new"), row], 4096) == ()
    assert parse_table([row], 4096) == ()


def test_a_table_whose_heading_names_a_column_twice_is_not_understood() -> None:
    heading = "[  pid  ]   uid  tgid total_vm rss rss pgtables_bytes swapents oom_score_adj name"
    row = "[    700]     0   700     2000     1000    45056        0             0 hog"
    assert parse_table([heading, row], 4096) == ()
