"""Runs in the guest as a unit: a population of processes that hold memory and grow when told to.

``nest.py SPEC``: the main process forks the others that the file SPEC (JSON) asks for, each with
its size, adjustment, kind of memory and group below the unit's own. Each keeps a connection to the
harness (``kills.py``): it says who it is, and then answers each ``grow BYTES`` once that is done.
SPEC is removed at the first start, so that a unit that comes back is one small process.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys

SOCKET = "/run/oracle/socket"
PAGE = mmap.PAGESIZE

held: list[mmap.mmap] = []


def hold(size: int, kind: str) -> None:
    """Take memory and write to each page of it."""
    if size < PAGE:
        return
    flags = mmap.MAP_SHARED if kind == "shared" else mmap.MAP_PRIVATE
    memory = mmap.mmap(-1, size, flags=flags | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE if kind == "huge" else mmap.MADV_NOHUGEPAGE)
    for offset in range(0, size, PAGE):
        memory[offset] = 1 + offset // PAGE % 255
    held.append(memory)


def serve(unit: str, name: str) -> None:
    """Tell the harness who this is, and do as it says until it, or the kernel, makes an end."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(SOCKET)
        peer.sendall(f"{unit} {name} {os.getpid()}\n".encode())
        while said := peer.recv(64):
            hold(int(said.split()[1]), "private")
            peer.sendall(b"done\n")


def group_of_unit() -> str:
    with open("/proc/self/cgroup", encoding="ascii") as file:
        return "/sys/fs/cgroup" + file.read().strip().partition("::")[2]


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def divide(home: str, groups: dict[str, int | None]) -> None:
    """Make the groups below the unit's; the main process moves to one too, as the kernel wants."""
    for name in ("main", *groups):
        os.mkdir(f"{home}/{name}")
    write(f"{home}/main/cgroup.procs", str(os.getpid()))
    write(f"{home}/cgroup.subtree_control", "+memory")
    for name, limit in groups.items():
        if limit is not None:
            write(f"{home}/{name}/memory.max", str(limit))


def main() -> None:
    try:
        with open(sys.argv[1], encoding="ascii") as file:
            spec = json.load(file)
        os.remove(sys.argv[1])
    except FileNotFoundError:
        spec = {"unit": os.path.basename(sys.argv[1]), "again": True, "groups": {}, "processes": []}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    home = group_of_unit()
    if spec["groups"]:
        divide(home, spec["groups"])
    for number, process in enumerate(spec["processes"]):
        if os.fork() == 0:
            if process["group"]:
                write(f"{home}/{process['group']}/cgroup.procs", str(os.getpid()))
            if process["adj"] is not None:
                write("/proc/self/oom_score_adj", str(process["adj"]))
            hold(process["size"], process["kind"])
            serve(spec["unit"], str(number))
            os._exit(0)
    serve(spec["unit"], "again" if spec.get("again") else "main")


if __name__ == "__main__":
    main()
