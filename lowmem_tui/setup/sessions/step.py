"""Old session files: a rule that has systemd-tmpfiles remove them by their age."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import InvalidValueError, RefusedError
from lowmem_tui.model.message import N_
from lowmem_tui.model.plan import FileChange, Notice
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Tier
from lowmem_tui.setup import common, unit_text
from lowmem_tui.setup.sessions.rule import NAME, PATH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.setup import FolderUsage
    from lowmem_tui.setup.context import Ground

PLACES = ("/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d")
"""Where systemd-tmpfiles looks for rules (tmpfiles.d(5))."""
TIMER = "systemd-tmpfiles-clean.timer"

AGE = "31d"
"""What Flask gives a permanent session: an older one is over anyway."""
AGES = ("7d", "14d", "31d", "90d")
DAY = 86_400.0
_AGE = re.compile(r"([1-9][0-9]{0,3})d\Z")

SURE = (
    "flask_session",
    "instance/flask_session",
    "storage/framework/sessions",
    "var/sessions",
    "tmp/sessions",
)
"""Below the folder of an application: what frameworks call their folders of session files (Flask,
Laravel, Symfony, CakePHP)."""
UNSURE = ("sessions", "session")
"""May be session files, or the application's own data."""
IN_TMP = ("/tmp/flask_session", "/var/tmp/flask_session")  # noqa: S108 - looked at, not written

PHP = "/var/lib/php/sessions"
PHP_TIMER = "phpsessionclean.timer"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of session files."""

    path: str
    usage: FolderUsage
    owner: str
    """The unit that it belongs to; or ""."""
    sure: bool
    """Whether its name says that there are session files in it, and nothing else."""
    rule: str
    """The age that our rule has; "" for none."""
    theirs: str
    """A file of somebody else with a rule for it; or ""."""


class SessionsStep:
    """See ``Step``."""

    name = "sessions"
    title = N_("Old session files")
    about = N_(
        "An application that stores sessions in files seldom removes all of them: they fill the "
        "disk, and reading them fills the page cache. systemd-tmpfiles removes the files that are "
        "older than a limit, once a day."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        folders = self._folders()
        php = [*self._php()]
        if not folders and not php:
            return Look(
                absent="There is no folder of session files below the applications' folders.",
                by_hand=_HISTORIES,
            )
        idle = self._timer_off()
        return Look(
            facts=(*(self._fact(each) for each in folders), *(fact for fact, _ in php)),
            items=tuple(self._item(each) for each in folders if not each.theirs),
            findings=(
                *(f for each in folders for f in self._findings(each)),
                *(finding for _, finding in php if finding),
                *([idle] if idle and any(each.rule or each.theirs for each in folders) else []),
            ),
            by_hand=(
                *(f"{plain(e.path)} has a rule in {plain(e.theirs)}." for e in folders if e.theirs),
                "`sudo systemd-tmpfiles --clean` does at once what else waits for the night.",
                *(BY_COUNT for each in folders if each.path.endswith("/flask_session")),
                *_HISTORIES,
            ),
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        wanted = {key: value.strip() for key, value in wishes.items() if value.strip()}
        if not wanted:
            return common.plan_of(())
        folders = {folder.path: folder for folder in self._folders()}
        text, _ = common.read(self._ground.files, PATH)
        rules = _rules(text or "")
        for path, age in wanted.items():
            if not _AGE.match(age):
                raise common.wrong("sessions", path, age, "an age in days such as 31d")
            if path in rules or path in folders:
                continue
            raise common.unknown("sessions", path, folders)
        new = {p: a for p, a in wanted.items() if not (p in folders and folders[p].theirs)}
        made = rules | new
        if made == rules:
            return common.plan_of(())
        if sentence := common.obstacle(self._ground.files, PATH):
            raise RefusedError(sentence)
        return common.plan_of(
            [FileChange(PATH, text, _render(made))],
            [common.tested(NAME, f"systemd-tmpfiles --dry-run --create {PATH}")],
            [
                Notice(
                    "sessions-removed",
                    "",
                    f"Files below {plain(path)} that are older than {age} are removed from now on "
                    "once a day: undo takes the rule away but does not bring them back.",
                    lost=True,
                )
                for path, age in sorted(new.items())
                if rules.get(path) != age
            ],
        )

    def _folders(self) -> list[Folder]:
        """Return the folders of session files, and those that we have a rule for. LowmemError."""
        ground = self._ground
        text, _ = common.read(ground.files, PATH)
        rules = _rules(text or "")
        found: dict[str, tuple[str, bool]] = dict.fromkeys(IN_TMP, ("", True))
        for unit, home in self._homes():
            for names, sure in ((SURE, True), (UNSURE, False)):
                for name in names:
                    found.setdefault(f"{home}/{name}", (unit, sure))
        for path in rules:
            found.setdefault(path, ("", True))
        others = self._rules_of_others()
        folders = []
        for path, (unit, sure) in found.items():
            usage = ground.inspector.usage(path)
            if usage is None or not _writable(path) or ground.inspector.real_path(path) != path:
                continue
            if not usage.files and path not in rules and not sure:
                continue
            folders.append(
                Folder(path, usage, unit, sure, rules.get(path, ""), _above(others, path))
            )
        return folders

    def _homes(self) -> Iterator[tuple[str, str]]:
        """Yield the business units, each with the real path of the folder that it works in."""
        ground = self._ground
        snapshot = ground.snapshot()
        ram = snapshot.host.mem_total
        names = common.services(
            snapshot, lambda unit: ground.rules.classify(unit, ram).tier is Tier.BUSINESS
        )
        for situation in ground.situation(names).units.values() if names else ():
            unit = situation.unit.name
            said = unit_text.last(situation.files, "WorkingDirectory").lstrip("-")
            home = unit_text.specified(said, unit) or ""
            if home.startswith("/") and home.strip("/"):
                yield unit, ground.inspector.real_path(home.rstrip("/"))

    def _rules_of_others(self) -> dict[str, str]:
        """Return the paths that other rules give an age, each with the rule's file."""
        found: dict[str, str] = {}
        for folder in PLACES:
            for name in self._ground.inspector.names(folder):
                path = f"{folder}/{name}"
                if name.endswith(".conf") and path != PATH:
                    text, _ = common.read(self._ground.files, path)
                    found |= dict.fromkeys(_rules(text or ""), path)
        return found

    def _timer_off(self) -> Finding | None:
        properties = self._ground.situation([TIMER]).units[TIMER].unit.properties
        if properties is None or not properties.exists or properties.active_state == "active":
            return None
        return Finding(
            "sessions-timer-off",
            Severity.WARNING,
            TIMER,
            f"{TIMER} does not run, so no rule removes anything.",
            f"sudo systemctl unmask {TIMER} && sudo systemctl start {TIMER}",
        )

    def _php(self) -> Iterator[tuple[str, Finding | None]]:
        """Yield what is to be said of PHP's sessions: Debian's package cleans them itself."""
        usage = self._ground.inspector.usage(PHP)
        if usage is None or not usage.files:
            return
        told = f"{PHP} holds {usage.files} files ({format_size(usage.bytes)})"
        properties = self._ground.situation([PHP_TIMER]).units[PHP_TIMER].unit.properties
        if properties is not None and properties.active_state == "active":
            yield f"{told}; {PHP_TIMER} of its package cleans them every half hour.", None
            return
        yield (
            f"{told}.",
            Finding(
                "sessions-php",
                Severity.ADVICE,
                PHP,
                f"{told}, and {PHP_TIMER} of its package, which cleans them, does not run.",
                f"sudo systemctl enable --now {PHP_TIMER}",
            ),
        )

    def _fact(self, folder: Folder) -> str:
        owner = f" ({plain(folder.owner)})" if folder.owner else ""
        return f"{plain(folder.path)}{owner} holds {self._held(folder)}."

    def _held(self, folder: Folder) -> str:
        usage = folder.usage
        if not usage.files:
            return "no file"
        days = self._days(usage)
        files = "1 file" if usage.files == 1 else f"{usage.files} files"
        age = "" if days is None else f", the oldest of {days} {'day' if days == 1 else 'days'}"
        return f"{files}, {format_size(usage.bytes)}{age}"

    def _days(self, usage: FolderUsage) -> int | None:
        if usage.oldest is None:
            return None
        return max(0, int((self._ground.now() - usage.oldest) // DAY))

    def _item(self, folder: Folder) -> Item:
        unsure = (
            ""
            if folder.sure
            else " Look into it first: its name does not say that there is nothing else in it."
        )
        value = folder.rule or AGE
        return Item(
            folder.path,
            f"remove old files below {plain(folder.path)}",
            f"older than {folder.rule} are removed" if folder.rule else "kept for ever",
            value,
            f"It holds {self._held(folder)}. What was neither read nor written for so long is "
            f"removed once a day (a rule in {PATH}); 31 days are what Flask gives a permanent "
            f"session, so nobody is logged out by that, unless your application keeps sessions for "
            f"longer.{unsure}",
            AGES if value in AGES else (value, *AGES),
            taken=folder.sure,
            done=bool(folder.rule),
        )

    def _findings(self, folder: Folder) -> Iterator[Finding]:
        if folder.rule or folder.theirs or not folder.sure:
            return
        yield Finding(
            "sessions-unbounded",
            Severity.ADVICE,
            folder.path,
            f"{plain(folder.path)} holds {self._held(folder)}, and no rule removes old ones.",
            common.remedy("sessions"),
        )


BY_COUNT = (
    "systemd's rules know an age alone; how many files there may be is said in the application: "
    "SESSION_FILE_THRESHOLD of Flask-Session, or threshold= of its FileSystemCache (both are 500 "
    "unless it says otherwise)."
)

_HISTORIES = (
    (
        "Long conversations live in the application: have it keep the last rounds of each (10, "
        "say) in memory and in what it sends on, and give what it stores in Redis an expiry "
        "(SETEX, EXPIRE)."
    ),
)


def make(ground: Ground) -> SessionsStep:
    """Return the step."""
    return SessionsStep(ground)


def _writable(path: str) -> bool:
    """Tell whether a path can stand in a rule as it is: no specifier, no space, no pattern."""
    return path.isprintable() and not any(char in path for char in " %*?[]\\\"'")


def _above(rules: Mapping[str, str], path: str) -> str:
    """Return the file with a rule for a path or for a folder above it; "" for none."""
    fits = [rule for rule in rules if path == rule or path.startswith(f"{rule}/")]
    return rules[max(fits, key=len)] if fits else ""


def _rules(text: str) -> dict[str, str]:
    """Return path → age of the rules that remove by age."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 5 and not line.startswith("#") and fields[5] != "-":
            found[fields[1].rstrip("/")] = fields[5]
    return found


def _render(rules: Mapping[str, str]) -> str:
    lines = []
    for path, age in sorted(rules.items()):
        if not _writable(path) or not path.startswith("/"):
            raise InvalidValueError(f"'{plain(path, 60)}' cannot stand in a rule of tmpfiles.d.")
        lines.append(f"e {path} - - - {age}\n")
    head = (
        "# Written by lowmem-tui: session files that nobody has used for so long are removed once\n"
        "# a day (systemd-tmpfiles-clean.timer). To take it back: `lowmem-tui undo`, or remove\n"
        "# this file.\n"
    )
    return head + "".join(lines)
