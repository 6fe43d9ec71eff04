"""This machine behind a backend; nothing is loaded before it is asked for."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from lowmem_tui.cli.backend import READ_ONLY, Machine, Records, ServerBackend
from lowmem_tui.host.reading import LONG
from lowmem_tui.host.trusted import public
from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.message import msg, of_command
from lowmem_tui.model.trial import PATH

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import (
        Files,
        Inspector,
        Kernel,
        Manager,
        Store,
        System,
        Witness,
    )
    from lowmem_tui.model.who import By
    from lowmem_tui.policy.classify import Rules

PROC = "/proc"
CGROUP = "/sys/fs/cgroup"


def local_backend(
    bus: str | None, *, read_only: bool = False, proc_root: str = PROC, cgroup_root: str = CGROUP
) -> ServerBackend:
    """Return this machine; ``bus`` None does without systemd (a tree in a folder, for measuring).

    Raises UnsupportedError where there is no systemd with cgroup v2.
    """
    if bus is not None:
        check_supported(cgroup_root)
    from lowmem_tui.host.sampler import ProcSampler
    from lowmem_tui.host.watcher import Watcher

    def tools() -> tuple[Files, Kernel]:
        from lowmem_tui.change.machine.files import EtcFiles
        from lowmem_tui.change.machine.kernel import KernelValues
        from lowmem_tui.setup.steps import allowed

        return EtcFiles(paths=allowed().paths), KernelValues(proc_root, cgroup_root)

    connect = _connector(bus) if bus is not None else None
    return ServerBackend(
        Watcher(ProcSampler(proc_root, cgroup_root), connect),
        connect,
        tools,
        _records(),
        demo=False,
        cannot_change=_cannot_change(read_only),
        witness=lambda: local_witness(proc_root, cgroup_root),
        machine=Machine(_local_system, _local_inspector, _local_rules),
    )


def _local_system() -> System:
    from lowmem_tui.change.machine.system import LocalSystem
    from lowmem_tui.setup.steps import allowed

    return LocalSystem(allowed=allowed())


def _local_inspector() -> Inspector:
    from lowmem_tui.host.facts import LocalInspector

    return LocalInspector()


def _local_rules() -> Rules:
    from lowmem_tui.cli.rules import load_rules

    return load_rules()


def local_witness(proc_root: str = PROC, cgroup_root: str = CGROUP) -> Witness:
    """Return what remembers this machine's kills."""
    from lowmem_tui.host.logs.kill_evidence import LocalWitness

    return LocalWitness(proc_root, cgroup_root)


def _records() -> Records:
    def store() -> Store:
        from lowmem_tui.change.records.store import FolderStore

        return FolderStore()

    def notice() -> str | None:
        raw = public(PATH, LONG)
        return None if raw is None else raw.decode("utf-8", "replace")

    def boot_id() -> str:
        from lowmem_tui.change.records import who

        return who.boot_id()

    def by() -> By:
        from lowmem_tui.change.records import who

        return who.whoami()

    def whole() -> bool:
        return os.geteuid() == 0

    def lock() -> AbstractContextManager[None]:
        from lowmem_tui.change.machine.files import EtcFiles

        return EtcFiles().exclusive()

    return Records(store, whole, notice, lock, time.time, time.monotonic, boot_id, by)


def check_supported(cgroup_root: str = CGROUP) -> None:
    """Raise UnsupportedError where there is no systemd with cgroup v2."""
    if not os.path.exists("/run/systemd/system"):
        raise UnsupportedError(
            msg("systemd does not run here: `lowmem-tui --demo` shows the demo server.")
        )
    if not os.path.exists(f"{cgroup_root}/cgroup.controllers"):
        raise UnsupportedError(
            msg(
                "This machine does not use cgroup v2 only: `lowmem-tui --demo` shows the demo "
                "server."
            )
        )


def _cannot_change(read_only: bool) -> Message | str:
    if read_only:
        return READ_ONLY
    if os.geteuid() != 0:
        from lowmem_tui.cli import sudo

        return msg(
            "Only root may change this: run the same with sudo (`{command}`).",
            command=of_command(sudo.command()),
        )
    return ""


def _connector(bus: str) -> Callable[[], Manager]:
    def jeepney() -> Manager:
        from lowmem_tui.host.dbus.jeepney_client import JeepneyManager

        return JeepneyManager()

    def pydbus() -> Manager:
        from lowmem_tui.host.dbus.pydbus_client import PydbusManager

        return PydbusManager()

    return pydbus if bus == "pydbus" else jeepney
