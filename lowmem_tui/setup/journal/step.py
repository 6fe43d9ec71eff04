"""The step `journal`: how much disk and RAM the journal may use, and how long it is kept."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import (
    N_,
    msg,
    of_bytes,
    of_path,
    of_setting,
    of_text,
    plural,
    sentences,
)
from lowmem_tui.model.plan import Action, ActionKind, Notice, Phase, Plan
from lowmem_tui.model.quantity import parse_size, parse_time_span
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Unlimited
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.setup import common
from lowmem_tui.setup.conf import (
    FOLDERS,
    MARK,
    OUR_NAME,
    Declared,
    Layers,
    conf_files,
    known,
    layers_of,
    overruled,
    read_file,
    rewritten,
)
from lowmem_tui.setup.journal import mistakes as journal_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Inspector
    from lowmem_tui.model.setup import FolderUsage
    from lowmem_tui.model.snapshot import UnitFile
    from lowmem_tui.setup.context import Ground

PATH: Final = f"/etc/systemd/journald.conf.d/{OUR_NAME}"
UNIT: Final = "systemd-journald.service"
SECTION: Final = "Journal"

DISK, RAM, AGE = "SystemMaxUse", "RuntimeMaxUse", "MaxRetentionSec"
KEYS: Final = (DISK, RAM, AGE)

STORAGES: Final = frozenset({"auto", "persistent", "volatile", "none"})

ON_DISK, IN_RAM = "/var/log/journal", "/run/log/journal"

HEAD: Final = (
    f"{MARK}. `lowmem-tui setup --step journal` changes it, `lowmem-tui undo` undoes it.\n"
    f"# Without this file the earlier values are in force after a restart of {UNIT}.\n"
    f"\n[{SECTION}]\n"
)

LEAST: Final = 8 << 20
"""Bytes: one journal file is that large at first, and two are needed."""

MOST_DEFAULT: Final = 4 << 30
"""Bytes: a tenth of the file system, and no more than this (journald.conf(5))."""

LONGEST: Final = 31 * 86_400_000_000
"""Microseconds: an age that somebody has set is kept up to here."""


class Seen(NamedTuple):
    """What the files set, and what is found."""

    layers: Layers
    """What the files say: ``declared`` is what counts at the next start of journald."""
    unread: tuple[str, ...]
    """Files of settings that may not be read."""
    mistakes: tuple[Finding, ...]
    """Settings in files that are ignored."""
    disk: FolderUsage | None
    ram: FolderUsage | None
    oldest: float | None
    """When the oldest entry that is kept was written, seconds since 1970; None: unknown."""
    now: float
    disk_total: int
    """Bytes of the root file system."""
    mem_total: int

    @property
    def storage(self) -> str:
        """``persistent``, ``volatile``, ``none``; ``auto`` is settled by the folder on the disk."""
        return _storage(self.layers.declared, self.disk)

    @property
    def keys(self) -> tuple[str, ...]:
        """The settings that count where the journal is kept."""
        return KEYS if self.storage == "persistent" else (RAM, AGE)


class JournalStep:
    """See ``Step``."""

    name = "journal"
    title = N_("Journal")
    about = N_(
        "By default the journal may use a tenth of the disk, and a tenth of /run, which is RAM, "
        "until the disk is mounted or where no journal is stored on it. Here both are limited, and "
        "old entries are removed. journald is restarted for that, and no message is lost."
    )

    def __init__(self, ground: Ground) -> None:
        """Look at one server."""
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        seen = self._see()
        if seen.storage == "none":
            return Look(absent=msg("journald stores nothing here (Storage=none)."))
        items = tuple(_item(key, seen) for key in seen.keys)
        return Look(tuple(_facts(seen)), items, tuple(_findings(items, seen)))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        known(self.name, wishes, KEYS)
        for key, value in wishes.items():
            _parse(key, value)
        seen = self._see()
        settings = dict(seen.layers.ours)
        for key, value in wishes.items():
            if not value:
                settings.pop(key, None)
            elif not _same(key, seen.layers.declared.get(key), value):
                settings[key] = value
        order = [*(k for k in KEYS if k in settings), *(k for k in settings if k not in KEYS)]
        files = rewritten(self._ground.files, PATH, {key: settings[key] for key in order}, HEAD)
        restart = Action(
            ActionKind.SERVICE, UNIT, "restart", "restart", Phase.LATE, f"systemctl restart {UNIT}"
        )
        changed = {k: v for k, v in wishes.items() if settings.get(k) != seen.layers.ours.get(k)}
        warnings = tuple(_warnings(changed, seen)) if files else ()
        return Plan((), files, (), warnings, (), (restart,) if files else ())

    def _see(self) -> Seen:
        ground = self._ground
        files = [*self._main(), *conf_files(ground.files, ground.inspector, _D)]
        host = ground.snapshot().host
        layers = layers_of(files, PATH, declared)
        disk, ram = (ground.inspector.usage(folder) for folder in (ON_DISK, IN_RAM))
        on_disk = _storage(layers.declared, disk) == "persistent"
        return Seen(
            layers=layers,
            unread=tuple(file.path for file in files[1:] if file.text is None),
            mistakes=tuple(journal_mistakes.findings(files, SECTION, _CHECKS, UNIT)),
            disk=disk,
            ram=ram,
            oldest=_oldest(ground.inspector, ON_DISK if on_disk else IN_RAM),
            now=ground.now(),
            disk_total=ground.inspector.facts().root_total,
            mem_total=host.mem_total,
        )

    def _main(self) -> Sequence[UnitFile]:
        """Return journald.conf: the first one there is, read ahead of all drop-ins."""
        for folder in FOLDERS:
            if (file := read_file(self._ground.files, f"{folder}/{_MAIN}")).text is not None:
                return [file]
        return [read_file(self._ground.files, f"/etc/{_MAIN}")]


def _storage(found: Mapping[str, Declared], disk: FolderUsage | None) -> str:
    word = found["Storage"].value if "Storage" in found else "auto"
    if word == "auto":
        return "persistent" if disk is not None else "volatile"
    return word


def _oldest(inspector: Inspector, folder: str) -> float | None:
    """Return when the oldest entry below a folder was written, as far as that can be seen.

    The name of a full file has the time of its first entry, and by that journald goes.
    """
    usage = inspector.usage(folder)
    times = [] if usage is None or usage.oldest is None else [usage.oldest]
    names = (
        n for machine in inspector.names(folder) for n in inspector.names(f"{folder}/{machine}")
    )
    times += [int(found[1] or found[2], 16) / 1e6 for found in map(_FULL.search, names) if found]
    return min(times, default=None)


_FULL: Final = re.compile(
    r"@(?:[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{16})\.journal|([0-9a-f]{16})-[0-9a-f]{16}\.journal~)\Z"
)
"""``system@SEQNUM_ID-SEQNUM-MICROSECONDS.journal``, and one that was not closed."""

_MAIN: Final = "systemd/journald.conf"
_D: Final = "systemd/journald.conf.d"


def declared(files: Iterable[UnitFile]) -> dict[str, Declared]:
    """Return what files set; a later one counts, one that journald refuses never does."""
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
    if key == "Storage":
        if value not in STORAGES:
            raise InvalidValueError(
                msg(
                    "{setting} is not a value that journald knows.",
                    setting=of_setting("Storage", plain(value, 40)),
                )
            )
        return None
    if not value or key not in KEYS:
        return None
    if key == AGE:
        span = parse_time_span(value)
        return 0 if isinstance(span, Unlimited) else span
    size = parse_size(value)
    if size < least:
        raise InvalidValueError(
            msg(
                "{setting} is too little: {instead}.",
                setting=of_setting(key, plain(value, 40)),
                instead=msg("write at least {least}", least=of_bytes(least)),
            )
        )
    return size


_CHECKS: Final = {key: partial(_parse, key, least=0) for key in ("Storage", *KEYS)}


def _same(key: str, found: Declared | None, value: str) -> bool:
    return found is not None and _parse(key, found.value, least=0) == _parse(key, value)


def _proposed(key: str, seen: Seen) -> tuple[str, Message]:
    """Return the policy's value, and why."""
    if key == AGE:
        return "7day", msg(
            "Entries that are older than a week seldom help, and a smaller journal is read faster."
        )
    if key == DISK:
        by_default = min(seen.disk_total // 10, MOST_DEFAULT)
        value = "100M" if seen.disk_total >= 4_000_000_000 else "50M"
        return value, msg(
            "Without SystemMaxUse the journal grows to {size} (a tenth of the disk). Its newest "
            "files are mapped into memory, and reading them displaces programs. {value} holds some "
            "days to weeks of a small server.",
            size=of_bytes(by_default),
            value=value,
        )
    # A thirty-second: 16M of 512M, 32M of 1G, 64M of 2G and more.
    nominal = -(-seen.mem_total // (256 << 20)) * (256 << 20)
    value = f"{max(16, min(64, nominal // 32 >> 20))}M"
    return value, msg(
        "Files in /run use RAM: at most {value} of {ram}, until the disk is mounted, or always "
        "where the journal is not stored on the disk.",
        value=value,
        ram=of_bytes(seen.mem_total),
    )


def _item(key: str, seen: Seen) -> Item:
    value, why = _proposed(key, seen)
    found = seen.layers.declared.get(key)
    bound = _parse(key, found.value, least=0) if found else None
    most = LONGEST if key == AGE else _parse(key, value) or 0
    # Somebody's own bound stays, if it is no larger than ours.
    good = bool(bound) and bound is not None and bound <= most
    if good and found:
        value = found.value
    ready = good or _same(key, _only(seen.layers.ours.get(key)), value)
    lost = None if ready else _lost(key, value, seen)
    if lost is None and key == AGE and not ready:
        # Nothing goes today, and every day from then on something does.
        lost = msg("It removes entries by their age, though the journal's size is limited anyway.")
    if seen.unread and not ready:
        lost = msg(
            "{path} cannot be read, so the value that counts now is unknown.",
            path=of_path(seen.unread[0]),
        )
    choices = {
        DISK: ("50M", "100M", "200M", "500M"),
        RAM: ("16M", "32M", "64M"),
        AGE: ("3day", "7day", "14day", "1month"),
    }[key]
    titles = {
        DISK: msg("SystemMaxUse: journal on the disk"),
        RAM: msg("RuntimeMaxUse: journal in RAM (/run)"),
        AGE: msg("MaxRetentionSec: age of the journal"),
    }
    return Item(
        key=key,
        title=titles[key],
        now=plain(found.value, 20) if found and found.value else msg("not set"),
        value=value,
        why=sentences(why, lost, msg("So it is not preselected.")) if lost else why,
        choices=tuple(sorted({*choices, value}, key=lambda each: _parse(key, each, least=0) or 0)),
        taken=not lost,
        done=ready,
    )


def _lost(key: str, value: str, seen: Seen) -> Message | None:
    """Return what journald removes for a bound, a sentence; None where it removes nothing."""
    bound = _parse(key, value, least=0)
    found = seen.layers.declared.get(key)
    before = _parse(key, found.value, least=0) if found else None
    if not bound or (before and before <= bound):
        return None
    if key == AGE:
        age = None if seen.oldest is None else seen.now - seen.oldest
        if age is None or age * 1e6 <= bound:
            return None
        return plural(
            "The oldest entries are {n} day old, and are removed.",
            "The oldest entries are {n} days old, and are removed.",
            round(age / 86_400),
        )
    usage = seen.disk if key == DISK else seen.ram
    if usage is None or usage.bytes <= bound or (key == DISK and seen.storage != "persistent"):
        return None
    return msg(
        "The journal uses {size} there now, and its oldest files are removed.",
        size=of_bytes(usage.bytes),
    )


def _only(value: str | None) -> Declared | None:
    return Declared(value, PATH) if value else None


def _facts(seen: Seen) -> Iterable[Message]:
    if seen.storage != "persistent":
        yield msg(
            "The journal is stored in RAM, in {path}, and lost at a reboot.", path=of_path(IN_RAM)
        )
    elif seen.disk:
        yield msg(
            "The journal is stored on the disk, in {path}: {size} now.",
            path=of_path(ON_DISK),
            size=of_bytes(seen.disk.bytes),
        )
    else:
        yield msg(
            "The journal is stored on the disk, in {path}: its size is unknown.",
            path=of_path(ON_DISK),
        )
    if seen.ram is not None and seen.ram.bytes:
        yield msg(
            "{size} of that is in {path}, which is RAM.",
            size=of_bytes(seen.ram.bytes),
            path=of_path(IN_RAM),
        )
    for path in seen.unread:
        yield msg("{path} cannot be read: what it sets is unknown.", path=of_path(path))
    for key in KEYS:
        found = seen.layers.declared.get(key)
        if found and found.value and found.path != PATH:
            yield msg(
                "{key} is set to {value} in {path}.",
                key=of_setting(key),
                value=of_text(found.value, 20),
                path=of_path(found.path),
            )


def _findings(items: Iterable[Item], seen: Seen) -> Iterable[Finding]:
    yield from seen.mistakes
    codes = {DISK: "journal-disk", RAM: "journal-ram", AGE: "journal-age"}
    for item in items:
        if not item.done and (item.taken or item.key != AGE) and not seen.unread:
            yield Finding(
                codes[item.key],
                Severity.ADVICE,
                item.key,
                msg(
                    "{key} is {now}; {value} is enough for a small server.",
                    key=of_setting(item.key),
                    now=item.now,
                    value=item.value,
                ),
                common.remedy("journal"),
            )
    for key, ours, other in seen.layers.overruling(seen.layers.ours, _same):
        if key in KEYS:
            yield overruled("journal", key, other, _overruled(key, ours, other))


def _warnings(wishes: Mapping[str, str], seen: Seen) -> Iterable[Notice]:
    for key, value, other in seen.layers.overruling(wishes, _same):
        yield Notice("journal-overruled", UNIT, _overruled(key, value, other))
    for key, value in wishes.items():
        if value and (lost := _lost(key, value, seen)):
            yield Notice(
                "journal-old-entries",
                UNIT,
                sentences(
                    msg(
                        "{setting}: {lost}",
                        setting=of_setting(key, plain(value, 20)),
                        lost=lost,
                    ),
                    msg("Undo does not restore them."),
                ),
                lost=True,
            )
        if value and key == DISK and seen.storage != "persistent":
            yield Notice(
                "journal-not-on-disk",
                UNIT,
                msg(
                    "SystemMaxUse limits the journal on the disk, but here it is stored in RAM: "
                    "RuntimeMaxUse limits that."
                ),
            )


def _overruled(key: str, value: str, other: Declared) -> Message:
    return msg(
        "{other} is read after {ours}, and its {theirs} overrides {value}.",
        other=of_path(other.path),
        ours=of_path(PATH),
        theirs=of_setting(key, plain(other.value, 20)),
        value=of_setting(key, value),
    )


def make(ground: Ground) -> JournalStep:
    """Return the step."""
    return JournalStep(ground)
