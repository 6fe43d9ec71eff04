from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lowmem_tui.host import machine, procfs
from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.usage import Pressure, Stall
from tests.bench.tree import MIB, Box

if TYPE_CHECKING:
    from collections.abc import Callable

STAT = (
    b"912 (%s) S 1 912 912 0 -1 4194560 1189 0 0 0 5 3 0 0 20 0 1 0 173733 3133440 390 "
    b"18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
STATUS = (
    b"Name:\tredis-server\nPid:\t912\nPPid:\t1\nUid:\t0\t112\t0\t0\nVmRSS:\t  65536 kB\n"
    b"VmPTE:\t     184 kB\nVmSwap:\t   20480 kB\nThreads:\t5\n"
)
PSI = b"some avg10=0.40 avg60=1.50 avg300=0.02 total=123456\n"
PSI_FULL = b"full avg10=0.10 avg60=0.00 avg300=0.00 total=99\n"
MEMINFO = (
    b"MemTotal:         989456 kB\nMemFree:           81232 kB\nMemAvailable:     412304 kB\n"
    b"SwapTotal:       2097148 kB\nSwapFree:        1846272 kB\nHugePages_Total:       0\n"
)

SAMPLES: list[tuple[Callable[[bytes], Any], bytes]] = [
    (procfs.parse_stat, STAT % b"redis"),
    (procfs.parse_counted, STAT % b"redis"),
    (procfs.parse_statm, b"12000 5120 300 100 0 500 0\n"),
    (procfs.parse_status, STATUS),
    (procfs.parse_cmdline, b"/usr/bin/redis-server\x000.0.0.0:6379\0"),
    (procfs.parse_int, b"-1000\n"),
    (procfs.parse_cgroup, b"1:name=systemd:/x\n0::/system.slice/redis.service\n"),
    (machine.pressure, PSI + PSI_FULL),
    (procfs.parse_mm_stat, b"  1000 500 600 0 600 0 0 0 0\n"),
    (procfs.parse_uptime, b"1036800.25 900000.00\n"),
    (procfs.parse_oom_kills, b"nr_free_pages 1\noom_kill 3\nzswpin 0\n"),
    (procfs.parse_meminfo, MEMINFO),
]
NAMES = [parse.__name__ for parse, _ in SAMPLES]


@pytest.mark.parametrize(("parse", "raw"), SAMPLES, ids=NAMES)
@given(data=st.data())
def test_a_cut_file_never_raises_and_never_gives_another_number(
    parse: Callable[[bytes], Any], raw: bytes, data: st.DataObject
) -> None:
    whole = parse(raw)
    cut = parse(raw[: data.draw(st.integers(0, len(raw)))])
    # Texts and single numbers are read at once: how long they should be cannot be told.
    if parse in (procfs.parse_cmdline, procfs.parse_int):
        return
    if isinstance(whole, tuple) and isinstance(cut, tuple):
        assert all(c in {None, w} for c, w in zip(cut, whole, strict=True))
    else:
        assert cut is None or cut == whole


@pytest.mark.parametrize("parse", [parse for parse, _ in SAMPLES], ids=NAMES)
@given(raw=st.binary(max_size=400))
@example(raw=b"")
@example(raw=b"(" * 3 + b")" * 3)
@example(raw=b"9" * 5000)
@example(raw=b"0::")
def test_odd_bytes_never_raise(parse: Callable[[bytes], Any], raw: bytes) -> None:
    parse(raw)


@pytest.mark.parametrize(("parse", "raw"), SAMPLES, ids=NAMES)
@given(data=st.data())
def test_one_odd_byte_never_raises(
    parse: Callable[[bytes], Any], raw: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    parse(raw[:at] + bytes([data.draw(st.integers(0, 255))]) + raw[at + 1 :])


@pytest.mark.parametrize(
    "name",
    [b"redis", b"a) (b", b") (", b"new\nline", b"(sd-pam)", b"912 (x) R 1", b"\xff", b""],
)
def test_stat_survives_a_hostile_name(name: bytes) -> None:
    stat = procfs.parse_stat(STAT % name)
    assert stat == (procfs.text(name), 1, 4194560, 173733)
    assert procfs.parse_counted(STAT % name) == 390


def test_stat_tells_a_kernel_thread() -> None:
    stat = procfs.parse_stat(STAT.replace(b"4194560", b"2129984") % b"kworker/0:1")
    assert stat is not None
    assert stat[2] & procfs.PF_KTHREAD


def test_statm_gives_resident_pages() -> None:
    assert procfs.parse_statm(b"12000 5120 300 100 0 500 0\n") == 5120


def test_status_gives_the_effective_uid_swap_and_page_tables() -> None:
    assert procfs.parse_status(STATUS) == (112, 20480 * 1024, 184 * 1024)


def test_status_of_a_zombie_has_no_sizes() -> None:
    raw = b"Name:\tsh\nState:\tZ (zombie)\nUid:\t0\t0\t0\t0\nThreads:\t1\n"
    assert procfs.parse_status(raw) == (0, None, None)


def test_status_is_not_fooled_by_a_name() -> None:
    # The kernel escapes newlines in Name.
    raw = STATUS.replace(b"redis-server", b"x\\nVmSwap:\\t1 kB")
    assert procfs.parse_status(raw)[1] == 20480 * 1024


@pytest.mark.parametrize(
    ("raw", "command"),
    [
        (b"", ""),
        (b"\0", ""),
        (b"/bin/sh\0-c\0echo 1\0", "/bin/sh -c echo 1"),
        (b"nginx: master process\0\0\0", "nginx: master process"),
        (b"\x1b[31m\0\xff\n", "\x1b[31m \\xff\n"),
    ],
)
def test_command_line(raw: bytes, command: str) -> None:
    assert procfs.parse_cmdline(raw) == command


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"667\n", 667), (b"-1000\n", -1000), (b"0", 0), (b"-", None), (b"1_0", None), (b"", None)],
)
def test_score(raw: bytes, value: int | None) -> None:
    assert procfs.parse_int(raw) == value


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"0::/\n", "/"),
        (b"0::/system.slice/a.service\n", "/system.slice/a.service"),
        (b"2:cpu:/a\n0::/b\n", "/b"),
        (b"10::/a\n0::/b\n", "/b"),
        (b"2:cpu:/a\n", None),
        (b"0::/a.service (deleted)\n", None),
        (b"0::/../../b\n", None),
        (b"0::/\xff\n", "/\udcff"),
    ],
)
def test_cgroup(raw: bytes, path: str | None) -> None:
    assert procfs.parse_cgroup(raw) == path


def test_pressure() -> None:
    some = Stall(0.4, 1.5, 0.02, 123456)
    assert machine.pressure(PSI + PSI_FULL) == Pressure(some, Stall(0.1, 0.0, 0.0, 99))


def test_pressure_without_full() -> None:
    pressure = machine.pressure(PSI)
    assert pressure is not None
    assert pressure.full is None


@pytest.mark.parametrize("odd", [b"nan", b"inf", b"1e3", b"-1.0", b"1.2.3", b""])
def test_odd_pressure_is_not_known(odd: bytes) -> None:
    assert machine.pressure(PSI.replace(b"0.40", odd)) is None


def test_kills_since_boot() -> None:
    assert procfs.parse_oom_kills(b"nr_free_pages 1\noom_kill 3\nzswpin 0\n") == 3


def test_an_old_kernel_counts_no_kills() -> None:
    assert procfs.parse_oom_kills(b"nr_free_pages 1\n") is None


def test_zram_adds_up_the_devices_in_use(box: Box) -> None:
    box.add_zram("zram0", stored=300 * MIB, used=100 * MIB)
    box.add_zram("zram1", stored=30 * MIB, used=10 * MIB)
    box.add_zram("zram2")
    (box.block / "zram2" / "disksize").write_text("0\n")
    devices = procfs.zram_devices(str(box.block))
    assert procfs.read_zram(devices) == (330 * MIB, 110 * MIB)


def test_no_zram(box: Box) -> None:
    assert procfs.read_zram(procfs.zram_devices(str(box.block))) is None


def test_host(box: Box) -> None:
    host = machine.read_host(str(box.proc), [], 4096)
    assert host.mem_total == 989456 * 1024
    assert host.swap_used == (2097148 - 1846272) * 1024
    assert host.uptime == 1036800.25
    assert host.hostname == "web-1"
    assert host.oom_kills == 0
    assert host.pressure == Pressure(Stall(0.4, 0.4, 0.0, 1234), Stall(0.2, 0.2, 0.0, 617))


@pytest.mark.parametrize(
    ("path", "field"),
    [("uptime", "uptime"), ("pressure/memory", "pressure"), ("vmstat", "oom_kills")],
)
def test_a_missing_file_is_not_known(box: Box, path: str, field: str) -> None:
    (box.proc / path).unlink()
    assert getattr(machine.read_host(str(box.proc), [], 4096), field) is None


def test_without_meminfo_there_is_no_machine(box: Box) -> None:
    (box.proc / "meminfo").unlink()
    with pytest.raises(UnsupportedError, match="is /proc mounted"):
        machine.read_host(str(box.proc), [], 4096)


def test_no_more_swap_is_free_than_there_is() -> None:
    """A container's SwapFree has wrapped below 0 (lxcfs)."""
    raw = (
        b"MemTotal: 1000000 kB\nMemFree: 500000 kB\nMemAvailable: 600000 kB\n"
        b"SwapTotal: 0 kB\nSwapFree: 18446744073709551360 kB\n"
    )
    found = procfs.parse_meminfo(raw)
    assert found is not None
    assert found[3:] == (0, 0)
