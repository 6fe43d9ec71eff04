"""What a plan refuses or warns of, each in words and with the better alternative; pure.

A check gets one case (a unit, or an edit of one) and returns a Notice or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui.model.amount import format_size, render_limit
from lowmem_tui.model.cgroup import ROOT_SLICE
from lowmem_tui.model.plan import Notice
from lowmem_tui.model.settings import Bytes
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, UnitType, is_template, is_unit_name, unit_type
from lowmem_tui.model.unitfile import section_of
from lowmem_tui.policy import dropin
from lowmem_tui.policy.checks.cases import EditCase, UnitCase, parent_cap
from lowmem_tui.policy.forecast.oom import members

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import UnitSituation

LEAST_LIMIT = 1 << 20
"""Bytes; no program runs below this: the K, M or G was forgotten."""

A_LOGIN = 10 << 20
"""Bytes that a connection holds in the login service until its session has a unit of its own."""

LEAST_FORLOGINS = 64 << 20

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
"""Of them those that, other than sshd, leave their own score as they got it."""
CONSOLES = ("getty", "serial-getty", "console-getty", "container-getty", "autovt")
JOBS = ("cron", "crond", "cronie", "fcron", "atd")


# --- units --------------------------------------------------------------------------------------


def unknown(asked: str, known: UnitSituation | None, *, drops: bool) -> Notice | None:
    """Refuse what systemd does not know, but for dropping what we once set for it."""
    shown = plain(asked, 80)
    if known is not None and known.unit.properties is None:
        text = f"systemd has told nothing of {shown} yet: try again in a moment."
        return Notice("not-known", asked, text)
    properties = known.unit.properties if known else None
    left = drops and known is not None and known.drop_in is not None
    if properties is None or not (properties.exists or left):
        text = f"There is no unit {shown}: look up its name with 'lowmem-tui list'."
        return Notice("unknown-unit", asked, text)
    return None


def _type(case: UnitCase) -> Notice | None:
    if not is_unit_name(case.name):
        text = f"{plain(case.name, 80)} is not a name that a file can be made for."
        return Notice("bad-name", case.name, text)
    if len(case.name.encode()) > LONGEST_NAME:
        text = (
            f"The name of {plain(case.name, 40)} is too long for a folder of drop-ins: limit the "
            "slice that it is in."
        )
        return Notice("name-too-long", case.name, text)
    if section_of(case.name) is None:
        kind = unit_type(case.name)
        text = f"A {kind} has no processes and no memory: edit the unit that it starts."
        return Notice("wrong-type", case.name, text)
    if case.name == ROOT_SLICE:
        text = "The root slice is the whole machine and has no limits: edit system.slice."
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
    names = ", ".join(plain(name, 60) for name in instances[:5])
    advice = (
        f"name an instance: {names}" if names else f"name an instance, like {prefix}@1.{suffix}"
    )
    text = f"{case.name} is a template, which never runs itself: {advice}."
    return Notice("template", case.name, text)


def _masked(case: UnitCase) -> Notice | None:
    if case.properties.load_state != "masked" or case.drops_only:
        return None
    text = f"{case.name} is masked and cannot start: 'systemctl unmask {case.name}' first."
    return Notice("masked", case.name, text)


def _broken(case: UnitCase) -> Notice | None:
    if case.properties.load_state not in {"bad-setting", "error"} or case.drops_only:
        return None
    text = (
        f"systemd refuses the files of {case.name} as they are: see 'systemctl status "
        f"{case.name}' and mend them first."
    )
    return Notice("bad-setting", case.name, text, forceable=True)


_MADE_BY = {
    "docker-": "`docker update --memory=SIZE`, or mem_limit in its compose file",
    "libpod-": "`podman update --memory=SIZE`, or `podman run --memory=SIZE`",
    "nerdctl-": "`nerdctl update --memory=SIZE`",
    "run-": "`systemd-run --property=MemoryMax=SIZE`",
}


def _transient(case: UnitCase) -> Notice | None:
    if not case.properties.transient or case.drops_only:
        return None
    home = case.properties.slice
    text = f"{case.name} was made by a program and is gone when it ends: limit it where it is made"
    how = next((how for start, how in _MADE_BY.items() if case.name.startswith(start)), "")
    text += f" ({how})" if how else ""
    if home and home != ROOT_SLICE:
        text += f", or edit its slice, {plain(home, 80)}"
    return Notice("transient", case.name, f"{text}.")


def _obstacle(case: UnitCase) -> Notice | None:
    if case.known.obstacle:
        return Notice("obstacle", case.name, plain(case.known.obstacle))
    file = case.known.drop_in
    if file is None:
        return None
    shown = plain(file.path)
    if file.text is None:
        return Notice("obstacle", case.name, f"{shown} cannot be read: mend or remove it first.")
    if not dropin.marked(file.text):
        text = f"{shown} was not written by this program: rename it, for it is not ours to change."
        return Notice("not-ours", case.name, text)
    if not dropin.is_ours(file.text):
        text = (
            f"{shown} has lines that this program did not write and would lose: move them to a "
            "drop-in of their own."
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
    text = f"{plain(case.asked, 80)} is an alias: the drop-in is written for {case.name}."
    return Notice("alias", case.name, text)


def _stale(case: UnitCase) -> Notice | None:
    if not case.properties.need_daemon_reload:
        return None
    text = (
        f"Files of {case.name} have changed since systemd read them: the reload brings those "
        "changes in as well."
    )
    return Notice("not-reloaded", case.name, text)


UNIT_WARNINGS: tuple[UnitCheck, ...] = (_alias, _stale)


# --- edits --------------------------------------------------------------------------------------


def wrong_key(unit: str, key: Key) -> Notice | None:
    """Refuse a setting that this type of unit does not have."""
    if unit_type(unit) in key.facts.types:
        return None
    article = "An" if unit_type(unit)[0] in "aeiou" else "A"
    text = f"{article} {unit_type(unit)} has no {key}: set it on the service that runs the program."
    return Notice("wrong-key", unit, text)


def stem(name: str) -> str:
    """Return a unit's name without instance and suffix."""
    return name.partition(".")[0].partition("@")[0]


def _never_killed(case: EditCase) -> Notice | None:
    if case.key is not Key.OOM_SCORE_ADJUST or case.wanted != -1000:
        return None
    return case.notice(
        "oom-score-adjust-1000",
        f"-1000 keeps the kernel from ever killing {case.unit.name}: when it leaks, all else dies "
        "and the machine with it. -500 to -200 protects it, and -999 is the least.",
    )


def _oneshot(case: EditCase) -> Notice | None:
    if case.key is not Key.RESTART or case.unit.properties.type != "oneshot":
        return None
    if case.wanted not in {"always", "on-success"}:
        return None
    return case.notice(
        "restart-on-oneshot",
        f"{case.unit.name} is Type=oneshot, and with Restart={case.wanted} systemd would not "
        "start it again at all: use on-failure, or no.",
    )


def _forgotten_suffix(case: EditCase) -> Notice | None:
    if case.limit is None or case.limit >= LEAST_LIMIT or _takes_zero(case.key):
        return None
    text = render_limit(case.limit)
    size = "1 byte" if case.limit == 1 else f"{case.limit} bytes"
    return case.notice(
        "limit-too-small",
        f"{case.key}={text} is {size}, and nothing runs in that: "
        f"write {text.rstrip('K')}M if megabytes are meant.",
        forceable=True,
    )


def _takes_zero(key: Key) -> bool:
    return isinstance(kind := key.facts.kind, Bytes) and kind.zero


def _needed(case: EditCase) -> Notice | None:
    if case.key is not Key.MEMORY_MAX or case.limit is None or case.unit.name not in NEEDED:
        return None
    return case.notice(
        "needed-by-systemd",
        f"{case.unit.name} is needed by systemd and by every login: killed at a limit it takes "
        f"the way in with it. {_instead(case.unit)}, and limit others.",
        forceable=True,
    )


def _instead(case: UnitCase) -> str:
    score = case.properties.oom_score_adjust
    if score is not None and score <= ENOUGH:
        return f"It is protected already (OOMScoreAdjust={score}): leave it so"
    if unit_type(case.name) not in Key.OOM_SCORE_ADJUST.facts.types:
        return "Set no limit on it"
    return f"Protect it with OOMScoreAdjust={ENOUGH} instead"


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
    more = f" and {len(found) - 1} more that the way in needs" if len(found) > 1 else ""
    return case.notice(
        "holds-the-needed",
        f"{plain(found[0], 60)}{more} would share this limit of {case.unit.name}, and may be "
        "killed for what others in it hold. Limit those others instead.",
        forceable=True,
    )


def _shuts_the_door(case: EditCase) -> Notice | None:
    if case.key is not Key.MEMORY_MAX or case.limit is None or case.limit >= LEAST_FORLOGINS:
        return None
    if case.limit < LEAST_LIMIT or stem(case.unit.name) not in LOGINS:
        return None
    return case.notice(
        "no-room-for-logins",
        f"Each login begins inside {case.unit.name} and needs some {format_size(A_LOGIN)} there: "
        f"within {render_limit(case.limit)} it may be killed, and nobody gets in. Set no limit.",
        forceable=True,
    )


EditCheck: TypeAlias = Callable[[EditCase], Notice | None]

EDIT_REFUSALS: tuple[EditCheck, ...] = (
    _never_killed,
    _oneshot,
    _forgotten_suffix,
    _needed,
    _holds_the_needed,
    _shuts_the_door,
)


def _inherited(case: EditCase) -> Notice | None:
    if case.key is not Key.OOM_SCORE_ADJUST or case.wanted == 0:
        return None
    name = stem(case.unit.name)
    if name in UNGUARDED:
        return case.notice(
            "sessions-inherit",
            f"{name} keeps OOMScoreAdjust={case.wanted} and hands it to each login: every shell "
            "and all that is started from it gets it. -200 is enough for logins to stay possible.",
        )
    if name in LOGINS:
        return case.notice(
            "sessions-inherit",
            f"sshd protects its listener by itself (-1000) and hands OOMScoreAdjust={case.wanted} "
            "to each login: every shell and all that is started from it gets it. Better leave it "
            "at 0: logins stay possible without.",
        )
    if case.unit.name.startswith("user@"):
        return case.notice(
            "user-services-inherit",
            f"{case.unit.name} is a user's service manager: OOMScoreAdjust={case.wanted} goes on "
            "to all that it starts (its services get 100 more, unless DefaultOOMScoreAdjust= says "
            "otherwise), and they may raise it but not lower it. It counts from the user's next "
            "login on. Leave it, and set the score on a service of the system instead.",
        )
    if name in CONSOLES:
        who, what = "The login shell", "at this console"
    elif name in JOBS:
        who, what = "Every job", "that it starts"
    else:
        return None
    return case.notice(
        "children-inherit", f"{who} {what} inherits OOMScoreAdjust={case.wanted} as well."
    )


def _less_protected(case: EditCase) -> Notice | None:
    loaded = case.unit.properties.oom_score_adjust
    if case.key is not Key.OOM_SCORE_ADJUST or case.unit.name not in NEEDED or not loaded:
        return None
    if not isinstance(case.wanted, int) or loaded >= 0 or case.wanted <= loaded:
        return None
    return case.notice(
        "less-protected",
        f"{case.unit.name} is needed by systemd and by every login, and {case.wanted} protects it "
        f"less than the {loaded} that it has: leave it so.",
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
        f"{plain(parent, 80)} allows {render_limit(limit)} to all its units together, so "
        f"{case.unit.name} never gets more than that: raise that limit first.",
    )


def _timer(case: EditCase) -> Notice | None:
    if case.key is not Key.RESTART or case.wanted not in {"always", "on-success"}:
        return None
    timer = next((t for t in case.unit.properties.triggered_by if t.endswith(".timer")), None)
    if timer is None or case.unit.properties.type == "oneshot":
        return None
    return case.notice(
        "restart-with-timer",
        f"{plain(timer, 80)} starts {case.unit.name} when it is due; with Restart={case.wanted} it "
        "would start again each time it ends: use on-failure, or no.",
    )


EDIT_WARNINGS: tuple[EditCheck, ...] = (
    _inherited,
    _less_protected,
    _parent_caps,
    _timer,
)
