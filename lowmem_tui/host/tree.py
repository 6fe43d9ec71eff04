"""The cgroup v2 tree: which groups there are to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.cgroupfs import unit_name
from lowmem_tui.host.reading import field, folders, read
from lowmem_tui.model.cgroup import ROOT_SLICE

if TYPE_CHECKING:
    from collections.abc import Iterator


DEEPEST = 32
"""Folders below each other that are looked into. What is nested deeper, which whoever a group is
delegated to can do at will, belongs to the group at that depth. systemd's slices nest as often as
their names have dashes."""

MOST_GROUPS = 256
"""Groups without a unit that a folder may merely hold; with more it is one group itself."""


class Found(NamedTuple):
    """A group that the program shows, in the tree."""

    path: str
    """Below the mount, with a leading slash."""
    name: str
    """The unit's name; the path itself for a group without a unit."""
    parent: str
    """The path of the slice that it is in; empty for the root."""
    slice: bool
    """Whether other units are below it. Everything below any other group belongs to it."""


def walk(root: int) -> list[Found]:
    """Return every group to show, parents first; ``root`` is a descriptor of the mount.

    Slices nest. A group without a unit (``/docker/<id>``, ``/lxc.payload.web``) is shown by its
    path; a folder that only holds such groups is not. Anything may vanish on the way.
    """
    found = [Found("/", ROOT_SLICE, "", slice=True)]
    taken = {ROOT_SLICE: 0}
    for group in _below("/", root):
        at = taken.setdefault(group.name, len(found))
        if at < len(found):
            # Two groups of one name: a unit that was moved to another slice leaves its old group
            # behind for a moment. The one that lives has the name.
            if populated(group.path, root) and not populated(found[at].path, root):
                found[at] = found[at]._replace(name=found[at].path)
                taken[group.name] = len(found)
            else:
                group = group._replace(name=group.path)
        found.append(group)
    return found


def _below(path: str, root: int) -> Iterator[Found]:
    waiting = _units_in(path, root)
    while waiting:
        found = waiting.pop()
        yield found
        if found.slice:
            waiting += _units_in(found.path, root)


def _units_in(path: str, root: int) -> list[Found]:
    """Return the groups to show right below a slice, in reverse order: the first is taken first."""
    found = []
    for folder in folders(path, root):
        below = f"{path}/{folder}" if path != "/" else f"/{folder}"
        name = unit_name(folder)
        if name is None:
            found += [Found(group, group, path, slice=False) for group in _groups(below, root)]
        else:
            holds = name.endswith(".slice") and below.count("/") < DEEPEST
            found.append(Found(below, name, path, slice=holds))
    return found[::-1]


def _groups(path: str, root: int) -> list[str]:
    """Return the groups without a unit at a folder: itself, or those that it merely holds.

    It is one group as soon as it has processes of its own, or units (a system in a container: its
    units are not ours and may have the names of ours).
    """
    found: list[str] = []
    waiting = [path]
    while waiting:
        group = waiting.pop()
        below = folders(group, root) if group.count("/") < DEEPEST else []
        if not below or any(unit_name(f) for f in below) or read(f".{group}/cgroup.procs", root):
            found.append(group)
        else:
            waiting += [f"{group}/{folder}" for folder in reversed(below)]
        if len(found) + len(waiting) > MOST_GROUPS:
            return [path]
    return found


def populated(path: str, root: int) -> bool | None:
    """Return ``populated`` of cgroup.events: whether any process lives in the group or below it."""
    events = read(f".{path}/cgroup.events", root)
    known = field(events, b"populated ") if events else None
    if known is not None:
        return bool(known)
    processes = read(f".{path}/cgroup.procs", root)
    return None if processes is None else bool(processes)
