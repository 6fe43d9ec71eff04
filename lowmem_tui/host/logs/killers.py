"""What the killers beside the kernel say of their kills: systemd-oomd, earlyoom, nohang. Pure.

Sources: systemd src/oom/oomd-manager.c (247 to 258: ``Killed`` became ``Marked … for killing``),
earlyoom kill.c (1.0 to 1.9), nohang 0.1 to 0.3 (a report of several lines), and oomd (Facebook's).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.cgroupfs import owner
from lowmem_tui.model.incident import Killing
from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20
LONGEST = 2048
"""Characters of a line that are looked at."""

UNITS = {
    "systemd-oomd": ("systemd-oomd.service",),
    "earlyoom": ("earlyoom.service",),
    "nohang": ("nohang.service", "nohang-desktop.service"),
    "oomd": ("oomd.service",),
}
"""The program's name in a log, and the units that it runs as."""

LINES = (
    "^(Killed|Marked) /.* due to |[Ss]ending SIG[A-Z]+ to |^Killing process [0-9]|^oomd kill: "
    "|^dryrun, not actually |^kill failed|^ *PID: +[0-9]+, name: "
    "|^ *cgroup_v2: |^ *Vm, MiB:|^Victim status"
)
"""A regular expression (PCRE2, and ours) of the lines that matter here."""

_OOMD = re.compile(
    r"(?:Killed|Marked) (/.{0,1500}?) (?:for killing )?due to (.{1,1000})", re.DOTALL
)
_EARLYOOM = re.compile(
    r"[Ss]ending (SIG[A-Z]{1,9}) to process ([0-9]{1,10}) (?:uid ([0-9]{1,10}) )?"
    r"\"(.{0,64}?)\": (?:oom_score|badness) ",
    re.DOTALL,
)
_NOT = ("dryrun, not actually sending", "kill failed")
_RSS = re.compile(r"\bVmRSS:? ([0-9]{1,12}) ?MiB")
_OLD_EARLYOOM = re.compile(r"Killing process ([0-9]{1,10}) (.{1,64})")
_NOHANG_PID = re.compile(
    r" *PID: +([0-9]{1,10}), name: (.{0,64}?), state: .*?(?:, EUID: ([0-9]{1,10})|\Z)"
)
_NOHANG_RSS = re.compile(r" *Vm, MiB: +Size: [0-9]{1,12}, RSS: ([0-9]{1,12})\b")
_NOHANG_GROUP = re.compile(r" *cgroup_v2: +(/.{1,1500})")
_NOHANG_SENT = re.compile(r" *Sending (SIG[A-Z]{1,9}) to the victim")
_FACEBOOK = re.compile(r"oomd kill: (?:[0-9.]{1,12} ){3}(\S{1,1500}) ([0-9]{1,20}) ")


class _Victim(NamedTuple):
    """Whom nohang's report is about."""

    pid: int | None = None
    name: str = ""
    uid: int | None = None
    rss: int | None = None
    cgroup: str = ""


class Killers:
    """Takes line after line of these programs, in their order."""

    def __init__(self) -> None:
        self._nohang = _Victim()
        self._held: Killing | None = None
        """earlyoom says first what it does, then that it did not."""

    def take(self, time: float, boot: str, program: str, text: str) -> Iterator[Killing]:
        """Read a line of a program, and yield what kill it, or the one before, tells of."""
        text = text[:LONGEST]
        if program == "earlyoom":
            if self._held is not None and text.startswith(_NOT):
                self._held = None
                return
            yield from self.over()
            self._held = _earlyoom(time, boot, text)
            return
        found = _PARSERS[program](time, boot, text) if program in _PARSERS else None
        if program == "nohang":
            found = self._of_nohang(time, boot, text)
        if found is not None:
            yield found

    def over(self) -> Iterator[Killing]:
        """Yield what is open: nothing more will come."""
        if self._held is not None:
            yield self._held
            self._held = None

    def _of_nohang(self, time: float, boot: str, text: str) -> Killing | None:
        if text.startswith("Victim status"):
            self._nohang = _Victim()
        elif (match := _NOHANG_PID.match(text)) is not None:
            self._nohang = _Victim(natural(match[1]), match[2], natural(match[3] or ""))
        elif (match := _NOHANG_RSS.match(text)) is not None:
            self._nohang = self._nohang._replace(rss=_mib(match[1]))
        elif (match := _NOHANG_GROUP.match(text)) is not None:
            self._nohang = self._nohang._replace(cgroup=match[1].rstrip())
        elif (match := _NOHANG_SENT.match(text)) is not None:
            victim, self._nohang = self._nohang, _Victim()
            unit = owner(victim.cgroup)[1] if victim.cgroup else ""
            return Killing(
                time, boot, "nohang", unit, victim.cgroup, victim.pid, victim.name, victim.uid,
                victim.rss, match[1],
            )  # fmt: skip
        return None


def _mib(text: str) -> int | None:
    size = natural(text)
    return None if size is None else size * MIB


def _oomd(time: float, boot: str, text: str) -> Killing | None:
    if (match := _OOMD.match(text)) is None:
        return None
    why = match[2].rstrip(" .")
    return Killing(time, boot, "oomd", owner(match[1])[1], match[1], why=f"due to {why}")


def _earlyoom(time: float, boot: str, text: str) -> Killing | None:
    if (match := _EARLYOOM.match(text)) is not None:
        rss = _RSS.search(text, match.end(), match.end() + 80)
        return Killing(
            time, boot, "earlyoom", pid=natural(match[2]), name=match[4],
            uid=natural(match[3] or ""), rss=_mib(rss[1]) if rss else None, signal=match[1],
        )  # fmt: skip
    if (match := _OLD_EARLYOOM.match(text)) is not None:
        return Killing(time, boot, "earlyoom", pid=natural(match[1]), name=match[2].strip())
    return None


def _facebook(time: float, boot: str, text: str) -> Killing | None:
    if (match := _FACEBOOK.match(text)) is None:
        return None
    cgroup = f"/{match[1].lstrip('/')}"
    return Killing(time, boot, "oomd", owner(cgroup)[1], cgroup, rss=natural(match[2]))


_PARSERS: dict[str, Callable[[float, str, str], Killing | None]] = {
    "systemd-oomd": _oomd,
    "oomd": _facebook,
    "kernel": _facebook,
}
"""By the name that the program has in a log; oomd writes into the kernel's."""
