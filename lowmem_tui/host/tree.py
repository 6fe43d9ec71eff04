"""The cgroup v2 tree: which groups there are to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.host.cgroupfs import ROOT_SLICE, unit_name
from lowmem_tui.host.reading import field, folders, read

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    for folder in folders(path, root):
        below = f"{path}/{folder}" if path != "/" else f"/{folder}"
        name = unit_name(folder)
        if name is None:
            yield from _groups(below, path, root)
        elif name.endswith(".slice"):
            yield Found(below, name, path, slice=True)
            yield from _below(below, root)
        else:
            yield Found(below, name, path, slice=False)


def _groups(path: str, parent: str, root: int) -> Iterator[Found]:
    """Return the groups without a unit at a folder: itself, or those that it merely holds.

    It is one group as soon as it has processes of its own, or units (a system in a container: its
    units are not ours and may have the names of ours).
    """
    below = folders(path, root)
    if not below or any(unit_name(f) for f in below) or read(f".{path}/cgroup.procs", root):
        yield Found(path, path, parent, slice=False)
        return
    for folder in below:
        yield from _groups(f"{path}/{folder}", parent, root)


def populated(path: str, root: int) -> bool | None:
    """Return ``populated`` of cgroup.events: whether any process lives in the group or below it."""
    events = read(f".{path}/cgroup.events", root)
    known = field(events, b"populated ") if events else None
    if known is not None:
        return bool(known)
    processes = read(f".{path}/cgroup.procs", root)
    return None if processes is None else bool(processes)
