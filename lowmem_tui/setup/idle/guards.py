"""How to see that a service which commonly idles is in use here after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.setup.context import Ground

_BASE_SNAPS = ("core", "snapd", "bare", "lxd")
"""Snaps that come with the image, and that nobody installed. (lxd is there unused on Ubuntu.)"""


def in_use(ground: Ground, guard: str) -> str:
    """Return why a service is in use: a clause to follow "it is left alone: "; or ""."""
    return GUARDS[guard](ground) if guard else ""


def _snaps(ground: Ground) -> str:
    names = ground.inspector.names("/var/lib/snapd/snaps")
    snaps = sorted({name.partition("_")[0] for name in names if name.endswith(".snap")})
    found = [snap for snap in snaps if snap.rstrip("0123456789") not in _BASE_SNAPS]
    # The image's own lxd counts once somebody has set it up.
    if "lxd" in snaps and ground.inspector.names("/var/snap/lxd/common/lxd/database"):
        found.append("lxd")
    return f"snaps are installed ({common.listed(found)})" if found else ""


def _multipath(ground: Ground) -> str:
    for name in ground.inspector.names("/sys/block"):
        uuid, _ = common.read(ground.files, f"/sys/block/{name}/dm/uuid")
        if (uuid or "").startswith("mpath-"):
            return f"{name} is a disk with several paths"
    return ""


def _network(prefix: str, words: str) -> Callable[[Ground], str]:
    def guard(ground: Ground) -> str:
        found = [n for n in ground.inspector.names("/sys/class/net") if n.startswith(prefix)]
        return f"there is {words} ({found[0]})" if found else ""

    return guard


def _folder(folder: str, words: str) -> Callable[[Ground], str]:
    def guard(ground: Ground) -> str:
        found = [name for name in ground.inspector.names(folder) if not name.startswith(".")]
        return f"there is {words} ({common.listed(found, 2)})" if found else ""

    return guard


def _dispatcher(ground: Ground) -> str:
    for above in ("/etc/networkd-dispatcher", "/usr/lib/networkd-dispatcher"):
        for folder in ground.inspector.names(above):
            if folder.endswith(".d") and (names := ground.inspector.names(f"{above}/{folder}")):
                return f"it has a script to run ({above}/{folder}/{names[0]})"
    return ""


def _processors(ground: Ground) -> str:
    count = ground.inspector.facts().processors
    return f"there are {count} processors" if count > 2 else ""


def _nfs(ground: Ground) -> str:
    mounts, _ = common.read(ground.files, "/proc/mounts")
    kinds = {line.split(" ")[2] for line in (mounts or "").splitlines() if line.count(" ") > 2}
    if kinds & {"nfs", "nfs4"}:
        return "a folder of NFS is mounted"
    exports, _ = common.read(ground.files, "/etc/exports")
    if any(
        line.strip() and not line.lstrip().startswith("#") for line in (exports or "").split("\n")
    ):
        return "/etc/exports shares folders by NFS"
    return ""


GUARDS: dict[str, Callable[[Ground], str]] = {
    "snaps": _snaps,
    "multipath": _multipath,
    "modem": _network("ww", "a mobile modem"),
    "wireless": _network("wl", "a wireless card"),
    "bluetooth": _folder("/sys/class/bluetooth", "a Bluetooth adapter"),
    "printers": _folder("/etc/cups/ppd", "a printer"),
    "iscsi": _folder("/sys/class/iscsi_session", "a disk in the network"),
    "containers": _folder("/var/lib/lxc", "a container"),
    "dispatcher": _dispatcher,
    "processors": _processors,
    "nfs": _nfs,
}
