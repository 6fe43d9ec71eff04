"""Whether nginx accepts its configuration (`nginx -t`): a tool of the step."""

from __future__ import annotations

from typing import Final

from lowmem_tui.change.machine.system import run_or_raise
from lowmem_tui.host.programs import run
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_text
from lowmem_tui.model.text import plain

NAME: Final = "nginx"
"""What a TEST of it is called."""

_COMMAND: Final = ("nginx", "-t", "-q")


def check(what: str) -> None:
    """See ``Tool``."""
    if what != NAME:
        raise InvalidValueError(msg("'{what}' is not a known test.", what=of_text(what, 60)))


def get(what: str) -> str:
    """Return what nginx reports as wrong with its files; "" too where it may not read them."""
    check(what)
    done = run(_COMMAND)
    output = done.stderr.strip()
    if done.returncode == 0 or "ermission denied" in output:
        return ""
    return plain(next((line for line in output.splitlines() if "[emerg]" in line), output), 300)


def put(what: str, value: str) -> None:
    """Have nginx test its files. Raises ManagerError where it refuses them."""
    del value
    check(what)
    run_or_raise(_COMMAND)
