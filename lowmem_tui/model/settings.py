"""The settings that may be edited: each is declared here, once, with all that is known of it.

Everything else derives from the declarations: what systemd is asked for, what is verified against
the kernel, the form, what-if, ``list --json``, the policy file, the demo server, and
docs/settings.md. tests/change/test_every_setting.py takes each declaration through all of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from lowmem_tui.model.amount import INFINITY, UNKNOWN, Unlimited, format_time_span, render_limit
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_setting, of_text
from lowmem_tui.model.quantity import UINT64_MAX, parse_limit, parse_score, parse_time_span
from lowmem_tui.model.unit_name import UnitType

if TYPE_CHECKING:
    from typing import Self

Value: TypeAlias = int | Unlimited | str
"""A setting's value: bytes, a score, microseconds, infinity, or one of systemd's words."""

PROC = "/proc/PID/"
"""How the kernel's file of a setting begins that each process has of its own."""

PAGE = 4096
"""Bytes; what a page has unless a machine says otherwise."""


# --- what values a setting takes ------------------------------------------------------------------


class Kind:
    """What values a setting takes, and how they are written."""

    __slots__ = ()

    resets: ClassVar[bool] = False
    """Whether an empty text stands for the default; else systemd refuses it."""
    pages: ClassVar[bool] = False
    """Whether the kernel keeps whole pages of it."""

    @property
    def values(self) -> str:
        """What may be written, for the documentation."""
        raise NotImplementedError

    def parse(self, name: str, text: str, ram: int, page_size: int) -> Value:
        """Return the value of setting ``name`` for a text without space around it.

        Raises InvalidValueError.
        """
        raise NotImplementedError

    def render(self, value: Value) -> str:
        """Return the value as it is written in a unit file."""
        return str(value)

    def decode(self, raw: object) -> Value | None:
        """Return a D-Bus property's value; None for what is none of this kind."""
        if not isinstance(raw, int) or isinstance(raw, bool):
            return None
        return INFINITY if raw == UINT64_MAX else raw


@dataclass(frozen=True, slots=True)
class Bytes(Kind):
    """Bytes, a share of RAM, or infinity."""

    zero: bool
    """Whether systemd takes 0."""

    resets = True
    pages = True

    @property
    def values(self) -> str:
        """See ``Kind``."""
        zero = ", 0" if self.zero else ""
        return f"bytes, `256M`, `25%` of RAM, `infinity`{zero}"

    def parse(self, name: str, text: str, ram: int, page_size: int) -> Value:
        """See ``Kind``."""
        limit = parse_limit(text, ram, page_size)
        if limit == 0 and not self.zero:
            raise InvalidValueError(
                msg(
                    "{setting} is out of range: {instead}.",
                    setting=of_setting(name, text),
                    instead=msg("write at least 1M"),
                )
            )
        return limit

    def render(self, value: Value) -> str:
        """See ``Kind``."""
        return value if isinstance(value, str) else render_limit(value)


class Score(Kind):
    """A whole number from -1000 to 1000."""

    __slots__ = ()

    resets = True
    values = "a whole number from -1000 to 1000"

    def parse(self, name: str, text: str, ram: int, page_size: int) -> Value:  # noqa: ARG002
        """See ``Kind``."""
        return parse_score(text)


class Span(Kind):
    """Microseconds, or infinity."""

    __slots__ = ()

    values = "a time span (systemd.time(7)): `3`, `100ms`, `1min 2s`, `infinity`"

    def parse(self, name: str, text: str, ram: int, page_size: int) -> Value:  # noqa: ARG002
        """See ``Kind``."""
        return parse_time_span(text)

    def render(self, value: Value) -> str:
        """See ``Kind``."""
        return value if isinstance(value, str) else format_time_span(value)


@dataclass(frozen=True, slots=True)
class Word(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def values(self) -> str:
        """See ``Kind``."""
        return ", ".join(f"`{word}`" for word in self.words)

    def parse(self, name: str, text: str, ram: int, page_size: int) -> Value:  # noqa: ARG002
        """See ``Kind``."""
        if text not in self.words:
            raise InvalidValueError(
                msg(
                    "'{text}' is not a value of {setting}: {instead}.",
                    text=of_text(text, 40),
                    setting=of_setting(name),
                    instead=msg("write one of {words}", words=of_list(self.words)),
                )
            )
        return text

    def decode(self, raw: object) -> Value | None:
        """See ``Kind``."""
        return raw if isinstance(raw, str) and raw else None


# --- the declarations -----------------------------------------------------------------------------

EVERY = frozenset(
    {
        UnitType.SERVICE,
        UnitType.SCOPE,
        UnitType.SLICE,
        UnitType.SOCKET,
        UnitType.MOUNT,
        UnitType.SWAP,
    }
)
"""Types of units that have a control group (systemd.resource-control(5))."""

EXECUTED = EVERY - {UnitType.SCOPE, UnitType.SLICE}
"""Types of units that start programs (systemd.exec(5))."""


class Bound(StrEnum):
    """How the values of the slices above bound a unit's own (cgroup-v2.rst)."""

    LIMIT = "the lowest counts"
    """memory.max: nobody gets more than a group above it has."""
    PROTECTION = "each must grant it"
    """memory.min, memory.low: what a group above does not protect is not protected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of a setting. What does not apply is None, and never left out."""

    property: str
    """Its D-Bus property (org.freedesktop.systemd1(5))."""
    kind: Kind
    types: frozenset[UnitType]
    """The types of units that take it."""
    file: str | None
    """The kernel's file: of a control group (memory.max), or of a process (/proc/PID/…)."""
    order: int | None
    """When it is written into the kernel for what runs, among the others; None: never."""
    at_start: bool
    """Whether what runs keeps, until it is started again, what it was started with."""
    default: Value
    """What it is where no file sets it…"""
    default_by: str | None
    """… unless this setting of system.conf says otherwise (systemd-system.conf(5))."""
    bounded: Bound | None
    """How the values of the slices above bound it; the effective value is shown then."""
    since: int
    """The first version of systemd that has it."""


class Key(StrEnum):
    """The settings that may be edited, by their names in a unit file."""

    facts: Facts

    def __new__(cls, name: str, *facts: Facts) -> Self:
        """Declare a setting."""
        key = str.__new__(cls, name)
        key._value_ = name
        (key.facts,) = facts
        return key

    OOM_SCORE_ADJUST = (
        "OOMScoreAdjust",
        Facts(
            property="OOMScoreAdjust",
            kind=Score(),
            types=EXECUTED,
            file=PROC + "oom_score_adj",
            order=40,
            at_start=True,
            default=0,
            default_by=None,
            bounded=None,
            since=0,
        ),
    )
    MEMORY_MAX = (
        "MemoryMax",
        Facts(
            property="MemoryMax",
            kind=Bytes(zero=False),
            types=EVERY,
            file="memory.max",
            order=30,
            at_start=False,
            default=INFINITY,
            default_by=None,
            bounded=Bound.LIMIT,
            since=231,
        ),
    )
    MEMORY_HIGH = (
        "MemoryHigh",
        Facts(
            property="MemoryHigh",
            kind=Bytes(zero=False),
            types=EVERY,
            file="memory.high",
            # First: it pushes pages out, where memory.max kills.
            order=10,
            at_start=False,
            default=INFINITY,
            default_by=None,
            bounded=None,
            since=231,
        ),
    )
    MEMORY_SWAP_MAX = (
        "MemorySwapMax",
        Facts(
            property="MemorySwapMax",
            kind=Bytes(zero=True),
            types=EVERY,
            file="memory.swap.max",
            order=20,
            at_start=False,
            default=INFINITY,
            default_by=None,
            bounded=None,
            since=232,
        ),
    )
    MEMORY_LOW = (
        "MemoryLow",
        Facts(
            property="MemoryLow",
            kind=Bytes(zero=True),
            types=EVERY,
            file="memory.low",
            order=34,
            at_start=False,
            default=0,
            default_by=None,
            bounded=Bound.PROTECTION,
            since=231,
        ),
    )
    MEMORY_MIN = (
        "MemoryMin",
        Facts(
            property="MemoryMin",
            kind=Bytes(zero=True),
            types=EVERY,
            file="memory.min",
            order=36,
            at_start=False,
            default=0,
            default_by=None,
            bounded=Bound.PROTECTION,
            since=240,
        ),
    )
    RESTART = (
        "Restart",
        Facts(
            property="Restart",
            kind=Word(
                (
                    "no",
                    "on-success",
                    "on-failure",
                    "on-abnormal",
                    "on-watchdog",
                    "on-abort",
                    "always",
                )
            ),
            types=frozenset({UnitType.SERVICE}),
            file=None,
            order=None,
            at_start=False,
            default="no",
            default_by=None,
            bounded=None,
            since=0,
        ),
    )
    RESTART_SEC = (
        "RestartSec",
        Facts(
            property="RestartUSec",
            kind=Span(),
            types=frozenset({UnitType.SERVICE}),
            file=None,
            order=None,
            at_start=False,
            default=100_000,
            default_by="DefaultRestartSec",
            bounded=None,
            since=0,
        ),
    )
    OOM_POLICY = (
        "OOMPolicy",
        Facts(
            property="OOMPolicy",
            kind=Word(("continue", "stop", "kill")),
            types=frozenset({UnitType.SERVICE, UnitType.SCOPE}),
            file=None,
            order=None,
            # memory.oom.group is written when systemd makes the control group.
            at_start=True,
            default="stop",
            default_by="DefaultOOMPolicy",
            bounded=None,
            since=243,
        ),
    )


# --- what derives from them -----------------------------------------------------------------------

CGROUP_FILES: dict[Key, str] = {
    key: key.facts.file
    for key in Key
    if key.facts.file is not None and not key.facts.file.startswith(PROC)
}
"""The control group's file of each setting that has one (cgroup-v2.rst)."""

PROTECTIONS = frozenset(key for key in CGROUP_FILES if key.facts.bounded is Bound.PROTECTION)
"""Those of the settings with a file of the group's that protect it; the others limit it."""

MEMORY_KEYS = frozenset(key for key in Key if key.facts.kind.pages)

WRITE_ORDER: tuple[Key, ...] = tuple(
    key for _, key in sorted((k.facts.order, k) for k in Key if k.facts.order is not None)
)
"""The settings that are written into the kernel for what runs, in this order."""


def keys_of(kind: UnitType) -> tuple[Key, ...]:
    """Return the settings that a type of unit takes."""
    return tuple(key for key in Key if kind in key.facts.types)


def certain_default(key: Key) -> Value | None:
    """Return what systemd has loaded where no file sets it; None where system.conf may say so."""
    return key.facts.default if key.facts.default_by is None else None


def parse_value(key: Key, text: str, ram: int, page_size: int = PAGE) -> Value:
    """Return what systemd would load for a setting; InvalidValueError if it would ignore the text.

    An empty text is systemd's default for a score and for bytes, and refused for the others.
    ``ram`` is the machine's memory in bytes, for shares.
    """
    body = text.strip(" \t\n\r")
    facts = key.facts
    if not body and facts.kind.resets:
        return facts.default
    return facts.kind.parse(key, body, ram, page_size)


def render_value(key: Key, value: Value | None) -> str:
    """Return a value as it is written in a unit file; ``?`` for None."""
    return UNKNOWN if value is None else key.facts.kind.render(value)


def same(key: Key, one: Value | None, other: Value | None, page_size: int) -> bool:
    """Tell whether two values are one: the kernel rounds bytes down to whole pages."""
    if key.facts.kind.pages and isinstance(one, int) and isinstance(other, int):
        return one // page_size == other // page_size
    return one == other
