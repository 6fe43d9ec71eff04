"""What there is of swap, and whether a file of ours can be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.host.swaps import parse_fstab, parse_swaps
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.text import plain
from lowmem_tui.policy import swap as policy
from lowmem_tui.setup import zram
from lowmem_tui.setup.conf import MARK, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.host.swaps import FstabSwap, Swap
    from lowmem_tui.model.ports import Inspector
    from lowmem_tui.model.setup import HostFacts
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.setup.ground import Ground

FILE: Final = "/swapfile"
UNIT: Final = "swapfile.swap"
PATH: Final = f"/etc/systemd/system/{UNIT}"
LINK: Final = f"/etc/systemd/system/swap.target.wants/{UNIT}"

TEXT: Final = f"""\
{MARK}. `lowmem-tui setup --step swap` changes it, `lowmem-tui undo` takes it back.

[Unit]
Description=Swap file {FILE}
After=systemd-remount-fs.service

[Swap]
What={FILE}
TimeoutSec=15min

[Install]
WantedBy=swap.target
"""
"""Our unit: the file is opened for writing, which / must allow first."""


class Seen(NamedTuple):
    """All that there is of swap."""

    host: HostUsage
    facts: HostFacts
    swaps: list[Swap]
    fstab: list[FstabSwap]
    file: str
    """The size of /swapfile in bytes, as text; "" for none, "foreign" for one that is not ours."""
    text: str | None
    """What swapfile.swap says; None for no such file."""
    zram: zram.Zram

    @property
    def ours(self) -> int:
        """Bytes of our swap file; 0 for none."""
        alone = self.text is None and not self.in_fstab
        return int(self.file) if self.file.isdecimal() and (self.is_ours or alone) else 0

    @property
    def is_ours(self) -> bool:
        """Whether the unit is."""
        return self.text is not None and self.text.startswith(MARK)

    @property
    def in_fstab(self) -> bool:
        """Whether fstab names /swapfile: it is the administrator's then."""
        return any(line.what == FILE for line in self.fstab)

    @property
    def active(self) -> bool:
        """Whether /swapfile is on."""
        return any(swap.path == FILE for swap in self.swaps)

    @property
    def other(self) -> int:
        """Bytes of swap that is on, and neither our file nor in RAM."""
        return sum(
            swap.size
            for swap in self.swaps
            if not swap.path.startswith("/dev/zram") and not (swap.path == FILE and self.ours)
        )

    @property
    def enough(self) -> bool:
        """Whether there is swap enough without a file of ours."""
        ram = self.host.mem_total
        packed = sum(swap.size for swap in self.swaps if swap.path.startswith("/dev/zram"))
        return policy.enough(ram, self.other) or policy.enough_packed(ram, packed)

    @property
    def proposed(self) -> int:
        """Bytes of the file to propose; 0 if there is no room for one."""
        facts = self.facts
        return policy.file_size(self.host.mem_total, self.other, facts.root_free, facts.root_total)


def see(ground: Ground) -> Seen:
    """Look at the server."""
    swaps = parse_swaps(read_file(ground.files, "/proc/swaps").text or "")
    return Seen(
        host=ground.snapshot().host,
        facts=ground.inspector.facts(),
        swaps=swaps,
        fstab=parse_fstab(read_file(ground.files, "/etc/fstab").text or ""),
        file=ground.system.get(ActionKind.SWAP_FILE, FILE),
        text=read_file(ground.files, PATH).text,
        zram=zram.see(ground, swaps),
    )


def off(seen: Seen, inspector: Inspector) -> Iterator[FstabSwap]:
    """Yield the lines of fstab whose swap is there and not on."""
    on = {inspector.real_path(swap.path) for swap in seen.swaps}
    for line in seen.fstab:
        path = _path_of(line.what)
        folder, _, name = path.rpartition("/")
        if not path or "noauto" in line.options or name not in inspector.names(folder or "/"):
            continue
        if inspector.real_path(path) not in on:
            yield line


def _path_of(what: str) -> str:
    """Return the path that a first field of fstab(5) means; "" for what is none."""
    kind, equals, value = what.partition("=")
    if not equals:
        return what if what.startswith("/") else ""
    folder = {
        "UUID": "by-uuid",
        "LABEL": "by-label",
        "PARTUUID": "by-partuuid",
        "PARTLABEL": "by-partlabel",
    }.get(kind)
    value = value.strip('"')
    return f"/dev/disk/{folder}/{value}" if folder and "/" not in value else ""


def impossible(seen: Seen) -> str:
    """Return why no swap file of ours can be on this server, or ""."""
    facts = seen.facts
    if not facts.root_writable:
        return "/ is mounted read-only: see `dmesg`, then `mount -o remount,rw /`."
    if facts.root_filesystem not in policy.CARRIERS:
        return (
            f"/ is {plain(facts.root_filesystem, 20)}: a swap file there needs more than being "
            "written, so none is made."
        )
    if seen.in_fstab:
        return f"{FILE} is in /etc/fstab, so it is yours: its size is changed by hand."
    if seen.text is not None and not seen.is_ours:
        return f"{PATH} is there and was not written by lowmem-tui: it is left alone."
    if seen.file and not seen.ours:
        return f"{FILE} is there and was not made by lowmem-tui: it is left alone."
    return ""
