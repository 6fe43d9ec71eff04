"""The step `swap`: a swap file of our own, or compressed swap in RAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lowmem_tui.change.machine.swap_file import MARGIN
from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import (
    N_,
    msg,
    of_bytes,
    of_command,
    of_limit,
    of_path,
    of_setting,
    of_text,
    sentences,
)
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice, Phase, Plan
from lowmem_tui.model.quantity import parse_size
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.policy import swap as policy
from lowmem_tui.setup import common
from lowmem_tui.setup.conf import known, same_settings
from lowmem_tui.setup.swap import zram
from lowmem_tui.setup.swap.seen import FILE, LINK, PATH, TEXT, UNIT, impossible, see

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import Words
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.swap.seen import Off, Seen

LEAST: Final = 64 << 20
"""Bytes of a swap file at least."""

_BTRFS: Final = msg(
    "A swap file on btrfs needs a subvolume of its own, which cannot be in a snapshot, and no "
    "copy-on-write: `btrfs subvolume create /swap`, then `btrfs filesystem mkswapfile --size 2g "
    "/swap/swapfile` (btrfs-progs 6.1), `swapon /swap/swapfile`, and the line `/swap/swapfile none "
    "swap sw 0 0` in /etc/fstab."
)

KEYS: Final = ("file", "zram")


class SwapStep:
    """See ``Step``."""

    name = "swap"
    title = N_("Swap")
    about = N_(
        "With swap, a burst of memory makes the server slow instead of killing a process, and "
        "unused memory makes room for what is used. A swap file is enough: it is written whole, "
        "only root can read it, and a unit of our own switches it on at every boot."
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
        files = () if same_settings(seen.text, text) else (FileChange(PATH, seen.text, text),)
        link = self._ground.system.get(ActionKind.LINK, LINK)
        if not size:
            return files, tuple(_removed(seen, link))
        return files, tuple(_made(seen, link, size))

    def _findings(self, seen: Seen, cannot: Message | None) -> Iterator[Finding]:
        if seen.ours and not seen.active:
            yield Finding(
                "swap-off",
                Severity.WARNING,
                FILE,
                msg("The swap file of {size} is not on.", size=of_bytes(seen.ours)),
                common.remedy("swap"),
            )
        elif not seen.enough and not seen.ours and not seen.off:
            yield Finding(
                "swap-small" if seen.host.swap_total else "swap-missing",
                Severity.ADVICE if seen.host.swap_total else Severity.WARNING,
                "",
                _too_little(seen),
                _remedy(seen, cannot),
            )
        for each in seen.off:
            yield Finding(
                "swap-fstab-off" if each.source == "/etc/fstab" else "swap-unit-off",
                Severity.WARNING,
                plain(each.what, 60),
                msg(
                    "{source} names {what} as swap, and it is not on.",
                    source=of_text(each.source, 80),
                    what=of_text(each.what, 60),
                ),
                each.remedy,
            )


def _too_little(seen: Seen) -> Message:
    swap, ram = of_bytes(seen.host.swap_total), of_bytes(seen.host.mem_total)
    if seen.host.swap_total:
        return msg(
            "There is only {swap} of swap for {ram} of RAM: a burst of memory ends in an OOM kill.",
            swap=swap,
            ram=ram,
        )
    return msg("There is no swap for {ram} of RAM: a burst of memory ends in an OOM kill.", ram=ram)


def _remedy(seen: Seen, cannot: Message | None) -> Words:
    if cannot:
        return msg("see `lowmem-tui setup --step swap` for what to do by hand")
    if not seen.proposed:
        return msg("free space on /, then run `sudo lowmem-tui setup --step swap`")
    return common.remedy("swap")


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
    return Action(ActionKind.SWAP_FILE, FILE, str(before or ""), str(after or ""), phase)


def _parse(value: str) -> int:
    """Return the bytes that are requested, in whole MiB. Raises InvalidValueError."""
    if not value:
        return 0
    size = parse_size(value) >> 20 << 20
    if not LEAST <= size <= 64 << 30:
        raise InvalidValueError(
            msg(
                "{setting} is out of range: write {least} to 64G.",
                setting=of_setting("file", plain(value, 40)),
                least=of_bytes(LEAST),
            )
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
            msg(
                "A swap file of {size} does not fit: / has {free} free, and {reserve} of that must "
                "stay free. Free space on /, or make the file smaller.",
                size=of_bytes(size),
                free=of_bytes(seen.facts.root_free),
                reserve=of_bytes(MARGIN),
            ),
        )


def _warnings(seen: Seen, size: int) -> Iterator[Notice]:
    for each in seen.off if not seen.ours else ():
        yield Notice("swap-off-elsewhere", UNIT, _first(each))
    left = seen.facts.root_free + seen.ours - size
    if size > seen.ours and MARGIN <= left < policy.kept(seen.facts.root_total):
        yield Notice(
            "swap-disk-tight",
            UNIT,
            msg(
                "After this only {free} are free on /: logs and upgrades need space, too.",
                free=of_bytes(left),
            ),
        )


def _file_item(seen: Seen) -> Item | None:
    size = seen.ours
    proposed = seen.proposed
    if not size and not seen.enough:
        size = proposed
        if not size:
            return None
    waits = bool(seen.off) and not seen.ours
    why = _why(seen, size)
    if waits:
        why = sentences(_first(seen.off[0]), msg("So a second one is not preselected."))
    room = seen.facts.root_free + seen.ours - policy.kept(seen.facts.root_total)
    sizes = {each << 20 for each in (512, 1024, 2048) if each << 20 <= room} | {size}
    return Item(
        key="file",
        title=msg("swap file {path}", path=of_path(FILE)),
        now=_now(seen),
        value=render_limit(size) if size else "",
        why=why,
        choices=tuple(render_limit(each) if each else "" for each in sorted(sizes)),
        taken=bool(size) and not waits,
        done=not size or (bool(seen.ours) and seen.active),
    )


def _now(seen: Seen) -> Message:
    """Say in a few words what file there is."""
    size = of_limit(seen.ours)
    if seen.ours and seen.active:
        return msg("{size}", size=size)
    if seen.ours:
        return msg("{size}, off", size=size)
    if seen.other:
        return msg("none; {size} of other swap", size=of_bytes(seen.other))
    return msg("none")


def _why(seen: Seen, size: int) -> Message:
    """Say why a file of this size is proposed; 0: none."""
    ram = of_bytes(seen.host.mem_total)
    if not size:
        return msg(
            "{swap} of swap for {ram} of RAM is enough: no swap file is needed.",
            swap=of_bytes(seen.host.swap_total),
            ram=ram,
        )
    return msg(
        "For {ram} of RAM, {wanted} of swap in total is best. {free} are free on the disk, and at "
        "least {reserve} of that stay free.",
        ram=ram,
        wanted=of_bytes(policy.wanted(seen.host.mem_total)),
        free=of_bytes(seen.facts.root_free),
        reserve=of_bytes(policy.kept(seen.facts.root_total)),
    )


def _first(each: Off) -> Message:
    return msg(
        "{source} names {what} as swap, and it is not on: switch it on first (`{command}`).",
        source=of_text(each.source, 80),
        what=of_text(each.what, 60),
        command=of_command(each.remedy),
    )


def _facts(seen: Seen, cannot: Message | None) -> Iterable[Message]:
    host = seen.host
    if not seen.swaps:
        yield msg("There is no swap for {ram} of RAM.", ram=of_bytes(host.mem_total))
    for swap in seen.swaps:
        yield msg(
            "{path} ({kind}): {size}, {used} of it in use, priority {priority}.",
            path=of_text(swap.path, 60),
            kind=of_text(swap.kind, 20),
            size=of_bytes(swap.size),
            used=of_bytes(swap.used),
            priority=swap.priority,
        )
    for line in seen.fstab:
        if "noauto" in line.options:
            yield msg(
                "/etc/fstab does not switch {what} on at boot (noauto).",
                what=of_text(line.what, 60),
            )
    if seen.zram.foreign:
        yield msg(
            "There is already a zram device that lowmem-tui did not set up: {what}.",
            what=of_text(seen.zram.foreign),
        )
    if cannot:
        yield cannot
    elif not seen.enough and not seen.ours and not seen.proposed:
        yield msg(
            "/ has {free} free, and {reserve} must stay free: there is no room for a swap file.",
            free=of_bytes(seen.facts.root_free),
            reserve=of_bytes(policy.kept(seen.facts.root_total)),
        )


def _by_hand(seen: Seen, cannot: Message | None) -> tuple[Message, ...]:
    if seen.off:
        return tuple(map(_first, seen.off))
    if seen.enough or not cannot:
        return ()
    if seen.facts.root_filesystem == "btrfs":
        return (_BTRFS,)
    if seen.in_fstab:
        size = policy.wanted(seen.host.mem_total)
        command = (
            f"dd if=/dev/zero of={FILE} bs=1M count={size >> 20} && "
            f"chmod 600 {FILE} && mkswap {FILE} && swapon {FILE}"
        )
        if not any(swap.path == FILE for swap in seen.swaps):
            return (
                msg(
                    "To write {path} of {size}, and switch it on: `{command}`.",
                    path=of_path(FILE),
                    size=of_limit(size),
                    command=of_command(command),
                ),
            )
        command = f"swapoff {FILE} && {command}"
        return (
            msg(
                "To resize {path} to {size}: `{command}`.",
                path=of_path(FILE),
                size=of_limit(size),
                command=of_command(command),
            ),
        )
    return ()


def _not_here(container: str) -> Message:
    return msg(
        "This is a container ({kind}): swap belongs to the host. Set it there (memory.swap.max of "
        "the container's group).",
        kind=of_text(container, 20),
    )


def make(ground: Ground) -> SwapStep:
    """Return the step."""
    return SwapStep(ground)
