"""What to type to run this program as root."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where sudo looks for programs, whatever the caller's PATH says (Debian, Ubuntu)."""


def command(program: str | None = None) -> str:
    """Return ``sudo lowmem-tui``, with the whole path where sudo would not find it (pipx, a clone).

    ``program`` is how this process was started, by default ``sys.argv[0]``.
    """
    started = sys.argv[0] if program is None else program
    name = os.path.basename(started)
    if name != "lowmem-tui" or not os.path.exists(started):
        return "sudo lowmem-tui"  # python -m, or a test: nobody knows better
    path = os.path.abspath(started)
    found = shutil.which(name, path=SECURE_PATH)
    if found is not None and os.path.realpath(found) == os.path.realpath(path):
        return f"sudo {name}"
    return f"sudo {shlex.quote(path)}"
