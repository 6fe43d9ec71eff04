"""The demo server's disk, and which of its files systemd reads for a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.demo import idle, programs, settings, texts
from lowmem_tui.model.unit import is_template
from lowmem_tui.model.unitfile import assignments

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
)
"""Where systemd looks, the first one first (systemd.unit(5))."""


class Entry(NamedTuple):
    """A file; ``version`` counts its writes, as its time stamp would tell them apart."""

    text: str
    version: int


class Found(NamedTuple):
    """What systemd finds on the disk for a name."""

    name: str
    """The primary name."""
    names: tuple[str, ...]
    fragment: str
    drop_ins: tuple[str, ...]
    masked: bool
    stamps: tuple[tuple[str, int], ...]
    """Each file with its version: what must be the same, or a reload is due."""


class Disk:
    """Files and symbolic links, by absolute path."""

    def __init__(self) -> None:
        found = {**texts.files(), **programs.FILES, **settings.FILES, **idle.FILES}
        self.entries = {path: Entry(text, 0) for path, text in found.items()}
        self.links = {**texts.LINKS, **programs.LINKS, **_enabled(self.entries)}
        self._writes = 0
        self._folders: dict[str, list[str]] = {}
        """The files of each folder: systemd looks into many, most of them not there."""
        for path in self.entries:
            self._enter(path)

    def read(self, path: str) -> str | None:
        """Return the text behind a path, its links followed."""
        target = self.links.get(path, path)
        if target == texts.MASK:
            return ""
        entry = self.entries.get(target)
        return None if entry is None else entry.text

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        self._writes += 1
        self.links.pop(path, None)
        if path not in self.entries:
            self._enter(path)
        self.entries[path] = Entry(text, self._writes)

    def remove(self, path: str) -> None:
        """Remove a file or a link; raises FileNotFoundError."""
        if self.links.pop(path, None) is not None:
            return
        if self.entries.pop(path, None) is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        self._folders[path.rpartition("/")[0]].remove(path)

    def _enter(self, path: str) -> None:
        self._folders.setdefault(path.rpartition("/")[0], []).append(path)

    def primary(self, name: str) -> str:
        """Return the name that an alias stands for."""
        for directory in DIRECTORIES:
            target = self.links.get(f"{directory}/{name}")
            if target is not None and target != texts.MASK:
                return target.rpartition("/")[2]
        return name

    def find(self, name: str) -> Found:
        """Look for a unit's files, as ``unit_file_find_dropin_conf_files`` of systemd does."""
        name = self.primary(name)
        aliases = sorted(
            {
                path.rpartition("/")[2]
                for path, target in self.links.items()
                if target.rpartition("/")[2] == name and path.rpartition("/")[0] in DIRECTORIES
            }
        )
        fragment, masked = "", False
        for place in _places(name):
            if self.links.get(place) == texts.MASK:
                fragment, masked = place, True
                break
            if place in self.entries:
                fragment = place
                break
        drop_ins: dict[str, str] = {}
        for folder in _folders((name, *aliases)):
            for path in self._folders.get(folder, ()):
                if path.endswith(".conf"):
                    drop_ins.setdefault(path.rpartition("/")[2], path)
        paths = tuple(drop_ins[file] for file in sorted(drop_ins))
        stamps = tuple(
            (path, self.entries[path].version)
            for path in (fragment, *paths)
            if path in self.entries
        )
        return Found(name, (name, *aliases), fragment, paths, masked, stamps)

    def unit_files(self) -> dict[str, str]:
        """Return the state of each unit file, by name (``systemctl list-unit-files``)."""
        states: dict[str, str] = {}
        for directory in DIRECTORIES:
            for path in sorted(self._folders.get(directory, ())):
                states.setdefault(path.rpartition("/")[2], self.state(path))
        for path in self.links:
            if path.rpartition("/")[0] in DIRECTORIES:
                states[path.rpartition("/")[2]] = self.state(path)
        return states

    def wanted(self) -> list[str]:
        """Return what is started at boot: its target refers to it, so that it is loaded."""
        return [link.rpartition("/")[2] for link in self.links if ".wants/" in link]

    def state(self, path: str) -> str:
        """Return the state of one unit file; "" for no file."""
        if target := self.links.get(path):
            return "masked" if target == texts.MASK else "alias"
        if path not in self.entries:
            return ""
        if path.startswith(texts.TRANSIENT):
            return "transient"
        if "\n[Install]\n" not in self.entries[path].text:
            return "static"
        linked = any(t == path and ".wants/" in link for link, t in self.links.items())
        return "enabled" if linked else "disabled"


def _enabled(entries: dict[str, Entry]) -> dict[str, str]:
    """Return the links by which units are started at boot, as ``systemctl enable`` makes them."""
    links = {}
    for path, entry in entries.items():
        name = path.rpartition("/")[2]
        for a in assignments(entry.text):
            if (a.section, a.key) == ("Install", "WantedBy") and name not in idle.DISABLED:
                for instance in idle.INSTANCES.get(name, (name,)):
                    links[f"{texts.ADMIN}/{a.value}.wants/{instance}"] = path
    return links


def _template(name: str) -> str | None:
    """Return ``worker@.service`` for ``worker@a.service``."""
    stem, dot, suffix = name.rpartition(".")
    prefix, at, _ = stem.partition("@")
    return f"{prefix}@{dot}{suffix}" if at and not is_template(name) else None


def _places(name: str) -> Iterator[str]:
    for wanted in (name, _template(name)):
        if wanted is not None:
            yield from (f"{directory}/{wanted}" for directory in DIRECTORIES)


def _folders(names: tuple[str, ...]) -> Iterator[str]:
    """Yield the folders of drop-ins, those that decide between equal file names first."""
    for name in names:
        for wanted in (name, _template(name)):
            if wanted is None:
                continue
            stem, _, suffix = wanted.rpartition(".")
            yield from (f"{directory}/{wanted}.d" for directory in DIRECTORIES)
            parts = stem.partition("@")[0].rstrip("-").split("-")
            for count in range(len(parts) - 1, 0, -1):
                prefix = "-".join(parts[:count])
                yield from (f"{directory}/{prefix}-.{suffix}.d" for directory in DIRECTORIES)
    suffix = names[0].rpartition(".")[2]
    yield from (f"{directory}/{suffix}.d" for directory in DIRECTORIES)
