"""The machine's own figures, from /proc and /sys/block."""

from __future__ import annotations

from functools import lru_cache

from lowmem_tui.host.procfs import (
    parse_int,
    parse_meminfo,
    parse_oom_kills,
    parse_stall,
    parse_uptime,
    read_zram,
    text,
)
from lowmem_tui.host.reading import each, read, read_whole
from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.usage import HostUsage, Knobs, Pressure, Stall, Zram


@lru_cache(maxsize=16)
def pressure(raw: bytes) -> Pressure | None:
    """Return a PSI file; None without a whole ``some`` line.

    Remembered, because most groups have never waited for memory: their files are the same.
    """
    some, full = parse_stall(raw, b"some"), parse_stall(raw, b"full")
    if some is None:
        return None
    return Pressure(Stall(*some), None if full is None else Stall(*full))


NO_KNOBS = Knobs()


def read_knobs(proc: int, block: str) -> Knobs:
    """Return the values of /proc/sys/vm; ``proc`` is a descriptor of /proc.

    ``block`` is the path of /sys/block: zswap stands beside it.
    """
    names = ("swappiness", "panic_on_oom", "oom_kill_allocating_task")
    zswap = read(f"{block}/../module/zswap/parameters/enabled")
    swappiness, panic, asker = (each(parse_int, read(f"sys/vm/{name}", proc)) for name in names)
    in_ram = None if zswap is None else zswap.strip() in {b"Y", b"1"}
    return Knobs(swappiness, panic, asker, in_ram)


def read_host(proc: str, devices: list[str], page_size: int, knobs: Knobs = NO_KNOBS) -> HostUsage:
    """Return the machine's own figures; ``devices`` are the paths of zram devices.

    ``knobs`` hardly ever change: whoever calls has read them.

    Raises UnsupportedError when there is no meminfo: without it nothing here means anything.
    """
    raw = read(f"{proc}/meminfo", size=16384)
    memory = parse_meminfo(raw) if raw else None
    if memory is None:
        # Not at the start: `triage` has no room for what messages need.
        from lowmem_tui.model.message import msg, of_path

        raise UnsupportedError(
            msg("{path} cannot be read: is /proc mounted?", path=of_path(f"{proc}/meminfo"))
        )
    total, free, available, swap_total, swap_free = memory
    uptime = read(f"{proc}/uptime")
    stalls = read(f"{proc}/pressure/memory")
    vmstat = read_whole(f"{proc}/vmstat")
    zram = read_zram(devices)
    return HostUsage(
        hostname=text((read(f"{proc}/sys/kernel/hostname") or b"").strip()),
        page_size=page_size,
        uptime=parse_uptime(uptime) if uptime else None,
        mem_total=total,
        mem_free=free,
        mem_available=available,
        swap_total=swap_total,
        swap_free=swap_free,
        zram=None if zram is None else Zram(*zram),
        pressure=pressure(stalls) if stalls else None,
        oom_kills=parse_oom_kills(vmstat) if vmstat else None,
        knobs=knobs,
    )
