"""Whether systemd-tmpfiles accepts our rule: a tool of the step."""

from __future__ import annotations

import os
from typing import Final

from lowmem_tui.host.programs import run
from lowmem_tui.model.errors import InvalidValueError, ManagerError
from lowmem_tui.model.message import msg, of_path, of_text

NAME: Final = "tmpfiles"
"""What a TEST of it is called."""

PATH: Final = "/etc/tmpfiles.d/zz-lowmem-tui.conf"


def check(what: str) -> None:
    """See ``Tool``."""
    if what != NAME:
        raise InvalidValueError(msg("'{what}' is not a test of this step.", what=of_text(what, 60)))


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
    output = done.stderr + done.stdout
    if "--dry-run" in output and "nrecognized option" in output:
        return
    if done.returncode != 0:
        raise ManagerError(
            msg(
                "systemd-tmpfiles does not accept {path}: {output}.",
                path=of_path(PATH),
                output=of_text(output, 300),
            )
        )
