"""The entry point: sends each command to its module, and imports nothing that it does not need."""

from __future__ import annotations

import os
import sys

from lowmem_tui import quick_import


def _triage(options: list[str]) -> int:
    if "--demo" in options:
        # Only where it is asked for: the demo server is larger than all the rest of the page.
        from lowmem_tui.cli.triage_of import run as run_demo

        return run_demo(options)
    from lowmem_tui.cli.triage import run

    return run(options)


def main() -> int:
    """Run the command line; return the exit status (cli/exit.py)."""
    quick_import.install()
    arguments = sys.argv[1:]
    if arguments[:1] == ["triage"]:
        # What one types when the box is thrashing: no argument parser, no screen, no bus.
        return _triage(arguments[1:])
    from lowmem_tui.cli.main import run_command

    status = run_command(arguments)
    if "textual" in sys.modules:
        # Everything is closed. A thread that still waits for systemd is not to hold up the end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
