"""The guided set-up: what a step has found, and what it proposes; plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters, the worst last."""

    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    ADVICE = "advice"
    """The server would be better off."""
    WARNING = "warning"
    """Something will go wrong under load."""
    PROBLEM = "problem"
    """Something is wrong now."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with this server for its memory, and what mends it."""

    code: str
    """Stable, kebab-case: ``swap-missing``."""
    severity: Severity
    subject: str
    """The unit, file or value that it is about; or ""."""
    text: str
    """One sentence, with figures."""
    remedy: str
    """The command that mends it, or what to do by hand."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a step proposes: the operator takes it, changes it or leaves it."""

    key: str
    """Its name within the step's section of a policy file: ``vm.swappiness``."""
    title: str
    """In a few words, for a line of the screen."""
    now: str
    """What it is now, in words."""
    value: str
    """What is proposed, as it stands in a policy file; "" leaves it as it is."""
    why: str
    """One or two sentences, with figures."""
    choices: tuple[str, ...] = ()
    """Other values to go through with a key; ``value`` among them. Empty: only yes or no."""
    taken: bool = True
    """Whether it is taken unless the operator says otherwise."""
    done: bool = False
    """Whether the server has this value already: there is nothing to change."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a step sees."""

    facts: tuple[str, ...] = ()
    """Sentences on what was found, with figures."""
    items: tuple[Item, ...] = ()
    findings: tuple[Finding, ...] = ()
    by_hand: tuple[str, ...] = ()
    """What the program cannot do itself: lines to write, commands to run."""
    absent: str = ""
    """Why there is nothing to do here ("There is no nginx."); or ""."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine itself, apart from its memory; None is "not known"."""

    distribution: str
    """``Debian GNU/Linux 13 (trixie)``: PRETTY_NAME of os-release(5)."""
    kernel: str
    """``6.12.48+deb13-cloud-amd64``: uname(2)."""
    systemd: int | None
    """The version: 257."""
    container: str
    """``lxc``, ``docker``, ``openvz``, …; "" on a machine of its own (systemd-detect-virt(1))."""
    processors: int
    root_filesystem: str
    """The type of the file system of /: ``ext4``."""
    root_free: int
    """Bytes that root may still write there."""
    root_total: int
    """Bytes."""
    root_writable: bool
    zram: bool
    """Whether the kernel has zram (a module, or built in)."""
    unified: bool
    """Whether cgroup v2 alone is mounted."""


@dataclass(frozen=True, slots=True)
class FolderUsage:
    """The files below a folder; links are not followed, and no other file system is entered."""

    files: int
    bytes: int
    """Allocated."""
    oldest: float | None
    """Modification time of the oldest file, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long action is."""

    words: str
    done: int
    total: int


Wishes = dict[str, str]
"""What is wished for in one step: an item's key → the value. It is that step's section of a
policy file."""
