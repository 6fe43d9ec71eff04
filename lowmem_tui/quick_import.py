"""Modules are found by the listing of their folder: a start asks the disk little.

Python's own way (importlib, 3.11) asks for a folder's time, twice for a module's, three times for
its bytecode's size and for the end of what it has just read, and looks through each folder of
``sys.path`` again. Here it is one question for the source, whose time the bytecode must fit, and
one read.
What is not found here in the plainest way, Python finds as ever.

This module imports nothing that the interpreter has not loaded at its start.
"""

from __future__ import annotations

import _frozen_importlib_external as external
import posix
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MOST = 1 << 20
"""Bytes that are read at once: more than any bytecode has."""

Listing = frozenset[str]


class Loader(external.SourceFileLoader):
    """A source file and its bytecode."""

    def get_data(self, path: str) -> bytes:
        """Return a whole file. Raises OSError."""
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            pieces = []
            while True:
                piece = posix.read(descriptor, MOST)
                pieces.append(piece)
                if len(piece) < MOST:
                    return b"".join(pieces)
        finally:
            posix.close(descriptor)


class Finder:
    """Finds source files by the names in their folder, which are read once."""

    def __init__(self) -> None:
        self._listings: dict[str, Listing | None] = {}

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib's signature
    ) -> ModuleSpec | None:
        """Return where a module is; None for what somebody else has to find."""
        tail = name.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            names = self._names(folder)
            if names is None:
                return None  # an archive, or no folder of the disk: the order counts
            if tail in names:
                return self._package(name, f"{folder}/{tail}")
            if any(f"{tail}{suffix}" in names for suffix in external.EXTENSION_SUFFIXES):
                return None
            if f"{tail}.py" in names:
                return _spec(name, f"{folder}/{tail}.py", None)
            if f"{tail}.pyc" in names:
                return None
        return None

    def _package(self, name: str, folder: str) -> ModuleSpec | None:
        names = self._names(folder)
        if not names or "__init__.py" not in names:
            return None
        return _spec(name, f"{folder}/__init__.py", [folder])

    def _names(self, folder: str) -> Listing | None:
        """Return what is in a folder; None where that is not known, empty where it is not there."""
        if folder not in self._listings:
            names: Listing | None = None
            try:
                if folder.startswith("/"):
                    names = frozenset(posix.listdir(folder))
            except FileNotFoundError:
                names = frozenset()
            except OSError:
                pass
            self._listings[folder] = names
        return self._listings[folder]


def _spec(name: str, path: str, folders: list[str] | None) -> ModuleSpec | None:
    return external.spec_from_file_location(
        name, path, loader=Loader(name, path), submodule_search_locations=folders
    )


def install() -> None:
    """Have modules found so from now on; what is built in, and what others find, comes before."""
    finders: list[object] = sys.meta_path  # type: ignore[assignment]
    if any(isinstance(finder, Finder) for finder in finders):
        return
    if external.PathFinder in finders:
        finders.insert(finders.index(external.PathFinder), Finder())
