"""Compressed swap in RAM, by a unit of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_bytes, of_limit, of_setting, of_text
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice, Phase
from lowmem_tui.model.quantity import parse_size
from lowmem_tui.model.setup import Item
from lowmem_tui.model.text import plain
from lowmem_tui.policy.swap import zram_size
from lowmem_tui.setup.conf import MARK, read_file, same_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.host.swaps import Swap
    from lowmem_tui.setup.context import Ground

ZRAM_UNIT: Final = "lowmem-tui-zram.service"
ZRAM_DEVICE: Final = "/dev/zram0"
PATH: Final = f"/etc/systemd/system/{ZRAM_UNIT}"
LINK: Final = f"/etc/systemd/system/swap.target.wants/{ZRAM_UNIT}"

LEAST: Final = 16 << 20
"""Bytes."""

SIZE: Final = "# Size="
"""The line of our unit that says its size: what a comment says, no program changes."""

PROGRAMS: Final = ("modprobe", "zramctl", "mkswap", "swapon", "swapoff")


class Zram(NamedTuple):
    """What there is of it."""

    here: bool
    """Whether the kernel and the programs are there."""
    foreign: str
    """A device of others, or a unit of our name that is not ours; or ""."""
    text: str | None
    """Our unit's text."""
    size: int
    """Bytes that our unit makes; 0 for none."""
    active: bool


def see(ground: Ground, swaps: Sequence[Swap]) -> Zram:
    """Look at what there is."""
    text = read_file(ground.files, PATH).text
    ours = text is not None and text.startswith(MARK)
    on = [swap.path for swap in swaps if swap.path.startswith("/dev/zram")]
    disksize = (read_file(ground.files, "/sys/block/zram0/disksize").text or "0").strip()
    foreign = ""
    if text is not None and not ours:
        foreign = PATH
    elif not ours and (on or disksize not in {"", "0"}):
        foreign = on[0] if on else ZRAM_DEVICE
    names = {*ground.inspector.names("/usr/sbin"), *ground.inspector.names("/sbin")}
    return Zram(
        here=ground.inspector.facts().zram and names.issuperset(PROGRAMS),
        foreign=foreign,
        text=text,
        size=_size(text or "") if ours else 0,
        active=ours and ZRAM_DEVICE in on,
    )


def item(found: Zram, ram: int, *, taken: bool) -> Item | None:
    """Return what is proposed; None where nothing can be chosen."""
    if not found.here or found.foreign:
        return None
    size = found.size or zram_size(ram)
    now = msg("none")
    if found.size and found.active:
        now = msg("{size}", size=of_limit(found.size))
    elif found.size:
        now = msg("{size}, off", size=of_limit(found.size))
    sizes = {zram_size(ram), ram // 4 // LEAST * LEAST, size}
    return Item(
        key="zram",
        title=msg("zram (compressed swap in RAM)"),
        now=now,
        value=render_limit(size),
        why=msg(
            "Unused pages are compressed instead of written: {size} of them take about {packed} of "
            "RAM. It is used before a swap file and is far faster, but costs processor time. Pages "
            "that do not compress gain nothing.",
            size=of_bytes(size),
            packed=of_bytes(size // 3),
        ),
        choices=tuple(render_limit(each) for each in sorted(sizes)),
        taken=taken or bool(found.size),
        done=bool(found.size) and found.active,
    )


def parse(value: str, ram: int) -> int:
    """Return the bytes that are requested. Raises InvalidValueError."""
    if not value:
        return 0
    size = parse_size(value) // 4096 * 4096
    if not LEAST <= size <= 2 * ram:
        raise InvalidValueError(
            msg(
                "{setting} is out of range: write {least} to {most} (twice the RAM).",
                setting=of_setting("zram", plain(value, 40)),
                least=of_bytes(LEAST),
                most=of_bytes(2 * ram),
            )
        )
    return size


def refusals(found: Zram) -> list[Notice]:
    """Return why it cannot be made."""
    if found.foreign:
        text = msg(
            "There is already a zram device that lowmem-tui did not set up: see {what}.",
            what=of_text(found.foreign),
        )
    elif not found.here:
        text = msg(
            "The kernel has no zram, or zramctl is missing (package util-linux): use a swap file."
        )
    else:
        return []
    return [Notice("zram-impossible", ZRAM_UNIT, text)]


def changes(found: Zram, link: str, size: int) -> tuple[tuple[FileChange, ...], tuple[Action, ...]]:
    """Return what makes a device of this size (0: none) of what there is."""
    text = unit(size) if size else None
    files = () if same_settings(found.text, text) else (FileChange(PATH, found.text, text),)
    target = PATH if size else ""
    actions = []
    if found.active and (files or not size):
        actions.append(_run("active", "inactive", Phase.EARLY))
    if link != target:
        actions.append(
            Action(
                ActionKind.LINK, LINK, link, target, Phase.FILES,
                f"systemctl {'enable' if size else 'disable'} {ZRAM_UNIT}",
            )
        )  # fmt: skip
    if size and (files or not found.active):
        actions.append(_run("inactive", "active", Phase.LATE))
    return files, tuple(actions)


def _run(before: str, after: str, phase: Phase) -> Action:
    verb = "start" if after == "active" else "stop"
    return Action(ActionKind.RUN, ZRAM_UNIT, before, after, phase, f"systemctl {verb} {ZRAM_UNIT}")


def unit(size: int) -> str:
    """Return the text of our unit: a oneshot that nothing stops before the machine does."""
    return f"""\
{MARK}. `lowmem-tui setup --step swap` changes it, `lowmem-tui undo` undoes it.
{SIZE}{render_limit(size)}

[Unit]
Description=Compressed swap in RAM ({ZRAM_DEVICE})
DefaultDependencies=no
After=systemd-modules-load.service systemd-remount-fs.service
Before=swap.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/modprobe zram num_devices=1
ExecStart=/usr/sbin/zramctl --size {size} {ZRAM_DEVICE}
ExecStart=/usr/sbin/mkswap --label lowmem-tui {ZRAM_DEVICE}
ExecStart=/usr/sbin/swapon --priority 100 {ZRAM_DEVICE}
ExecStop=/usr/sbin/swapoff {ZRAM_DEVICE}
ExecStopPost=-/usr/sbin/zramctl --reset {ZRAM_DEVICE}
TimeoutSec=15min

[Install]
WantedBy=swap.target
"""


def _size(text: str) -> int:
    for line in text.splitlines():
        if line.startswith(SIZE):
            try:
                return parse_size(line.removeprefix(SIZE))
            except InvalidValueError:
                break
    return 0
