"""How to see that a service which is commonly unneeded is in use here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_path, of_text, plural
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.model.message import Message
    from lowmem_tui.setup.context import Ground

_BASE_SNAPS = ("core", "snapd", "bare", "lxd")
"""Snaps that come with the image, and that nobody installed. (lxd is there unused on Ubuntu.)"""


def in_use(ground: Ground, guard: str) -> Message | None:
    """Return why a service is in use, as a sentence; None if it is not."""
    return GUARDS[guard](ground) if guard else None


def _snaps(ground: Ground) -> Message | None:
    names = ground.inspector.names("/var/lib/snapd/snaps")
    snaps = sorted({name.partition("_")[0] for name in names if name.endswith(".snap")})
    found = [snap for snap in snaps if snap.rstrip("0123456789") not in _BASE_SNAPS]
    # The image's own lxd counts once somebody has set it up.
    if "lxd" in snaps and ground.inspector.names("/var/snap/lxd/common/lxd/database"):
        found.append("lxd")
    return msg("Snaps are installed: {names}.", names=common.several(found)) if found else None


def _multipath(ground: Ground) -> Message | None:
    for name in ground.inspector.names("/sys/block"):
        uuid, _ = common.read(ground.files, f"/sys/block/{name}/dm/uuid")
        if (uuid or "").startswith("mpath-"):
            return msg("{name} is a disk with several paths.", name=of_text(name, 60))
    return None


def _card(ground: Ground, prefix: str) -> str:
    """Return the network interface whose name begins so; "" for none."""
    names = ground.inspector.names("/sys/class/net")
    return next((name for name in names if name.startswith(prefix)), "")


_MODEMS = (
    ("/sys/class/net", ("ww", "ppp")),
    ("/sys/class/wwan", ("wwan",)),
    ("/sys/class/usbmisc", ("cdc-wdm",)),
    ("/sys/class/tty", ("ttyUSB", "ttyACM")),
)
"""Where a modem shows itself: many have a serial line alone until they are connected."""


def _modem(ground: Ground) -> Message | None:
    for folder, prefixes in _MODEMS:
        for name in sorted(ground.inspector.names(folder)):
            if name.startswith(prefixes):
                return msg("There is a mobile modem, or may be: {name}.", name=of_text(name, 60))
    return None


def _wireless(ground: Ground) -> Message | None:
    net = "/sys/class/net"
    found = _card(ground, "wl") or next(
        (
            name
            for name in ground.inspector.names(net)
            # A driver or an administrator may call it anything.
            if {"wireless", "phy80211"} & set(ground.inspector.names(f"{net}/{name}"))
        ),
        "",
    )
    return msg("There is a wireless card: {name}.", name=of_text(found, 60)) if found else None


def _names(ground: Ground, folder: str) -> list[str]:
    return [name for name in ground.inspector.names(folder) if not name.startswith(".")]


def _bluetooth(ground: Ground) -> Message | None:
    found = _names(ground, "/sys/class/bluetooth")
    if not found:
        return None
    return msg("There is a Bluetooth adapter: {names}.", names=common.several(found, 2))


def _printers(ground: Ground) -> Message | None:
    found = _names(ground, "/etc/cups/ppd")
    return msg("There is a printer: {names}.", names=common.several(found, 2)) if found else None


def _iscsi(ground: Ground) -> Message | None:
    found = _names(ground, "/sys/class/iscsi_session")
    if not found:
        return None
    return msg("There is a disk in the network: {names}.", names=common.several(found, 2))


_CONTAINERS = ("/var/lib/lxc", "/var/lib/incus/containers", "/var/lib/lxd/containers")


def _containers(ground: Ground) -> Message | None:
    found = [name for folder in _CONTAINERS for name in _names(ground, folder)]
    return msg("There is a container: {names}.", names=common.several(found, 2)) if found else None


def _dispatcher(ground: Ground) -> Message | None:
    for above in ("/etc/networkd-dispatcher", "/usr/lib/networkd-dispatcher"):
        for folder in ground.inspector.names(above):
            if folder.endswith(".d") and (names := ground.inspector.names(f"{above}/{folder}")):
                path = f"{above}/{folder}/{names[0]}"
                return msg("It has a script to run: {path}.", path=of_path(path))
    return None


def _processors(ground: Ground) -> Message | None:
    count = ground.inspector.facts().processors
    if count <= 2:
        return None
    return plural("There is {n} processor.", "There are {n} processors.", count)


def _nfs(ground: Ground) -> Message | None:
    mounts, _ = common.read(ground.files, "/proc/mounts")
    kinds = {line.split(" ")[2] for line in (mounts or "").splitlines() if line.count(" ") > 2}
    if kinds & {"nfs", "nfs4"}:
        return msg("A folder of NFS is mounted.")
    if any(len(line) > 2 and line[2] in {"nfs", "nfs4"} for line in _lines(ground, "/etc/fstab")):
        return msg("/etc/fstab names a folder of NFS.")
    if any(_lines(ground, "/etc/exports")):
        return msg("/etc/exports shares folders by NFS.")
    if any(_lines(ground, "/etc/yp.conf")):
        return msg("/etc/yp.conf names a server of NIS: accounts may come from there.")
    return None


def _lines(ground: Ground, path: str) -> list[list[str]]:
    """Return the words of each line that is no comment."""
    text, _ = common.read(ground.files, path)
    lines = (line.split() for line in (text or "").split("\n"))
    return [words for words in lines if words and not words[0].startswith("#")]


GUARDS: dict[str, Callable[[Ground], Message | None]] = {
    "snaps": _snaps,
    "multipath": _multipath,
    "modem": _modem,
    "wireless": _wireless,
    "bluetooth": _bluetooth,
    "printers": _printers,
    "iscsi": _iscsi,
    "containers": _containers,
    "dispatcher": _dispatcher,
    "processors": _processors,
    "nfs": _nfs,
}
