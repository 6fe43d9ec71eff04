"""The step `box`: what machine this is, and what cannot work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lowmem_tui.host.swaps import parse_swaps
from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import Plan
from lowmem_tui.model.setup import Finding, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import reserve
from lowmem_tui.policy.forecast.userspace_killers import others
from lowmem_tui.setup.conf import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.setup import HostFacts
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.setup.context import Ground

OLDEST_SYSTEMD: Final = 252
FULL: Final = 20
"""The disk counts as full when less than one part in so many is free."""

CONTAINERS: Final = {
    "lxc": (
        "Swap and vm.* are the host's, and oom_score_adj cannot be lowered without privileges: "
        "MemoryMax, Restart and the journal work."
    ),
    "openvz": (
        "The kernel, swap and the limits are the host's: MemoryMax works only where the host "
        "hands cgroup v2 down."
    ),
    "docker": (
        "A container of Docker seldom runs systemd: set memory limits on the host, with "
        "`docker run --memory`."
    ),
}


class BoxStep:
    """See ``Step``."""

    name = "box"
    title = "This server"
    about = (
        "What machine this is: memory, swap, disk, kernel and systemd, and what else on it kills "
        "for want of memory. Nothing is changed here."
    )

    def __init__(self, ground: Ground) -> None:
        """Look at one server."""
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        facts, snapshot = self._ground.inspector.facts(), self._ground.snapshot()
        swaps = read_file(self._ground.files, "/proc/swaps").text or ""
        said = (
            *_memory(snapshot, swaps),
            *_system(facts),
            *_container(facts.container),
            *_killers(snapshot),
        )
        return Look(said, (), tuple(_findings(facts)))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``: there is nothing to wish for."""
        for key in wishes:
            raise InvalidValueError(
                f"'{plain(key, 60)}' is no key of [box]: that step only looks; leave it out."
            )
        return Plan((), (), (), (), ())


def _memory(snapshot: Snapshot, swaps: str) -> Iterator[str]:
    host = snapshot.host
    yield (
        f"{format_size(host.mem_total)} of RAM, {format_size(host.mem_available)} of it available; "
        f"{format_size(reserve(host.mem_total))} are best left to the system itself."
    )
    if host.swap_total:
        names = ", ".join(
            f"{plain(swap.path, 40)} ({swap.kind}, {format_size(swap.size)})"
            for swap in parse_swaps(swaps)
        )
        yield (
            f"{format_size(host.swap_total)} of swap, {format_size(host.swap_used)} of it in use"
            f"{f': {names}' if names else ''}."
        )
    else:
        yield "No swap."
    if host.oom_kills:
        times = "once" if host.oom_kills == 1 else f"{host.oom_kills} times"
        yield f"The kernel has killed for want of memory {times} since boot: see the incidents."


def _system(facts: HostFacts) -> Iterator[str]:
    many = "1 processor" if facts.processors == 1 else f"{facts.processors} processors"
    yield f"{plain(facts.distribution, 60)}, kernel {plain(facts.kernel, 40)}, {many}."
    version = f"systemd {facts.systemd}" if facts.systemd else "systemd, of a version not known"
    groups = "cgroup v2 alone" if facts.unified else "cgroup v1, or both versions"
    yield f"{version}, {groups}."
    yield (
        f"{format_size(facts.root_free)} of {format_size(facts.root_total)} are free on / "
        f"({plain(facts.root_filesystem, 20)}{'' if facts.root_writable else ', read-only'})."
    )


def _container(container: str) -> Iterator[str]:
    if not container:
        yield "It is a machine of its own, or a virtual one: no container."
        return
    words = CONTAINERS.get(container, "The kernel is the host's: swap and vm.* are set there.")
    yield f"It is a container ({plain(container, 20)}). {words}"


def _killers(snapshot: Snapshot) -> Iterator[str]:
    found = others(snapshot)
    for other in found:
        yield f"{other.name} runs, and kills, too: {other.rule}."
    if not found:
        yield (
            "Only the kernel kills for want of memory: neither systemd-oomd nor earlyoom, nohang "
            "or oomd runs."
        )


def _findings(facts: HostFacts) -> Iterator[Finding]:
    if not facts.unified:
        yield Finding(
            "cgroup-v1",
            Severity.PROBLEM,
            "",
            "cgroup v2 is not mounted alone: memory limits cannot be trusted here.",
            "boot with systemd.unified_cgroup_hierarchy=1",
        )
    if facts.systemd is not None and facts.systemd < OLDEST_SYSTEMD:
        yield Finding(
            "systemd-old",
            Severity.WARNING,
            "",
            f"systemd {facts.systemd} is older than any this is tested with ({OLDEST_SYSTEMD}).",
            "upgrade the distribution (Debian 12, Ubuntu 24.04, or later)",
        )
    if not facts.root_writable:
        yield Finding(
            "disk-read-only",
            Severity.PROBLEM,
            "/",
            "The root file system is mounted read-only: nothing can be changed or logged.",
            "see `dmesg` for the reason, then `mount -o remount,rw /`",
        )
    if facts.root_free * FULL < facts.root_total:
        yield Finding(
            "disk-full",
            Severity.PROBLEM if facts.root_free < facts.root_total // 100 else Severity.WARNING,
            "/",
            f"Only {format_size(facts.root_free)} of {format_size(facts.root_total)} are free on "
            "/: services fail when it is full.",
            "`du -xh / | sort -h | tail` shows what takes the space",
        )


def make(ground: Ground) -> BoxStep:
    """Return the step."""
    return BoxStep(ground)
