"""What there is of swap, and whether a file of ours can be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.host.swaps import parse_fstab, parse_swaps, tag_path
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path, of_text
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.policy import swap as policy
from lowmem_tui.setup import unit_words
from lowmem_tui.setup.conf import MARK, read_file
from lowmem_tui.setup.swap import zram

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.host.swaps import FstabSwap, Swap
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Inspector
    from lowmem_tui.model.setup import HostFacts
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.setup.context import Ground

FILE: Final = "/swapfile"
UNIT: Final = "swapfile.swap"
PATH: Final = f"/etc/systemd/system/{UNIT}"
LINK: Final = f"/etc/systemd/system/swap.target.wants/{UNIT}"

TEXT: Final = f"""\
{MARK}. `lowmem-tui setup --step swap` changes it, `lowmem-tui undo` undoes it.

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


class Off(NamedTuple):
    """Swap that is there, that a boot is to switch on, and that is not on."""

    what: str
    """As fstab names it, or its path; not safe to print as it is."""
    source: str
    """/etc/fstab, or the unit."""
    remedy: str


class Seen(NamedTuple):
    """All swap of the server."""

    host: HostUsage
    facts: HostFacts
    swaps: list[Swap]
    fstab: list[FstabSwap]
    off: list[Off]
    """To be switched on ahead of all else."""
    file: str
    """The size of /swapfile in bytes, as text; "" for none, "foreign" for one that is not ours."""
    text: str | None
    """What swapfile.swap says; None for no such file."""
    zram: zram.Zram

    @property
    def ours(self) -> int:
        """Bytes of our swap file; 0 for none."""
        alone = self.text is None and not self.in_fstab
        return (natural(self.file) or 0) if self.is_ours or alone else 0

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
    fstab = parse_fstab(read_file(ground.files, "/etc/fstab").text or "")
    return Seen(
        host=ground.snapshot().host,
        facts=ground.inspector.facts(),
        swaps=swaps,
        fstab=fstab,
        off=list(_off(ground, swaps, fstab)),
        file=ground.system.get(ActionKind.SWAP_FILE, FILE),
        text=read_file(ground.files, PATH).text,
        zram=zram.see(ground, swaps),
    )


def _off(ground: Ground, swaps: Sequence[Swap], fstab: Sequence[FstabSwap]) -> Iterator[Off]:
    """Yield the swap that is there, that a boot is to switch on, and that is not on."""
    inspector = ground.inspector
    on = {inspector.real_path(swap.path) for swap in swaps}
    for line in fstab:
        path = _there(inspector, tag_path(line.what))
        if not path or (real := inspector.real_path(path)) in on:
            continue
        on.add(real)
        if "noauto" not in line.options:
            yield Off(line.what, "/etc/fstab", "sudo swapon -a")
    states = ground.unit_files()
    for unit in sorted(name for name in states if name.endswith(".swap") and name != UNIT):
        if not states[unit].startswith(("enabled", "generated")):
            continue
        path = _there(inspector, unit_words.specified("%f", unit) or "")
        if not path or (real := inspector.real_path(path)) in on:
            continue
        if ground.system.get(ActionKind.RUN, unit) != "active":
            on.add(real)
            yield Off(path, unit, f"sudo systemctl start '{unit}'")


def _there(inspector: Inspector, path: str) -> str:
    """Return a path that is there; "" for none. Links of udev are found in any case of letters."""
    folder, _, name = path.rpartition("/")
    if not name:
        return ""
    names = inspector.names(folder or "/")
    if name not in names and folder.startswith("/dev/disk/"):
        name = next((each for each in names if each.lower() == name.lower()), name)
    return f"{folder}/{name}" if name in names else ""


def impossible(seen: Seen) -> Message | None:
    """Return why no swap file of ours can be on this server; None if it can."""
    facts = seen.facts
    if not facts.root_writable:
        return msg("/ is mounted read-only: see `dmesg`, then `mount -o remount,rw /`.")
    if facts.root_filesystem not in policy.CARRIERS:
        return msg(
            "/ is {kind}: a swap file there needs more than an ordinary file, so none is created.",
            kind=of_text(facts.root_filesystem, 20),
        )
    if seen.in_fstab:
        return msg(
            "{path} is in /etc/fstab, so it is yours: change its size by hand.", path=of_path(FILE)
        )
    if seen.text is not None and not seen.is_ours:
        return msg("{path} was not written by lowmem-tui: it is kept.", path=of_path(PATH))
    if seen.file and not seen.ours:
        return msg("{path} was not made by lowmem-tui: it is kept.", path=of_path(FILE))
    return None
