"""Whether systemd-tmpfiles takes our rule: a tool of the step."""

from __future__ import annotations

import os
from typing import Final

from lowmem_tui.host.programs import run
from lowmem_tui.model.errors import InvalidValueError, ManagerError
from lowmem_tui.model.text import plain

NAME: Final = "tmpfiles"
"""What a TEST of it is called."""

PATH: Final = "/etc/tmpfiles.d/zz-lowmem-tui.conf"


def check(what: str) -> None:
    """See ``Tool``."""
    if what != NAME:
        raise InvalidValueError(f"'{plain(what, 60)}' is nothing that is tested here.")


def get(what: str) -> str:
    """See ``Tool``: nothing is wrong that ``put`` does not find."""
    check(what)
    return ""


def put(what: str, value: str) -> None:
    """Have systemd-tmpfiles read our file, and do nothing; before 256 it has no such mode.

    Raises ManagerError where it refuses the file.
    """
    del value
    check(what)
    if not os.path.exists(PATH):
        return  # it was removed
    done = run(("systemd-tmpfiles", "--dry-run", "--create", PATH))
    said = done.stderr + done.stdout
    if "--dry-run" in said and "nrecognized option" in said:
        return
    if done.returncode != 0:
        raise ManagerError(f"systemd-tmpfiles does not take {PATH}: {plain(said, 300)}.")
