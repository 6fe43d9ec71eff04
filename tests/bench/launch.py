"""Our screen, on a tree in a temp folder in place of this machine: `launch.py PROC CGROUP`.

Everything else is the program as it is: the same entry, the same sampler, the same screen.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lowmem_tui import quick_import

if TYPE_CHECKING:
    from lowmem_tui.cli.backend import ServerBackend


def main() -> int:
    """Run it, as ``lowmem_tui.__main__`` does."""
    quick_import.install()
    from lowmem_tui.cli import local
    from lowmem_tui.cli.main import run_command

    proc_root, cgroup_root = sys.argv[1:3]
    this_machine = local.local_backend

    def on_the_tree(_bus: str | None, *, read_only: bool = False) -> ServerBackend:
        # The tree has no systemd behind it: everything but the bus is real.
        return this_machine(None, read_only=read_only, proc_root=proc_root, cgroup_root=cgroup_root)

    local.local_backend = on_the_tree  # type: ignore[assignment]
    return run_command(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
