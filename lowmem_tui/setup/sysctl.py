"""The step `sysctl`: swappiness, dirty pages, caches and reserves of the kernel (vm.*)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.host.swaps import parse_swaps
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import (
    N_,
    Message,
    msg,
    of_bytes,
    of_path,
    of_setting,
    of_text,
    of_unit,
)
from lowmem_tui.model.plan import Action, ActionKind, Notice, Plan
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.policy.checks import reserves
from lowmem_tui.policy.checks.reserves import HUGE_PAGES, MIN_FREE
from lowmem_tui.setup import common
from lowmem_tui.setup.conf import (
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
from lowmem_tui.setup.redis import programs as redis_programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lowmem_tui.model.snapshot import Unit, UnitFile
    from lowmem_tui.policy.checks.reserves import Advice, HugePages
    from lowmem_tui.setup.context import Ground

PATH: Final = f"/etc/sysctl.d/{OUR_NAME}"
SYSCTL_CONF: Final = "/etc/sysctl.conf"
"""Read last by `sysctl --system`, and at boot only where /etc/sysctl.d has a link to it."""

HEAD: Final = (
    f"{MARK}. `lowmem-tui setup --step sysctl` changes it, `lowmem-tui undo` undoes it;\n"
    "# without this file the values are the distribution's from the next boot on.\n"
)

SWAPPINESS, OVERCOMMIT = "vm.swappiness", "vm.overcommit_memory"
DIRTY, DIRTY_BACKGROUND = "vm.dirty_ratio", "vm.dirty_background_ratio"
CACHE_PRESSURE = "vm.vfs_cache_pressure"

HUGE_USERS: Final = ("postgresql", "mysql", "mariadb", "oracle", "libvirtd", "qemu", "dpdk")
"""How the units of programs begin that ask for huge pages, or may."""
STARTED: Final = frozenset({"enabled", "enabled-runtime", "static", "generated"})

REDIS: Final = ("redis-server", "redis", "valkey-server", "valkey")


class Value(NamedTuple):
    """What is known of a setting (Documentation/admin-guide/sysctl/vm.rst)."""

    title: Message
    least: int
    most: int
    """What the kernel takes at most."""
    default: int | None
    """The kernel's own; None where it goes by the machine."""
    good: range
    """Values for which no other is proposed."""
    choices: tuple[str, ...]


VALUES: Final[dict[str, Value]] = {
    SWAPPINESS: Value(
        msg("vm.swappiness: swap or page cache first"),
        0,
        200,
        60,
        range(1, 21),
        ("1", "10", "20", "60", "100"),
    ),
    DIRTY: Value(
        msg("vm.dirty_ratio: % of dirty pages at which writers wait"),
        1,
        100,
        20,
        range(3, 11),
        ("5", "10", "20"),
    ),
    DIRTY_BACKGROUND: Value(
        msg("vm.dirty_background_ratio: % at which writing begins"),
        1,
        100,
        10,
        range(1, 6),
        ("2", "5", "10"),
    ),
    CACHE_PRESSURE: Value(
        msg("vm.vfs_cache_pressure: dentry and inode cache"),
        0,
        1000,
        100,
        range(40, 61),
        ("50", "100"),
    ),
    OVERCOMMIT: Value(
        msg("vm.overcommit_memory: whether fork may be refused"), 0, 2, 0, range(1, 2), ("0", "1")
    ),
    MIN_FREE: Value(
        msg("vm.min_free_kbytes: KiB kept free for the kernel"),
        reserves.LEAST,
        1 << 20,
        None,
        range(0),
        (),
    ),
    HUGE_PAGES: Value(msg("vm.nr_hugepages: reserved huge pages"), 0, 1 << 20, None, range(0), ()),
}
RESERVES: Final = frozenset({MIN_FREE, HUGE_PAGES})
"""Of these nothing is proposed where nothing is wrong."""

_ZRAM_GOOD = range(60, 201)


class Seen(NamedTuple):
    """What is found of each setting."""

    live: dict[str, str]
    """What the kernel has; nothing for what it does not know, or does not show."""
    layers: Layers
    """What the files say: ``declared`` is what the next boot sets."""
    redis: str
    """The unit of a Redis that is installed, or ""."""
    zram: bool
    """Whether all swap is in RAM."""
    ram: int
    """Bytes."""
    huge: HugePages | None
    advice: dict[str, Advice]
    """What is wrong with those of RESERVES."""

    def at_boot(self, key: str) -> str:
        """Return the value after the next boot."""
        found, own = self.layers.declared.get(key), VALUES[key].default
        if found is None and own is None:
            return self.live.get(key, "")
        return found.value if found else str(own)


class SysctlStep:
    """See ``Step``."""

    name = "sysctl"
    title = N_("Kernel settings (vm.*)")
    about = N_(
        "A few settings decide whether a small server swaps programs out to keep files in memory, "
        "and how much unwritten data (dirty pages) it collects. They are set at once, and written "
        "to one file of our own for the next boot."
    )

    def __init__(self, ground: Ground) -> None:
        """Look at one server."""
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        if container := self._ground.inspector.facts().container:
            return Look(absent=_not_here(container))
        seen = self._see()
        items = tuple(_item(key, seen) for key in VALUES if _offered(key, seen))
        facts = [
            msg(
                "{key} is set to {value} in {path}.",
                key=of_setting(key),
                value=of_text(found.value, 20),
                path=of_path(found.path),
            )
            for key in VALUES
            if key in seen.live and (found := seen.layers.declared.get(key))
        ] or [msg("No file sets any of these: the values are the kernel's own.")]
        if "0" in {seen.live.get(DIRTY), seen.live.get(DIRTY_BACKGROUND)}:
            facts.append(
                msg(
                    "vm.dirty_bytes or vm.dirty_background_bytes is set here, so the ratio of the "
                    "same name is not in force."
                )
            )
        facts += _reserved(seen)
        return Look(tuple(facts), items, tuple(_findings(items, seen)), self._by_hand(seen))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        known(self.name, wishes, VALUES)
        for key, value in wishes.items():
            _validate(key, value)
        container = self._ground.inspector.facts().container
        if container and any(wishes.values()):
            return Plan((), (), (), (), (Notice("sysctl-container", "", _not_here(container)),))
        seen = self._see()
        for key, value in wishes.items():
            _fits(key, value, seen)
        settings, live = dict(seen.layers.ours), {}
        for key, value in wishes.items():
            if value:
                live[key] = value
                if seen.at_boot(key) != value or key not in seen.layers.declared:
                    settings[key] = value
            elif settings.pop(key, None):
                other, own = seen.layers.others.get(key), VALUES[key].default
                if other or own is not None:
                    live[key] = other.value if other else str(own)
        return Plan(
            (),
            rewritten(self._ground.files, PATH, _in_order(settings), HEAD),
            (),
            tuple(_warnings(wishes, seen)),
            (),
            tuple(
                Action(ActionKind.SYSCTL, key, seen.live[key], value)
                for key, value in live.items()
                if key in seen.live and seen.live[key] != value
            ),
        )

    def _see(self) -> Seen:
        ground = self._ground
        files = conf_files(ground.files, ground.inspector, "sysctl.d")
        host = ground.snapshot().host
        read = {key: ground.system.get(ActionKind.SYSCTL, key) for key in VALUES}
        live = {key: value for key, value in read.items() if value}
        layers, unit_files = layers_of(files, PATH, declared), ground.unit_files()
        huge = reserves.parse_huge_pages(read_file(ground.files, "/proc/meminfo").text or "")
        swaps = parse_swaps(read_file(ground.files, "/proc/swaps").text or "")
        return Seen(
            live=live,
            layers=layers,
            redis=_redis(ground, unit_files),
            zram=bool(swaps) and all(swap.path.startswith("/dev/zram") for swap in swaps),
            ram=host.mem_total,
            huge=huge,
            advice=dict(self._advice(live, layers.declared, huge, _huge_user(unit_files))),
        )

    def _advice(
        self,
        live: Mapping[str, str],
        boot: Mapping[str, Declared],
        huge: HugePages | None,
        user: str,
    ) -> Iterator[tuple[str, Advice]]:
        host = self._ground.snapshot().host
        if MIN_FREE in live:
            failed = self._ground.failures()
            values = [live[MIN_FREE], *(v.value for k, v in boot.items() if k == MIN_FREE)]
            # What the next boot makes of it counts as what it is now.
            for now in map(natural, values):
                if now is not None and (
                    found := reserves.min_free(now, host.mem_total, host.mem_available, failed)
                ):
                    yield MIN_FREE, found
                    break
        if HUGE_PAGES in live and huge:
            pages = reserves.huge_pages(huge, host.mem_total, user)
            if pages:
                yield HUGE_PAGES, pages

    def _by_hand(self, seen: Seen) -> tuple[Message, ...]:
        """Report /etc/sysctl.conf, which `sysctl --system` reads last."""
        conf = declared([read_file(self._ground.files, SYSCTL_CONF)])
        return tuple(
            msg(
                "{path} has {setting}, and `sysctl --system` reads it after our file: remove the "
                "line.",
                path=of_path(SYSCTL_CONF),
                setting=of_setting(key, found.value[:20]),
            )
            for key, found in conf.items()
            if key in seen.layers.ours and seen.layers.ours[key] != found.value
        )


def declared(files: Iterable[UnitFile]) -> dict[str, Declared]:
    """Return what files say of each setting; a later file counts (sysctl.d(5)).

    Patterns (``vm.*``) are not evaluated: they never override a name.
    """
    found: dict[str, Declared] = {}
    for file in files:
        for line in (file.text or "").splitlines():
            name, equals, value = line.strip().partition("=")
            if not equals or name[:1] in {"#", ";"}:
                continue
            name = name.strip().removeprefix("-").strip()
            # Where the first separator is a slash, a dot is a part of a name.
            first = next((char for char in name if char in "./"), ".")
            if first == "/":
                name = name.translate(str.maketrans("./", "/."))
            found[name] = Declared(value.strip(), file.path)
    return found


def _offered(key: str, seen: Seen) -> bool:
    if key not in seen.live:
        return False
    if key in RESERVES:
        return key in seen.advice or key in seen.layers.ours
    if key in {DIRTY, DIRTY_BACKGROUND}:
        return seen.live[key] != "0"
    # Somebody who forbids to promise more than there is (2) knows why.
    return key != OVERCOMMIT or (bool(seen.redis) and seen.live[key] != "2")


def _item(key: str, seen: Seen) -> Item:
    if key in RESERVES:
        return _reserve(key, seen)
    value, why = _proposed(key, seen)
    now = seen.live[key]
    good = _ZRAM_GOOD if key == SWAPPINESS and seen.zram else VALUES[key].good
    if natural(now) in good and seen.at_boot(key) == now:
        value = now
    ready = now == value and value in {seen.at_boot(key), seen.layers.ours.get(key)}
    choices = dict.fromkeys((*VALUES[key].choices, value, now))
    return Item(
        key=key,
        title=VALUES[key].title,
        now=plain(now, 20),
        value=value,
        why=why,
        choices=tuple(sorted(choices, key=_number)),
        done=ready,
    )


def _reserve(key: str, seen: Seen) -> Item:
    """Return the item of a reserve: something is wrong with it, or it is ours."""
    now, advice = seen.live[key], seen.advice.get(key)
    value = advice.value if advice else seen.layers.ours.get(key, now)
    choices = {value, now}
    if key == MIN_FREE:
        choices |= {str(each) for each in reserves.right(seen.ram)}
    return Item(
        key=key,
        title=VALUES[key].title,
        now=plain(now, 20),
        value=value,
        why=advice.why if advice else msg("Our file already sets this value."),
        choices=tuple(sorted(choices, key=_number)),
        taken=advice is None or advice.taken,
        done=now == value == seen.at_boot(key),
    )


def _number(text: str) -> int:
    found = natural(text)
    return -1 if found is None else found


def _reserved(seen: Seen) -> Iterator[Message]:
    """Say what is kept free, and what is reserved for huge pages."""
    now, huge = natural(seen.live.get(MIN_FREE, "")), seen.huge
    if now is not None:
        fit = reserves.right(seen.ram)
        yield msg(
            "{key} is {now}: {size} are kept free for requests of the kernel that cannot wait. "
            "{least} to {most} is right for {ram} of RAM.",
            key=of_setting(MIN_FREE),
            now=now,
            size=of_bytes(now << 10),
            least=fit.own,
            most=fit.most,
            ram=of_bytes(seen.ram),
        )
    if huge and huge.total:
        yield msg(
            "{key}: {total} huge pages of {size} are reserved, {unused} of them are unused.",
            key=of_setting(HUGE_PAGES),
            total=huge.total,
            size=of_bytes(huge.size),
            unused=huge.unused,
        )


def _proposed(key: str, seen: Seen) -> tuple[str, Message]:
    """Return the policy's value, and why."""
    if key == SWAPPINESS and seen.zram:
        return "100", msg(
            "All swap here is compressed RAM, far faster than any disk: at 100 the kernel swaps "
            "programs out as readily as it drops page cache."
        )
    if key == SWAPPINESS:
        return "10", msg(
            "The disk is the slowest part of a small server: at 10 the kernel swaps programs out "
            "only when there is little page cache to drop. 0 would stop control groups from "
            "swapping at all."
        )
    if key in {DIRTY, DIRTY_BACKGROUND}:
        return _dirty(key, seen)
    if key == CACHE_PRESSURE:
        return "50", msg(
            "The dentry and inode cache is kept twice as long as at 100: reading it from a slow "
            "disk again costs more than the RAM that it takes."
        )
    return "1", msg(
        "{unit} forks to save, and shares its memory with the child. At 0 the kernel may refuse "
        "the fork as if it needed all of that memory twice, and the save fails.",
        unit=of_unit(seen.redis, 60),
    )


def _dirty(key: str, seen: Seen) -> tuple[str, Message]:
    """Return the percentage of dirty pages, and why."""
    share = 10 if key == DIRTY else 5
    most = of_bytes(seen.ram * share // 100)
    now = of_bytes(seen.ram * (natural(seen.live[key]) or 0) // 100)
    if key == DIRTY:
        why = msg(
            "A writer waits when dirty pages reach {most} of {ram} of RAM; now it is {now}.",
            most=most,
            ram=of_bytes(seen.ram),
            now=now,
        )
    else:
        why = msg(
            "Writing begins when dirty pages reach {most} of {ram} of RAM; now it is {now}. Many "
            "small writes replace one long stall.",
            most=most,
            ram=of_bytes(seen.ram),
            now=now,
        )
    return str(share), why


def _wrong(item: Item, seen: Seen) -> Message:
    """Say what is wrong with a value."""
    key, now = of_setting(item.key), item.now
    if advice := seen.advice.get(item.key):
        return advice.text
    if now == item.value:
        return msg(
            "{key} is {now} only until the next boot, which sets it to {then}.",
            key=key,
            now=now,
            then=of_text(seen.at_boot(item.key), 20),
        )
    if item.key == OVERCOMMIT:
        return msg(
            "{unit} forks to save. While {key} is {now} the kernel may refuse that, and the save "
            "fails.",
            unit=of_unit(seen.redis, 60),
            key=key,
            now=now,
        )
    return msg(
        "{key} is {now}; {value} is better for a small server.",
        key=key,
        now=now,
        value=item.value,
    )


def _findings(items: Iterable[Item], seen: Seen) -> Iterable[Finding]:
    for item in items:
        if not item.done:
            advice = seen.advice.get(item.key)
            yield Finding(
                f"sysctl-{item.key.partition('.')[2].replace('_', '-')}",
                Severity.WARNING
                if item.key == OVERCOMMIT or (advice and advice.grave)
                else Severity.ADVICE,
                item.key,
                _wrong(item, seen),
                common.remedy("sysctl"),
            )
    for key, value, other in seen.layers.overruling(seen.layers.ours, _says):
        yield overruled("sysctl", key, other, _overruled(key, value, other))


def _warnings(wishes: Mapping[str, str], seen: Seen) -> Iterable[Notice]:
    for key, value, other in seen.layers.overruling(wishes, _says):
        yield Notice("sysctl-overruled", "", _overruled(key, value, other))
    for key, value in wishes.items():
        if (
            not value
            and key in RESERVES
            and key in seen.layers.ours
            and key not in seen.layers.others
        ):
            yield Notice(
                "sysctl-next-boot",
                "",
                msg(
                    "{key} stays at {now} until the next boot; then the kernel chooses it itself.",
                    key=of_setting(key),
                    now=of_text(seen.live.get(key, "?"), 20),
                ),
            )
        if key == OVERCOMMIT and value == "1" and not seen.redis:
            yield Notice(
                "sysctl-overcommit",
                "",
                msg(
                    "vm.overcommit_memory=1 is for Redis, and there is none here. Keep 0: then "
                    "the kernel still refuses what can never fit."
                ),
            )


def _says(key: str, found: Declared, value: str) -> bool:
    del key
    return found.value == value


def _overruled(key: str, value: str, other: Declared) -> Message:
    return msg(
        "{other} is read after {ours} and sets {key} to {theirs} at boot, not to {value}.",
        other=of_path(other.path),
        ours=of_path(PATH),
        key=of_setting(key),
        theirs=of_text(other.value, 20),
        value=value,
    )


def _validate(key: str, value: str) -> None:
    known_, number = VALUES[key], natural(value)
    if value and number is None:
        raise InvalidValueError(
            msg(
                "'{value}' is not a value of {key}: write a whole number from {least} to {most}.",
                value=of_text(value, 40),
                key=of_setting(key),
                least=known_.least,
                most=known_.most,
            )
        )
    if number is not None and not known_.least <= number <= known_.most:
        raise InvalidValueError(
            msg(
                "{setting} is out of range: write {least} to {most}.",
                setting=of_setting(key, value),
                least=known_.least,
                most=known_.most,
            )
        )


def _fits(key: str, value: str, seen: Seen) -> None:
    """Refuse what would reserve so much memory that the kernel kills at once."""
    most = int(seen.ram * reserves.REFUSED)
    unit = 1024 if key == MIN_FREE else seen.huge.size if seen.huge else 2 << 20
    number = natural(value) or 0
    lowered = number <= (natural(seen.live.get(key, "")) or 0)
    if key in RESERVES and number * unit > most and not lowered:
        raise InvalidValueError(
            msg(
                "{setting} would reserve {size} of {ram} of RAM: write at most {most}.",
                setting=of_setting(key, value),
                size=of_bytes(number * unit),
                ram=of_bytes(seen.ram),
                most=most // unit,
            )
        )


def _in_order(settings: Mapping[str, str]) -> dict[str, str]:
    keys = [*(key for key in VALUES if key in settings), *(k for k in settings if k not in VALUES)]
    return {key: settings[key] for key in keys}


def _redis(ground: Ground, unit_files: Mapping[str, str]) -> str:
    """Return a Redis that runs or is started at boot: by its unit's name, or by its program."""
    for stem in REDIS:
        name = f"{stem}.service"
        if unit_files.get(name) in STARTED:
            return name
    units = ground.snapshot().units
    others = common.services(ground.snapshot(), redis_programs.is_one)
    return next((name for name in others if _is_started(units[name], unit_files)), "")


def _is_started(unit: Unit, unit_files: Mapping[str, str]) -> bool:
    properties = unit.properties
    if properties is None:
        return False
    states = {properties.unit_file_state, unit_files.get(unit.name)}
    return bool(states & STARTED) or properties.active_state in {"active", "reloading"}


def _huge_user(unit_files: Mapping[str, str]) -> str:
    return next(
        (
            name
            for name, state in sorted(unit_files.items())
            if name.startswith(HUGE_USERS) and name.endswith(".service") and state in STARTED
        ),
        "",
    )


def _not_here(container: str) -> Message:
    return msg(
        "This is a container ({kind}): vm.* are settings of the host's kernel, and only the host "
        "can change them.",
        kind=of_text(container, 20),
    )


def make(ground: Ground) -> SysctlStep:
    """Return the step."""
    return SysctlStep(ground)
