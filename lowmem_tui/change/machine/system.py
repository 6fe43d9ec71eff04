"""What is changed besides files and units' kernel values (model.ports.System), on this machine."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from lowmem_tui.change.machine import swap_unit
from lowmem_tui.change.machine.allowed import Allowed
from lowmem_tui.change.machine.links import Links, check_link
from lowmem_tui.change.machine.swap_file import SwapFiles
from lowmem_tui.host.programs import run
from lowmem_tui.model.errors import InvalidValueError, ManagerError, NotPermittedError
from lowmem_tui.model.message import msg, of_command, of_setting, of_text, of_unit
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy.checks.reserves import HUGE_PAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.model.setup import Progress

SETTLE = 3.0
"""Seconds that a unit must run on after a restart to count as running."""

_COMPACT = "/proc/sys/vm/compact_memory"
"""Writing 1 has the kernel move pages so that free memory is in one piece (vm.rst)."""

_SYSCTL = re.compile(r"vm\.[a-z_]+\Z")


class LocalSystem:
    """This machine."""

    def __init__(self, root: str = "/", allowed: Allowed | None = None) -> None:
        """Take the tree below `root` for files and links; programs are this machine's."""
        self._root = root.rstrip("/")
        self._allowed = allowed or Allowed()
        self._swap = SwapFiles(self._root, self._allowed)
        self._links = Links(self._root)
        self._get: dict[ActionKind, Callable[[str], str]] = {
            ActionKind.LINK: self._links.get,
            ActionKind.RUN: _runs,
            ActionKind.SYSCTL: _sysctl,
            ActionKind.SWAP_FILE: self._swap.get,
        }
        self._put: dict[ActionKind, Callable[[str, str], None]] = {
            ActionKind.LINK: self._links.put,
            ActionKind.RUN: self._set_running,
            ActionKind.SYSCTL: _set_sysctl,
            ActionKind.SERVICE: _again,
        }

    @property
    def progress(self) -> Progress | None:
        """See ``System``."""
        return self._swap.progress

    def get(self, kind: ActionKind, what: str) -> str:
        """See ``System``."""
        check(kind, what, self._allowed)
        if (tool := self._allowed.tool(kind, what)) is not None:
            return tool.get(what)
        return self._get[kind](what) if kind in self._get else ""

    def put(self, kind: ActionKind, what: str, value: str, stop: Callable[[], None]) -> None:
        """See ``System``."""
        check(kind, what, self._allowed)
        if kind.needs_what_runs and _runs(what.partition(" ")[0]) != "active":
            return  # it takes its values when it starts
        if (tool := self._allowed.tool(kind, what)) is not None:
            tool.put(what, value)
        elif kind is ActionKind.SWAP_FILE:
            self._swap.put(what, value, stop)
        else:
            self._put[kind](what, value)

    def _set_running(self, unit: str, value: str) -> None:
        if _runs(unit) == value:
            return
        space = self._allowed.swap_units.get(unit)
        if value == "active" or not space:
            _systemctl("start" if value == "active" else "stop", unit)
            return
        swap_unit.check_room(space)
        # Whether it could be is seen by the kernel's list: systemd calls both an end.
        run(("systemctl", "stop", "--", unit), swap_unit.PATIENCE)
        swap_unit.check_off(space)


def check(kind: ActionKind, what: str, allowed: Allowed) -> None:
    """Raise for what an action must not change, on any machine.

    InvalidValueError, or PermissionError for a path that is none of ours.
    """
    if kind is ActionKind.LINK:
        check_link(what)
    elif kind in {ActionKind.RUN, ActionKind.SERVICE}:
        _unit(what)
    elif kind is ActionKind.SYSCTL:
        _sysctl_path(what)
    elif kind is ActionKind.SWAP_FILE:
        allowed.check_swap_file(what)
    elif (tool := allowed.tool(kind, what)) is not None:
        tool.check(what)
    else:
        raise InvalidValueError(
            msg("'{what}' cannot be changed here ({kind}).", what=of_text(what, 60), kind=kind)
        )


def _unit(name: str) -> str:
    if not is_unit_name(name):
        raise InvalidValueError(msg("'{unit}' is not a unit's name.", unit=of_unit(name, 60)))
    return name


def _sysctl_path(what: str) -> str:
    if not _SYSCTL.match(what):
        raise InvalidValueError(msg("'{what}' is not a vm.* setting.", what=of_text(what, 60)))
    return "/proc/sys/" + what.replace(".", "/")


def _sysctl(what: str) -> str:
    try:
        with open(_sysctl_path(what), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _set_sysctl(what: str, value: str) -> None:
    before = _sysctl(what)
    if before == value:
        return
    _write(_sysctl_path(what), value)
    if (now := _sysctl(what)) == value:
        return
    if what == HUGE_PAGES:
        _more_huge_pages(before, value)
        return
    raise ManagerError(
        msg(
            "{setting} is {now} now: the kernel did not accept {value}.",
            setting=of_setting(what),
            now=of_text(now, 40),
            value=of_text(value, 40),
        )
    )


def _more_huge_pages(before: str, value: str) -> None:
    """Reserve huge pages of which the kernel finds too few: each is memory in one piece.

    It moves what lies between, and is asked again. What cannot be reserved whole stays as it
    was, so that nothing but a complete undo is recorded as one. Raises ManagerError.
    """
    _write(_COMPACT, "1")
    _write(_sysctl_path(HUGE_PAGES), value)
    if (now := _sysctl(HUGE_PAGES)) == value:
        return
    _write(_sysctl_path(HUGE_PAGES), before)
    raise ManagerError(
        msg(
            "The kernel finds memory in one piece for {now} of {value} huge pages, so {setting} "
            "stays {before}. Try it again right after the next boot.",
            now=of_text(now, 40),
            value=of_text(value, 40),
            setting=of_setting(HUGE_PAGES),
            before=of_text(before, 40),
        )
    )


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def _state(unit: str) -> str:
    """Return what systemctl calls it: always a word. Raises ManagerError where it prints none."""
    state = _output(("systemctl", "is-active", "--", _unit(unit))).strip()
    if not state:
        raise ManagerError(
            msg("systemctl does not report whether {unit} is running.", unit=of_unit(unit, 60))
        )
    return state


def _runs(unit: str) -> str:
    return "active" if _state(unit) in {"active", "reloading", "activating"} else "inactive"


def _again(unit: str, verb: str) -> None:
    """Restart or reload what runs, and check that it keeps running.

    One that ends is "activating" again by its Restart=: that is not running either.
    """
    if _runs(unit) != "active":
        return
    _systemctl(verb, unit)
    until = time.monotonic() + SETTLE
    while time.monotonic() < until:
        time.sleep(0.25)
        if _state(unit) not in {"active", "reloading"}:
            raise ManagerError(
                msg(
                    "{unit} is not running after `{command}`: see `journalctl -u {unit}`.",
                    unit=of_unit(unit),
                    command=of_command(f"systemctl {verb} {unit}"),
                )
            )


def _systemctl(verb: str, unit: str) -> None:
    run_or_raise(("systemctl", verb, "--", _unit(unit)))


def _output(words: Sequence[str]) -> str:
    """Run a program and return what it prints, whatever its exit status."""
    return run(words).stdout


def run_or_raise(words: Sequence[str]) -> str:
    """Run a program; raises ManagerError with its own words if it fails."""
    done = run(words)
    if done.returncode != 0:
        printed = (done.stderr or done.stdout).strip().replace("\n", " ")
        kind = NotPermittedError if "ccess denied" in printed else ManagerError
        command = of_text(" ".join(words), 80)
        if not printed:
            raise kind(msg("`{command}` failed and gave no reason.", command=command))
        raise kind(
            msg("`{command}` failed: {output}", command=command, output=of_text(printed, 300))
        )
    return done.stdout
