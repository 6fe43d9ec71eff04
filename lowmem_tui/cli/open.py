"""Which server a command works on: this machine, or the demo server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.cli.recorded import Recorded


def open_backend(options: argparse.Namespace, *, read_only: bool = False) -> ServerBackend:
    """Return the server that the command line asks for.

    Raises UnsupportedError where there is no systemd with cgroup v2.
    """
    if options.recorded is not None:
        recorded: Recorded = options.recorded
        return recorded.backend()
    read_only = read_only or options.read_only
    if options.demo:
        from lowmem_tui.cli.demo import demo_backend

        return demo_backend(read_only=read_only)
    from lowmem_tui.cli.local import local_backend

    return local_backend(options.bus, read_only=read_only)
