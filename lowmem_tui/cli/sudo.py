"""What to type to run this program as root, or for the demo server."""

from __future__ import annotations

import os
import shlex
import sys

from lowmem_tui.host.programs import PATH

SECURE_PATH = PATH
"""Where sudo looks for programs, whatever the caller's PATH says (Debian, Ubuntu)."""


def command(program: str | None = None, *, demo: bool = False) -> str:
    """Return ``sudo lowmem-tui``, with the whole path where sudo would not find it (pipx, a clone).

    ``program`` is how this process was started, by default ``sys.argv[0]``. The demo server's is
    ``lowmem-tui --demo``.
    """
    if demo:
        return "lowmem-tui --demo"
    started = sys.argv[0] if program is None else program
    name = os.path.basename(started)
    if name != "lowmem-tui" or not os.path.exists(started):
        return "sudo lowmem-tui"  # python -m, or a test: nobody knows better
    path = os.path.abspath(started)
    found = _which(name)
    if found is not None and os.path.realpath(found) == os.path.realpath(path):
        return f"sudo {name}"
    return f"sudo {shlex.quote(path)}"


def _which(name: str) -> str | None:
    """Return where sudo finds a program. ``shutil.which`` brings three kinds of archives along."""
    for folder in SECURE_PATH.split(":"):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None
