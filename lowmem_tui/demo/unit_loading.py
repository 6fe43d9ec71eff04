"""What systemd loads from the files of a unit."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.quantity import parse_time_span
from lowmem_tui.model.settings import keys_of, parse_value
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.unit import (
    INFINITY,
    Key,
    UnitType,
    is_template,
    unit_type,
)
from lowmem_tui.model.unitfile import assignments, section_of, winning

if TYPE_CHECKING:
    from lowmem_tui.demo.disk import Disk, Found
    from lowmem_tui.model.unit import Limit, Unlimited, Value

_SEC = 1_000_000

_NO_FILE_NEEDED = {UnitType.SLICE, UnitType.SCOPE}


class Loaded(NamedTuple):
    """A unit as systemd holds it; times in microseconds."""

    name: str
    names: tuple[str, ...]
    description: str
    load_state: str
    fragment: str
    drop_ins: tuple[str, ...]
    stamps: tuple[tuple[str, int], ...]
    type: str
    slice: str
    exec_start: tuple[str, ...]
    user: str
    delegate: bool
    remain: bool
    """``RemainAfterExit=``."""
    interval: int | Unlimited
    burst: int
    settings: dict[Key, Value]

    def limit(self, key: Key) -> Limit:
        """Return a memory limit; infinity where the unit has none."""
        value = self.settings.get(key, INFINITY)
        return INFINITY if isinstance(value, str) else value

    @property
    def adjust(self) -> int:
        """OOMScoreAdjust=, which a new process of the unit gets."""
        value = self.settings.get(Key.OOM_SCORE_ADJUST, 0)
        return value if isinstance(value, int) else 0


def load(disk: Disk, name: str, ram: int) -> Loaded:
    """Load a unit; one that does not exist has the load state ``not-found``."""
    found = disk.find(name)
    kind = unit_type(found.name)
    paths = (found.fragment, *found.drop_ins) if found.fragment else found.drop_ins
    files = [UnitFile(path, disk.read(path)) for path in paths]
    values, first_start = _assigned(files)
    state = _load_state(found, kind)
    section = section_of(found.name)
    settings: dict[Key, Value] = {}
    if section and state == "loaded":
        settings = _settings(files, section, kind, ram)
    service = kind is UnitType.SERVICE and state == "loaded"
    type_ = values.get(("Service", "Type"), "simple") if service else ""
    # service_verify() of systemd: such a unit is not started again.
    if type_ == "oneshot" and settings.get(Key.RESTART) in {"always", "on-success"}:
        state = "bad-setting"
    stem = found.name.rpartition(".")[0]
    instance = stem.partition("@")[2]
    description = values.get(("Unit", "Description"), found.name)
    return Loaded(
        name=found.name,
        names=found.names,
        description=_specify(description, instance or stem.rpartition("-")[2]),
        load_state=state,
        fragment=found.fragment,
        drop_ins=found.drop_ins,
        stamps=found.stamps,
        type=type_,
        slice=_specify(values.get((section or "", "Slice"), _default_slice(found.name)), instance),
        exec_start=_words(first_start, instance),
        user=_specify(values.get(("Service", "User"), ""), instance),
        delegate=values.get(("Service", "Delegate"), "no") not in {"", "no", "false", "0"},
        remain=values.get(("Service", "RemainAfterExit")) == "yes",
        interval=_span(values.get(("Unit", "StartLimitIntervalSec")), 10 * _SEC),
        burst=_count(values.get(("Unit", "StartLimitBurst")), 5),
        settings=settings,
    )


def _assigned(files: list[UnitFile]) -> tuple[dict[tuple[str, str], str], str]:
    """Return what the files assign, by section and key, and the first command to start."""
    values: dict[tuple[str, str], str] = {}
    first_start = ""
    for file in files:
        for a in assignments(file.text or ""):
            values[a.section, a.key] = a.value
            if a.key == "ExecStart":
                first_start = (first_start or a.value) if a.value else ""
    return values, first_start


def _load_state(found: Found, kind: UnitType) -> str:
    if found.masked:
        return "masked"
    return "loaded" if found.fragment or kind in _NO_FILE_NEEDED else "not-found"


def _default_slice(name: str) -> str:
    """Return the slice of a unit that names none: an instance's is of its template."""
    prefix, at, _ = name.rpartition(".")[0].partition("@")
    if not at or is_template(name):
        return "system.slice"
    escaped = prefix.replace("-", "\\x2d")
    return f"system-{escaped}.slice"


def _settings(files: list[UnitFile], section: str, kind: UnitType, ram: int) -> dict[Key, Value]:
    settings: dict[Key, Value] = {key: key.facts.default for key in keys_of(kind)}
    if kind is UnitType.SCOPE:
        settings[Key.OOM_POLICY] = "continue"
    for key in settings:
        # A value that systemd refuses does not win: the journal gets a warning, we the one before.
        if winner := winning(files, section, key):
            settings[key] = parse_value(key, winner.value, ram)
    return settings


def _words(command: str, instance: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command.lstrip("-@:+!"))
    except ValueError:
        words = command.split()
    return tuple(_specify(word, instance) for word in words)


def _specify(text: str, instance: str) -> str:
    """Fill in ``%i`` and its relatives (systemd.unit(5), specifiers)."""
    for specifier in ("%i", "%I", "%j"):
        text = text.replace(specifier, instance)
    return text


def _span(text: str | None, default: int) -> int | Unlimited:
    try:
        return parse_time_span(text) if text else default
    except InvalidValueError:
        return default


def _count(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default
