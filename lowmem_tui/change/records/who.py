"""Who makes a change, and on which boot."""

from __future__ import annotations

import os
import pwd

from lowmem_tui.host.procfs import parse_stat
from lowmem_tui.host.reading import SMALL, read, read_whole
from lowmem_tui.model.text import plain
from lowmem_tui.model.who import By

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_LONGEST = 100
"""Characters of a name or an address."""

_PARENTS = 12
"""How many parents are looked at: sudo takes SSH_CONNECTION away, the login shell still has it."""


def whoami(proc: str = "/proc") -> By:
    """Return who runs this program."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = ""
    return By(uid, user, _short(os.environ.get("SUDO_USER", "")), _client(proc))


def _client(proc: str) -> str:
    client = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_CLIENT")
    pid = os.getppid()
    for _ in range(_PARENTS):
        if client or pid <= 1:
            break
        client = _of(f"{proc}/{pid}")
        raw = read(f"{proc}/{pid}/stat", size=SMALL)
        stat = parse_stat(raw) if raw else None
        pid = stat[1] if stat else 0
    return _short((client or "").partition(" ")[0])


def _short(text: str) -> str:
    """Return what somebody else has put into the environment, as a name that a record may hold."""
    return plain(text, _LONGEST)


def _of(folder: str) -> str:
    for entry in (read_whole(f"{folder}/environ") or b"").split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name in {b"SSH_CONNECTION", b"SSH_CLIENT"}:
            return value.decode("ascii", "replace")
    return ""


def boot_id() -> str:
    """Return the name that the kernel gave to this boot; "" if it does not tell."""
    return (read(_BOOT_ID) or b"").decode("ascii", "replace").strip()
