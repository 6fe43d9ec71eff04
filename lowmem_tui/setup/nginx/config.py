"""nginx's configuration, read with crossplane: its own files followed through our readers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from lowmem_tui.model.message import msg, of_bytes, of_path
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Files, Inspector

MAIN = "/etc/nginx/nginx.conf"

DEEPEST = 16
"""Includes within includes that are followed."""
MOST = 2000
"""Files that are read: a server with hundreds of sites has several for each."""
BYTES = 4 << 20
"""All of them together: reading them takes seconds then."""
STATEMENTS = 200_000
"""Statements, those of a file counted each time that it is included."""
NESTED = 50
"""Blocks within blocks: a handful is usual."""

INCLUDE = "include"

_WILD = frozenset("*?[")


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
    """What is between its braces; of an ``include`` what it includes."""

    def inside(self) -> Iterator[Directive]:
        """Yield the statements of its block, with those that are included in their place."""
        yield from flat(self.block or ())


@dataclass(slots=True)
class Config:
    """All of it."""

    top: tuple[Directive, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    """The text of each file, by its path as it was included."""
    broken: list[Message] = field(default_factory=list)
    """Sentences on what nginx refuses."""
    unread: list[Message | str] = field(default_factory=list)
    """What could not be read, each without a full stop: what is set there is unknown."""

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


def statements(text: str, file: str = "") -> tuple[tuple[Directive, ...], Message | None]:
    """Return the statements of one file, and a sentence on what is wrong with it."""
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
        return (), _wrong(str(error["error"]), error["line"] or 0, file)
    try:
        return tuple(_directives(payload["config"][0]["parsed"], file, NESTED)), None
    except RecursionError:
        return (), msg("The blocks of {file} are nested too deep.", file=of_path(file))


def _wrong(error: str, line: int, file: str) -> Message:
    # "…, expecting "}" in FILE:LINE" names our file in memory.
    error = re.sub(r" in /proc/self/fd/\S*\Z", "", plain(error, 200)).rstrip(".")
    if not error:
        return msg("{file} ends within a statement.", file=of_path(file))
    if not line:
        return msg("{file}: {error}.", file=of_path(file), error=error)
    return msg("{file}, line {line}: {error}.", file=of_path(file), line=line, error=error)


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


def read_config(main: str, files: Files, inspector: Inspector, ahead: str = "") -> Config:
    """Return the configuration that begins with a file, its includes followed; never raises.

    As nginx does, a relative path is one from the folder of the main file. ``ahead`` is what
    the option ``-g`` sets.
    """
    config = Config()
    reader = _Reader(config, main.rpartition("/")[0], files, inspector)
    config.top = (*reader.statements(ahead), *reader.file(main))
    return config


class _TooMuchError(Exception):
    """There is more than is read."""


class _Reader:
    """Follows includes; each file is read and taken apart once."""

    def __init__(self, config: Config, base: str, files: Files, inspector: Inspector) -> None:
        self._config = config
        self._base = base
        self._files = files
        self._inspector = inspector
        self._open: list[str] = []
        self._known: dict[str, tuple[Directive, ...]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        """The statements of each file, and how deep its blocks are nested."""
        self._bytes = self._count = self._level = self._deepest = 0

    def file(self, path: str) -> tuple[Directive, ...]:
        """Return the statements of a file, with those that it includes."""
        config = self._config
        if path in self._open or len(self._open) > DEEPEST:
            config.broken.append(
                msg("{path} includes itself, or is included too deep.", path=of_path(path))
            )
            return ()
        if path not in self._known:
            before, outside, self._deepest = self._count, self._deepest, self._level
            self._open.append(path)
            self._known[path] = self._read(path)
            self._open.pop()
            self._sizes[path] = self._count - before, self._deepest - self._level
            self._deepest = max(outside, self._deepest)
        else:
            count, deep = self._sizes[path]
            self._counted(count)
            self._entered(self._level + deep)
        return self._known[path]

    def statements(self, text: str) -> tuple[Directive, ...]:
        """Return the statements of the option ``-g``."""
        found, wrong = statements(text, "-g")
        if wrong:
            self._config.broken.append(wrong)
        return self._followed(found)

    def _read(self, path: str) -> tuple[Directive, ...]:
        config = self._config
        if len(self._known) > MOST or self._bytes > BYTES:
            self._too_much()
            return ()
        text, trouble = common.read(self._files, path)
        if trouble:
            config.unread.append(trouble)
            return ()
        if text is None:
            config.broken.append(msg("{path} is included, and does not exist.", path=of_path(path)))
            return ()
        config.texts[path] = text
        self._bytes += len(text)
        if self._bytes > BYTES:
            self._too_much()
            return ()
        found, wrong = statements(text, path)
        if wrong:
            config.broken.append(wrong)
        return self._followed(found)

    def _followed(self, found: Iterable[Directive]) -> tuple[Directive, ...]:
        try:
            return tuple(self._follow(each) for each in found)
        except _TooMuchError:
            self._too_much()
            return ()

    def _too_much(self) -> None:
        words = msg(
            "the configuration has more files and lines than lowmem-tui reads ({files} files, "
            "{size}, {statements} statements, blocks nested {depth} deep)",
            files=MOST,
            size=of_bytes(BYTES),
            statements=STATEMENTS,
            depth=NESTED,
        )
        if words not in self._config.unread:
            self._config.unread.append(words)

    def _counted(self, more: int) -> None:
        self._count += more
        if self._count > STATEMENTS:
            raise _TooMuchError

    def _entered(self, level: int) -> None:
        self._deepest = max(self._deepest, level)
        if level > NESTED:
            raise _TooMuchError

    def _follow(self, each: Directive) -> Directive:
        self._counted(1)
        if each.name == INCLUDE and len(each.args) == 1 and each.block is None:
            inner: list[Directive] = []
            for path in self._paths(each.args[0]):
                inner += self.file(path)
            block = tuple(inner)
        elif each.block is None:
            return each
        else:
            self._level += 1
            try:
                self._entered(self._level)
                block = tuple(self._follow(inner) for inner in each.block)
            finally:
                self._level -= 1
        return Directive(each.name, each.args, each.file, each.line, block)

    def _paths(self, pattern: str) -> Iterator[str]:
        full = absolute(pattern, self._base)
        if not _WILD & set(full):
            yield full
            return
        folders = full.partition(next(p for p in full.split("/") if _WILD & set(p)))[0]
        found = [folders.rstrip("/")]
        for part in full[len(folders) :].split("/"):
            # What is not there is no match, as for glob(3).
            found = [
                f"{folder}/{name}"
                for folder in found
                for name in self._inspector.names(folder or "/")
                if name == part or matches(name, part)
            ]
        yield from sorted(found)


def absolute(pattern: str, base: str) -> str:
    """Return the whole path of an include."""
    return pattern if pattern.startswith("/") else f"{base}/{pattern}"


def matches(name: str, pattern: str) -> bool:
    """Return whether glob(3) would: a leading dot is matched by a dot alone."""
    return fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith(".")
