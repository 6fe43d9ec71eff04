"""All that a plan must know, read now: from systemd, from the files, from the kernel."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from lowmem_tui.change.compare import Declared, Machine, capped, is_sshd, not_in_kernel, not_loaded
from lowmem_tui.host.cgroupfs import unit_name
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.quantity import SCORE_MIN
from lowmem_tui.model.snapshot import Setting, Situation, Unit, UnitFile, UnitSituation
from lowmem_tui.model.unit import (
    CGROUP_FILES,
    Key,
    Unlimited,
    is_template,
    is_unit_name,
    unit_type,
)
from lowmem_tui.model.unitfile import MEMORY_LIMIT, decisive, section_of, sources
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Files, Kernel, Manager
    from lowmem_tui.model.snapshot import Snapshot, Source
    from lowmem_tui.model.unit import Limit, UnitProperties, Value

TEMPLATE_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where the file of a template is looked for (systemd.unit(5)): systemd does not report it."""

UNIT_FOLDERS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where systemd looks for unit files, in its order (systemd.unit(5)): of files with one name it
reads the first. /lib is /usr/lib."""


def situation(
    names: Iterable[str],
    manager: Manager,
    files: Files,
    kernel: Kernel,
    snapshot: Snapshot,
    *,
    hidden: bool = False,
) -> Situation:
    """Read the situation of units; a unit that does not exist is in it as "not-found".

    With ``hidden`` also the files that systemd does not read because another one has their name:
    it costs some hundred looks at files for each unit.

    Raises ManagerError. Files that cannot be read are in it without their text.
    """
    reader = SettingsReader(
        files, kernel, Machine(snapshot.host.mem_total, snapshot.host.page_size)
    )
    units = {}
    for name, properties in manager.properties(names).items():
        known = snapshot.units.get(properties.name)
        unit = Unit(properties.name, known.usage if known else None, properties)
        units[name] = reader.situation(name, unit, properties, hidden=hidden)
    return Situation(snapshot, units, swap=snapshot.host.swap_total > 0)


class SettingsReader:
    """Reads the settings of units; what is shared between units is read once."""

    def __init__(
        self, files: Files, kernel: Kernel, machine: Machine, *, strict: bool = False
    ) -> None:
        """With ``strict`` what cannot be read is an OSError, else it is not known."""
        self._strict = strict
        self._files = files
        self._kernel = kernel
        self._machine = machine
        self._texts: dict[str, UnitFile | None] = {}
        self._limits: dict[tuple[str, str], Limit | None] = {}

    def situation(
        self, asked: str, unit: Unit, properties: UnitProperties, *, hidden: bool = False
    ) -> UnitSituation:
        """Return all that is known of one unit."""
        files = self.files(properties)
        ours, obstacle = None, None
        unread: tuple[UnitFile, ...] = ()
        if is_unit_name(properties.name):
            unread = self.hidden(properties) if hidden else ()
            path = dropin.path(properties.name)
            ours = self._read(path)
            try:
                obstacle = self._files.obstacle(path)
            except PermissionError:
                obstacle = msg(
                    "{path} cannot be looked at by this user: run the same with sudo.",
                    path=of_path(path),
                )
            except OSError as error:
                obstacle = msg(
                    "{path} cannot be looked at ({error}): see `dmesg`.",
                    path=of_path(path),
                    error=str(error.strerror),
                )
        return UnitSituation(
            asked=asked,
            unit=unit,
            files=files,
            settings=self.settings(properties, unread),
            drop_in=ours,
            obstacle=obstacle,
            hidden=unread,
        )

    def files(self, properties: UnitProperties) -> tuple[UnitFile, ...]:
        """Return the fragment and the drop-ins that systemd has loaded, in its order."""
        if is_template(properties.name):
            fragments = [f"{folder}/{properties.name}" for folder in TEMPLATE_FOLDERS]
            paths = [path for path in fragments if self._read(path)][:1]
        else:
            paths = [properties.fragment_path, *properties.drop_in_paths]
        return tuple(self._read(path) or UnitFile(path, None) for path in paths if path)

    def hidden(self, properties: UnitProperties) -> tuple[UnitFile, ...]:
        """Return the files that systemd does not read, because another one has their name.

        In the reverse of systemd's order of folders: the one that it would read next comes last.
        """
        read = [file.path for file in self.files(properties)]
        known = {_merged(path) for path in (*read, dropin.path(properties.name))}
        texts = {file.text for file in self.files(properties)}
        found = []
        for path in _same_names(properties, read):
            file = self._read(path) if path not in known else None
            # The same text under two names is, as a rule, one file behind a link.
            if file is not None and file.text is not None and file.text not in texts:
                found.append(file)
        return tuple(found)

    def settings(
        self, properties: UnitProperties, hidden: Sequence[UnitFile] = ()
    ) -> dict[Key, Setting]:
        """Return each setting: as declared, as loaded, as it is in the kernel."""
        section = section_of(properties.name)
        if section is None or not properties.exists:
            return {}
        chain = self._chain(properties)
        # What is in an unreadable file might be in effect.
        there = [file for file in chain if file.text is not None or not self._gone(file.path)]
        known = all(file.text is not None for file in there)
        found = {}
        for key in Key:
            found_in: tuple[Source, ...] = ()
            if _mentioned(key, (*there, *hidden)):
                found_in = sources(there, section, key, hidden)
            winner = decisive(found_in)
            declared = None
            if winner:
                legacy = winner.key == MEMORY_LIMIT
                declared = Declared(winner.value, winner.path, legacy)
            effective, by = None, None
            if key.facts.bounded:
                effective, by = self._effective(properties.control_group, CGROUP_FILES[key])
            setting = Setting(
                key=key,
                declared=declared.text if declared else None,
                source=declared.path if declared else None,
                loaded=properties.loaded(key),
                kernel=self._in_kernel(key, properties),
                effective=effective,
                capped_by=by,
                sources=found_in,
            )
            differs = self._differs(declared, setting, properties, known=known)
            found[key] = replace(setting, differs=differs)
        return found

    def _differs(
        self,
        declared: Declared | None,
        setting: Setting,
        properties: UnitProperties,
        *,
        known: bool,
    ) -> Message | str:
        key = setting.key
        if declared and declared.legacy:
            return ""
        own = is_sshd(properties) or setting.kernel == SCORE_MIN
        if key is Key.OOM_SCORE_ADJUST and own and known and not declared:
            # sshd, multipathd: they protect themselves; no difference that anyone made.
            return ""
        unread = not_loaded(key, declared, properties, self._machine) if known else ""
        return (
            unread
            or not_in_kernel(key, properties, setting.kernel, self._machine.page_size)
            or capped(setting)
        )

    def _chain(self, properties: UnitProperties) -> list[UnitFile]:
        """Return the files with ours in its place, should it not be loaded yet."""
        chain = list(self.files(properties))
        path = dropin.path(properties.name)
        ours = self._read(path)
        if ours is not None and all(file.path != path for file in chain):
            fragments = 1 if properties.fragment_path or is_template(properties.name) else 0
            at = next(
                (
                    index
                    for index, file in enumerate(chain)
                    if index >= fragments and file.path.rpartition("/")[2] > dropin.OUR_NAME
                ),
                len(chain),
            )
            chain.insert(at, ours)
        return chain

    def _read(self, path: str) -> UnitFile | None:
        """Return a file, without its text if it cannot be read, None if there is none."""
        if path not in self._texts:
            try:
                text = self._files.read(path)
            except OSError:
                if self._strict:
                    raise
                self._texts[path] = UnitFile(path, None)
            else:
                self._texts[path] = None if text is None else UnitFile(path, text)
        return self._texts[path]

    def _gone(self, path: str) -> bool:
        return self._read(path) is None

    def _in_kernel(self, key: Key, properties: UnitProperties) -> Value | None:
        if not properties.control_group:
            return None
        if key in CGROUP_FILES:
            return self._limit(properties.control_group, CGROUP_FILES[key])
        if key is Key.OOM_SCORE_ADJUST and properties.oom_score_adjust is not None:
            with self._lenient():
                return main_score(properties, self._kernel)
        return None

    def _limit(self, cgroup: str, file: str) -> Limit | None:
        if (cgroup, file) not in self._limits:
            self._limits[cgroup, file] = None
            with self._lenient():
                self._limits[cgroup, file] = self._kernel.limit(cgroup, file)
        return self._limits[cgroup, file]

    @contextmanager
    def _lenient(self) -> Generator[None, None, None]:
        """Take what the kernel cannot tell as not known, unless it must."""
        try:
            yield
        except OSError:
            if self._strict:
                raise

    def _effective(self, cgroup: str, file: str) -> tuple[Limit | None, str | None]:
        """Return the least limit from a group up to the root, and the parent that sets it."""
        own = self._limit(cgroup, file) if cgroup else None
        least, by = own, None
        while cgroup.count("/") > 1:
            cgroup = cgroup.rpartition("/")[0]
            above = self._limit(cgroup, file)
            if above is not None and (least is None or _below(above, least)):
                least, by = above, cgroup
        if by is None or not isinstance(least, int):
            return least, None
        return least, unit_name(by.rpartition("/")[2]) or by


def _same_names(properties: UnitProperties, read: Sequence[str]) -> Iterator[str]:
    """Yield the paths at which a file would have the name of one of those that are read."""
    name = properties.name
    template = f"{name.partition('@')[0]}@.{unit_type(name)}" if "@" in name else ""
    aliases = filter(is_unit_name, properties.names)
    folders = dict.fromkeys((*aliases, name, template, f"{unit_type(name)}"))
    names = dict.fromkeys(path.rpartition("/")[2] for path in read)
    for above in reversed(UNIT_FOLDERS):
        for file in names:
            if not file.endswith(".conf"):
                yield f"{above}/{file}"
                continue
            for folder in folders:
                if folder:
                    yield f"{above}/{folder}.d/{file}"


def _merged(path: str) -> str:
    """Return the path of a file on a system where /lib is /usr/lib."""
    return f"/usr{path}" if path.startswith("/lib/") else path


def _mentioned(key: Key, files: Iterable[UnitFile]) -> bool:
    """Tell whether some file sets a setting; for most none does, and that is quickly seen."""
    names = (key, MEMORY_LIMIT) if key is Key.MEMORY_MAX else (key,)
    return any(name in file.text for file in files if file.text for name in names)


def _below(one: Limit, other: Limit) -> bool:
    if isinstance(one, Unlimited):
        return False
    return isinstance(other, Unlimited) or one < other


def main_score(properties: UnitProperties, kernel: Kernel) -> int | None:
    """Return oom_score_adj of a unit's main process; without one, the value most have."""
    processes = kernel.processes(properties.control_group)
    for pid, start in processes:
        if pid == properties.main_pid:
            return kernel.oom_score_adj(pid, start)
    values = Counter(
        value for pid, start in processes if (value := kernel.oom_score_adj(pid, start)) is not None
    )
    return max(values, key=lambda value: (values[value], value), default=None)
