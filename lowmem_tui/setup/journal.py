"""The step `journal`: how much disk and RAM the journal may take, and how long it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import Action, ActionKind, Notice, Phase, Plan
from lowmem_tui.model.quantity import format_size, parse_size, parse_time_span
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Unlimited
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.setup.conf import (
    FOLDERS,
    MARK,
    OUR_NAME,
    Declared,
    conf_files,
    known,
    read_file,
    rewritten,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lowmem_tui.model.setup import FolderUsage
    from lowmem_tui.model.snapshot import UnitFile
    from lowmem_tui.setup.ground import Ground

PATH: Final = f"/etc/systemd/journald.conf.d/{OUR_NAME}"
UNIT: Final = "systemd-journald.service"
SECTION: Final = "Journal"

DISK, RAM, AGE = "SystemMaxUse", "RuntimeMaxUse", "MaxRetentionSec"
KEYS: Final = (DISK, RAM, AGE)

ON_DISK, IN_RAM = "/var/log/journal", "/run/log/journal"

REMEDY: Final = "sudo lowmem-tui setup --step journal"

HEAD: Final = (
    f"{MARK}. `lowmem-tui setup --step journal` changes it, `lowmem-tui undo` takes it back.\n"
    f"# Without this file and a restart of {UNIT} it is as before.\n\n[{SECTION}]\n"
)

LEAST: Final = 8 << 20
"""Bytes: one journal file is that large at first, and two are needed."""

MOST_DEFAULT: Final = 4 << 30
"""Bytes: a tenth of the file system, and no more than this (journald.conf(5))."""

LONGEST: Final = 31 * 86_400_000_000
"""Microseconds: an age that somebody has set is left as it is up to here."""


class Seen(NamedTuple):
    """What the files say, and what there is."""

    declared: dict[str, Declared]
    """What counts at the next start of journald."""
    others: dict[str, Declared]
    """The same without our file."""
    after: dict[str, Declared]
    """What is said by files that are read after ours."""
    ours: dict[str, str]
    """What our file says."""
    disk: FolderUsage | None
    ram: FolderUsage | None
    disk_total: int
    """Bytes of the root file system."""
    mem_total: int

    @property
    def storage(self) -> str:
        """``persistent``, ``volatile``, ``none``; ``auto`` is settled by the folder on the disk."""
        found = self.declared.get("Storage")
        word = found.value if found and found.value else "auto"
        if word == "auto":
            return "persistent" if self.disk is not None else "volatile"
        return word


class JournalStep:
    """See ``Step``."""

    name = "journal"
    title = "Journal"
    about = (
        "The journal may take a tenth of the disk and, before the disk is there or without one, a "
        "tenth of /run, which is RAM. Here both are bounded, and what is old goes. "
        "journald is restarted for that; no message is lost."
    )

    def __init__(self, ground: Ground) -> None:
        """Look at one server."""
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        seen = self._see()
        if seen.storage == "none":
            return Look(absent="journald keeps nothing here (Storage=none).")
        items = tuple(_item(key, seen) for key in KEYS)
        return Look(tuple(_facts(seen)), items, tuple(_findings(items, seen)))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        known(self.name, wishes, KEYS)
        for key, value in wishes.items():
            _parse(key, value)
        seen = self._see()
        settings = dict(seen.ours)
        for key, value in wishes.items():
            if not value:
                settings.pop(key, None)
            elif not _same(key, seen.declared.get(key), value):
                settings[key] = value
        order = [*(k for k in KEYS if k in settings), *(k for k in settings if k not in KEYS)]
        files = rewritten(self._ground.files, PATH, {key: settings[key] for key in order}, HEAD)
        restart = Action(
            ActionKind.SERVICE, UNIT, "restart", "restart", Phase.LATE, f"systemctl restart {UNIT}"
        )
        warnings = tuple(_warnings(wishes, seen)) if files else ()
        return Plan((), files, (), warnings, (), (restart,) if files else ())

    def _see(self) -> Seen:
        ground = self._ground
        files = [*self._main(), *conf_files(ground.files, ground.inspector, _D)]
        host = ground.snapshot().host
        ours = read_file(ground.files, PATH)
        return Seen(
            declared=declared(files),
            others=declared(file for file in files if file.path != PATH),
            after=declared(file for file in files[1:] if file.path.rpartition("/")[2] > OUR_NAME),
            ours={key: found.value for key, found in declared([ours]).items() if found.value},
            disk=ground.inspector.usage(ON_DISK),
            ram=ground.inspector.usage(IN_RAM),
            disk_total=ground.inspector.facts().root_total,
            mem_total=host.mem_total,
        )

    def _main(self) -> Sequence[UnitFile]:
        """Return journald.conf: the first one there is, read ahead of all drop-ins."""
        for folder in FOLDERS:
            if (file := read_file(self._ground.files, f"{folder}/{_MAIN}")).text is not None:
                return [file]
        return [read_file(self._ground.files, f"/etc/{_MAIN}")]


_MAIN: Final = "systemd/journald.conf"
_D: Final = "systemd/journald.conf.d"


def declared(files: Iterable[UnitFile]) -> dict[str, Declared]:
    """Return what files say of journald's settings; a later one wins, one that it refuses never."""
    found: dict[str, Declared] = {}
    for file in files:
        for line in assignments(file.text or ""):
            if line.section == SECTION and _accepted(line.key, line.value):
                found[line.key] = Declared(line.value, file.path)
    return found


def _accepted(key: str, value: str) -> bool:
    try:
        _parse(key, value, least=0)
    except InvalidValueError:
        return False
    return True


def _parse(key: str, value: str, *, least: int = LEAST) -> int | None:
    """Return bytes, or microseconds; None for no value, 0 for no bound. InvalidValueError."""
    if not value or key not in KEYS:
        return None
    if key == AGE:
        span = parse_time_span(value)
        return 0 if isinstance(span, Unlimited) else span
    size = parse_size(value)
    if size < least:
        raise InvalidValueError(
            f"{key}={plain(value, 40)} is too little: write at least {format_size(least)}."
        )
    return size


def _same(key: str, found: Declared | None, value: str) -> bool:
    return found is not None and _parse(key, found.value, least=0) == _parse(key, value)


def _proposed(key: str, seen: Seen) -> tuple[str, str]:
    """Return the policy's value, and why."""
    if key == AGE:
        return "7day", (
            "What happened more than a week ago hardly ever helps, and a smaller journal is read "
            "faster."
        )
    if key == DISK:
        by_default = min(seen.disk_total // 10, MOST_DEFAULT)
        value = "100M" if seen.disk_total >= 4_000_000_000 else "50M"
        return value, (
            f"Without a bound it grows to {format_size(by_default)} (a tenth of the disk), and "
            f"its newest files are mapped: reading them pushes programs out. {value} is some days "
            "to weeks of a small server."
        )
    # A thirty-second: 16M of 512M, 32M of 1G, 64M of 2G and more.
    nominal = -(-seen.mem_total // (256 << 20)) * (256 << 20)
    value = f"{max(16, min(64, nominal // 32 >> 20))}M"
    return value, (
        f"What lies in /run is RAM: {value} of {format_size(seen.mem_total)} at most, and only "
        "until the disk is there, or for good where the journal is not on the disk."
    )


def _item(key: str, seen: Seen) -> Item:
    value, why = _proposed(key, seen)
    found = seen.declared.get(key)
    bound = _parse(key, found.value, least=0) if found else None
    most = LONGEST if key == AGE else _parse(key, value) or 0
    # Somebody's own bound stays, if it is no larger than ours.
    good = bool(bound) and bound is not None and bound <= most
    if good and found:
        value = found.value
    ready = good or _same(key, _only(seen.ours.get(key)), value)
    choices = {
        DISK: ("50M", "100M", "200M", "500M"),
        RAM: ("16M", "32M", "64M"),
        AGE: ("3day", "7day", "14day", "1month"),
    }[key]
    titles = {
        DISK: "journal on the disk, at most",
        RAM: "journal in RAM (/run), at most",
        AGE: "journal kept, at most",
    }
    return Item(
        key=key,
        title=titles[key],
        now=plain(found.value, 20) if found and found.value else "no bound of its own",
        value=value,
        why=why,
        choices=tuple(sorted({*choices, value}, key=lambda each: _parse(key, each, least=0) or 0)),
        done=ready,
    )


def _only(value: str | None) -> Declared | None:
    return Declared(value, PATH) if value else None


def _facts(seen: Seen) -> Iterable[str]:
    if seen.storage == "persistent":
        on_disk = format_size(seen.disk.bytes) if seen.disk else "not known how much"
        yield f"The journal is kept on the disk, in {ON_DISK}: {on_disk} now."
    else:
        yield f"The journal is kept in RAM, in {IN_RAM}, and lost at a reboot."
    if seen.ram is not None and seen.ram.bytes:
        yield f"{format_size(seen.ram.bytes)} of it are in {IN_RAM}, which is RAM."
    for key in KEYS:
        found = seen.declared.get(key)
        if found and found.value and found.path != PATH:
            yield f"{key} is set by {plain(found.path)} to {plain(found.value, 20)}."


def _findings(items: Iterable[Item], seen: Seen) -> Iterable[Finding]:
    codes = {DISK: "journal-disk", RAM: "journal-ram", AGE: "journal-age"}
    for item in items:
        if not item.done:
            yield Finding(
                codes[item.key],
                Severity.ADVICE,
                item.key,
                f"{item.key}: {item.now}, and {item.value} is enough for a small server.",
                REMEDY,
            )
    for key in KEYS:
        ours, other = seen.ours.get(key), seen.after.get(key)
        if ours and other and not _same(key, other, ours):
            yield Finding(
                "journal-overruled",
                Severity.WARNING,
                other.path,
                _overruled(key, ours, other),
                f"take {key} out of {plain(other.path)}",
            )


def _warnings(wishes: Mapping[str, str], seen: Seen) -> Iterable[Notice]:
    for key, value in wishes.items():
        other = seen.after.get(key)
        if value and other and not _same(key, other, value):
            yield Notice("journal-overruled", UNIT, _overruled(key, value, other))
    bound = _parse(DISK, wishes.get(DISK, ""))
    if bound and seen.disk and seen.disk.bytes > bound:
        yield Notice(
            "journal-old-entries",
            UNIT,
            f"The journal holds {format_size(seen.disk.bytes)}: journald removes its oldest files "
            f"down to {wishes[DISK]}, and undoing this does not bring them back.",
            lost=True,
        )
    elif wishes.get(AGE):
        yield Notice(
            "journal-old-entries",
            UNIT,
            f"journald removes what is older than {wishes[AGE]}, now or when it next begins a "
            "file, and undoing this does not bring it back.",
            lost=True,
        )


def _overruled(key: str, value: str, other: Declared) -> str:
    said = plain(other.value, 20) or "without a value"
    return f"{plain(other.path)} is read after {PATH}, and its {key} ({said}) wins, not {value}."


def make(ground: Ground) -> JournalStep:
    """Return the step."""
    return JournalStep(ground)
