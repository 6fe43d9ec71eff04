"""The step `box`: what machine this is, and what cannot work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lowmem_tui.host.swaps import parse_swaps
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import (
    N_,
    msg,
    of_bytes,
    of_list,
    of_text,
    plural,
    sentences,
)
from lowmem_tui.model.plan import Plan
from lowmem_tui.model.setup import Finding, Look, Severity
from lowmem_tui.policy.budget import reserve
from lowmem_tui.policy.forecast.userspace_killers import others
from lowmem_tui.setup.conf import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import HostFacts
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.setup.context import Ground

OLDEST_SYSTEMD: Final = 252
FULL: Final = 20
"""The disk counts as full when less than one part in so many is free."""

HOSTS_KERNEL: Final = msg("The kernel is the host's: swap and vm.* are set there.")
CONTAINERS: Final = {
    "lxc": msg(
        "Swap and vm.* are the host's, and oom_score_adj cannot be lowered without privileges. "
        "MemoryMax, Restart and the journal work."
    ),
    "openvz": msg(
        "The kernel, swap and the limits are the host's. MemoryMax works only where the host "
        "delegates cgroup v2."
    ),
    "docker": msg(
        "A Docker container seldom runs systemd: set memory limits on the host, with "
        "`docker run --memory`."
    ),
}


class BoxStep:
    """See ``Step``."""

    name = "box"
    title = N_("This server")
    about = N_(
        "What machine this is: memory, swap, disk, kernel and systemd, and which programs besides "
        "the kernel kill for lack of memory. Nothing is changed here."
    )

    def __init__(self, ground: Ground) -> None:
        """Look at one server."""
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        facts, snapshot = self._ground.inspector.facts(), self._ground.snapshot()
        swaps = read_file(self._ground.files, "/proc/swaps").text or ""
        found = (
            *_memory(snapshot, swaps),
            *_system(facts),
            *_container(facts.container),
            *_killers(snapshot),
        )
        return Look(found, (), tuple(_findings(facts)))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``: there is nothing to set."""
        for key in wishes:
            raise InvalidValueError(
                msg(
                    "'{key}' is not a key of [box]: that step changes nothing. Remove the line.",
                    key=of_text(key, 60),
                )
            )
        return Plan((), (), (), (), ())


def _memory(snapshot: Snapshot, swaps: str) -> Iterator[Message]:
    host = snapshot.host
    yield msg(
        "{total} of RAM, {available} available; {reserve} should be kept free for the system.",
        total=of_bytes(host.mem_total),
        available=of_bytes(host.mem_available),
        reserve=of_bytes(reserve(host.mem_total)),
    )
    yield _swap(snapshot, swaps)
    if host.oom_kills:
        yield sentences(
            plural(
                "The kernel has killed {n} process for lack of memory since boot.",
                "The kernel has killed {n} processes for lack of memory since boot.",
                host.oom_kills,
            ),
            msg("The incidents show the details."),
        )


def _swap(snapshot: Snapshot, swaps: str) -> Message:
    host = snapshot.host
    if not host.swap_total:
        return msg("No swap.")
    total, used = of_bytes(host.swap_total), of_bytes(host.swap_used)
    spaces = [
        msg(
            "{path} ({kind}, {size})",
            path=of_text(swap.path, 40),
            kind=of_text(swap.kind, 20),
            size=of_bytes(swap.size),
        )
        for swap in parse_swaps(swaps)
    ]
    if not spaces:
        return msg("{total} of swap, {used} of it in use.", total=total, used=used)
    return msg(
        "{total} of swap, {used} of it in use: {spaces}.",
        total=total,
        used=used,
        spaces=of_list(spaces),
    )


def _system(facts: HostFacts) -> Iterator[Message]:
    yield plural(
        "{distribution}, kernel {kernel}, {n} processor.",
        "{distribution}, kernel {kernel}, {n} processors.",
        facts.processors,
        distribution=of_text(facts.distribution, 60),
        kernel=of_text(facts.kernel, 40),
    )
    yield _versions(facts)
    space = {"free": of_bytes(facts.root_free), "total": of_bytes(facts.root_total)}
    kind = of_text(facts.root_filesystem, 20)
    if facts.root_writable:
        yield msg(
            "{free} of {total} are free on / ({kind}).",
            free=space["free"],
            total=space["total"],
            kind=kind,
        )
    else:
        yield msg(
            "{free} of {total} are free on / ({kind}, read-only).",
            free=space["free"],
            total=space["total"],
            kind=kind,
        )


def _versions(facts: HostFacts) -> Message:
    groups = msg("only cgroup v2") if facts.unified else msg("cgroup v1, or both versions")
    if facts.systemd is None:
        return msg("systemd of an unknown version, {groups}.", groups=groups)
    return msg("systemd {version}, {groups}.", version=facts.systemd, groups=groups)


def _container(container: str) -> Iterator[Message]:
    if not container:
        yield msg("This is a physical or virtual machine, not a container.")
        return
    yield sentences(
        msg("This is a container ({kind}).", kind=of_text(container, 20)),
        CONTAINERS.get(container, HOSTS_KERNEL),
    )


def _killers(snapshot: Snapshot) -> Iterator[Message]:
    found = others(snapshot)
    for other in found:
        yield msg("{name} is running and also kills: {rule}.", name=other.name, rule=other.rule)
    if not found:
        yield msg(
            "Only the kernel kills for lack of memory: systemd-oomd, earlyoom, nohang and oomd are "
            "not running."
        )


def _findings(facts: HostFacts) -> Iterator[Finding]:
    if not facts.unified:
        yield Finding(
            "cgroup-v1",
            Severity.PROBLEM,
            "",
            msg("cgroup v1 is mounted, too: memory limits are not reliable here."),
            msg("boot with systemd.unified_cgroup_hierarchy=1"),
        )
    if facts.systemd is not None and facts.systemd < OLDEST_SYSTEMD:
        yield Finding(
            "systemd-old",
            Severity.WARNING,
            "",
            msg(
                "systemd {version} is older than {oldest}, the oldest that lowmem-tui is tested "
                "with.",
                version=facts.systemd,
                oldest=OLDEST_SYSTEMD,
            ),
            msg("upgrade the distribution (Debian 12, Ubuntu 24.04, or later)"),
        )
    if not facts.root_writable:
        yield Finding(
            "disk-read-only",
            Severity.PROBLEM,
            "/",
            msg("The root file system / is mounted read-only: nothing can be changed or logged."),
            msg("see `dmesg` for the reason, then `mount -o remount,rw /`"),
        )
    if facts.root_free * FULL < facts.root_total:
        yield Finding(
            "disk-full",
            Severity.PROBLEM if facts.root_free < facts.root_total // 100 else Severity.WARNING,
            "/",
            msg(
                "Only {free} of {total} are free on /: services fail when it is full.",
                free=of_bytes(facts.root_free),
                total=of_bytes(facts.root_total),
            ),
            msg("`du -xh / | sort -h | tail` shows what uses the space"),
        )


def make(ground: Ground) -> BoxStep:
    """Return the step."""
    return BoxStep(ground)
