"""What a plan refuses or warns of, each with the better alternative; pure.

A check gets one case (a unit, or an edit of one) and returns a Notice or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui.model.amount import render_limit
from lowmem_tui.model.cgroup import ROOT_SLICE
from lowmem_tui.model.message import (
    msg,
    of_bytes,
    of_limit,
    of_list,
    of_path,
    of_setting,
    of_unit,
    plural,
    sentences,
)
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.settings import Bytes
from lowmem_tui.model.unit import Key, UnitType, is_template, is_unit_name, unit_type
from lowmem_tui.model.unitfile import section_of
from lowmem_tui.policy import dropin
from lowmem_tui.policy.checks.cases import EditCase, UnitCase, parent_cap
from lowmem_tui.policy.forecast.oom import members

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import UnitSituation
    from lowmem_tui.model.unit import Value

LEAST_LIMIT = 1 << 20
"""Bytes; no program runs below this: the K, M or G was forgotten."""

A_LOGIN = 10 << 20
"""Bytes that a connection holds in the login service until its session has a unit of its own."""

LEAST_FOR_LOGINS = 64 << 20

LONGEST_NAME = 253
"""Bytes of a unit's name that leave room for the ".d" of its folder (NAME_MAX is 255)."""

ENOUGH = -500
"""A score from which down a unit is well protected."""

NEEDED = frozenset(
    {
        "systemd-journald.service",
        "systemd-logind.service",
        "systemd-udevd.service",
        "systemd-networkd.service",
        "dbus.service",
        "dbus-broker.service",
        "init.scope",
    }
)
"""What PID 1 and every login lean on."""

LOGINS = ("ssh", "sshd", "dropbear", "tinysshd", "openssh-server")
UNGUARDED = ("dropbear", "tinysshd")
"""Of them those that, other than sshd, do not protect themselves."""
CONSOLES = ("getty", "serial-getty", "console-getty", "container-getty", "autovt")
JOBS = ("cron", "crond", "cronie", "fcron", "atd")

BUSES = frozenset({"dbus.service", "dbus-broker.service"})
"""Their makers ship no Restart= on purpose. A restart disconnects every client, which few survive
(dbus recommends a reboot, systemd#2488, dbus-broker#93); dbus.socket starts a dead one again as
soon as anybody asks."""


# --- units --------------------------------------------------------------------------------------


def unknown(asked: str, known: UnitSituation | None, *, drops: bool) -> Notice | None:
    """Refuse what systemd does not know, but for dropping what we once set for it."""
    name = of_unit(asked, 80)
    if known is not None and known.unit.properties is None:
        text = msg("systemd has not reported {unit} yet: try again in a moment.", unit=name)
        return Notice("not-known", asked, text)
    properties = known.unit.properties if known else None
    left = drops and known is not None and known.drop_in is not None
    if properties is None or not (properties.exists or left):
        text = msg("There is no unit {unit}: look up its name with 'lowmem-tui list'.", unit=name)
        return Notice("unknown-unit", asked, text)
    return None


def _type(case: UnitCase) -> Notice | None:
    if not is_unit_name(case.name):
        text = msg("No drop-in can be written for the name {unit}.", unit=of_unit(case.name, 80))
        return Notice("bad-name", case.name, text)
    if len(case.name.encode()) > LONGEST_NAME:
        text = msg(
            "The name of {unit} is too long for a drop-in folder: limit the slice that it is in.",
            unit=of_unit(case.name, 40),
        )
        return Notice("name-too-long", case.name, text)
    if section_of(case.name) is None:
        text = msg(
            "{unit} has no processes and no memory: edit the unit that it starts.",
            unit=of_unit(case.name),
        )
        return Notice("wrong-type", case.name, text)
    if case.name == ROOT_SLICE:
        text = msg("The root slice is the whole machine and has no limits: edit system.slice.")
        return Notice("root-slice", case.name, text)
    return None


def _template(case: UnitCase) -> Notice | None:
    if not is_template(case.name):
        return None
    prefix, _, suffix = case.name.partition("@.")
    instances = sorted(
        name
        for name in case.situation.snapshot.units
        if name.startswith(f"{prefix}@") and name.endswith(f".{suffix}") and name != case.name
    )
    if instances:
        text = msg(
            "{unit} is a template, which never runs itself: name an instance: {instances}.",
            unit=of_unit(case.name),
            instances=of_list(of_unit(name, 60) for name in instances[:5]),
        )
    else:
        text = msg(
            "{unit} is a template, which never runs itself: name an instance, like {instance}.",
            unit=of_unit(case.name),
            instance=of_unit(f"{prefix}@1.{suffix}"),
        )
    return Notice("template", case.name, text)


def _masked(case: UnitCase) -> Notice | None:
    if case.properties.load_state != "masked" or case.drops_only:
        return None
    text = msg(
        "{unit} is masked and cannot start: run 'systemctl unmask {unit}' first.",
        unit=of_unit(case.name),
    )
    return Notice("masked", case.name, text)


def _broken(case: UnitCase) -> Notice | None:
    if case.properties.load_state not in {"bad-setting", "error"} or case.drops_only:
        return None
    text = msg(
        "systemd refuses the files of {unit} as they are: see 'systemctl status {unit}' and "
        "correct them first.",
        unit=of_unit(case.name),
    )
    return Notice("bad-setting", case.name, text, forceable=True)


_MADE_BY = {
    "docker-": msg("Use `docker update --memory=SIZE`, or mem_limit in its compose file."),
    "libpod-": msg("Use `podman update --memory=SIZE`, or `podman run --memory=SIZE`."),
    "nerdctl-": msg("Use `nerdctl update --memory=SIZE`."),
    "run-": msg("Use `systemd-run --property=MemoryMax=SIZE`."),
}


def _transient(case: UnitCase) -> Notice | None:
    if not case.properties.transient or case.drops_only:
        return None
    how = next((how for start, how in _MADE_BY.items() if case.name.startswith(start)), None)
    text = msg(
        "{unit} was made by a program and is gone when it ends: limit it where it is made.",
        unit=of_unit(case.name),
    )
    home = case.properties.slice
    slices = None
    if home and home != ROOT_SLICE:
        slices = msg("Or edit its slice, {slice}.", slice=of_unit(home, 80))
    return Notice("transient", case.name, sentences(text, how, slices))


def _obstacle(case: UnitCase) -> Notice | None:
    if case.known.obstacle:
        return Notice("obstacle", case.name, case.known.obstacle)
    file = case.known.drop_in
    if file is None:
        return None
    path = of_path(file.path)
    if file.text is None:
        text = msg("{path} cannot be read: correct or remove it first.", path=path)
        return Notice("obstacle", case.name, text)
    if not dropin.marked(file.text):
        text = msg(
            "{path} was not written by lowmem-tui, which therefore does not change it: rename it.",
            path=path,
        )
        return Notice("not-ours", case.name, text)
    if not dropin.is_ours(file.text):
        text = msg(
            "{path} has lines that lowmem-tui did not write and would lose: move them to a "
            "drop-in of their own.",
            path=path,
        )
        return Notice("edited-by-hand", case.name, text, forceable=True)
    return None


UnitCheck: TypeAlias = Callable[[UnitCase], Notice | None]

UNIT_REFUSALS: tuple[UnitCheck, ...] = (
    _type,
    _template,
    _masked,
    _broken,
    _transient,
    _obstacle,
)


def _alias(case: UnitCase) -> Notice | None:
    if case.asked == case.name:
        return None
    text = msg(
        "{alias} is an alias: the drop-in is written for {unit}.",
        alias=of_unit(case.asked, 80),
        unit=of_unit(case.name),
    )
    return Notice("alias", case.name, text)


def _stale(case: UnitCase) -> Notice | None:
    if not case.properties.need_daemon_reload:
        return None
    text = msg(
        "Files of {unit} have changed since systemd read them: the reload applies those changes "
        "as well.",
        unit=of_unit(case.name),
    )
    return Notice("not-reloaded", case.name, text)


UNIT_WARNINGS: tuple[UnitCheck, ...] = (_alias, _stale)


# --- edits --------------------------------------------------------------------------------------


def wrong_key(unit: str, key: Key) -> Notice | None:
    """Refuse a setting that this type of unit does not have."""
    if unit_type(unit) in key.facts.types:
        return None
    text = msg(
        "{unit} cannot have {setting}: set it on the service that runs the program.",
        unit=of_unit(unit),
        setting=of_setting(key),
    )
    return Notice("wrong-key", unit, text)


def stem(name: str) -> str:
    """Return a unit's name without instance and suffix."""
    return name.partition(".")[0].partition("@")[0]


def _never_killed(case: EditCase) -> Notice | None:
    if case.key is not Key.OOM_SCORE_ADJUST or case.wanted != -1000:
        return None
    return case.notice(
        "oom-score-adjust-1000",
        msg(
            "With -1000 the kernel never kills {unit}: if it leaks memory, everything else is "
            "killed before it and the machine stops. -500 to -200 protects it; the least is -999.",
            unit=of_unit(case.unit.name),
        ),
    )


def _oneshot(case: EditCase) -> Notice | None:
    if case.key is not Key.RESTART or case.unit.properties.type != "oneshot":
        return None
    if case.wanted not in {"always", "on-success"}:
        return None
    return case.notice(
        "restart-on-oneshot",
        msg(
            "{unit} is Type=oneshot, and with {setting} systemd would not start it again at all: "
            "use on-failure, or no.",
            unit=of_unit(case.unit.name),
            setting=of_setting(Key.RESTART, case.wanted),
        ),
    )


def _forgotten_suffix(case: EditCase) -> Notice | None:
    if case.limit is None or case.limit >= LEAST_LIMIT or _takes_zero(case.key):
        return None
    text = render_limit(case.limit)
    return case.notice(
        "limit-too-small",
        plural(
            "{setting} is {n} byte, and no program runs within that: write {meant} if megabytes "
            "are meant.",
            "{setting} is {n} bytes, and no program runs within that: write {meant} if megabytes "
            "are meant.",
            case.limit,
            setting=of_setting(case.key, text),
            meant=of_setting(f"{text.rstrip('K')}M"),
        ),
        forceable=True,
    )


def _takes_zero(key: Key) -> bool:
    return isinstance(kind := key.facts.kind, Bytes) and kind.zero


def _needed(case: EditCase) -> Notice | None:
    if case.key is not Key.MEMORY_MAX or case.limit is None or case.unit.name not in NEEDED:
        return None
    return case.notice(
        "needed-by-systemd",
        sentences(
            msg(
                "{unit} is needed by systemd and by every login: when it is killed at a limit, "
                "nobody can log in.",
                unit=of_unit(case.unit.name),
            ),
            _instead(case.unit),
        ),
        forceable=True,
    )


def _instead(case: UnitCase) -> Message:
    score = case.properties.oom_score_adjust
    if score is not None and score <= ENOUGH:
        return msg(
            "It is protected already ({setting}): keep it so, and limit others.",
            setting=of_setting(Key.OOM_SCORE_ADJUST, score),
        )
    if unit_type(case.name) not in Key.OOM_SCORE_ADJUST.facts.types:
        return msg("Set no limit on it, and limit others.")
    return msg(
        "Protect it with {setting} instead, and limit others.",
        setting=of_setting(Key.OOM_SCORE_ADJUST, ENOUGH),
    )


def _holds_the_needed(case: EditCase) -> Notice | None:
    """Refuse a limit on a slice in which what is needed is killed for what others hold."""
    if case.key is not Key.MEMORY_MAX or case.limit is None or case.limit < LEAST_LIMIT:
        return None
    if unit_type(case.unit.name) is not UnitType.SLICE:
        return None
    names = (unit.name for unit in members(case.unit.situation.snapshot, case.unit.known.unit))
    found = sorted(
        name
        for name in names
        if name in NEEDED or name.startswith("session-") or stem(name) in LOGINS
    )
    if not found:
        return None
    slice_name, first, others = of_unit(case.unit.name), of_unit(found[0], 60), len(found) - 1
    text = msg(
        "{unit} would share this limit of {slice}, and may be killed for the memory of others in "
        "it. Limit those others instead.",
        unit=first,
        slice=slice_name,
    )
    if others:
        text = plural(
            "{unit} and {n} more unit that logins need would share this limit of {slice}, and may "
            "be killed for the memory of others in it. Limit those others instead.",
            "{unit} and {n} more units that logins need would share this limit of {slice}, and may "
            "be killed for the memory of others in it. Limit those others instead.",
            others,
            unit=first,
            slice=slice_name,
        )
    return case.notice(
        "holds-the-needed",
        text,
        forceable=True,
    )


def _no_room_for_logins(case: EditCase) -> Notice | None:
    if case.key is not Key.MEMORY_MAX or case.limit is None or case.limit >= LEAST_FOR_LOGINS:
        return None
    if case.limit < LEAST_LIMIT or stem(case.unit.name) not in LOGINS:
        return None
    return case.notice(
        "no-room-for-logins",
        msg(
            "Each login begins inside {unit} and needs about {needed} there: within {limit} it may "
            "be killed, and then nobody can log in. Set no limit.",
            unit=of_unit(case.unit.name),
            needed=of_bytes(A_LOGIN),
            limit=of_limit(case.limit),
        ),
        forceable=True,
    )


EditCheck: TypeAlias = Callable[[EditCase], Notice | None]

EDIT_REFUSALS: tuple[EditCheck, ...] = (
    _never_killed,
    _oneshot,
    _forgotten_suffix,
    _needed,
    _holds_the_needed,
    _no_room_for_logins,
)


def score_inherited(unit: str) -> bool:
    """Tell whether shells and commands of a login inherit this unit's OOMScoreAdjust."""
    return stem(unit) in (*LOGINS, *CONSOLES)


def _inherited(case: EditCase) -> Notice | None:
    if case.key is not Key.OOM_SCORE_ADJUST or not isinstance(case.wanted, int) or not case.wanted:
        return None
    name = stem(case.unit.name)
    if name in LOGINS:
        return case.notice("sessions-inherit", _sessions_inherit(case.unit.name, case.wanted))
    if case.unit.name.startswith("user@"):
        return case.notice(
            "user-services-inherit",
            msg(
                "{unit} is a user's service manager: everything that it starts inherits {setting} "
                "(its services get 100 more, unless DefaultOOMScoreAdjust= says otherwise) and may "
                "raise it but not lower it. It takes effect at the user's next login. Keep it as "
                "it is, and set the score on a service of the system instead.",
                unit=of_unit(case.unit.name),
                setting=of_setting(case.key, case.wanted),
            ),
        )
    if name in CONSOLES:
        return case.notice("children-inherit", _console_inherits(case.wanted))
    if name in JOBS:
        return case.notice(
            "children-inherit",
            msg(
                "Every job that it starts inherits {setting} as well.",
                setting=of_setting(case.key, case.wanted),
            ),
        )
    return None


def keeps_own_score(unit: str) -> bool:
    """Tell whether a login service needs a score: its listener does not protect itself."""
    return unit == f"{stem(unit)}.service" and stem(unit) in UNGUARDED


def _sessions_inherit(unit: str, score: int) -> Message:
    """Return what a login service's score does to every login, and what to set instead."""
    name, setting = stem(unit), of_setting(Key.OOM_SCORE_ADJUST, score)
    if name in UNGUARDED and not keeps_own_score(unit):
        return msg(
            "Every shell and every program started from this login inherits {setting}: keep it "
            "at 0.",
            setting=setting,
        )
    if name in UNGUARDED and score > 0:
        return msg(
            "{program} keeps {setting}, and each login inherits it: the kernel kills the login "
            "service, every shell and every program started from it before the services. Use -200: "
            "that is enough to keep logins possible.",
            program=name,
            setting=setting,
        )
    if name in UNGUARDED:
        return msg(
            "{program} keeps {setting}, and each login inherits it: so does every shell and every "
            "program started from it. -200 is enough to keep logins possible.",
            program=name,
            setting=setting,
        )
    if score > 0:
        return msg(
            "sshd protects its listener by itself (-1000), but each login inherits {setting}: the "
            "kernel kills every shell and every program started from it before the services. Keep "
            "it at 0: logins stay possible without it.",
            setting=setting,
        )
    return msg(
        "sshd protects its listener by itself (-1000), and each login inherits {setting}: so does "
        "every shell and every program started from it. Better keep it at 0: logins stay possible "
        "without it.",
        setting=setting,
    )


def _console_inherits(score: int) -> Message:
    setting = of_setting(Key.OOM_SCORE_ADJUST, score)
    if score > 0:
        return msg(
            "The login shell at this console inherits {setting} as well: the kernel kills it "
            "before the services. Keep it at 0.",
            setting=setting,
        )
    return msg("The login shell at this console inherits {setting} as well.", setting=setting)


def better_kept(case: UnitCase, score: Value | None) -> int | None:
    """Return the present score of what systemd and every login need, if it protects better."""
    loaded = case.properties.oom_score_adjust
    if case.name not in NEEDED or loaded is None or loaded >= 0:
        return None
    return loaded if isinstance(score, int) and score > loaded else None


def _less_protected(case: EditCase) -> Notice | None:
    if case.key is not Key.OOM_SCORE_ADJUST or not isinstance(case.wanted, int):
        return None
    loaded = better_kept(case.unit, case.wanted)
    if loaded is None:
        return None
    return case.notice(
        "less-protected",
        msg(
            "{unit} is needed by systemd and by every login, and {wanted} protects it less than "
            "its present {loaded}: keep that.",
            unit=of_unit(case.unit.name),
            wanted=case.wanted,
            loaded=loaded,
        ),
    )


def _parent_caps(case: EditCase) -> Notice | None:
    if case.key is not Key.MEMORY_MAX:
        return None
    cap = parent_cap(case.unit)
    if cap is None or (case.limit is not None and case.limit <= cap[1]):
        return None
    parent, limit = cap
    return case.notice(
        "parent-caps",
        msg(
            "{slice} allows {limit} to all its units together, so {unit} never gets more than "
            "that: raise that limit first.",
            slice=of_unit(parent, 80),
            limit=of_limit(limit),
            unit=of_unit(case.unit.name),
        ),
    )


def _timer(case: EditCase) -> Notice | None:
    if case.key is not Key.RESTART or case.wanted not in {"always", "on-success"}:
        return None
    timer = next((t for t in case.unit.properties.triggered_by if t.endswith(".timer")), None)
    if timer is None or case.unit.properties.type == "oneshot":
        return None
    return case.notice(
        "restart-with-timer",
        msg(
            "{timer} starts {unit} when it is due; with {setting} it would start again each time "
            "it ends: use on-failure, or no.",
            timer=of_unit(timer, 80),
            unit=of_unit(case.unit.name),
            setting=of_setting(case.key, case.wanted),
        ),
    )


EDIT_WARNINGS: tuple[EditCheck, ...] = (
    _inherited,
    _less_protected,
    _parent_caps,
    _timer,
)
