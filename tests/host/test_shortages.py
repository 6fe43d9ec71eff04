"""Shortages that killed nothing; and reports that never take over what is another's."""

from __future__ import annotations

import tracemalloc
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.host.logs.backwards import Backwards
from lowmem_tui.host.logs.kernel_log import LINES, Line, Reader, parse, wanted
from lowmem_tui.host.logs.shortages import MOST_DONE, QUIET, Folder
from lowmem_tui.model.incident import Cause, Ending, Evidence, Incident, Kind, Lack, Shortage
from lowmem_tui.policy.incidents import text as incident_words
from lowmem_tui.policy.incidents.build import join
from lowmem_tui.policy.incidents.shortages import Failures, failures, shortages
from tests.host.test_kernel_log import GROUP, KILLED, SUMMARY, member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.model.incident import OomReport

BOOT = "a" * 32


def stuck(name: str = "hog", pid: int = 700) -> tuple[str, ...]:
    """A report of a unit in which nothing can be killed."""
    return (
        f"{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=-1000",
        f"CPU: 0 UID: 0 PID: {pid} Comm: {name} Not tainted 6.12.0 #1",
        "memory: usage 65536kB, limit 65536kB, failcnt 9",
        "swap: usage 0kB, limit 0kB, failcnt 0",
        f"Memory cgroup stats for /system.slice/{name}.service:",
        "Out of memory and no killable processes...",
    )


BARE = (
    "Memory cgroup out of memory: Killed process 900 (other) total-vm:9000kB, anon-rss:5000kB, "
    "file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:40kB oom_score_adj:0"
)
INVOKED = "nginx invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"


def lines(*texts: str, step: float = 0.001, start: float = 1000.0) -> list[Line]:
    return [Line(start + n * step, BOOT, text, str(n)) for n, text in enumerate(texts)]


def read(*texts: str, step: float = 0.001) -> list[OomReport]:
    return list(parse(line for line in lines(*texts, step=step) if wanted(line.text)))


def incidents(*texts: str, step: float = 0.001) -> list[Incident]:
    reports = tuple(read(*texts, step=step))
    return list(join(Evidence(BOOT, reports)).incidents)[::-1]


def summary(unit: str, pid: int, name: str) -> str:
    path = f"/system.slice/{unit}"
    return (
        f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={unit},mems_allowed=0,"
        f"oom_memcg={path},task_memcg={path},task={name},pid={pid},uid=0"
    )


def killed(pid: int, name: str) -> str:
    return BARE.replace("900 (other)", f"{pid} ({name})").replace("UID:33", "UID:0")


# Nothing can be killed


def test_a_unit_that_stands_at_its_limit_is_an_incident() -> None:
    (incident,) = incidents(*stuck())
    assert (incident.kind, incident.cause) == (Kind.NO_VICTIM, Cause.LIMIT)
    assert (incident.unit, incident.ending) == ("hog.service", Ending.NOTHING)
    assert incident.shortage is not None
    assert incident.shortage.limit == 64 << 20
    assert str(incident_words.short(incident)) == "limit 64M, nothing to kill, once"
    assert str(incident_words.why(incident)) == (
        "The kernel found no process that may be killed: the limit of hog.service of 64M was "
        "reached, when hog (pid 700) asked for more, once. A process that requests memory "
        "there waits until some is freed."
    )
    assert "Raise MemoryMax of hog.service" in str(incident_words.what_next(incident))


def test_many_are_one_with_how_long_and_how_often() -> None:
    (incident,) = incidents(*(text for _ in range(500) for text in stuck()), step=1.0)
    assert incident.count == 500
    assert incident.shortage is not None
    assert incident.time - incident.shortage.began == 499 * 6
    assert str(incident_words.short(incident)).endswith("500 times in 49min 54s")


def test_of_two_units_each_has_its_own() -> None:
    found = incidents(*stuck("a", 7), *stuck("b", 8), *stuck("a", 7))
    assert [(i.unit, i.count) for i in found] == [("b.service", 1), ("a.service", 2)]


def test_after_a_quiet_time_it_is_another() -> None:
    reader = Reader()
    for start in (0.0, QUIET + 60):
        for line in lines(*stuck(), start=start):
            reader.take(line)
    reader.finish()
    assert len([s for r in reader.ready() for s in r.shortages]) == 2


WITHOUT_A_VICTIM = {
    "the machine": (
        ("x invoked oom-killer: gfp_mask=0x1, order=0, oom_score_adj=0", stuck()[-1]),
        (Kind.NO_VICTIM, Cause.RAM, ""),
    ),
    "alone": ((stuck()[-1],), (Kind.NO_VICTIM, Cause.RAM, "")),
    "before 4.19": (
        ("Memory cgroup charge failed because of no reclaimable memory! This looks like a bug.",),
        (Kind.NO_VICTIM, Cause.RAM, ""),
    ),
    "said twice": (
        (*stuck(), "Memory cgroup charge failed because of no reclaimable memory! This looks"),
        (Kind.NO_VICTIM, Cause.LIMIT, "hog.service"),
    ),
    "cgroup v1": (
        (
            "a.out invoked oom-killer: gfp_mask=0x6200ca(GFP_HIGHUSER_MOVABLE), order=0",
            "memory: usage 187160kB, limit 204800kB, failcnt 2838",
            "memory+swap: usage 187160kB, limit 9007199254740988kB, failcnt 0",
            "kmem: usage 8264kB, limit 9007199254740988kB, failcnt 0",
            "Memory cgroup stats for /test1: cache:178248KB rss:372KB rss_huge:0KB",
            stuck()[-1],
        ),
        (Kind.NO_VICTIM, Cause.LIMIT, "/test1"),
    ),
    "panic_on_oom": (
        (INVOKED, "Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled"),
        (Kind.PANIC, Cause.RAM, ""),
    ),
    "panic": (
        ("Kernel panic - not syncing: System is deadlocked on memory",),
        (Kind.PANIC, Cause.RAM, ""),
    ),
    "4.18": (
        ("Kernel panic - not syncing: Out of memory and no killable processes...",),
        (Kind.PANIC, Cause.RAM, ""),
    ),
}


@pytest.mark.parametrize(("texts", "found"), WITHOUT_A_VICTIM.values(), ids=WITHOUT_A_VICTIM)
def test_each_way_in_which_nothing_is_killed(
    texts: tuple[str, ...], found: tuple[Kind, Cause, str]
) -> None:
    (incident,) = incidents(*texts)
    assert (incident.kind, incident.cause, incident.unit) == found


@pytest.mark.parametrize(
    "text",
    [
        "Kernel panic - not syncing: VFS: Unable to mount root fs",
        "OOM request ignored. No task eligible",
        "x: Out of memory and no killable processes...",
    ],
)
def test_what_is_no_shortage(text: str) -> None:
    assert incidents(INVOKED, text) == []


def test_who_asked_for_a_kill_in_vain_is_not_the_next_ones_asker() -> None:
    by_hand = INVOKED.replace("order=0", "order=-1")
    for end in (stuck()[-1], "OOM request ignored. No task eligible"):
        (incident,) = incidents(by_hand, end, SUMMARY, KILLED)
        assert incident.report is not None
        assert (incident.report.by_hand, incident.report.asked_by) == (False, "")


def test_a_flood_never_hides_a_kill() -> None:
    flood = [text for _ in range(3000) for text in stuck()]
    found = incidents(summary("b.service", 22, "bbb"), killed(22, "bbb"), *flood)
    assert sorted((i.unit, i.count) for i in found) == [("b.service", 1), ("hog.service", 3000)]


def test_a_flood_takes_no_memory() -> None:
    def flood() -> Iterator[Line]:
        for n in range(60_000):
            yield Line(n / 100, BOOT, stuck()[n % 6])

    tracemalloc.start()
    reports = list(parse(flood()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [s.count for r in reports for s in r.shortages] == [10_000]
    assert peak < 1 << 20


def test_kinds_without_end_are_bounded() -> None:
    folder = Folder()
    for n in range(10 * MOST_DONE):
        folder.add(Shortage(float(n), BOOT, Lack.NO_VICTIM, float(n), cgroup=f"/{n}"))
    assert len(folder.all()) <= 2 * MOST_DONE


@given(st.permutations(range(12)))
def test_the_order_in_which_they_are_taken_does_not_matter(order: list[int]) -> None:
    folder = Folder()
    for n in order:
        folder.add(Shortage(n * 50.0, BOOT, Lack.NO_VICTIM, n * 50.0, cgroup="/a"))
    (found,) = folder.all()
    assert (found.count, found.began, found.time) == (12, 0.0, 550.0)


# Reports never mix


def test_a_report_without_a_victim_lends_nothing_to_the_next() -> None:
    (report,) = read(*stuck(), BARE)
    assert (report.asked_by, report.asked_pid, report.limit) == ("", None, None)
    assert [i.kind for i in incidents(*stuck(), BARE)] == [Kind.NO_VICTIM, Kind.OOM_KILL]


LOST: dict[str, tuple[str, ...]] = {
    "its last lines": stuck()[:-1],
    "its middle": (stuck()[0], stuck()[4]),
    "all but the first": stuck()[:1],
    "its summary's end": (*stuck()[:-1], summary("hog.service", 700, "hog")[:90]),
}


@pytest.mark.parametrize("before", LOST.values(), ids=LOST)
def test_a_report_that_is_cut_lends_nothing_to_another_group(before: tuple[str, ...]) -> None:
    reports = read(*before, summary("b.service", 22, "bbb"), killed(22, "bbb"))
    (report,) = [r for r in reports if r.victim is not None and r.victim.pid == 22]
    assert (report.limit_unit, report.unit) == ("b.service", "b.service")
    if len(before) > 1:
        assert (report.limit, report.asked_by) == (None, "")


def test_a_kill_that_a_summary_does_not_name_is_another_one() -> None:
    reports = read(*stuck()[:-1], summary("hog.service", 700, "hog"), BARE)
    found = {r.victim.pid: (r.limit, r.asked_by) for r in reports if r.victim}
    assert found == {900: (None, ""), 700: (64 << 20, "hog")}


def whole(name: str, pid: int, limit: int) -> list[str]:
    return [
        f"{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        f"CPU: 0 UID: 0 PID: {pid} Comm: {name} Not tainted 6.12.0 #1",
        f"memory: usage {limit}kB, limit {limit}kB, failcnt 9",
        f"Memory cgroup stats for /system.slice/{name}.service:",
        summary(f"{name}.service", pid, name),
        killed(pid, name),
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_two_reports_in_each_other_never_mix(order: list[bool]) -> None:
    first, second = whole("aaa", 11, 1000), whole("bbb", 22, 2000)
    texts = [(first or second).pop(0) if one else (second or first).pop(0) for one in order]
    reports = read(*texts)
    assert sorted(r.victim.pid for r in reports if r.victim) == [11, 22]
    for report in reports:
        assert report.victim is not None
        name, limit = ("aaa", 1000) if report.victim.pid == 11 else ("bbb", 2000)
        assert report.limit in {None, limit * 1024}
        assert report.asked_by in {"", name}
        assert report.asked_pid in {None, report.victim.pid}
        assert report.unit == f"{name}.service"


def test_with_the_writers_marked_both_are_whole() -> None:
    pairs = zip(whole("aaa", 11, 1000), whole("bbb", 22, 2000), strict=True)
    mixed = [
        Line(1000 + n / 1000, BOOT, text, "", context)
        for n, pair in enumerate(pairs)
        for text, context in zip(pair, ("T11", "T22"), strict=True)
    ]
    found = {r.asked_by: (r.asked_pid, r.limit) for r in parse(mixed)}
    assert found == {"aaa": (11, 1000 << 10), "bbb": (22, 2000 << 10)}


def test_a_machines_report_takes_no_groups_limit() -> None:
    text = summary("a.service", 5, "aaa").replace("MEMCG", "NONE")
    text = text.replace("oom_memcg=/system.slice/a.service", "global_oom")
    last = killed(5, "aaa").replace("Memory cgroup out", "Out")
    (report,) = read(*stuck()[:-1], text, last)
    assert (report.constraint, report.limit, report.asked_by) == ("CONSTRAINT_NONE", None, "")


def test_another_processors_trace_is_not_the_askers() -> None:
    other = "CPU: 3 PID: 0 Comm: swapper/3 Not tainted 6.1.0"
    (report,) = read(INVOKED, other, SUMMARY, KILLED)
    assert (report.asked_by, report.asked_pid) == ("nginx", None)


def test_members_of_a_group_are_not_mixed_with_the_next_report() -> None:
    reports = read(
        SUMMARY, KILLED, GROUP, member(1), summary("b.service", 22, "b"), killed(22, "b")
    )
    assert [(r.unit, len(r.also)) for r in reports] == [("hog.service", 1), ("b.service", 0)]


# A limit that is lowered


LOWERED = (
    " memory_max_write+0x11b/0x1e0",
    "memory_max_write+0x11b/0x1e0",
    " [<ffffffff812>] mem_cgroup_resize_limit+0x10/0x100",
    " mem_cgroup_resize_max+0x10/0x100",
    " mem_cgroup_write.isra.0+0x10/0x100",
)


@pytest.mark.parametrize("frame", LOWERED)
def test_a_limit_below_use_is_named_with_who_set_it(frame: str) -> None:
    (incident,) = incidents(
        "tee invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "CPU: 0 UID: 0 PID: 77 Comm: tee Not tainted 6.12.0 #1",
        frame,
        "memory: usage 65540kB, limit 65536kB, failcnt 0",
        summary("b.service", 22, "bbb"),
        killed(22, "bbb"),
    )
    assert str(incident_words.why(incident)).endswith(
        "the unit's own limit was set to 64M, below what was in use, by tee (pid 77)."
    )


def test_systemd_can_only_have_written_it() -> None:
    (incident,) = incidents(
        "systemd invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "CPU: 0 UID: 0 PID: 1 Comm: systemd Not tainted 6.12.0 #1",
        summary("b.service", 22, "bbb"),
        killed(22, "bbb"),
    )
    assert "set below what was in use, by systemd (pid 1)" in str(incident_words.why(incident))


def test_a_caller_that_is_not_sure_is_no_caller() -> None:
    (report,) = read(INVOKED, " ? memory_max_write+0x11b/0x1e0", SUMMARY, KILLED)
    assert not report.lowered


# The kernel's own allocations


FAILED = (
    "kswapd1: page allocation failure: order:0, mode:0x820(GFP_ATOMIC), "
    "nodemask=(null),cpuset=/,mems_allowed=0-7"
)
TRACE = (
    "CPU: 10 PID: 696 Comm: kswapd1 Kdump: loaded Tainted: G           O 6.6.43-CUSTOM #1",
    "Call Trace:",
    " <IRQ>",
    " dump_stack_lvl+0x3c/0x50",
    " warn_alloc+0x13a/0x1c0",
    " __alloc_pages_slowpath.constprop.0+0xc9d/0xd10",
    " __alloc_pages+0x327/0x340",
    " __napi_alloc_skb+0x16d/0x1f0",
    " bnxt_rx_page_skb+0x96/0x1b0 [bnxt_en]",
    " net_rx_action+0x342/0x740",
    " </IRQ>",
    " ext4_readpage+0x1/0x2",
)
"""A report of a 6.6 kernel, as on a fleet of servers (commit 281dd25c1a01 of Linux)."""


def test_the_networks_failed_allocation() -> None:
    (incident,) = incidents(FAILED, *TRACE, "Mem-Info:")
    assert (incident.kind, incident.cause) == (Kind.ALLOCATION, Cause.ALLOCATION)
    shortage = incident.shortage
    assert shortage is not None
    assert (shortage.process, shortage.pid, shortage.order) == ("kswapd1", 696, 0)
    assert (shortage.path, shortage.atomic) == ("network", True)
    assert str(incident_words.short(incident)) == (
        "network allocation failed, once, order 0, GFP_ATOMIC"
    )
    why = str(incident_words.why(incident))
    assert "(1 page, order 0, mode 0x820(GFP_ATOMIC)), once" in why
    assert "It was for the network" in why


# the first line, the frames → process, order, path, atomic
FAILURES = {
    "arm, 4.14": (
        "ip: page allocation failure: order:0, mode:0x1080120(GFP_ATOMIC|__GFP_COLD), nodemask=(n)",
        (
            "[<c0aa7f44>] (dump_stack) from [<c023c37c>] (warn_alloc+0xc8/0x17c)",
            "[<c023d8fc>] (page_frag_alloc) from [<c089204c>] (netdev_alloc_frag+0x40/0x48)",
        ),
        ("ip", 0, "network", True),
    ),
    "3.10": (
        "swapper/21: page allocation failure: order:0, mode:0x20",
        (" [<ffffffffaf03c01d>] __napi_alloc_skb+0x8d/0xe0",),
        ("swapper/21", 0, "network", False),
    ),
    "disk": (
        "swapper/10: page allocation failure: order:0, mode:0xa20(GFP_ATOMIC), nodemask=(null)",
        (" iommu_map_page+0x477/0x540", " map_sg+0x1ce/0x2f0", " scsi_dma_map+0xc6/0x160"),
        ("swapper/10", 0, "disk", True),
    ),
    "dm-crypt": (
        "kworker/1:1H: page allocation failure: order:0, mode:0x800(GFP_NOIO), nodemask=(null)",
        (" mempool_alloc+0x6a/0x1b0", " crypt_alloc_buffer+0xb4/0x1f0 [dm_crypt]"),
        ("kworker/1:1H", 0, "disk", False),
    ),
    "virtio_net": (
        "swapper/0: page allocation failure: order:0, mode:0x480020(GFP_ATOMIC), nodemask=(null)",
        (" alloc_pages+0x9e/0x1e0", " try_fill_recv+0x2a3/0x710 [virtio_net]"),
        ("swapper/0", 0, "network", True),
    ),
    "page pool": (
        "ksoftirqd/0: page allocation failure: order:0, mode:0xa20(GFP_ATOMIC), nodemask=(null)",
        (" __alloc_pages_bulk+0x1/0x2", " page_pool_alloc_pages+0x1/0x2"),
        ("ksoftirqd/0", 0, "network", True),
    ),
    "large": (
        "Xorg  x: page allocation failure: order:10, mode:0x40dc0(GFP_KERNEL|__GFP_COMP)",
        (" kmalloc_large+0x1/0x2", " some_driver+0x1/0x2"),
        ("Xorg  x", 10, "", False),
    ),
    "not sure": (
        "a: page allocation failure: order:1, mode:0x1(GFP_NOWAIT)",
        (" ? tcp_ack+0x1/0x2", " submit_bio+0x1/0x2"),
        ("a", 1, "disk", True),
    ),
    "hardly known": (
        "a: page allocation failure: order:1, mode:0x1(GFP_NOWAIT)",
        (" ? tcp_ack+0x1/0x2",),
        ("a", 1, "network", True),
    ),
    "vmalloc": (
        "python3: vmalloc error: size 20480, failed to allocate pages, mode:0xdc0(GFP_KERNEL)",
        (),
        ("python3", None, "", False),
    ),
    "vmalloc, 4.15": (
        "python3: vmalloc: allocation failure, allocated 12288 of 20480 bytes, mode:0x15080c0(X)",
        (),
        ("python3", None, "", False),
    ),
    "SLUB": (
        "SLUB: Unable to allocate memory on node -1, gfp=0xa20(GFP_ATOMIC)",
        ("  cache: skbuff_head_cache, object size: 232, buffer size: 256, default order: 0",),
        ("", None, "network", True),
    ),
    "SLUB, 6.11": (
        "SLUB: Unable to allocate memory on CPU 0 (of node 0) on node -1, gfp=0x820(GFP_ATOMIC)",
        ("  cache: kmalloc-512, object size: 512, buffer size: 512, default order: 2",),
        ("", None, "", True),
    ),
}


@pytest.mark.parametrize(("first", "frames", "found"), FAILURES.values(), ids=FAILURES)
def test_each_failed_allocation(
    first: str, frames: tuple[str, ...], found: tuple[str, int | None, str, bool]
) -> None:
    (incident,) = incidents(first, *frames)
    shortage = incident.shortage
    assert shortage is not None
    assert (shortage.process, shortage.order, shortage.path, shortage.atomic) == found
    assert str(incident_words.why(incident)).isprintable()


def test_a_burst_is_one_and_what_the_kernel_swallowed_counts() -> None:
    burst = [text for _ in range(20) for text in (FAILED, *TRACE)]
    (incident,) = incidents(*burst, "warn_alloc: 5676 callbacks suppressed", FAILED, *TRACE)
    assert incident.count == 20 + 5676 + 1


def test_slub_says_it_once_more() -> None:
    slub = FAILURES["SLUB"]
    (incident,) = incidents(FAILED, *TRACE, slub[0], *slub[1])
    assert incident.count == 1


def test_the_path_of_an_oom_report_is_not_a_failures() -> None:
    found = incidents(FAILED, INVOKED, SUMMARY, KILLED, step=3.0)
    assert [i.kind for i in found] == [Kind.ALLOCATION, Kind.OOM_KILL]


def test_what_failed_is_summed_up_for_the_settings() -> None:
    disk = FAILURES["disk"]
    reports = tuple(read(FAILED, *TRACE, FAILED, *TRACE, disk[0], *disk[1], *stuck()))
    assert failures(shortages(Evidence(BOOT, reports))) == Failures(atomic=3, network=2)
    assert failures(()) == Failures(0, 0)


# Backwards, as the journal is read


def backwards(*texts: str) -> list[Incident]:
    reader = Backwards()
    for line in reversed([x for x in lines(*texts) if wanted(x.text)]):
        reader.take(line)
    return list(join(Evidence(BOOT, reader.reports())).incidents)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_backwards_comes_to_the_same(order: tuple[int, ...]) -> None:
    parts = [
        [*stuck()],
        [INVOKED, *whole("aaa", 11, 1000)[1:]],
        [FAILED, *TRACE, "Mem-Info:"],
    ]
    texts = [text for at in order for text in parts[at]]
    forwards = {(i.kind, i.unit, i.count) for i in incidents(*texts)}
    assert {(i.kind, i.unit, i.count) for i in backwards(*texts)} == forwards


def test_backwards_a_flood_is_not_held() -> None:
    reader = Backwards()
    for n in range(30_000):
        reader.take(Line(1e6 - n, BOOT, stuck()[5 - n % 6]))
        assert reader.kept == 0
    (report,) = reader.reports()
    assert report.shortages[0].count == 5000


# Any text


PIECES = [*stuck(), FAILED, *TRACE, INVOKED, SUMMARY, KILLED, BARE, GROUP, "Mem-Info:"]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=80)), max_size=40),
    st.lists(st.floats(0, 1e9), max_size=40),
)
def test_any_lines_make_incidents_that_can_be_shown(texts: list[str], times: list[float]) -> None:
    stamps = [*times, *[0.0] * len(texts)]
    made = [Line(stamps[at], BOOT, text) for at, text in enumerate(texts)]
    for reports in (tuple(parse(made)), _backwards(made)):
        for incident in join(Evidence(BOOT, reports)).incidents:
            for words in (str(incident_words.short(incident)), str(incident_words.why(incident))):
                assert words.isprintable()


def _backwards(made: list[Line]) -> tuple[OomReport, ...]:
    reader = Backwards()
    for line in reversed(made):
        reader.take(line)
    return reader.reports()


@pytest.mark.parametrize(
    "text",
    [
        "Killed process 1 (" * 200,
        " invoked oom-killer: " * 100,
        "oom-kill:constraint=" + ",oom_memcg=,task_memcg=,task=" * 60,
        "CPU: 1 " + "PID: 1 Comm: " * 150,
        "a: page allocation failure: order:0, mode:" + "x" * 2000,
        "__" * 1000 + "skb_+0x",
        "Memory cgroup stats for /" + "a/" * 1000,
        "\udcff" * 2000,
        "²" * 2000,
        "Killed process ² (x), UID ٣, total-vm:1kB",
    ],
)
def test_no_line_takes_long(text: str) -> None:
    import time

    began = time.process_time()
    list(parse(lines(*[text] * 20)))
    for line in lines(text):
        wanted(line.text)
    assert time.process_time() - began < 2


def test_every_line_that_is_read_is_asked_for() -> None:
    import re

    asked = re.compile(LINES)
    for texts, _ in WITHOUT_A_VICTIM.values():
        assert asked.search(texts[-1])
    for first, frames, (_, _, path, _) in FAILURES.values():
        assert asked.search(first)
        assert not path or any(asked.search(frame) for frame in frames)
