"""Runs one command and ends it when the process that asked for it is gone.

Started as ``keeper.py FD COMMAND…``: FD is the reading end of a pipe that only the asker holds
open for writing, so the end of the asker, however it comes, is the end of the command.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def keep(descriptor: int, command: Sequence[str]) -> int:
    """Wait for the command or for the end of the pipe; returns the command's exit status."""
    own_pid = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_keeper() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != own_pid:
            os._exit(1)

    with subprocess.Popen(command, preexec_fn=die_with_keeper) as child:
        ended = os.pidfd_open(child.pid)
        select.select([descriptor, ended], [], [])
        if child.poll() is None:
            child.kill()
        return child.wait()


if __name__ == "__main__":
    sys.exit(abs(keep(int(sys.argv[1]), sys.argv[2:])))
