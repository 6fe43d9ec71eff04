"""The guided set-up: what a step has found, and what it proposes; plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui.model.message import as_message, msg, of_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.message import Message

Words: TypeAlias = "Message | str"
"""A sentence or a phrase; a str is shown as it is in every language."""

Lines: TypeAlias = "Words | tuple[Words, ...]"
"""Several lines: commands to type, lines of a file. A str may have line breaks."""


def lines(text: Lines) -> tuple[Words, ...]:
    """Return the lines of a text, without line breaks."""
    if isinstance(text, str):
        return tuple(text.splitlines())
    return text if isinstance(text, tuple) else (text,)


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
    text: Words
    """One sentence, with figures."""
    remedy: Lines
    """The command that mends it, or what to do by hand."""

    @property
    def named(self) -> Message:
        """The text, with the subject where it does not name it."""
        text = as_message(self.text)
        if self.subject in str(text):
            return text
        return msg("{subject}: {text}", subject=of_text(self.subject, 80), text=text)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a step proposes: the operator selects it, changes it or skips it."""

    key: str
    """Its name within the step's section of a policy file: ``vm.swappiness``."""
    title: Words
    """In a few words, for a line of the screen."""
    now: Words
    """What it is now, in words."""
    value: str
    """What is proposed, as a policy file has it; "" proposes nothing."""
    why: Words
    """One or two sentences, with figures."""
    choices: tuple[str, ...] = ()
    """Other values to go through with a key; ``value`` among them. Empty: only yes or no."""
    taken: bool = True
    """Whether it is preselected."""
    done: bool = False
    """Whether the server has this value already: there is nothing to change."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a step finds."""

    facts: tuple[Words, ...] = ()
    """Sentences on what was found, with figures."""
    items: tuple[Item, ...] = ()
    findings: tuple[Finding, ...] = ()
    by_hand: tuple[Lines, ...] = ()
    """What the program cannot do itself: lines to write, commands to run."""
    absent: Words = ""
    """Why there is nothing to do here ("There is no nginx."); or ""."""
    needs: Mapping[str, int] = field(default_factory=dict)
    """Bytes that units may use by their own configuration, by name: no limit is to be below."""


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
"""What is requested of one step: an item's key → the value. It is that step's section of a
policy file."""
