"""The step `swap`: a swap file of our own, or compressed swap in RAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lowmem_tui.change.machine.swap_file import MARGIN
from lowmem_tui.model.amount import format_size, render_limit
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice, Phase, Plan
from lowmem_tui.model.quantity import parse_size
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.policy import swap as policy
from lowmem_tui.setup import common
from lowmem_tui.setup.conf import known
from lowmem_tui.setup.swap import zram
from lowmem_tui.setup.swap.seen import FILE, LINK, PATH, TEXT, UNIT, impossible, see

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.swap.seen import Off, Seen

LEAST: Final = 64 << 20
"""Bytes of a swap file at least."""

_BTRFS: Final = (
    "A swap file on btrfs needs a subvolume of its own, which cannot be in a snapshot, and no "
    "copy-on-write: `btrfs subvolume create /swap`, then `btrfs filesystem mkswapfile --size 2g "
    "/swap/swapfile` (btrfs-progs 6.1), `swapon /swap/swapfile`, and the line `/swap/swapfile none "
    "swap sw 0 0` in /etc/fstab."
)

KEYS: Final = ("file", "zram")


class SwapStep:
    """See ``Step``."""

    name = "swap"
    title = "Swap"
    about = (
        "With swap, a burst of memory ends in slowness instead of a kill, and what nobody uses "
        "makes room for what is used. A file does; it is written whole, belongs to root alone, and "
        "is switched on at every boot by a unit of our own."
    )

    def __init__(self, ground: Ground) -> None:
        """Look at one server."""
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        seen = see(self._ground)
        if seen.facts.container:
            return Look(absent=_not_here(seen.facts.container))
        cannot = impossible(seen)
        items = []
        if not cannot and (item := _file_item(seen)):
            items.append(item)
        no_file = bool(cannot) or (not seen.proposed and not seen.ours)
        wanted = no_file and not seen.enough and not seen.off
        if extra := zram.item(seen.zram, seen.host.mem_total, taken=wanted):
            items.append(extra)
        facts = tuple(_facts(seen, cannot))
        return Look(
            facts, tuple(items), tuple(self._findings(seen, cannot)), _by_hand(seen, cannot)
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        known(self.name, wishes, KEYS)
        seen = see(self._ground)
        ram = seen.host.mem_total
        files: list[FileChange] = []
        actions: list[Action] = []
        warnings: list[Notice] = []
        refusals: list[Notice] = []
        if "file" in wishes:
            size = _parse(wishes["file"])
            made, done = self._file_changes(seen, size)
            if size and (made or done):
                refusals += _refusals(seen, size)
                warnings += _warnings(seen, size)
            files += made
            actions += done
        if "zram" in wishes:
            size = zram.parse(wishes["zram"], ram)
            if size or seen.zram.size:
                link = self._ground.system.get(ActionKind.LINK, zram.LINK)
                made, done = zram.changes(seen.zram, link, size)
                if size and (made or done):
                    refusals += zram.refusals(seen.zram)
                files += made
                actions += done
        refusals += common.in_the_place_of_links(actions)
        if seen.facts.container and (files or actions):
            refusals = [Notice("swap-container", "", _not_here(seen.facts.container))]
        return Plan((), tuple(files), (), tuple(warnings), tuple(refusals), tuple(actions))

    def _file_changes(
        self, seen: Seen, size: int
    ) -> tuple[tuple[FileChange, ...], tuple[Action, ...]]:
        """Return what makes a swap file of this size (0: none) of what there is."""
        if not size and not seen.is_ours:
            return (), ()
        text = TEXT if size else None
        files = () if text == seen.text else (FileChange(PATH, seen.text, text),)
        link = self._ground.system.get(ActionKind.LINK, LINK)
        if not size:
            return files, tuple(_removed(seen, link))
        return files, tuple(_made(seen, link, size))

    def _findings(self, seen: Seen, cannot: str) -> Iterator[Finding]:
        ram = format_size(seen.host.mem_total)
        if seen.ours and not seen.active:
            yield Finding(
                "swap-off",
                Severity.WARNING,
                FILE,
                f"The swap file of {format_size(seen.ours)} is there, and it is not on.",
                common.remedy("swap"),
            )
        elif not seen.enough and not seen.ours and not seen.off:
            remedy = common.remedy("swap")
            if cannot:
                remedy = "see `lowmem-tui setup --step swap` for what to do by hand"
            elif not seen.proposed:
                remedy = "free space on /, then run `sudo lowmem-tui setup --step swap`"
            if seen.host.swap_total:
                text = f"There is {format_size(seen.host.swap_total)} of swap for {ram} of RAM"
            else:
                text = f"There is no swap for {ram} of RAM"
            yield Finding(
                "swap-small" if seen.host.swap_total else "swap-missing",
                Severity.ADVICE if seen.host.swap_total else Severity.WARNING,
                "",
                f"{text}: a burst of memory ends in a kill.",
                remedy,
            )
        for each in seen.off:
            yield Finding(
                "swap-fstab-off" if each.source == "/etc/fstab" else "swap-unit-off",
                Severity.WARNING,
                plain(each.what, 60),
                f"{plain(each.source, 80)} names {plain(each.what, 60)} as swap, and it is not on.",
                each.remedy,
            )


def _made(seen: Seen, link: str, size: int) -> Iterator[Action]:
    """Yield what makes a swap file of this size, and has it on."""
    now = natural(seen.file) or 0
    other = now not in {0, size}
    if other and seen.active:
        yield _run("active", "inactive", Phase.EARLY)
    if other:
        yield _write(now, 0, Phase.EARLY)
    if now != size:
        yield _write(0, size, Phase.EARLY)
    yield from _linked(link, PATH)
    if other or not seen.active:
        yield _run("inactive", "active", Phase.LATE)


def _removed(seen: Seen, link: str) -> Iterator[Action]:
    """Yield what switches our swap file off, and removes it."""
    now = natural(seen.file) or 0
    if seen.active:
        yield _run("active", "inactive", Phase.EARLY)
    yield from _linked(link, "")
    if now:
        yield _write(now, 0, Phase.LATE)


def _linked(link: str, target: str) -> Iterator[Action]:
    if link != target:
        verb = "enable" if target else "disable"
        words = f"systemctl {verb} {UNIT}"
        yield Action(ActionKind.LINK, LINK, link, target, Phase.FILES, words)


def _run(before: str, after: str, phase: Phase) -> Action:
    words = f"systemctl {'start' if after == 'active' else 'stop'} {UNIT}"
    return Action(ActionKind.RUN, UNIT, before, after, phase, words)


def _write(before: int, after: int, phase: Phase) -> Action:
    words = f"rm {FILE}"
    if after:
        words = f"write {FILE}, {format_size(after)} of zeros, mode 0600; mkswap {FILE}"
    return Action(ActionKind.SWAP_FILE, FILE, str(before or ""), str(after or ""), phase, words)


def _parse(value: str) -> int:
    """Return the bytes that are wished for, in whole MiB. Raises InvalidValueError."""
    if not value:
        return 0
    size = parse_size(value) >> 20 << 20
    if not LEAST <= size <= 64 << 30:
        raise InvalidValueError(
            f"file={plain(value, 40)} is out of range: write {format_size(LEAST)} to 64G."
        )
    return size


def _refusals(seen: Seen, size: int) -> Iterator[Notice]:
    if why := impossible(seen):
        yield Notice("swap-file-impossible", UNIT, why)
        return
    room = seen.facts.root_free + seen.ours - MARGIN
    if size != seen.ours and size > room:
        yield Notice(
            "swap-disk-full",
            UNIT,
            f"A swap file of {format_size(size)} does not fit: / has "
            f"{format_size(seen.facts.root_free)} free, and {format_size(MARGIN)} of that must "
            "stay; free some, or make it smaller.",
        )


def _warnings(seen: Seen, size: int) -> Iterator[Notice]:
    for each in seen.off if not seen.ours else ():
        yield Notice("swap-off-elsewhere", UNIT, _first(each))
    left = seen.facts.root_free + seen.ours - size
    if size > seen.ours and MARGIN <= left < policy.kept(seen.facts.root_total):
        yield Notice(
            "swap-disk-tight",
            UNIT,
            f"The swap file leaves {format_size(left)} free on /: logs and upgrades need some.",
        )


def _file_item(seen: Seen) -> Item | None:
    size = seen.ours
    proposed = seen.proposed
    if not size and not seen.enough:
        size = proposed
        if not size:
            return None
    now = "none"
    if seen.ours:
        now = render_limit(seen.ours) + ("" if seen.active else ", off")
    elif seen.other:
        now = f"none; {format_size(seen.other)} elsewhere"
    ram = format_size(seen.host.mem_total)
    there = format_size(seen.host.swap_total)
    why = f"{there} of swap for {ram} of RAM is enough: no file is needed."
    if size:
        why = (
            f"For {ram} of RAM {format_size(policy.wanted(seen.host.mem_total))} of swap in all is "
            f"best; {format_size(seen.facts.root_free)} are free on the disk, of which "
            f"{format_size(policy.kept(seen.facts.root_total))} stay free."
        )
    waits = bool(seen.off) and not seen.ours
    if waits:
        why = f"{_first(seen.off[0])} Not taken unless you say so."
    room = seen.facts.root_free + seen.ours - policy.kept(seen.facts.root_total)
    sizes = {each << 20 for each in (512, 1024, 2048) if each << 20 <= room} | {size}
    return Item(
        key="file",
        title=f"Swap file {FILE}",
        now=now,
        value=render_limit(size) if size else "",
        why=why,
        choices=tuple(render_limit(each) if each else "" for each in sorted(sizes)),
        taken=bool(size) and not waits,
        done=not size or (bool(seen.ours) and seen.active),
    )


def _first(each: Off) -> str:
    return (
        f"{plain(each.source, 80)} names {plain(each.what, 60)} as swap, and it is not on: switch "
        f"that on first (`{plain(each.remedy, 120)}`)."
    )


def _facts(seen: Seen, cannot: str) -> Iterable[str]:
    host = seen.host
    if not seen.swaps:
        yield f"There is no swap for {format_size(host.mem_total)} of RAM."
    for swap in seen.swaps:
        yield (
            f"{plain(swap.path, 60)}: a {swap.kind} of {format_size(swap.size)}, "
            f"{format_size(swap.used)} of it in use, priority {swap.priority}."
        )
    for line in seen.fstab:
        if "noauto" in line.options:
            yield f"/etc/fstab leaves {plain(line.what, 60)} off at the start (noauto)."
    if seen.zram.foreign:
        yield f"There is zram already, and not by lowmem-tui ({plain(seen.zram.foreign)})."
    if cannot:
        yield cannot
    elif not seen.enough and not seen.ours and not seen.proposed:
        yield (
            f"/ has {format_size(seen.facts.root_free)} free, and "
            f"{format_size(policy.kept(seen.facts.root_total))} must stay free: there is no room "
            "for a swap file."
        )


def _by_hand(seen: Seen, cannot: str) -> tuple[str, ...]:
    if seen.off:
        return tuple(map(_first, seen.off))
    if seen.enough or not cannot:
        return ()
    if seen.facts.root_filesystem == "btrfs":
        return (_BTRFS,)
    if seen.in_fstab:
        size = render_limit(policy.wanted(seen.host.mem_total))
        count = policy.wanted(seen.host.mem_total) >> 20
        words = (
            f"To make {FILE} {size}: `swapoff {FILE} && dd if=/dev/zero of={FILE} bs=1M "
            f"count={count} && chmod 600 {FILE} && mkswap {FILE} && swapon {FILE}`."
        )
        return (words,)
    return ()


def _not_here(container: str) -> str:
    return (
        f"This is a container ({plain(container, 20)}): swap belongs to the host. Ask for it "
        "there (memory.swap.max of the container's group)."
    )


def make(ground: Ground) -> SwapStep:
    """Return the step."""
    return SwapStep(ground)
