"""/proc and zram: parsers of what a file contains.

A parser returns None for text that is cut or odd; it never raises. Plain values only, and next to
no imports, for `triage`. Sources: proc(5),
Documentation/filesystems/proc.rst, Documentation/accounting/psi.rst,
Documentation/admin-guide/blockdev/zram.rst.
"""

from __future__ import annotations

from lowmem_tui.host.reading import decimal, field, listdir, read
from lowmem_tui.model.integer import natural, signed

PROC = "/proc"
BLOCK = "/sys/block"

PF_KTHREAD = 0x00200000
"""The bit of ``flags`` (stat, field 9) that only kernel threads have (include/linux/sched.h)."""

KIB = 1024


def text(raw: bytes) -> str:
    r"""Return bytes of a process as text; what is not UTF-8 becomes ``\xff``. Not safe to print."""
    return raw.decode("utf-8", "backslashreplace")


def parse_stat(raw: bytes) -> tuple[str, int, int, int] | None:
    """Return ``comm``, ``ppid``, ``flags`` and ``starttime`` (clock ticks) of /proc/PID/stat.

    ``comm`` is as the process wrote it: it may hold blanks, brackets and newlines.
    """
    opening, closing = raw.find(b"("), raw.rfind(b")")
    if not 0 < opening < closing:
        return None
    fields = raw[closing + 1 :].split(None, 21)
    if len(fields) < 21:
        return None
    ppid, flags, start = natural(fields[1]), natural(fields[6]), natural(fields[19])
    if ppid is None or flags is None or start is None:
        return None
    return text(raw[opening + 1 : closing]), ppid, flags, start


def parse_counted(raw: bytes) -> int | None:
    """Return ``rss`` of /proc/PID/stat, in pages: what the OOM killer adds up.

    From Linux 6.2 on counters are kept per processor, and neither of these two collects them.
    """
    closing = raw.rfind(b")")
    fields = raw[closing + 1 :].split(None, 22) if closing > 0 else []
    return natural(fields[21]) if len(fields) > 22 else None


def parse_statm(raw: bytes) -> int | None:
    """Return ``resident`` of /proc/PID/statm, in pages."""
    fields = raw.split(b" ", 2)
    return natural(fields[1]) if len(fields) == 3 else None


def parse_status(raw: bytes) -> tuple[int | None, int | None, int | None]:
    """Return the effective uid, ``VmSwap`` and ``VmPTE`` (bytes) of /proc/PID/status.

    A zombie and a kernel thread have no Vm lines.
    """
    uid = None
    line = _line(raw, b"\nUid:")
    if line is not None:
        fields = line.split(None, 2)
        uid = natural(fields[1]) if len(fields) == 3 else None
    return uid, _kib(raw, b"\nVmSwap:"), _kib(raw, b"\nVmPTE:")


def _line(raw: bytes, key: bytes) -> bytes | None:
    at = raw.find(key)
    if at < 0:
        return None
    end = raw.find(b"\n", at + len(key))
    return raw[at + len(key) : end] if end >= 0 else None


def _kib(raw: bytes, key: bytes) -> int | None:
    at = raw.find(key)
    if at < 0:
        return None
    end = raw.find(b" kB\n", at)
    value = natural(raw[at + len(key) : end].lstrip()) if end >= 0 else None
    return None if value is None else value * KIB


def parse_cmdline(raw: bytes) -> str:
    """Return the arguments with blanks between them; empty for a kernel thread and a zombie."""
    return text(raw.rstrip(b"\0").replace(b"\0", b" "))


def parse_int(raw: bytes) -> int | None:
    """Return the one number of oom_score or oom_score_adj."""
    return signed(raw.strip())


def parse_cgroup(raw: bytes) -> str | None:
    """Return the path of /proc/PID/cgroup in the v2 hierarchy (the line ``0::``).

    None for a process without one, in a group that was removed, or outside our namespace.
    """
    at = 3 if raw.startswith(b"0::") else raw.find(b"\n0::") + 4
    if at < 4 and at != 3:
        return None
    end = raw.find(b"\n", at)
    if end < 0:
        return None
    path = raw[at:end]
    if not path.startswith(b"/") or path.startswith(b"/..") or path.endswith(b" (deleted)"):
        return None
    # Control group names are file names: they must come back as they were to be opened.
    return path.decode("utf-8", "surrogateescape")


def parse_stall(raw: bytes, kind: bytes) -> tuple[float, float, float, int] | None:
    """Return a line of a PSI file, ``some`` or ``full``.

    Three averages in per cent (of 10, 60 and 300 seconds) and microseconds since boot.
    """
    line = _line(b"\n" + raw, b"\n" + kind + b" ")
    fields = [] if line is None else line.split()
    if len(fields) != 4:
        return None
    avg10 = decimal(fields[0][6:]) if fields[0].startswith(b"avg10=") else None
    avg60 = decimal(fields[1][6:]) if fields[1].startswith(b"avg60=") else None
    avg300 = decimal(fields[2][7:]) if fields[2].startswith(b"avg300=") else None
    total = natural(fields[3][6:]) if fields[3].startswith(b"total=") else None
    if avg10 is None or avg60 is None or avg300 is None or total is None:
        return None
    return avg10, avg60, avg300, total


def parse_mm_stat(raw: bytes) -> tuple[int, int] | None:
    """Return ``orig_data_size`` and ``mem_used_total`` of a zram device's mm_stat."""
    fields = raw.split()
    if len(fields) < 4:
        return None
    stored, used = natural(fields[0]), natural(fields[2])
    return None if stored is None or used is None else (stored, used)


def parse_uptime(raw: bytes) -> float | None:
    """Return the seconds since boot of /proc/uptime."""
    first, blank, _ = raw.partition(b" ")
    return decimal(first) if blank else None


def parse_oom_kills(raw: bytes) -> int | None:
    """Return ``oom_kill`` of /proc/vmstat: processes killed for memory since boot."""
    return field(raw, b"oom_kill ")


def parse_meminfo(raw: bytes) -> tuple[int, int, int, int, int] | None:
    """Return RAM, free, available, swap and free swap of /proc/meminfo, bytes; all or None.

    No more is free than there is: a container's SwapFree may have wrapped below 0 (lxcfs).
    """
    raw = b"\n" + raw
    total, free = _kib(raw, b"\nMemTotal:"), _kib(raw, b"\nMemFree:")
    available = _kib(raw, b"\nMemAvailable:")
    swap_total, swap_free = _kib(raw, b"\nSwapTotal:"), _kib(raw, b"\nSwapFree:")
    if total is None or free is None or available is None:
        return None
    if swap_total is None or swap_free is None:
        return None
    return total, min(free, total), min(available, total), swap_total, min(swap_free, swap_total)


def zram_devices(block: str = BLOCK) -> list[str]:
    """Return the zram devices that are set up (``disksize`` is not 0), as paths."""
    names = listdir(block) or []
    paths = [f"{block}/{name}" for name in sorted(names) if name.startswith("zram")]
    return [p for p in paths if natural((read(f"{p}/disksize") or b"").strip()) not in {None, 0}]


def read_zram(devices: list[str]) -> tuple[int, int] | None:
    """Return the sums over devices; None without any whose mm_stat can be read."""
    found = [z for d in devices if (r := read(f"{d}/mm_stat")) and (z := parse_mm_stat(r))]
    return (sum(z[0] for z in found), sum(z[1] for z in found)) if found else None
