"""Old session files: a rule by which systemd-tmpfiles removes them by their age."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError, RefusedError
from lowmem_tui.model.message import (
    N_,
    msg,
    of_bytes,
    of_command,
    of_path,
    of_text,
    of_unit,
    plural,
    sentences,
)
from lowmem_tui.model.plan import FileChange, Notice
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.unit import Tier
from lowmem_tui.setup import common, unit_text
from lowmem_tui.setup.sessions.rule import NAME, PATH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
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
    """Whether its name shows that it contains session files and nothing else."""
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
                absent=msg("There is no folder of session files below the applications' folders."),
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
                *(
                    msg(
                        "{path} has a rule in {file}.", path=of_path(e.path), file=of_path(e.theirs)
                    )
                    for e in folders
                    if e.theirs
                ),
                msg(
                    "`{command}` applies the rules at once, not only once a day.",
                    command=of_command("sudo systemd-tmpfiles --clean"),
                ),
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
                raise common.wrong("sessions", path, age, msg("an age in days such as 31d"))
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
                    sentences(
                        msg(
                            "Files below {path} that are older than {age} are removed once a day "
                            "from now on.",
                            path=of_path(path),
                            age=age,
                        ),
                        msg("Undo removes the rule, but does not restore removed files."),
                    ),
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
            folder = unit_text.last(situation.files, "WorkingDirectory").lstrip("-")
            home = unit_text.specified(folder, unit) or ""
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
            msg("{unit} is not running, so no rule removes anything.", unit=of_unit(TIMER)),
            f"sudo systemctl unmask {TIMER} && sudo systemctl start {TIMER}",
        )

    def _php(self) -> Iterator[tuple[Message, Finding | None]]:
        """Report PHP's sessions: Debian's package removes old ones itself."""
        usage = self._ground.inspector.usage(PHP)
        if usage is None or not usage.files:
            return
        files = plural(
            "{path} contains {n} file ({size}).",
            "{path} contains {n} files ({size}).",
            usage.files,
            path=of_path(PHP),
            size=of_bytes(usage.bytes),
        )
        timer = of_unit(PHP_TIMER)
        properties = self._ground.situation([PHP_TIMER]).units[PHP_TIMER].unit.properties
        if properties is not None and properties.active_state == "active":
            cleaned = msg("{timer} of its package removes old ones every half hour.", timer=timer)
            yield sentences(files, cleaned), None
            return
        yield (
            files,
            Finding(
                "sessions-php",
                Severity.ADVICE,
                PHP,
                sentences(
                    files,
                    msg(
                        "{timer} of its package, which removes old ones, is not running.",
                        timer=timer,
                    ),
                ),
                f"sudo systemctl enable --now {PHP_TIMER}",
            ),
        )

    def _fact(self, folder: Folder) -> Message:
        found = self._contents(folder)
        if not folder.owner:
            return msg("{path}: {contents}.", path=of_path(folder.path), contents=found)
        return msg(
            "{path} ({unit}): {contents}.",
            path=of_path(folder.path),
            unit=of_unit(folder.owner),
            contents=found,
        )

    def _contents(self, folder: Folder) -> Message:
        usage = folder.usage
        if not usage.files:
            return msg("no file")
        size, days = of_bytes(usage.bytes), self._days(usage)
        if days is None:
            return plural("{n} file, {size}", "{n} files, {size}", usage.files, size=size)
        return plural(
            "{n} file, {size}, age {days}",
            "{n} files, {size}, the oldest {days}",
            usage.files,
            size=size,
            days=plural("{n} day", "{n} days", days),
        )

    def _days(self, usage: FolderUsage) -> int | None:
        if usage.oldest is None:
            return None
        return max(0, int((self._ground.now() - usage.oldest) // DAY))

    def _item(self, folder: Folder) -> Item:
        unsure = (
            None
            if folder.sure
            else msg("Check the folder first: by its name it may contain other files, too.")
        )
        value = folder.rule or AGE
        return Item(
            folder.path,
            msg("remove old files below {path}", path=of_path(folder.path)),
            msg("older than {age} are removed", age=folder.rule)
            if folder.rule
            else msg("kept indefinitely"),
            value,
            sentences(
                msg("It contains: {contents}.", contents=self._contents(folder)),
                msg(
                    "Files that were neither read nor written for that long are removed once a day "
                    "(a rule in {path}).",
                    path=of_path(PATH),
                ),
                msg(
                    "Flask's permanent sessions last 31 days, so this logs nobody out unless your "
                    "application keeps sessions for longer."
                ),
                unsure,
            ),
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
            sentences(self._fact(folder), msg("No rule removes old files there.")),
            common.remedy("sessions"),
        )


BY_COUNT = msg(
    "systemd's rules only know an age. The number of files is limited in the application: "
    "SESSION_FILE_THRESHOLD of Flask-Session, or threshold= of its FileSystemCache (by default "
    "500)."
)

_HISTORIES = (
    msg(
        "Long conversations are stored by the application: let it keep only the last rounds of "
        "each (10, for example) in memory, and set an expiry for what it stores in Redis (SETEX, "
        "EXPIRE)."
    ),
)


def make(ground: Ground) -> SessionsStep:
    """Return the step."""
    return SessionsStep(ground)


def _writable(path: str) -> bool:
    """Tell whether a rule can contain a path unchanged: no specifier, no space, no pattern."""
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
            raise InvalidValueError(
                msg("'{path}' cannot be used in a rule of tmpfiles.d.", path=of_text(path, 60))
            )
        lines.append(f"e {path} - - - {age}\n")
    head = (
        "# Written by lowmem-tui: session files that nobody has used for so long are removed once\n"
        "# a day (systemd-tmpfiles-clean.timer). To undo it: `lowmem-tui undo`, or remove\n"
        "# this file.\n"
    )
    return head + "".join(lines)
