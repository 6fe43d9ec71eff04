"""nginx's configuration, read with crossplane: its own files followed through our readers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from lowmem_tui.model.text import plain
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.model.ports import Files, Inspector

MAIN = "/etc/nginx/nginx.conf"

DEEPEST = 16
"""Includes within includes that are followed."""
MOST = 1000
"""Files that are read."""
NESTED = 50
"""Blocks within blocks: a handful is usual."""

INCLUDE = "include"


@dataclass(frozen=True, slots=True)
class Directive:
    """One statement of nginx's configuration."""

    name: str
    args: tuple[str, ...]
    file: str
    """As it was included: a link, perhaps."""
    line: int
    """Counted from 1."""
    block: tuple[Directive, ...] | None = None
    """What stands between its braces; of an ``include`` what it brings in."""

    def inside(self) -> Iterator[Directive]:
        """Yield the statements of its block, with those that are included in their place."""
        yield from flat(self.block or ())


@dataclass(slots=True)
class Config:
    """All of it."""

    top: tuple[Directive, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    """The text of each file, by its path as it was included."""
    broken: list[str] = field(default_factory=list)
    """Sentences on what nginx would not take."""
    unread: list[str] = field(default_factory=list)
    """Sentences on what this user may not read."""

    def find(self, *names: str) -> Iterator[Directive]:
        """Yield the statements below these blocks: ``find("http", "limit_req_zone")``."""
        level: Iterable[Directive] = flat(self.top)
        for name in names[:-1]:
            level = [inner for each in level if each.name == name for inner in each.inside()]
        yield from (each for each in level if each.name == names[-1])


def flat(block: Iterable[Directive]) -> Iterator[Directive]:
    """Yield statements with those that are included in the place of the ``include``."""
    for each in block:
        if each.name == INCLUDE and each.block is not None:
            yield from flat(each.block)
        else:
            yield each


def statements(text: str, file: str = "") -> tuple[tuple[Directive, ...], str]:
    """Return the statements of one file, and what is wrong with it, or ""."""
    import crossplane

    # crossplane opens its file by name; one in memory leaves no trace on a disk that may be full.
    fd = os.memfd_create("nginx.conf", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as out:
            out.write(text.encode("utf-8", "surrogateescape"))
        payload: dict[str, Any] = crossplane.parse(
            f"/proc/self/fd/{fd}", single=True, check_ctx=False, check_args=False
        )
    finally:
        os.close(fd)
    for error in payload["errors"]:
        # "…, expecting "}" in FILE:LINE" names our file in memory.
        said = re.sub(r" in /proc/self/fd/\S*\Z", "", plain(str(error["error"]), 200))
        at = f", line {error['line']}" if error["line"] else ""
        return (), f"{plain(file)}{at}: {said or 'it ends within a statement'}"
    try:
        return tuple(_directives(payload["config"][0]["parsed"], file, NESTED)), ""
    except RecursionError:
        return (), f"{plain(file)}: its blocks are nested far too deep"


def _directives(parsed: Sequence[dict[str, Any]], file: str, depth: int) -> Iterator[Directive]:
    if not depth:
        raise RecursionError
    for each in parsed:
        if each["directive"] == "#":  # a comment within a statement
            continue
        block = each.get("block")
        yield Directive(
            each["directive"],
            tuple(each["args"]),
            file,
            each["line"],
            None if block is None else tuple(_directives(block, file, depth - 1)),
        )


def read_config(main: str, files: Files, inspector: Inspector) -> Config:
    """Return the configuration that begins with a file, its includes followed; never raises.

    As nginx does, a relative path is one from the folder of the main file.
    """
    config = Config()
    reader = _Reader(config, main.rpartition("/")[0], files, inspector)
    config.top = reader.file(main, 0)
    return config


class _Reader:
    def __init__(self, config: Config, base: str, files: Files, inspector: Inspector) -> None:
        self._config = config
        self._base = base
        self._files = files
        self._inspector = inspector
        self._count = 0

    def file(self, path: str, depth: int) -> tuple[Directive, ...]:
        config = self._config
        self._count += 1
        if depth > DEEPEST or self._count > MOST:
            config.broken.append(f"{plain(path)} is included in a circle, or far too deep")
            return ()
        text, trouble = common.read(self._files, path)
        if trouble:
            config.unread.append(trouble)
            return ()
        if text is None:
            config.broken.append(f"there is no {plain(path)}, which is included")
            return ()
        config.texts[path] = text
        found, wrong = statements(text, path)
        if wrong:
            config.broken.append(wrong)
        return tuple(self._follow(each, depth) for each in found)

    def _follow(self, each: Directive, depth: int) -> Directive:
        if each.name == INCLUDE and len(each.args) == 1 and each.block is None:
            inner: list[Directive] = []
            for path in self._paths(each.args[0]):
                inner += self.file(path, depth + 1)
            block = tuple(inner)
        elif each.block is None:
            return each
        else:
            block = tuple(self._follow(inner, depth) for inner in each.block)
        return Directive(each.name, each.args, each.file, each.line, block)

    def _paths(self, pattern: str) -> Iterator[str]:
        full = absolute(pattern, self._base)
        if not any(char in full for char in "*?["):
            yield full
            return
        found = [""]
        for part in full.strip("/").split("/"):
            if any(char in part for char in "*?["):
                found = [
                    f"{folder}/{name}"
                    for folder in found
                    for name in self._inspector.names(folder or "/")
                    if matches(name, part)
                ]
            else:
                found = [f"{folder}/{part}" for folder in found]
        yield from sorted(found)


def absolute(pattern: str, base: str) -> str:
    """Return the whole path of an include."""
    return pattern if pattern.startswith("/") else f"{base}/{pattern}"


def matches(name: str, pattern: str) -> bool:
    """Tell whether glob(3) would: a leading dot is matched by a dot alone."""
    return fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith(".")
