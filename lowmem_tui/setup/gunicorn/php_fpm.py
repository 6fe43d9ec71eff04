"""PHP-FPM's configuration: its pools, and how many workers all of them may start.

As FPM reads it (sapi/fpm/fpm/fpm_conf.c): line by line, includes in their place, sections of one
name (whatever its case) are one pool, and the last value counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common
from lowmem_tui.setup.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.setup.context import Ground

FILES = 200
CHARACTERS = 1 << 20
"""Of all files together."""
NESTED = 5
"""FPM itself refuses more."""
_OF_ROOT = ("/etc/", "/usr/", "/opt/", "/www/server/")
"""Where a file's own includes are followed: whoever may write another would name any path."""

_SECTION = re.compile(r"\s*\[\s*[\"']?([^\]\"']*?)[\"']?\s*\]")
_ENTRY = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=\s*(.*)", re.DOTALL)
_VALUE = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^;]*)")
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}\Z")


@dataclass(slots=True)
class Pool:
    """One pool."""

    name: str
    children: int | None = None
    """pm.max_children; None if it is not known."""
    requests: int | None = 0
    """pm.max_requests: 0 for no end; None if it is not known."""
    kind: str = ""
    """pm: static, dynamic or ondemand."""


@dataclass(slots=True)
class Pools:
    """What a configuration sets."""

    file: str
    """The one that FPM is started with; "" if that is not known."""
    pools: dict[str, Pool] = field(default_factory=dict)
    """By name in lower case."""
    most: int | None = 0
    """process.max: 0 for none; None if it is not known."""
    trouble: Message | str = ""
    """Why there may be more than was read, without a full stop; or ""."""

    @property
    def children(self) -> int | None:
        """The workers that all pools together may start; None if that is not known."""
        known = [pool.children for pool in self.pools.values()]
        if self.trouble or not known or self.most is None or None in known:
            return None
        total = sum(each or 0 for each in known)
        return min(total, self.most) if self.most else total


def read(ground: Ground, file: str, prefix: str, variables: Mapping[str, str | None]) -> Pools:
    """Read a configuration and what it includes.

    ``prefix`` is where relative includes begin; ``variables`` has the environment (None: a value
    that is not known).
    """
    found = Pools(file)
    reader = _Reader(ground, prefix, variables, found)
    folder, _, name = file.rpartition("/")
    if name in ground.inspector.names(folder) or not file.startswith("/etc/php/"):
        reader.file(file, 0)
    else:
        reader.include(f"{folder}/pool.d/*.conf", file, 0)  # Debian's own
    return found


class _Reader:
    def __init__(
        self, ground: Ground, prefix: str, variables: Mapping[str, str | None], into: Pools
    ) -> None:
        self._ground = ground
        self._prefix = prefix
        self._variables = variables
        self._into = into
        self._pool: Pool | None = None
        self._files = 0
        self._characters = 0

    def file(self, path: str, depth: int) -> None:
        self._files += 1
        if depth > NESTED or self._files > FILES or self._characters > CHARACTERS:
            self._trouble(
                msg("{path} and more files are included than FPM accepts", path=_path(path))
            )
            return
        text, trouble = common.read(self._ground.files, path)
        if text is None:
            self._trouble(trouble or msg("{path} does not exist", path=_path(path)))
            return
        self._characters += len(text)
        for line in text.split("\n"):
            self._line(line, path, depth)

    def _trouble(self, why: Message | str) -> None:
        self._into.trouble = self._into.trouble or why

    def _line(self, line: str, path: str, depth: int) -> None:
        if section := _SECTION.match(line):
            name = section[1]
            self._pool = None
            if name.lower() != "global":
                self._pool = self._into.pools.setdefault(name.lower(), Pool(name))
        elif entry := _ENTRY.match(line):
            self._set(entry[1].lower(), self._value(entry[2]), path, depth)

    def _value(self, text: str) -> str | None:
        match = _VALUE.match(text)
        value = (match[1] or match[2] or (match[3] or "").strip()) if match else ""
        if variable := _VARIABLE.match(value):
            return self._variables.get(variable[1], "")
        return value

    def _set(self, key: str, value: str | None, path: str, depth: int) -> None:
        number = None if value is None else natural(value, 9)
        if key == "include":
            self.include(value, path, depth)
        elif key == "process.max":
            self._into.most = number
        elif self._pool is None and key.startswith("pm"):
            # FPM does not start with that; what was meant is counted anyway.
            self._pool = self._into.pools.setdefault("", Pool(""))
            self._set(key, value, path, depth)
        elif self._pool is None:
            return
        elif key == "pm.max_children":
            self._pool.children = number or None
        elif key == "pm.max_requests":
            self._pool.requests = number
        elif key == "pm":
            self._pool.kind = value or ""

    def include(self, pattern: str | None, path: str, depth: int) -> None:
        if pattern is None or (depth and not path.startswith(_OF_ROOT)):
            self._trouble(msg("the files that {path} includes are unknown", path=_path(path)))
            return
        if not pattern.startswith("/"):
            pattern = f"{self._prefix}/{pattern}"
        folder, _, name = pattern.rpartition("/")
        if not re.search(r"[*?\[{]", pattern):
            if name in self._ground.inspector.names(folder):
                self.file(pattern, depth + 1)
        elif re.search(r"[*?\[{]", folder) or "{" in name:
            self._trouble(msg("the pattern {pattern} is not followed", pattern=_path(pattern)))
        else:
            for each in sorted(self._ground.inspector.names(folder)):
                if fnmatchcase(each, name) and (each[:1] != "." or name[:1] == "."):
                    self.file(f"{folder}/{each}", depth + 1)


def _path(path: str) -> Value:
    return of_path(plain(path, 80))


# Where it is

_VERSION = re.compile(r"php(?:-fpm)?-?([0-9])\.?([0-9]+)")
_COLLECTION = re.compile(r"/opt/(remi|rh)/([\w.-]+)/root/usr\Z", re.ASCII)
"""Software collections, which have their configuration in /etc/opt."""
_TITLE = re.compile(r"php-fpm: master process \((/[^)]*)\)\s*\Z")


def options(words: Sequence[str]) -> tuple[str, str]:
    """Return ``--fpm-config`` and ``--prefix`` of FPM's command line; "" for nothing."""
    found = {"y": "", "p": ""}
    names = {"--fpm-config": "y", "--prefix": "p"}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag in names:
            found[names[flag]] = value if equals else next(rest, "")
        elif word[:1] == "-" and word[1:2] in found:
            found[word[1]] = word[2:].removeprefix("=") or next(rest, "")
        elif word in {"-c", "-d", "-g", "--php-ini", "--define", "--pid"}:
            next(rest, "")
    return found["y"], found["p"]


def candidates(unit: str, words: Sequence[str]) -> tuple[list[str], str]:
    """Return where the configuration may be, and the prefix of its includes.

    What the command line names; else what is compiled into the program by its place; for the
    script of an init system the places that are usual. Only one of them that exists counts.
    """
    program = words[0] if words else ""
    named, prefix = options(words[1:])
    folder = program.rpartition("/")[0]
    root = folder.removesuffix("/sbin").removesuffix("/bin") if folder else ""
    compiled = prefix or root or "/usr"
    if named:
        return [named if named.startswith("/") else ""], compiled
    if prefix:
        return [f"{prefix}/etc/php-fpm.conf"], prefix
    version = _VERSION.search(f"{program.rpartition('/')[2]} {unit}")
    debian = [f"/etc/php/{version[1]}.{version[2]}/fpm/php-fpm.conf"] if version else []
    if folder == "/etc/init.d" or not program.startswith("/"):
        digits = "".join(version.groups()) if version else ""
        panels = [f"/www/server/php/{digits}/etc/php-fpm.conf"] if digits else []
        usual = ["/usr/local/php/etc/php-fpm.conf", "/etc/php-fpm.conf"]
        return [*debian, *panels, *usual], "/usr"
    if made := _COLLECTION.match(root):
        return [f"/etc/opt/{made[1]}/{made[2]}/php-fpm.conf"], compiled
    if root == "/usr":
        return [*debian, "/etc/php-fpm.conf", "/etc/php/php-fpm.conf"], compiled
    # As in /usr, whose etc is beside it: /opt/cpanel/ea-php82/root/usr.
    beside = [f"{root.removesuffix('/usr')}/etc/php-fpm.conf"] if root.endswith("/usr") else []
    return [f"{root}/etc/php-fpm.conf", *beside], compiled


def named_by_title(command: str) -> str:
    """Return the configuration that the master's title names; "" for none.

    Anybody may run a process of that title: it is compared, and never opened.
    """
    match = _TITLE.match(command)
    return match[1] if match else ""


def find(ground: Ground, places: Sequence[str], title: str) -> tuple[str, Message | str]:
    """Return the place that counts, and why it is unknown, without a full stop; or ""."""
    if title:
        if title in places:
            return title, ""
        return "", msg("it runs with {path}, which its unit does not name", path=_path(title))
    here = [p for p in places if p and _is_there(ground, p)]
    if len(here) == 1 or (here and len(places) == 1):
        return here[0], ""
    if here:
        paths = shortened([_path(each) for each in here])
        return "", msg("its configuration may be one of {paths}", paths=paths)
    return "", msg("its configuration is not where its unit or its program indicates")


def _is_there(ground: Ground, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    names = ground.inspector.names
    return name in names(folder) or (path.startswith("/etc/php/") and "pool.d" in names(folder))
