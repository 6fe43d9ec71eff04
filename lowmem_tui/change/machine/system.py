"""What is changed besides files and units' kernel values (model.ports.System), on this machine."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from lowmem_tui.change.machine import redis, swap_unit
from lowmem_tui.change.machine.links import Links
from lowmem_tui.change.machine.swap_file import SwapFiles
from lowmem_tui.host.programs import run
from lowmem_tui.model.errors import InvalidValueError, ManagerError, NotPermittedError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.model.setup import Progress

SETTLE = 3.0
"""Seconds that a unit must run on after a restart to count as running."""

_password = redis.password

_SYSCTL = re.compile(r"vm\.[a-z_]+\Z")

TMPFILES = "/etc/tmpfiles.d/zz-lowmem-tui.conf"
_TESTS = {
    "nginx": ("nginx", "-t", "-q"),
    "tmpfiles": ("systemd-tmpfiles", "--dry-run", "--create", TMPFILES),
}


class LocalSystem:
    """This machine."""

    def __init__(self, root: str = "/") -> None:
        """Take the tree below `root` for files and links; programs are this machine's."""
        self._root = root.rstrip("/")
        self._swap = SwapFiles(self._root)
        self._links = Links(self._root)
        self._get: dict[ActionKind, Callable[[str], str]] = {
            ActionKind.LINK: self._links.get,
            ActionKind.RUN: _runs,
            ActionKind.SYSCTL: _sysctl,
            ActionKind.SWAP_FILE: self._swap.get,
            ActionKind.REDIS: redis.get,
            ActionKind.TEST: _tested,
        }
        self._put: dict[ActionKind, Callable[[str, str], None]] = {
            ActionKind.LINK: self._links.put,
            ActionKind.RUN: _set_running,
            ActionKind.SYSCTL: _set_sysctl,
            ActionKind.REDIS: _set_redis,
            ActionKind.SERVICE: _again,
            ActionKind.TEST: _test,
        }

    @property
    def progress(self) -> Progress | None:
        """See ``System``."""
        return self._swap.progress

    def get(self, kind: ActionKind, what: str) -> str:
        """See ``System``."""
        return self._get[kind](what) if kind in self._get else ""

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        """See ``System``."""
        if kind is ActionKind.SWAP_FILE:
            self._swap.put(what, value, check)
        else:
            self._put[kind](what, value)


def _unit(name: str) -> str:
    if not is_unit_name(name):
        raise InvalidValueError(f"'{plain(name, 60)}' is not a unit's name.")
    return name


def _sysctl_path(what: str) -> str:
    if not _SYSCTL.match(what):
        raise InvalidValueError(f"'{plain(what, 60)}' is no vm.* setting.")
    return "/proc/sys/" + what.replace(".", "/")


def _sysctl(what: str) -> str:
    try:
        with open(_sysctl_path(what), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _set_sysctl(what: str, value: str) -> None:
    if _sysctl(what) == value:
        return
    with open(_sysctl_path(what), "w", encoding="ascii") as file:
        file.write(value)
    if (now := _sysctl(what)) != value:
        raise ManagerError(f"The kernel made {what} {plain(now, 40)} of {plain(value, 40)}.")


def _state(unit: str) -> str:
    """Return what systemctl calls it: always a word. Raises ManagerError where it says none."""
    state = _output(("systemctl", "is-active", "--", _unit(unit))).strip()
    if not state:
        raise ManagerError(f"systemctl does not say whether {plain(unit, 60)} runs.")
    return state


def _runs(unit: str) -> str:
    return "active" if _state(unit) in {"active", "reloading", "activating"} else "inactive"


def _set_running(unit: str, value: str) -> None:
    if _runs(unit) == value:
        return
    space = swap_unit.space_of(unit)
    if value == "active" or not space:
        _systemctl("start" if value == "active" else "stop", unit)
        return
    swap_unit.check_room(space)
    # Whether it could be is seen by the kernel's list: systemd calls both an end.
    run(("systemctl", "stop", "--", unit), swap_unit.PATIENCE)
    swap_unit.check_off(space)


def _test(what: str, _: str) -> None:
    if what == "tmpfiles":
        _test_tmpfiles()
    else:
        _run(_TESTS[what])


def _test_tmpfiles() -> None:
    """Have systemd-tmpfiles read our file, and do nothing; before 256 it has no such mode."""
    if not os.path.exists(TMPFILES):
        return  # it was taken away
    done = run(_TESTS["tmpfiles"])
    said = done.stderr + done.stdout
    if "--dry-run" in said and "nrecognized option" in said:
        return
    if done.returncode != 0:
        raise ManagerError(f"systemd-tmpfiles does not take {TMPFILES}: {plain(said, 300)}.")


def _tested(what: str) -> str:
    """Return what a program says is wrong with its files now; "" too where it may not read them."""
    done = run(_TESTS[what])
    said = done.stderr.strip()
    if done.returncode == 0 or "ermission denied" in said:
        return ""
    return plain(next((line for line in said.splitlines() if "[emerg]" in line), said), 300)


def _again(unit: str, verb: str) -> None:
    """Restart or reload what runs, and see it run on. What does not run needs neither.

    One that ends is "activating" again by its Restart=: that is not running either.
    """
    if _runs(unit) != "active":
        return
    _systemctl(verb, unit)
    until = time.monotonic() + SETTLE
    while time.monotonic() < until:
        time.sleep(0.25)
        if _state(unit) not in {"active", "reloading"}:
            raise ManagerError(f"{unit} does not run after its {verb}: see `journalctl -u {unit}`.")


def _systemctl(verb: str, unit: str) -> None:
    _run(("systemctl", verb, "--", _unit(unit)))


def _set_redis(what: str, value: str) -> None:
    if _runs(what.partition(" ")[0]) == "active":
        redis.put(what, value)  # what does not run takes its values when it starts


def _output(words: Sequence[str]) -> str:
    """Run a program and return what it prints, whatever its exit status."""
    return run(words).stdout


def _run(words: Sequence[str]) -> str:
    """Run a program; raises ManagerError with its own words if it fails."""
    done = run(words)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().replace("\n", " ")
        kind = NotPermittedError if "ccess denied" in said else ManagerError
        raise kind(
            f"`{plain(' '.join(words), 80)}` failed: {plain(said, 300) or 'no reason given'}."
        )
    return done.stdout
