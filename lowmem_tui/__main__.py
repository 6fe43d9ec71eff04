"""The entry point: sends each command to its module, and imports nothing that it does not need."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; return the exit status (cli/exit.py)."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["triage"]:
        # What one types when the box is thrashing: no argument parser, no screen, no bus.
        from lowmem_tui.cli.triage import run

        return run(arguments[1:])
    from lowmem_tui.cli.main import run_command

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
