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
)
from lowmem_tui.model.unitfile import MEMORY_LIMIT, section_of, winning
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Files, Kernel, Manager
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.unit import Limit, UnitProperties, Value

TEMPLATE_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where the file of a template is looked for (systemd.unit(5)): systemd does not report it."""


def situation(
    names: Iterable[str], manager: Manager, files: Files, kernel: Kernel, snapshot: Snapshot
) -> Situation:
    """Read the situation of units; a unit that does not exist is in it as "not-found".

    Raises ManagerError. Files that cannot be read are in it without their text.
    """
    reader = SettingsReader(
        files, kernel, Machine(snapshot.host.mem_total, snapshot.host.page_size)
    )
    units = {}
    for name, properties in manager.properties(names).items():
        known = snapshot.units.get(properties.name)
        unit = Unit(properties.name, known.usage if known else None, properties)
        units[name] = reader.situation(name, unit, properties)
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

    def situation(self, asked: str, unit: Unit, properties: UnitProperties) -> UnitSituation:
        """Return all that is known of one unit."""
        files = self.files(properties)
        ours, obstacle = None, None
        if is_unit_name(properties.name):
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
            settings=self.settings(properties),
            drop_in=ours,
            obstacle=obstacle,
        )

    def files(self, properties: UnitProperties) -> tuple[UnitFile, ...]:
        """Return the fragment and the drop-ins that systemd has loaded, in its order."""
        if is_template(properties.name):
            fragments = [f"{folder}/{properties.name}" for folder in TEMPLATE_FOLDERS]
            paths = [path for path in fragments if self._read(path)][:1]
        else:
            paths = [properties.fragment_path, *properties.drop_in_paths]
        return tuple(self._read(path) or UnitFile(path, None) for path in paths if path)

    def settings(self, properties: UnitProperties) -> dict[Key, Setting]:
        """Return each setting: as declared, as loaded, as it is in the kernel."""
        section = section_of(properties.name)
        if section is None or not properties.exists:
            return {}
        chain = self._chain(properties)
        # What is in an unreadable file might be in effect.
        known = all(file.text is not None or self._gone(file.path) for file in chain)
        found = {}
        for key in Key:
            winner = winning(chain, section, key) if _mentioned(key, chain) else None
            declared = None
            if winner:
                legacy = winner.assignment.key == MEMORY_LIMIT
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
