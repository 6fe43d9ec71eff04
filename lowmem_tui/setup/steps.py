"""The steps, in the order in which they are gone through, and all that a change may do for each.

This is the whole list of what lowmem-tui changes beside the settings of units: on a real machine,
on the demo server, and for the record of an earlier change, it refuses everything else. Nothing of
a step is imported here, so that a start can settle an interrupted change without them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.unit import TIERS_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.change.machine.allowed import Allowed, Tool
    from lowmem_tui.model.ports import Step
    from lowmem_tui.setup.context import Ground


@dataclass(frozen=True, slots=True)
class Registration:
    """A step: where it is, and what a change may do for it; modules are named within this room."""

    module: str
    """Has ``make(ground)``, which builds the step."""
    files: tuple[str, ...] = ()
    """Files that are ours."""
    folders: tuple[str, ...] = ()
    """Folders that are removed with the last file in them."""
    drop_ins: tuple[str, ...] = ()
    """Names of drop-ins for units."""
    edited: tuple[str, ...] = ()
    """Folders (``/etc/x/``) below which files of somebody else's are changed."""
    swap_files: tuple[str, ...] = ()
    swap_units: Mapping[str, str] = field(default_factory=dict)
    """The swap space that a unit of ours switches on, by the unit."""
    tools: Mapping[tuple[ActionKind, str], str] = field(default_factory=dict)
    """A module that is a ``Tool``, by the kind of an action and its name ("": all names)."""


STEPS: Final[Mapping[str, Registration]] = {
    "box": Registration("machine"),
    "tiers": Registration(
        "units.tiers",
        files=(TIERS_FILE,),
        folders=("/etc/lowmem-tui",),
    ),
    "units": Registration("units.step"),
    "swap": Registration(
        "swap.step",
        files=(
            "/etc/systemd/system/swapfile.swap",
            "/etc/systemd/system/lowmem-tui-zram.service",
        ),
        swap_files=("/swapfile",),
        swap_units={"swapfile.swap": "/swapfile", "lowmem-tui-zram.service": "/dev/zram0"},
    ),
    "sysctl": Registration("sysctl", files=("/etc/sysctl.d/zz-lowmem-tui.conf",)),
    "journal": Registration(
        "journal.step",
        files=("/etc/systemd/journald.conf.d/zz-lowmem-tui.conf",),
        folders=("/etc/systemd/journald.conf.d",),
    ),
    "nginx": Registration(
        "nginx.step",
        files=("/etc/nginx/conf.d/zz-lowmem-tui.conf",),
        edited=("/etc/nginx/",),
        tools={(ActionKind.TEST, "nginx"): "nginx.tested"},
    ),
    "gunicorn": Registration("gunicorn.step", drop_ins=("zz-lowmem-tui-gunicorn.conf",)),
    "redis": Registration(
        "redis.step",
        drop_ins=("zz-lowmem-tui-redis.conf",),
        tools={(ActionKind.REDIS, ""): "redis.client"},
    ),
    "sessions": Registration(
        "sessions.step",
        files=("/etc/tmpfiles.d/zz-lowmem-tui.conf",),
        tools={(ActionKind.TEST, "tmpfiles"): "sessions.rule"},
    ),
    "idle": Registration("idle.step"),
}
"""By the name of the step's section in a policy file."""


def steps(ground: Ground) -> tuple[Step, ...]:
    """Return every step, standing on one server."""
    return tuple(_module(step.module).make(ground) for step in STEPS.values())  # type: ignore[attr-defined]


@cache
def allowed() -> Allowed:
    """Return what the steps together let a change do; their tools are loaded when they are used."""
    from lowmem_tui.change.machine.allowed import Allowed, Paths

    every = STEPS.values()
    return Allowed(
        Paths(
            files=frozenset(path for step in every for path in step.files),
            drop_ins=frozenset(name for step in every for name in step.drop_ins),
            folders=frozenset(path for step in every for path in step.folders),
            edited=tuple(path for step in every for path in step.edited),
        ),
        swap_files=frozenset(path for step in every for path in step.swap_files),
        swap_units={unit: space for step in every for unit, space in step.swap_units.items()},
        tools={
            name: partial(_tool, module) for step in every for name, module in step.tools.items()
        },
    )


def _module(name: str) -> object:
    return import_module(f"lowmem_tui.setup.{name}")


def _tool(name: str) -> Tool:
    return cast("Tool", _module(name))
